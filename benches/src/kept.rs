//! Lakes that are made once and kept below cargo's target folder, since to make them takes longer than to measure.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::python::target_folder;

/// Returns the folder of the lake `name`; has it made where it is not there yet. Other rows want another name.
///
/// # Errors
/// Where it cannot be made.
pub fn lake(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = target_folder().join("bench-lakes").join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    println!("   making {} once", folder.display());
    let unfinished = folder.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    make(&unfinished).with_context(|| format!("making {}", folder.display()))?;
    fs::rename(&unfinished, &folder)?;
    Ok(folder)
}
