//! A city of devices: what `meetnet ingest` costs while each of them sends one message a minute, evenly spread, as a
//! share of one core and in memory. Commits and merges run with their defaults.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench devices`; `DEVICES` (10,000), `SECONDS`
//! (150; two minutes or more, so that commits at the default age of a minute are in it).
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::broker::broker;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{at_least, at_most, begin, figure, setting};
use meetnet_benches::publisher::Publisher;
use meetnet_benches::{cpu, now_ms, source_toml};

/// Between two messages of a device, s.
const PERIOD_S: f64 = 60.0;
/// Of the journal: frames up to here are synced.
const DURABLE: &str = "meetnet_journal_durable_sequence";
/// Not counted: connections and the first messages.
const WARM_UP: Duration = Duration::from_secs(10);
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let devices: u64 = setting("DEVICES", 10_000)?;
    let time = Duration::from_secs(setting("SECONDS", 150)?);
    ensure!(
        devices > 0 && !time.is_zero(),
        "DEVICES and SECONDS must not be 0"
    );
    let per_second = devices as f64 / PERIOD_S;
    begin(&format!(
        "{devices} devices, one message a minute each, {} s",
        time.as_secs()
    ));
    let (broker, broker_id) = broker()?;
    let daemon = Daemon::start("ingest", "", &source_toml(broker.port)).await?;
    figure("memory at rest", cpu::resident_mib(daemon.id()), "MiB");

    let start_ms = now_ms();
    // Nobody counts for the publisher: all its messages may be ahead.
    let publisher = Publisher::start_paced(
        broker.port,
        Arc::new(AtomicU64::new(0)),
        u64::MAX,
        1,
        Some((Instant::now(), per_second)),
        move |number| message(number, devices, start_ms),
    )?;
    tokio::time::sleep(WARM_UP).await;
    let first = daemon.metric(DURABLE).await?;
    let (began, cpu_before) = (Instant::now(), cpu::used(daemon.id()));
    let broker_before = cpu::used(broker_id);
    let mut resident: Vec<f64> = Vec::new();
    while began.elapsed() < time {
        tokio::time::sleep(LOOK).await;
        resident.push(cpu::resident_mib(daemon.id()));
    }
    let took = began.elapsed().as_secs_f64();
    let cpu_used = (cpu::used(daemon.id()) - cpu_before).as_secs_f64();
    let broker_used = (cpu::used(broker_id) - broker_before).as_secs_f64();
    let taken = daemon.metric(DURABLE).await? - first;
    publisher.stop()?;

    at_least("messages taken", taken / took, "per s", 0.99 * per_second);
    at_most("CPU, of one core", 100.0 * cpu_used / took, "%", 10.0);
    figure("CPU per message", cpu_used * 1e6 / taken, "us");
    figure("the broker's CPU", 100.0 * broker_used / took, "%");
    resident.sort_by(f64::total_cmp);
    figure("memory, median", resident[resident.len() / 2], "MiB");
    let greatest = cpu::resident_max_mib(daemon.id());
    at_most("memory, greatest", greatest, "MiB", 150.0);
    Ok(())
}

/// Returns topic and body of message `number`: devices take turns, and each says when it was due.
fn message(number: u64, devices: u64, start_ms: u64) -> (String, String) {
    let device = number % devices;
    let ts = start_ms + (number as f64 * PERIOD_S * 1e3 / devices as f64) as u64;
    let temperature = (number * 7 % 400) as f64 / 10.0 - 5.0;
    let humidity = 30 + number % 60;
    (
        format!("bench/station-{device:05}"),
        format!("{{\"temperature\":{temperature:.1},\"humidity\":{humidity},\"ts\":{ts}}}"),
    )
}
