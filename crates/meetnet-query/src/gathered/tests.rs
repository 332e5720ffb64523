use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Int64Array, StringArray};

use super::*;
use crate::fixture::Database;

/// Gathers values, and notes how many of them are walked through to tell its size.
#[derive(Debug, Default)]
struct Walking {
    values: usize,
    walked: Arc<AtomicUsize>,
}

impl Accumulator for Walking {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values += values[0].len();
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Null)
    }

    fn size(&self) -> usize {
        self.walked.fetch_add(self.values, Ordering::Relaxed);
        size_of::<Self>() + self.values * size_of::<ScalarValue>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(Vec::new())
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        self.values += 1_000;
        Ok(())
    }
}

#[test]
fn values_are_counted_a_few_times_and_not_for_each_batch() {
    let walked = Arc::new(AtomicUsize::new(0));
    let mut gathered = Gathered::new(Box::new(Walking {
        values: 0,
        walked: Arc::clone(&walked),
    }));
    let rows: ArrayRef = Arc::new(Int64Array::from(vec![1; 10]));
    for batch in 1..=10_000 {
        gathered.update_batch(&[Arc::clone(&rows)]).expect("rows");
        let least = batch * 10 * size_of::<ScalarValue>();
        let size = gathered.size();
        assert!(
            size >= least && size <= 3 * least + 1_000,
            "{batch}: {size}"
        );
    }
    let walked = walked.load(Ordering::Relaxed);
    assert!(walked <= 400_000, "{walked} for 100000 values");
    let before = gathered.size();
    gathered.merge_batch(&[]).expect("another part");
    let known = 101_000 * size_of::<ScalarValue>();
    assert!(gathered.size() >= known && gathered.size() < before + known);
}

#[test]
fn texts_count_with_their_bytes() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1_000); 4]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1; 4]));
    let bytes = gathered_bytes(&[texts, numbers]);
    let values = 8 * size_of::<ScalarValue>() + 4 * size_of::<Vec<ScalarValue>>();
    assert_eq!(bytes, values + 4_000);
    assert_eq!(gathered_bytes(&[]), 0);
}

#[tokio::test]
async fn what_is_gathered_is_what_it_was() {
    let database = Database::new();
    for (sql, expect) in [
        (
            "SELECT string_agg(CAST(value AS TEXT), ',' ORDER BY value DESC) FROM generate_series(1, 5)",
            "5,4,3,2,1",
        ),
        (
            "SELECT array_agg(value ORDER BY -value) FROM generate_series(1, 5)",
            "[5, 4, 3, 2, 1]",
        ),
        (
            "SELECT array_agg(DISTINCT v ORDER BY v) FROM (SELECT value % 2 AS v FROM generate_series(1, 5))",
            "[0, 1]",
        ),
        (
            "SELECT string_agg(DISTINCT v, '-' ORDER BY v) FROM (SELECT CAST(value % 2 AS TEXT) AS v FROM generate_series(1, 5))",
            "0-1",
        ),
        (
            "SELECT nth_value(value, 2 ORDER BY value DESC) FROM generate_series(1, 5)",
            "4",
        ),
        (
            "SELECT max(texts) FROM (SELECT value % 2 AS g, string_agg(CAST(value AS TEXT), '' ORDER BY value) AS texts \
             FROM generate_series(1, 9) GROUP BY 1)",
            "2468",
        ),
    ] {
        assert_eq!(database.row(sql).await, expect, "{sql}");
    }
}
