//! The load generator's way to a broker: MQTT 5, QoS 1, every message followed to its PUBACK.
//!
//! ```text
//! publish(topic, body) ─▶ rumqttc ─▶ broker
//!        └──────── PUBACK ──────────┘ ─▶ Published
//! ```
//!
//! A connection that breaks ends the publisher: what was sent and not acknowledged is in doubt then. Sending it again
//! would make a second copy of messages that have no time of their own. Waiting its turn is the caller's part.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rumqttc::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::tokio_rustls::rustls::ClientConfig;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Outgoing, PublishNoticeError,
    PublishOptions, PublishResult, TlsConfiguration, Transport,
};
use tokio::task::JoinHandle;

use crate::broker::MESSAGE_BYTES_MAX;

/// Messages that may wait in the client: those in flight wait outside of it, so this only joins writes.
const QUEUE_MESSAGES_MAX: usize = 1_000;
/// How long the last packets may take at the end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A broker and who we are there.
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Must be free at the broker.
    pub client_id: String,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// For `mqtts`.
    pub tls: Option<Arc<ClientConfig>>,
    /// Most messages without an acknowledgement.
    pub inflight_max: u16,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The broker has it.
    Acknowledged,
    /// It may have been sent.
    InDoubt,
    /// The broker did not take it, or it was never sent.
    Refused(String),
}

/// Why a broker cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect to the broker at {host}:{port}: {what}")]
pub struct ConnectError {
    host: String,
    port: u16,
    what: String,
}

/// A connection to a broker.
#[derive(Debug)]
pub struct Publisher {
    client: AsyncClient,
    /// Why it ended.
    failure: Arc<OnceLock<String>>,
    polling: JoinHandle<()>,
}

impl Publisher {
    /// Connects, and returns once the broker has accepted.
    ///
    /// # Errors
    /// Says what the broker or the network says.
    pub async fn connect(target: Target) -> Result<Self, ConnectError> {
        let fault = |what: String| ConnectError {
            host: target.host.clone(),
            port: target.port,
            what,
        };
        let address = (target.host.clone(), target.port);
        let mut options = MqttOptions::new(target.client_id.clone(), address);
        options.set_keep_alive(30);
        options.set_clean_start(true);
        options.set_max_packet_size(Some(MESSAGE_BYTES_MAX as u32));
        options.set_outgoing_inflight_upper_limit(target.inflight_max);
        if let Some((name, password)) = target.credentials.clone() {
            options.set_credentials(name, password);
        }
        if let Some(tls) = target.tls.clone() {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        }
        let (client, mut events) = AsyncClient::builder(options)
            .capacity(QUEUE_MESSAGES_MAX)
            .build();
        let accepted = async {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(()),
                    Ok(_) => {}
                    Err(error) => return Err(described(&error)),
                }
            }
        };
        tokio::time::timeout(CONNECT_TIME_MAX, accepted)
            .await
            .unwrap_or_else(|_| Err("no answer within 10 s".to_owned()))
            .map_err(fault)?;
        let failure = Arc::new(OnceLock::new());
        let polling = tokio::spawn(poll(events, Arc::clone(&failure)));
        Ok(Self {
            client,
            failure,
            polling,
        })
    }

    /// Publishes one message and waits for its acknowledgement.
    pub async fn publish(&self, topic: &str, payload: Vec<u8>) -> Published {
        let options = PublishOptions::at_least_once();
        let notice = match self.client.publish_tracked(topic, payload, options).await {
            Ok(notice) => notice,
            Err(error) => return Published::Refused(format!("not sent: {error}")),
        };
        match notice.wait_async().await {
            Ok(PublishResult::Qos1(acknowledgement)) => answered(acknowledgement.reason),
            Err(PublishNoticeError::V5PubAck(reason)) => answered(reason),
            Ok(_) => Published::Refused("answered as if it were not QoS 1".to_owned()),
            Err(_) => Published::InDoubt,
        }
    }

    /// Returns why the connection has ended, if it has.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let goodbye = self.client.disconnect_with_timeout(DRAIN_TIME_MAX).await;
        let ended = tokio::time::timeout(DRAIN_TIME_MAX, &mut self.polling).await;
        if goodbye.is_err() || ended.is_err() {
            self.polling.abort();
        }
    }
}

fn answered(reason: PubAckReason) -> Published {
    match reason {
        PubAckReason::Success => Published::Acknowledged,
        // The broker drops it: nobody will ever see it.
        PubAckReason::NoMatchingSubscribers => Published::Refused(
            "nobody subscribes to the topic: does meetnet run with the printed sources?".to_owned(),
        ),
        refusal => Published::Refused(format!("the broker does not take it: {refusal:?}")),
    }
}

/// Drives the connection to its end.
async fn poll(mut events: EventLoop, failure: Arc<OnceLock<String>>) {
    loop {
        match events.poll().await {
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(ConnectionError::RequestsDone | ConnectionError::DisconnectTimeout) => return,
            Err(error) => {
                let what = format!("the connection to the broker broke: {}", described(&error));
                // Set here alone, once.
                let _ = failure.set(what);
                return;
            }
        }
    }
}

fn described(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => {
            format!("refused ({code:?}); check user name and password")
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
