use Quality::{Fail, Missing, NotEvaluated, Pass, Suspect};

use super::*;

#[test]
fn gross_range_bounds_are_inside() {
    let check = |value: f64, suspect: Option<[f64; 2]>, expect: Quality| {
        let flag = gross_range(value, [0.0, 10.0], suspect);
        assert_eq!(flag, expect, "{value} {suspect:?}");
    };
    let narrow = Some([3.0, 8.0]);
    check(0.0, None, Pass);
    check(10.0, None, Pass);
    check(-0.1, None, Fail);
    check(10.1, None, Fail);
    check(0.0, narrow, Suspect);
    check(2.9, narrow, Suspect);
    check(3.0, narrow, Pass);
    check(8.0, narrow, Pass);
    check(8.1, narrow, Suspect);
    check(10.1, narrow, Fail);
    check(f64::NAN, narrow, Missing);
    check(f64::INFINITY, narrow, Fail);
}

#[test]
fn climatology_is_by_month() {
    let winter = MonthLimits {
        months: vec![12, 1, 2],
        suspect: [-10.0, 15.0],
        fail: Some([-20.0, 20.0]),
    };
    let july = MonthLimits {
        months: vec![7],
        suspect: [5.0, 35.0],
        fail: None,
    };
    let climatology = Climatology::new(&[winter, july]);
    let check = |value: f64, month: u8, expect: Quality| {
        assert_eq!(climatology.test(value, month), expect, "{value} in {month}");
    };
    check(-10.0, 1, Pass);
    check(15.0, 12, Pass);
    check(15.1, 2, Suspect);
    check(20.0, 1, Suspect);
    check(20.1, 1, Fail);
    check(-20.5, 12, Fail);
    check(20.1, 7, Pass);
    check(4.9, 7, Suspect);
    check(1e6, 7, Suspect);
    check(20.1, 6, NotEvaluated);
    check(20.1, 0, NotEvaluated);
    check(20.1, 13, NotEvaluated);
    check(f64::NAN, 7, Missing);
    check(f64::NAN, 6, Missing);
}

#[test]
fn location_is_on_earth() {
    let check = |lon: Option<f64>, lat: Option<f64>, expect: Quality| {
        assert_eq!(location(lon, lat), expect, "{lon:?} {lat:?}");
    };
    check(Some(4.7), Some(50.88), Pass);
    check(Some(180.0), Some(-90.0), Pass);
    check(Some(180.1), Some(0.0), Fail);
    check(Some(0.0), Some(90.1), Fail);
    check(Some(4.7), None, Fail);
    check(None, Some(50.88), Fail);
    check(Some(f64::NAN), Some(50.88), Fail);
    check(None, None, Missing);
}
