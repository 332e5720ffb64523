//! Spans of time as PostgreSQL shows them and as ISO 8601 has them, in the words that Arrow reads.
//!
//! | written | read as |
//! |---|---|
//! | `1 day 02:03:04.5` | `1 day 2 hours 3 minutes 4.5 seconds` |
//! | `3 04:05` | `3 days 4 hours 5 minutes` |
//! | `-1 day +2 hours` | `-1 day 2 hours` |
//! | `P1DT2H` | `1 days 2 hours` |

/// Returns a text that is such a span in the words that Arrow reads; None for every other one.
pub(crate) fn in_units(text: &str) -> Option<String> {
    match text.trim().strip_prefix(['P', 'p']) {
        Some(parts) => of_iso(parts),
        None => of_clock(text),
    }
}

/// Reads what stands behind the `P` of ISO 8601.
fn of_iso(mut rest: &str) -> Option<String> {
    let mut parts = Vec::new();
    let mut is_time = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix(['T', 't']).filter(|_| !is_time) {
            is_time = true;
            rest = time;
            continue;
        }
        let end = rest.find(|sign: char| sign.is_ascii_alphabetic())?;
        let (number, behind) = rest.split_at(end);
        number.parse::<f64>().ok()?;
        let mut behind = behind.chars();
        let unit = match (behind.next()?.to_ascii_uppercase(), is_time) {
            ('Y', false) => "years",
            ('M', false) => "months",
            ('W', false) => "weeks",
            ('D', false) => "days",
            ('H', true) => "hours",
            ('M', true) => "minutes",
            ('S', true) => "seconds",
            _ => return None,
        };
        parts.push(format!("{} {unit}", number.trim_start_matches('+')));
        rest = behind.as_str();
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Reads words of which one is hours and minutes as clocks show them, or has a `+`.
fn of_clock(text: &str) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_other = false;
    for word in text.split_whitespace() {
        if word.contains(':') {
            // A number without a unit before it is one of days.
            if let Some(days) = words.last_mut().filter(|word| word.parse::<f64>().is_ok()) {
                days.push_str(" days");
            }
            words.push(hours(word)?);
            is_other = true;
        } else if let Some(number) = word.strip_prefix('+') {
            words.push(number.to_owned());
            is_other = true;
        } else {
            words.push(word.to_owned());
        }
    }
    is_other.then(|| words.join(" "))
}

/// Reads `-2:30` and `02:03:04.5`; None for what no clock shows but for the hours.
fn hours(word: &str) -> Option<String> {
    let sign = if word.starts_with('-') { "-" } else { "" };
    let mut parts = word.strip_prefix(['-', '+']).unwrap_or(word).split(':');
    let hours = whole(parts.next()?)?;
    let minutes = whole(parts.next()?).filter(|minutes| *minutes < 60)?;
    let seconds = parts.next().unwrap_or("0");
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let seconds = whole(seconds).filter(|seconds| *seconds < 60)?;
    whole(fraction)?;
    if parts.next().is_some() {
        return None;
    }
    Some(format!(
        "{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds}.{fraction} seconds"
    ))
}

/// Reads digits alone.
fn whole(digits: &str) -> Option<u32> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_postgresql_shows_them() {
        for (text, read) in [
            ("1 day 02:03:04.5", "1 day 2 hours 3 minutes 4.5 seconds"),
            ("1 mon -2:30", "1 mon -2 hours -30 minutes -0.0 seconds"),
            ("49:00", "49 hours 0 minutes 0.0 seconds"),
            ("3 04:05:06", "3 days 4 hours 5 minutes 6.0 seconds"),
            ("-1 day +2 hours", "-1 day 2 hours"),
            (
                "P1Y2M3W4DT5H6M7.8S",
                "1 years 2 months 3 weeks 4 days 5 hours 6 minutes 7.8 seconds",
            ),
            ("pt36H", "36 hours"),
            ("PT-90M", "-90 minutes"),
        ] {
            assert_eq!(in_units(text).as_deref(), Some(read), "{text}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is_written() {
        for text in [
            "7 days",
            "1 dag",
            "",
            "P",
            "PT",
            "P1H",
            "PT1D",
            "P1",
            "PT1H2",
            "PTT1H",
            "1 day 02:60",
            "1:2:3:4",
            ":30",
            "1:",
            "1:2.5",
            "1:+2",
            "1 day 1:00:61",
            "P1é",
        ] {
            assert_eq!(in_units(text), None, "{text}");
        }
    }
}
