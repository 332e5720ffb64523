//! One connection to a broker, in MQTT 5 or 3.1.1: the two client libraries behind one set of signals.
//!
//! `broker <-> socket <-> rumqttc event loop -> [link] -> source`
//!
//! A link lives for one connection. It never reconnects: the library would carry queued acknowledgements and packet ids
//! over, and an acknowledgement for an old id may hit a new message.

use std::fmt;

use rumqttc as v5;
use rumqttc_v4 as v4;

use super::flow::Publish;
use super::options::{MqttOptions, Qos};
use super::socket::WriteThrough;

mod opening;
mod session;
mod translate;

pub use opening::{TlsError, check_tls_identity, tls_client};

/// A filter that is never subscribed to: asking to end it changes nothing.
const PROBE_FILTER: &str = "meetnet/probe";

/// The protocol of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Five,
    Three,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Five => "mqtt-5",
            Self::Three => "mqtt-3.1.1",
        }
    }
}

/// What the connection did.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The broker accepted the connection.
    Connected { session_present: bool },
    /// A publish came in.
    Publish(Publish),
    /// The answer to our SUBSCRIBE: per filter, the refusal if it was refused.
    Subscribed(Vec<Option<String>>),
    /// A PUBACK was written.
    AckLeft(u16),
    /// A PINGREQ was written.
    PingLeft,
    /// Its answer came.
    PingAnswered,
    /// A probe was written.
    ProbeLeft,
    /// Its answer came.
    ProbeAnswered,
    /// Our DISCONNECT was written.
    DisconnectLeft,
    /// Nothing of interest.
    Other,
}

/// Why a link ended.
#[derive(Debug)]
pub(crate) struct LinkError {
    /// What happened and what to do.
    pub(crate) message: String,
    /// Whether the broker may simply not speak this protocol version.
    pub(crate) maybe_protocol: bool,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The receiving half; polled by one task and never cancelled in the middle.
pub(crate) enum Link {
    Five {
        events: Box<v5::EventLoop>,
        connected: bool,
    },
    Three {
        events: Box<v4::EventLoop>,
        connected: bool,
    },
}

/// The sending half; its requests are written while the link is polled.
#[derive(Clone)]
pub(crate) struct LinkSender {
    client: Client,
    through: WriteThrough,
}

#[derive(Clone)]
enum Client {
    Five(v5::AsyncClient),
    Three(v4::AsyncClient),
}

/// The link is gone: its requests have no meaning any more.
#[derive(Debug)]
pub(crate) struct LinkClosed;

/// Makes a link; the first poll connects.
pub(crate) fn open(
    options: &MqttOptions,
    protocol: Protocol,
) -> Result<(LinkSender, Link), LinkError> {
    let through = WriteThrough::default();
    let (client, link) = match protocol {
        Protocol::Five => opening::five(options, &through)?,
        Protocol::Three => opening::three(options, &through)?,
    };
    Ok((LinkSender { client, through }, link))
}

impl LinkSender {
    /// Queues one SUBSCRIBE with all `filters`. `again`: what the broker retains is to come also where it has the subscription.
    pub(crate) fn subscribe(
        &self,
        filters: &[String],
        options: &MqttOptions,
        again: bool,
    ) -> Result<(), LinkClosed> {
        let sent = match &self.client {
            Client::Five(client) => {
                let qos = match options.qos {
                    Qos::AtMostOnce => v5::QoS::AtMostOnce,
                    Qos::AtLeastOnce => v5::QoS::AtLeastOnce,
                };
                let filters = filters.iter().map(|path| {
                    let mut filter = v5::SubscribeFilter::new(path.clone(), qos);
                    if !options.retained.is_none() && !again {
                        // Not again at every resubscription.
                        filter.retain_forward_rule = v5::RetainForwardRule::OnNewSubscribe;
                    }
                    filter
                });
                client.try_subscribe_many(filters).is_ok()
            }
            Client::Three(client) => {
                let qos = match options.qos {
                    Qos::AtMostOnce => v4::QoS::AtMostOnce,
                    Qos::AtLeastOnce => v4::QoS::AtLeastOnce,
                };
                let filters = filters
                    .iter()
                    .map(|path| v4::SubscribeFilter::new(path.clone(), qos));
                client.try_subscribe_many(filters).is_ok()
            }
        };
        sent.then_some(()).ok_or(LinkClosed)
    }

    /// Returns true where asking for a filter once more brings its retained messages once more.
    pub(crate) fn repeats_retained(&self, options: &MqttOptions) -> bool {
        !options.retained.is_none() && matches!(self.client, Client::Three(_))
    }

    /// Queues the SUBSCRIBE of one topic with QoS 0.
    pub(crate) fn subscribe_drops(&self, topic: &str) -> Result<(), LinkClosed> {
        let sent = match &self.client {
            Client::Five(client) => client.try_subscribe(topic, v5::QoS::AtMostOnce).is_ok(),
            Client::Three(client) => client.try_subscribe(topic, v4::QoS::AtMostOnce).is_ok(),
        };
        sent.then_some(()).ok_or(LinkClosed)
    }

    /// Queues a probe behind everything queued so far: its answer says that the broker has read all of it. The library
    /// sends a PINGREQ only when nothing else was sent for the keep-alive, so under load there is none.
    pub(crate) fn probe(&self) -> Result<(), LinkClosed> {
        let sent = match &self.client {
            Client::Five(client) => client.try_unsubscribe(PROBE_FILTER).is_ok(),
            Client::Three(client) => client.try_unsubscribe(PROBE_FILTER).is_ok(),
        };
        sent.then_some(()).ok_or(LinkClosed)
    }

    /// Queues one UNSUBSCRIBE with all `filters`, behind everything queued so far; its answer says what that of a probe
    /// does.
    pub(crate) fn leave(&self, filters: &[String]) -> Result<(), LinkClosed> {
        let filters = filters.iter().map(String::as_str);
        let sent = match &self.client {
            Client::Five(client) => client.try_unsubscribe_many(filters).is_ok(),
            Client::Three(client) => client.try_unsubscribe_many(filters).is_ok(),
        };
        sent.then_some(()).ok_or(LinkClosed)
    }

    /// Queues the acknowledgement of a publish of this link.
    pub(crate) fn acknowledge(&self, packet_id: u16) -> Result<(), LinkClosed> {
        let sent = match &self.client {
            Client::Five(client) => {
                let ack = v5::ManualAck::PubAck(v5::PubAck::new(packet_id, None));
                client.try_manual_ack(ack).is_ok()
            }
            Client::Three(client) => {
                let ack = v4::ManualAck::PubAck(v4::PubAck::new(packet_id));
                client.try_manual_ack(ack).is_ok()
            }
        };
        sent.then_some(()).ok_or(LinkClosed)
    }

    /// Queues a DISCONNECT; the broker keeps the session. `patient`: behind everything queued so far, once the broker has
    /// answered it. Otherwise at once, for brokers that never answer a probe (rumqttd with a filter it does not know).
    pub(crate) fn disconnect(&self, patient: bool) -> Result<(), LinkClosed> {
        // Nobody reads after it, so nothing may wait for a read.
        self.through.set();
        let sent = match (&self.client, patient) {
            (Client::Five(client), true) => client.try_disconnect().is_ok(),
            (Client::Five(client), false) => client.try_disconnect_now().is_ok(),
            (Client::Three(client), true) => client.try_disconnect().is_ok(),
            (Client::Three(client), false) => client.try_disconnect_now().is_ok(),
        };
        sent.then_some(()).ok_or(LinkClosed)
    }
}

impl Link {
    /// Waits for the next signal. Must run to its end: a request taken from the queue would be lost otherwise.
    pub(crate) async fn next(&mut self) -> Result<Signal, LinkError> {
        match self {
            Self::Five { events, connected } => {
                let event = events
                    .poll()
                    .await
                    .map_err(|error| translate::five_error(&error, *connected))?;
                if let v5::Event::Incoming(v5::Packet::ConnAck(_)) = &event {
                    *connected = true;
                    // It has served; kept, it would be written at every acknowledgement.
                    events.options.clear_session_store();
                }
                Ok(translate::five_signal(event))
            }
            Self::Three { events, connected } => {
                let event = events
                    .poll()
                    .await
                    .map_err(|error| translate::three_error(&error, *connected))?;
                if let v4::Event::Incoming(v4::Packet::ConnAck(_)) = &event {
                    *connected = true;
                }
                Ok(translate::three_signal(event))
            }
        }
    }
}
