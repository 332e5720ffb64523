//! The audit log: one line of JSON per statement, in a file per day, without personal data.
//!
//! ```text
//! query thread ─▶ line (pseudonym in place of the client) ─▶ bounded queue ─▶ thread ─▶ DIR/audit-2026-11-28.ndjson
//! ```
//!
//! Clients are pseudonyms under a key that is drawn anew each day and at each start, and kept nowhere: lines of one day can
//! be put together, nobody can be found by them, or followed for longer. A line never makes a query wait: where the disk
//! does not keep up, lines are left out and counted.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use anyhow::Context;
use meetnet_lake::files::{DiskFiles, Files};
use meetnet_model::calendar::DAY_US;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::time::format_rfc3339;
use meetnet_query::{Audit, AuditEntry};
use serde_json::json;
use tracing::{error, warn};

use crate::config::AuditConfig;

#[cfg(test)]
mod tests;

/// Lines that wait to be written.
const QUEUE_MAX: usize = 1024;
/// Digits of a pseudonym: enough to tell the clients of a day apart.
const PSEUDONYM_CHARS: usize = 16;
const PREFIX: &str = "audit-";
const SUFFIX: &str = ".ndjson";
/// Length of a date: `2026-11-28`.
const DATE_CHARS: usize = 10;

/// Takes entries and has them written.
#[derive(Debug)]
pub(super) struct AuditLog {
    key: Mutex<DayKey>,
    lines: SyncSender<Line>,
}

/// One line and its day.
#[derive(Debug)]
struct Line {
    date: String,
    text: String,
}

/// What pseudonyms of a day are made with.
#[derive(Debug)]
struct DayKey {
    date: String,
    key: PrivacyKey,
}

impl DayKey {
    fn of(date: &str) -> Self {
        Self {
            date: date.to_owned(),
            key: PrivacyKey::new(rand::random::<[u8; 32]>()),
        }
    }
}

impl AuditLog {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub(super) fn start(config: &AuditConfig) -> anyhow::Result<Self> {
        let dir = &config.dir;
        DiskFiles::PRIVATE
            .create_dir(dir)
            .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let (lines, queue) = sync_channel(QUEUE_MAX);
        let files = AuditFiles::new(config);
        // It ends with the last query service that notes something.
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(&queue, files))
            .context("cannot start a thread")?;
        Ok(Self {
            key: Mutex::new(DayKey::of("")),
            lines,
        })
    }

    fn line(&self, entry: &AuditEntry, now_us: i64) -> Line {
        let time = format_rfc3339(now_us);
        let date = time.get(..DATE_CHARS).unwrap_or(&time).to_owned();
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if key.date != date {
            *key = DayKey::of(&date);
        }
        let mut client = key.key.pseudonym("client", &entry.client.identity());
        drop(key);
        client.truncate(PSEUDONYM_CHARS);
        let line = json!({
            "time": time,
            "protocol": entry.client.protocol().as_str(),
            "client": client,
            "key": entry.client.key_name(),
            "statement": entry.digest,
            "shape": entry.shape,
            "outcome": entry.outcome,
            "rows": entry.rows,
            "bytes": entry.bytes,
            "duration_ms": entry.duration.as_millis() as u64,
        });
        let text = format!("{line}\n");
        Line { date, text }
    }
}

impl Audit for AuditLog {
    fn note(&self, entry: &AuditEntry) {
        let line = self.line(entry, jiff::Timestamp::now().as_microsecond());
        match self.lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => left_out("queue_full"),
            Err(TrySendError::Disconnected(_)) => left_out("no_writer"),
        }
    }
}

/// Counts a line that is not written.
fn left_out(reason: &'static str) {
    metrics::counter!("meetnet_audit_lines_left_out_total", "reason" => reason).increment(1);
}

/// Writes lines until nobody is left who could send one.
fn write_all(queue: &Receiver<Line>, mut files: AuditFiles) {
    let mut is_failing = false;
    while let Ok(first) = queue.recv() {
        let mut result = files.write(&first);
        // What waits already is written before the disk is asked to take it.
        for line in queue.try_iter().take(QUEUE_MAX) {
            result = result.and(files.write(&line));
        }
        let result = result.and(files.flush());
        if let Err(error) = &result
            && !is_failing
        {
            error!(
                error = format!("{error:#}"),
                "failed to write the audit log; statements go on without it"
            );
        }
        is_failing = result.is_err();
    }
}

/// The files of the log.
struct AuditFiles {
    dir: PathBuf,
    retention_us: i64,
    file_bytes_max: u64,
    open: Option<Open>,
}

struct Open {
    date: String,
    file: BufWriter<File>,
    bytes: u64,
    /// Whether a line of the day had no room in it.
    is_full: bool,
}

impl AuditFiles {
    fn new(config: &AuditConfig) -> Self {
        Self {
            dir: config.dir.clone(),
            retention_us: i64::try_from(config.retention.as_micros()).unwrap_or(i64::MAX),
            file_bytes_max: config.file_bytes_max,
            open: None,
        }
    }

    /// Writes a line into the file of its day. With a new day those go that are older than the retention.
    fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        let is_open = self
            .open
            .as_ref()
            .is_some_and(|open| open.date == line.date);
        if !is_open {
            self.flush()?;
            self.remove_old(&line.date);
            self.open = Some(self.open(&line.date)?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let bytes = open.bytes + line.text.len() as u64;
        if bytes > self.file_bytes_max {
            left_out("file_full");
            if !open.is_full {
                open.is_full = true;
                warn!(
                    date = open.date,
                    bytes = open.bytes,
                    "the audit log of this day is as long as it may be: further lines are left out"
                );
            }
            return Ok(());
        }
        open.bytes = bytes;
        let written = open.file.write_all(line.text.as_bytes());
        written.context("cannot write")
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        match &mut self.open {
            Some(open) => open.file.flush().context("cannot write"),
            None => Ok(()),
        }
    }

    fn open(&self, date: &str) -> anyhow::Result<Open> {
        let path = self.dir.join(format!("{PREFIX}{date}{SUFFIX}"));
        let mut options = OpenOptions::new();
        let options = options.append(true).create(true).mode(0o600);
        let file = options.open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Open {
            date: date.to_owned(),
            file: BufWriter::new(file),
            bytes,
            is_full: false,
        })
    }

    /// Removes the files of days that ended longer ago than the retention.
    fn remove_old(&self, today: &str) {
        let Some(today) = start_of(today) else {
            return;
        };
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let Some(day) = date_of(&path).and_then(start_of) else {
                continue;
            };
            let ended = day.saturating_add(DAY_US);
            if ended.saturating_add(self.retention_us) > today {
                continue;
            }
            if let Err(error) = fs::remove_file(&path) {
                warn!(file = %path.display(), %error, "failed to remove an audit log past its retention");
            }
        }
    }
}

/// Returns the date in the name of a file of ours.
fn date_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

/// Returns when a day begins, µs since 1970 UTC.
fn start_of(date: &str) -> Option<i64> {
    let midnight = format!("{date}T00:00:00Z");
    let midnight: jiff::Timestamp = midnight.parse().ok()?;
    Some(midnight.as_microsecond())
}
