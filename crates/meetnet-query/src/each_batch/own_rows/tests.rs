use arrow::array::{
    BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int64Array, ListArray, StringArray,
    StringViewArray, StructArray,
};
use arrow::datatypes::{Field, Int32Type, Int64Type};

use super::*;
use crate::fixture::{all_rows, service_within};

const ROWS: usize = 100_000;
/// Rows of a slice.
const PART: usize = 1_000;

fn batch(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("column", column)]).expect("a batch")
}

/// A column of each kind, all of [`ROWS`] rows.
fn columns() -> Vec<ArrayRef> {
    let rows = 0..ROWS as i64;
    let texts = rows.clone().map(|row| format!("a text of the row {row}"));
    let texts: Vec<String> = texts.collect();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
    let fields = [&numbers, &text].into_iter().enumerate();
    let fields = fields.map(|(at, column)| {
        let field = Field::new(format!("f{at}"), column.data_type().clone(), false);
        (Arc::new(field), Arc::clone(column))
    });
    let fields: Vec<_> = fields.collect();
    let lists = rows.clone().map(|row| Some([Some(row), Some(row + 1)]));
    let bytes = rows.clone().map(i64::to_be_bytes);
    vec![
        numbers,
        text,
        Arc::new(BooleanArray::from_iter(
            rows.clone().map(|row| Some(row % 3 == 0)),
        )),
        Arc::new(StringViewArray::from_iter_values(&texts)),
        // As short as a view itself.
        Arc::new(StringViewArray::from_iter_values(
            rows.clone().map(|row| row.to_string()),
        )),
        Arc::new(FixedSizeBinaryArray::try_from_iter(bytes).expect("bytes")),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
        Arc::new(StructArray::from(fields)),
    ]
}

#[test]
fn a_slice_is_copied_without_what_it_is_of() {
    for column in columns() {
        let data_type = column.data_type().clone();
        let whole = batch(Arc::clone(&column));
        let given = own_rows(whole).expect("as it is");
        assert!(
            Arc::ptr_eq(given.column(0), &column),
            "{data_type} is copied"
        );

        let part = batch(column).slice(ROWS / 2, PART);
        let own = own_rows(part.clone()).expect("a copy");
        assert_eq!(own, part, "{data_type}");
        let held = |batch: &RecordBatch| batch.column(0).get_buffer_memory_size();
        let (before, after) = (held(&part), held(&own));
        assert!(after * 10 < before, "{data_type}: {after} of {before}");
        assert!(
            !holds_others(own.column(0)),
            "{data_type} is copied once more"
        );
    }
}

/// All batches of a file share them, and a row of each would be a copy of all.
#[test]
fn values_of_a_dictionary_are_not_copied() {
    let words = (0..ROWS).map(|row| format!("word {}", row % 5_000));
    let words: DictionaryArray<Int32Type> = words
        .collect::<Vec<_>>()
        .iter()
        .map(String::as_str)
        .collect();
    let part = batch(Arc::new(words)).slice(7, PART);
    let own = own_rows(part.clone()).expect("a copy");
    assert_eq!(own, part);
    let words_of = |batch: &RecordBatch| batch.column(0).as_dictionary::<Int32Type>().clone();
    let (before, after) = (words_of(&part), words_of(&own));
    let values = |words: &DictionaryArray<Int32Type>| {
        let values = words.values().as_string::<i32>();
        values.value_data().as_ptr()
    };
    assert_eq!(values(&before), values(&after), "they are shared");
    let keys = |words: &DictionaryArray<Int32Type>| words.keys().get_buffer_memory_size();
    let (before, after) = (keys(&before), keys(&after));
    assert!(after * 10 < before, "{after} of {before}");
}

/// A copy would hold all texts as well, and each who holds the rows would make one.
#[test]
fn texts_within_others_are_not_copied_in_vain() {
    let texts = (0..ROWS).map(|row| format!("a text of the row {row}"));
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
    let field = Arc::new(Field::new("f", DataType::Utf8View, false));
    let column: ArrayRef = Arc::new(StructArray::from(vec![(field, texts)]));
    let part = batch(column).slice(7, PART);
    let own = own_rows(part.clone()).expect("as it is");
    assert!(Arc::ptr_eq(own.column(0), part.column(0)));
}

/// A small batch has some bytes too many whatever is done.
#[test]
fn few_bytes_are_left_as_they_are() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let part = batch(column).slice(3, 2);
    let own = own_rows(part.clone()).expect("as it is");
    assert!(Arc::ptr_eq(own.column(0), part.column(0)));
}

/// Groups are some megabytes, but each batch of them was asked for as all of them.
#[tokio::test(flavor = "multi_thread")]
async fn groups_are_sorted_in_the_memory_that_they_are() {
    let groups = |from: u32, to: u32| {
        format!(
            "SELECT value * 7919 % 1000003 AS a, 'segment ' || (value * 7919 % 1000003) AS t, count(*) AS n \
             FROM generate_series({from}, {to}) GROUP BY 1, 2"
        )
    };
    let all = groups(1, 400_000);
    let union = format!(
        "SELECT * FROM ({} UNION ALL {})",
        groups(1, 200_000),
        groups(200_001, 400_000)
    );
    let distinct = "SELECT DISTINCT value * 7919 % 1000003 AS a, value * 7919 % 1000003 + 1 AS b FROM generate_series(1, 600000)";
    // What has a LIMIT holds all batches at a time; the others spill some, and with too little memory the grouping, too.
    for (memory_mib, sql, rows) in [
        (256, format!("{all} ORDER BY 2, 1 LIMIT 300000"), 300_000),
        (
            256,
            format!("{distinct} ORDER BY b, a LIMIT 500000"),
            500_000,
        ),
        (256, format!("{union} ORDER BY t, a LIMIT 400000"), 400_000),
        (64, format!("{all} ORDER BY 2, 1"), 400_000),
        (64, format!("{distinct} ORDER BY b, a"), 600_000),
        (96, format!("{union} ORDER BY t, a"), 400_000),
    ] {
        let service = service_within(memory_mib << 20);
        let batches = all_rows(&service, &sql).await;
        let batches = batches.unwrap_or_else(|error| panic!("{memory_mib} MiB: {sql}: {error}"));
        let counted: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(counted, rows, "{sql}");
    }
}

/// So was the side that a join without `=` holds.
#[tokio::test(flavor = "multi_thread")]
async fn groups_are_joined_in_the_memory_that_they_are() {
    let service = service_within(64 << 20);
    let sql = "SELECT count(*) FROM \
               (SELECT DISTINCT value * 7919 % 1000003 AS a, 'segment ' || (value * 7919 % 1000003) AS t FROM generate_series(1, 300000)) l, \
               (SELECT value AS v FROM generate_series(1, 3)) r WHERE l.a > r.v";
    let batches = all_rows(&service, sql).await.expect("rows");
    let counted: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(counted, 1);
}
