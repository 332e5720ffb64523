//! The validated options of one broker connection, and the reading of broker URLs and topic patterns.
//!
//! They come from the configuration with secrets already resolved. Nothing here connects.

use std::fmt;
use std::time::Duration;

use meetnet_decode::TopicPattern;
use meetnet_model::ids::SourceId;

#[cfg(test)]
mod tests;

/// Which protocol version to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtocolChoice {
    /// MQTT 5, and 3.1.1 where the broker refuses it.
    #[default]
    FiveOrThree,
    /// MQTT 5 only.
    Five,
    /// MQTT 3.1.1 only.
    Three,
}

/// The quality of service to subscribe with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qos {
    /// No promises: what comes while the journal is full is counted as lost.
    AtMostOnce,
    /// Acknowledged after the journal's sync.
    #[default]
    AtLeastOnce,
}

/// Which retained messages are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Retained {
    /// None: what a broker keeps is from before.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of topics that one of the patterns takes.
    Of(Vec<TopicPattern>),
}

impl Retained {
    /// Returns true where the retained messages of a topic are taken.
    pub(crate) fn takes(&self, topic: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(patterns) => patterns.iter().any(|pattern| pattern.takes(topic)),
        }
    }

    /// Returns true where none are taken, whatever their topic is.
    pub(crate) fn is_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::All => false,
            Self::Of(patterns) => patterns.is_empty(),
        }
    }
}

/// Which authorities may sign a broker's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsRoots {
    /// Those of the system.
    #[default]
    System,
    /// The PEM certificates given.
    Pem(Vec<u8>),
}

/// The certificate by which a broker knows this client, beside or instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// PEM certificates, the client's own first.
    pub certificates: Vec<u8>,
    /// The PEM private key of the first certificate, already resolved.
    pub key: Vec<u8>,
}

impl fmt::Debug for TlsIdentity {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(…)")
    }
}

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Host name or address; IPv6 in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is TLS (`mqtts://`, `wss://`).
    pub tls: bool,
    /// What is asked for in the handshake of a websocket (`ws://`, `wss://`): path and query. None: no websocket.
    pub websocket: Option<String>,
}

/// What is wrong with the options of a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The URL has another form.
    #[error(
        "broker URL `{url}`: {reason}; write mqtt://HOST[:PORT] or mqtts://HOST[:PORT], over websockets \
         ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"
    )]
    Url {
        /// The URL, without what looks like credentials, and without its query.
        url: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A topic pattern cannot be read.
    #[error("{0}")]
    Topic(String),
    /// A source subscribes to nothing.
    #[error("no topics: name at least one")]
    NoTopics,
    /// A limit is out of range.
    #[error("`{name}` is {value}: it must lie between {min} and {max}")]
    Limit {
        /// The option.
        name: &'static str,
        /// Its value.
        value: u64,
        /// Smallest accepted.
        min: u64,
        /// Largest accepted.
        max: u64,
    },
}

/// The options of one MQTT source.
#[derive(Clone, PartialEq)]
pub struct MqttOptions {
    /// Where the broker is.
    pub url: Url,
    /// User name, if the broker asks for one.
    pub username: Option<String>,
    /// Password, already resolved.
    pub password: Option<String>,
    /// The fixed client id: the broker's session hangs on it. Two daemons must not share one.
    pub client_id: String,
    /// Which protocol version to speak.
    pub protocol: ProtocolChoice,
    /// Quality of service of the subscription.
    pub qos: Qos,
    /// Topic patterns as declared, with `{captures}`.
    pub topics: Vec<String>,
    /// Most publishes the broker may have sent without our acknowledgement (the receive maximum); also the size of
    /// the DUP window. Throughput is at most this over the acknowledgement latency.
    pub inflight_max: u16,
    /// Largest payload taken whole; a larger one becomes a truncated envelope, that is a reject.
    pub envelope_bytes_max: usize,
    /// Largest packet that is read at all (MQTT 5): the broker is told and drops what is larger.
    pub packet_bytes_max: u32,
    /// Most payload bytes held in memory while the journal is full; beyond it the connection is dropped until there is
    /// room, and the broker keeps the messages.
    pub held_bytes_max: usize,
    /// Longest silence before a PINGREQ.
    pub keep_alive: Duration,
    /// How long the broker keeps the session while we are away (MQTT 5).
    pub session_expiry: Duration,
    /// Which retained messages are taken. With MQTT 5 the broker sends them with a new subscription, and once where this has
    /// changed; with MQTT 3.1.1 at the first subscription of each process.
    pub retained: Retained,
    /// Whether to watch `$SYS/broker/publish/messages/dropped`, where the broker has it.
    pub watch_broker_drops: bool,
    /// Longest pause between two connection attempts.
    pub backoff_max: Duration,
    /// Who may sign the broker's certificate.
    pub tls_roots: TlsRoots,
    /// The client's certificate, where the broker asks for one.
    pub tls_identity: Option<TlsIdentity>,
}

/// Largest packet that MQTT can frame.
const PACKET_BYTES_MAX: u64 = 268_435_455;
/// Largest frame of a websocket that the client library reads: what is larger would break the connection, and be sent
/// again for ever.
const FRAME_BYTES_MAX: u64 = 16 << 20;
/// What is asked for where the URL of a websocket has no path: most brokers expect it, Mosquitto takes any.
const WEBSOCKET_PATH: &str = "/mqtt";

/// The head that is kept of an oversized payload.
pub(crate) const OVERSIZED_HEAD_BYTES: usize = 64 * 1024;

impl MqttOptions {
    /// Returns the defaults for a broker and topics.
    pub fn new(url: Url, client_id: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            url,
            username: None,
            password: None,
            client_id: client_id.into(),
            protocol: ProtocolChoice::default(),
            qos: Qos::default(),
            topics,
            inflight_max: 2_000,
            envelope_bytes_max: 256 * 1024,
            packet_bytes_max: 16 * 1024 * 1024,
            held_bytes_max: 64 * 1024 * 1024,
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_secs(7 * 24 * 3600),
            retained: Retained::None,
            watch_broker_drops: true,
            backoff_max: Duration::from_secs(30),
            tls_roots: TlsRoots::default(),
            tls_identity: None,
        }
    }

    /// Returns the client id of a source: fixed for a journal, so that the broker's session is found again.
    pub fn default_client_id(journal_id: &str, source: &SourceId) -> String {
        let short: String = journal_id
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect();
        format!("meetnet-{short}-{source}")
    }

    /// Checks limits and topics, and returns the MQTT filters to subscribe to.
    ///
    /// # Errors
    /// [`OptionsError`] names the option and what is accepted.
    pub fn filters(&self) -> Result<Vec<String>, OptionsError> {
        let check = |name, value: u64, min: u64, max: u64| {
            let fits = (min..=max).contains(&value);
            if fits {
                Ok(())
            } else {
                Err(OptionsError::Limit {
                    name,
                    value,
                    min,
                    max,
                })
            }
        };
        check("inflight_max", u64::from(self.inflight_max), 1, 65_535)?;
        check(
            "envelope_bytes_max",
            self.envelope_bytes_max as u64,
            1,
            64 << 20,
        )?;
        let topic_and_headers = 128 * 1024;
        let packet_min = self.envelope_bytes_max as u64 + topic_and_headers;
        let packet_max = match self.url.websocket {
            Some(_) => FRAME_BYTES_MAX,
            None => PACKET_BYTES_MAX,
        };
        check(
            "packet_bytes_max",
            u64::from(self.packet_bytes_max),
            packet_min,
            packet_max,
        )?;
        check("keep_alive", self.keep_alive.as_secs(), 1, 65_535)?;
        if self.topics.is_empty() {
            return Err(OptionsError::NoTopics);
        }
        let filter = |topic: &String| match TopicPattern::parse(topic) {
            Ok(pattern) => Ok(pattern.subscription()),
            Err(problem) => Err(OptionsError::Topic(problem.to_string())),
        };
        self.topics.iter().map(filter).collect()
    }
}

impl fmt::Debug for MqttOptions {
    /// Leaves user name, password and query out: options end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttOptions")
            .field("url", &self.url.to_string())
            .field("client_id", &self.client_id)
            .field("protocol", &self.protocol)
            .field("qos", &self.qos)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl Url {
    /// Returns the address that the handshake of a websocket names, path and query included; none without websocket.
    pub(crate) fn websocket_address(&self) -> Option<String> {
        let target = self.websocket.as_deref()?;
        let Self { host, port, .. } = self;
        Some(format!("{}://{host}:{port}{target}", self.scheme()))
    }

    fn scheme(&self) -> &'static str {
        match (self.websocket.is_some(), self.tls) {
            (false, false) => "mqtt",
            (false, true) => "mqtts",
            (true, false) => "ws",
            (true, true) => "wss",
        }
    }
}

impl fmt::Display for Url {
    /// Leaves the query out: it may hold what is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.websocket.as_deref().unwrap_or("");
        let path = without_query(target);
        write!(f, "{}://{}:{}{path}", self.scheme(), self.host, self.port)
    }
}

fn without_query(text: &str) -> &str {
    text.split_once('?').map_or(text, |(path, _)| path)
}

impl std::str::FromStr for Url {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let fail = |reason| {
            let visible = match text.rsplit_once('@') {
                // It cannot be told what is password and what is query.
                Some((before, _)) if before.contains('?') => "",
                Some((_, behind)) => behind,
                None => text,
            };
            Err(OptionsError::Url {
                url: without_query(visible).to_owned(),
                reason,
            })
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return fail("unknown scheme");
        };
        let (is_websocket, tls, default_port) = match scheme {
            "mqtt" => (false, false, 1883),
            "mqtts" => (false, true, 8883),
            "ws" => (true, false, 80),
            "wss" => (true, true, 443),
            _ => return fail("unknown scheme"),
        };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(authority_end);
        if authority.contains('@') || (!is_websocket && target.contains('@')) {
            return fail("credentials do not belong here; use `username` and `password`");
        }
        let websocket = match (is_websocket, target) {
            (false, "" | "/") => None,
            (false, _) => return fail("a path or query has no meaning without websockets"),
            (true, target) if !target.bytes().all(is_target_byte) => {
                return fail("path and query are letters, digits and % escapes, without fragment");
            }
            (true, target) if target.starts_with('/') => Some(target.to_owned()),
            (true, query) => Some(format!("{WEBSOCKET_PATH}{query}")),
        };
        // An IPv6 address has colons of its own, inside brackets.
        let port_at = authority
            .rfind(':')
            .filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match port_at {
            None => (authority, default_port),
            Some(at) => match authority[at + 1..].parse() {
                Ok(port) => (&authority[..at], port),
                Err(_) => return fail("the port is no number up to 65535"),
            },
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return fail("the host is missing");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            tls,
            websocket,
        })
    }
}

/// Returns true for what may stand in path and query of a URL (RFC 3986).
fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/?".contains(&byte)
}
