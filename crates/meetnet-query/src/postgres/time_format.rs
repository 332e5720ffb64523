//! Templates of PostgreSQL's `to_char`, `to_timestamp` and `to_date`, as the formats that DataFusion has: `YYYY-MM-DD` is
//! `%Y-%m-%d` there. As it is written it would be the answer itself, in every row, or match nothing.

/// Patterns and what they are, the longest of those that begin alike first. In another case they mean the same, but for those
/// of [`NAMED`].
const PATTERNS: [(&str, &str); 21] = [
    ("TZH:TZM", "%:z"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("IYYY", "%G"),
    ("YYYY", "%Y"),
    ("DDD", "%j"),
    ("TZH", "%:::z"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("DD", "%d"),
    ("HH", "%I"),
    ("ID", "%u"),
    ("IW", "%V"),
    ("MI", "%M"),
    ("MM", "%m"),
    ("MS", "%3f"),
    ("OF", "%:::z"),
    ("SS", "%S"),
    ("US", "%6f"),
    ("YY", "%y"),
    ("Q", "%q"),
];
/// Patterns whose case is that of the answer. PostgreSQL fills names of months and days up with spaces, which nobody wants.
const NAMED: [(&str, &str); 6] = [
    ("Month", "%B"),
    ("Mon", "%b"),
    ("Day", "%A"),
    ("Dy", "%a"),
    ("am", "%P"),
    ("pm", "%P"),
];
/// Patterns that there is nothing for, in large letters; what is longer stands first.
const UNKNOWN: [&str; 18] = [
    "SSSSS", "MONTH", "SSSS", "IYY", "YYY", "MON", "DAY", "DY", "CC", "FF", "IY", "RM", "TH", "TZ",
    "WW", "D", "J", "W",
];
/// The name of the zone that times are in.
pub(super) const UTC: &str = "UTC";
/// Says that the number behind it has no zeros before it.
const UNFILLED: &str = "FM";

/// Returns the format that a template means; one that is a format already stays.
///
/// # Errors
/// What in it cannot be written here.
pub(super) fn format_of(template: &str) -> Result<String, String> {
    match template.contains('%') {
        true => Ok(template.to_owned()),
        false => formatted(template, None),
    }
}

/// Returns the formats that a template means of which the name of a zone is a part: of a time in UTC, and of one without a zone. None
/// for a template without it.
///
/// # Errors
/// As [`format_of`].
pub(super) fn formats_with_zone(template: &str) -> Option<Result<[String; 2], String>> {
    if template.contains('%') {
        return None;
    }
    let formats = [UTC, ""].map(|zone| formatted(template, Some(zone)));
    match formats {
        [Ok(of_utc), Ok(without)] => (of_utc != without).then_some(Ok([of_utc, without])),
        [Err(message), _] | [_, Err(message)] => Some(Err(message)),
    }
}

/// Returns the format that a template means; `zone` stands for the name of the zone, where that is known.
fn formatted(template: &str, zone: Option<&str>) -> Result<String, String> {
    let (mut format, mut rest) = (String::new(), template);
    let mut is_unfilled = false;
    while let Some(next) = rest.chars().next() {
        // In quotes stands what is no pattern.
        if next == '"' {
            let (text, behind) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
            format.push_str(text);
            rest = behind;
            continue;
        }
        if let Some(zone) = zone
            && let Some((name, behind)) = zone_name(rest)
        {
            match name {
                "tz" => format.push_str(&zone.to_lowercase()),
                _ => format.push_str(zone),
            }
            rest = behind;
            continue;
        }
        if let Some(behind) = without(rest, UNFILLED) {
            is_unfilled = true;
            rest = behind;
            continue;
        }
        let named = NAMED.iter().find(|(name, _)| rest.starts_with(name));
        let found = named.or_else(|| {
            let is_unknown = UNKNOWN.iter().any(|name| without(rest, name).is_some());
            let mut patterns = PATTERNS.iter();
            let found = patterns.find(|(name, _)| without(rest, name).is_some())?;
            // `DDD` is not `D`, and `MONTH` is not `MM`: the longer counts.
            let longest = UNKNOWN.iter().filter(|name| without(rest, name).is_some());
            let longest = longest.map(|name| name.len()).max().unwrap_or(0);
            (!is_unknown || longest < found.0.len()).then_some(found)
        });
        let Some((name, written)) = found else {
            if let Some(name) = UNKNOWN.iter().find(|name| without(rest, name).is_some()) {
                return Err(format!(
                    "there is no pattern `{name}` here; write the format with % instead, such as %Y-%m-%d %H:%M"
                ));
            }
            format.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        // Only numbers of whole width can do without zeros.
        let is_number = !written.contains(['f', 'z', 'p', 'P']) && named.is_none();
        match written.strip_prefix('%') {
            Some(letter) if is_unfilled && is_number => {
                format.push_str("%-");
                format.push_str(letter);
            }
            _ => format.push_str(written),
        }
        is_unfilled = false;
        rest = &rest[name.len()..];
    }
    Ok(format)
}

/// Returns the format by which a text is read that a template describes; one that is a format already stays.
///
/// # Errors
/// What in it cannot be read here.
pub(crate) fn reading_format_of(template: &str) -> Result<String, String> {
    if template.contains('%') {
        return Ok(template.to_owned());
    }
    let format = format_of(template)?;
    let has = |letters: &[char]| {
        let mut parts = format.split('%').skip(1);
        parts.any(|part| part.trim_start_matches('-').starts_with(letters))
    };
    // What of a time does not say which, DataFusion 55.2 takes for a day without one: midnight, whatever the text says.
    let has_time = has(&['H', 'I', 'M', 'S', 'p', 'P', '3', '6', ':']);
    let has_hour = has(&['H']) || (has(&['I']) && has(&['p', 'P']));
    if has_time && !(has_hour && has(&['M'])) {
        return Err(
            "a time of day is read by its hours and minutes together: write HH24:MI, or HH12:MI AM, and both into the text"
                .to_owned(),
        );
    }
    // There may be any number of digits, or none.
    Ok(format.replace(".%3f", "%.f").replace(".%6f", "%.f"))
}

/// Returns the pattern of a zone's name that a text begins with, and what stands behind it; hours and minutes of an offset are others.
fn zone_name(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.split_at_checked(2)?;
    let is_offset = behind.starts_with(['H', 'h', 'M', 'm']);
    (matches!(name, "TZ" | "tz") && !is_offset).then_some((name, behind))
}

/// Returns what stands behind a pattern, in whichever case it is written.
fn without<'a>(text: &'a str, pattern: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(pattern.len())?;
    head.eq_ignore_ascii_case(pattern).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::{format_of, formats_with_zone, reading_format_of};

    #[test]
    fn templates_become_formats() {
        let check = |template: &str, expect: &str| {
            assert_eq!(format_of(template).as_deref(), Ok(expect), "{template}");
        };
        check("YYYY-MM-DD", "%Y-%m-%d");
        check("yyyy-mm-dd hh24:mi:ss", "%Y-%m-%d %H:%M:%S");
        check(
            "YYYY-MM-DD\"T\"HH24:MI:SS.MSOF",
            "%Y-%m-%dT%H:%M:%S.%3f%:::z",
        );
        check("HH12:MI AM", "%I:%M %p");
        check("HH:MI pm", "%I:%M %P");
        check("Dy DD Mon YY", "%a %d %b %y");
        check("FMMonth YYYY", "%B %Y");
        check("FMDD/FMMM", "%-d/%-m");
        check("IYYY-\"W\"IW-ID", "%G-W%V-%u");
        check("YYYY DDD", "%Y %j");
        check("YYYY-\"Q\"Q", "%Y-Q%q");
        check("US", "%6f");
        check("HH24:MI TZH:TZM", "%H:%M %:z");
        check("HH24:MI TZH", "%H:%M %:::z");
        check("%Y-%m", "%Y-%m");
        check("\"é", "é");
        check("", "");
    }

    #[test]
    fn the_name_of_a_zone_is_a_part_of_a_format() {
        let check = |template: &str, expect: Option<[&str; 2]>| {
            let found = formats_with_zone(template).map(|found| found.expect("formats"));
            let expect = expect.map(|formats| formats.map(str::to_owned));
            assert_eq!(found, expect, "{template}");
        };
        check("HH24:MI TZ", Some(["%H:%M UTC", "%H:%M "]));
        check("tz", Some(["utc", ""]));
        check("TZ TZH", Some(["UTC %:::z", " %:::z"]));
        check("HH24:MI TZH:TZM", None);
        check("\"TZ\" HH24", None);
        check("%H TZ", None);
        check("", None);
        let refused = formats_with_zone("WW TZ").and_then(Result::err);
        assert!(refused.is_some_and(|why| why.contains("`WW`")));
        assert!(reading_format_of("YYYY-MM-DD TZ").is_err());
    }

    #[test]
    fn templates_become_formats_to_read_by() {
        let check = |template: &str, expect: &str| {
            let found = reading_format_of(template);
            assert_eq!(found.as_deref(), Ok(expect), "{template}");
        };
        check("YYYY-MM-DD HH24:MI:SS.US", "%Y-%m-%d %H:%M:%S%.f");
        check("YYYY-MM-DD HH24:MI:SS.MS", "%Y-%m-%d %H:%M:%S%.f");
        check("DD/MM/YYYY HH12:MI AM", "%d/%m/%Y %I:%M %p");
        check("YYYYMMDD", "%Y%m%d");
        check("FMDD/FMMM/YYYY", "%-d/%-m/%Y");
        check("%Y-%m-%d %H", "%Y-%m-%d %H");
        for (template, why) in [
            ("YYYY-MM-DD HH24", "minutes"),
            // By which half of the day, nobody says.
            ("YYYY-MM-DD HH:MI:SS", "HH24"),
            ("YYYY-MM-DD MI:SS", "hours"),
            ("YYYY-MM-DD SS", "hours"),
            ("YYYY-MM-DD OF", "hours"),
            ("YYYY WW", "`WW`"),
        ] {
            let error = reading_format_of(template).expect_err(template);
            assert!(error.contains(why), "{template}: {error}");
        }
    }

    #[test]
    fn patterns_that_are_not_here_are_named() {
        for (template, pattern) in [
            ("MONTH", "`MONTH`"),
            ("month", "`MONTH`"),
            ("YYYY WW", "`WW`"),
            ("D", "`D`"),
            ("HH24:MI TZ", "`TZ`"),
            ("SSSS", "`SSSS`"),
            ("DDTH", "`TH`"),
        ] {
            let why = format_of(template).expect_err(template);
            assert!(why.contains(pattern), "{template}: {why}");
        }
    }
}
