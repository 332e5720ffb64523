//! Serves a router on a listener, be it of readers or of pushes: HTTP/1.1 with limits on connections, headers, idle time
//! and stalled readers, and a graceful end.
//!
//! Not `axum::serve`: that has no limit on connections and none on the time of a request's head or of a reader
//! that takes nothing, so that a few thousand silent clients could hold every socket. TLS and HTTP/2 are the reverse proxy's.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use meetnet_model::network::{ClientAddress, ClientCounts};
use meetnet_query::accepted;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::client::ClientSettings;
use crate::problem::{Problem, ProblemKind};
use crate::stall::StallLimit;

#[cfg(test)]
mod tests;

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Most connections at once; further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// Most connections of one client; further ones are closed. Trusted proxies have no such limit.
    pub connections_per_client_max: usize,
    /// Whether they are told so before, with 429. Some who push throw away what is refused, and send again what never
    /// arrived.
    pub are_refused_told: bool,
    /// Most bytes of the head of a request.
    pub header_bytes_max: usize,
    /// How long the head of a request may take, and how long a connection may stay idle.
    pub header_time_max: Duration,
    /// How long a client may take no bytes of its answer.
    pub stall_time_max: Duration,
    /// How long answers in progress may go on after the shutdown signal.
    pub drain_time_max: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_client_max: 256,
            are_refused_told: true,
            header_bytes_max: 96 * 1024,
            header_time_max: Duration::from_secs(15),
            stall_time_max: Duration::from_secs(60),
            drain_time_max: Duration::from_secs(10),
        }
    }
}

/// Clients at a time that are told that they have too many connections; others just find theirs closed.
const REFUSING_MAX: usize = 64;
const REFUSING_TIME_MAX: Duration = Duration::from_secs(1);
/// What hyper can work with.
const HEADER_BYTES_MIN: usize = 8192;

/// Serves `router` with the default limits until `shutdown` completes and answers in progress are done.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_with(listener, router, ServeLimits::default(), shutdown).await
}

/// As [`serve`], with other limits.
///
/// # Errors
/// As [`serve_behind`].
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_behind(
        listener,
        router,
        limits,
        ClientSettings::default(),
        shutdown,
        || {},
    )
    .await
}

/// As [`serve_with`], behind the trusted proxies of `clients`, which may have as many connections as there are, and say in
/// whose name each request comes: it has a [`ClientAddress`] among its extensions. `before_cut` is called where answers do
/// not end in time, before they are cut off.
///
/// # Errors
/// Only where the listener itself is unusable; errors of single connections are logged at debug.
pub async fn serve_behind(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    clients: ClientSettings,
    shutdown: impl Future<Output = ()> + Send,
    before_cut: impl FnOnce() + Send,
) -> io::Result<()> {
    listener.local_addr()?;
    let clients = Arc::new(clients);
    let counts = ClientCounts::new(limits.connections_per_client_max);
    let refusing = Arc::new(Semaphore::new(REFUSING_MAX));
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let (stop_sender, stop) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (attempt, permit) = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
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
        let is_proxy = clients.is_proxy(peer.ip());
        let slot = if is_proxy {
            None
        } else {
            counts.enter(peer.ip())
        };
        if slot.is_none() && !is_proxy {
            metrics::counter!("meetnet_http_connections_refused_total").increment(1);
            if limits.are_refused_told
                && let Ok(place) = Arc::clone(&refusing).try_acquire_owned()
            {
                let refusal = refuse(stream, limits.connections_per_client_max);
                connections.spawn(async move {
                    let _ = tokio::time::timeout(REFUSING_TIME_MAX, refusal).await;
                    drop(place);
                });
            }
            continue;
        }
        let service = OfPeer {
            router: TowerToHyperService::new(router.clone()),
            peer: peer.ip(),
            clients: Arc::clone(&clients),
        };
        let stop = stop.clone();
        connections.spawn(async move {
            serve_connection(stream, service, limits, stop).await;
            drop((slot, permit));
        });
    }
    drop(listener);
    drop(stop_sender);
    let drained = tokio::time::timeout(limits.drain_time_max, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        warn!(
            connections = connections.len(),
            "cut off answers that did not end in time"
        );
        before_cut();
        connections.shutdown().await;
    }
    Ok(())
}

/// Tells a client that it has too many connections.
async fn refuse(mut stream: TcpStream, most: usize) -> io::Result<()> {
    let detail = format!(
        "{most} connections are open from your network, which is the most of one client \
         (connections_per_client_max); close one of them"
    );
    let refusal = Problem::new(ProblemKind::Connections, detail).closing();
    stream.write_all(&refusal).await?;
    stream.shutdown().await?;
    // Bytes that nobody has read would reset the connection, and the answer with it.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The routes, for the requests of one connection.
struct OfPeer {
    router: TowerToHyperService<Router>,
    peer: IpAddr,
    clients: Arc<ClientSettings>,
}

impl Service<Request<Incoming>> for OfPeer {
    type Response = Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let address = self.clients.address(self.peer, request.headers());
        request.extensions_mut().insert(ClientAddress(address));
        self.router.call(request)
    }
}

async fn serve_connection(
    stream: TcpStream,
    service: OfPeer,
    limits: ServeLimits,
    mut stop: watch::Receiver<()>,
) {
    // Answers are written in few large pieces; waiting for more to send would only delay the small ones.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "failed to set TCP_NODELAY");
    }
    let stream = StallLimit::new(stream, limits.stall_time_max);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_buf_size(limits.header_bytes_max.max(HEADER_BYTES_MIN))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        // The sender is only ever dropped.
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection ended early");
    }
}
