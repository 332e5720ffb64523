//! JSON as PostgreSQL shows `jsonb`: keys by their length and then their bytes, the last of those that are the same, a space behind colons
//! and commas, and numbers without an exponent.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::column::text;
use crate::literals::without_exponent;

/// Lists and objects that stand one within the other: each is read once for each that is around it, and takes some of the stack.
const DEPTH_MAX: usize = 128;

/// Appends JSON so; returns false for what is none, for a number of more digits than any has, for lists and objects that are too deep, and
/// once there are more than `bytes_max`: an exponent may stand for hundreds of digits.
pub(super) fn write(json: &str, out: &mut String, bytes_max: u64) -> bool {
    write_within(json, out, bytes_max, DEPTH_MAX)
}

/// Does the same of what may have so many lists and objects one within the other.
fn write_within(json: &str, out: &mut String, bytes_max: u64, depth: usize) -> bool {
    if out.len() as u64 > bytes_max {
        return false;
    }
    let json = json.trim();
    match json.as_bytes().first() {
        Some(b'{' | b'[') if depth == 0 => return false,
        Some(b'{') => {
            let Ok(parts) = serde_json::from_str::<HashMap<String, &RawValue>>(json) else {
                return false;
            };
            let mut parts: Vec<(String, &RawValue)> = parts.into_iter().collect();
            parts.sort_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
            out.push('{');
            for (position, (key, value)) in parts.into_iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                out.push_str(&text(&key));
                out.push_str(": ");
                if !write_within(value.get(), out, bytes_max, depth - 1) {
                    return false;
                }
            }
            out.push('}');
        }
        Some(b'[') => {
            let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(json) else {
                return false;
            };
            out.push('[');
            for (position, value) in values.into_iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                if !write_within(value.get(), out, bytes_max, depth - 1) {
                    return false;
                }
            }
            out.push(']');
        }
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(value) => out.push_str(&text(&value)),
            Err(_) => return false,
        },
        Some(b'-' | b'0'..=b'9') => match number(json) {
            Some(number) => out.push_str(&number),
            None => return false,
        },
        Some(_) => out.push_str(json),
        None => return false,
    }
    true
}

/// Returns a number with the digits that it is written with.
fn number(json: &str) -> Option<String> {
    let shown = match json.split_once(['e', 'E']) {
        None => json.to_owned(),
        Some((written, exponent)) => {
            let digits = without_exponent(json)?;
            let (whole, fraction) = digits.split_once('.')?;
            // Digits behind the point that an exponent moves before it are none behind it any more.
            let behind = written
                .split_once('.')
                .map_or(0, |(_, behind)| behind.len());
            let moved = exponent.parse::<i64>().ok()?;
            let kept = (behind as i64 - moved).max(0) as usize;
            let fraction = fraction.get(..kept).unwrap_or(fraction);
            match fraction.is_empty() {
                true => whole.to_owned(),
                false => format!("{whole}.{fraction}"),
            }
        }
    };
    let (sign, digits) = match shown.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", shown.as_str()),
    };
    let (whole, fraction) = match digits.find('.') {
        Some(point) => digits.split_at(point),
        None => (digits, ""),
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let is_zero = !digits.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    let sign = if is_zero { "" } else { sign };
    Some(format!("{sign}{whole}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::write;

    /// As PostgreSQL 15 shows them.
    #[test]
    fn keys_have_an_order_and_numbers_no_exponent() {
        let check = |json: &str, expect: &str| {
            let mut shown = String::new();
            assert!(write(json, &mut shown, 100), "{json}");
            assert_eq!(shown, expect, "{json}");
        };
        check(
            "[1.50, 1e5, 1.5e-3, -0, -0.0, 1E+2, 12e-1, 0e5, -2.50e1]",
            "[1.50, 100000, 0.0015, 0, 0.0, 100, 1.2, 0, -25.0]",
        );
        check(
            r#"{"b":1,"aa":2,"a":{"z":[],"y":{}},"b":3}"#,
            r#"{"a": {"y": {}, "z": []}, "b": 3, "aa": 2}"#,
        );
        check(
            r#" [ "\u00e9\u0001" , null,true ] "#,
            r#"["é\u0001", null, true]"#,
        );
        for (depth, is_taken) in [(128, true), (129, false), (200_000, false)] {
            let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let mut shown = String::new();
            assert_eq!(write(&json, &mut shown, 1_000), is_taken, "{depth}");
        }
        let mut shown = String::new();
        assert!(!write("1e999999999", &mut shown, 100));
        assert!(!write("{", &mut shown, 100));
        assert!(!write("[1e300, 1e300, 1]", &mut shown, 100));
        assert!(shown.len() < 500, "it goes on: {shown}");
    }
}
