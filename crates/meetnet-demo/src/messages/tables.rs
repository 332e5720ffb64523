//! Readings of stations as text with a line each: CSV, NDJSON and InfluxDB line protocol.
//!
//! ```text
//! station + [(second, reading), …] ──▶ body     one line per reading, no line end behind the last one
//! ```

use std::fmt::Write as _;

use serde::Serialize;

use super::instant;
use crate::sensors::WeatherReading;

/// The header of [`csv`].
pub const CSV_HEADER: &str = "station,time,temp,rh";

/// Returns a table with the header [`CSV_HEADER`]: times in RFC 3339, °C and %.
pub fn csv(station: &str, readings: &[(i64, WeatherReading)]) -> Vec<u8> {
    let mut text = String::from(CSV_HEADER);
    for (second, reading) in readings {
        write_line(
            &mut text,
            format_args!(
                "\n{station},{},{},{}",
                instant(*second, 0, 0),
                reading.temperature,
                reading.humidity
            ),
        );
    }
    text.into_bytes()
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    at: i64,
    t: f64,
    rh: f64,
}

/// Returns one JSON document per reading and line: `at` is in seconds since 1970, `t` in °C, `rh` in %. With one reading
/// it is a plain JSON body.
pub fn ndjson(station: &str, readings: &[(i64, WeatherReading)]) -> Vec<u8> {
    let mut body = Vec::with_capacity(readings.len() * 64);
    for (second, reading) in readings {
        if !body.is_empty() {
            body.push(b'\n');
        }
        let line = Line {
            id: station,
            at: *second,
            t: reading.temperature,
            rh: reading.humidity,
        };
        serde_json::to_writer(&mut body, &line)
            .expect("writing finite numbers to memory cannot fail");
    }
    body
}

/// Returns lines of measurement `weather`; times are in the unit of which `per_second` make a second, as the request's
/// `precision` says: 1 is `s`, 1,000,000,000 is `ns`.
pub fn line_protocol(
    station: &str,
    readings: &[(i64, WeatherReading)],
    per_second: i64,
) -> Vec<u8> {
    let mut text = String::with_capacity(readings.len() * 80);
    for (second, reading) in readings {
        let line_end = if text.is_empty() { "" } else { "\n" };
        write_line(
            &mut text,
            format_args!(
                "{line_end}weather,station={station} temp={},hum={} {}",
                reading.temperature,
                reading.humidity,
                second * per_second
            ),
        );
    }
    text.into_bytes()
}

fn write_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("writing to a text cannot fail");
}

#[cfg(test)]
mod tests;
