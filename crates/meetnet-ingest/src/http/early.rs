//! The push listener before there is a journal to take a message: whoever sends is asked to come again.
//!
//! ```text
//! start of the process ─▶ every request: 503, Retry-After ─▶ EarlyPush::end ─▶ push_router, on the same port
//! ```
//!
//! It knows no source and no credential, reads no body, and stores nothing.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::listener::HttpServer;

#[cfg(test)]
mod tests;

/// How long requests may take that have begun when it ends: they are answered at once, and what is longer on its way is
/// only the head.
const END_TIME_MAX: Duration = Duration::from_millis(500);

/// A push listener that takes nothing yet.
#[derive(Debug)]
pub struct EarlyPush {
    /// Another handle on the socket that is served: what connects between the two waits in the system's backlog.
    listener: std::net::TcpListener,
    serving: JoinHandle<io::Result<()>>,
    stop: CancellationToken,
}

impl EarlyPush {
    /// Answers every request with 503 from now on.
    ///
    /// # Errors
    /// Where the system gives no second handle on the socket.
    pub fn start(listener: TcpListener, server: &HttpServer) -> io::Result<Self> {
        let listener = listener.into_std()?;
        let served = TcpListener::from_std(listener.try_clone()?)?;
        let stop = CancellationToken::new();
        let router = Router::new().fallback(not_yet);
        let serving = tokio::spawn(server.serve(served, router, stop.clone()));
        Ok(Self {
            listener,
            serving,
            stop,
        })
    }

    /// Stops to take connections, and returns the listener: whoever serves it next meets every connection that comes from
    /// here on. Requests whose heads have come are answered as before; those that are still on their way are cut off.
    ///
    /// # Errors
    /// Where the system does not give the socket back.
    pub async fn end(self) -> io::Result<TcpListener> {
        let Self {
            listener,
            mut serving,
            stop,
        } = self;
        stop.cancel();
        // Nobody waits for connections that a sender holds open.
        if tokio::time::timeout(END_TIME_MAX, &mut serving)
            .await
            .is_err()
        {
            serving.abort();
            drop(serving.await);
        }
        TcpListener::from_std(listener)
    }
}

async fn not_yet() -> Response {
    let detail = "the journal is still being read after a start: send it again".to_owned();
    let mut response = Answer::NotJournalled { detail }.into_response();
    // A connection that stayed would never meet the listener that takes messages.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}
