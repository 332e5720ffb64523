//! Which segment was begun last: an empty file `<number>-<first sequence>.begun`, made once the segment is on disk.
//!
//! A segment in the middle that is gone is missed by where the next one begins. The newest would be missed by nothing, nor what
//! was acknowledged by it: a start would go on behind the one before. Where the note is there and no segment of its number or a
//! later one, that has happened.
//!
//! It costs no sync. The note must never be on disk before the segment and its name are, or a power loss would tell of a loss
//! that was none; it comes there with the next sync of the folder, that of the next checkpoint at the latest. A power loss
//! before then can take it, and leave an earlier one, which says nothing wrong. Where it cannot be made, nothing is noticed, and
//! nothing else fails.

use std::io;
use std::path::Path;

use super::aside;
use super::error::{IoContext, JournalError};
use super::recovery::{Scan, SkippedRegion};
use super::segment::{EXTENSION, SegmentName};
use super::stored;
use crate::files::Files;

/// Ending of its name.
const BEGUN: &str = ".begun";

/// Returns the segment that a note is of; none where `name` is no note's.
pub(crate) fn parse(name: &str) -> Option<SegmentName> {
    let segment = name.strip_suffix(BEGUN)?;
    SegmentName::parse(&format!("{segment}{EXTENSION}"))
}

fn file_name(segment: SegmentName) -> String {
    let name = segment.to_string();
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    format!("{stem}{BEGUN}")
}

/// Notes that a segment is on disk, with its name, and forgets the ones before it.
pub(crate) fn note(files: &dyn Files, dir: &Path, segment: SegmentName) {
    let write = || -> io::Result<()> {
        files.create(&dir.join(file_name(segment)))?;
        for listed in files.list(dir)? {
            if parse(&listed.name).is_some_and(|noted| noted.number < segment.number) {
                files.remove(&dir.join(&listed.name))?;
            }
        }
        Ok(())
    };
    if let Err(error) = write() {
        let error: &dyn std::error::Error = &error;
        tracing::debug!(error, "cannot note the newest segment of the journal");
    }
}

/// Returns the segment that was begun last, as far as it is noted.
pub(crate) fn newest(files: &dyn Files, dir: &Path) -> Result<Option<SegmentName>, JournalError> {
    let names = stored::names(files, dir)?;
    Ok(names.iter().filter_map(|name| parse(name)).max())
}

/// Returns the segment that was begun last where it is gone, and reports that; `names` are those of the segments that there are.
pub(crate) fn find_gone(
    files: &dyn Files,
    dir: &Path,
    names: &[SegmentName],
    scan: &mut Scan,
) -> Result<Option<SegmentName>, JournalError> {
    let Some(begun) = newest(files, dir)? else {
        return Ok(None);
    };
    if names.iter().any(|name| name.number >= begun.number) {
        return Ok(None);
    }
    let checkpoint = scan.report.checkpoint.as_ref();
    let trimmed = checkpoint.map(|checkpoint| checkpoint.trimmed_through);
    let region = SkippedRegion {
        segment: dir.join(begun.to_string()),
        offset: 0,
        bytes: 0,
        after: scan.end.sequence.max(trimmed.unwrap_or_default()),
        resumes_at: scan.report.last_sequence.next(),
        last_group: false,
        kept_aside: None,
    };
    scan.report.skipped.push(region);
    Ok(Some(begun))
}

/// Moves the note of a segment that is gone to the copies of damage: the check tells of it until somebody removes it.
pub(crate) fn keep_aside(
    files: &dyn Files,
    dir: &Path,
    gone: SegmentName,
) -> Result<(), JournalError> {
    let name = file_name(gone);
    let aside = aside::folder(files, dir)?;
    let path = dir.join(&name);
    files
        .rename(&path, &aside.join(&name))
        .context("move aside", &path)?;
    files.sync_dir(&aside).context("sync", &aside)
}
