//! The folder `aside/`: copies of what recovery had to skip, for a repair by hand.

use std::path::{Path, PathBuf};

use super::error::{IoContext, JournalError};
use super::recovery::SkippedRegion;
use crate::files::Files;

const CHUNK_BYTES: usize = 1 << 20;

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
) -> Result<PathBuf, JournalError> {
    let aside = folder(files, dir)?;
    let segment = region
        .segment
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let path = aside.join(format!("{segment}@{}", region.offset));
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
    Ok(path)
}
