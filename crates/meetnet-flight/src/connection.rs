//! One connection: bytes, its place among the others, and an end when the service stops or its client never gets as far as
//! a call. HTTP/2 has no time for its preface, nor for the first call: here it is the time of a login.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use meetnet_model::network::ClientSlot;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::transport::server::Connected;

#[cfg(test)]
mod tests;

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where a connection comes from, and whether a call of it has been let in; in the extensions of each of its calls.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    is_in: Arc<AtomicBool>,
}

impl Peer {
    pub(crate) fn new(address: IpAddr) -> Self {
        Self {
            address,
            is_in: Arc::default(),
        }
    }

    /// Notes that a call of the connection has been let in: it may stay.
    pub(crate) fn let_in(&self) {
        self.is_in.store(true, Ordering::Relaxed);
    }
}

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

/// A connection that ends when its sender of `cut` goes away, or no call of it was let in by its time.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    peer: Peer,
    /// None once it was cut.
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// None once a call was let in.
    login: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Connection {
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        peer: Peer,
        place: Place,
        mut cut: watch::Receiver<()>,
        login_end: Instant,
    ) -> Self {
        let cut = async move {
            // The sender is only ever dropped.
            while cut.changed().await.is_ok() {}
        };
        Self {
            stream,
            peer,
            cut: Some(Box::pin(cut)),
            login: Some(Box::pin(sleep_until(login_end))),
            _place: place,
        }
    }

    /// Fails where no call was let in in time. Asked on every way to the stream: who reads nothing stops what is read here.
    fn check_login(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(login) = &mut self.login else {
            return Ok(());
        };
        if self.peer.is_in.load(Ordering::Relaxed) {
            self.login = None;
            return Ok(());
        }
        if login.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
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
        self.check_login(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_login(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_login(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_login(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}
