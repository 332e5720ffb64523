use datafusion::common::ColumnStatistics;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::{col, lit};

use super::*;

fn time(at: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(
        Some(at),
        Some("UTC".into()),
    ))
}

#[test]
fn filters_bound_a_range() {
    let check = |filters: &[Expr], expect: Option<(i64, i64)>| {
        let range = TimeRange::of(filters, "time").map(|range| (range.first, range.last));
        assert_eq!(range, expect, "{filters:?}");
    };
    check(&[], None);
    check(&[col("time").gt_eq(time(5))], Some((5, i64::MAX)));
    check(&[col("time").gt(time(5))], Some((5, i64::MAX)));
    check(&[time(5).gt(col("time"))], Some((i64::MIN, 5)));
    check(&[time(5).lt_eq(col("time"))], Some((5, i64::MAX)));
    check(&[col("time").eq(time(5))], Some((5, 5)));
    let both = col("time").gt_eq(time(5)).and(col("time").lt(time(9)));
    check(&[both.clone(), col("time").gt(time(7))], Some((7, 9)));
    check(
        &[col("sensor_id").eq(lit("a")), col("time").lt(time(9))],
        Some((i64::MIN, 9)),
    );
    // Either may hold, so neither bounds.
    check(&[both.or(col("time").eq(time(1)))], None);
    check(&[col("time").not_eq(time(5))], None);
    check(&[col("received_at").lt(time(9))], None);
    check(&[col("time").gt(col("received_at"))], None);
    check(&[col("time").lt(lit(9_i64))], None);
}

#[test]
fn a_range_takes_a_share_of_a_file() {
    let check = |range: (i64, i64), file: Option<(i64, i64)>, expect: f64, meets: bool| {
        let exact = |at: i64| {
            Precision::Exact(ScalarValue::TimestampMicrosecond(
                Some(at),
                Some("UTC".into()),
            ))
        };
        let mut of_time = ColumnStatistics::new_unknown();
        if let Some((first, last)) = file {
            of_time.min_value = exact(first);
            of_time.max_value = exact(last);
        }
        let statistics = Statistics {
            num_rows: Precision::Exact(10),
            total_byte_size: Precision::Absent,
            column_statistics: vec![ColumnStatistics::new_unknown(), of_time],
        };
        let (first, last) = range;
        let range = TimeRange { first, last };
        assert_eq!(range.meets(&statistics, 1), meets, "{range:?} of {file:?}");
        let share = range.share(&statistics, 1);
        assert!(
            (share - expect).abs() < 1e-9,
            "{range:?} of {file:?}: {share}"
        );
    };
    check((100, 200), Some((100, 200)), 1.0, true);
    check((0, 300), Some((100, 200)), 1.0, true);
    check((i64::MIN, i64::MAX), Some((100, 200)), 1.0, true);
    check((150, 175), Some((100, 200)), 0.25, true);
    check((i64::MIN, 110), Some((100, 200)), 0.1, true);
    check((190, i64::MAX), Some((100, 200)), 0.1, true);
    check((i64::MIN, 99), Some((100, 200)), 0.0, false);
    check((201, i64::MAX), Some((100, 200)), 0.0, false);
    // One time may be many rows.
    check((0, 100), Some((100, 200)), 0.0, true);
    check((200, i64::MAX), Some((100, 200)), 0.0, true);
    // A range that holds nothing.
    check((180, 120), Some((100, 200)), 0.0, true);
    check((7, 7), Some((7, 7)), 1.0, true);
    check((0, 6), Some((7, 7)), 0.0, false);
    check((0, i64::MAX), Some((i64::MIN, i64::MAX)), 1.0, true);
    check((150, 175), None, 1.0, true);
}
