//! What the batches of one node take, charged to the memory of its query: joins and their like make them without asking.
//!
//! A join of rows of 20 KiB makes batches of 160 MiB: one on its way, one being made, in each partition. How wide rows are is
//! known when they come in, and so is how many of them can have met: a few rows make small batches, however wide they are.
//!
//! And what a join holds of its left side without asking: it asks for the columns of the batches, and of `count(*)` of a
//! cross join they have none. Batches of a few rows by the ten million are gigabytes all the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

/// Batches of a join that are there at a time in each partition: one that is made, and one that has been given on.
const BATCHES: u64 = 2;
/// Bytes of a row of a join up to which its batches are as any other node's, and nothing is charged.
const ROW_BYTES_FREE: u64 = 1 << 10;
/// Bytes of a batch up to which it is as any other node's.
const HELD_BYTES_FREE: u64 = 8 << 20;
/// Bytes that a join holds of a batch without columns: of a list that doubles when it is full.
const EMPTY_BATCH_BYTES: usize = 2 * size_of::<RecordBatch>();

/// Which input of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    /// Returns the side of a child of a join by its position.
    pub(super) fn of_child(position: usize) -> Self {
        match position {
            0 => Self::Left,
            _ => Self::Right,
        }
    }
}

/// The room of a node's batches while it runs. A join reads its left side once for all partitions, so they share one.
#[derive(Debug)]
pub(super) struct NodeRoom {
    partitions: usize,
    running: Mutex<Weak<BatchRoom>>,
}

impl NodeRoom {
    /// Makes the room of a node that gives so many partitions.
    pub(super) fn new(partitions: usize) -> Self {
        Self {
            partitions,
            running: Mutex::new(Weak::new()),
        }
    }

    /// Returns what all partitions of the node share. It is given back with the last stream that has it.
    pub(super) fn of_all_partitions(&self, context: &TaskContext) -> Arc<BatchRoom> {
        let mut running = locked(&self.running);
        if let Some(room) = running.upgrade() {
            return room;
        }
        let room = Arc::new(BatchRoom::new(context, self.partitions));
        *running = Arc::downgrade(&room);
        room
    }
}

/// What is charged for batches of a node.
#[derive(Debug)]
pub(super) struct BatchRoom {
    reservation: MemoryReservation,
    /// For batches without columns that a join holds.
    empty: MemoryReservation,
    /// Rows of a batch.
    batch_rows: u64,
    partitions: u64,
    /// Its left side has been asked for.
    is_gathering: AtomicBool,
    seen: Mutex<Seen>,
}

/// What has come into a join.
#[derive(Debug, Default)]
struct Seen {
    left: SeenSide,
    right: SeenSide,
}

#[derive(Debug, Default)]
struct SeenSide {
    rows: u64,
    /// Of the widest row.
    bytes: u64,
}

impl BatchRoom {
    /// Begins to charge the query of a context.
    pub(super) fn new(context: &TaskContext, partitions: usize) -> Self {
        Self {
            reservation: MemoryConsumer::new("batches").register(context.memory_pool()),
            empty: MemoryConsumer::new("batches without columns").register(context.memory_pool()),
            batch_rows: context.session_config().batch_size() as u64,
            partitions: partitions as u64,
            is_gathering: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// Returns how many rows a batch has.
    pub(super) fn batch_rows(&self) -> u64 {
        self.batch_rows
    }

    /// Charges for a batch that a join holds until it ends, where it has no columns: those the join charges itself.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub(super) fn gather(&self, side: Side, batch: &RecordBatch) -> Result<()> {
        if side == Side::Right || batch.num_columns() > 0 {
            return Ok(());
        }
        self.empty
            .try_grow(EMPTY_BATCH_BYTES)
            .map_err(|error| match error {
                DataFusionError::ResourcesExhausted(text) => too_many_rows(&format!("\n{text}")),
                other => other,
            })
    }

    /// Begins to gather the left side of a join, which its partitions share and which is not to be gathered again.
    ///
    /// # Errors
    /// `ResourcesExhausted` at the second time.
    pub(super) fn gather_once(&self) -> Result<()> {
        if self.is_gathering.swap(true, Ordering::Relaxed) {
            return Err(too_many_rows(""));
        }
        Ok(())
    }

    /// Charges for rows of one side of a join, of which none has more than `row_bytes`.
    ///
    /// # Errors
    /// `ResourcesExhausted` where its query has no such memory.
    pub(super) fn join(&self, side: Side, rows: usize, row_bytes: u64) -> Result<()> {
        let mut seen = locked(&self.seen);
        let of_side = match side {
            Side::Left => &mut seen.left,
            Side::Right => &mut seen.right,
        };
        of_side.rows = of_side.rows.saturating_add(rows as u64);
        of_side.bytes = of_side.bytes.max(row_bytes);
        let (left, right) = (&seen.left, &seen.right);
        let row_bytes = left.bytes.saturating_add(right.bytes);
        if row_bytes <= ROW_BYTES_FREE {
            return Ok(());
        }
        // Every row with every other, and those of an outer join that met none.
        let met = left.rows.saturating_mul(right.rows);
        let met = met.saturating_add(left.rows).saturating_add(right.rows);
        let held = BATCHES * self.partitions * self.batch_rows;
        self.grow_to(
            met.min(held).saturating_mul(row_bytes),
            &format!("a join of rows of {} KiB makes", row_bytes >> 10),
        )
    }

    /// Charges for a value of so many bytes that is repeated for each row of a batch.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub(super) fn repeat(&self, bytes: u64) -> Result<()> {
        let _seen = locked(&self.seen);
        if bytes <= ROW_BYTES_FREE {
            return Ok(());
        }
        self.grow_to(
            bytes.saturating_mul(self.partitions * self.batch_rows),
            &format!("a subquery whose value has {} KiB makes", bytes >> 10),
        )
    }

    /// Charges for what is made of one batch; the most that was so far is kept.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub(super) fn hold(&self, bytes: u64, what_makes: &str) -> Result<()> {
        let _seen = locked(&self.seen);
        if bytes <= HELD_BYTES_FREE {
            return Ok(());
        }
        self.grow_to(bytes, what_makes)
    }

    /// Has so many bytes charged, or more. The caller has the lock: what is missing is read and then asked for.
    fn grow_to(&self, bytes: u64, what_makes: &str) -> Result<()> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let more = bytes.saturating_sub(self.reservation.size());
        if more == 0 {
            return Ok(());
        }
        self.reservation
            .try_grow(more.min(usize::MAX >> 1))
            .map_err(|error| explained(error, what_makes, bytes))
    }
}

/// Says what is gathered where it has no room, and whose memory was too small.
fn too_many_rows(whose: &str) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "a join gathers all rows of its first side, and these are too many; join fewer, ask for `a.x = b.x` as well where it \
         compares otherwise, or count each side and multiply where all are wanted{whose}"
    ))
}

/// Says first what needs so much; whose memory it was that is too small stays in the text behind.
fn explained(error: DataFusionError, what_makes: &str, bytes: usize) -> DataFusionError {
    match error {
        DataFusionError::ResourcesExhausted(text) => DataFusionError::ResourcesExhausted(format!(
            "{what_makes} batches of up to {} MiB together; leave out long texts and lists\n{text}",
            bytes >> 20
        )),
        other => other,
    }
}

/// Every change is whole before the lock is given back, so a panic elsewhere leaves it usable.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
