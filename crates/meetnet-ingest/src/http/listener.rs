//! What serves the push listener: the HTTP server of the program, which bounds connections, heads and idle time for readers
//! as well. This crate knows how a push is answered, and leaves the connections to it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A listener that is being served.
type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Serves a router on a listener until a token is cancelled and requests that have begun are answered; cheap to clone.
///
/// It notes a `ClientAddress` among the extensions of each request: requests without one are one client's.
#[derive(Clone)]
pub struct HttpServer(Arc<dyn Fn(TcpListener, Router, CancellationToken) -> Serving + Send + Sync>);

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").finish_non_exhaustive()
    }
}

impl HttpServer {
    /// Serves as `serve` does. It returns an error where the listener fails for good.
    pub fn new<S, F>(serve: S) -> Self
    where
        S: Fn(TcpListener, Router, CancellationToken) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let boxed = move |listener: TcpListener,
                          router: Router,
                          stop: CancellationToken|
              -> Serving { Box::pin(serve(listener, router, stop)) };
        Self(Arc::new(boxed))
    }

    pub(crate) fn serve(
        &self,
        listener: TcpListener,
        router: Router,
        stop: CancellationToken,
    ) -> Serving {
        (self.0)(listener, router, stop)
    }
}
