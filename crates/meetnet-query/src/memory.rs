//! Memory of one query, out of that of its client: see [`crate::room`].

use std::fmt;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation,
};

use crate::error::size_text;
use crate::room::ClientRoom;

/// In the error of a query for which nothing is left although it is within its own limit.
pub(crate) const ALL_QUERIES: &str = "all queries together";

/// In the error of a query that has all that one may have; a size and a comma follow.
pub(crate) const OF_QUERY: &str = "one query may have ";

/// Operators that put together what is sorted, as the names of what they hold begin.
const MERGES: [&str; 2] = ["ExternalSorterMerge[", "SortPreservingMergeExec["];
/// A query may have a part more than its limit while it does that: so many of these parts are the limit.
const MERGE_SHARE: usize = 4;

/// What one query may use. An operator that gets nothing more spills, or the query fails.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    own: GreedyMemoryPool,
    /// What `own` has in all.
    bytes_max: usize,
    /// Of its client.
    client: Arc<ClientRoom>,
}

impl QueryMemory {
    /// Gives a query so many bytes of what its client has.
    pub(crate) fn new(bytes_max: usize, client: Arc<ClientRoom>) -> Self {
        Self {
            own: GreedyMemoryPool::new(bytes_max),
            bytes_max,
            client,
        }
    }

    /// Of the kind of error at which operators spill.
    fn exhausted(&self, additional: usize) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{OF_QUERY}{}, of which {} bytes are taken, and {additional} more are too many",
            size_text(self.bytes_max as u64),
            self.own.reserved()
        ))
    }
}

/// Returns true for memory of an operator that puts together what is sorted. It cannot spill, and is what lets a sort spill: rows take
/// all that their query may have until a sort notices, and those of another part of the sort also take what one has just left for
/// this. Without a part more the query would be refused where it has begun to make room.
fn is_of_merge(reservation: &MemoryReservation) -> bool {
    let name = reservation.consumer().name();
    MERGES.iter().any(|merge| name.starts_with(merge))
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.own, self.client)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.client.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.client.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if self.own.try_grow(reservation, additional).is_err() {
            let with_merges_max = self.bytes_max.saturating_add(self.bytes_max / MERGE_SHARE);
            if !is_of_merge(reservation) || self.own.reserved() + additional > with_merges_max {
                return Err(self.exhausted(additional));
            }
            // Where its client, or all, have no more, it is the query that is too large: alone it would be refused as well.
            let grown = self.client.try_grow(reservation, additional);
            grown.map_err(|_| self.exhausted(additional))?;
            self.own.grow(reservation, additional);
            return Ok(());
        }
        self.client
            .try_grow(reservation, additional)
            .inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}
