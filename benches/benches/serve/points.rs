//! An hour of one sensor in few rows and in many: what it costs must not grow with what is stored.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::city_year::CityYear;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{Latencies, at_most, begin};

const ROWS_SMALL: u64 = 1_000_000;
const TIMES: u32 = 200;

pub(crate) async fn run(rows: u64) -> Result<()> {
    let (small, large) = (CityYear::of(ROWS_SMALL)?, CityYear::of(rows)?);
    begin(&format!(
        "an hour of one sensor in {ROWS_SMALL} and {rows} rows"
    ));
    let served = [
        (Daemon::serve(&small.folder, "").await?, small.sensors),
        (Daemon::serve(&large.folder, "").await?, large.sensors),
    ];
    let mut times = [Vec::new(), Vec::new()];
    let mut found = [0, 0];
    // In turns: what slows the machine down slows both.
    for number in 0..TIMES {
        for (position, (daemon, sensors)) in served.iter().enumerate() {
            let (took, rows) = ask(daemon, *sensors, number).await?;
            times[position].push(took);
            found[position] += rows;
        }
    }
    // Twelve readings in an hour, but where a sensor was silent.
    let found_min = 11 * TIMES as usize;
    ensure!(
        found.iter().all(|rows| *rows > found_min),
        "{found:?} rows were found: too few for {TIMES} hours"
    );
    let times = times.map(Latencies::new);
    times[0].print(&format!("{ROWS_SMALL} rows"));
    times[1].print(&format!("{rows} rows"));
    let ratio = times[1].p50_ms() / times[0].p50_ms();
    at_most("ratio of p50, many to few", ratio, "x", 1.5);
    Ok(())
}

/// Asks what nobody has asked; returns how long it took, and how many rows came.
async fn ask(daemon: &Daemon, sensors: u32, number: u32) -> Result<(Duration, usize)> {
    let sensor = CityYear::sensor_id(number % sensors);
    let (month, day, hour) = (1 + number % 12, 1 + number % 28, number % 23);
    let statement = format!(
        "SELECT property, time, value FROM air WHERE sensor_id = '{sensor}' \
         AND time >= '2025-{month:02}-{day:02} {hour:02}:00:00' AND time < '2025-{month:02}-{day:02} {:02}:00:00' \
         ORDER BY property, time -- {number}",
        hour + 1
    );
    let began = Instant::now();
    let question = [("q", statement.as_str()), ("format", "csv")];
    let answer = daemon.ask("api/v1/sql", &question, None).await?;
    let text = answer.error_for_status()?.text().await?;
    Ok((began.elapsed(), text.lines().count() - 1))
}
