//! `commits`: what a commit costs as the table gets older. `COMMITS` (1,000; 10,000 for what is promised) commits of
//! 200 rows, with merging in the background; then opening the table. `commits-unmerged` is the same without merging.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::disk;
use meetnet_benches::figures::{Latencies, at_most, begin, figure, ms, setting};
use meetnet_benches::table::{Table, arriving};
use meetnet_lake::lake::LakeReader;
use meetnet_lake::storage::FolderStorage;
use std::sync::Arc;

const STATIONS: u32 = 100;
/// Commits that are taken together: a single one says little about a disk.
const WINDOW: usize = 50;
/// The first window begins with this commit.
const FIRST: usize = 10;

pub(crate) fn run() -> Result<()> {
    trickle(true)
}

pub(crate) fn run_unmerged() -> Result<()> {
    trickle(false)
}

fn trickle(compaction: bool) -> Result<()> {
    let commits: usize = setting("COMMITS", 1_000)?;
    ensure!(
        commits >= FIRST + 2 * WINDOW,
        "COMMITS={commits} are too few"
    );
    let merging = if compaction { "with" } else { "without" };
    begin(&format!("{commits} commits of 200 rows, {merging} merging"));
    let folder = tempfile::tempdir()?;
    let bare = Latencies::new(disk::syncs(folder.path(), 4_096, Duration::from_secs(3))?);
    bare.print("the bare disk: write and fdatasync");
    let mut table = Table::open(folder.path(), &["heat"], |limits| {
        limits.compaction = compaction
    })?;
    let mut took = Vec::with_capacity(commits);
    let mut applied = Vec::with_capacity(commits);
    let mut files_max = 0;
    for minute in 0..commits as u32 {
        let batch = table.heat(arriving(STATIONS, minute..minute + 1), 0.0)?;
        let began = Instant::now();
        table.apply(&batch)?;
        applied.push(began.elapsed());
        took.push(table.commit()?);
        files_max = files_max.max(table.snapshot("heat")?.files.len());
    }
    let window =
        |times: &[Duration], from: usize| Latencies::new(times[from..from + WINDOW].to_vec());
    let mut from = FIRST;
    while from + WINDOW < commits {
        window(&took, from).print(&format!("commits {from} to {}", from + WINDOW));
        from *= 10;
    }
    let last = commits - WINDOW;
    let (early, late) = (window(&took, FIRST), window(&took, last));
    late.print(&format!("commits {last} to {commits}"));
    at_most(
        "ratio of p50, last to first",
        late.p50_ms() / early.p50_ms(),
        "x",
        1.5,
    );
    // The mean takes in the checkpoint of the log that every hundredth commit writes.
    let hundred = |from: usize| Latencies::new(took[from..from + 100.min(commits - from)].to_vec());
    let ratio = hundred(commits - 100).mean_ms() / hundred(FIRST).mean_ms();
    at_most("ratio of the mean of 100, last to first", ratio, "x", 1.5);
    let ratio = window(&applied, last).p50_ms() / window(&applied, FIRST).p50_ms();
    at_most("upsert check of 200 rows: ratio of p50", ratio, "x", 1.5);
    figure(
        "commit to bare sync: ratio of p50",
        late.p50_ms() / bare.p50_ms(),
        "x",
    );
    let compacted = table.lake.compacted();
    let rows = (commits * STATIONS as usize * 2) as f64;
    figure("most files at a time", files_max as f64, "");
    figure(
        "rows written again by merging, per row",
        compacted.rows as f64 / rows,
        "",
    );
    drop(table);

    let began = Instant::now();
    let mut table = Table::open(folder.path(), &["heat"], |limits| limits.compaction = false)?;
    let opened = began.elapsed();
    let files = table.snapshot("heat")?.files.len();
    figure(&format!("opened with {files} files"), ms(opened), "ms");
    drop(table);
    let began = Instant::now();
    LakeReader::open(Arc::new(FolderStorage::new(folder.path())))?;
    figure("opened to read", ms(began.elapsed()), "ms");
    Ok(())
}
