//! How soon a message is answered: from its due time until a snapshot, and until an answer to SQL, holds it.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench visible [-- PART…]`, parts `process`
//! (journal to answer in one process) and `mqtt` (publisher, Mosquitto, `meetnet run`, SQL over HTTP); `RATE` (10,000
//! messages a second) and `SECONDS` (20).
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meetnet_benches::broker::broker;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{Latencies, at_most, begin, figure, is_wanted, setting};
use meetnet_benches::publisher::Publisher;
use meetnet_benches::{declarations, disk, message, now_ms, source_toml};
use meetnet_ingest::DupWindows;
use meetnet_ingest::outcomes::OutcomeRegistry;
use meetnet_ingest::pipeline::{Pipeline, PipelineOptions};
use meetnet_lake::journal::{Journal, JournalOptions, NewEnvelope};
use meetnet_lake::lake::{DeclaredTables, LakeOptions};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::FolderStorage;
use meetnet_model::ids::DatasetId;
use meetnet_model::privacy::PrivacyKey;
use meetnet_query::{QueryOptions, QueryRequest, QueryService};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest time until all but one in a hundred are answered.
const AIM_MS: f64 = 50.0;
/// Messages that are due together.
const BATCH: u64 = 10;
/// Not counted: connections, caches, the first plan.
const WARM_UP: Duration = Duration::from_secs(2);
/// Cheap, and reads hot rows and files.
const PROBE: &str = "SELECT count(*) FROM heat";

/// When something had been answered: a position, and the moment.
type Seen = Vec<(u64, Instant)>;

fn main() -> Result<()> {
    let per_second: f64 = setting("RATE", 10_000.0)?;
    let time = Duration::from_secs(setting("SECONDS", 20)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if is_wanted("process") {
        in_process(per_second, time, &runtime)?;
    }
    if is_wanted("mqtt") {
        runtime.block_on(over_mqtt(per_second, time))?;
    }
    Ok(())
}

fn in_process(per_second: f64, time: Duration, runtime: &tokio::runtime::Runtime) -> Result<()> {
    begin(&format!("journal to answer, {per_second:.0} messages/s"));
    let folder = tempfile::tempdir()?;
    let bare = Latencies::new(disk::syncs(folder.path(), 1_000, Duration::from_secs(5))?);
    bare.print("the bare disk: write and fdatasync");
    let (journal, pipeline) = start(folder.path())?;
    let shared = pipeline.shared();
    let offer = |first| offer(&journal, first, per_second, time);

    let (due, seen) = watch(offer, 0, |stop| watch_snapshot(&shared, stop))?;
    let snapshot = latencies(&due, &seen)?;
    snapshot.print("append until a snapshot holds it");

    let service = QueryService::new(QueryOptions::default(), Arc::clone(&shared))?;
    let answers = |stop: &AtomicBool| runtime.block_on(watch_answers(&service, stop));
    let (due, seen) = watch(offer, due.len() as u64, answers)?;
    let answered = latencies(&due, &seen)?;
    answered.print("append until an answer to SQL holds it");
    figure(
        "answers per second meanwhile",
        seen.len() as f64 / time.as_secs_f64(),
        "",
    );
    at_most("p99, in SQL", answered.p99_ms(), "ms", AIM_MS);
    figure(
        "ratio of p50 in the snapshot to the bare sync",
        snapshot.p50_ms() / bare.p50_ms(),
        "x",
    );
    drop(service);
    pipeline.shutdown()?;
    journal.shutdown()?;
    Ok(())
}

fn start(folder: &Path) -> Result<(Journal, Pipeline)> {
    let declarations = Arc::new(declarations());
    let options = JournalOptions {
        reserve_bytes: 0,
        ..JournalOptions::new(folder.join("journal"), folder.join("archive"))
    };
    let storage = Arc::new(FolderStorage::new(folder.join("lake")));
    let tables = DeclaredTables::read(storage, Arc::clone(&declarations))?;
    let (journal, recovery) = Journal::open(options, &declarations.to_bytes())?;
    let mut lake = LakeOptions::new(journal.id());
    // Commits belong to what is measured: some within each run.
    lake.limits.commit_age_max = Duration::from_secs(5);
    let (pipeline, _) = Pipeline::start(
        PipelineOptions::new(lake),
        journal.clone(),
        &recovery,
        tables,
        PrivacyKey::new("bench"),
        OutcomeRegistry::new(1),
        DupWindows::default(),
    )?;
    Ok((journal, pipeline))
}

/// Appends messages from `first` on at a steady pace; returns the sequence and the due time of each.
fn offer(journal: &Journal, first: u64, per_second: f64, time: Duration) -> Result<Seen> {
    let batches = (time.as_secs_f64() * per_second) as u64 / BATCH;
    let start_ms = now_ms() - 3_600_000;
    let start = Instant::now();
    let mut due = Vec::with_capacity((batches * BATCH) as usize);
    for batch in 0..batches {
        let at = start + Duration::from_secs_f64((batch * BATCH) as f64 / per_second);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        for number in 0..BATCH {
            let (topic, body) = message(first + batch * BATCH + number, start_ms);
            let envelope = NewEnvelope {
                source: "bench",
                topic: &topic,
                payload: body.as_bytes(),
                ..NewEnvelope::default()
            };
            due.push((journal.append(&envelope)?.sequence.0, at));
        }
    }
    Ok(due)
}

/// Runs `offer` on a thread beside `look`, which runs until told to stop.
fn watch(
    offer: impl Fn(u64) -> Result<Seen> + Sync,
    first: u64,
    look: impl FnOnce(&AtomicBool) -> Result<Seen>,
) -> Result<(Seen, Seen)> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let offering = scope.spawn(|| {
            let due = offer(first);
            // The last ones must be seen, too.
            thread::sleep(Duration::from_secs(2));
            stop.store(true, Ordering::Relaxed);
            due
        });
        let seen = look(&stop)?;
        let due = offering
            .join()
            .ok()
            .context("offering messages panicked")??;
        Ok((due, seen))
    })
}

fn watch_snapshot(shared: &SharedSnapshot, stop: &AtomicBool) -> Result<Seen> {
    let heat = DatasetId::new("heat");
    let mut seen: Seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let snapshot = shared.load();
        let through = snapshot
            .tables
            .get(&heat)
            .context("no table `heat`")?
            .through
            .0;
        if seen.last().is_none_or(|(last, _)| *last < through) {
            seen.push((through, Instant::now()));
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(seen)
}

async fn watch_answers(service: &QueryService, stop: &AtomicBool) -> Result<Seen> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut answer = service.query(QueryRequest::public(PROBE)).await?;
        let through = answer.through.0;
        answer.collect().await?;
        seen.push((through, Instant::now()));
    }
    Ok(seen)
}

/// How long after its due time each position was first seen.
fn latencies(due: &Seen, seen: &Seen) -> Result<Latencies> {
    let warm = due.first().context("nothing was offered")?.1 + WARM_UP;
    let times = due
        .iter()
        .filter(|(_, at)| *at >= warm)
        .map(|(position, at)| {
            let first = seen.partition_point(|(seen, _)| seen < position);
            let (_, when) = seen
                .get(first)
                .with_context(|| format!("{position} was never seen"))?;
            Ok(when.saturating_duration_since(*at))
        });
    Ok(Latencies::new(times.collect::<Result<_>>()?))
}

async fn over_mqtt(per_second: f64, time: Duration) -> Result<()> {
    begin(&format!(
        "publish to answer over HTTP, {per_second:.0} messages/s"
    ));
    let (broker, _) = broker()?;
    // Commits belong to what is measured: some within the run.
    let daemon = Daemon::start("run", "commit_age_max = \"5s\"", &source_toml(broker.port)).await?;
    let start_ms = now_ms() - 3_600_000;
    let start = Instant::now() + Duration::from_millis(100);
    let consumed = Arc::new(AtomicU64::new(0));
    let publisher = Publisher::start_paced(
        broker.port,
        Arc::clone(&consumed),
        u64::MAX,
        BATCH,
        Some((start, per_second)),
        move |number| message(number, start_ms),
    )?;
    let mut seen: Seen = Vec::new();
    let until = start + time;
    while Instant::now() < until {
        // Two rows a message, and messages come in order.
        let messages = daemon.sql_number(PROBE).await? / 2;
        seen.push((messages, Instant::now()));
    }
    let sent = publisher.acknowledged();
    publisher.stop()?;
    let messages = seen.last().map_or(0, |(messages, _)| *messages);
    let expected = time.as_secs_f64() * per_second;
    ensure!(
        messages as f64 > 0.9 * expected,
        "only {messages} of {expected} came through"
    );
    figure("messages acknowledged by the broker", sent as f64, "");
    let batch_due =
        |batch: u64| start + Duration::from_secs_f64(((batch + 1) * BATCH) as f64 / per_second);
    let due: Seen = (0..messages)
        .map(|number| (number + 1, batch_due(number / BATCH)))
        .collect();
    let answered = latencies(&due, &seen)?;
    answered.print("publish until an answer over HTTP holds it");
    figure(
        "answers per second meanwhile",
        seen.len() as f64 / time.as_secs_f64(),
        "",
    );
    at_most("p99", answered.p99_ms(), "ms", AIM_MS);
    Ok(())
}
