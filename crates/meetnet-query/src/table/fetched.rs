//! What the scans of one query hold of their files, charged to its memory.
//!
//! A scan fetches what it reads of a whole group of rows at once, some megabytes, and holds that until it has decoded the last
//! batch of the group. DataFusion counts neither that nor the batches, and a statement may open hundreds of scans at once.
//!
//! ```text
//! fetched, and a batch of each open file ─▶ up to a quarter of the query's memory ─▶ counted; sorts and their like spill sooner
//!                                        └▶ beyond                                ─▶ refused where the query has no such memory
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

/// The part of its query's memory that scans get in any case. An operator that spills takes all there is until it is refused,
/// and nobody asks it to spill for a scan: without a part of their own, scans below a large sort would be refused.
const SURE_SHARE: usize = 4;

/// Counts what the scans of one query hold.
#[derive(Debug)]
pub(crate) struct ScanRoom {
    /// Holds nothing itself: what is charged is of the same consumer.
    consumer: MemoryReservation,
    held: AtomicUsize,
    bytes_sure: usize,
}

/// Bytes that are charged as long as this is there.
#[derive(Debug)]
pub(crate) struct Charged {
    reservation: MemoryReservation,
    bytes: usize,
    room: Arc<ScanRoom>,
}

/// What was fetched, with what counts its bytes.
struct Fetched {
    bytes: Bytes,
    /// Shared by all that was fetched at once, and given back with the last of it.
    _charged: Arc<Charged>,
}

impl ScanRoom {
    /// Begins to charge a query that may have so many bytes.
    pub(crate) fn new(pool: &Arc<dyn MemoryPool>, memory_bytes_max: usize) -> Self {
        Self {
            consumer: MemoryConsumer::new("files").register(pool),
            held: AtomicUsize::new(0),
            bytes_sure: memory_bytes_max / SURE_SHARE,
        }
    }

    /// Charges for bytes that a scan is about to hold.
    ///
    /// # Errors
    /// `ResourcesExhausted` where scans hold much already, and their query has no such memory.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charged> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        let held = held.saturating_add(bytes);
        // It is no longer held where this ends with an error.
        let charged = Charged {
            reservation: self.consumer.new_empty(),
            bytes,
            room: Arc::clone(self),
        };
        if held <= self.bytes_sure {
            charged.reservation.grow(bytes);
        } else {
            let grown = charged.reservation.try_grow(bytes);
            grown.map_err(|error| explained(error, held))?;
        }
        Ok(charged)
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Fetched {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Keeps what was charged for as long as any of the bytes that it was charged for are there.
pub(crate) fn counted(fetched: Vec<Bytes>, charged: Charged) -> Vec<Bytes> {
    let charged = Arc::new(charged);
    let counted = fetched.into_iter().map(|bytes| {
        Bytes::from_owner(Fetched {
            bytes,
            _charged: Arc::clone(&charged),
        })
    });
    counted.collect()
}

/// Says first what needs so much; whose memory it was that is too small stays in the text behind.
fn explained(error: DataFusionError, held: usize) -> DataFusionError {
    match error {
        DataFusionError::ResourcesExhausted(text) => DataFusionError::ResourcesExhausted(format!(
            "what is read at once of files has {} MiB; ask for fewer columns, or of fewer tables at once\n{text}",
            held >> 20
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests;
