//! The folder `aside/`: copies of what recovery had to skip, for a repair by hand; at most `aside_bytes_max` of them.
//!
//! The oldest go first. The bytes themselves stay in their segment, and go with it into the archive.

use std::path::{Path, PathBuf};

use super::checkpoint::CHECKPOINT;
use super::error::{IoContext, JournalError};
use super::recovery::SkippedRegion;
use super::segment::SegmentName;
use crate::files::Files;

const CHUNK_BYTES: usize = 1 << 20;

/// What became of a region that was to be kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its copy; none where it alone is larger than the folder may be.
    pub(crate) path: Option<PathBuf>,
    /// Older copies that went to make room for it.
    pub(crate) dropped: Vec<PathBuf>,
}

/// The name of a copy: `<segment>@<offset>`. Segments are numbered as they are made, so names sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CopyName {
    segment: SegmentName,
    offset: u64,
}

impl CopyName {
    fn parse(name: &str) -> Option<Self> {
        let (segment, offset) = name.rsplit_once('@')?;
        Some(Self {
            segment: SegmentName::parse(segment)?,
            offset: offset.parse().ok()?,
        })
    }
}

/// Ending of a damaged checkpoint that was moved here.
pub(crate) const DAMAGED: &str = ".damaged";

/// Returns the folder, created where it is missing.
pub(crate) fn folder(files: &dyn Files, dir: &Path) -> Result<PathBuf, JournalError> {
    let aside = dir.join("aside");
    files.create_dir(&aside).context("create", &aside)?;
    Ok(aside)
}

/// Copies the bytes of a region to `aside/<segment>@<offset>`. Opening again copies it to the same name again.
pub(crate) fn keep(
    files: &dyn Files,
    dir: &Path,
    region: &SkippedRegion,
    bytes_max: u64,
) -> Result<Kept, JournalError> {
    if region.bytes > bytes_max {
        let (segment, offset, bytes) = (region.segment.display(), region.offset, region.bytes);
        tracing::error!(%segment, offset, bytes, bytes_max,
            "a damaged region is larger than aside_bytes_max: it is not copied, only its segment holds it");
        return Ok(Kept::default());
    }
    let aside = folder(files, dir)?;
    let segment = region
        .segment
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let name = format!("{segment}@{}", region.offset);
    let dropped = make_room(files, &aside, &name, bytes_max - region.bytes)?;
    let path = aside.join(name);
    let from = files
        .open(&region.segment)
        .context("open", &region.segment)?;
    let to = files.create(&path).context("create", &path)?;
    let mut copied = 0;
    let mut buffer = vec![0; CHUNK_BYTES.min(usize::try_from(region.bytes).unwrap_or(CHUNK_BYTES))];
    while copied < region.bytes {
        let wanted = buffer
            .len()
            .min(usize::try_from(region.bytes - copied).unwrap_or(buffer.len()));
        let read = from
            .read_at(region.offset + copied, &mut buffer[..wanted])
            .context("read", &region.segment)?;
        if read == 0 {
            break;
        }
        to.append(&buffer[..read]).context("write", &path)?;
        copied += read as u64;
    }
    to.sync_data().context("sync", &path)?;
    files.sync_dir(&aside).context("sync", &aside)?;
    let path = Some(path);
    Ok(Kept { path, dropped })
}

/// Removes the oldest copies until the others but `replaced` take no more than `bytes_max`. What is no copy of ours
/// (a damaged checkpoint, notes of a repair) neither counts nor goes.
fn make_room(
    files: &dyn Files,
    aside: &Path,
    replaced: &str,
    bytes_max: u64,
) -> Result<Vec<PathBuf>, JournalError> {
    let listed = files.list(aside).context("list", aside)?;
    let mut copies: Vec<_> = listed
        .into_iter()
        .filter(|listed| listed.name != replaced)
        .filter_map(|listed| Some((CopyName::parse(&listed.name)?, listed)))
        .collect();
    copies.sort_unstable_by_key(|(name, _)| *name);
    let mut total: u64 = copies.iter().map(|(_, listed)| listed.bytes).sum();
    let mut dropped = Vec::new();
    for (_, listed) in copies {
        if total <= bytes_max {
            break;
        }
        let (path, bytes) = (aside.join(&listed.name), listed.bytes);
        files
            .remove(&path)
            .context("remove to make room in aside", &path)?;
        total -= bytes;
        metrics::counter!("meetnet_journal_aside_dropped_total").increment(1);
        tracing::warn!(path = %path.display(), bytes,
            "dropped the oldest copy of damaged journal bytes: aside_bytes_max is reached");
        dropped.push(path);
    }
    Ok(dropped)
}

/// Removes every copy, a damaged checkpoint too: nobody can say what is in them. Returns how many there were.
pub(crate) fn clear(files: &dyn Files, dir: &Path) -> Result<u64, JournalError> {
    let aside = folder(files, dir)?;
    let mut removed = 0;
    for listed in files.list(&aside).context("list", &aside)? {
        let is_checkpoint = listed.name.strip_suffix(DAMAGED) == Some(CHECKPOINT);
        if is_checkpoint || CopyName::parse(&listed.name).is_some() {
            let path = aside.join(&listed.name);
            files.remove(&path).context("remove", &path)?;
            removed += 1;
        }
    }
    if removed > 0 {
        files.sync_dir(&aside).context("sync", &aside)?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
