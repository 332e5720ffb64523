//! Memory of `meetnet serve` over many rows: when it has started, while dashboards ask over 8 connections, and when it has
//! given the last values of every sensor.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use meetnet_benches::city_year::CityYear;
use meetnet_benches::cpu;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{at_most, begin, figure};

use super::dashboards::{hourly, load, ten_highest};

pub(crate) async fn run(rows: u64, time: Duration) -> Result<()> {
    let year = CityYear::of(rows)?;
    begin(&format!("memory of `meetnet serve` over {rows} rows"));
    let daemon = Arc::new(Daemon::serve(&year.folder, "").await?);
    let stored = daemon.sql_number("SELECT count(*) FROM air").await?;
    ensure!(
        stored > rows * 4 / 5,
        "{stored} rows of `air` are not most of {rows}"
    );
    let resident = || cpu::resident_mib(daemon.id());
    figure("with its first answer", resident(), "MiB");
    for (name, statement) in [
        ("hourly means", hourly(&year)),
        ("the ten highest", ten_highest(&year)),
    ] {
        // What is asked is another question each time: nothing is kept for who asked before.
        load(&daemon, time, statement, None).await?;
        figure(&format!("after {name}"), resident(), "MiB");
    }
    let query = [("format", "csv")];
    let latest = daemon
        .ask("api/v1/datasets/air/latest", &query, None)
        .await?;
    let values = latest.error_for_status()?.text().await?.lines().count() - 1;
    ensure!(
        values == 2 * year.sensors as usize,
        "{values} last values of {} sensors",
        year.sensors
    );
    figure("after the last values", resident(), "MiB");
    let greatest = cpu::resident_max_mib(daemon.id());
    at_most("greatest", greatest, "MiB", 300.0);
    Ok(())
}
