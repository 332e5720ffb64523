//! Cancel requests: they come on a connection of their own and name another by a number and a secret.
//!
//! A request means what the connection does at that moment, as in PostgreSQL: the message that is being answered, from
//! its first byte to the last of its answer, planning included. Where nothing is being answered it means nothing: what
//! comes next was not meant. So it is a mark on the message and not a wake-up alone, which would be lost where nobody waits
//! just then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections that can be told to stop.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    last: AtomicI32,
    open: Mutex<HashMap<i32, (i32, Arc<Exchange>)>>,
}

impl Connections {
    /// Adds a connection; it is known until the handle is dropped.
    pub(crate) fn add(self: &Arc<Self>) -> CancelHandle {
        // Some clients take it for a process id: from 1, and never negative.
        let id = self.last.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let id = id.saturating_add(1);
        let secret: i32 = rand::random();
        let exchange = Arc::new(Exchange::default());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(id, (secret, Arc::clone(&exchange)));
        drop(open);
        CancelHandle {
            id,
            secret,
            exchange,
            connections: Arc::clone(self),
        }
    }

    /// Stops what a connection answers now, where the secret is its own. A request that comes too late, or too early, stops
    /// nothing.
    pub(crate) fn cancel(&self, id: i32, secret: i32) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, exchange)) = open.get(&id)
            && *known == secret
        {
            exchange.cancel();
        }
    }
}

/// How far a connection is with its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// It waits for one.
    #[default]
    Idle,
    Answering,
    Cancelled,
}

#[derive(Debug, Default)]
struct Exchange {
    phase: Mutex<Phase>,
    /// That the phase is another.
    changed: Notify,
}

impl Exchange {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self) {
        let mut phase = self.phase();
        if *phase == Phase::Answering {
            *phase = Phase::Cancelled;
            self.changed.notify_waiters();
        }
    }
}

/// One connection's place among [`Connections`].
#[derive(Debug)]
pub(crate) struct CancelHandle {
    pub(crate) id: i32,
    pub(crate) secret: i32,
    exchange: Arc<Exchange>,
    connections: Arc<Connections>,
}

impl CancelHandle {
    /// Begins the answer to a message: until what is returned is dropped, it can be cancelled.
    pub(crate) fn answering(&self) -> Answering {
        *self.exchange.phase() = Phase::Answering;
        Answering(Arc::clone(&self.exchange))
    }

    /// Returns true where what is being answered has been cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        *self.exchange.phase() == Phase::Cancelled
    }

    /// Ends once what is being answered has been cancelled.
    pub(crate) async fn cancelled(&self) {
        loop {
            // It hears of what comes from now on, also before it is waited for.
            let changed = self.exchange.changed.notified();
            if self.is_cancelled() {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        let open = &self.connections.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.id);
    }
}

/// The answer to one message, until it is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Exchange>);

impl Drop for Answering {
    fn drop(&mut self) {
        *self.0.phase() = Phase::Idle;
    }
}

#[cfg(test)]
mod tests;
