//! Batches whose user gives way to others, and to the end of its query, where its work takes long.
//!
//! DataFusion's own streams give way behind 128 batches. Where what is done with each takes a tenth of a second, as with a CUBE of
//! six columns or a digest of ten thousand centroids, that is many seconds in which neither a timeout nor a client that left is
//! noticed, and another query of the same thread waits. An operator asks for its next batch once it has done with the last one,
//! so there is where it can be told to wait; also for a moment in which the journal needs the processor: see [`step_aside`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use meetnet_lake::journal::step_aside;

#[cfg(test)]
mod tests;

/// How long an operator may work at a time, if it asks for another batch then.
pub(crate) const AT_A_TIME: Duration = Duration::from_millis(10);

/// Gives the batches of a stream, and lets who asks for them wait a turn from time to time.
#[derive(Debug)]
pub(crate) struct GivingWay<S> {
    batches: S,
    at_a_time: Duration,
    /// Of the work that goes on; None behind a wait.
    since: Option<Instant>,
}

impl<S> GivingWay<S> {
    /// Lets its user work so long at a time.
    pub(crate) fn new(batches: S, at_a_time: Duration) -> Self {
        Self {
            batches,
            at_a_time,
            since: None,
        }
    }
}

impl<S: Stream + Unpin> Stream for GivingWay<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.get_mut();
        step_aside();
        match this.since {
            Some(since) if since.elapsed() >= this.at_a_time => {
                this.since = None;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(_) => {}
            None => this.since = Some(Instant::now()),
        }
        let polled = this.batches.poll_next_unpin(context);
        if polled.is_pending() {
            this.since = None;
        }
        polled
    }
}
