use super::{Step, Subject, Window, divide_subjects, divide_time};

#[test]
fn subjects_are_joined_up_to_the_limit() {
    // Subjects with their rows; windows as first subject, subject behind, rows.
    let check = |counts: &[(i64, u64)], expect: &[(Option<i64>, Option<i64>, u64)]| {
        let counts = counts.iter();
        let counts = counts.map(|(subject, rows)| (Subject::Number(*subject), *rows));
        let windows = divide_subjects(counts.collect(), 10);
        let number = |subject: Option<Subject>| match subject {
            Some(Subject::Number(number)) => Some(number),
            other => {
                assert_eq!(other, None);
                None
            }
        };
        let windows = windows.into_iter();
        let found: Vec<_> = windows
            .map(|window| (number(window.first), number(window.behind), window.rows))
            .collect();
        assert_eq!(found, expect);
    };
    check(&[], &[]);
    // The first and the last have no end: together they are everything.
    check(&[(3, 4), (7, 6)], &[(None, None, 10)]);
    check(
        &[(3, 4), (7, 6), (9, 1), (12, 9)],
        &[(None, Some(9), 10), (Some(9), None, 10)],
    );
    // One with too many rows is alone, to be divided by time.
    check(
        &[(3, 11), (7, 1), (8, 25), (9, 2)],
        &[
            (None, Some(7), 11),
            (Some(7), Some(8), 1),
            (Some(8), Some(9), 25),
            (Some(9), None, 2),
        ],
    );
}

#[test]
fn subjects_have_the_order_of_sql() {
    let texts = ["", "10", "9", "Z", "a", "é"].map(|text| Subject::Text(text.to_owned()));
    assert!(texts.is_sorted());
    assert!([-1, 0, 9, 10].map(Subject::Number).is_sorted());
}

#[test]
fn steps_are_joined_up_to_the_limit() {
    const HOUR: i64 = 3_600_000_000;
    // Hours with their rows; windows as first hour, hour behind, rows.
    let check = |counts: &[(i64, u64)], expect: &[(i64, i64, u64)]| {
        let hours: Vec<_> = counts
            .iter()
            .map(|(hour, rows)| (hour * HOUR, *rows))
            .collect();
        let whole = Window {
            first: Some(Subject::Number(7)),
            behind: Some(Subject::Number(8)),
            rows: 99,
            ..Window::default()
        };
        let windows = divide_time(&whole, &hours, Step::Hour, 10);
        let is_of_whole =
            |window: &Window| (&window.first, &window.behind) == (&whole.first, &whole.behind);
        assert!(windows.iter().all(is_of_whole), "{windows:?}");
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
