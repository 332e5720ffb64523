//! Acknowledgements of 20,000 MQTT messages a second, each after its sync: alone, and beside eight heavy queries that never
//! stop, in one `meetnet run` over the rows of the bench `queries`. Where it may, what publishes comes before what is measured,
//! and what reads the answers after it: neither shares the processors with it elsewhere.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use meetnet_benches::bare_broker::BareBroker;
use meetnet_benches::city_year::CityYear;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{Latencies, at_least, at_most, begin, figure, rate};
use meetnet_benches::{message, now_ms, source_toml, turns};
use tokio::runtime::{self, Handle};
use tokio::task::JoinSet;

const PER_SECOND: f64 = 20_000.0;
const QUERIES: usize = 8;
/// They sort, group and join most of the rows.
const HEAVY: [&str; 4] = [
    "SELECT sensor_id, percentile_cont(0.95) WITHIN GROUP (ORDER BY value) AS p95 FROM air \
     WHERE property = 'pm2_5' GROUP BY sensor_id",
    "SELECT sensor_id, property, date_trunc('day', time) AS day, avg(value) AS mean, max(value) AS highest FROM air \
     GROUP BY 1, 2, 3",
    "SELECT date_trunc('day', time) AS day, count(DISTINCT sensor_id) AS sensors FROM air GROUP BY 1",
    "SELECT counted.hour, car, pm10 FROM ( \
     SELECT date_trunc('hour', time) AS hour, sum(car) AS car FROM traffic GROUP BY 1) AS counted \
     JOIN (SELECT date_trunc('hour', time) AS hour, avg(value) AS pm10 FROM air GROUP BY 1) AS measured \
     ON measured.hour = counted.hour",
];

pub(crate) async fn run(rows: u64, time: Duration) -> Result<()> {
    let year = CityYear::of(rows)?;
    begin(&format!("acknowledgements beside queries of {rows} rows"));
    let copy = year.copy()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let coming = tokio::task::spawn_blocking(move || BareBroker::accept(&listener));
    // All of them run, though one client asks.
    let query = format!("[query]\nclient_running_max = {QUERIES}\n");
    let sections = format!("{query}{}", source_toml(port));
    let daemon = Arc::new(Daemon::over("run", copy.path(), &sections).await?);
    let mut load = Load {
        broker: coming.await??,
        start_ms: now_ms() - 3_600_000,
        sent: 0,
    };
    load.offer(Duration::from_secs(2)).await?;

    // Before and after, since disks have moods.
    let mut alone = load.offer(time / 2).await?;
    let answered = Arc::new(AtomicU64::new(0));
    let clients = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(|| {
            turns::give_way();
        })
        .enable_all()
        .build()?;
    let mut queries = ask(clients.handle(), &daemon, &answered);
    // Until all of them run.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (began, first) = (Instant::now(), answered.load(Ordering::Relaxed));
    let beside = load.offer(time).await?;
    let took = began.elapsed();
    let answers = answered.load(Ordering::Relaxed) - first;
    if let Some(ended) = queries.try_join_next() {
        ended??;
        bail!("a query was not asked again");
    }
    queries.shutdown().await;
    // It must not wait for its threads here.
    clients.shutdown_background();
    ensure!(answers > 0, "no query was answered meanwhile");
    alone.extend(load.offer(time / 2).await?);
    load.check(&daemon).await?;

    let acknowledged = rate(beside.len() as u64, took);
    let (alone, beside) = (Latencies::new(alone), Latencies::new(beside));
    alone.print("acknowledged, alone");
    beside.print("acknowledged, beside eight queries");
    figure("queries answered", rate(answers, took), "per s");
    at_least("messages", acknowledged, "per s", 0.99 * PER_SECOND);
    figure("ratio of p50", beside.p50_ms() / alone.p50_ms(), "x");
    at_most("ratio of p99", beside.p99_ms() / alone.p99_ms(), "x", 2.0);
    Ok(())
}

/// Asks queries that have not been asked before, as many as [`QUERIES`] at a time, until the tasks are ended; each ends by
/// itself only where a query fails.
fn ask(clients: &Handle, daemon: &Arc<Daemon>, answered: &Arc<AtomicU64>) -> JoinSet<Result<()>> {
    let mut queries = JoinSet::new();
    for first in 0..QUERIES {
        let (daemon, answered) = (Arc::clone(daemon), Arc::clone(answered));
        let asking = async move {
            for number in (first..).step_by(QUERIES) {
                let heavy = HEAVY[(number + number / QUERIES) % HEAVY.len()];
                let statement = format!("{heavy} -- {number}");
                let question = [("q", statement.as_str()), ("format", "csv")];
                let mut answer = daemon.ask("api/v1/sql", &question, None).await?;
                let status = answer.status();
                if !status.is_success() {
                    bail!("{status}: {statement}: {}", answer.text().await?);
                }
                while answer.chunk().await?.is_some() {}
                answered.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        };
        queries.spawn_on(asking, clients);
    }
    queries
}

/// Messages on their way to the daemon.
struct Load {
    broker: Arc<BareBroker>,
    start_ms: u64,
    sent: u64,
}

impl Load {
    /// Publishes at a steady pace; returns how long after it was due each message was acknowledged.
    async fn offer(&mut self, time: Duration) -> Result<Vec<Duration>> {
        let (broker, first, start_ms) = (Arc::clone(&self.broker), self.sent, self.start_ms);
        let offering = tokio::task::spawn_blocking(move || {
            broker.offer(first, PER_SECOND, time, |number| message(number, start_ms))
        });
        let took = offering.await??;
        self.sent += took.len() as u64;
        Ok(took)
    }

    /// Makes sure that everything that was acknowledged is answered.
    async fn check(&self, daemon: &Daemon) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        // Two rows a message.
        let expected = 2 * self.sent;
        loop {
            let rows = daemon.sql_number("SELECT count(*) FROM heat").await?;
            if rows == expected {
                return Ok(());
            }
            ensure!(
                rows < expected && Instant::now() < deadline,
                "{} messages were acknowledged, {rows} rows of them are answered",
                self.sent
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
