//! The private raw archive: trimmed segments, compressed in the background, kept for a while and up to a size.
//!
//! A segment comes here by rename, so that trimming costs no copying. Its new name says what is in it; a raw message is
//! found by its `source` and `received_at` through the times in the names. The files stay private to their owner (0600).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meetnet_model::ids::Sequence;

use super::error::{IoContext, JournalError};
use super::segment::{EXTENSION, Segment};
use super::shared::locked;
use super::{Clock, JournalOptions};
use crate::files::{FileHandle, Files, GradualWriter, ListedFile, UNFINISHED};

const COMPRESSED: &str = ".zst";
/// Fast enough to keep up with any intake on a fraction of a core; a higher level gains little on small messages.
const ZSTD_LEVEL: i32 = 3;
const CHUNK_BYTES: usize = 1 << 20;

/// `<number>-<first sequence>-<last sequence>-<first recorded_at>-<last recorded_at>.journal[.zst]`, times in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ArchiveName {
    pub(crate) number: u64,
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    pub(crate) first_recorded_at: i64,
    pub(crate) last_recorded_at: i64,
    pub(crate) compressed: bool,
}

impl ArchiveName {
    pub(crate) fn of(segment: &Segment) -> Self {
        Self {
            number: segment.name.number,
            first: segment.name.first,
            last: segment.last,
            first_recorded_at: segment.first_recorded_at,
            last_recorded_at: segment.last_recorded_at,
            compressed: false,
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (name, compressed) = match name.strip_suffix(COMPRESSED) {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut parts = name.strip_suffix(EXTENSION)?.splitn(5, '-');
        let name = Self {
            number: parts.next()?.parse().ok()?,
            first: Sequence(parts.next()?.parse().ok()?),
            last: Sequence(parts.next()?.parse().ok()?),
            first_recorded_at: parts.next()?.parse().ok()?,
            last_recorded_at: parts.next()?.parse().ok()?,
            compressed,
        };
        Some(name)
    }
}

impl std::fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:010}-{:020}-{:020}-{}-{}{EXTENSION}{}",
            self.number,
            self.first.0,
            self.last.0,
            self.first_recorded_at,
            self.last_recorded_at,
            if self.compressed { COMPRESSED } else { "" },
        )
    }
}

/// What one step of tending the archive did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveStep {
    /// A segment was compressed; this is its file now.
    Compressed(PathBuf),
    /// A file older than `raw_retention` was removed.
    Expired(PathBuf),
    /// The oldest file was removed, `archive_bytes_max` was passed.
    DroppedOldest(PathBuf),
}

/// The archive folder and its limits.
#[derive(Clone)]
pub(crate) struct Archive {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) dir: PathBuf,
    pub(crate) raw_retention: Duration,
    pub(crate) bytes_max: u64,
    pub(crate) clock: Clock,
    /// Held by whoever writes, renames or removes files of the archive.
    pub(crate) working: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// The archive of a journal.
    pub(crate) fn new(options: &JournalOptions) -> Self {
        Self {
            files: Arc::clone(&options.files),
            dir: options.archive_dir.clone(),
            raw_retention: options.raw_retention,
            bytes_max: options.archive_bytes_max,
            clock: Arc::clone(&options.clock),
            working: Arc::default(),
        }
    }

    /// Moves a trimmed segment in. The caller syncs both folders.
    pub(crate) fn admit(&self, segment: &Segment) -> Result<(), JournalError> {
        let path = self.dir.join(ArchiveName::of(segment).to_string());
        self.files
            .rename(&segment.path, &path)
            .context("archive", &segment.path)
    }

    /// Does one thing that is due, or none. `go_on` is asked now and then; false abandons the step.
    pub(crate) fn step(
        &self,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<ArchiveStep>, JournalError> {
        let _working = locked(&self.working);
        let entries = self.entries()?;
        if let Some(dropped) = self.drop_one(&entries)? {
            return Ok(Some(dropped));
        }
        match entries.iter().find(|(name, _)| !name.compressed) {
            Some((name, _)) => Ok(self.compress(*name, go_on)?.map(ArchiveStep::Compressed)),
            None => Ok(None),
        }
    }

    /// Removes everything that is too old or too much, and what is not complete. Returns whether a file was too old or too
    /// much.
    pub(crate) fn drop_due(&self) -> Result<bool, JournalError> {
        let _working = locked(&self.working);
        let mut has_dropped = false;
        while self.drop_one(&self.entries()?)?.is_some() {
            has_dropped = true;
        }
        Ok(has_dropped)
    }

    /// Removes the oldest file where it is too old, or where there is too much; under the lock.
    fn drop_one(
        &self,
        entries: &[(ArchiveName, u64)],
    ) -> Result<Option<ArchiveStep>, JournalError> {
        let bytes: u64 = entries.iter().map(|(_, bytes)| bytes).sum();
        metrics::gauge!("meetnet_journal_archive_bytes").set(bytes as f64);
        let retention_us = i64::try_from(self.raw_retention.as_micros()).unwrap_or(i64::MAX);
        let expires = (self.clock)().saturating_sub(retention_us);
        let expired = entries
            .iter()
            .find(|(name, _)| name.last_recorded_at < expires);
        if let Some((name, _)) = expired {
            return self
                .remove(name)
                .map(|path| Some(ArchiveStep::Expired(path)));
        }
        if bytes > self.bytes_max
            && let Some((name, _)) = entries.first()
        {
            let path = self.remove(name)?;
            metrics::counter!("meetnet_journal_archive_dropped_total").increment(1);
            tracing::warn!(file = %path.display(), bytes, bytes_max = self.bytes_max,
                "removed the oldest raw messages before their time: the archive is full");
            return Ok(Some(ArchiveStep::DroppedOldest(path)));
        }
        Ok(None)
    }

    /// Returns the files and their bytes, oldest first, and removes what is not complete; under the lock.
    pub(crate) fn entries(&self) -> Result<Vec<(ArchiveName, u64)>, JournalError> {
        let listed = self.files.list(&self.dir).context("list", &self.dir)?;
        let mut entries = Vec::new();
        for ListedFile { name, bytes } in listed {
            if name.ends_with(UNFINISHED) {
                let path = self.dir.join(&name);
                self.files
                    .remove(&path)
                    .context("remove unfinished", &path)?;
            } else if let Some(parsed) = ArchiveName::parse(&name) {
                entries.push((parsed, bytes));
            }
        }
        entries.sort();
        Ok(entries)
    }

    pub(crate) fn remove(&self, name: &ArchiveName) -> Result<PathBuf, JournalError> {
        let path = self.dir.join(name.to_string());
        self.files.remove(&path).context("remove", &path)?;
        self.files.sync_dir(&self.dir).context("sync", &self.dir)?;
        Ok(path)
    }

    fn compress(
        &self,
        name: ArchiveName,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<PathBuf>, JournalError> {
        let raw = self.dir.join(name.to_string());
        let target = ArchiveName {
            compressed: true,
            ..name
        }
        .to_string();
        let unfinished = self.dir.join(format!("{target}{UNFINISHED}"));
        let target = self.dir.join(target);
        let written = self
            .write_compressed(&raw, &unfinished, go_on)
            .inspect_err(|_| {
                // On a full disk others need the space, and the next attempt may be an hour away.
                let _ = self.files.remove(&unfinished);
            })?;
        if !written {
            self.files
                .remove(&unfinished)
                .context("remove unfinished", &unfinished)?;
            return Ok(None);
        }
        self.files
            .rename(&unfinished, &target)
            .context("rename into place", &target)?;
        self.files.sync_dir(&self.dir).context("sync", &self.dir)?;
        // Only now: at every instant one of the two is complete and durable.
        self.files.remove(&raw).context("remove", &raw)?;
        Ok(Some(target))
    }

    fn write_compressed(
        &self,
        raw: &Path,
        unfinished: &Path,
        go_on: &dyn Fn() -> bool,
    ) -> Result<bool, JournalError> {
        let from = self.files.open(raw).context("open", raw)?;
        let to = self
            .files
            .create(unfinished)
            .context("create", unfinished)?;
        let mut encoder = encoder(to).context("compress", raw)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        loop {
            if !go_on() {
                return Ok(false);
            }
            let read = from.read_at(offset, &mut buffer).context("read", raw)?;
            if read == 0 {
                break;
            }
            std::io::Write::write_all(&mut encoder, &buffer[..read])
                .context("compress", unfinished)?;
            offset += read as u64;
        }
        let mut to = encoder.finish().context("compress", unfinished)?;
        to.finish().context("sync", unfinished)?;
        Ok(true)
    }
}

/// Returns what compresses into `handle`.
pub(crate) fn encoder(
    handle: Arc<dyn FileHandle>,
) -> std::io::Result<zstd::stream::write::Encoder<'static, GradualWriter>> {
    let writer = GradualWriter::new(handle);
    let mut encoder = zstd::stream::write::Encoder::new(writer, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

#[cfg(test)]
mod tests;
