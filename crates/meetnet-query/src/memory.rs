//! Memory of one query, out of the memory of all of them.

use std::fmt;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation,
};

/// In the error of a query for which nothing is left although it is within its own limit.
pub(crate) const ALL_QUERIES: &str = "all queries together";

/// What one query may use. An operator that gets nothing more spills, or the query fails.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    own: GreedyMemoryPool,
    /// Of all queries.
    all: Arc<GreedyMemoryPool>,
}

impl QueryMemory {
    /// Gives a query so many bytes of what `all` have.
    pub(crate) fn new(bytes_max: usize, all: Arc<GreedyMemoryPool>) -> Self {
        Self {
            own: GreedyMemoryPool::new(bytes_max),
            all,
        }
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.own, self.all)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        if self.all.try_grow(reservation, additional).is_err() {
            self.own.shrink(reservation, additional);
            // The kind of error at which operators spill.
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{ALL_QUERIES} hold {} bytes, and {additional} more are too many",
                self.all.reserved()
            )));
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

    use super::{ALL_QUERIES, QueryMemory};

    #[test]
    fn a_query_has_its_own_limit_and_a_part_of_that_of_all() {
        let all = Arc::new(GreedyMemoryPool::new(150));
        let query = || -> Arc<dyn MemoryPool> { Arc::new(QueryMemory::new(100, Arc::clone(&all))) };
        let (first, second) = (query(), query());
        let of_first = MemoryConsumer::new("sort").register(&first);
        let of_second = MemoryConsumer::new("sort").register(&second);
        of_first.try_grow(90).expect("within its own");
        let own = of_first.try_grow(20).expect_err("over its own limit");
        assert!(!own.to_string().contains(ALL_QUERIES), "{own}");
        of_second.try_grow(60).expect("within what all have");
        let shared = of_second.try_grow(1).expect_err("nothing is left");
        assert!(shared.to_string().contains(ALL_QUERIES), "{shared}");
        assert_eq!((second.reserved(), all.reserved()), (60, 150));
        drop(of_first);
        assert_eq!(
            all.reserved(),
            60,
            "a query that ends gives back what it had"
        );
        of_second.try_grow(40).expect("there is room again");
    }
}
