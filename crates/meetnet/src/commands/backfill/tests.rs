use super::*;

#[test]
fn how_a_backfill_stands_is_one_line() {
    let check = |progress: &BackfillProgress, expect: &str| {
        assert_eq!(line(progress, 1_000_000), expect);
    };
    let mut progress = BackfillProgress::default();
    check(
        &progress,
        "waiting until another backfill of the source is done",
    );
    progress.begun = true;
    progress.windows_left = 1;
    check(&progress, "0 of 1 window, 0 rows");
    progress.windows_done = 3;
    progress.items = 72;
    progress.expected_end = Some(7_201_000_001);
    progress.last = Some("9000001463".to_owned());
    check(
        &progress,
        "3 of 4 windows, 72 rows; 3 h left; last 9000001463",
    );
    // It takes longer than it was said to.
    progress.expected_end = Some(0);
    progress.trouble = Some("500".to_owned());
    check(
        &progress,
        "3 of 4 windows, 72 rows; 0 s left; last 9000001463; tries again: 500",
    );
}

#[test]
fn durations_have_the_unit_that_suits_them() {
    let check = |micros: i64, expect: &str| assert_eq!(duration(micros), expect);
    check(-5, "0 s");
    check(1, "1 s");
    check(119_000_000, "119 s");
    check(119_000_001, "2 min");
    check(7_140_000_001, "120 min");
    check(7_200_000_000, "2 h");
    check(172_800_000_000, "2 d");
    check(i64::MAX, "106751992 d");
}
