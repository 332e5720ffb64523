//! The listener: accepts connections within limits, and ends them in time.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::stream;
use meetnet_model::network::ClientCounts;
use meetnet_query::{QueryService, accepted};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tonic::transport::Server;
use tracing::{debug, warn};

use crate::connection::{Connection, Peer, Place, Stream};
use crate::gate::Gate;
use crate::info::Info;
use crate::login::Door;
use crate::options::{FlightLimits, FlightOptions};
use crate::service::SqlService;

/// Connections that wait to be served.
const WAITING_MAX: usize = 16;
/// How often a client that says nothing is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(20);

/// Serves the datasets of `service` until `shutdown` completes and running calls are done.
///
/// # Errors
/// Only where the listener itself is unusable; errors of single connections are logged at debug.
pub async fn serve(
    listener: TcpListener,
    service: QueryService,
    options: FlightOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    listener.local_addr()?;
    let limits = options.limits;
    let info = Info::new(service.options()).map_err(io::Error::other)?;
    let queries = service.clone();
    let gate = Gate::new(Door::new(&options), SqlService::new(service, limits, info));
    let flight = FlightServiceServer::new(gate).max_decoding_message_size(limits.request_bytes_max);

    let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
    let (cut_sender, cut) = watch::channel(());
    let incoming = stream::poll_fn(move |context| {
        let next: Poll<Option<Connection>> = receiver.poll_recv(context);
        next.map(|connection| connection.map(Ok::<_, io::Error>))
    });
    // Accepting ends at the signal, and with it the connections that come in: then those that are open are told to end.
    let serving = Server::builder()
        .max_concurrent_streams(limits.calls_max)
        .max_connection_age(limits.connection_time_max)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME_MAX))
        .add_service(flight)
        .serve_with_incoming_shutdown(incoming, std::future::pending::<()>());
    let mut serving = std::pin::pin!(serving);
    let tls = options.access.tls.map(|config| {
        let mut config = ServerConfig::clone(&config);
        // Clients of gRPC insist that it is agreed on.
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    });
    let accepting = accept(listener, tls, limits, Served { sender, cut }, shutdown);
    tokio::select! {
        () = accepting => {}
        ended = &mut serving => return ended.map_err(io::Error::other),
    }
    if timeout(limits.drain_time_max, &mut serving).await.is_err() {
        warn!("cut off connections of Flight SQL clients whose calls did not end in time");
        queries.cut_off();
        drop(cut_sender);
        serving.await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// Where accepted connections go.
#[derive(Clone)]
struct Served {
    sender: mpsc::Sender<Connection>,
    cut: watch::Receiver<()>,
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: FlightLimits,
    served: Served,
    shutdown: impl Future<Output = ()> + Send,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let counts = ClientCounts::new(limits.connections_per_client_max);
    let mut opening = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (attempt, permit) = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = opening.join_next() => continue,
            // The permit comes first: at the limit nothing is accepted, and the kernel's backlog holds the rest.
            attempt = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (listener.accept().await, permit)
            } => attempt,
        };
        let Some((stream, peer)) = accepted(attempt).await else {
            continue;
        };
        let Ok(permit) = permit else {
            break; // The semaphore is never closed.
        };
        let Some(slot) = counts.enter(peer.ip()) else {
            // Clients try again later by themselves, and say that the service is unavailable.
            metrics::counter!("meetnet_flight_connections_refused_total").increment(1);
            continue;
        };
        metrics::counter!("meetnet_flight_connections_total").increment(1);
        let peer = Peer::new(peer.ip());
        let login_end = Instant::now() + limits.login_time_max;
        let (tls, served, place) = (tls.clone(), served.clone(), Place::new(permit, slot));
        opening.spawn(async move {
            match timeout_at(login_end, opened(stream, tls)).await {
                Ok(Ok(stream)) => {
                    let connection = Connection::new(stream, peer, place, served.cut, login_end);
                    // The service has stopped, or it takes it.
                    let _ = served.sender.send(connection).await;
                }
                Ok(Err(error)) => debug!(%error, "a client did not get as far as its first call"),
                Err(_elapsed) => debug!("a client did not set TLS up in time"),
            }
        });
    }
}

/// Returns a connection, with TLS where there is a certificate.
async fn opened(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Box<dyn Stream>> {
    // Answers are written in few large pieces; waiting for more to send would only delay the small ones.
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => Ok(Box::new(tls.accept(stream).await?)),
        None => Ok(Box::new(stream)),
    }
}
