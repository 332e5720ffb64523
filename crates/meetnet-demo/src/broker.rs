//! The demo's MQTT broker: rumqttd inside this process, on loopback, for MQTT 3.1.1 and 5 on one port.
//!
//! ```text
//! client ──▶ front (own listener: counts, limits, looks at the CONNECT) ──┬─ level 5 ─▶ rumqttd, MQTT 5
//!                                                                         └─ else ───▶ rumqttd, MQTT 3.1.1
//! ```
//!
//! rumqttd speaks one protocol version per port, reports a taken port in its log only and cannot be stopped. The
//! front answers all three: it binds before anything starts, picks the version from the first packet, and dropping
//! [`Broker`] closes its listener and connections. It is not a broker for production: no passwords, messages and
//! sessions in memory only, at most 100 unacknowledged messages per connection, acknowledgements in order.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// Largest message that the broker takes, bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Most connections at a time.
pub const CONNECTIONS_MAX: usize = 200;
/// Directive for the log filter: rumqttd reports every closed connection as an error.
pub const QUIET_LOG_DIRECTIVE: &str = "rumqttd=off";

/// Memory for the messages of one topic filter, as segments of the in-memory log: a subscriber that is away for
/// longer than these hold loses the oldest. At the demo's 30 kB/s that is about a quarter of an hour.
const SEGMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
const SEGMENTS_MAX: usize = 8;
/// rumqttd's fixed window of unacknowledged messages per connection.
const INFLIGHT_MAX: usize = 100;
/// How long a new connection may take to send its CONNECT.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long rumqttd may take to listen.
const START_TIME_MAX: Duration = Duration::from_secs(5);

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address is not on loopback.
    #[error(
        "the demo broker asks for no password, so it listens on loopback only, not on {addr}; use 127.0.0.1"
    )]
    NotLoopback {
        /// The refused address.
        addr: SocketAddr,
    },
    /// The address cannot be bound.
    #[error(
        "cannot listen for MQTT on {addr}; stop the program that uses the port, or choose another with --mqtt"
    )]
    Bind {
        /// The wanted address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A thread or an inner port could not be had.
    #[error("cannot start the demo broker")]
    Start {
        /// What the system says.
        source: io::Error,
    },
}

/// A running broker; dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Broker {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    front: Option<JoinHandle<()>>,
}

impl Broker {
    /// Returns the address that clients connect to; with port 0 asked for, the port that the system gave.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Dropping the sender wakes the front as well as a message would.
        drop(self.stop.take());
        if let Some(front) = self.front.take()
            && front.join().is_err()
        {
            tracing::error!("the demo broker's listener had panicked");
        }
    }
}

/// Starts a broker at `addr` in threads of its own and returns once it takes connections.
pub fn start_broker(addr: SocketAddr) -> Result<Broker, BrokerError> {
    if !addr.ip().is_loopback() {
        return Err(BrokerError::NotLoopback { addr });
    }
    let bind = |source| BrokerError::Bind { addr, source };
    let start = |source| BrokerError::Start { source };
    let listener = std::net::TcpListener::bind(addr).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    let addr = listener.local_addr().map_err(bind)?;

    let inner = start_rumqttd().map_err(start)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(start)?;
    let (stop, stopped) = oneshot::channel();
    let front = thread::Builder::new()
        .name("mqtt-front".to_owned())
        .spawn(move || {
            // Leaving the block drops the runtime, and with it every connection's task.
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, inner) => {}
                    _ = stopped => {}
                }
            });
        })
        .map_err(start)?;
    Ok(Broker {
        addr,
        stop: Some(stop),
        front: Some(front),
    })
}

/// Where rumqttd listens for each protocol version.
#[derive(Clone, Copy, Debug)]
struct InnerAddresses {
    v4: SocketAddr,
    v5: SocketAddr,
}

fn start_rumqttd() -> io::Result<InnerAddresses> {
    let inner = InnerAddresses {
        v4: free_address()?,
        v5: free_address()?,
    };
    let server = |name: &str, listen| {
        let settings = rumqttd::ServerSettings {
            name: name.to_owned(),
            listen,
            tls: None,
            next_connection_delay_ms: 0,
            connections: rumqttd::ConnectionSettings {
                connection_timeout_ms: CONNECT_TIME_MAX.as_millis() as u16,
                max_payload_size: MESSAGE_BYTES_MAX,
                max_inflight_count: INFLIGHT_MAX,
                auth: None,
                external_auth: None,
                dynamic_filters: true,
            },
        };
        Some(HashMap::from([(name.to_owned(), settings)]))
    };
    let config = rumqttd::Config {
        router: rumqttd::RouterConfig {
            max_connections: CONNECTIONS_MAX,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES_MAX,
            max_segment_count: SEGMENTS_MAX,
            ..rumqttd::RouterConfig::default()
        },
        v4: server("mqtt-v4", inner.v4),
        v5: server("mqtt-v5", inner.v5),
        ..rumqttd::Config::default()
    };
    thread::Builder::new()
        .name("mqtt-broker".to_owned())
        .spawn(move || {
            if let Err(error) = rumqttd::Broker::new(config).start() {
                tracing::error!(%error, "the demo broker stopped");
            }
        })?;
    wait_for_listener(inner.v4)?;
    wait_for_listener(inner.v5)?;
    Ok(inner)
}

/// Returns a loopback address with a port that was free just now; rumqttd takes addresses, not listeners.
fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn wait_for_listener(addr: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + START_TIME_MAX;
    loop {
        match std::net::TcpStream::connect(addr) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

async fn serve(listener: std::net::TcpListener, inner: InnerAddresses) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot take MQTT connections");
            return;
        }
    };
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Connections beyond the limit wait in the system's queue until one closes.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, peer)) => {
                tokio::spawn(async move {
                    if let Err(error) = forward(client, inner).await {
                        tracing::debug!(%peer, %error, "MQTT connection closed");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file handles, as a rule: give the others time to close theirs.
                tracing::warn!(%error, "cannot accept an MQTT connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn forward(mut client: TcpStream, inner: InnerAddresses) -> io::Result<()> {
    let (head, level) = tokio::time::timeout(CONNECT_TIME_MAX, read_connect_head(&mut client))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no CONNECT packet in time"))??;
    let target = if level == 5 { inner.v5 } else { inner.v4 };
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    server.write_all(&head).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Reads the beginning of a CONNECT packet; returns the bytes read and the protocol level in them.
async fn read_connect_head(client: &mut TcpStream) -> io::Result<(Vec<u8>, u8)> {
    let not_mqtt = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the first packet is no MQTT CONNECT",
        )
    };
    let mut head = vec![client.read_u8().await?];
    if head[0] != 0x10 {
        return Err(not_mqtt());
    }
    // The remaining length: one to four bytes, the last one without the high bit.
    for _ in 0..4 {
        let byte = client.read_u8().await?;
        head.push(byte);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // Length and text of the protocol name ("MQTT", in old clients "MQIsdp"), then the level.
    let name_length = client.read_u16().await?;
    if name_length > 6 {
        return Err(not_mqtt());
    }
    head.extend(name_length.to_be_bytes());
    let mut rest = [0; 7];
    let rest = &mut rest[..usize::from(name_length) + 1];
    client.read_exact(rest).await?;
    head.extend_from_slice(rest);
    Ok((head, rest[rest.len() - 1]))
}

#[cfg(test)]
mod tests;
