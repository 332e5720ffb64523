//! From the start of `meetnet serve` to its first answer, with 1,000 files.

use std::time::Instant;

use anyhow::{Result, ensure};
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{Latencies, at_most, begin};
use meetnet_benches::kept;
use meetnet_benches::table::{Table, arriving};

const FILES: u32 = 1_000;
const STATIONS: u32 = 10;
const TIMES: usize = 5;

pub(crate) async fn run() -> Result<()> {
    let folder = kept::lake("files-1", |folder| {
        let mut table = Table::open(folder, &["heat"], |limits| limits.compaction = false)?;
        for minute in 0..FILES {
            let rows = table.heat(arriving(STATIONS, minute..minute + 1), 0.0)?;
            table.apply(&rows)?;
            table.commit()?;
        }
        let files = table.snapshot("heat")?.files.len();
        ensure!(files == FILES as usize, "{files} files");
        Ok(())
    })?;
    begin(&format!("start with {FILES} files"));
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        let daemon = Daemon::serve(&folder, "").await?;
        let sensors = daemon
            .sql_number(
                "SELECT count(DISTINCT sensor_id) FROM heat WHERE time >= '2026-01-01 12:00:00'",
            )
            .await?;
        times.push(began.elapsed());
        ensure!(sensors == u64::from(STATIONS), "{sensors} sensors");
    }
    let times = Latencies::new(times);
    times.print("start to first answer");
    at_most("median", times.p50_ms(), "ms", 500.0);
    Ok(())
}
