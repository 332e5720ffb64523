//! The last values of 10,000 sensors, in one answer.

use std::time::Instant;

use anyhow::{Result, ensure};
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{Latencies, at_most, begin, figure, ms};
use meetnet_benches::kept;
use meetnet_benches::table::Table;

const STATIONS: u32 = 10_000;
const MINUTES: u32 = 30;
const TIMES: usize = 100;

pub(crate) async fn run() -> Result<()> {
    let folder = kept::lake("stations-1", |folder| {
        let mut table = Table::open(folder, &["heat"], |limits| limits.compaction = false)?;
        table.fill(STATIONS, MINUTES)?;
        table.compact()?;
        Ok(())
    })?;
    begin(&format!("last values of {STATIONS} sensors"));
    let daemon = Daemon::serve(&folder, "").await?;
    let mut times = Vec::new();
    for _ in 0..=TIMES {
        let began = Instant::now();
        let query = [
            ("property", "air_temperature"),
            ("fields", "sensor_id,time,value"),
            ("format", "csv"),
        ];
        let answer = daemon
            .ask("api/v1/datasets/heat/latest", &query, None)
            .await?;
        let text = answer.error_for_status()?.text().await?;
        times.push(began.elapsed());
        let rows = text.lines().count() - 1;
        ensure!(rows == STATIONS as usize, "{rows} rows");
    }
    figure("the first time", ms(times.remove(0)), "ms");
    let times = Latencies::new(times);
    times.print("then");
    at_most("p99", times.p99_ms(), "ms", 20.0);
    Ok(())
}
