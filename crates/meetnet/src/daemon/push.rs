//! Serves the listener of pushes as the one of readers is served, with limits of its own.

use std::time::Duration;

use anyhow::Context;
use meetnet_ingest::http::{EarlyPush, HttpServer};
use meetnet_publish::{ServeLimits, serve_behind};
use tokio::net::TcpListener;

use crate::config::{Config, IngestHttpConfig};
use crate::failure::Failure;

/// Has the listener of pushes answer that nothing is taken yet; none where nothing is pushed.
///
/// # Errors
/// `Work` where the system gives no second handle on its socket.
pub(super) fn early(
    config: &Config,
    listener: Option<TcpListener>,
) -> Result<Option<EarlyPush>, Failure> {
    let (Some(ingest), Some(listener)) = (&config.ingest_http, listener) else {
        return Ok(None);
    };
    let push = EarlyPush::start(listener, &server(ingest, config.limits.stop_time_max))
        .context("failed to serve the listener of pushes")
        .map_err(Failure::Work)?;
    Ok(Some(push))
}

/// Returns what serves the listener of pushes, for a process that stops in `stop_time_max`.
pub(super) fn server(ingest: &IngestHttpConfig, stop_time_max: Duration) -> HttpServer {
    let limits = ServeLimits {
        // All sources together have the whole of it: what is cut off here was not acknowledged, and is sent again.
        drain_time_max: stop_time_max / 2,
        ..ingest.connections
    };
    let clients = ingest.clients.clone();
    HttpServer::new(move |listener, router, stop| {
        let stopped = stop.cancelled_owned();
        serve_behind(listener, router, limits, clients.clone(), stopped, || {})
    })
}
