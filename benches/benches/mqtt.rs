//! MQTT QoS 1 end to end: publisher -> tuned Mosquitto -> meetnet (synced, acknowledged, decoded, queryable, with
//! commits), against a null subscriber of the same client library that acknowledges at once. Same machine, same run.
//!
//! `cargo build --release && cargo bench -p meetnet-benches --bench mqtt [-- SECONDS]`
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meetnet_benches::broker::broker;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::publisher::Publisher;
use meetnet_benches::{cpu, message, now_ms, source_toml};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::Packet;
use rumqttc::{AsyncClient, Event, MqttOptions};

/// Messages that the publisher may be ahead of the subscriber.
const BACKLOG_MAX: u64 = 100_000;
/// Two rows a message, once it is answered.
const COUNT: &str = "SELECT count(*) FROM heat";
/// Not counted: connections, caches, the first commit.
const WARM_UP: Duration = Duration::from_secs(5);

/// What one subscriber did.
struct Figures {
    messages_per_second: f64,
    cpu_us_per_message: f64,
    broker_cpu_us_per_message: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let seconds: u64 = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(60);
    let time = Duration::from_secs(seconds);
    let reference = null_subscriber(time).await?;
    print("null subscriber", &reference);
    let ours = meetnet(time).await?;
    print("meetnet", &ours);
    println!(
        "ratio: {:.2}",
        ours.messages_per_second / reference.messages_per_second
    );
    Ok(())
}

fn print(name: &str, figures: &Figures) {
    println!(
        "{name}: {:.0} messages/s, {:.1} us CPU per message, broker {:.1} us",
        figures.messages_per_second, figures.cpu_us_per_message, figures.broker_cpu_us_per_message
    );
}

/// Counts `consumed` over `time` after the warm-up.
async fn measure(consumed: &AtomicU64, pid: u32, broker: u32, time: Duration) -> Figures {
    tokio::time::sleep(WARM_UP).await;
    let (began, first) = (Instant::now(), consumed.load(Ordering::Relaxed));
    let (cpu_first, broker_first) = (cpu::used(pid), cpu::used(broker));
    tokio::time::sleep(time).await;
    let messages = (consumed.load(Ordering::Relaxed) - first) as f64;
    let per_message = |used: Duration| used.as_secs_f64() * 1e6 / messages;
    Figures {
        messages_per_second: messages / began.elapsed().as_secs_f64(),
        cpu_us_per_message: per_message(cpu::used(pid) - cpu_first),
        broker_cpu_us_per_message: per_message(cpu::used(broker) - broker_first),
    }
}

async fn null_subscriber(time: Duration) -> Result<Figures> {
    let (broker, broker_id) = broker()?;
    let mut options = MqttOptions::new("null", ("127.0.0.1", broker.port));
    options.set_keep_alive(30);
    let (client, mut events) = AsyncClient::builder(options).capacity(10_000).build();
    client.subscribe("bench/+", QoS::AtLeastOnce).await?;
    let consumed = Arc::new(AtomicU64::new(0));
    let (subscribed, ready) = tokio::sync::oneshot::channel();
    let counting = {
        let consumed = Arc::clone(&consumed);
        let mut subscribed = Some(subscribed);
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Packet::Publish(_)) => {
                        consumed.fetch_add(1, Ordering::Relaxed);
                    }
                    Event::Incoming(Packet::SubAck(_)) => {
                        subscribed.take().map(|tell| tell.send(()));
                    }
                    _ => {}
                }
            }
        })
    };
    ready
        .await
        .context("the null subscriber was not subscribed")?;
    let start = now_ms() - 3_600_000;
    let publisher = Publisher::start(broker.port, Arc::clone(&consumed), BACKLOG_MAX, move |n| {
        message(n, start)
    })?;
    // Its CPU time includes the publisher's threads, which live in this process too: state it as an upper bound.
    let figures = measure(&consumed, std::process::id(), broker_id, time).await;
    publisher.stop()?;
    counting.abort();
    drop(client);
    Ok(figures)
}

async fn meetnet(time: Duration) -> Result<Figures> {
    let (broker, broker_id) = broker()?;
    let daemon = Arc::new(Daemon::start("run", "", &source_toml(broker.port)).await?);
    let consumed = Arc::new(AtomicU64::new(0));
    let counting = {
        let (daemon, consumed) = (Arc::clone(&daemon), Arc::clone(&consumed));
        tokio::spawn(async move {
            loop {
                if let Ok(rows) = daemon.sql_number(COUNT).await {
                    // Two rows a message.
                    consumed.store(rows / 2, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    };
    let start = now_ms() - 3_600_000;
    let publisher = Publisher::start(broker.port, Arc::clone(&consumed), BACKLOG_MAX, move |n| {
        message(n, start)
    })?;
    let figures = measure(&consumed, daemon.id(), broker_id, time).await;
    println!(
        "meetnet: resident {:.0} MiB",
        cpu::resident_mib(daemon.id())
    );
    let sent = publisher.acknowledged();
    publisher.stop()?;
    counting.abort();
    let deadline = Instant::now() + Duration::from_secs(30);
    while daemon.sql_number(COUNT).await? / 2 < sent && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let rows = daemon.sql_number(COUNT).await?;
    ensure!(
        rows / 2 >= sent,
        "{sent} messages were acknowledged, {} are answered",
        rows / 2
    );
    Ok(figures)
}
