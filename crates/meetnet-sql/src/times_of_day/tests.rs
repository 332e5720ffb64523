use std::sync::Arc;

use arrow::array::{Array, StringArray, StringViewArray, Time32SecondArray};
use arrow::datatypes::TimeUnit;

use super::*;

/// The answers are those of PostgreSQL 15, but for 24:00.
#[test]
fn texts_are_read_as_postgresql_reads_them() {
    for (text, expect) in [
        ("040506", Some((4, 5, 6, 0))),
        ("04:05", Some((4, 5, 0, 0))),
        ("4:05", Some((4, 5, 0, 0))),
        ("04:05:06.789", Some((4, 5, 6, 789_000_000))),
        ("04:05:06.1234567891", Some((4, 5, 6, 123_456_789))),
        ("4:05 PM", Some((16, 5, 0, 0))),
        ("4:05PM", Some((16, 5, 0, 0))),
        ("04:05:06 pm", Some((16, 5, 6, 0))),
        ("12:00 AM", Some((0, 0, 0, 0))),
        ("12:30 am", Some((0, 30, 0, 0))),
        ("12:00 PM", Some((12, 0, 0, 0))),
        ("0:30 pm", Some((12, 30, 0, 0))),
        ("T040506", Some((4, 5, 6, 0))),
        ("T04:05", Some((4, 5, 0, 0))),
        ("t0405", Some((4, 5, 0, 0))),
        ("0405", Some((4, 5, 0, 0))),
        ("040506.789", Some((4, 5, 6, 789_000_000))),
        ("T040506.789", Some((4, 5, 6, 789_000_000))),
        ("04:05:60", Some((4, 6, 0, 0))),
        ("04:5:6", Some((4, 5, 6, 0))),
        ("  04:05  ", Some((4, 5, 0, 0))),
        ("04:05:06-08", Some((4, 5, 6, 0))),
        ("04:05-08:00", Some((4, 5, 0, 0))),
        ("040506+0730", Some((4, 5, 6, 0))),
        ("04:05+15:59", Some((4, 5, 0, 0))),
        ("10:20:30Z", Some((10, 20, 30, 0))),
        ("2003-04-12 04:05:06", Some((4, 5, 6, 0))),
        ("2003-04-12T04:05:06Z", Some((4, 5, 6, 0))),
        ("allballs", Some((0, 0, 0, 0))),
        ("23:59:59.999999999", Some((23, 59, 59, 999_999_999))),
        // Which no time of Arrow is.
        ("24:00", None),
        ("23:59:60", None),
        ("24:00:01", None),
        ("25:00", None),
        ("04:60", None),
        ("04:05:61", None),
        ("13:00 PM", None),
        ("16:05 PM", None),
        ("04:05 AM PM", None),
        ("4", None),
        ("04", None),
        ("405", None),
        ("40506", None),
        ("1234567", None),
        ("04.05", None),
        ("0405.5", None),
        ("04:05.0", None),
        ("04:05:06.", None),
        ("T4", None),
        ("-04:05", None),
        ("04:05:06,789", None),
        ("04-05-06", None),
        ("04:05:06 America/New_York", None),
        ("2003-02-30 04:05", None),
        ("2003-04-12", None),
        ("1 02:03", None),
        ("noon", None),
        ("€é", None),
        ("04:05 é€", None),
        ("04:05+16", None),
        ("04:05-08:60", None),
        ("040506+9999", None),
        ("04:05+€", None),
        ("04:05+1é1", None),
        ("", None),
    ] {
        let expect = expect.map(|(hour, minute, second, fraction): (i64, i64, i64, i64)| {
            (hour * 3_600 + minute * 60 + second) * SECOND_NS + fraction
        });
        assert_eq!(time_of_day(text), expect, "{text}");
    }
}

#[test]
fn columns_of_texts_become_times_of_every_type() {
    let texts = || vec![Some("040506"), None, Some("4:05 PM")];
    let expect: ArrayRef = Arc::new(Time32SecondArray::from(vec![
        Some(14_706),
        None,
        Some(57_900),
    ]));
    let seconds = DataType::Time32(TimeUnit::Second);
    let columns: [ArrayRef; 2] = [
        Arc::new(StringArray::from(texts())),
        Arc::new(StringViewArray::from(texts())),
    ];
    for column in &columns {
        assert_eq!(&times(column, &seconds, false).unwrap(), &expect);
    }
    let bad: ArrayRef = Arc::new(StringArray::from(vec!["25:00"]));
    let error = times(&bad, &seconds, false).unwrap_err().to_string();
    assert!(error.contains("`25:00` is no time of day"), "{error}");
    let tried = times(&bad, &seconds, true).unwrap();
    assert_eq!(tried.null_count(), 1);
}
