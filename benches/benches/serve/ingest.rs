//! Acknowledgements of 20,000 lines a second, in pushes of 100 lines, each acknowledged after its sync: alone, and beside
//! eight queries that never stop.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use meetnet_benches::daemon::{Daemon, free_port};
use meetnet_benches::figures::{Latencies, at_most, begin, figure};
use meetnet_benches::{line_protocol_toml, now_ms};
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

const LINES_PER_SECOND: f64 = 20_000.0;
const LINES: u64 = 100;
const STATIONS: u64 = 500;
const QUERIES: u64 = 8;
/// Half a million rows, each with 1,440 others.
const HEAVY: &str = "SELECT count(*) FROM time_grid(INTERVAL '1 minute', '2025-01-01T00:00:00Z', '2025-12-31T00:00:00Z') AS a \
     JOIN time_grid(INTERVAL '1 minute', '2025-01-01T00:00:00Z', '2025-12-31T00:00:00Z') AS b \
     ON date_trunc('day', a.time) = date_trunc('day', b.time) WHERE a.time <> b.time";

pub(crate) async fn run(time: Duration) -> Result<()> {
    begin("acknowledgements beside queries");
    let port = free_port()?;
    let daemon = Daemon::start("run", "", &line_protocol_toml(port)).await?;
    let daemon = Arc::new(daemon);
    let pushes = Arc::new(Pushes {
        client: Client::new(),
        url: format!("http://127.0.0.1:{port}/write?db=bench&precision=ms"),
        first_ms: now_ms() - 86_400_000,
        next: AtomicU64::new(0),
    });
    pushes.offer(Duration::from_secs(2)).await?;
    let alone = pushes.offer(time).await?;
    alone.print("acknowledged, alone");

    let stop = Arc::new(AtomicBool::new(false));
    let mut queries = JoinSet::new();
    for number in 0..QUERIES {
        let (daemon, stop) = (Arc::clone(&daemon), Arc::clone(&stop));
        queries.spawn(async move {
            let mut round = number;
            while !stop.load(Ordering::Relaxed) {
                let statement = format!("{HEAVY} -- {round}");
                let question = [("q", statement.as_str()), ("format", "csv")];
                // Whether it ends by itself or at its time limit, it has kept a core busy.
                let _ = daemon.ask("api/v1/sql", &question, None).await;
                round += QUERIES;
            }
        });
    }
    // Until all of them run.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = pushes.offer(time).await?;
    stop.store(true, Ordering::Relaxed);
    queries.abort_all();
    beside.print("acknowledged, beside eight queries");
    figure("ratio of p50", beside.p50_ms() / alone.p50_ms(), "x");
    at_most("ratio of p99", beside.p99_ms() / alone.p99_ms(), "x", 2.0);
    Ok(())
}

/// Who pushes.
struct Pushes {
    client: Client,
    url: String,
    first_ms: u64,
    next: AtomicU64,
}

impl Pushes {
    /// Pushes at a steady pace for some time, whether or not the ones before are acknowledged; times are from when each
    /// was due.
    async fn offer(self: &Arc<Self>, time: Duration) -> Result<Latencies> {
        let per_second = LINES_PER_SECOND / LINES as f64;
        let start = Instant::now();
        let mut pushed = JoinSet::new();
        for number in 0..(time.as_secs_f64() * per_second) as u64 {
            let due = start + Duration::from_secs_f64(number as f64 / per_second);
            sleep_until(due).await;
            let pushes = Arc::clone(self);
            pushed.spawn(async move {
                pushes.push().await?;
                anyhow::Ok(due.elapsed())
            });
        }
        let mut times = Vec::new();
        while let Some(acknowledged) = pushed.join_next().await {
            times.push(acknowledged??);
        }
        Ok(Latencies::new(times))
    }

    async fn push(&self) -> Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut body = String::with_capacity(LINES as usize * 56);
        for line in number * LINES..(number + 1) * LINES {
            let (station, round) = (line % STATIONS, line / STATIONS);
            let time = self.first_ms + round * 100;
            // Writing to a string cannot fail.
            let _ = writeln!(
                body,
                "weather,station=s{station:03} temp={}.5 {time}",
                round % 30
            );
        }
        let answer = self.client.post(&self.url).body(body).send().await?;
        let status = answer.status();
        ensure!(status == StatusCode::NO_CONTENT, "{status}");
        Ok(())
    }
}
