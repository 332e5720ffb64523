//! Spans of time and times of day as PostgreSQL prints them: `1 day 02:00:00`, `12:00:00.5`.

use std::fmt::Write;

/// Returns a time of day, µs since midnight.
pub(super) fn time_of_day(at: i64) -> String {
    let mut shown = String::new();
    write_time(i128::from(at), &mut shown);
    shown
}

/// Returns a span of time of so many months, days and nanoseconds, of which those below a microsecond are left out.
pub(super) fn span(months: i128, days: i128, nanoseconds: i128) -> String {
    let mut shown = String::new();
    // Behind a negative part a positive one has a sign.
    let mut is_behind_negative = false;
    let parts = [(months / 12, "year"), (months % 12, "mon"), (days, "day")];
    for (count, name) in parts {
        if count == 0 {
            continue;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        let sign = if is_behind_negative && count > 0 {
            "+"
        } else {
            ""
        };
        let several = if count == 1 { "" } else { "s" };
        // Writing to a text cannot fail.
        let _ = write!(shown, "{sign}{count} {name}{several}");
        is_behind_negative = count < 0;
    }
    let time = nanoseconds / 1_000;
    if time == 0 && !shown.is_empty() {
        return shown;
    }
    if !shown.is_empty() {
        shown.push(' ');
    }
    if time < 0 {
        shown.push('-');
    } else if is_behind_negative {
        shown.push('+');
    }
    write_time(time.abs(), &mut shown);
    shown
}

/// Appends hours, minutes and seconds of so many microseconds; the fraction without the zeros behind it.
fn write_time(microseconds: i128, shown: &mut String) {
    let seconds = microseconds / 1_000_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    // Writing to a text cannot fail.
    let _ = write!(shown, "{hours:02}:{minutes:02}:{:02}", seconds % 60);
    let fraction = microseconds % 1_000_000;
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        shown.push('.');
        shown.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::{span, time_of_day};

    /// As PostgreSQL 15 prints them.
    #[test]
    fn spans_and_times_of_day_are_those_of_postgres() {
        let second = 1_000_000_000;
        let check = |months, days, nanoseconds, expect: &str| {
            assert_eq!(span(months, days, nanoseconds), expect);
        };
        check(0, 1, 7_200 * second, "1 day 02:00:00");
        check(
            -1,
            3,
            -(7_384 * second + second / 2),
            "-1 mons +3 days -02:03:04.5",
        );
        check(0, 0, 0, "00:00:00");
        check(14, 0, 0, "1 year 2 mons");
        check(-14, 0, 1_000, "-1 years -2 mons +00:00:00.000001");
        check(0, -1, 0, "-1 days");
        check(0, 0, 100 * 3_600 * second, "100:00:00");
        check(0, 0, -999, "00:00:00");
        let check = |at: i64, expect: &str| assert_eq!(time_of_day(at), expect);
        check(0, "00:00:00");
        check(43_200_500_000, "12:00:00.5");
        check(86_400_000_000, "24:00:00");
    }
}
