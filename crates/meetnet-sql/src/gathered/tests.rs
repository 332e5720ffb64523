use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Int64Array, StringArray};

use super::*;

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
