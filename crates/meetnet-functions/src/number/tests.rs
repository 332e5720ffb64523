use super::*;

#[test]
fn ranges_are_counted_from_low_to_high() {
    for (value, between, count, expect) in [
        // The example of PostgreSQL's manual.
        (5.35, (0.024, 10.06), 5, Ok(Some(3))),
        (0.0, (0.0, 10.0), 5, Ok(Some(1))),
        (9.999, (0.0, 10.0), 5, Ok(Some(5))),
        (10.0, (0.0, 10.0), 5, Ok(Some(6))),
        (-0.1, (0.0, 10.0), 5, Ok(Some(0))),
        (f64::INFINITY, (0.0, 10.0), 5, Ok(Some(6))),
        (9.0, (10.0, 0.0), 5, Ok(Some(1))),
        (0.0, (10.0, 0.0), 5, Ok(Some(6))),
        (11.0, (10.0, 0.0), 5, Ok(Some(0))),
        (f64::NAN, (0.0, 10.0), 5, Ok(None)),
        (1.0, (0.0, 10.0), 0, Err("at least one range")),
        (1.0, (3.0, 3.0), 5, Err("two different numbers")),
        (1.0, (0.0, f64::INFINITY), 5, Err("two different numbers")),
    ] {
        let found = bucket_of(value, between, count);
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{value} in {between:?}"),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{value} in {between:?}: {found:?}, not {expect:?}"),
        }
    }
}

#[test]
fn a_sign_is_of_three() {
    for (x, expect) in [
        (-2.5, -1.0),
        (0.0, 0.0),
        (-0.0, 0.0),
        (7.0, 1.0),
        (f64::NAN, 0.0),
    ] {
        assert_eq!(sign(x).to_string(), f64::to_string(&expect), "{x}");
    }
}
