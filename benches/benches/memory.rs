//! Memory of the write side as a process: `meetnet ingest` behind Mosquitto at a steady rate, with compaction, and at
//! rest.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench memory`; `RATE` (50,000 messages a
//! second), `SECONDS` (60), `REST_SECONDS` (15).
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use meetnet_benches::broker::broker;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{at_least, at_most, begin, figure, setting};
use meetnet_benches::publisher::Publisher;
use meetnet_benches::{cpu, message, now_ms, source_toml};

/// Messages that the publisher may be ahead of the journal.
const BACKLOG_MAX: u64 = 200_000;
/// Messages in one write of the publisher.
const BATCH: u64 = 50;
/// Of the journal: frames up to here are synced.
const DURABLE: &str = "meetnet_journal_durable_sequence";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let per_second: f64 = setting("RATE", 50_000.0)?;
    let time = Duration::from_secs(setting("SECONDS", 60)?);
    let rest = Duration::from_secs(setting("REST_SECONDS", 15)?);
    begin(&format!(
        "memory of `meetnet ingest`, {per_second:.0} messages/s"
    ));
    let (broker, _) = broker()?;
    let lake = "hot_bytes_max = \"96MiB\"\ncompaction = true";
    let daemon = Daemon::start("ingest", lake, &source_toml(broker.port)).await?;
    tokio::time::sleep(rest).await;
    at_most(
        "at rest, nothing taken yet",
        cpu::resident_mib(daemon.id()),
        "MiB",
        80.0,
    );

    let first = daemon.metric(DURABLE).await?;
    let consumed = Arc::new(AtomicU64::new(0));
    let start_ms = now_ms() - 3_600_000;
    let start = Instant::now();
    let cpu_before = cpu::used(daemon.id());
    let publisher = Publisher::start_paced(
        broker.port,
        Arc::clone(&consumed),
        BACKLOG_MAX,
        BATCH,
        Some((start, per_second)),
        move |number| message(number, start_ms),
    )?;
    let mut resident: Vec<f64> = Vec::new();
    while start.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let durable = daemon.metric(DURABLE).await?;
        consumed.store((durable - first) as u64, Ordering::Relaxed);
        resident.push(cpu::resident_mib(daemon.id()));
    }
    let took = start.elapsed();
    let taken = daemon.metric(DURABLE).await? - first;
    publisher.stop()?;
    let cpu_used = cpu::used(daemon.id()) - cpu_before;
    let reached = taken / took.as_secs_f64();
    at_least("messages taken", reached, "messages/s", 0.99 * per_second);
    figure(
        "CPU per message",
        cpu_used.as_secs_f64() * 1e6 / taken,
        "us",
    );
    resident.sort_by(f64::total_cmp);
    figure("resident, median", resident[resident.len() / 2], "MiB");
    at_most(
        "resident, greatest",
        cpu::resident_max_mib(daemon.id()),
        "MiB",
        300.0,
    );

    // What was hot is committed at its age, a minute by default; then merges end, and memory is given back.
    tokio::time::sleep(Duration::from_secs(90)).await;
    at_most(
        "at rest, after the load",
        cpu::resident_mib(daemon.id()),
        "MiB",
        80.0,
    );
    Ok(())
}
