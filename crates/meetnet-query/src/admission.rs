//! Who may run now: a bounded number of running queries and a bounded queue before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{QueryError, QueryErrorKind};

/// Admits queries; a permit ends with the query that holds it.
#[derive(Debug)]
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    queued_max: usize,
    queue_time_max: Duration,
}

/// Counts one waiting query as long as it lives, also when its future is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub(crate) fn new(running_max: usize, queued_max: usize, queue_time_max: Duration) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running_max.max(1))),
            waiting: AtomicUsize::new(0),
            queued_max,
            queue_time_max,
        }
    }

    /// Returns how many more queries would be taken now: to run at once, or to wait.
    pub(crate) fn places_left(&self) -> usize {
        let waiting = self.waiting.load(Ordering::Relaxed);
        self.running.available_permits() + self.queued_max.saturating_sub(waiting)
    }

    /// Waits for a turn; `Busy` where the queue is full or the wait too long.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if waiting >= self.queued_max {
            return Err(busy("too many queries are waiting already"));
        }
        let permit = Arc::clone(&self.running).acquire_owned();
        match tokio::time::timeout(self.queue_time_max, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(closed)) => Err(QueryError::internal("admission", closed)),
            Err(_) => Err(busy("no running query ended in time")),
        }
    }
}

fn busy(why: &str) -> QueryError {
    QueryError::new(
        QueryErrorKind::Busy,
        format!("the service is busy: {why}; try again later"),
    )
}

#[cfg(test)]
mod tests;
