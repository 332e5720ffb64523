//! `revision`: one value of a large partition is replaced. `ROWS` (5,000,000; 50,000,000 for what is promised) rows of
//! one month, merged into full files; then `REVISIONS` (20) times one row and a commit.

use std::time::Instant;

use anyhow::{Result, ensure};
use meetnet_benches::disk;
use meetnet_benches::figures::{Latencies, at_most, begin, figure, ms, rate, setting};
use meetnet_benches::table::{Place, Table, mix};

/// Minutes in the month that the partition is.
const MINUTES: u32 = 31 * 1_440;

pub(crate) fn run() -> Result<()> {
    let wanted: u64 = setting("ROWS", 5_000_000)?;
    let revisions: u64 = setting("REVISIONS", 20)?;
    let stations = (wanted / u64::from(2 * MINUTES)).max(1) as u32;
    begin(&format!("one revised value among {wanted} rows"));
    let folder = tempfile::tempdir()?;
    let mut table = Table::open(folder.path(), &["heat"], |limits| limits.compaction = false)?;
    let began = Instant::now();
    let rows = table.fill(stations, MINUTES)?;
    figure(
        "filled: applied and committed",
        rate(rows, began.elapsed()),
        "rows/s",
    );
    figure("merged", rate(rows, table.compact()?), "rows/s");
    let snapshot = table.snapshot("heat")?;
    let largest = snapshot
        .files
        .iter()
        .map(|file| file.bytes)
        .max()
        .unwrap_or(0);
    figure("rows", rows as f64, "");
    figure("files", snapshot.files.len() as f64, "");
    figure("largest file", largest as f64 / f64::from(1 << 20), "MiB");

    let (mut applied, mut committed) = (Vec::new(), Vec::new());
    for number in 0..revisions {
        let place = Place {
            station: (mix(number) % u64::from(stations)) as u32,
            property: (mix(number) >> 40) as usize % 2,
            minute: (mix(number + 1_000_000) % u64::from(MINUTES)) as u32,
        };
        let row = table.heat([place], 0.7)?;
        let began = Instant::now();
        let counts = table.apply(&row)?;
        applied.push(began.elapsed());
        ensure!(counts.revised == 1, "not a revision: {counts:?}");
        committed.push(table.commit()?);
    }
    let (applied, committed) = (Latencies::new(applied), Latencies::new(committed));
    applied.print("upsert check of one row");
    committed.print("commit of one revised row");
    at_most("commit, p50", committed.p50_ms(), "ms", 500.0);
    at_most("commit, longest", committed.max_ms(), "ms", 500.0);
    let bare = ms(disk::stream(folder.path(), largest, largest as usize)?);
    figure(
        "the bare disk: the largest file's bytes, synced",
        bare,
        "ms",
    );
    figure("ratio to the bare disk", committed.p50_ms() / bare, "x");
    Ok(())
}
