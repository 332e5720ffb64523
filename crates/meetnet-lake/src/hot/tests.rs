//! Gathering rows against what Arrow gathers.

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::compute::interleave_record_batch;

use super::*;

#[test]
fn rows_are_gathered_whichever_batches_have_values() {
    let batch = |numbers: [Option<i64>; 2], text: &str| {
        let nothing: Vec<Option<i64>> = vec![None; 2];
        let columns: [(&str, ArrayRef, bool); 3] = [
            ("some", Arc::new(Int64Array::from(numbers.to_vec())), true),
            ("none", Arc::new(Int64Array::from(nothing)), true),
            ("text", Arc::new(StringArray::from(vec![text; 2])), false),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    let batches = [batch([None, None], "a"), batch([Some(1), None], "b")];
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let check = |batches: &[&RecordBatch], rows: &[(usize, usize)]| {
        let expected = interleave_record_batch(batches, rows).unwrap();
        assert_eq!(gather_rows(batches, rows).unwrap(), expected, "{rows:?}");
    };
    check(&batches, &[(1, 0), (0, 1), (1, 1), (0, 0)]);
    check(&batches, &[(0, 0)]);
    check(&batches, &[]);
    check(&batches[..1], &[(0, 1), (0, 0)]);
    assert!(gather_rows(&[], &[]).is_err());
}
