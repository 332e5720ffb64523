//! Where the program under test lies.

use std::io;
use std::path::{Path, PathBuf};

/// Returns the `meetnet` binary: `MEETNET_BIN`, else the one that was built beside the running test or bench.
///
/// # Errors
/// Where it is not built.
pub fn meetnet_binary() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("MEETNET_BIN") {
        return Ok(path.into());
    }
    // <target folder>/<profile>/deps/<test>
    let running = std::env::current_exe()?;
    let folder = running.parent().and_then(Path::parent);
    let path = folder.unwrap_or(Path::new("")).join("meetnet");
    if path.exists() {
        return Ok(path);
    }
    let message = format!("{} is not built: cargo build --release", path.display());
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}
