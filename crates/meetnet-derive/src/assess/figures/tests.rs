use super::*;

fn late(seconds: &[f64]) -> Figures {
    let bounds = bounds();
    let mut figures = Figures::default();
    for seconds in seconds {
        figures.count_lateness(&bounds, *seconds);
    }
    figures
}

#[test]
fn percentiles_of_lateness_are_bounds_that_are_a_fifth_too_high_at_most() {
    let check = |seconds: &[f64], percent: i64, expect: Option<f64>| {
        assert_eq!(late(seconds).lateness_at(percent), expect, "{seconds:?}");
    };
    check(&[], 50, None);
    // Before its time, at once, and within the first class.
    check(&[-5.0, 0.0, 1.0], 99, Some(1.0));
    check(&[1.01], 50, Some(2.0_f64.powf(0.25)));
    check(&[2.0], 50, Some(2.0));
    check(&[2.0, 16.0, 64.0, 64.0], 50, Some(16.0));
    check(&[2.0, 16.0, 64.0, 64.0], 51, Some(64.0));
    check(&[2.0, 16.0, 64.0, 1e9], 75, Some(64.0));
    // Nobody knows how late what lies in the open class was.
    check(&[2.0, 16.0, 64.0, 1e9], 90, None);
    for second in 2..2_000 {
        let exact = f64::from(second);
        let said = late(&[exact]).lateness_at(50).unwrap();
        assert!(said >= exact && said < exact * 1.19, "{exact}: {said}");
    }
}

#[test]
fn days_add_up_to_months() {
    let day = |rows: i64, late_by: &[f64], sensors: i64, silent: i64| Figures {
        flags: [rows, 0, 1, 0, 2],
        revisions: 1,
        slots: 10,
        slots_expected: 24,
        sensors,
        silent,
        days: 1,
        ..late(late_by)
    };
    let mut sum = Figures::default();
    sum.add_day(&day(5, &[4.0], 9, 0));
    sum.add_day(&day(7, &[1.0, 1.0, 1.0], 8, 3));
    let values = sum.values();
    let of = |name: &str| values.iter().find(|(column, _)| *column == name).unwrap();
    let check = |name: &str, expect: Value| assert_eq!(of(name).1, expect, "{name}");
    check("rows", Value::Int(18));
    check("passed", Value::Int(12));
    check("suspect", Value::Int(2));
    check("missing", Value::Int(4));
    check("revisions", Value::Int(2));
    check("completeness", Value::Float(Some(20.0 / 48.0)));
    check("timed", Value::Int(4));
    check("lateness_p50_s", Value::Float(Some(1.0)));
    check("lateness_p90_s", Value::Float(Some(4.0)));
    check("sensors", Value::Int(9));
    check("silent", Value::Int(3));
    check("days", Value::Int(2));
    assert_eq!(
        values.len(),
        meetnet_model::assessment::COLUMNS.len(),
        "every column is filled"
    );
}

#[test]
fn a_dataset_nobody_expects_anything_of_has_no_completeness() {
    let values = Figures::default().values();
    assert!(values.contains(&("completeness", Value::Float(None))));
}
