//! The reserve: a file of zeros that gives its space back when the disk is full, so that commit, checkpoint and trim
//! can still be done and make room.

use std::io;
use std::path::Path;

use crate::files::Files;

const RESERVE: &str = "reserve";
const CHUNK_BYTES: u64 = 1 << 20;

/// Fills the reserve up to `bytes`; 0 removes it.
pub(crate) fn restore(files: &dyn Files, dir: &Path, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return release(files, dir).map(|_| ());
    }
    let path = dir.join(RESERVE);
    if let Ok(handle) = files.open(&path)
        && handle.bytes()? == bytes
    {
        return Ok(());
    }
    let handle = files.create(&path)?;
    // Written, not only made longer: a hole takes no space.
    let zeros = vec![0; usize::try_from(bytes.min(CHUNK_BYTES)).map_err(io::Error::other)?];
    let fill = || {
        let mut left = bytes;
        while left > 0 {
            let chunk = left.min(CHUNK_BYTES) as usize;
            handle.append(&zeros[..chunk])?;
            left -= chunk as u64;
        }
        handle.sync_data()?;
        files.sync_dir(dir)
    };
    fill().inspect_err(|_| {
        // Half a reserve on a full disk is space that somebody else needs.
        let _ = files.remove(&path);
    })
}

/// Removes the reserve. Returns whether there was one.
pub(crate) fn release(files: &dyn Files, dir: &Path) -> io::Result<bool> {
    match files.remove(&dir.join(RESERVE)) {
        Ok(()) => files.sync_dir(dir).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
