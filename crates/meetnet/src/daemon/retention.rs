//! How long the periods of datasets are kept. A shorter time than before waits for `[lake] retention_grace`: what is dropped
//! is gone, and a slip of the pen is only noticed by what is missing.
//!
//! ```text
//! declared ─┐
//! noted ────┴▶ decide ─┬▶ noted again, in the journal's folder ─▶ what the lake drops by
//!                      └▶ what waits ─▶ log, metric, operations page: which rows, and when
//! ```
//!
//! A longer time counts at once. What waits is noted on disk, so that a restart neither ends the wait nor begins it anew.
//! By a clock that is far ahead everything is old, so where it has gone on by more than a wait at once, every retention waits anew.
//! Only a daemon notes it: a command that opens the folder does not say what waits, so no wait may begin with it.
//! Where nothing is noted (a new installation, a restored backup), nothing is known of before, and every retention waits.
//! A note that cannot be written or read lets rows stay longer, never shorter, so it is no reason to stop.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use meetnet_ingest::pipeline::{PipelineCommands, PipelineError};
use meetnet_lake::files::{DiskFiles, replace};
use meetnet_lake::journal::system_clock;
use meetnet_lake::lake::past_retention;
use meetnet_lake::snapshot::{LakeSnapshot, SharedSnapshot};
use meetnet_model::ids::DatasetId;
use meetnet_model::quantity::DurationText;
use meetnet_model::time::format_rfc3339;
use meetnet_publish::RetentionRow;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tracing::{info, warn};

#[cfg(test)]
mod tests;

/// Name of the note in the journal's folder.
const FILE: &str = "retention.json";
/// How often it is looked whether something waits, or has waited long enough.
const PERIOD: Duration = Duration::from_secs(1);
/// By how much more than a wait the clock may have gone on between two looks: they come late where a pipeline is behind.
const LATE_MAX: Duration = Duration::from_secs(3600);

/// How long datasets are kept; those that are not in it, for ever.
type Retentions = BTreeMap<DatasetId, Duration>;
/// The same as it is noted.
type Noted = BTreeMap<DatasetId, Kept>;

/// How long one dataset is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// What the lake drops by, µs; None: nothing is dropped.
    kept_us: Option<u64>,
    /// A shorter time that is declared.
    waiting: Option<Shorter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shorter {
    kept_us: u64,
    /// When it was first seen, µs since 1970 UTC.
    since_us: i64,
}

/// A shorter retention that is not in force yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    dataset: DatasetId,
    kept: Duration,
    /// µs since 1970 UTC.
    until_us: i64,
}

/// How long datasets are kept, and what waits; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Retention {
    held: Arc<Mutex<Held>>,
    /// What waited at the last look, for a page that must not wait itself: the other lock may be held for long.
    shown: Arc<Mutex<Vec<Waiting>>>,
}

#[derive(Debug)]
struct Held {
    file: PathBuf,
    grace: Duration,
    declared: Retentions,
    noted: Noted,
    /// Whether it is on disk.
    is_written: bool,
    /// The clock at the last look, µs since 1970 UTC.
    seen_us: i64,
}

impl Retention {
    /// Reads what is noted in the journal's folder `dir`, and compares it with what is declared; see [`start`]. `seen_us` is what
    /// the clock is known to have shown last, µs since 1970 UTC.
    pub(super) fn open(dir: &Path, declared: Retentions, grace: Duration, seen_us: i64) -> Self {
        Self::open_at(dir, declared, grace, (seen_us, now_us()))
    }

    fn open_at(
        dir: &Path,
        declared: Retentions,
        grace: Duration,
        (seen_us, now_us): (i64, i64),
    ) -> Self {
        let file = dir.join(FILE);
        let noted = read(&file).unwrap_or_else(|error| {
            let error = format!("{error:#}");
            warn!(
                error,
                "nothing is known of earlier retentions: those that are declared wait"
            );
            Noted::new()
        });
        let mut held = Held {
            file,
            grace,
            declared,
            is_written: true,
            noted,
            seen_us,
        };
        if held.is_ahead(now_us) {
            // Noted at once, by a command too: the journal is about to take this time for its own, and the next start would not doubt it.
            held.look(now_us);
        } else {
            let now = decide(&held.noted, &held.declared, grace, now_us);
            held.is_written = now == held.noted;
            held.noted = now;
            held.seen_us = now_us;
        }
        Self {
            held: Arc::new(Mutex::new(held)),
            shown: Arc::default(),
        }
    }

    /// Returns what the lake drops by.
    pub(super) fn in_force(&self) -> Retentions {
        in_force(&self.held().noted)
    }

    /// Takes what another configuration declares, and tells the lake; blocking.
    ///
    /// # Errors
    /// Where the pipeline has stopped.
    pub(super) fn declare(
        &self,
        declared: Retentions,
        commands: &PipelineCommands,
    ) -> Result<(), PipelineError> {
        // Held until the lake knows: the end of a wait must not overtake it.
        let mut held = self.held();
        held.declared = declared;
        held.look(now_us());
        commands.retain(in_force(&held.noted))
    }

    /// Puts in force what has waited long enough, and returns what still waits; blocking.
    fn look(&self, commands: &PipelineCommands) -> Vec<Waiting> {
        let mut held = self.held();
        if held.look(now_us()) {
            info!("a shorter retention has waited long enough: what is older is dropped");
            // Where the pipeline has stopped, the next start tells it.
            drop(commands.retain(in_force(&held.noted)));
        }
        waiting(&held.noted, held.grace)
    }

    /// Returns what the operations page says of what waits; nothing before the first look.
    pub(super) fn rows(&self, snapshot: &LakeSnapshot) -> Vec<RetentionRow> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = shown.iter().map(|wait| {
            let (rows, periods) = what_goes(snapshot, wait);
            RetentionRow {
                dataset: wait.dataset.clone(),
                kept: DurationText(wait.kept).to_string(),
                rows,
                periods,
                at: wait.until_us,
            }
        });
        rows.collect()
    }

    fn show(&self, waiting: &[Waiting]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = waiting.to_vec();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Returns whether the clock has gone on by more than a wait since the last look: it may be wrong.
    fn is_ahead(&self, now_us: i64) -> bool {
        !self.grace.is_zero() && now_us > end_of(self.seen_us, self.grace.saturating_add(LATE_MAX))
    }

    /// Notes what is in force at a time; returns whether that has changed.
    fn look(&mut self, now_us: i64) -> bool {
        let nothing = Noted::new();
        let known = if self.is_ahead(now_us) {
            if !self.declared.is_empty() {
                let (seen, now) = (format_rfc3339(self.seen_us), format_rfc3339(now_us));
                warn!(
                    seen,
                    now,
                    "the clock is far ahead of where it was last seen: each retention waits anew, so that a wrong clock drops nothing"
                );
            }
            &nothing
        } else {
            &self.noted
        };
        let next = decide(known, &self.declared, self.grace, now_us);
        self.seen_us = now_us;
        if next == self.noted && self.is_written {
            return false;
        }
        let before = in_force(&self.noted);
        self.noted = next;
        // Tried once: it is said below, and the next change tries again.
        self.is_written = true;
        if let Err(error) = write(&self.file, &self.noted) {
            let error = format!("{error:#}");
            warn!(
                error,
                "a retention cannot be noted: after a restart it waits anew"
            );
        }
        in_force(&self.noted) != before
    }
}

/// Returns how long datasets are kept at a time, given what was `noted` before.
fn decide(noted: &Noted, declared: &Retentions, grace: Duration, now_us: i64) -> Noted {
    let mut next = Noted::new();
    for (id, kept) in declared {
        let kept_us = u64::try_from(kept.as_micros()).unwrap_or(u64::MAX);
        let was = noted.get(id).copied().unwrap_or_default();
        let is_shorter = was.kept_us.is_none_or(|was| kept_us < was);
        // A clock that was ahead must not make a wait longer.
        let since_us = was
            .waiting
            .filter(|waiting| waiting.kept_us == kept_us)
            .map_or(now_us, |waiting| waiting.since_us.min(now_us));
        let waits = is_shorter && now_us < end_of(since_us, grace);
        let kept = if waits {
            Kept {
                kept_us: was.kept_us,
                waiting: Some(Shorter { kept_us, since_us }),
            }
        } else {
            Kept {
                kept_us: Some(kept_us),
                waiting: None,
            }
        };
        next.insert(id.clone(), kept);
    }
    next
}

fn end_of(since_us: i64, grace: Duration) -> i64 {
    since_us.saturating_add(i64::try_from(grace.as_micros()).unwrap_or(i64::MAX))
}

fn in_force(noted: &Noted) -> Retentions {
    let dropped_by = noted.iter().filter_map(|(id, kept)| {
        let kept_us = kept.kept_us?;
        Some((id.clone(), Duration::from_micros(kept_us)))
    });
    dropped_by.collect()
}

fn waiting(noted: &Noted, grace: Duration) -> Vec<Waiting> {
    let waiting = noted.iter().filter_map(|(id, kept)| {
        let shorter = kept.waiting?;
        Some(Waiting {
            dataset: id.clone(),
            kept: Duration::from_micros(shorter.kept_us),
            until_us: end_of(shorter.since_us, grace),
        })
    });
    waiting.collect()
}

fn read(file: &Path) -> anyhow::Result<Noted> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not what was written", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Noted::new()),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
    }
}

fn write(file: &Path, noted: &Noted) -> anyhow::Result<()> {
    replace(&DiskFiles::PRIVATE, file, &serde_json::to_vec(noted)?)
        .with_context(|| format!("failed to write {}", file.display()))
}

/// Starts the task that notes and says what waits, and ends waits; it runs until it is aborted.
pub(super) fn start(
    retention: Retention,
    commands: PipelineCommands,
    shared: SharedSnapshot,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut told: Vec<Waiting> = Vec::new();
        loop {
            let (at, commands) = (retention.clone(), commands.clone());
            // The lock may be held until a pipeline that is behind listens: not on a thread that the sources need.
            let look = tokio::task::spawn_blocking(move || at.look(&commands));
            // A panic has been reported by the panic hook.
            let Ok(waiting) = look.await else {
                return;
            };
            if waiting != told {
                retention.show(&waiting);
                tell(&told, &waiting, &shared.load(), now_us());
                told = waiting;
            }
            tokio::time::sleep(PERIOD).await;
        }
    })
}

/// Says what waits now and did not before, and what has been taken back.
fn tell(told: &[Waiting], waiting: &[Waiting], snapshot: &LakeSnapshot, now_us: i64) {
    let gauge = |dataset: &DatasetId| metrics::gauge!("meetnet_retention_waiting_rows", "dataset" => dataset.to_string());
    for wait in waiting.iter().filter(|wait| !told.contains(wait)) {
        let dataset = &wait.dataset;
        let (rows, periods) = what_goes(snapshot, wait);
        let kept = DurationText(wait.kept).to_string();
        let at = format_rfc3339(wait.until_us);
        gauge(dataset).set(rows as f64);
        if rows == 0 {
            info!(%dataset, kept, at, "a retention waits; nothing that is stored now goes by it");
        } else {
            warn!(
                %dataset, rows, periods, kept, at,
                "a shorter retention waits: these rows are dropped at that time, for good; to keep them put a longer one back \
                 before"
            );
        }
    }
    for gone in told {
        if waiting.iter().any(|wait| wait.dataset == gone.dataset) {
            continue;
        }
        gauge(&gone.dataset).set(0.0);
        if now_us < gone.until_us {
            info!(dataset = %gone.dataset, "a shorter retention was taken back before anything was dropped by it");
        }
    }
}

/// Returns how many rows go at the end of a wait, replaced ones included, and of which periods.
fn what_goes(snapshot: &LakeSnapshot, wait: &Waiting) -> (u64, String) {
    let Some(table) = snapshot.tables.get(&wait.dataset) else {
        return (0, String::new());
    };
    let grain = table.declaration.grain;
    let mut rows = 0;
    let mut periods: Vec<&str> = Vec::new();
    for file in past_retention(&table.files, grain, wait.kept, wait.until_us / 1_000) {
        rows += file.rows;
        periods.push(&file.period);
    }
    let span = match (periods.iter().min(), periods.iter().max()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(only), _) => (*only).to_owned(),
        (None, _) => String::new(),
    };
    (rows, span)
}

fn now_us() -> i64 {
    system_clock()()
}
