use arrow::array::{DurationMicrosecondArray, IntervalMonthDayNanoArray};

use super::*;

/// Months, days and seconds.
fn intervals(of: &[(i32, i32, f64)]) -> ArrayRef {
    let intervals = of.iter().map(|(months, days, seconds)| {
        IntervalMonthDayNano::new(*months, *days, (seconds * 1e9) as i64)
    });
    Arc::new(IntervalMonthDayNanoArray::from_iter_values(intervals))
}

fn evaluated(totals: &mut Totals) -> ScalarValue {
    totals.evaluate().unwrap()
}

/// The answers are those of PostgreSQL 15.
#[test]
fn a_mean_carries_months_to_days_and_days_to_hours() {
    for (of, months, days, seconds) in [
        (
            &[(0, 1, 0.0), (1, 0, 0.0), (0, 0, 7_200.0)][..],
            0,
            10,
            31_200.0,
        ),
        (&[(1, 0, 0.0), (0, 0, 0.0)][..], 0, 15, 0.0),
        (
            &[(-1, 0, 0.0), (0, 1, 0.0), (0, 0, 1.0), (0, 0, 25_200.0)][..],
            0,
            -7,
            -15_299.75,
        ),
        (&[(12, 0, 0.0), (0, 3, 0.0), (0, 0, 3.0)][..], 4, 1, 1.0),
        (&[(1, 2, 3.5)][..], 1, 2, 3.5),
    ] {
        let nanoseconds = (seconds * 1e9) as i64;
        let expect = IntervalMonthDayNano::new(months, days, nanoseconds);
        let expect = ScalarValue::IntervalMonthDayNano(Some(expect));
        let mut totals = Totals::default();
        totals.update_batch(&[intervals(of)]).unwrap();
        assert_eq!(evaluated(&mut totals), expect, "{of:?}");
        // Of partial sums.
        let mut merged = Totals::default();
        for one in of {
            let mut partial = Totals::default();
            partial.update_batch(&[intervals(&[*one])]).unwrap();
            let states = partial.state().unwrap();
            let states = states.iter().map(|state| state.to_array().unwrap());
            merged.merge_batch(&states.collect::<Vec<_>>()).unwrap();
        }
        assert_eq!(evaluated(&mut merged), expect, "{of:?}");
        // Of what has left a frame nothing stays.
        let others = intervals(&[(7, -3, 1.25), (0, 0, -9.0)]);
        totals.update_batch(&[Arc::clone(&others)]).unwrap();
        totals.retract_batch(&[others]).unwrap();
        assert_eq!(evaluated(&mut totals), expect, "{of:?}");
    }
}

#[test]
fn means_of_spans_do_not_wrap() {
    let most = i64::MAX - 1;
    for (of, expect) in [
        (&[Some(most), Some(most), Some(most), None][..], Some(most)),
        (&[Some(1), Some(2)][..], Some(2)),
        (&[Some(-1), Some(-2)][..], Some(-2)),
        (&[Some(1), Some(1), Some(2)][..], Some(1)),
        (&[None][..], None),
    ] {
        let spans = |of: &[Option<i64>]| -> ArrayRef {
            Arc::new(DurationMicrosecondArray::from(of.to_vec()))
        };
        let expect = ScalarValue::DurationMicrosecond(expect);
        let mut totals = Spans::<DurationMicrosecondType>::default();
        totals.update_batch(&[spans(of)]).unwrap();
        assert_eq!(totals.evaluate().unwrap(), expect, "{of:?}");
        // Of what has left a frame nothing stays.
        totals.update_batch(&[spans(&[Some(7), None])]).unwrap();
        totals.retract_batch(&[spans(&[Some(7), None])]).unwrap();
        let states = totals.state().unwrap();
        let states = states.iter().map(|state| state.to_array().unwrap());
        let mut merged = Spans::<DurationMicrosecondType>::default();
        merged.merge_batch(&states.collect::<Vec<_>>()).unwrap();
        assert_eq!(merged.evaluate().unwrap(), expect, "{of:?}");
    }
}

#[test]
fn of_nothing_there_is_no_mean() {
    let mut totals = Totals::default();
    let nothing = IntervalMonthDayNanoArray::from(vec![None::<IntervalMonthDayNano>]);
    totals.update_batch(&[Arc::new(nothing)]).unwrap();
    assert_eq!(
        evaluated(&mut totals),
        ScalarValue::IntervalMonthDayNano(None)
    );
}

#[test]
fn more_days_than_are_counted_are_an_error() {
    let mut totals = Totals::default();
    let most = intervals(&[(1, i32::MAX, 0.0), (0, i32::MAX, 0.0)]);
    totals.update_batch(&[most]).unwrap();
    let error = totals.evaluate().unwrap_err().to_string();
    assert!(error.contains("out of range"), "{error}");
}
