//! A socket that joins small writes: acknowledgements leave as one write per burst instead of one each.
//!
//! `rumqttc event loop -> [socket] -> TCP`
//!
//! The event loop admits control packets one at a time and flushes after each, so every 4-byte PUBACK would cost a
//! system call here and a wake-up at the broker. This wrapper keeps flushed bytes until the event loop turns to
//! reading, which is the next thing it does when no more requests wait: latency does not grow. Below TLS it sees
//! records and behaves the same. It is no general buffer: after [`WriteThrough::set`] a flush is a flush, for the last
//! packets of a connection, after which nobody reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(test)]
mod tests;

/// Bytes beyond which a flush is not put off any longer.
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// Makes a socket flush at once from now on.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteThrough(Arc<AtomicBool>);

impl WriteThrough {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The wrapper.
pub(crate) struct JoiningSocket<S> {
    inner: S,
    /// Bytes accepted from the event loop and not yet written to the socket.
    pending: Vec<u8>,
    /// How many of `pending` the socket has taken.
    written: usize,
    through: WriteThrough,
}

impl<S: AsyncWrite + Unpin> JoiningSocket<S> {
    pub(crate) fn new(inner: S, through: WriteThrough) -> Self {
        Self {
            inner,
            pending: Vec::with_capacity(4096),
            written: 0,
            through,
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            let rest = &self.pending[self.written..];
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.pending.clear();
        self.written = 0;
        Pin::new(&mut self.inner).poll_flush(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for JoiningSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.pending.is_empty()
            && let Poll::Ready(Err(error)) = self.poll_drain(cx)
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for JoiningSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pending.len() >= JOINED_BYTES_MAX {
            ready!(self.poll_drain(cx))?;
        }
        self.pending.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.through.is_set() || self.pending.len() >= JOINED_BYTES_MAX {
            return self.poll_drain(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
