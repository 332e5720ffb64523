//! Lakes that are made once and kept below cargo's target folder, since to make them takes longer than to measure. Who
//! writes to one writes to a copy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::python::target_folder;

#[cfg(test)]
mod tests;

/// Returns the folder of the lake `name`; has it made where it is not there yet. Other rows want another name.
///
/// # Errors
/// Where it cannot be made.
pub fn lake(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = lakes().join(name);
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

/// Returns a copy of some tables of a kept lake, which goes when it is dropped: of whole tables, named as their datasets.
/// Its Parquet files are further names of the kept ones, which nobody changes, so it takes next to no time and space.
///
/// # Errors
/// Where it cannot be made.
pub fn copy(lake: &Path, datasets: &[&str]) -> Result<TempDir> {
    // Beside the kept ones: other names of a file are on the same disk.
    let copy = tempfile::Builder::new()
        .prefix("copy-")
        .tempdir_in(lakes())?;
    copy_tables(lake, copy.path(), datasets)?;
    Ok(copy)
}

fn copy_tables(lake: &Path, copy: &Path, datasets: &[&str]) -> Result<()> {
    for dataset in datasets {
        let (from, to) = (lake.join(dataset), copy.join(dataset));
        copy_folder(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&path, &copy)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            fs::hard_link(&path, &copy)?;
        } else {
            fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}

fn lakes() -> PathBuf {
    target_folder().join("bench-lakes")
}
