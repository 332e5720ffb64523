//! Numbers, units and times as people read them, in the languages of the portal. Pure functions; the caller passes now.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::negotiate::Language;

#[cfg(test)]
mod tests;

const SECOND_US: i64 = 1_000_000;
/// So far a clock may be ahead and still tell the time, s.
const CLOCKS_APART_S: i64 = 90;

/// Returns a whole number with the thousands marks of the language: `2.134.567`, `2,134,567`, `2 134 567`.
pub(crate) fn count(value: u64, language: Language) -> String {
    grouped(&value.to_string(), thousands_mark(language))
}

fn thousands_mark(language: Language) -> char {
    match language {
        Language::Nl => '.',
        Language::En => ',',
        Language::Fr => '\u{202f}', // A narrow space that no line breaks at.
    }
}

fn grouped(digits: &str, mark: char) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(mark);
        }
        out.push(digit);
    }
    out
}

/// Returns with how many decimals a measured value says what sensors of this kind mean: none for whole numbers, two below 1, else
/// one.
pub(crate) fn decimals(value: f64) -> usize {
    if value.fract() == 0.0 {
        0
    } else if value.abs() < 1.0 {
        2
    } else {
        1
    }
}

/// Returns a value with exactly so many decimals.
pub(crate) fn fixed(value: f64, decimals: usize, language: Language) -> String {
    let text = format!("{value:.decimals$}");
    // What is rounded to nothing has no sign.
    let is_nothing = text.bytes().all(|b| b"-0.".contains(&b));
    let text = match is_nothing {
        true => text.trim_start_matches('-'),
        false => text.as_str(),
    };
    localised(text, language)
}

/// Returns a value with so many decimals at most.
pub(crate) fn rounded(value: f64, decimals: usize, language: Language) -> String {
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text.as_str(),
    };
    // What is rounded to nothing has no sign.
    localised(if text == "-0" { "0" } else { text }, language)
}

/// Returns a number with all the decimals that it has: a bound that somebody has declared.
pub(crate) fn exact(value: f64, language: Language) -> String {
    localised(&value.to_string(), language)
}

/// Returns a size in kB, rounded up.
pub(crate) fn kilobytes(bytes: u64, language: Language) -> String {
    let unit = match language {
        Language::Nl | Language::En => "kB",
        Language::Fr => "ko",
    };
    format!("{} {unit}", count(bytes.div_ceil(1000), language))
}

/// Returns a number as the language writes it; from five digits on with thousands marks.
fn localised(text: &str, language: Language) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = match whole.len() {
        ..5 => whole.to_owned(),
        _ => grouped(whole, thousands_mark(language)),
    };
    let comma = match (decimals.is_empty(), language) {
        (true, _) => "",
        (false, Language::En) => ".",
        (false, Language::Nl | Language::Fr) => ",",
    };
    format!("{sign}{whole}{comma}{decimals}")
}

/// Returns a UCUM unit as it is printed: `µg/m³`, `°C`, `dB(A)`; empty for counts and ratios.
pub(crate) fn unit(ucum: &str) -> String {
    match ucum {
        "1" => return String::new(),
        "Cel" => return "°C".into(),
        "deg" => return "°".into(),
        "dB[A]" => return "dB(A)".into(),
        _ => {}
    }
    // Annotations (`{vehicles}`) and brackets (`[ppm]`) are UCUM's own; readers know the text inside.
    if let Some(text) = ucum.strip_prefix('{').and_then(|u| u.strip_suffix('}')) {
        return text.to_owned();
    }
    ucum.replace("ug", "µg")
        .replace("m2", "m²")
        .replace("m3", "m³")
        .replace(['[', ']'], "")
}

/// Returns the first sentence of a text: what a list has room for.
pub(crate) fn first_sentence(text: &str) -> &str {
    let text = text.trim();
    match text.find(". ").or_else(|| text.find(".\n")) {
        Some(end) => &text[..=end],
        None => text,
    }
}

/// Returns an interval as the one in which something is counted: `per kwartier`, `per hour`, `par 5 minutes`.
pub(crate) fn per(seconds: i64, language: Language) -> String {
    let preposition = match language {
        Language::Nl | Language::En => "per",
        Language::Fr => "par",
    };
    let [_, word] = interval(seconds, language);
    format!("{preposition} {word}")
}

/// Returns an interval as the one that a value is the mean of: `over een kwartier`, `over an hour`, `sur 5 minutes`.
pub(crate) fn over(seconds: i64, language: Language) -> String {
    let preposition = match language {
        Language::Nl | Language::En => "over",
        Language::Fr => "sur",
    };
    let [article, word] = interval(seconds, language);
    format!("{preposition} {article}{word}")
}

/// Returns an interval in words, and the article that stands before it, with a space behind it, where it has one.
fn interval(seconds: i64, language: Language) -> [String; 2] {
    let named = match (seconds, language) {
        (60, Language::Nl) => Some(["een ", "minuut"]),
        (60, Language::En) => Some(["a ", "minute"]),
        (60, Language::Fr) => Some(["une ", "minute"]),
        (900, Language::Nl) => Some(["een ", "kwartier"]),
        (900, Language::En) => Some(["a ", "quarter of an hour"]),
        (900, Language::Fr) => Some(["un ", "quart d’heure"]),
        (1_800, Language::Nl) => Some(["een ", "half uur"]),
        (1_800, Language::En) => Some(["a ", "half hour"]),
        (1_800, Language::Fr) => Some(["une ", "demi-heure"]),
        (3_600, Language::Nl) => Some(["een ", "uur"]),
        (3_600, Language::En) => Some(["an ", "hour"]),
        (3_600, Language::Fr) => Some(["une ", "heure"]),
        (86_400, Language::Nl) => Some(["een ", "dag"]),
        (86_400, Language::En) => Some(["a ", "day"]),
        (86_400, Language::Fr) => Some(["un ", "jour"]),
        _ => None,
    };
    if let Some(named) = named {
        return named.map(str::to_owned);
    }
    let (amount, unit) = match seconds {
        seconds if seconds % 86_400 == 0 => (seconds / 86_400, 3),
        seconds if seconds % 3_600 == 0 => (seconds / 3_600, 2),
        seconds if seconds % 60 == 0 => (seconds / 60, 1),
        seconds => (seconds, 0),
    };
    let units = match language {
        Language::Nl => ["seconden", "minuten", "uur", "dagen"],
        Language::En => ["seconds", "minutes", "hours", "days"],
        Language::Fr => ["secondes", "minutes", "heures", "jours"],
    };
    [String::new(), format!("{amount} {}", units[unit])]
}

/// Returns how long ago `then` was (both µs since 1970 UTC): "3 minuten geleden"; of what is ahead, in how long it is.
pub(crate) fn ago(then: i64, now: i64, language: Language) -> String {
    let apart = now.saturating_sub(then) / SECOND_US;
    // Or what a device says whose clock is an hour ahead would have been measured just now for an hour.
    let is_ahead = apart <= -CLOCKS_APART_S;
    let seconds = if is_ahead {
        apart.saturating_neg()
    } else {
        apart
    };
    let (amount, unit) = match seconds {
        i64::MIN..3 => {
            return match language {
                Language::Nl => "zojuist",
                Language::En => "just now",
                Language::Fr => "à l’instant",
            }
            .to_owned();
        }
        3..90 => (seconds, 0),
        90..5_400 => ((seconds + 30) / 60, 1),
        5_400..172_800 => ((seconds + 1_800) / 3_600, 2),
        _ => (seconds / 86_400, 3),
    };
    let many = usize::from(amount != 1);
    match language {
        Language::Nl => {
            let units = [
                ["seconde", "seconden"],
                ["minuut", "minuten"],
                ["uur", "uur"],
                ["dag", "dagen"],
            ];
            let unit = units[unit][many];
            match is_ahead {
                true => format!("over {amount} {unit}"),
                false => format!("{amount} {unit} geleden"),
            }
        }
        Language::En => {
            let units = [
                ["second", "seconds"],
                ["minute", "minutes"],
                ["hour", "hours"],
                ["day", "days"],
            ];
            let unit = units[unit][many];
            match is_ahead {
                true => format!("in {amount} {unit}"),
                false => format!("{amount} {unit} ago"),
            }
        }
        Language::Fr => {
            let units = [
                ["seconde", "secondes"],
                ["minute", "minutes"],
                ["heure", "heures"],
                ["jour", "jours"],
            ];
            let unit = units[unit][many];
            match is_ahead {
                true => format!("dans {amount} {unit}"),
                false => format!("il y a {amount} {unit}"),
            }
        }
    }
}

/// Returns a date and time of day in `zone`: `22 november 2026, 03:46`; None outside the years -9999 to 9999.
pub(crate) fn date_time(micros: i64, zone: &TimeZone, language: Language) -> Option<String> {
    let local = local(micros, zone)?;
    Some(format!(
        "{}, {:02}:{:02}{}",
        day_of(&local, language),
        local.hour(),
        local.minute(),
        offset_where_doubled(&local)
    ))
}

/// Returns the same with seconds, where there are some: `22 november 2026, 03:46:20`.
pub(crate) fn exact_time(micros: i64, zone: &TimeZone, language: Language) -> Option<String> {
    let local = local(micros, zone)?;
    let seconds = match local.second() {
        0 => String::new(),
        seconds => format!(":{seconds:02}"),
    };
    Some(format!(
        "{}, {:02}:{:02}{seconds}{}",
        day_of(&local, language),
        local.hour(),
        local.minute(),
        offset_where_doubled(&local)
    ))
}

/// Returns a month in `zone`: `november 2026`.
pub(crate) fn month(micros: i64, zone: &TimeZone, language: Language) -> Option<String> {
    let local = local(micros, zone)?;
    Some(format!("{} {}", month_of(&local, language), local.year()))
}

/// Returns a year in `zone`: `2026`.
pub(crate) fn year(micros: i64, zone: &TimeZone) -> Option<String> {
    Some(local(micros, zone)?.year().to_string())
}

/// Returns the offset from UTC, ` (+02:00)`, of a time that the clocks show twice in autumn; else nothing.
fn offset_where_doubled(local: &Zoned) -> String {
    let zone = local.time_zone();
    if !zone.to_ambiguous_timestamp(local.datetime()).is_ambiguous() {
        return String::new();
    }
    let minutes = local.offset().seconds() / 60;
    let sign = if minutes < 0 { '\u{2212}' } else { '+' };
    let minutes = minutes.abs();
    format!(" ({sign}{:02}:{:02})", minutes / 60, minutes % 60)
}

/// Returns a date in `zone`: `22 november 2026`.
pub(crate) fn date(micros: i64, zone: &TimeZone, language: Language) -> Option<String> {
    Some(day_of(&local(micros, zone)?, language))
}

/// Returns the time of day in `zone`, to the second on the day of `now`, else to the minute with the date before it.
pub(crate) fn clock(micros: i64, now: i64, zone: &TimeZone, language: Language) -> Option<String> {
    let (then, now) = (local(micros, zone)?, local(now, zone)?);
    let time = format!("{:02}:{:02}", then.hour(), then.minute());
    let offset = offset_where_doubled(&then);
    if then.date() == now.date() {
        return Some(format!("{time}:{:02}{offset}", then.second()));
    }
    let mut day = day_and_month(&then, language);
    if then.year() != now.year() {
        day = format!("{day} {}", then.year());
    }
    Some(format!("{day}, {time}{offset}"))
}

fn local(micros: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(
        Timestamp::from_microsecond(micros)
            .ok()?
            .to_zoned(zone.clone()),
    )
}

fn day_of(local: &Zoned, language: Language) -> String {
    format!("{} {}", day_and_month(local, language), local.year())
}

/// French counts the first day of a month: `1er mars`.
fn day_and_month(local: &Zoned, language: Language) -> String {
    let ordinal = match (local.day(), language) {
        (1, Language::Fr) => "er",
        _ => "",
    };
    format!("{}{ordinal} {}", local.day(), month_of(local, language))
}

fn month_of(local: &Zoned, language: Language) -> &'static str {
    const NL: [&str; 12] = [
        "januari",
        "februari",
        "maart",
        "april",
        "mei",
        "juni",
        "juli",
        "augustus",
        "september",
        "oktober",
        "november",
        "december",
    ];
    const EN: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const FR: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let months = match language {
        Language::Nl => NL,
        Language::En => EN,
        Language::Fr => FR,
    };
    months[usize::from(local.month().unsigned_abs()) - 1]
}
