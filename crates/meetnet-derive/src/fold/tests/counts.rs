//! Rows above a limit, what counted rows add up to, and means over buckets.

use super::*;

/// Days of `heat_hours`, and of how many observations they are.
pub(super) const TOTALS: (&str, &str) = (
    "heat_totals.toml",
    r#"id = "heat_totals"
version = 1
kind = "wide"
grain = "year"
key = ["sensor_id", "time"]
title = { nl = "Dagen" }
description = { nl = "Dagen" }
derive.from = "heat_hours"
derive.bucket = "day"
derive.zone = "Europe/Brussels"
derive.grace_s = 0
derive.expected_s = 3600
derive.where = [{ column = "coverage", at_least = 0.5 }]
derive.columns.hours = "count"
derive.columns.n = { total = "n" }
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "hours", type = "int" },
  { name = "n", type = "int" },
]
"#,
);

fn level(property: &'static str, hour: i64, value: f64) -> Vec<(&'static str, Value<'static>)> {
    vec![
        ("sensor_id", Value::Text("a")),
        ("property", Value::Text(property)),
        ("time", Value::Int(START + hour * HOUR)),
        ("value", Value::Float(value)),
    ]
}

#[test]
fn values_above_a_limit_are_counted_and_averaged_over_days_that_have_enough() {
    let rows = [
        // On the limit is not above it.
        level("air_temperature", 0, 20.0),
        level("air_temperature", 1, 20.5),
        level("air_temperature", 2, 25.0),
        level("air_temperature", 3, 19.0),
        // A day with fewer than four values, which the next one leaves out.
        level("air_temperature", 24, 21.0),
        level("air_temperature", 25, 21.0),
        level("air_temperature", 26, 21.0),
        level("air_temperature", 50, 21.0),
        level("air_temperature", 51, 10.0),
        // Three days on.
        level("air_temperature", 120, 21.0),
        // Without a limit; and a failed value, until which the day has come.
        level("relative_humidity", 0, 50.0),
        level("relative_humidity", 2, 50.0),
    ];
    let quality = |row: usize| if row == rows.len() - 1 { 4 } else { 1 };
    let input: Vec<InputRow<'_>> = rows
        .iter()
        .enumerate()
        .map(|(row, columns)| (columns.as_slice(), quality(row), "CC0-1.0"))
        .collect();
    check(
        "heat_levels",
        &input,
        &[
            "CC0-1.0",
            "a air_temperature -1h 4 0.8 2 2.0 2 false",
            "a air_temperature 23h 3 0.75 3 2.5 2 true",
            "a air_temperature 47h 2 0.4 1 1.5 2 false",
            "a air_temperature 119h 1 0.5 1 1.0 2 false",
            "a relative_humidity -1h 1 0.25 - - - -",
        ],
    );
}

#[test]
fn a_total_is_of_rows_that_do_not_count_as_well_but_not_of_failed_ones() {
    let row = |hour: i64, coverage: f64, n: Option<i64>| {
        let mut columns = heat_hour("a", hour, 20.0);
        columns.push(("coverage", Value::Float(coverage)));
        columns.extend(n.map(|n| ("n", Value::Int(n))));
        columns
    };
    let rows = [
        (row(0, 1.0, Some(3)), 1),
        (row(1, 0.1, Some(4)), 3),
        (row(2, 1.0, None), 1),
        (row(3, 1.0, Some(100)), 4),
        (row(30, 1.0, None), 1),
    ];
    let input: Vec<InputRow<'_>> = rows
        .iter()
        .map(|(row, quality)| (row.as_slice(), *quality, "CC0-1.0"))
        .collect();
    check(
        "heat_totals",
        &input,
        &["CC0-1.0", "a -1h 2 7", "a 23h 1 -"],
    );
}

#[test]
fn a_mean_over_days_is_under_the_licences_of_those_days() {
    let check = |property: &'static str, licence: &str, expect: &[&str]| {
        let rows = [level(property, 0, 21.0), level(property, 30, 21.0)];
        let input = [
            (rows[0].as_slice(), 1, "CC-BY-NC-4.0"),
            (rows[1].as_slice(), 1, licence),
        ];
        check("heat_levels", &input, expect);
    };
    let before = "a air_temperature -1h 1 0.5 1 1.0 2 false";
    check(
        "air_temperature",
        "CC0-1.0",
        &[
            "CC-BY-NC-4.0",
            before,
            "a air_temperature 23h 1 0.125 1 1.0 2 false",
        ],
    );
    check(
        "air_temperature",
        "ODbL-1.0",
        &[
            "CC-BY-NC-4.0",
            before,
            "ODbL-1.0",
            "a air_temperature 23h 1 0.125 1 - 2 -",
        ],
    );
    // What is not averaged says nothing of the days before.
    check(
        "relative_humidity",
        "CC0-1.0",
        &[
            "CC-BY-NC-4.0",
            "a relative_humidity -1h 1 0.5 - - - -",
            "CC0-1.0",
            "a relative_humidity 23h 1 0.125 - - - -",
        ],
    );
}
