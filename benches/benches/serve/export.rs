//! All rows of `air` as CSV and as Arrow, streamed.

use std::time::Instant;

use anyhow::{Result, ensure};
use meetnet_benches::city_year::CityYear;
use meetnet_benches::cpu;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{at_least, at_most, begin, rate};

const STATEMENT: &str = "SELECT sensor_id, property, time, value, quality FROM air";

pub(crate) async fn run(rows: u64) -> Result<()> {
    let year = CityYear::of(rows)?;
    begin(&format!("export of {rows} rows"));
    let query = "[query]\nrow_limit = 1000000000\nquery_time_max = \"10m\"\n";
    let daemon = Daemon::serve(&year.folder, query).await?;
    let stored = daemon.sql_number("SELECT count(*) FROM air").await?;
    for (format, aim) in [("csv", 1e6), ("arrow", 3e6)] {
        let began = Instant::now();
        let question = [("q", STATEMENT), ("format", format)];
        let answer = daemon.ask("api/v1/sql", &question, None).await?;
        let mut answer = answer.error_for_status()?;
        let mut bytes = 0_u64;
        while let Some(chunk) = answer.chunk().await? {
            bytes += chunk.len() as u64;
        }
        let took = began.elapsed();
        ensure!(bytes > stored * 20, "{bytes} bytes for {stored} rows");
        at_least(format, rate(stored, took), "rows/s", aim);
        let memory = cpu::resident_max_mib(daemon.id());
        at_most("memory, greatest", memory, "MiB", 300.0);
    }
    Ok(())
}
