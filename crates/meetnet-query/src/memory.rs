//! Memory of one query, out of that of its client: see [`crate::room`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use meetnet_model::quantity::SizeText;

use crate::room::ClientRoom;

/// In the error of a query for which nothing is left although it is within its own limit.
pub(crate) const ALL_QUERIES: &str = "all queries together";

/// In the error of a query that has all that one may have; a size and a comma follow.
pub(crate) const OF_QUERY: &str = "one query may have ";

/// Operators that put together what is sorted, as the names of what they hold begin.
const MERGES: [&str; 3] = [
    "ExternalSorterMerge[",
    "SortPreservingMergeExec[",
    "RepartitionExec[Merge ",
];
/// Begins the name of what a part of a sort holds before it has put anything together.
const SORTS: &str = "ExternalSorter[";
/// A query may have a part more than its limit while it does that: so many of these parts are the limit.
const MERGE_SHARE: usize = 4;

/// What one query may use. An operator that gets nothing more spills, or the query fails.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    taken: AtomicUsize,
    bytes_max: usize,
    /// Of its client.
    client: Arc<ClientRoom>,
}

impl QueryMemory {
    /// Gives a query so many bytes of what its client has.
    pub(crate) fn new(bytes_max: usize, client: Arc<ClientRoom>) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            bytes_max,
            client,
        }
    }

    /// Takes so many bytes more where all that is taken is `most` then, or less.
    fn take(&self, additional: usize, most: usize) -> bool {
        let mut taken = self.reserved();
        loop {
            let all = taken.checked_add(additional);
            let Some(all) = all.filter(|all| *all <= most) else {
                return false;
            };
            let taking =
                self.taken
                    .compare_exchange_weak(taken, all, Ordering::Relaxed, Ordering::Relaxed);
            match taking {
                Ok(_) => return true,
                Err(now) => taken = now,
            }
        }
    }

    /// Takes what an operator asks for beyond the limit, where it may have that.
    fn take_for_merge(&self, reservation: &MemoryReservation, additional: usize) -> bool {
        let most = self.bytes_max.saturating_add(self.bytes_max / MERGE_SHARE);
        (is_of_merge(reservation) || is_first_of_sort(reservation)) && self.take(additional, most)
    }

    /// Of the kind of error at which operators spill.
    fn exhausted(&self, additional: usize) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{OF_QUERY}{}, of which {} bytes are taken, and {additional} more are too many",
            SizeText(self.bytes_max as u64).exact(),
            self.reserved()
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

/// Returns true for the first rows of a part of a sort. It cannot spill before it has them, and where it has just spilled, another part
/// of the sort has perhaps taken all that it has given back, and nobody asks that part to spill for it.
fn is_first_of_sort(reservation: &MemoryReservation) -> bool {
    reservation.size() == 0 && reservation.consumer().name().starts_with(SORTS)
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, most) = (self.reserved(), self.bytes_max);
        write!(f, "query({taken} of {most} bytes) of {}", self.client)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.taken.fetch_add(additional, Ordering::Relaxed);
        self.client.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.taken.fetch_sub(shrink, Ordering::Relaxed);
        self.client.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let is_within = self.take(additional, self.bytes_max);
        if !is_within && !self.take_for_merge(reservation, additional) {
            return Err(self.exhausted(additional));
        }
        self.client
            .try_grow(reservation, additional)
            .map_err(|error| {
                let taken = self.taken.fetch_sub(additional, Ordering::Relaxed);
                // What goes beyond the limit its client may never have, however little else it asks: then it is the query that is too
                // large, and later it would be refused as well.
                match is_within || self.client.may_hold(taken) {
                    true => error,
                    false => self.exhausted(additional),
                }
            })
    }

    fn reserved(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}
