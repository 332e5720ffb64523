//! File layout: bytes per row and speed of reading under other settings of the Parquet writer, and our files against
//! those of DuckDB and Polars on the same rows. What came of it stands in docs/decisions/0003-file-layout.md.
//!
//! `cargo bench -p meetnet -p meetnet-benches --bench layout [-- DATA…]`, data as in `rows`; `MEETNET_REAL_DATA` adds
//! recordings; `TRIALS=0` only compares. `KEEP=DIR` leaves the files there.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

mod rows;
mod trials;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use meetnet_benches::figures::{begin, is_wanted, setting};
use meetnet_benches::python::with_modules;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let with_trials = setting("TRIALS", 1)? != 0;
    let temporary = tempfile::tempdir()?;
    let kept = std::env::var_os("KEEP").map(PathBuf::from);
    let root = kept.as_deref().unwrap_or(temporary.path());
    for data in rows::DATA {
        if !is_wanted(data.name) {
            continue;
        }
        let folder = root.join(data.name);
        if !(data.fill)(&folder)? {
            println!("== {}: skipped, MEETNET_REAL_DATA is not set", data.name);
            continue;
        }
        begin(&format!("{}: {}", data.name, data.what));
        if with_trials {
            trials::run(&folder.join(data.dataset))?;
        }
        compare(&folder.join(data.dataset))?;
    }
    Ok(())
}

/// Lets DuckDB and Polars write the same rows.
fn compare(table: &Path) -> Result<()> {
    let Some(python) = with_modules(&["deltalake", "duckdb", "polars"])? else {
        return Ok(());
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/layout/compare.py");
    let status = Command::new(&python)
        .arg(script)
        .arg(table)
        .status()
        .with_context(|| format!("run {}", python.display()))?;
    ensure!(status.success(), "the comparison failed");
    Ok(())
}
