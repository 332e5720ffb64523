use arrow::datatypes::Field;
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;

use super::*;

/// Calls a `date_trunc` on a column of times in UTC.
fn truncated(
    function: &dyn ScalarUDFImpl,
    granularity: &str,
    times: &ArrayRef,
) -> Result<ArrayRef> {
    let field = |name: &str, of: DataType| Arc::new(Field::new(name, of, true));
    let args = ScalarFunctionArgs {
        args: vec![
            ColumnarValue::Scalar(ScalarValue::from(granularity)),
            ColumnarValue::Array(Arc::clone(times)),
        ],
        arg_fields: vec![
            field("granularity", DataType::Utf8),
            field("time", timestamp_type()),
        ],
        number_rows: times.len(),
        return_field: field("date_trunc", timestamp_type()),
        config_options: Arc::new(ConfigOptions::default()),
    };
    function.invoke_with_args(args)?.into_array(times.len())
}

fn column(times: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    let times: TimestampMicrosecondArray = times.into_iter().collect();
    Arc::new(times.with_data_type(timestamp_type()))
}

#[test]
fn the_same_as_datafusion() -> Result<()> {
    // Around starts of days, weeks, months and years, on both sides of 1970, sorted and not, with NULL between.
    let edges = [
        0,
        1_767_225_600,
        1_709_164_800,
        -86_400,
        -62_135_596_800 / 8,
        951_782_400,
    ];
    let mut times = Vec::new();
    for edge in edges {
        for second in [
            -86_400 * 8,
            -86_400,
            -3_601,
            -1,
            0,
            1,
            3_599,
            3_600,
            86_399,
            86_400 * 31,
        ] {
            times.push(Some((edge + second) * SECOND_US + 999));
            times.push(Some((edge + second) * SECOND_US));
        }
        times.push(None);
    }
    for round in 0..2_000_i64 {
        times.push(Some(1_735_689_600_000_000 + round * 1_800_000_001));
    }
    let times = column(times);
    let (ours, theirs) = (DateTrunc::default(), DateTruncFunc::new());
    for granularity in [
        "microsecond",
        "millisecond",
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "QUARTER",
        "Year",
    ] {
        for times in [&times, &times.slice(7, 90)] {
            let expected = truncated(&theirs, granularity, times)?;
            let found = truncated(&ours, granularity, times)?;
            assert_eq!(&found, &expected, "{granularity}");
        }
    }
    Ok(())
}

#[test]
fn nothing_and_only_null() -> Result<()> {
    for granularity in ["hour", "month"] {
        for times in [column([]), column([None, None])] {
            let found = truncated(&DateTrunc::default(), granularity, &times)?;
            assert_eq!(&found, &times, "{granularity}");
        }
    }
    Ok(())
}

#[test]
fn an_unknown_granularity_is_an_error() {
    let found = truncated(&DateTrunc::default(), "fortnight", &column([Some(0)]));
    let message = found.expect_err("there is none").to_string();
    assert!(message.contains("fortnight"), "{message}");
}
