//! The feed's way to a broker: a real MQTT 5 client over TCP, QoS 1, following the clock.
//!
//! ```text
//! clock ──second──▶ LiveFeed::messages_at ──spread over the second──▶ rumqttc ──TCP──▶ broker
//! ```
//!
//! Like real sensors it never waits for the city: what the broker does not take in time is lost and counted. It is
//! not the load generator of the benches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rumqttc::mqttbytes::v5::Packet;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Outgoing, PublishOptions,
};

use crate::broker::MESSAGE_BYTES_MAX;
use crate::feed::LiveFeed;

/// Messages that may wait for the broker; beyond that they are dropped.
const QUEUE_MESSAGES_MAX: usize = 256;
/// How long the last messages may take to be acknowledged at shutdown.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
/// Pause before the next attempt to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// Seconds that are made up for after a pause of the process; more are left out.
const CATCH_UP_S: i64 = 3;

/// What became of the messages of one [`publish`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Messages handed to the client.
    pub published: u64,
    /// Messages that the broker acknowledged.
    pub acknowledged: u64,
    /// Messages that were dropped because the broker took none.
    pub dropped: u64,
}

/// Publishes the feed to `broker` from now on until `shutdown` resolves, then waits for the last acknowledgements.
/// A broker that is away is tried again for ever.
pub async fn publish(
    feed: LiveFeed,
    broker: SocketAddr,
    shutdown: impl Future<Output = ()>,
) -> PublishReport {
    let mut options = MqttOptions::new(
        "meetnet-simulator",
        (broker.ip().to_string(), broker.port()),
    );
    options.set_keep_alive(15);
    options.set_clean_start(true);
    options.set_max_packet_size(Some(MESSAGE_BYTES_MAX as u32));
    let (client, event_loop) = AsyncClient::builder(options)
        .capacity(QUEUE_MESSAGES_MAX)
        .build();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut polling = tokio::spawn(poll(event_loop, Arc::clone(&acknowledged)));

    let mut report = PublishReport::default();
    tokio::select! {
        () = send(&feed, &client, &mut report) => {}
        () = shutdown => {}
    }
    let goodbye = client.disconnect_with_timeout(DRAIN_TIME_MAX).await;
    // The client times the drain itself, once connected; where it cannot connect, this ends the wait.
    let finished = tokio::time::timeout(DRAIN_TIME_MAX + RECONNECT_PAUSE, &mut polling).await;
    if goodbye.is_err() || finished.is_err() {
        polling.abort();
    }
    report.acknowledged = acknowledged.load(Ordering::Relaxed);
    tracing::debug!(?report, "simulator stopped");
    report
}

/// Sends second after second and never returns.
async fn send(feed: &LiveFeed, client: &AsyncClient, report: &mut PublishReport) {
    let mut next = now().as_secs() as i64;
    loop {
        let second = next.max(now().as_secs() as i64 - CATCH_UP_S);
        wait_until(second, 0.0).await;
        let messages = feed.messages_at(second);
        let count = messages.len() as f64;
        for (position, live) in messages.into_iter().enumerate() {
            wait_until(second, position as f64 / count).await;
            let message = live.message;
            match client.try_publish(
                message.topic,
                message.payload,
                PublishOptions::at_least_once(),
            ) {
                Ok(()) => report.published += 1,
                Err(_) => report.dropped += 1,
            }
        }
        next = second + 1;
    }
}

/// Waits until `share` (`0..1`) of `second` has passed by the wall clock; at once where it has.
async fn wait_until(second: i64, share: f64) {
    let target = Duration::from_secs_f64(second.max(0) as f64 + share);
    // Never more than a second: a clock that was set back must not silence the sensors for hours.
    let pause = target.saturating_sub(now()).min(Duration::from_secs(1));
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Drives the connection until the client has said goodbye.
async fn poll(mut event_loop: EventLoop, acknowledged: Arc<AtomicU64>) {
    let mut is_away = false;
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if std::mem::take(&mut is_away) {
                    tracing::info!("simulator is connected again");
                }
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(ConnectionError::RequestsDone | ConnectionError::DisconnectTimeout) => return,
            Err(error) => {
                // One line per outage, not one per attempt.
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!(%error, "simulator cannot reach the broker, trying again");
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
