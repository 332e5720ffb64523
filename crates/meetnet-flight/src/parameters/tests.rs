use std::collections::HashMap;

use arrow::array::{
    BinaryArray, BinaryViewArray, Date32Array, Date64Array, Decimal64Array, FixedSizeBinaryArray,
    Float64Array, Int32Array, LargeListArray, LargeStringArray, ListArray, NullArray,
    StringViewArray, StringViewBuilder, StructArray, Time32SecondArray, Time64MicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Int64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tonic::Code;

use super::*;

const NANOSECONDS: DataType = DataType::Time64(TimeUnit::Nanosecond);
/// The bytes 0 to 15.
const BYTES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Returns the type and the text of the first value.
fn shown(value: &ArrayRef) -> (DataType, String) {
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(value.as_ref(), &options).expect("a formatter");
    (value.data_type().clone(), formatter.value(0).to_string())
}

fn sixteen_bytes() -> ArrayRef {
    let value = FixedSizeBinaryArray::try_from_iter([BYTES].into_iter());
    Arc::new(value.expect("sixteen bytes"))
}

/// A row of one value whose column says that it is a UUID.
fn as_uuid(value: ArrayRef) -> RecordBatch {
    let [key, name] = UUID_EXTENSION.map(str::to_owned);
    let field = Field::new("1", value.data_type().clone(), true);
    let field = field.with_metadata(HashMap::from([(key, name)]));
    let schema = Arc::new(Schema::new(vec![field]));
    RecordBatch::try_new(schema, vec![value]).expect("a row")
}

fn row_of(value: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("1", value, true)]).expect("a row")
}

#[test]
fn values_have_one_form_of_each_kind() {
    let check = |value: ArrayRef, form: DataType, text: &str| {
        let sent = value.data_type().clone();
        let values = plain_row(&row_of(value)).expect("values");
        assert_eq!(shown(&values[0]), (form, text.to_owned()), "{sent}");
    };
    let half_past_seven = 27_000;
    check(
        Arc::new(Time32SecondArray::from(vec![half_past_seven])),
        NANOSECONDS,
        "07:30:00",
    );
    check(
        Arc::new(Time64MicrosecondArray::from(vec![
            i64::from(half_past_seven) * 1_000_000,
        ])),
        NANOSECONDS,
        "07:30:00",
    );
    check(
        Arc::new(Date64Array::from(vec![20_454 * 86_400_000])),
        DataType::Date32,
        "2026-01-01",
    );
    check(
        Arc::new(Date32Array::from(vec![20_454])),
        DataType::Date32,
        "2026-01-01",
    );
    let decimal = Decimal64Array::from(vec![150]);
    let decimal = decimal.with_precision_and_scale(10, 2).expect("a decimal");
    check(Arc::new(decimal), DataType::Decimal128(10, 2), "1.50");
    check(
        Arc::new(LargeStringArray::from(vec!["a"])),
        DataType::Utf8,
        "a",
    );
    check(
        Arc::new(StringViewArray::from(vec![
            "a text of more than twelve bytes",
        ])),
        DataType::Utf8,
        "a text of more than twelve bytes",
    );
    check(
        Arc::new(BinaryViewArray::from_iter_values([b"\x00\xff"])),
        DataType::Binary,
        "00ff",
    );
    check(
        sixteen_bytes(),
        DataType::Binary,
        "000102030405060708090a0b0c0d0e0f",
    );
    let list = LargeListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]);
    let integers = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    check(Arc::new(list), integers, "[1, NULL]");
    check(Arc::new(NullArray::new(1)), DataType::Null, "NULL");
    check(
        Arc::new(Float64Array::from(vec![1.5])),
        DataType::Float64,
        "1.5",
    );
}

#[test]
fn a_uuid_is_its_text() {
    let values = plain_row(&as_uuid(sixteen_bytes())).expect("values");
    let text = "00010203-0405-0607-0809-0a0b0c0d0e0f";
    assert_eq!(shown(&values[0]), (DataType::Utf8, text.to_owned()));
    let none = new_null_array(&DataType::FixedSizeBinary(16), 1);
    let values = plain_row(&as_uuid(none)).expect("values");
    assert_eq!(shown(&values[0]), (DataType::Utf8, "NULL".to_owned()));
}

#[test]
fn what_has_no_form_is_refused_by_its_type() {
    let one: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let field = Arc::new(Field::new("a", DataType::Int32, true));
    let structure: ArrayRef = Arc::new(StructArray::from(vec![(field, one)]));
    let wrong = plain_row(&row_of(structure)).expect_err("a struct");
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let message = wrong.message();
    assert!(
        message.starts_with("the value of $1 is of the type Struct("),
        "{message}"
    );
    assert!(message.contains("taken for no parameter"), "{message}");
}

/// Elements that share their bytes, or have none, take no room in a message, whatever they come to apart.
#[test]
fn what_a_value_comes_to_has_an_end() {
    let list = |values: ArrayRef| -> ArrayRef {
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        Arc::new(ListArray::new(field, offsets, values, None))
    };
    let views = |count: usize| -> ArrayRef {
        let mut builder = StringViewBuilder::new();
        let bytes = vec![b'x'; 1024 * 1024];
        let block = builder.append_block(bytes.into());
        for _ in 0..count {
            let appended = builder.try_append_view(block, 0, 1024 * 1024);
            appended.expect("a view");
        }
        Arc::new(builder.finish())
    };
    let nulls = |count: usize| -> ArrayRef { Arc::new(NullArray::new(count)) };
    assert!(plain_row(&row_of(list(views(2)))).is_ok());
    assert!(plain_row(&row_of(list(nulls(2)))).is_ok());
    for values in [views(17), nulls(ROW_SIZE_MAX + 1)] {
        let wrong = plain_row(&row_of(list(values))).expect_err("too large");
        assert_eq!(wrong.code(), Code::InvalidArgument);
        assert!(
            wrong
                .message()
                .contains("up to that of $1 they are too large"),
            "{wrong}"
        );
    }
    // All of a row together.
    let half = || list(nulls(ROW_SIZE_MAX / 2));
    let both = [("1", half(), true), ("2", half(), true)];
    let both = RecordBatch::try_from_iter_with_nullable(both).expect("a row");
    let wrong = plain_row(&both).expect_err("too large");
    assert!(wrong.message().contains("up to that of $2"), "{wrong}");
    let field = |data_type: DataType| Arc::new(Field::new_list_field(data_type, true));
    let view = DataType::ListView(field(DataType::Int64));
    let plain = DataType::List(field(DataType::Int64));
    assert_eq!(plain_type(&view), Some(plain));
    assert_eq!(plain_type(&DataType::List(field(view))), None);
}

#[test]
fn binary_takes_the_place_of_nothing_else() {
    let bytes = || -> ArrayRef { Arc::new(BinaryArray::from_vec(vec![b"ab".as_slice()])) };
    for wanted in [DataType::Utf8View, DataType::Int64, NANOSECONDS] {
        let wrong = typed(vec![bytes()], &[Some(wanted.clone())]).expect_err("binary");
        assert_eq!(wrong.code(), Code::InvalidArgument);
        let message = format!("the value of $1 is binary, and its place takes {wanted};");
        assert!(wrong.message().starts_with(&message), "{wrong}");
        // NULL is one of any type.
        let none = new_null_array(&DataType::Binary, 1);
        let values = typed(vec![none], &[Some(wanted.clone())]).expect("values");
        assert_eq!(shown(&values[0]), (wanted, "NULL".to_owned()));
    }
    for wanted in [None, Some(DataType::BinaryView)] {
        let values = typed(vec![bytes()], &[wanted]).expect("values");
        assert_eq!(shown(&values[0]), (DataType::Binary, "6162".to_owned()));
    }
}
