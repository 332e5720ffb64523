//! `compaction`: the runs of a trickle become one. `RUNS` (60) runs of `RUN_ROWS` (50,000) rows, in which every station
//! has the next minutes, so that every merged row comes from another run than the one before some minutes later.

use anyhow::{Result, ensure};
use meetnet_benches::figures::{at_least, begin, figure, rate, setting};
use meetnet_benches::table::{Table, arriving};
use std::time::Duration;

const STATIONS: u32 = 1_000;

pub(crate) fn run() -> Result<()> {
    let runs: u32 = setting("RUNS", 60)?;
    let run_rows: u32 = setting("RUN_ROWS", 50_000)?;
    begin(&format!("compaction of {runs} runs of {run_rows} rows"));
    let folder = tempfile::tempdir()?;
    let mut table = Table::open(folder.path(), &["heat"], |limits| limits.compaction = false)?;
    let minutes = (run_rows / STATIONS / 2).max(1);
    let (mut rows, mut committing) = (0, Duration::ZERO);
    for run in 0..runs {
        let first = run * minutes;
        let batch = table.heat(arriving(STATIONS, first..first + minutes), 0.0)?;
        rows += table.apply(&batch)?.inserted;
        committing += table.commit()?;
    }
    let before = table.snapshot("heat")?;
    let took = table.compact()?;
    let after = table.snapshot("heat")?;
    ensure!(
        before.files.len() == runs as usize,
        "{} files",
        before.files.len()
    );
    let count = |files: &[_]| -> u64 {
        files
            .iter()
            .map(|file: &std::sync::Arc<meetnet_lake::snapshot::LiveFile>| file.rows)
            .sum()
    };
    ensure!(count(&after.files) == rows, "rows were lost");
    let bytes: u64 = after.files.iter().map(|file| file.bytes).sum();
    let written = rate(rows, committing);
    let merged = rate(rows, took);
    figure(
        "written by the commits: sorted, encoded, synced",
        written,
        "rows/s",
    );
    at_least("merged", merged, "rows/s", 1_000_000.0);
    figure(
        "ratio of merging to committing: time per row",
        written / merged,
        "x",
    );
    figure("files", after.files.len() as f64, "");
    figure("bytes per row", bytes as f64 / rows as f64, "");
    Ok(())
}
