//! What docs/decisions/0001-rumqttc-next.md compares, measured: how many QoS 1 messages an MQTT client library receives
//! and acknowledges by hand, and at which cost of its own. The libraries do the same: a subscription, a window of 2,000,
//! and an acknowledgement queued as soon as a message is there.
//!
//! `cargo run --release --manifest-path benches/client-library/Cargo.toml`; `SECONDS` (20) of each.

#[allow(dead_code, reason = "shared with the other benches")]
#[path = "../../src/cpu.rs"]
mod cpu;
#[allow(dead_code, reason = "shared with the other benches")]
#[path = "../../src/figures.rs"]
mod figures;
#[allow(dead_code, reason = "shared with the other benches")]
#[path = "../../src/publisher.rs"]
mod publisher;
#[allow(dead_code, reason = "shared with the daemon")]
#[rustfmt::skip] // It has tests beside it, which are found only where it belongs.
#[path = "../../../crates/meetnet-ingest/src/mqtt/socket.rs"]
mod socket;
#[allow(dead_code, reason = "shared with the other benches")]
#[path = "../../src/stations.rs"]
mod stations;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use meetnet_testkit::mosquitto::{Mosquitto, TUNED};
use rumqttc_v4 as three;
use rumqttc_v5 as five;

use figures::{begin, figure, setting};
use publisher::Publisher;
use socket::{JoiningSocket, WriteThrough};

/// What is used of the library before its continuation, under the names that the continuation has.
mod before {
    pub(crate) use rumqttc_before::v5::mqttbytes::QoS;
    pub(crate) use rumqttc_before::v5::mqttbytes::v5::Packet;
    pub(crate) use rumqttc_before::v5::{AsyncClient, Event, MqttOptions};
}

/// Messages that the broker may send before an acknowledgement, as the daemon announces.
const INFLIGHT_MAX: u16 = 2_000;
/// Acknowledgements that may wait for the event loop: every packet id once, and a few control packets.
const REQUESTS_MAX: usize = u16::MAX as usize + 64;
/// Packets taken from the socket in one go, as the daemon does.
const READ_BATCH: usize = 128;
/// Messages that the publisher may be ahead of the subscriber.
const BACKLOG_MAX: u64 = 100_000;
/// Not counted.
const WARM_UP: Duration = Duration::from_secs(3);
const FILTER: &str = "bench/+";
/// Name of the thread whose CPU time is the library's.
const THREAD: &str = "subscriber";

#[derive(Clone, Copy)]
enum Library {
    Before,
    Five,
    FiveJoined,
    ThreeJoined,
}

impl Library {
    const ALL: [Self; 4] = [
        Self::Before,
        Self::Five,
        Self::FiveJoined,
        Self::ThreeJoined,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Before => "rumqttc 0.25.1, MQTT 5",
            Self::Five => "rumqttc-v5-next 0.34, MQTT 5",
            Self::FiveJoined => "rumqttc-v5-next 0.34, with our socket",
            Self::ThreeJoined => "rumqttc-v4-next 0.34 (MQTT 3.1.1), with our socket",
        }
    }
}

/// What one library did.
struct Figures {
    messages_per_second: f64,
    cpu_us_per_message: f64,
    broker_cpu_us_per_message: f64,
}

fn main() -> Result<()> {
    let time = Duration::from_secs(setting("SECONDS", 20)?);
    let mut reference = None;
    for library in Library::ALL {
        begin(library.name());
        let figures = measure(library, time)?;
        figure(
            "received and acknowledged",
            figures.messages_per_second,
            "messages/s",
        );
        figure(
            "CPU of its thread",
            figures.cpu_us_per_message,
            "us per message",
        );
        figure(
            "the broker's CPU",
            figures.broker_cpu_us_per_message,
            "us per message",
        );
        let reference = reference.get_or_insert(figures.messages_per_second);
        let ratio = figures.messages_per_second / *reference;
        figure("ratio to rumqttc 0.25.1", ratio, "x");
    }
    Ok(())
}

fn measure(library: Library, time: Duration) -> Result<Figures> {
    let broker =
        Mosquitto::start(TUNED)?.context("install mosquitto: apt-get install mosquitto")?;
    let broker_id = broker.process_id().context("the broker has ended")?;
    let port = broker.port;
    let received = Arc::new(AtomicU64::new(0));
    let (subscribed, ready) = mpsc::channel();
    let subscriber = {
        let received = Arc::clone(&received);
        let receive = move || -> Result<()> {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build()?;
            runtime.block_on(library.receive(port, &received, &subscribed))
        };
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(receive)?
    };
    ready
        .recv_timeout(Duration::from_secs(10))
        .context("the library has not subscribed")?;
    let start_ms = stations::now_ms();
    let publisher = Publisher::start(port, Arc::clone(&received), BACKLOG_MAX, move |number| {
        stations::message(number, start_ms)
    })?;
    thread::sleep(WARM_UP);
    let (began, first) = (Instant::now(), received.load(Ordering::Relaxed));
    let (cpu_first, broker_first) = (cpu::used_by_threads(THREAD), cpu::used(broker_id));
    thread::sleep(time);
    let messages = (received.load(Ordering::Relaxed) - first) as f64;
    ensure!(messages > 0.0, "no message came");
    let per_message = |used: Duration| used.as_secs_f64() * 1e6 / messages;
    let figures = Figures {
        messages_per_second: messages / began.elapsed().as_secs_f64(),
        cpu_us_per_message: per_message(cpu::used_by_threads(THREAD) - cpu_first),
        broker_cpu_us_per_message: per_message(cpu::used(broker_id) - broker_first),
    };
    publisher.stop()?;
    // With the broker the connection ends, and with it the subscriber.
    drop(broker);
    let ended = subscriber.join();
    ended.map_err(|_| anyhow!("the subscriber panicked"))??;
    Ok(figures)
}

/// Receives and acknowledges until the connection ends.
macro_rules! receive {
    ($library:ident, $client:ident, $events:ident, $received:ident, $subscribed:ident) => {{
        $client
            .subscribe(FILTER, $library::QoS::AtLeastOnce)
            .await?;
        while let Ok(event) = $events.poll().await {
            match event {
                $library::Event::Incoming($library::Packet::Publish(publish)) => {
                    $client.try_ack(&publish)?;
                    $received.fetch_add(1, Ordering::Relaxed);
                }
                $library::Event::Incoming($library::Packet::SubAck(_)) => $subscribed.send(())?,
                _ => {}
            }
        }
    }};
}

impl Library {
    async fn receive(self, port: u16, received: &AtomicU64, subscribed: &Sender<()>) -> Result<()> {
        match self {
            Self::Before => {
                let mut options = before::MqttOptions::new(THREAD, "127.0.0.1", port);
                options
                    .set_receive_maximum(Some(INFLIGHT_MAX))
                    .set_manual_acks(true)
                    .set_keep_alive(Duration::from_secs(30));
                let (client, mut events) = before::AsyncClient::new(options, REQUESTS_MAX);
                receive!(before, client, events, received, subscribed);
            }
            Self::Five | Self::FiveJoined => {
                let mut options = five::MqttOptions::new(THREAD, ("127.0.0.1", port));
                options
                    .set_receive_maximum(Some(INFLIGHT_MAX))
                    .set_ack_mode(five::AckMode::Manual)
                    .set_max_request_batch(READ_BATCH)
                    .set_read_batch_size(READ_BATCH)
                    .set_keep_alive(30);
                if matches!(self, Self::FiveJoined) {
                    options.set_socket_connector(|address, network| async move {
                        let socket = five::default_socket_connect(address, network).await?;
                        Ok(JoiningSocket::new(socket, WriteThrough::default()))
                    });
                }
                let builder = five::AsyncClient::builder(options).capacity(REQUESTS_MAX);
                let (client, mut events) = builder.build();
                receive!(five, client, events, received, subscribed);
            }
            Self::ThreeJoined => {
                let mut options = three::MqttOptions::new(THREAD, ("127.0.0.1", port));
                options
                    .set_ack_mode(three::AckMode::Manual)
                    .set_max_request_batch(READ_BATCH)
                    .set_read_batch_size(READ_BATCH)
                    .set_keep_alive(30);
                options.set_socket_connector(|address, network| async move {
                    let socket = three::default_socket_connect(address, network).await?;
                    Ok(JoiningSocket::new(socket, WriteThrough::default()))
                });
                let builder = three::AsyncClient::builder(options).capacity(REQUESTS_MAX);
                let (client, mut events) = builder.build();
                receive!(three, client, events, received, subscribed);
            }
        }
        Ok(())
    }
}
