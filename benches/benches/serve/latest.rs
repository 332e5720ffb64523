//! The last values of 10,000 sensors, in one answer: of a lake that nobody writes to, and while messages arrive.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::bare_broker::BareBroker;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{Latencies, at_most, begin, figure, ms};
use meetnet_benches::table::Table;
use meetnet_benches::{DEVICES, kept, message, now_ms, source_toml};

const STATIONS: u32 = 10_000;
const MINUTES: u32 = 30;
const TIMES: usize = 100;
/// Messages that arrive, of devices that are not among the stations.
const PER_SECOND: f64 = 1_000.0;

pub(crate) async fn run(time: Duration) -> Result<()> {
    let folder = kept::lake("stations-1", |folder| {
        let mut table = Table::open(folder, &["heat"], |limits| limits.compaction = false)?;
        table.fill(STATIONS, MINUTES)?;
        table.compact()?;
        Ok(())
    })?;
    begin(&format!("last values of {STATIONS} sensors"));
    let daemon = Daemon::serve(&folder, "").await?;
    let (first, rows) = ask(&daemon).await?;
    ensure!(rows == STATIONS as usize, "{rows} rows");
    figure("the first time", ms(first), "ms");
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let (took, rows) = ask(&daemon).await?;
        ensure!(rows == STATIONS as usize, "{rows} rows");
        times.push(took);
    }
    let times = Latencies::new(times);
    times.print("then");
    at_most("p99", times.p99_ms(), "ms", 20.0);
    drop(daemon);
    arriving(&folder, time).await
}

/// What is asked again is another answer each time.
async fn arriving(lake: &Path, time: Duration) -> Result<()> {
    begin(&format!("the same while {PER_SECOND} messages/s arrive"));
    let copy = kept::copy(lake, &["heat"])?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let coming = tokio::task::spawn_blocking(move || BareBroker::accept(&listener));
    let daemon = Daemon::over("run", copy.path(), &source_toml(port)).await?;
    let broker = coming.await??;
    let start_ms = now_ms() - 3_600_000;
    let offering = {
        let broker = Arc::clone(&broker);
        tokio::task::spawn_blocking(move || {
            broker.offer(0, PER_SECOND, time, |number| message(number, start_ms))
        })
    };
    let mut times = Vec::new();
    while !offering.is_finished() {
        let (took, rows) = ask(&daemon).await?;
        // Not before every device has been heard of.
        if rows == STATIONS as usize + DEVICES as usize {
            times.push(took);
        }
        // As pages that show them ask.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    offering.await??;
    ensure!(
        !times.is_empty(),
        "no answer had all of {STATIONS} stations and {DEVICES} devices"
    );
    let times = Latencies::new(times);
    times.print("while messages arrive");
    at_most("p99", times.p99_ms(), "ms", 20.0);
    Ok(())
}

/// Returns how long an answer took, and its rows.
async fn ask(daemon: &Daemon) -> Result<(Duration, usize)> {
    let query = [
        ("property", "air_temperature"),
        ("fields", "sensor_id,time,value"),
        ("format", "csv"),
    ];
    let began = Instant::now();
    let answer = daemon
        .ask("api/v1/datasets/heat/latest", &query, None)
        .await?;
    let text = answer.error_for_status()?.text().await?;
    Ok((began.elapsed(), text.lines().count() - 1))
}
