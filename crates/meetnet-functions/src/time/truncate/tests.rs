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
    assert!(
        message.contains("there is no unit `fortnight`; it takes microsecond,"),
        "{message}"
    );
}

#[test]
fn units_have_the_names_that_postgresql_takes() -> Result<()> {
    let times = column([Some(1_783_295_939_123_456), None]);
    for (name, same) in [
        ("MILLISECONDS", "millisecond"),
        ("msec", "millisecond"),
        ("us", "microsecond"),
        ("Minutes", "minute"),
        ("hrs", "hour"),
        ("mons", "month"),
        ("qtr", "quarter"),
        ("yr", "year"),
    ] {
        let found = truncated(&DateTrunc::default(), name, &times)?;
        let expected = truncated(&DateTruncFunc::new(), same, &times)?;
        assert_eq!(&found, &expected, "{name}");
    }
    Ok(())
}

/// The answers are those of PostgreSQL.
#[test]
fn decades_centuries_and_millennia() -> Result<()> {
    let day = |text: &str| meetnet_model::time::parse_rfc3339(&format!("{text}T00:00:00Z"));
    for (unit, time, expect) in [
        ("decade", "2026-07-05", "2020-01-01"),
        ("decades", "2019-12-31", "2010-01-01"),
        ("decade", "1969-12-31", "1960-01-01"),
        ("century", "2026-07-05", "2001-01-01"),
        ("century", "2000-12-31", "1901-01-01"),
        ("CENTURY", "0100-07-05", "0001-01-01"),
        ("century", "0101-07-05", "0101-01-01"),
        ("millennium", "2026-07-05", "2001-01-01"),
        ("millennium", "2000-12-31", "1001-01-01"),
        ("millennium", "1000-07-05", "0001-01-01"),
    ] {
        let [time_us, expect_us] = [time, expect].map(|text| day(text).expect(text));
        let found = truncated(&DateTrunc::default(), unit, &column([Some(time_us), None]))?;
        let expected = column([Some(expect_us), None]);
        assert_eq!(&found, &expected, "{unit} of {time}");
    }
    Ok(())
}

#[test]
fn decades_begin_by_the_clocks_of_a_zone() -> Result<()> {
    let zone: Arc<str> = Arc::from("Europe/Brussels");
    let of = |times: Vec<i64>| -> ArrayRef {
        let times = TimestampMicrosecondArray::from(times);
        Arc::new(times.with_timezone(Arc::clone(&zone)))
    };
    // 2019-12-31T23:30:00Z is half past midnight of 2020 there, and half an hour earlier it is not.
    let times = of(vec![1_577_835_000_000_000, 1_577_831_400_000_000]);
    let starts = of(vec![1_577_833_200_000_000, 1_262_300_400_000_000]);
    let found = long(&times, 120)?;
    assert_eq!(&found, &starts);
    // 2001-01-01T00:30:00+01:00 and 2000-12-31T23:30:00+01:00.
    let times = of(vec![978_305_400_000_000, 978_301_800_000_000]);
    let found = long(&times, 1_200)?;
    let found = found.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(found.value(0), 978_303_600_000_000);
    assert!(found.value(1) < 0, "{}", found.value(1));
    Ok(())
}
