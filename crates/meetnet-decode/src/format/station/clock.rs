//! `dateutc`: when a station says that it measured, as freely as stations write it.

use meetnet_model::reject::RejectReason;
use meetnet_model::time::TimeReader;

use crate::instant::TimeFault;

/// Reads `dateutc`; none for `now`, which leaves it to the receiver.
///
/// `2026-1-4 9:02:5` and `2026-01-04 09: 02: 05` are as good as `2026-01-04 09:02:05`, always UTC.
pub(super) fn read(utc: &TimeReader, text: &str) -> Result<Option<i64>, TimeFault> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(None);
    }
    let read = utc
        .read_text(text)
        .or_else(|error| utc.read_text(&padded(text).ok_or(error)?));
    read.map(Some).map_err(|error| TimeFault {
        reason: RejectReason::BadTime,
        message: format!("the time at `dateutc`: {error}"),
    })
}

/// Returns a date and a time of day with two digits everywhere; none where they are none.
fn padded(text: &str) -> Option<String> {
    let (date, of_day) = text.split_once([' ', 'T', 't'])?;
    let date = numbers(date, '-', [4, 2, 2])?;
    let of_day = numbers(of_day, ':', [2, 2, 2])?;
    Some(format!("{date} {of_day}"))
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<String> {
    let mut padded = String::new();
    let mut parts = text.split(separator);
    for (position, width) in widths.into_iter().enumerate() {
        let part = parts.next()?.trim();
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        // A year has its four digits: 26 could be anything.
        let is_short = width == 4 && part.len() < width;
        if !is_number || is_short || part.len() > width {
            return None;
        }
        if position > 0 {
            padded.push(separator);
        }
        padded.extend(std::iter::repeat_n('0', width - part.len()));
        padded.push_str(part);
    }
    parts.next().is_none().then_some(padded)
}
