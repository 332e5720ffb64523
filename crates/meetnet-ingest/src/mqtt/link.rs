//! One connection to a broker, in MQTT 5 or 3.1.1: the two client libraries behind one set of signals.
//!
//! `broker <-> socket <-> rumqttc event loop -> [link] -> source`
//!
//! A link lives for one connection. It never reconnects: the library would carry queued acknowledgements and packet ids
//! over, and an acknowledgement for an old id may hit a new message.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rumqttc as v5;
use rumqttc::tokio_rustls::rustls;
use rumqttc_v4 as v4;

use super::flow::Publish;
use super::options::{MqttOptions, Qos, TlsRoots};
use super::socket::{JoiningSocket, WriteThrough};

mod session;

/// Requests that may wait for the event loop: every packet id once, and a few control packets. An acknowledgement is
/// queued only for a publish of this connection, so this is never reached.
const REQUESTS_MAX: usize = u16::MAX as usize + 64;
/// Packets taken from the socket in one go.
const READ_BATCH: usize = 128;
/// We publish nothing; the library sizes tables by this.
const OWN_PUBLISHES_MAX: u16 = 8;
/// A filter that is never subscribed to: asking to end it changes nothing.
const PROBE_FILTER: &str = "meetnet/probe";
/// Longest wait for the CONNACK.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
        Protocol::Five => open_five(options, &through)?,
        Protocol::Three => open_three(options, &through)?,
    };
    Ok((LinkSender { client, through }, link))
}

fn open_five(options: &MqttOptions, through: &WriteThrough) -> Result<(Client, Link), LinkError> {
    let address = (options.url.host.clone(), options.url.port);
    let mut own = v5::MqttOptions::new(options.client_id.clone(), address);
    let expiry = u32::try_from(options.session_expiry.as_secs()).unwrap_or(u32::MAX);
    own.set_clean_start(false)
        .set_session_expiry_interval(Some(expiry))
        .set_receive_maximum(Some(options.inflight_max))
        // Announced, so that the broker drops what is larger instead of sending it again for ever.
        .set_max_packet_size(Some(options.packet_bytes_max))
        .set_ack_mode(v5::AckMode::Manual)
        .set_keep_alive(keep_alive_seconds(options))
        .set_outgoing_inflight_upper_limit(OWN_PUBLISHES_MAX)
        .set_max_request_batch(READ_BATCH)
        .set_read_batch_size(READ_BATCH)
        .set_connect_timeout(CONNECT_TIMEOUT)
        .set_network_options(network_options())
        // Without a local checkpoint the library refuses a session that the broker resumes.
        .set_session_store(session::Resumable::new(
            &options.client_id,
            OWN_PUBLISHES_MAX,
        ));
    if let Some(username) = &options.username {
        let password = options.password.clone().unwrap_or_default();
        own.set_credentials(username.clone(), password);
    }
    if let Some(tls) = tls_config(options)? {
        own.set_transport(v5::Transport::tls_with_config(
            v5::TlsConfiguration::Rustls(tls),
        ));
    }
    let through = through.clone();
    own.set_socket_connector(move |address, network| {
        let through = through.clone();
        async move {
            let socket = v5::default_socket_connect(address, network).await?;
            Ok(JoiningSocket::new(socket, through))
        }
    });
    let (client, events) = v5::AsyncClient::builder(own)
        .capacity(REQUESTS_MAX)
        .try_build()
        .map_err(|error| configuration_error(&error))?;
    Ok((
        Client::Five(client),
        Link::Five {
            events: Box::new(events),
            connected: false,
        },
    ))
}

fn open_three(options: &MqttOptions, through: &WriteThrough) -> Result<(Client, Link), LinkError> {
    /// The largest packet that MQTT can frame: what exceeds a limit here would be sent again for ever.
    const PACKET_BYTES_MAX: usize = 256 << 20;
    let address = (options.url.host.clone(), options.url.port);
    let mut own = v4::MqttOptions::new(options.client_id.clone(), address);
    own.set_clean_session(false)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX)
        .set_ack_mode(v4::AckMode::Manual)
        .set_keep_alive(keep_alive_seconds(options))
        .set_inflight(OWN_PUBLISHES_MAX)
        .set_max_request_batch(READ_BATCH)
        .set_read_batch_size(READ_BATCH);
    if let Some(username) = &options.username {
        let password = options.password.clone().unwrap_or_default();
        own.set_credentials(username.clone(), password);
    }
    if let Some(tls) = tls_config(options)? {
        own.set_transport(v4::Transport::tls_with_config(
            v4::TlsConfiguration::Rustls(tls),
        ));
    }
    let through = through.clone();
    own.set_socket_connector(move |address, network| {
        let through = through.clone();
        async move {
            let socket = v4::default_socket_connect(address, network).await?;
            Ok(JoiningSocket::new(socket, through))
        }
    });
    let (client, mut events) = v4::AsyncClient::builder(own)
        .capacity(REQUESTS_MAX)
        .try_build()
        .map_err(|error| configuration_error(&error))?;
    events.set_network_options(network_options());
    Ok((
        Client::Three(client),
        Link::Three {
            events: Box::new(events),
            connected: false,
        },
    ))
}

fn keep_alive_seconds(options: &MqttOptions) -> u16 {
    u16::try_from(options.keep_alive.as_secs())
        .unwrap_or(u16::MAX)
        .max(1)
}

fn network_options() -> v5::NetworkOptions {
    let mut network = v5::NetworkOptions::new();
    // Writes are joined already; waiting for more would only delay acknowledgements.
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    network
}

fn configuration_error(error: &dyn std::error::Error) -> LinkError {
    LinkError {
        message: format!("the MQTT client refuses its options: {error}"),
        maybe_protocol: false,
    }
}

fn tls_config(options: &MqttOptions) -> Result<Option<Arc<rustls::ClientConfig>>, LinkError> {
    if !options.url.tls {
        return Ok(None);
    }
    let built = match &options.tls_roots {
        TlsRoots::System => v5::TlsConfiguration::try_default_rustls(),
        TlsRoots::Pem(pem) => return pem_config(pem).map(Some),
    };
    match built {
        Ok(v5::TlsConfiguration::Rustls(config)) => Ok(Some(config)),
        Ok(_) => Err(tls_error("the system's roots have an unexpected form")),
        Err(error) => Err(tls_error(error)),
    }
}

fn pem_config(pem: &[u8]) -> Result<Arc<rustls::ClientConfig>, LinkError> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| tls_error(format!("the CA file is no PEM: {error}")))?;
        roots.add(certificate).map_err(tls_error)?;
    }
    if roots.is_empty() {
        return Err(tls_error("the CA file holds no certificate"));
    }
    // Named, not taken from the process: two providers may be linked.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn tls_error(error: impl fmt::Display) -> LinkError {
    LinkError {
        message: format!("cannot set TLS up: {error}"),
        maybe_protocol: false,
    }
}

impl LinkSender {
    /// Queues one SUBSCRIBE with all `filters`.
    pub(crate) fn subscribe(
        &self,
        filters: &[String],
        options: &MqttOptions,
    ) -> Result<(), LinkClosed> {
        let sent = match &self.client {
            Client::Five(client) => {
                let qos = match options.qos {
                    Qos::AtMostOnce => v5::QoS::AtMostOnce,
                    Qos::AtLeastOnce => v5::QoS::AtLeastOnce,
                };
                let filters = filters.iter().map(|path| {
                    let mut filter = v5::SubscribeFilter::new(path.clone(), qos);
                    if options.retained {
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

    /// Queues a DISCONNECT behind everything queued so far; the broker keeps the session.
    pub(crate) fn disconnect(&self) -> Result<(), LinkClosed> {
        // Nobody reads after it, so nothing may wait for a read.
        self.through.set();
        let sent = match &self.client {
            Client::Five(client) => client.try_disconnect().is_ok(),
            Client::Three(client) => client.try_disconnect().is_ok(),
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
                    .map_err(|error| five_error(&error, *connected))?;
                if let v5::Event::Incoming(v5::Packet::ConnAck(_)) = &event {
                    *connected = true;
                    // It has served; kept, it would be written at every acknowledgement.
                    events.options.clear_session_store();
                }
                Ok(five_signal(event))
            }
            Self::Three { events, connected } => {
                let event = events
                    .poll()
                    .await
                    .map_err(|error| three_error(&error, *connected))?;
                if let v4::Event::Incoming(v4::Packet::ConnAck(_)) = &event {
                    *connected = true;
                }
                Ok(three_signal(event))
            }
        }
    }
}

fn five_signal(event: v5::Event) -> Signal {
    match event {
        v5::Event::Incoming(v5::Packet::Publish(publish)) => Signal::Publish(Publish {
            topic: publish.topic,
            payload: publish.payload,
            packet_id: publish.pkid,
            dup: publish.dup,
            retain: publish.retain,
        }),
        v5::Event::Outgoing(v5::Outgoing::PubAck(packet_id)) => Signal::AckLeft(packet_id),
        v5::Event::Outgoing(v5::Outgoing::PingReq) => Signal::PingLeft,
        v5::Event::Incoming(v5::Packet::PingResp) => Signal::PingAnswered,
        v5::Event::Outgoing(v5::Outgoing::Unsubscribe(_)) => Signal::ProbeLeft,
        v5::Event::Incoming(v5::Packet::UnsubAck(_)) => Signal::ProbeAnswered,
        v5::Event::Incoming(v5::Packet::ConnAck(ack)) => Signal::Connected {
            session_present: ack.session_present,
        },
        v5::Event::Incoming(v5::Packet::SubAck(ack)) => {
            let refusal = |code: &v5::SubscribeReasonCode| match code {
                v5::SubscribeReasonCode::Success(_) => None,
                code => Some(format!("{code:?}")),
            };
            Signal::Subscribed(ack.return_codes.iter().map(refusal).collect())
        }
        v5::Event::Outgoing(v5::Outgoing::Disconnect) => Signal::DisconnectLeft,
        _ => Signal::Other,
    }
}

fn three_signal(event: v4::Event) -> Signal {
    match event {
        v4::Event::Incoming(v4::Packet::Publish(publish)) => Signal::Publish(Publish {
            topic: publish.topic,
            payload: publish.payload,
            packet_id: publish.pkid,
            dup: publish.dup,
            retain: publish.retain,
        }),
        v4::Event::Outgoing(v4::Outgoing::PubAck(packet_id)) => Signal::AckLeft(packet_id),
        v4::Event::Outgoing(v4::Outgoing::PingReq) => Signal::PingLeft,
        v4::Event::Incoming(v4::Packet::PingResp) => Signal::PingAnswered,
        v4::Event::Outgoing(v4::Outgoing::Unsubscribe(_)) => Signal::ProbeLeft,
        v4::Event::Incoming(v4::Packet::UnsubAck(_)) => Signal::ProbeAnswered,
        v4::Event::Incoming(v4::Packet::ConnAck(ack)) => Signal::Connected {
            session_present: ack.session_present,
        },
        v4::Event::Incoming(v4::Packet::SubAck(ack)) => {
            let refusal = |code: &v4::SubscribeReasonCode| match code {
                v4::SubscribeReasonCode::Success(_) => None,
                v4::SubscribeReasonCode::Failure => Some("Failure".to_owned()),
            };
            Signal::Subscribed(ack.return_codes.iter().map(refusal).collect())
        }
        v4::Event::Outgoing(v4::Outgoing::Disconnect) => Signal::DisconnectLeft,
        _ => Signal::Other,
    }
}

fn five_error(error: &v5::ConnectionError, connected: bool) -> LinkError {
    use v5::ConnectReturnCode as Code;
    use v5::{ConnectionError, StateError};
    let maybe_protocol = !connected
        && matches!(
            error,
            ConnectionError::ConnectionRefused(
                Code::UnsupportedProtocolVersion
                    | Code::RefusedProtocolVersion
                    | Code::MalformedPacket
                    | Code::ProtocolError
            ) | ConnectionError::MqttState(
                StateError::Deserialization(_) | StateError::ConnectionAborted
            ) | ConnectionError::NotConnAck(_)
        );
    let message = match error {
        ConnectionError::ConnectionRefused(code) => refused(code),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => {
            let reason = reason_string.as_deref().unwrap_or("no reason given");
            let hint = match reason_code {
                v5::DisconnectReasonCode::SessionTakenOver => {
                    "; another client uses this client id: every daemon needs its own"
                }
                _ => "",
            };
            format!("the broker closed the connection: {reason_code:?} ({reason}){hint}")
        }
        error => broken(error, connected),
    };
    LinkError {
        message,
        maybe_protocol,
    }
}

fn three_error(error: &v4::ConnectionError, connected: bool) -> LinkError {
    use v4::{ConnectionError, StateError};
    let maybe_protocol = !connected
        && matches!(
            error,
            ConnectionError::ConnectionRefused(v4::ConnectReturnCode::RefusedProtocolVersion)
                | ConnectionError::MqttState(
                    StateError::Deserialization(_) | StateError::ConnectionAborted
                )
                | ConnectionError::NotConnAck(_)
        );
    let message = match error {
        ConnectionError::ConnectionRefused(code) => refused(code),
        error => broken(error, connected),
    };
    LinkError {
        message,
        maybe_protocol,
    }
}

fn refused(reason: &impl fmt::Debug) -> String {
    format!(
        "the broker refused the connection: {reason:?}; check user name, password and the client id's rights"
    )
}

fn broken(error: &dyn std::error::Error, connected: bool) -> String {
    let place = if connected {
        "the connection broke"
    } else {
        "cannot connect"
    };
    let mut message = format!("{place}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !message.contains(&cause_text) {
            message = format!("{message}: {cause_text}");
        }
        source = cause.source();
    }
    message
}
