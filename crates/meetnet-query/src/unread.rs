//! What a query has found and its reader has not taken: as many batches as the channel between them lets through, and as many
//! bytes as the room of the client has.
//!
//! ```text
//! query ─▶ room for a batch? ─▶ waiting batches ─▶ the one the reader works on ─▶ its bytes are free again
//! ```
//!
//! The channel carries only word of each batch: so that an answer which nobody reads can be taken back.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::MemoryReservation;
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// The batches of one answer between its query and its reader.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    batches: Mutex<Batches>,
    /// That the reader has taken one, or is done with it.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Batches {
    waiting: VecDeque<(RecordBatch, MemoryReservation)>,
    /// Of the batch that the reader works on.
    taken: Option<MemoryReservation>,
    /// Nobody reads any more.
    is_closed: bool,
}

impl Unread {
    fn batches(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a batch behind the others; its bytes count until the reader is done with it.
    pub(crate) fn push(&self, batch: RecordBatch, bytes: MemoryReservation) {
        let mut batches = self.batches();
        if !batches.is_closed {
            batches.waiting.push_back((batch, bytes));
        }
    }

    /// Takes the next batch; None where there is none, or where they were given up.
    pub(crate) fn take(&self) -> Option<RecordBatch> {
        let mut batches = self.batches();
        let (batch, bytes) = batches.waiting.pop_front()?;
        batches.taken = Some(bytes);
        drop(batches);
        self.moved.notify_one();
        Some(batch)
    }

    /// Notes that the reader is done with the batch that it has taken.
    pub(crate) fn release(&self) {
        let taken = self.batches().taken.take();
        if taken.is_some() {
            drop(taken);
            self.moved.notify_one();
        }
    }

    /// Returns true where a batch waits for the reader.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.batches().waiting.is_empty()
    }

    /// Returns true where a batch waits, or is worked on.
    pub(crate) fn holds_any(&self) -> bool {
        let batches = self.batches();
        !batches.waiting.is_empty() || batches.taken.is_some()
    }

    /// Ends when the reader has taken a batch, or is done with one, since the last time this ended.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Lets go of what waits: nobody has read it in time.
    pub(crate) fn give_up(&self) {
        self.batches().waiting.clear();
    }

    /// Lets go of everything, and of what may still come: nobody reads any more.
    pub(crate) fn close(&self) {
        let mut batches = self.batches();
        batches.waiting.clear();
        batches.taken = None;
        batches.is_closed = true;
    }
}
