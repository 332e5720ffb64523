use arrow::array::{
    DictionaryArray, Float64Array, Int64Array, LargeListArray, ListArray, StringArray,
    StringViewArray,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};

use super::*;

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = (0..).map(|at: usize| format!("c{at}")).zip(columns);
    RecordBatch::try_from_iter_with_nullable(named.map(|(name, column)| (name, column, true)))
        .expect("a batch")
}

/// Checks that the pieces are small, and the same rows in the same order.
#[track_caller]
fn check(whole: &RecordBatch, bytes_max: usize, pieces_max: usize) {
    let pieces = fitted(whole.clone(), bytes_max).expect("pieces");
    assert!(pieces.len() <= pieces_max, "{} pieces", pieces.len());
    let mut start = 0;
    for piece in &pieces {
        let bytes = batch_bytes(piece);
        assert!(bytes <= bytes_max || piece.num_rows() == 1, "{bytes} bytes");
        let same = whole.slice(start, piece.num_rows());
        for (column, of_whole) in piece.columns().iter().zip(same.columns()) {
            // Dictionaries may have been made anew.
            let plain = |array: &ArrayRef| match array.data_type() {
                DataType::Dictionary(_, values) => cast(array, values).expect("values"),
                _ => ArrayRef::clone(array),
            };
            assert_eq!(&plain(column), &plain(of_whole));
        }
        start += piece.num_rows();
    }
    assert_eq!(start, whole.num_rows());
}

#[test]
fn batches_are_cut_to_the_size_of_messages() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
    let small = batch(vec![Arc::clone(&numbers)]);
    check(&small, 1 << 20, 1);
    check(&small, 10_000, 9);
    // A slice shares the buffers of all rows, and is sent without the others.
    check(&small.slice(5_000, 100), 1_000, 1);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..1_000).map(|at| "x".repeat(if at < 10 { 5_000 } else { 1 })),
    ));
    // Large rows stand together: those pieces are cut again.
    check(&batch(vec![texts]), 10_000, 30);
    check(
        &batch(vec![Arc::new(StringArray::from(vec!["x".repeat(9_000)]))]),
        1_000,
        1,
    );
}

#[test]
fn lists_are_measured_by_their_own_values() {
    let lists = (0..1_000).map(|at| Some((0..10).map(move |of| Some(f64::from(at * of)))));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists));
    let whole = batch(vec![lists]);
    check(&whole, 1 << 20, 1);
    check(&whole, 10_000, 12);
    check(&whole.slice(900, 50), 10_000, 1);
}

#[test]
fn a_dictionary_goes_with_the_values_that_are_used() {
    let values = StringArray::from_iter_values((0..1_000).map(|at| format!("{at:0>100}")));
    let keys = arrow::array::Int32Array::from_iter_values((0..4_000).map(|at| at / 4));
    let whole = batch(vec![Arc::new(
        DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).expect("a dictionary"),
    )]);
    check(&whole, 1 << 20, 1);
    check(&whole, 30_000, 16);
}

#[test]
fn types_are_those_that_every_client_reads() {
    let views: ArrayRef = Arc::new(StringViewArray::from(vec![
        Some("a text longer than twelve bytes"),
        None,
    ]));
    let large = [Some([Some(1)]), None];
    let large: ArrayRef = Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>(
        large,
    ));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None]));
    let whole = batch(vec![views, large, floats]);
    let schema = Arc::new(wire_schema(&whole.schema()));
    let types: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| field.data_type().to_string())
        .collect();
    assert_eq!(types[0], "Utf8");
    assert!(types[1].starts_with("List("), "{types:?}");
    assert_eq!(types[2], "Float64");
    let sent = converted(&whole, &schema).expect("rows");
    assert_eq!(
        sent.column(0).as_string::<i32>().value(0),
        "a text longer than twelve bytes"
    );
    assert!(sent.column(0).is_null(1) && sent.column(1).is_null(1));
    assert_eq!(
        sent.column(1)
            .as_list::<i32>()
            .value(0)
            .as_primitive::<Int64Type>()
            .value(0),
        1
    );
}

#[test]
fn no_value_is_changed_by_what_was_promised() {
    let schema = |data_type: DataType| Schema::new(vec![Field::new("a", data_type, true)]);
    let dictionary =
        |values: DataType| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let list = |of: DataType, nullable| DataType::List(Arc::new(Field::new("of", of, nullable)));
    for (answered, promised, is_same) in [
        (DataType::Int64, DataType::Int64, true),
        (DataType::Float64, DataType::Int64, false),
        (DataType::Int32, DataType::Int64, false),
        (DataType::Null, DataType::Int64, false),
        (DataType::Utf8View, DataType::Utf8, true),
        (dictionary(DataType::Utf8View), DataType::Utf8, true),
        (DataType::Utf8, dictionary(DataType::Utf8), true),
        (
            list(DataType::Int64, false),
            list(DataType::Int64, true),
            true,
        ),
        (
            list(DataType::Float64, true),
            list(DataType::Int64, true),
            false,
        ),
    ] {
        let found = is_as_promised(
            &schema(answered.clone()),
            &wire_schema(&schema(promised.clone())),
        );
        assert_eq!(found, is_same, "{answered} {promised}");
    }
    let two = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
    ]);
    assert!(!is_as_promised(&two, &schema(DataType::Int64)));
}

#[test]
fn a_value_that_does_not_fit_is_no_null() {
    let whole = batch(vec![Arc::new(StringArray::from(vec!["12", "twelve"]))]);
    let schema = Arc::new(Schema::new(vec![Field::new("c0", DataType::Int64, true)]));
    assert!(converted(&whole, &schema).is_err());
    assert!(converted(&whole.slice(0, 1), &schema).is_ok());
}
