//! Cancel requests: they come on a connection of their own and name another by a number and a secret.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The connections that can be told to stop.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    last: AtomicI32,
    open: Mutex<HashMap<i32, (i32, Arc<Notify>)>>,
}

impl Connections {
    /// Adds a connection; it is known until the handle is dropped.
    pub(crate) fn add(self: &Arc<Self>) -> CancelHandle {
        // Some clients take it for a process id: from 1, and never negative.
        let id = self.last.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let id = id.saturating_add(1);
        let secret: i32 = rand::random();
        let cancelled = Arc::new(Notify::new());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(id, (secret, Arc::clone(&cancelled)));
        drop(open);
        CancelHandle {
            id,
            secret,
            cancelled,
            connections: Arc::clone(self),
        }
    }

    /// Stops what a connection runs now, where the secret is its own. A request that comes too late stops nothing.
    pub(crate) fn cancel(&self, id: i32, secret: i32) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, cancelled)) = open.get(&id)
            && *known == secret
        {
            cancelled.notify_waiters();
        }
    }
}

/// One connection's place among [`Connections`].
#[derive(Debug)]
pub(crate) struct CancelHandle {
    pub(crate) id: i32,
    pub(crate) secret: i32,
    pub(crate) cancelled: Arc<Notify>,
    connections: Arc<Connections>,
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        let open = &self.connections.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.id);
    }
}
