//! The room of one client: the memory and the temporary files of all that it asks, together.
//!
//! ```text
//! a query ─▶ its own limit ─▶ the room of its client ─▶ what all queries have
//! an answer that waits to be read ─▶ the room of its client ─▶ what all queries have
//! ```
//!
//! Admission counts queries; few of them can be large. Without a room of its own, one client could take what is there for
//! everybody, within every limit of one query.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use meetnet_model::quantity::SizeText;

use crate::client::{Client, Share};
use crate::error::{QueryError, QueryErrorKind, SharedLimit};
use crate::memory::ALL_QUERIES;
use crate::options::QueryOptions;

#[cfg(test)]
mod tests;

/// In the error of a query for which nothing is left although it is within its own limit, and others have room.
pub(crate) const OF_CLIENT: &str = "all that this client asks";

/// The rooms of those who ask now, by whom they are of.
type Open = Mutex<HashMap<Share, Weak<ClientRoom>>>;

/// Gives each client its room.
#[derive(Debug)]
pub(crate) struct Rooms {
    limits: Limits,
    /// Of all queries.
    memory: Arc<GreedyMemoryPool>,
    open: Arc<Open>,
}

/// What a query, and all of its client, may have in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    memory: usize,
    spill: u64,
    client_memory: usize,
    client_spill: u64,
    /// Of all queries of all clients.
    all_memory: usize,
    all_spill: u64,
}

impl Limits {
    /// Returns those of a client. Its room is never less than what one of its queries may have, and that is never more than all have:
    /// who needs as much would be told to come again, for ever.
    fn of(self, client: &Client) -> Self {
        if client.is_own() {
            return Self {
                memory: self.memory.min(self.all_memory),
                spill: self.spill.min(self.all_spill),
                client_memory: usize::MAX,
                client_spill: u64::MAX,
                ..self
            };
        }
        let own = client.limits();
        let memory = own.and_then(|own| own.memory_bytes_max);
        let spill = own.and_then(|own| own.query_spill_bytes_max);
        let client_memory = own.and_then(|own| own.memory_total_bytes_max);
        let client_spill = own.and_then(|own| own.spill_bytes_max);
        let memory = memory.unwrap_or(self.memory).min(self.all_memory);
        let spill = spill.unwrap_or(self.spill).min(self.all_spill);
        Self {
            memory,
            spill,
            client_memory: client_memory.unwrap_or(self.client_memory).max(memory),
            client_spill: client_spill.unwrap_or(self.client_spill).max(spill),
            ..self
        }
    }
}

/// What one query may have, and the room that it is taken of.
#[derive(Clone, Debug)]
pub(crate) struct QueryRoom {
    pub(crate) memory_bytes_max: usize,
    pub(crate) spill_bytes_max: u64,
    pub(crate) client: Arc<ClientRoom>,
}

impl Rooms {
    pub(crate) fn new(options: &QueryOptions) -> Self {
        Self {
            limits: Limits {
                memory: options.memory_bytes_max,
                spill: options.query_spill_bytes_max,
                client_memory: options.client_memory_bytes_max,
                client_spill: options.client_spill_bytes_max,
                all_memory: options.memory_total_bytes_max,
                all_spill: options.spill_bytes_max,
            },
            memory: Arc::new(GreedyMemoryPool::new(options.memory_total_bytes_max)),
            open: Arc::default(),
        }
    }

    /// Returns what a query of a client may have.
    pub(crate) fn of(&self, client: &Client) -> QueryRoom {
        let limits = self.limits.of(client);
        QueryRoom {
            memory_bytes_max: limits.memory,
            spill_bytes_max: limits.spill,
            client: self.client(client.share(), limits),
        }
    }

    fn client(&self, share: Share, limits: Limits) -> Arc<ClientRoom> {
        let mut open = opened(&self.open);
        if let Some(room) = open.get(&share).and_then(Weak::upgrade) {
            return room;
        }
        let room = Arc::new(ClientRoom {
            memory: GreedyMemoryPool::new(limits.client_memory),
            all: Arc::clone(&self.memory),
            spilled: AtomicU64::new(0),
            spill_bytes_max: limits.client_spill,
            share: share.clone(),
            open: Arc::clone(&self.open),
        });
        open.insert(share, Arc::downgrade(&room));
        room
    }
}

/// Every change is whole before the lock is given back, so a panic elsewhere leaves the rooms usable.
fn opened(open: &Open) -> MutexGuard<'_, HashMap<Share, Weak<ClientRoom>>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all queries and unread answers of one client hold. It is there as long as there is one of them.
#[derive(Debug)]
pub(crate) struct ClientRoom {
    memory: GreedyMemoryPool,
    /// Of all clients.
    all: Arc<GreedyMemoryPool>,
    spilled: AtomicU64,
    spill_bytes_max: u64,
    share: Share,
    open: Arc<Open>,
}

impl ClientRoom {
    /// Begins to count what an answer holds for its reader.
    pub(crate) fn answer(self: &Arc<Self>) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = Arc::<Self>::clone(self);
        MemoryConsumer::new("answer").register(&pool)
    }

    /// Returns true where so many bytes are no more than the client, and all clients, may have.
    pub(crate) fn may_hold(&self, bytes: usize) -> bool {
        let limits = [self.memory.memory_limit(), self.all.memory_limit()];
        limits.into_iter().all(|limit| match limit {
            MemoryLimit::Finite(most) => bytes <= most,
            _ => true,
        })
    }

    /// Counts bytes of temporary files.
    ///
    /// # Errors
    /// `OverShare` where they are too many. They are counted all the same, until [`Self::removed`].
    pub(crate) fn spill(&self, bytes: u64) -> Result<(), QueryError> {
        let spilled = self.spilled.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if spilled > self.spill_bytes_max {
            return Err(QueryError::new(
                QueryErrorKind::OverShare,
                format!(
                    "your queries together need more than {} of temporary files, which is the most that one client \
                     may have (client_spill_bytes_max of the service, or spill_bytes_max of your API key); wait for one to \
                     end",
                    SizeText(self.spill_bytes_max).exact()
                ),
            )
            .with_shared_limit(SharedLimit::TemporaryFiles));
        }
        Ok(())
    }

    /// Counts bytes of temporary files no longer.
    pub(crate) fn removed(&self, bytes: u64) {
        self.spilled.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for ClientRoom {
    fn drop(&mut self) {
        let mut open = opened(&self.open);
        // Somebody may have come meanwhile, and has another.
        if open
            .get(&self.share)
            .is_some_and(|room| room.strong_count() == 0)
        {
            open.remove(&self.share);
        }
    }
}

impl fmt::Display for ClientRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.memory, self.all)
    }
}

impl MemoryPool for ClientRoom {
    fn name(&self) -> &str {
        "client"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.memory.grow(reservation, additional);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.memory.shrink(reservation, shrink);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        // Both are of the kind of error at which operators spill.
        if self.memory.try_grow(reservation, additional).is_err() {
            return Err(exhausted(OF_CLIENT, self.memory.reserved(), additional));
        }
        if self.all.try_grow(reservation, additional).is_err() {
            self.memory.shrink(reservation, additional);
            return Err(exhausted(ALL_QUERIES, self.all.reserved(), additional));
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.memory.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.memory.memory_limit()
    }
}

fn exhausted(whose: &str, held: usize, additional: usize) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "{whose} hold {held} bytes, and {additional} more are too many"
    ))
}
