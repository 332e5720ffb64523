use super::{Step, divide};

#[test]
fn steps_are_joined_up_to_the_limit() {
    const HOUR: i64 = 3_600_000_000;
    // Hours with their rows; windows as first hour, hour behind, rows.
    let check = |counts: &[(i64, u64)], expect: &[(i64, i64, u64)]| {
        let hours: Vec<_> = counts
            .iter()
            .map(|(hour, rows)| (hour * HOUR, *rows))
            .collect();
        let windows = divide(&hours, Step::Hour, 10);
        let found: Vec<_> = windows
            .iter()
            .map(|window| {
                let (from, to) = window.from.zip(window.to).expect("bounds");
                (from / HOUR, to / HOUR, window.rows)
            })
            .collect();
        assert_eq!(found, expect, "{counts:?}");
    };
    check(&[], &[]);
    check(&[(0, 4), (1, 6), (2, 1)], &[(0, 2, 10), (2, 3, 1)]);
    // Hours without rows are in no window, or inside of one.
    check(&[(0, 4), (7, 6), (9, 5)], &[(0, 8, 10), (9, 10, 5)]);
    // One with too many rows is alone, to be divided once more.
    check(
        &[(0, 4), (1, 11), (2, 4)],
        &[(0, 1, 4), (1, 2, 11), (2, 3, 4)],
    );
    check(&[(-2, 1), (-1, 1)], &[(-2, 0, 2)]);
}

#[test]
fn steps_end_with_seconds() {
    let mut step = Some(Step::Day);
    let mut names = Vec::new();
    while let Some(now) = step {
        names.push(now.as_str());
        step = now.finer();
    }
    assert_eq!(names, ["day", "hour", "minute", "second"]);
}
