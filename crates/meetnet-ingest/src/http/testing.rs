//! A push listener on a port of its own, whose journal is memory and whose pipeline the test plays.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::middleware::map_request;
use flate2::Compression;
use flate2::write::GzEncoder;
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::network::ClientAddress;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::WireFormat;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{HttpServer, PushLimits, PushSource, PushState, push_router};
use crate::intake::memory::MemorySink;
use crate::outcomes::{Outcome, OutcomeRegistry};
use crate::status::Statuses;

pub(super) struct Server {
    address: std::net::SocketAddr,
    pub(super) sink: Arc<MemorySink>,
    pub(super) outcomes: OutcomeRegistry,
    pub(super) statuses: Statuses,
    pub(super) state: PushState,
    shutdown: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A push source without token, name and path of its own.
pub(super) fn source(id: &str, format: WireFormat) -> PushSource {
    PushSource {
        id: SourceId::new(id),
        format,
        token: None,
        name: None,
        path: None,
        requests_per_second_max: 1_000,
    }
}

/// The key of every test.
pub(super) fn key() -> PrivacyKey {
    PrivacyKey::new("a secret for tests only")
}

/// A server of these sources whose journal syncs at once.
pub(super) async fn serving(sources: Vec<PushSource>) -> Server {
    server(sources, true, limits(), 10).await
}

/// Serves without any limit. Who says so in a header is another client.
pub(super) fn plain_server() -> HttpServer {
    HttpServer::new(
        |listener: TcpListener, router: Router, stop: CancellationToken| async move {
            let router = router.layer(map_request(named_client));
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        },
    )
}

async fn named_client(mut request: Request<Body>) -> Request<Body> {
    let named = request.headers().get("x-test-client");
    let address = named.map(|name| name.to_str().unwrap().parse().unwrap());
    request.extensions_mut().insert(ClientAddress(address));
    request
}

pub(super) async fn server(
    sources: Vec<PushSource>,
    auto_sync: bool,
    limits: PushLimits,
    waiting_max: usize,
) -> Server {
    let (sink, intake) = MemorySink::new(auto_sync);
    let outcomes = OutcomeRegistry::new(waiting_max);
    let statuses = Statuses::default();
    let state = PushState::new(sources, limits, intake, outcomes.clone(), &statuses, key());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    state.listening();
    let router = push_router(state.clone());
    tokio::spawn(plain_server().serve(listener, router, shutdown.clone()));
    Server {
        address,
        sink,
        outcomes,
        statuses,
        state,
        shutdown,
    }
}

pub(super) fn limits() -> PushLimits {
    PushLimits {
        body_bytes_max: 10_000,
        inflated_bytes_max: 20_000,
        body_wait: Duration::from_millis(300),
        sync_wait: Duration::from_millis(300),
        outcome_wait: Duration::from_millis(300),
        ..PushLimits::default()
    }
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
}

impl Server {
    pub(super) async fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        let length = format!("Content-Length: {}", body.len());
        let mut all = headers.to_vec();
        all.push(&length);
        self.raw(path, &all, body).await
    }

    pub(super) async fn raw(&self, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: meetnet\r\nConnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        self.send(format!("{head}\r\n").as_bytes(), body).await
    }

    /// Opens a connection, sends what may be part of a request, and keeps it open.
    pub(super) async fn open(&self, sent: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream
    }

    /// Sends a request byte by byte as a device writes it, and ends the connection.
    pub(super) async fn send(&self, head: &[u8], body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head).await.unwrap();
        // The answer may come before the body was read.
        let _ = stream.write_all(body).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = headers
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        Reply {
            status,
            headers: headers.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Returns everything that was journalled, as text: to look for what must not be in it.
    pub(super) fn journalled(&self) -> String {
        let taken = self.sink.taken();
        let texts = taken.iter().map(|taken| {
            let payload = String::from_utf8_lossy(&taken.payload);
            format!(
                "{} {} {:?} {payload}",
                taken.source, taken.topic, taken.meta
            )
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Plays the pipeline: reports `outcome` for each of the next envelopes.
    pub(super) fn decode_next(&self, outcome: Outcome) {
        let (outcomes, first) = (self.outcomes.clone(), self.sink.taken().len() as u64 + 1);
        tokio::spawn(async move {
            while !outcomes.is_awaited(Sequence(first)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            outcomes.report(Sequence(first), outcome);
        });
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
