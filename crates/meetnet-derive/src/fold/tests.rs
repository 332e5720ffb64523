mod counts;

use meetnet_model::schemas::Schemas;

use super::*;
use crate::due::Wanted;
use crate::testing::{
    HOUR, HOURS_AND_DAYS, InputRow, LEVELS, MINUTE, START, Value, WAVES_AND_GAPS, batch,
    declaration, declared, plan, text,
};

/// Days of traffic: counts of rows of an hour in which the device saw at least half.
const TRAFFIC_DAYS: (&str, &str) = (
    "traffic_days.toml",
    r#"id = "traffic_days"
version = 1
kind = "wide"
grain = "year"
key = ["segment_id", "time"]
title = { nl = "Dagen" }
description = { nl = "Dagen" }
derive.from = "traffic"
derive.bucket = "day"
derive.zone = "Europe/Brussels"
derive.grace_s = 0
derive.expected_s = 3600
derive.quality_max = 2
derive.where = [{ column = "interval_s", equals = 3600 }, { column = "uptime", at_least = 0.5 }]
derive.columns.hours = "count"
derive.columns.coverage = "coverage"
derive.columns.car = { sum = "car" }
derive.columns.bike_share = { share = { of = ["bike"], among = ["car", "bike"] } }
derive.columns.v85 = { histogram_percentile = { of = "speed_hist", weight = "car", class = 10, percent = 85 } }
column = [
  { name = "segment_id", type = "int", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "hours", type = "int" },
  { name = "coverage", type = "float" },
  { name = "car", type = "float" },
  { name = "bike_share", type = "float" },
  { name = "v85", type = "float" },
]
"#,
);

/// Hours of air, with an index and a limit.
const AIR_HOURS: (&str, &str) = (
    "air_hours.toml",
    r#"id = "air_hours"
version = 1
kind = "wide"
grain = "month"
key = ["sensor_id", "property", "time"]
title = { nl = "Uren" }
description = { nl = "Uren" }
derive.from = "air"
derive.bucket = "hour"
derive.grace_s = 0
derive.expected_s = 900
derive.columns.coverage = "coverage"
derive.columns.mean = { mean = "value" }
derive.columns.eaqi = { index = { name = "eaqi", of = "mean" } }
derive.columns.above = { above = { of = "mean", limits = { no2 = 25, pm10 = 45 }, source = "WHO" } }
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "property", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "coverage", type = "float" },
  { name = "mean", type = "float" },
  { name = "eaqi", type = "int" },
  { name = "above", type = "bool" },
]
"#,
);

fn schemas() -> Schemas {
    let [hours, days] = HOURS_AND_DAYS;
    let [runs, gaps] = WAVES_AND_GAPS;
    declared(&[
        hours,
        days,
        runs,
        gaps,
        YEARS,
        TRAFFIC_DAYS,
        AIR_HOURS,
        LEVELS,
        counts::TOTALS,
    ])
}

/// Folds input rows, cut into batches in every way that two cuts can; returns the rows as text, under their licences, and
/// how many had none.
fn folded(schemas: &Schemas, of: &str, rows: &[InputRow<'_>]) -> (Vec<String>, u64) {
    let plan = plan(schemas, of);
    let input = declaration(
        schemas,
        plan.declaration().derive.as_ref().unwrap().from.as_str(),
    );
    let whole = batch(&input, rows);
    let span = Span {
        from: START - 400 * 24 * HOUR,
        to: START + 400 * 24 * HOUR,
        wanted: Wanted::All,
    };
    let mut found = None;
    for first in 0..=whole.num_rows() {
        for second in first..=whole.num_rows() {
            let mut fold = Fold::new(&plan, &span);
            fold.push(&whole.slice(0, first)).unwrap();
            fold.push(&whole.slice(first, second - first)).unwrap();
            fold.push(&whole.slice(second, whole.num_rows() - second))
                .unwrap();
            fold.finish().unwrap();
            let finished = fold.take();
            let rows: usize = finished
                .iter()
                .map(|finished| finished.rows.batch.num_rows())
                .sum();
            assert_eq!((fold.rows(), fold.take().len()), (0, 0), "{rows}");
            let mut lines = Vec::new();
            for Finished { rows, licence } in &finished {
                lines.push(licence.to_string());
                lines.extend(text(&rows.batch));
            }
            let answer = (lines, fold.withheld());
            let same = found.get_or_insert_with(|| answer.clone());
            assert_eq!(*same, answer, "cut at {first} and {second}");
        }
    }
    found.unwrap_or_default()
}

fn check(of: &str, rows: &[InputRow<'_>], expect: &[&str]) {
    let expect: Vec<String> = expect.iter().map(ToString::to_string).collect();
    assert_eq!(folded(&schemas(), of, rows), (expect, 0));
}

fn hour(
    segment: i64,
    hour: i64,
    uptime: f64,
    car: f64,
    bike: Option<f64>,
) -> Vec<(&'static str, Value<'static>)> {
    let mut columns = vec![
        ("segment_id", Value::Int(segment)),
        ("interval_s", Value::Int(3_600)),
        ("time", Value::Int(START + hour * HOUR)),
        ("uptime", Value::Float(uptime)),
        ("car", Value::Float(car)),
        (
            "speed_hist",
            Value::List(&[0.0, 0.0, 50.0, 50.0, 0.0, 0.0, 0.0, 0.0]),
        ),
    ];
    columns.extend(bike.map(|bike| ("bike", Value::Float(bike))));
    columns
}

#[test]
fn days_of_traffic_are_of_whole_hours_that_count() {
    let quarter = [
        ("segment_id", Value::Int(7)),
        ("interval_s", Value::Int(900)),
        ("time", Value::Int(START + 10 * HOUR)),
        ("uptime", Value::Float(1.0)),
        ("car", Value::Float(1_000.0)),
    ];
    let rows = [
        hour(7, 10, 1.0, 100.0, Some(50.0)),
        // Half of the hour, less than half, and a share without bikes.
        hour(7, 11, 0.5, 100.0, Some(150.0)),
        hour(7, 12, 0.49, 500.0, Some(500.0)),
        hour(7, 13, 0.9, 40.0, None),
        // The next day, in which nothing counts; and another segment.
        hour(7, 30, 0.1, 40.0, None),
        hour(8, 22, 1.0, 10.0, Some(0.0)),
        // 23:00Z is the next day already.
        hour(8, 23, 1.0, 20.0, Some(0.0)),
    ];
    let mut input: Vec<InputRow<'_>> = vec![(quarter.as_slice(), 1, "CC-BY-NC-4.0")];
    input.extend(rows.iter().map(|row| (row.as_slice(), 1, "CC-BY-NC-4.0")));
    check(
        "traffic_days",
        &input,
        &[
            "CC-BY-NC-4.0",
            "7 -1h 3 0.125 240.0 0.5 37.0",
            "7 23h 0 0.0 - - -",
            "8 -1h 1 0.041666666666666664 10.0 0.0 37.0",
            "8 23h 1 0.041666666666666664 20.0 0.0 37.0",
        ],
    );
}

fn air(property: &'static str, minute: i64, value: f64) -> Vec<(&'static str, Value<'static>)> {
    vec![
        ("sensor_id", Value::Text("a")),
        ("property", Value::Text(property)),
        ("time", Value::Int(START + minute * MINUTE)),
        ("value", Value::Float(value)),
    ]
}

#[test]
fn hours_of_air_have_indices_and_limits_of_their_property() {
    let mut whole = air("pm10", 120, 45.0);
    whole.push(("interval_s", Value::Int(3_600)));
    let rows = [
        air("co2", 0, 400.0),
        air("no2", 0, 20.0),
        air("no2", 5, 30.0),
        air("no2", 15, 31.0),
        // Failed: it was expected.
        air("no2", 59, 1_000.0),
        air("no2", 61, 1_000.0),
        whole,
    ];
    let quality = [1, 1, 3, 1, 4, 4, 2];
    let input: Vec<InputRow<'_>> = rows
        .iter()
        .zip(quality)
        .map(|(row, quality)| (row.as_slice(), quality, "CC0-1.0"))
        .collect();
    check(
        "air_hours",
        &input,
        &[
            "CC0-1.0",
            "a co2 0h 0.25 400.0 - -",
            "a no2 0h 0.5 27.0 3 true",
            "a no2 1h 0.0 - - -",
            "a pm10 2h 1.0 45.0 2 false",
        ],
    );
}

#[test]
fn the_running_mean_of_a_day_looks_back_over_midnight() {
    let row = |hour: i64, coverage: f64, mean: f64| {
        vec![
            ("sensor_id", Value::Text("a")),
            ("time", Value::Int(START + hour * HOUR)),
            ("coverage", Value::Float(coverage)),
            ("min", Value::Float(mean)),
            ("mean", Value::Float(mean)),
        ]
    };
    // The day begins at 23:00Z. Seven hours before it are warm, and one more that its means do not see.
    let mut rows = vec![row(14, 1.0, 9_000.0), row(15, 1.0, 9_000.0)];
    rows.extend((16..23).map(|hour| row(hour, 1.0, 30.0)));
    rows.extend((23..29).map(|hour| row(hour, 1.0, 22.0)));
    // Hours that do not count make no mean of theirs.
    rows.extend((29..40).map(|hour| row(hour, 0.4, 5_000.0)));
    let input: Vec<InputRow<'_>> = rows
        .iter()
        .map(|row| (row.as_slice(), 1, "CC0-1.0"))
        .collect();
    let schemas = schemas();
    let plan = plan(&schemas, "heat_days");
    let span = Span {
        from: START + 23 * HOUR,
        to: START + 47 * HOUR,
        wanted: Wanted::All,
    };
    let whole = batch(&declaration(&schemas, "heat_hours"), &input);
    let mut fold = Fold::new(&plan, &span);
    fold.push(&whole).unwrap();
    fold.finish().unwrap();
    let finished = fold.take();
    assert_eq!(finished.len(), 1);
    // (7 x 30 + 22) / 8.
    assert_eq!(
        text(&finished[0].rows.batch),
        ["a 23h 0.25 22.0 22.0 29.0 true"]
    );
}

/// Years of `heat_days`.
const YEARS: (&str, &str) = (
    "heat_years.toml",
    r#"id = "heat_years"
version = 1
kind = "wide"
grain = "year"
key = ["sensor_id", "time"]
title = { nl = "Jaren" }
description = { nl = "Jaren" }
derive.from = "heat_days"
derive.bucket = "year"
derive.zone = "Europe/Brussels"
derive.grace_s = 0
derive.expected_s = 86400
derive.columns.coverage = "coverage"
column = [
  { name = "sensor_id", type = "text", required = true },
  { name = "time", type = "timestamp", required = true },
  { name = "coverage", type = "float" },
]
"#,
);

#[test]
fn a_year_of_local_days_is_whole_though_the_clocks_change() {
    let check = |missing: usize, expect: &str| {
        let schemas = schemas();
        let days = plan(&schemas, "heat_days");
        let mut walk = days.buckets.walk();
        let mut at = START - HOUR;
        let mut rows = Vec::new();
        for day in 0..365 {
            if day != missing {
                rows.push([("sensor_id", Value::Text("a")), ("time", Value::Int(at))]);
            }
            at = walk.next(at).unwrap();
        }
        let input: Vec<InputRow<'_>> = rows
            .iter()
            .map(|row| (row.as_slice(), 1, "CC0-1.0"))
            .collect();
        let years = plan(&schemas, "heat_years");
        let span = Span {
            from: START - HOUR,
            to: at,
            wanted: Wanted::All,
        };
        let mut fold = Fold::new(&years, &span);
        let whole = batch(&declaration(&schemas, "heat_days"), &input);
        fold.push(&whole).unwrap();
        fold.finish().unwrap();
        assert_eq!(text(&fold.take()[0].rows.batch), [expect], "{missing}");
    };
    check(365, "a -1h 1.0");
    // In winter, on the days when the clocks are set forward and back, and in between.
    for missing in [0, 87, 100, 297, 364] {
        check(missing, &format!("a -1h {:?}", 364.0 / 365.0));
    }
}

/// An hour of `heat_hours` whose values are all the same.
fn heat_hour(sensor: &'static str, hour: i64, value: f64) -> Vec<(&'static str, Value<'static>)> {
    vec![
        ("sensor_id", Value::Text(sensor)),
        ("time", Value::Int(START + hour * HOUR)),
        ("mean", Value::Float(value)),
        ("max", Value::Float(value)),
    ]
}

#[test]
fn days_in_a_run_are_known_when_the_series_ends() {
    let rows = [
        heat_hour("a", 0, 24.6),
        heat_hour("a", 30, 20.0),
        heat_hour("a", 31, 24.8),
        // Two days on, so not with the day before; and another series.
        heat_hour("a", 75, 24.8),
        heat_hour("b", 99, 24.8),
        heat_hour("b", 120, 24.5),
    ];
    let input: Vec<InputRow<'_>> = rows
        .iter()
        .map(|row| (row.as_slice(), 1, "CC0-1.0"))
        .collect();
    check(
        "heat_runs",
        &input,
        &[
            "CC0-1.0",
            "a -1h 24.6 true",
            "a 23h 24.8 true",
            "a 71h 24.8 false",
            "b 95h 24.8 false",
            "b 119h 24.5 false",
        ],
    );
}

#[test]
fn a_difference_is_to_the_row_of_the_reference_and_under_both_licences() {
    let schemas = schemas();
    let plan = plan(&schemas, "heat_gaps");
    let input = declaration(&schemas, "heat_hours");
    let span = Span {
        from: START,
        to: START + 24 * HOUR,
        wanted: Wanted::All,
    };
    let folded = |rows: &[InputRow<'_>], references: &References| {
        let mut fold = Fold::new(&plan, &span).with_references(references);
        fold.push(&batch(&input, rows)).unwrap();
        fold.finish().unwrap();
        fold.take()
    };
    let of_a = [heat_hour("a", 3, 18.0), heat_hour("a", 5, 20.0)];
    let mut references = References::default();
    let licensed = [
        (of_a[0].as_slice(), 1, "CC-BY-NC-4.0"),
        (of_a[1].as_slice(), 1, "CC-BY-4.0"),
    ];
    references.add(&plan, folded(&licensed, &References::default()));
    let of_b = [3, 4, 5].map(|hour| heat_hour("b", hour, 21.5));
    let check = |licence: &str, expect: &[&str]| {
        let rows: Vec<InputRow<'_>> = of_b
            .iter()
            .map(|row| (row.as_slice(), 1, licence))
            .collect();
        let mut lines = Vec::new();
        for Finished { rows, licence } in folded(&rows, &references) {
            let rows = text(&rows.batch);
            lines.extend(rows.into_iter().map(|row| format!("{licence}: {row}")));
        }
        assert_eq!(lines, expect, "{licence}");
    };
    check(
        "CC0-1.0",
        &[
            "CC-BY-4.0: b 5h 21.5 1.5",
            "CC-BY-NC-4.0: b 3h 21.5 3.5",
            "CC0-1.0: b 4h 21.5 -",
        ],
    );
    // What must stay under ODbL cannot be compared with what nobody may sell: the row stays, the difference does not.
    check(
        "ODbL-1.0",
        &[
            "ODbL-1.0: b 3h 21.5 -",
            "ODbL-1.0: b 4h 21.5 -",
            "ODbL-1.0: b 5h 21.5 1.5",
        ],
    );
}

#[test]
fn a_row_is_under_the_licence_that_all_of_its_input_allows() {
    let mixed = |licences: &[&str], declared: Option<&str>| {
        let mut schemas = schemas();
        let id = meetnet_model::ids::DatasetId::new("air_hours");
        let dataset = schemas.datasets.get_mut(&id).unwrap();
        std::sync::Arc::make_mut(dataset).licence = declared.map(LicenceId::new);
        let rows: Vec<_> = (0..)
            .map(|minute| air("no2", minute, 1.0))
            .take(licences.len())
            .collect();
        let input: Vec<InputRow<'_>> = rows
            .iter()
            .zip(licences)
            .map(|(row, licence)| (row.as_slice(), 1, *licence))
            .collect();
        let (text, withheld) = folded(&schemas, "air_hours", &input);
        (text.first().cloned().unwrap_or_default(), withheld)
    };
    let under = |licence: &str| (licence.to_owned(), 0);
    assert_eq!(mixed(&["CC0-1.0"], None), under("CC0-1.0"));
    assert_eq!(
        mixed(&["CC0-1.0", "ODbL-1.0", "CC0-1.0"], None),
        under("ODbL-1.0")
    );
    assert_eq!(
        mixed(&["CC-BY-NC-4.0", "CC-BY-4.0"], None),
        under("CC-BY-NC-4.0")
    );
    assert_eq!(
        mixed(&["CC-BY-NC-4.0", "ODbL-1.0"], None),
        (String::new(), 1)
    );
    assert_eq!(
        mixed(&["CC-BY-NC-4.0", "ODbL-1.0"], Some("CC-BY-4.0")),
        under("CC-BY-4.0")
    );
}

#[test]
fn what_a_row_says_of_the_time_around_it_is_under_the_licences_of_that_time() {
    let check = |of: &str,
                 rows: &[Vec<(&str, Value<'_>)>],
                 first: usize,
                 licence: &str,
                 expect: &[&str]| {
        let licences = (0..).map(|row| if row < first { "CC-BY-NC-4.0" } else { licence });
        let input: Vec<InputRow<'_>> = rows
            .iter()
            .zip(licences)
            .map(|(row, licence)| (row.as_slice(), 1, licence))
            .collect();
        check(of, &input, expect);
    };
    let hour = |hour: i64, mean: f64| {
        let mut row = heat_hour("a", hour, mean);
        row.push(("coverage", Value::Float(1.0)));
        row.push(("min", Value::Float(mean)));
        row
    };
    // The day begins at 23:00Z.
    let mut hours: Vec<_> = (16..23).map(|at| hour(at, 30.0)).collect();
    hours.push(hour(23, 22.0));
    let before = "a -1h 0.2916666666666667 30.0 30.0 30.0 true";
    let day = "a 23h 0.041666666666666664 22.0 22.0 29.0 true";
    check(
        "heat_days",
        &hours,
        7,
        "CC0-1.0",
        &["CC-BY-NC-4.0", before, day],
    );
    // What must stay under ODbL says nothing of hours that nobody may sell.
    let alone = "a 23h 0.041666666666666664 22.0 22.0 - true";
    check(
        "heat_days",
        &hours,
        7,
        "ODbL-1.0",
        &["CC-BY-NC-4.0", before, "ODbL-1.0", alone],
    );

    let days = [
        heat_hour("a", 0, 24.6),
        heat_hour("a", 30, 24.8),
        heat_hour("a", 200, 24.8),
    ];
    check(
        "heat_runs",
        &days,
        1,
        "CC0-1.0",
        &[
            "CC-BY-NC-4.0",
            "a -1h 24.6 true",
            "a 23h 24.8 true",
            "CC0-1.0",
            "a 191h 24.8 false",
        ],
    );
    check(
        "heat_runs",
        &days,
        1,
        "ODbL-1.0",
        &[
            "CC-BY-NC-4.0",
            "a -1h 24.6 -",
            "ODbL-1.0",
            "a 23h 24.8 -",
            "a 191h 24.8 false",
        ],
    );
}
