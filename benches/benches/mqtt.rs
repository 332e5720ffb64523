//! MQTT QoS 1 end to end: publisher -> tuned Mosquitto -> meetnet (synced, acknowledged, decoded, queryable, with
//! commits). References of the same run: a null subscriber of the same client library that acknowledges at once, and the
//! same job as a Python script and as a Bytewax dataflow, which are not durable.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench mqtt [-- PART…]`, parts `null`,
//! `meetnet`, `paho` and `bytewax`; `SECONDS` (60) of each.
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
use meetnet_benches::figures::{at_least, begin, figure, is_wanted, setting};
use meetnet_benches::publisher::Publisher;
use meetnet_benches::python::{self, Subscriber};
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

/// The same job in Python.
struct Script {
    part: &'static str,
    name: &'static str,
    file: &'static str,
    modules: &'static [&'static str],
    /// How many times as fast we should be.
    aim: f64,
}

const SCRIPTS: [Script; 2] = [
    Script {
        part: "paho",
        name: "paho-mqtt and pyarrow",
        file: "paho_pyarrow.py",
        modules: &["paho.mqtt", "pyarrow"],
        aim: 10.0,
    },
    Script {
        part: "bytewax",
        name: "Bytewax",
        file: "bytewax_flow.py",
        modules: &["bytewax", "paho.mqtt", "pyarrow"],
        aim: 3.0,
    },
];

/// What one subscriber did.
struct Figures {
    messages_per_second: f64,
    cpu_us_per_message: f64,
    broker_cpu_us_per_message: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let time = Duration::from_secs(setting("SECONDS", 60)?);
    let mut references = Vec::new();
    if is_wanted("null") {
        begin("null subscriber: acknowledges at once, does nothing");
        let figures = null_subscriber(time).await?;
        // Its process is this one.
        figures.print("CPU, the publisher's threads included");
        references.push(("the null subscriber", 0.8, figures));
    }
    for script in SCRIPTS {
        if !is_wanted(script.part) {
            continue;
        }
        begin(&format!(
            "{}: decodes, writes Parquet, syncs nothing",
            script.name
        ));
        if let Some(figures) = script_subscriber(&script, time).await? {
            figures.print("CPU");
            references.push((script.name, script.aim, figures));
        }
    }
    if is_wanted("meetnet") {
        begin("meetnet: syncs, acknowledges, decodes, commits; counted when SQL answers");
        let ours = meetnet(time).await?;
        ours.print("CPU");
        for (name, aim, reference) in references {
            let ratio = ours.messages_per_second / reference.messages_per_second;
            at_least(&format!("ratio to {name}"), ratio, "x", aim);
        }
    }
    Ok(())
}

impl Figures {
    fn print(&self, cpu: &str) {
        figure("messages", self.messages_per_second, "per s");
        figure(cpu, self.cpu_us_per_message, "us per message");
        let broker = self.broker_cpu_us_per_message;
        figure("the broker's CPU", broker, "us per message");
    }
}

/// Counts `consumed` over `time` after the warm-up.
async fn measure(consumed: &AtomicU64, pid: u32, broker: u32, time: Duration) -> Result<Figures> {
    tokio::time::sleep(WARM_UP).await;
    let (began, first) = (Instant::now(), consumed.load(Ordering::Relaxed));
    let (cpu_first, broker_first) = (cpu::used(pid), cpu::used(broker));
    tokio::time::sleep(time).await;
    let messages = (consumed.load(Ordering::Relaxed) - first) as f64;
    ensure!(messages > 0.0, "no message came");
    let per_message = |used: Duration| used.as_secs_f64() * 1e6 / messages;
    Ok(Figures {
        messages_per_second: messages / began.elapsed().as_secs_f64(),
        cpu_us_per_message: per_message(cpu::used(pid) - cpu_first),
        broker_cpu_us_per_message: per_message(cpu::used(broker) - broker_first),
    })
}

/// Starts the messages of the bench; `consumed` counts those that the subscriber has taken.
fn publish(port: u16, consumed: &Arc<AtomicU64>) -> Result<Publisher> {
    let start = now_ms() - 3_600_000;
    Publisher::start(port, Arc::clone(consumed), BACKLOG_MAX, move |number| {
        message(number, start)
    })
}

/// The same job as a script; none where no Python has its modules.
async fn script_subscriber(script: &Script, time: Duration) -> Result<Option<Figures>> {
    let Some(python) = python::with_modules(script.modules)? else {
        return Ok(None);
    };
    let (broker, broker_id) = broker()?;
    let consumed = Arc::new(AtomicU64::new(0));
    let subscriber = Subscriber::start(&python, script.file, broker.port, Arc::clone(&consumed))?;
    let publisher = publish(broker.port, &consumed)?;
    let figures = measure(&consumed, subscriber.id(), broker_id, time).await?;
    let memory = cpu::resident_mib(subscriber.id());
    publisher.stop()?;
    let rows = subscriber.stop()?;
    let messages = consumed.load(Ordering::Relaxed);
    ensure!(
        rows == 2 * messages,
        "{messages} messages were decoded, the files hold {rows} rows"
    );
    figure("memory", memory, "MiB");
    Ok(Some(figures))
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
    let publisher = publish(broker.port, &consumed)?;
    let figures = measure(&consumed, std::process::id(), broker_id, time).await?;
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
    let publisher = publish(broker.port, &consumed)?;
    let figures = measure(&consumed, daemon.id(), broker_id, time).await?;
    figure("memory", cpu::resident_mib(daemon.id()), "MiB");
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
