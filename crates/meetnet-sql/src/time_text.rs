//! Times as RFC 3339 in UTC.

use std::io::Write;

use arrow::datatypes::TimeUnit;

/// Returns how many of a unit are a second.
pub fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Appends an instant; the fraction only where it is not zero.
pub fn write_time(seconds: i64, nanoseconds: u32, out: &mut Vec<u8>) {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    write_date(days, out);
    out.push(b'T');
    write_pair(second / 3600, out);
    out.push(b':');
    write_pair(second / 60 % 60, out);
    out.push(b':');
    write_pair(second % 60, out);
    if nanoseconds > 0 {
        out.push(b'.');
        let mut part = 10_000_000;
        while part >= 1000 {
            write_pair(i64::from(nanoseconds / part % 100), out);
            part /= 100;
        }
        if !nanoseconds.is_multiple_of(1000) {
            // Writing to memory cannot fail.
            let _ = write!(out, "{:03}", nanoseconds % 1000);
        }
    }
    out.push(b'Z');
}

/// Appends a number below 100 as two digits. Long answers are half times, and formatting them with `write!` took more than
/// everything else.
fn write_pair(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

/// Appends a day counted from 1970-01-01, in the proleptic Gregorian calendar.
pub fn write_date(days: i64, out: &mut Vec<u8>) {
    // Years are counted from March, so that the leap day is the last day of one; eras have 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if (0..10_000).contains(&year) {
        write_pair(year / 100, out);
        write_pair(year % 100, out);
    } else {
        let _ = write!(out, "{year:04}");
    }
    out.push(b'-');
    write_pair(month, out);
    out.push(b'-');
    write_pair(day, out);
}

/// Returns microseconds since 1970 UTC as RFC 3339, as answers show them.
pub fn format_time(microseconds: i64) -> String {
    let mut out = Vec::with_capacity(27);
    let nanoseconds = microseconds.rem_euclid(1_000_000) as u32 * 1000;
    write_time(microseconds.div_euclid(1_000_000), nanoseconds, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Returns a day, counted from 1970-01-01, as RFC 3339.
pub fn format_date(days: i32) -> String {
    let mut out = Vec::with_capacity(10);
    write_date(i64::from(days), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests;
