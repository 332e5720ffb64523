use super::*;

#[test]
fn averages_over_any_times() {
    // Further apart than an int64 can say.
    let (least, most) = (i64::MIN + 1, i64::MAX);
    for (between, points, expect) in [
        (Between::Steps, vec![(4, 0.0), (0, 1.0), (3, 9.0)], 3.0),
        (Between::Lines, vec![(0, 0.0), (4, 8.0)], 4.0),
        (Between::Steps, vec![(7, 1.0), (7, 3.0)], 2.0),
        (Between::Lines, vec![(least, 0.0), (most, 10.0)], 5.0),
    ] {
        let shown = format!("{between:?} {points:?}");
        let found = Points { between, points }.average();
        assert_eq!(found, Some(expect), "{shown}");
    }
    let none = Vec::new();
    let found = Points {
        between: Between::Steps,
        points: none,
    }
    .average();
    assert_eq!(found, None);
}
