//! Two questions of dashboards over 8 connections: one sensor's hourly means, and the ten highest of 65,000 rows. Asked
//! for the first time, again, again with the tag of what is known; then 500 known ones a second.
//!
//! The aims are ROAPI's figures on the same rows and two cores, which is in no registry: 27 and 150 requests/s.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meetnet_benches::city_year::CityYear;
use meetnet_benches::cpu;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{Latencies, at_least, at_most, begin};
use meetnet_benches::table::mix;
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue};
use tokio::task::JoinSet;

const CONNECTIONS: u64 = 8;
const ROAPI_HOURLY: f64 = 27.0;
const ROAPI_TOP: f64 = 150.0;
/// Rows that the ten highest are found in.
const TOP_ROWS: u64 = 65_000;
const PACED: f64 = 500.0;
/// Known answers that the paced load asks for in turns.
const KNOWN: u64 = 20;

/// A question; the number makes it another one.
pub(crate) type Statement = Arc<dyn Fn(u64) -> String + Send + Sync>;

pub(crate) async fn run(rows: u64, time: Duration) -> Result<()> {
    let year = CityYear::of(rows)?;
    begin(&format!("dashboards over {rows} rows"));
    let daemon = Arc::new(Daemon::serve(&year.folder, "").await?);
    let hourly = hourly(&year);
    for (name, statement, reference) in [
        ("hourly means", Arc::clone(&hourly), ROAPI_HOURLY),
        ("ten highest", ten_highest(&year), ROAPI_TOP),
    ] {
        let first = load(&daemon, time, Arc::clone(&statement), None).await?;
        at_least(&format!("{name}, first time"), first, "/s", 2.0 * reference);
        let same: Statement = Arc::new(move |_| statement(0));
        let again = load(&daemon, time, Arc::clone(&same), None).await?;
        at_least(&format!("{name}, again"), again, "/s", 50.0 * reference);
        let tag = tag(&daemon, &same(0)).await?;
        let known = load(&daemon, time, same, Some(tag)).await?;
        at_least(&format!("{name}, known"), known, "/s", 50.0 * reference);
    }
    let paced = paced(&daemon, time, hourly).await?;
    paced.print("500 a second");
    at_most("p99 at 500 a second", paced.p99_ms(), "ms", 10.0);
    let memory = cpu::resident_max_mib(daemon.id());
    at_most("memory, greatest", memory, "MiB", 300.0);
    Ok(())
}

pub(crate) fn hourly(year: &CityYear) -> Statement {
    let sensors = u64::from(year.sensors);
    Arc::new(move |number| {
        let sensor = CityYear::sensor_id((mix(number) % sensors) as u32);
        format!(
            "SELECT date_trunc('hour', time) AS hour, avg(value) AS mean FROM air WHERE sensor_id = '{sensor}' \
             AND property = 'pm10' GROUP BY 1 ORDER BY 1 -- {number}"
        )
    })
}

pub(crate) fn ten_highest(year: &CityYear) -> Statement {
    let hours = (TOP_ROWS / (u64::from(year.sensors) * 12)).max(1);
    Arc::new(move |number| {
        let day = 1 + mix(number) % 20;
        let month = 1 + mix(!number) % 12;
        format!(
            "SELECT sensor_id, max(value) AS highest FROM air WHERE property IN ('pm10', 'pm2_5') \
             AND time >= TIMESTAMP '2025-{month:02}-{day:02}T00:00:00Z' \
             AND time < TIMESTAMP '2025-{month:02}-{day:02}T00:00:00Z' + INTERVAL '{hours} hours' \
             GROUP BY sensor_id ORDER BY highest DESC, sensor_id LIMIT 10 -- {number}"
        )
    })
}

/// Asks; returns whether the answer was there, read to its end.
async fn ask(daemon: &Daemon, statement: &str, tag: Option<&HeaderValue>) -> Result<()> {
    let query = [("q", statement), ("format", "json")];
    let answer = daemon.ask("api/v1/sql", &query, tag).await?;
    let expected = match tag {
        None => StatusCode::OK,
        Some(_) => StatusCode::NOT_MODIFIED,
    };
    let status = answer.status();
    let body = answer.text().await?;
    ensure!(status == expected, "{status}: {statement}: {body}");
    Ok(())
}

/// Returns the tag of the answer to a statement.
async fn tag(daemon: &Daemon, statement: &str) -> Result<HeaderValue> {
    let query = [("q", statement), ("format", "json")];
    let answer = daemon.ask("api/v1/sql", &query, None).await?;
    let tag = answer.headers().get(ETAG).cloned();
    answer.bytes().await?;
    tag.context("an answer without an ETag")
}

/// Asks over all connections for some time; returns the answers per second.
pub(crate) async fn load(
    daemon: &Arc<Daemon>,
    time: Duration,
    statement: Statement,
    tag: Option<HeaderValue>,
) -> Result<f64> {
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (daemon, statement, next) = (
            Arc::clone(daemon),
            Arc::clone(&statement),
            Arc::clone(&next),
        );
        let tag = tag.clone();
        connections.spawn(async move {
            let mut answers = 0_u64;
            while began.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                ask(&daemon, &statement(number), tag.as_ref()).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(connection) = connections.join_next().await {
        answers += connection??;
    }
    Ok(answers as f64 / began.elapsed().as_secs_f64())
}

/// Asks known questions at a steady pace, whether or not the ones before are answered; times are from when each was due.
async fn paced(daemon: &Arc<Daemon>, time: Duration, statement: Statement) -> Result<Latencies> {
    for number in 0..KNOWN {
        ask(daemon, &statement(number), None).await?;
    }
    let start = tokio::time::Instant::now();
    let mut asked = JoinSet::new();
    for number in 0..(time.as_secs_f64() * PACED) as u64 {
        let due = start + Duration::from_secs_f64(number as f64 / PACED);
        tokio::time::sleep_until(due).await;
        let (daemon, statement) = (Arc::clone(daemon), statement(number % KNOWN));
        asked.spawn(async move {
            ask(&daemon, &statement, None).await?;
            anyhow::Ok(due.elapsed())
        });
    }
    let mut times = Vec::new();
    while let Some(answered) = asked.join_next().await {
        times.push(answered??);
    }
    Ok(Latencies::new(times))
}
