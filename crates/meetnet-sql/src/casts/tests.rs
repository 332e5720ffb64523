use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

use super::is_misread;

#[test]
fn casts_that_keep_order_stay_casts() {
    let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let decimal = DataType::Decimal128;
    let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Int64));
    for (from, to, is_try, expected) in [
        (utc(), DataType::Time64(TimeUnit::Nanosecond), false, true),
        (utc(), DataType::Time32(TimeUnit::Second), false, true),
        (utc(), DataType::Date32, false, false),
        (utc(), DataType::Int64, false, false),
        (
            utc(),
            DataType::Timestamp(TimeUnit::Second, None),
            false,
            false,
        ),
        (DataType::Int64, DataType::Boolean, false, true),
        (DataType::Float64, DataType::Boolean, false, true),
        (words, DataType::Boolean, false, true),
        (DataType::Boolean, DataType::Int64, false, false),
        (DataType::Int64, DataType::Binary, false, true),
        (
            DataType::Int64,
            DataType::Interval(IntervalUnit::DayTime),
            false,
            true,
        ),
        (DataType::Int64, DataType::Int32, false, false),
        (DataType::Int64, DataType::Int32, true, true),
        (DataType::Utf8, DataType::Int32, true, false),
        (DataType::Float64, DataType::Int64, false, false),
        (DataType::Float64, decimal(5, 2), false, false),
        (decimal(5, 2), decimal(5, 1), false, true),
        (decimal(5, 2), decimal(9, 3), false, false),
        (decimal(5, 2), DataType::Int32, false, true),
        (decimal(5, 2), DataType::Float64, false, false),
    ] {
        let found = is_misread(&from, &to, is_try);
        assert_eq!(found, expected, "{from} to {to}");
    }
}
