//! Which encoding a column gets, read back from the file.

use std::collections::BTreeMap;

use meetnet_model::schemas;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::compute_leaves;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;

/// Rows of a dataset in which every float is `value(row)` and every list two of them.
fn rows(
    dataset: &str,
    count: usize,
    value: fn(usize) -> f64,
) -> (Arc<DatasetDeclaration>, RecordBatch) {
    use arrow::array::{
        ArrayRef, Int8Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
    };
    let declarations = schemas::builtin().into_declarations([]);
    let declaration = Arc::clone(declarations.dataset(dataset).unwrap());
    let schema = declaration.file_schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> ArrayRef {
            let all = 0..count;
            match field.data_type() {
                DataType::Int64 => Arc::new(Int64Array::from_iter_values(all.map(|_| 1))),
                DataType::Int8 => Arc::new(Int8Array::from_iter_values(all.map(|_| 1))),
                DataType::Utf8 => Arc::new(StringArray::from_iter_values(all.map(|_| "a"))),
                DataType::Float64 => Arc::new(Float64Array::from_iter_values(all.map(value))),
                DataType::Timestamp(..) => Arc::new(
                    TimestampMicrosecondArray::from_iter_values(all.map(|row| row as i64 * 7))
                        .with_timezone("UTC"),
                ),
                DataType::List(element) => {
                    let lengths = std::iter::repeat_n(2, count);
                    let values = (0..2 * count).map(value);
                    Arc::new(ListArray::new(
                        Arc::clone(element),
                        arrow::buffer::OffsetBuffer::from_lengths(lengths),
                        Arc::new(Float64Array::from_iter_values(values)),
                        None,
                    ))
                }
                other => panic!("no column is {other}"),
            }
        })
        .collect();
    (declaration, RecordBatch::try_new(schema, columns).unwrap())
}

/// Writes one row group; returns per column its encodings and its number of pages.
fn written(
    declaration: &DatasetDeclaration,
    rows: &RecordBatch,
) -> BTreeMap<String, (String, usize)> {
    let root = ArrowSchemaConverter::new().convert(&rows.schema()).unwrap();
    let root = root.root_schema_ptr();
    let mut columns = column_writers(declaration, &root, std::slice::from_ref(rows)).unwrap();
    let mut leaves = columns.iter_mut();
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        for (leaf, column) in compute_leaves(field, array)
            .unwrap()
            .iter()
            .zip(&mut leaves)
        {
            column.write(leaf).unwrap();
        }
    }
    let settings = Arc::new(settings(declaration.kind).build());
    let mut file = SerializedFileWriter::new(Vec::new(), root, settings).unwrap();
    let mut group = file.next_row_group().unwrap();
    for column in columns {
        column
            .close()
            .unwrap()
            .append_to_row_group(&mut group)
            .unwrap();
    }
    group.close().unwrap();
    let bytes = bytes::Bytes::from(file.into_inner().unwrap());
    let reader = SerializedFileReader::new(bytes).unwrap();
    let group = reader.get_row_group(0).unwrap();
    (0..group.num_columns())
        .map(|index| {
            let column = group.metadata().column(index);
            let pages = group.get_column_page_reader(index).unwrap();
            let pages = pages.map(Result::unwrap);
            let data: Vec<_> = pages.filter(|page| page.is_data_page()).collect();
            let encoding = data[0].encoding().to_string();
            (column.column_path().string(), (encoding, data.len()))
        })
        .collect()
}

fn rounded(row: usize) -> f64 {
    (row % 300) as f64 / 10.0
}

fn unrounded(row: usize) -> f64 {
    row as f64 / 0.9991666667
}

#[test]
fn rounded_readings_get_a_dictionary_and_others_do_not() {
    let check = |dataset, column, value, expected: &str| {
        let (declaration, rows) = rows(dataset, 4_000, value);
        let written = written(&declaration, &rows);
        assert_eq!(written[column].0, expected, "{column} of {dataset}");
    };
    check("heat", "value", rounded, "RLE_DICTIONARY");
    check("heat", "value", unrounded, "PLAIN");
    check("traffic", "car", rounded, "RLE_DICTIONARY");
    check("traffic", "car", unrounded, "PLAIN");
    check(
        "traffic",
        "speed_hist.list.element",
        rounded,
        "RLE_DICTIONARY",
    );
    check("traffic", "speed_hist.list.element", unrounded, "PLAIN");
}

#[test]
fn times_are_differences_but_for_the_receive_time_that_properties_share() {
    for (dataset, received_at) in [("heat", "PLAIN"), ("traffic", "DELTA_BINARY_PACKED")] {
        let (declaration, rows) = rows(dataset, 100, rounded);
        let written = written(&declaration, &rows);
        assert_eq!(written["time"].0, "DELTA_BINARY_PACKED");
        assert_eq!(written["superseded_at"].0, "DELTA_BINARY_PACKED");
        assert_eq!(written["received_at"].0, received_at, "{dataset}");
    }
}

#[test]
fn declared_columns_have_small_pages_and_common_ones_large_pages() {
    let (declaration, rows) = rows("heat", 60_000, rounded);
    let written = written(&declaration, &rows);
    for column in ["sensor_id", "property", "time", "value"] {
        assert!(written[column].1 > 5, "{column}: {written:?}");
    }
    for column in ["quality", "source", "received_at", "revision"] {
        assert_eq!(written[column].1, 1, "{column}");
    }
}

/// Rows of two properties of one sensor, each so many minutes after the one before.
fn series(dataset: &str, minutes: i64, count: usize) -> (Arc<DatasetDeclaration>, RecordBatch) {
    use arrow::array::{StringArray, TimestampMicrosecondArray};
    const START: i64 = 1_767_225_600_000_000;
    let (declaration, rows) = rows(dataset, 2 * count, rounded);
    let mut columns = rows.columns().to_vec();
    let schema = rows.schema();
    if let Ok(property) = schema.index_of("property") {
        let properties = (0..2 * count).map(|row| ["a", "b"][row / count]);
        columns[property] = Arc::new(StringArray::from_iter_values(properties));
    }
    let times = (0..2 * count).map(|row| START + (row % count) as i64 * minutes * 60_000_000);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    columns[schema.index_of("time").unwrap()] = Arc::new(times);
    (declaration, RecordBatch::try_new(schema, columns).unwrap())
}

#[test]
fn a_series_has_some_pages_in_a_period_where_it_is_long_enough() {
    // Of January, whether a commit has two rows of a series or a merge many.
    for count in [2, 300] {
        for (minutes, expected) in [
            (1, 5_120),
            (2, 5_120),
            (5, 2_048),
            (10, 1_024),
            (15, 1_024),
            (30, 5_120),
            (60, 5_120),
        ] {
            let (declaration, rows) = series("heat", minutes, count);
            let found = page_rows(&declaration, &FirstRows::of(&[rows])).unwrap();
            assert_eq!(found, expected, "{minutes} minutes, {count} rows");
        }
    }
    // One row says nothing, and a wide dataset would have a page more in each of its columns.
    for (dataset, count) in [("heat", 1), ("traffic", 300)] {
        let (declaration, rows) = series(dataset, 10, count);
        let found = page_rows(&declaration, &FirstRows::of(&[rows])).unwrap();
        assert_eq!(found, 5_120, "{dataset}");
    }
}

/// Returns whether `count` floats get a dictionary, and the share of distinct ones among those that are looked at.
fn dictionary(count: usize, value: fn(usize) -> f64) -> (bool, f64) {
    let field = Arc::new(Field::new("car", DataType::Float64, true));
    let values: ArrayRef = Arc::new(Float64Array::from_iter_values((0..count).map(value)));
    let pages = settings(DatasetKind::Wide).set_data_page_row_count_limit(PAGE_ROWS_MAX);
    let wanted = wants_dictionary(&pages, &field, &values).unwrap();
    (wanted, distinct_share(&first_values(&values)))
}

/// A number that looks like no other.
fn mixed(number: usize) -> f64 {
    (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as f64
}

#[test]
fn of_a_column_whose_distinct_values_do_not_tell_both_encodings_are_tried() {
    let check = |count, value, expected: (bool, f64)| {
        let (wanted, share) = dictionary(count, value);
        assert_eq!((wanted, (share * 10.0).round() / 10.0), expected);
    };
    // Values that come again thousands of rows later, behind the page.
    check(16_000, |row| mixed(row % 6_400), (true, 0.4));
    // Each row twice: a page tells the second by the first.
    check(16_000, |row| (row / 2) as f64, (false, 0.5));
    // A tenth of the values that come is of no use to know where the first ones decide.
    check(40_000, |row| mixed(row.min(30_000)), (false, 0.9));
    check(40_000, |row| mixed(row % 300), (true, 0.0));
}

#[test]
fn of_lists_those_of_the_slice_are_looked_at() {
    use arrow::array::{Float64Builder, ListBuilder};
    let mut lists = ListBuilder::new(Float64Builder::new());
    for row in 0..4_000 {
        for place in 0..20 {
            // From row 2,000 on, no value comes again.
            lists.values().append_value(if row < 2_000 {
                1.0
            } else {
                mixed(row * 20 + place)
            });
        }
        lists.append(true);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    assert_eq!(first_values(&lists).len(), 1_639);
    assert!(distinct_share(&first_values(&lists)) < 0.001);
    let later = lists.slice(2_000, 1_000);
    assert_eq!(first_values(&later).len(), 1_000);
    assert_eq!(distinct_share(&first_values(&later)), 1.0);
}

#[test]
fn a_row_group_is_looked_at_across_its_batches() {
    let (_, rows) = rows("traffic", 30_000, rounded);
    let batches: Vec<_> = (0..10)
        .map(|batch| rows.slice(batch * 3_000, 3_000))
        .collect();
    let first = FirstRows::of(&batches);
    let more = [rows.clone(), rows.clone(), rows.clone()];
    let of_more = FirstRows::of(&more);
    for (index, column) in rows.columns().iter().enumerate() {
        assert_eq!(&first.column(index).unwrap(), column);
        let of_more = of_more.column(index).unwrap();
        assert_eq!(of_more.len(), SAMPLE_ROWS);
        assert_eq!(&of_more.slice(0, 30_000), column);
    }
}

#[test]
fn a_column_without_values_is_no_reason_to_give_up_dictionaries() {
    let check = |array: ArrayRef| assert_eq!(distinct_share(&array), 0.0);
    check(Arc::new(Float64Array::new_null(50)));
    check(Arc::new(Float64Array::new_null(0)));
    check(Arc::new(arrow::array::StringArray::from(vec!["a", "b"])));
}

/// Files have no schema of Arrow: that of Parquet has to say the same.
#[test]
fn the_schema_of_parquet_says_what_that_of_arrow_does() {
    let declarations = schemas::builtin().into_declarations([]);
    for (id, declaration) in &declarations.datasets {
        let expected = declaration.file_schema();
        let written = ArrowSchemaConverter::new().convert(&expected).unwrap();
        let read = parquet::arrow::parquet_to_arrow_schema(&written, None).unwrap();
        assert_eq!(read, *expected, "{id}");
    }
}
