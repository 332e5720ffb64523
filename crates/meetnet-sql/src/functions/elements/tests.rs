use super::*;

fn values(is: &DataType) -> Values {
    Values {
        is: is.clone(),
        counts: Counts::AsIs,
    }
}

fn written(value: &ScalarValue) -> Values {
    let values = Values::of_argument(Argument::Element, &value.data_type(), Some(value));
    values.expect("a value")
}

#[test]
fn numbers_times_and_texts_have_a_common_type() {
    let check = |of: &[Values], expect: Option<DataType>| {
        assert_eq!(common_type(of), expect, "{of:?}");
        let turned: Vec<Values> = of.iter().rev().cloned().collect();
        assert_eq!(common_type(&turned), expect, "{turned:?}");
    };
    let money = DataType::Decimal128(10, 2);
    let (float, whole) = (DataType::Float64, DataType::Int64);
    let check_numbers = |of: [&DataType; 2], expect: Option<DataType>| {
        check(&of.map(values), expect);
    };
    check_numbers([&money, &money], None);
    check_numbers([&money, &DataType::Null], None);
    check_numbers([&money, &float], Some(DataType::Float64));
    check_numbers([&money, &DataType::Float32], Some(DataType::Float64));
    // A float would not tell these apart: 9007199254740993 and 9007199254740992.00.
    check_numbers([&money, &whole], Some(DataType::Decimal128(21, 2)));
    check_numbers(
        [&money, &DataType::UInt64],
        Some(DataType::Decimal128(22, 2)),
    );
    let precise = DataType::Decimal128(10, 8);
    check_numbers([&money, &precise], Some(DataType::Decimal128(16, 8)));
    let (large, small) = (DataType::Decimal128(38, 0), DataType::Decimal128(38, 20));
    check_numbers([&large, &small], Some(DataType::Decimal256(58, 20)));
    let (large, small) = (DataType::Decimal256(76, 0), DataType::Decimal256(76, 20));
    check_numbers([&large, &small], None);
    check_numbers([&money, &DataType::Boolean], None);
    check_numbers([&money, &DataType::Utf8], None);
    // DataFusion knows these.
    check_numbers([&float, &whole], None);
    // A number that is written is one of decimal digits, as in PostgreSQL.
    let number = |number: f64| written(&ScalarValue::from(number));
    check(
        &[values(&money), number(-2.125)],
        Some(DataType::Decimal128(11, 3)),
    );
    check(
        &[values(&money), number(7.0)],
        Some(DataType::Decimal128(10, 2)),
    );
    check(&[values(&money), number(1e300)], None);
    check(
        &[values(&money), number(f64::INFINITY)],
        Some(DataType::Float64),
    );
    check(
        &[values(&money), written(&ScalarValue::from(3_i64))],
        Some(money.clone()),
    );
    check(&[values(&float), number(2.5)], None);
    // A text that is written is what it stands beside.
    let text = |text: &str| written(&ScalarValue::from(text));
    check(
        &[values(&money), text("2.125")],
        Some(DataType::Decimal128(11, 3)),
    );
    check(&[values(&money), text("many")], Some(money.clone()));
    check(
        &[values(&money), text(" 25e-4 ")],
        Some(DataType::Decimal128(12, 4)),
    );
    check(&[values(&whole), text("2")], Some(DataType::Int64));
    check(&[values(&whole), values(&DataType::Utf8)], None);
    check(&[values(&DataType::Utf8View), text("a")], None);
    let list = DataType::new_list(DataType::Int64, true);
    check(&[values(&list), text("{1}")], None);
    // A date is a time, and so is a text beside times.
    let date = DataType::Date32;
    let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    let naive = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
    check_numbers([&date, &time], Some(time.clone()));
    check_numbers([&DataType::Utf8, &time], Some(time.clone()));
    check_numbers([&DataType::Utf8, &date], Some(date.clone()));
    check_numbers([&naive, &time], None);
    check_numbers([&whole, &time], None);
    check(&[values(&date), text("2026-01-31")], Some(date.clone()));
}

#[test]
fn numbers_have_digits() {
    let check = |text: &str, expect: Option<(u16, u16)>| {
        let expect = expect.map(|(whole, fraction)| Digits { whole, fraction });
        assert_eq!(Digits::of_text(text), expect, "{text}");
    };
    check("2.25", Some((1, 2)));
    check("-17", Some((2, 0)));
    check("0.1234567890", Some((1, 10)));
    check("+1", Some((1, 0)));
    check(".5", Some((0, 1)));
    for other in ["", "-", ".", "1e5", "NaN", "1,5", "1.-5"] {
        check(other, None);
    }
}

#[test]
fn arguments_of_functions_are_known() {
    for name in OF_ELEMENTS {
        let known = (2..=4).find_map(|count| arguments_of(name, count));
        let known = known.unwrap_or_default();
        assert!(known.contains(&Argument::List), "{name}");
    }
    assert_eq!(arguments_of("array_length", 1), None);
    assert_eq!(arguments_of("array_has", 3), None);
}
