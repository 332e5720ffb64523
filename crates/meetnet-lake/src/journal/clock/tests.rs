use super::ClockStep::{Ahead, Back};
use super::*;

const SECOND_US: i64 = 1_000_000;
const HOUR: i64 = 3600;

/// Each step: seconds that pass, seconds by which the wall clock is then set, and what a look finds. What is recorded
/// is the greatest time seen, as in the journal.
fn check(steps: &[(i64, i64, Option<ClockStep>)]) {
    let mut watch = ClockWatch::default();
    let (mut now_us, mut monotonic_us) = (1_700_000_000 * SECOND_US, 0);
    let mut recorded_at = now_us;
    assert_eq!(watch.look(now_us, monotonic_us, recorded_at), None);
    for (at, &(passed, set, expected)) in steps.iter().enumerate() {
        monotonic_us += passed * SECOND_US;
        now_us += (passed + set) * SECOND_US;
        let found = watch.look(now_us, monotonic_us, recorded_at);
        assert_eq!(found, expected, "step {at} of {steps:?}");
        recorded_at = recorded_at.max(now_us);
    }
}

#[test]
fn a_clock_that_runs_is_believed_however_long_nobody_looks() {
    check(&[(1, 0, None), (30 * 24 * HOUR, 0, None), (0, 0, None)]);
}

#[test]
fn small_steps_are_none_and_do_not_add_up() {
    check(&[(1, 60, None), (1, 60, None), (1, 60, None)]);
    check(&[(1, -60, None), (100, -60, None), (100, -60, None)]);
}

#[test]
fn a_step_ahead_is_doubted_until_the_clock_is_set_right_again() {
    // Set right after ten minutes: what was recorded meanwhile is ahead, until the clock has caught up with it.
    check(&[
        (1, 7200, Some(Ahead)),
        (600, 0, Some(Ahead)),
        (1, -7200, Some(Back)),
        (7000, 0, Some(Back)),
        (200, 0, None),
    ]);
    // Within the tolerance it is the old time again.
    check(&[(1, 61, Some(Ahead)), (1, -30, None), (1, 0, None)]);
}

#[test]
fn a_step_ahead_is_taken_as_right_after_an_hour() {
    check(&[
        (1, 7200, Some(Ahead)),
        (HOUR - 1, 0, Some(Ahead)),
        (1, 0, None),
        (HOUR, 0, None),
        // From then on it is what further steps are measured by.
        (1, 59, None),
        (1, -7200, Some(Back)),
    ]);
}

#[test]
fn another_step_begins_the_hour_again() {
    check(&[
        (1, 7200, Some(Ahead)),
        (HOUR - 1, 61, Some(Ahead)),
        (HOUR - 1, 0, Some(Ahead)),
        (1, 0, None),
    ]);
}

#[test]
fn a_step_back_is_doubted_while_recorded_at_cannot_follow() {
    check(&[
        (1, -3 * HOUR, Some(Back)),
        (HOUR, 0, Some(Back)),
        (2 * HOUR - 62, 0, Some(Back)),
        (2, 0, None),
    ]);
    // Set right again: nothing was recorded ahead of it.
    check(&[(1, -7200, Some(Back)), (600, 7200, None)]);
}

#[test]
fn a_start_with_a_clock_behind_what_is_recorded_is_noticed() {
    let mut watch = ClockWatch::default();
    let recorded_at = 1_700_000_000 * SECOND_US;
    let mut look = |now_us| watch.look(now_us, now_us, recorded_at);
    assert_eq!(look(recorded_at - 61 * SECOND_US), Some(Back));
    assert_eq!(look(recorded_at - 60 * SECOND_US), None);
}

#[test]
fn readings_at_the_ends_of_the_range_do_not_overflow() {
    for now_us in [i64::MIN, -1, 0, i64::MAX] {
        for monotonic_us in [i64::MIN, 0, i64::MAX] {
            let mut watch = ClockWatch::default();
            watch.look(0, 0, i64::MIN);
            watch.look(now_us, monotonic_us, i64::MAX);
            watch.look(monotonic_us, now_us, i64::MIN);
        }
    }
}
