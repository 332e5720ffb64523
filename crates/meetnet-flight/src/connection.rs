//! One connection: bytes, its place among the others, and an end when the service stops.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use meetnet_model::network::ClientSlot;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::transport::server::Connected;

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where a connection comes from; in the extensions of each of its calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A place among the connections, counted as long as it is held.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    /// Among those of its client.
    _slot: ClientSlot,
}

impl Place {
    pub(crate) fn new(permit: OwnedSemaphorePermit, slot: ClientSlot) -> Self {
        metrics::gauge!("meetnet_flight_connections").increment(1.0);
        Self {
            _permit: permit,
            _slot: slot,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("meetnet_flight_connections").decrement(1.0);
    }
}

/// A connection that ends when its sender of `cut` goes away.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    peer: Peer,
    /// None once it was cut.
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _place: Place,
}

impl Connection {
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        peer: Peer,
        place: Place,
        mut cut: watch::Receiver<()>,
    ) -> Self {
        let cut = async move {
            // The sender is only ever dropped.
            while cut.changed().await.is_ok() {}
        };
        Self {
            stream,
            peer,
            cut: Some(Box::pin(cut)),
            _place: place,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // HTTP/2 always waits to read, so that it notices here.
        let is_cut = match &mut self.cut {
            Some(cut) => cut.as_mut().poll(context).is_ready(),
            None => true,
        };
        if is_cut {
            self.cut = None;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}
