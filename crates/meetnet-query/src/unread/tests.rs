use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryPool, MemoryReservation,
};
use tokio::time::timeout;

use super::Unread;

fn batch(value: i64) -> RecordBatch {
    let column = Arc::new(Int64Array::from(vec![value]));
    RecordBatch::try_from_iter([("value", column as _)]).expect("a batch")
}

fn bytes(pool: &Arc<dyn MemoryPool>, bytes: usize) -> MemoryReservation {
    let reservation = MemoryConsumer::new("answer").register(pool);
    reservation.try_grow(bytes).expect("room");
    reservation
}

#[tokio::test]
async fn batches_count_until_the_reader_is_done_with_them() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
    let unread = Unread::default();
    unread.push(batch(1), bytes(&pool, 10));
    unread.push(batch(2), bytes(&pool, 20));
    assert!(unread.is_waiting());
    assert_eq!(unread.take(), Some(batch(1)));
    assert_eq!(pool.reserved(), 30, "it is worked on");
    unread.moved().await;
    let quiet = timeout(Duration::from_millis(20), unread.moved()).await;
    assert!(quiet.is_err(), "nothing has moved since");
    unread.release();
    unread.moved().await;
    assert_eq!(pool.reserved(), 20);
    assert_eq!(unread.take(), Some(batch(2)));
    assert_eq!((unread.is_waiting(), unread.holds_any()), (false, true));
    unread.release();
    assert_eq!((unread.holds_any(), pool.reserved()), (false, 0));
    assert_eq!(unread.take(), None);
}

#[test]
fn what_nobody_reads_is_let_go_of() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
    let unread = Unread::default();
    for value in 1..=3 {
        unread.push(batch(value), bytes(&pool, 10));
    }
    unread.take().expect("the first");
    unread.give_up();
    assert_eq!(pool.reserved(), 10, "that is worked on");
    assert_eq!(unread.take(), None);
    unread.push(batch(4), bytes(&pool, 10));
    unread.close();
    assert_eq!(pool.reserved(), 0);
    // The query had not noticed yet.
    unread.push(batch(5), bytes(&pool, 10));
    assert_eq!((unread.is_waiting(), pool.reserved()), (false, 0));
}
