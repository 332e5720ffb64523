//! The lines against a second reading of the protocol, written for clarity: character by character, with copies of
//! everything.

use proptest::prelude::*;

use crate::fields::Span;
use crate::format::influx::line::{Fault, Lines, Tokens, without_escapes};

/// What a line says, unescaped: keys and values in order, tags first; then the time.
type Reading = Result<(String, Vec<(String, String)>, Option<i64>), ()>;

/// Takes characters until one of `stops` that no backslash stands before; `\` before one of `escaped` drops out.
fn token(rest: &mut &str, stops: &str, escaped: &str) -> String {
    let mut token = String::new();
    loop {
        let mut characters = rest.chars();
        match characters.next() {
            None => return token,
            Some('\\') => {
                match characters.next() {
                    Some(next @ (',' | '=' | ' ')) => {
                        if !escaped.contains(next) {
                            token.push('\\');
                        }
                        token.push(next);
                        *rest = characters.as_str();
                    }
                    _ => {
                        token.push('\\');
                        *rest = &rest[1..];
                    }
                };
            }
            Some(next) if stops.contains(next) => return token,
            Some(next) => {
                token.push(next);
                *rest = characters.as_str();
            }
        }
    }
}

fn quoted(rest: &mut &str) -> Result<String, ()> {
    let mut text = String::new();
    let mut characters = rest[1..].chars();
    loop {
        match characters.next().ok_or(())? {
            '"' => {
                *rest = characters.as_str();
                return Ok(text);
            }
            '\\' => {
                let next = characters.next().ok_or(())?;
                if next != '"' && next != '\\' {
                    text.push('\\');
                }
                text.push(next);
            }
            next => text.push(next),
        }
    }
}

/// Returns what a bare value says, without the letter of whole numbers.
fn bare(value: &str) -> Result<String, ()> {
    let words = [
        "t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE",
    ];
    if words.contains(&value) {
        return Ok(value.to_owned());
    }
    if let Some(whole) = value.strip_suffix('i') {
        let is_plain = !whole.starts_with('+');
        return (is_plain && whole.parse::<i64>().is_ok())
            .then(|| whole.to_owned())
            .ok_or(());
    }
    if let Some(whole) = value.strip_suffix('u') {
        let is_plain = !whole.starts_with('+');
        return (is_plain && whole.parse::<u64>().is_ok())
            .then(|| whole.to_owned())
            .ok_or(());
    }
    let is_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
        && !value.to_ascii_lowercase().contains(['n', 'f'])
        && value.parse::<f64>().is_ok();
    is_number.then(|| value.to_owned()).ok_or(())
}

fn naive(line: &str) -> Reading {
    let mut rest = line;
    let measurement = token(&mut rest, ", ", ", ");
    if measurement.is_empty() {
        return Err(());
    }
    let mut pairs = Vec::new();
    while let Some(tags) = rest.strip_prefix(',') {
        rest = tags;
        let key = token(&mut rest, "=, ", ",= ");
        rest = rest.strip_prefix('=').ok_or(())?;
        let value = token(&mut rest, ", ", ",= ");
        if key.is_empty() || value.is_empty() {
            return Err(());
        }
        pairs.push((key, value));
    }
    rest = rest.trim_start_matches(' ');
    loop {
        let key = token(&mut rest, "=, ", ",= ");
        rest = rest.strip_prefix('=').ok_or(())?;
        if key.is_empty() {
            return Err(());
        }
        let value = if rest.starts_with('"') {
            quoted(&mut rest)?
        } else {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            let (value, behind) = rest.split_at(end);
            rest = behind;
            bare(value)?
        };
        pairs.push((key, value));
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() || rest.starts_with(' ') => break,
            None => return Err(()),
        }
    }
    let time = rest.trim_matches(' ');
    let time = match time {
        "" => None,
        time if time.starts_with('+') => return Err(()),
        time => Some(time.parse().map_err(|_| ())?),
    };
    Ok((measurement, pairs, time))
}

fn ours(line: &str) -> Reading {
    let whole = Span {
        start: 0,
        end: line.len() as u32,
    };
    let mut tokens = Tokens::new(line, whole);
    let text = |span: Span| span.text(line).unwrap_or_default();
    let mut pairs = Vec::new();
    let mut read = || -> Result<_, Fault> {
        let measurement = tokens.measurement()?;
        let time = tokens.rest(|key, value| {
            let key = without_escapes(text(key), b",= ").into_owned();
            pairs.push((
                key,
                super::super::unescaped(line, value, text(value)).into_owned(),
            ));
        })?;
        let name = without_escapes(text(measurement), b", ").into_owned();
        Ok((name, time))
    };
    let (measurement, time) = read().map_err(|_| ())?;
    Ok((measurement, pairs, time))
}

/// Lines that are nearly right, from the characters that matter.
fn nearly_a_line() -> impl Strategy<Value = String> {
    let parts = vec![
        "m",
        "t",
        "f",
        "a",
        "=",
        "=",
        ",",
        " ",
        "\\",
        "\"",
        "1",
        "-",
        ".",
        "e",
        "i",
        "u",
        "t",
        "é",
        "9",
        "m,t=a f=1",
        " 1780315170",
        "f=\"x\"",
        "\\ ",
        "\\,",
        "\\=",
        "\\\"",
        "true",
        "NaN",
        ",f=",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..12).prop_map(|parts| parts.concat())
}

/// Lines that are right.
fn a_line() -> impl Strategy<Value = String> {
    let name = "[a-zé0-9.\"_-]{1,4}(\\\\[,= ])?[a-z]{0,3}";
    let tag = (name, name).prop_map(|(key, value)| format!(",{key}={value}"));
    let value = prop_oneof![
        any::<i64>().prop_map(|value| format!("{value}i")),
        any::<u64>().prop_map(|value| format!("{value}u")),
        (-1e6..1e6_f64).prop_map(|value| value.to_string()),
        any::<bool>().prop_map(|value| value.to_string()),
        r#"([^"\\\n]|\\"|\\\\|\\a){0,8}"#.prop_map(|text| format!("\"{text}\"")),
    ];
    let field = ("[a-zé]{1,4}(\\\\[,= ])?[a-z]{0,3}", value)
        .prop_map(|(key, value)| format!("{key}={value}"));
    (
        "[a-z\"]{1,5}(\\\\[, ])?[a-z]{0,2}",
        prop::collection::vec(tag, 0..4),
        prop::collection::vec(field, 1..5),
        prop::option::of(any::<i64>()),
    )
        .prop_map(|(measurement, tags, fields, time)| {
            let time = time.map(|time| format!(" {time}")).unwrap_or_default();
            format!("{measurement}{} {}{time}", tags.concat(), fields.join(","))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn right_lines_are_read_alike(line in a_line()) {
        prop_assert!(naive(&line).is_ok(), "{line}");
        prop_assert_eq!(ours(&line), naive(&line));
    }

    #[test]
    fn nearly_right_lines_are_read_alike(line in nearly_a_line()) {
        prop_assert_eq!(ours(&line), naive(&line));
    }

    #[test]
    fn a_body_is_its_lines(lines in prop::collection::vec(a_line(), 0..8), ends in prop::collection::vec("\r?\n(#[a-z\" =]{0,6}\n)?\n?", 8)) {
        let body: String = lines.iter().zip(&ends).map(|(line, end)| format!("{line}{end}")).collect();
        let mut found = Vec::new();
        let mut read = Lines::new(&body, 0);
        while let Some(span) = read.next() {
            let physical = body.split('\n').nth(read.position() as usize).unwrap_or_default();
            let line = span.text(&body).unwrap();
            prop_assert!(physical.starts_with(line), "{physical} is not {line}");
            found.push(line);
        }
        prop_assert_eq!(found, lines);
    }
}
