//! Serves the listener of pushes as the one of readers is served, with limits of its own.

use std::time::Duration;

use meetnet_ingest::http::HttpServer;
use meetnet_publish::{ServeLimits, serve_behind};

use crate::config::IngestHttpConfig;

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
        serve_behind(listener, router, limits, clients.clone(), stopped)
    })
}
