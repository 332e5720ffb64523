//! The quality tests of whole series against `ioos_qc`, the reference implementation. docs/quality.md lists where the two
//! differ on purpose; the series here keep clear of that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use meetnet_model::calendar::{DAY_US, SECOND_US, month};
use meetnet_model::quality::{
    AttenuatedSignal, FlatLine, MonthLimits, PropertyTests, Quality, QualityTest, RateOfChange,
    Spike, Variation,
};
use meetnet_model::schemas;
use meetnet_model::time::parse_rfc3339;
use meetnet_quality::backward::Observation;
use meetnet_quality::settle::{LOOK_AHEAD_US, WholeTests};
use meetnet_quality::value::{Climatology, gross_range};
use meetnet_quality::{batch, value};
use meetnet_tests::daemon::Installation;
use meetnet_tests::{python, recordings};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const SERIES: usize = 80;
/// 2026-01-01.
const NEW_YEAR: i64 = 1_767_225_600 * SECOND_US;

/// One test of one series: what we say, and what `ioos_qc` is asked.
struct Case {
    ours: Vec<u64>,
    theirs: Value,
}

fn case(test: &str, series: &[Observation], parameters: Value, ours: &[Quality]) -> Case {
    let finite = |value: f64| value.is_finite().then_some(value);
    let times: Vec<i64> = series.iter().map(|o| o.time).collect();
    let values: Vec<Option<f64>> = series.iter().map(|o| finite(o.value)).collect();
    Case {
        ours: ours.iter().map(|flag| flag.code() as u64).collect(),
        theirs: json!({ "test": test, "times": times, "values": values, "parameters": parameters }),
    }
}

/// A series that often stays as it is, creeps, jumps, and has gaps and, where they are asked for, missing values. Values are
/// sixteenths, so that no limit below is as near to them as a rounding error; times are whole seconds.
fn series(random: &mut StdRng, step_s: i64, has_missing: bool) -> Vec<Observation> {
    let (mut time, mut sixteenths) = (NEW_YEAR, 320_i32);
    let mut series = Vec::new();
    for _ in 0..random.random_range(3..400) {
        time += (step_s + random.random_range(0..=step_s / 4)) * SECOND_US;
        match random.random_range(0..40) {
            0 => sixteenths += random.random_range(-400..400),
            1 => time += random.random_range(1..50) * step_s * SECOND_US,
            2..12 => sixteenths += random.random_range(-3..4),
            _ => {}
        }
        let is_missing = has_missing && random.random_range(0..12) == 0;
        let value = if is_missing {
            f64::NAN
        } else {
            f64::from(sixteenths) / 16.0
        };
        series.push(Observation { time, value });
    }
    series
}

/// Cases of the tests that look at one value.
fn of_values(random: &mut StdRng, cases: &mut Vec<Case>) {
    let series = series(random, 3_600, true);
    let flag = |o: &Observation| gross_range(o.value, [10.0, 30.0], Some([15.0, 25.0]));
    let flags: Vec<Quality> = series.iter().map(flag).collect();
    let parameters = json!({ "fail_span": [10, 30], "suspect_span": [15, 25] });
    cases.push(case("gross_range", &series, parameters, &flags));

    let limits = [
        (1, [10.0, 22.0], Some([5.0, 25.0])),
        (2, [12.0, 24.0], None),
        (5, [15.0, 40.0], Some([0.0, 45.0])),
    ];
    let declared = limits.map(|(month, suspect, fail)| MonthLimits {
        months: vec![month],
        suspect,
        fail,
    });
    let climatology = Climatology::new(&declared);
    let series = self::series(random, 6 * 3_600, false);
    let flag = |o: &Observation| climatology.test(o.value, month(o.time));
    let flags: Vec<Quality> = series.iter().map(flag).collect();
    let parameters = json!({ "months": limits });
    cases.push(case("climatology", &series, parameters, &flags));
}

/// Cases of the tests that look at a series.
fn of_series(random: &mut StdRng, cases: &mut Vec<Case>) {
    let step_s = [16, 60, 150, 600, 3_600][random.random_range(0..5)];
    let whole = series(random, step_s, false);
    let holed = series(random, step_s, true);

    let limits = RateOfChange {
        suspect_per_hour: 360.0 / step_s as f64,
        fail_per_hour: Some(7_200.0 / step_s as f64),
        distance_min_s: None,
    };
    let parameters = json!({
        "threshold": limits.suspect_per_hour / 3_600.0,
        "fail_threshold": limits.fail_per_hour.map(|fail| fail / 3_600.0),
    });
    for series in [&whole, &holed] {
        let flags = batch::rate_of_change(series, limits);
        cases.push(case("rate_of_change", series, parameters.clone(), &flags));
    }

    let suspect_s = step_s as u32 * random.random_range(2..8) + random.random_range(0..60);
    let limits = FlatLine {
        tolerance: 0.1,
        suspect_s,
        fail_s: suspect_s + step_s as u32 * random.random_range(0..8),
    };
    let parameters = json!({
        "suspect_threshold": limits.suspect_s, "fail_threshold": limits.fail_s, "tolerance": limits.tolerance,
    });
    for series in [&whole, &holed] {
        let flags = batch::flat_line(series, limits);
        cases.push(case("flat_line", series, parameters.clone(), &flags));
    }

    for (variation, name, series) in [
        (Variation::Deviation, "std", &whole),
        (Variation::Deviation, "std", &holed),
        (Variation::Range, "range", &whole),
    ] {
        let limits = AttenuatedSignal {
            variation,
            period_s: step_s as u32 * random.random_range(4..30),
            observations_min: random.random_range(2..6),
            span_min_s: None,
            suspect: 0.301,
            fail: 0.0501,
        };
        let parameters = json!({
            "suspect_threshold": limits.suspect, "fail_threshold": limits.fail, "test_period": limits.period_s,
            "min_obs": limits.observations_min, "check_type": name,
        });
        let flags = batch::attenuated_signal(series, limits);
        cases.push(case("attenuated_signal", series, parameters, &flags));
    }

    let limits = Spike {
        suspect: 0.1,
        fail: Some(3.01),
    };
    let parameters = json!({ "suspect_threshold": limits.suspect, "fail_threshold": limits.fail });
    for series in [&whole, &holed] {
        let flags = batch::spike(series, limits);
        cases.push(case("spike", series, parameters.clone(), &flags));
    }
}

/// Asks `ioos_qc`; returns its flags of each case.
fn ask(asked: &[&Value]) -> Vec<Vec<u64>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    fs::write(&path, serde_json::to_vec(&asked).unwrap()).unwrap();
    let answer = python::run("qartod.py", &[&path]).unwrap();
    let answers = answer.as_array().unwrap();
    assert_eq!(answers.len(), asked.len());
    let flags = |answer: &Value| {
        answer
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .collect()
    };
    answers.iter().map(flags).collect()
}

/// Asks `ioos_qc` and expects the same flags; returns how often each test gave each flag.
fn compare(cases: &[Case]) -> BTreeMap<(&str, u64), usize> {
    let asked: Vec<&Value> = cases.iter().map(|case| &case.theirs).collect();
    let mut seen = BTreeMap::new();
    for (case, theirs) in cases.iter().zip(ask(&asked)) {
        let test = case.theirs["test"].as_str().unwrap();
        if case.ours != theirs {
            let at = case.ours.iter().zip(&theirs).position(|(a, b)| a != b);
            panic!(
                "{test} at {at:?}:\nours   {:?}\ntheirs {theirs:?}\n{}",
                case.ours, case.theirs
            );
        }
        for flag in theirs {
            *seen.entry((test, flag)).or_insert(0) += 1;
        }
    }
    seen
}

#[test]
fn flags_of_whole_series_are_those_of_ioos_qc() {
    if !python::has_packages(&["ioos_qc"]) {
        return;
    }
    let seed = std::env::var("MEETNET_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("MEETNET_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let mut cases = Vec::new();
    for _ in 0..SERIES {
        of_values(random, &mut cases);
        of_series(random, &mut cases);
    }
    let seen = compare(&cases);
    // Series that make no test say anything would agree as well.
    for test in [
        "gross_range",
        "climatology",
        "rate_of_change",
        "flat_line",
        "attenuated_signal",
        "spike",
    ] {
        for flag in [Quality::Pass, Quality::Suspect, Quality::Fail] {
            let count = seen.get(&(test, flag.code() as u64)).copied().unwrap_or(0);
            assert!(count > 20, "{test} gave flag {flag:?} {count} times");
        }
    }
}

/// The series of each sensor and kind of dust in a folder of sensor.community's archive; of two values of one time the
/// later one counts.
fn recorded(folder: &Path) -> Vec<Vec<Observation>> {
    let mut series: BTreeMap<(String, usize), BTreeMap<i64, f64>> = BTreeMap::new();
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().map(|line| line.split(';').collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let column = |name: &str| header.iter().position(|column| *column == name);
        let (sensor, time) = (column("sensor_id").unwrap(), column("timestamp").unwrap());
        for fields in lines {
            // One line is cut short.
            let time = fields
                .get(time)
                .map(|text| parse_rfc3339(&format!("{text}Z")));
            let Some(Ok(time)) = time else {
                continue;
            };
            for (kind, name) in ["P1", "P2"].into_iter().enumerate() {
                let field = column(name).and_then(|at| fields.get(at));
                if let Some(Ok(value)) = field.map(|field| field.parse()) {
                    let key = (fields[sensor].to_owned(), kind);
                    series.entry(key).or_default().insert(time, value);
                }
            }
        }
    }
    let of_sensor = |values: BTreeMap<i64, f64>| -> Vec<Observation> {
        let values = values.into_iter();
        values
            .map(|(time, value)| Observation { time, value })
            .collect()
    };
    series.into_values().map(of_sensor).collect()
}

#[test]
fn flags_of_recorded_series_are_those_of_ioos_qc() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    if !python::has_packages(&["ioos_qc"]) {
        return;
    }
    let series = recorded(&data.join("sensor_community/archive_csv"));
    assert!(series.len() > 4, "{} series", series.len());
    let mut cases = Vec::new();
    for series in &series {
        let rate = RateOfChange {
            suspect_per_hour: 100.0,
            fail_per_hour: Some(500.0),
            distance_min_s: None,
        };
        let parameters = json!({
            "threshold": rate.suspect_per_hour / 3_600.0,
            "fail_threshold": rate.fail_per_hour.map(|fail| fail / 3_600.0),
        });
        let flags = batch::rate_of_change(series, rate);
        cases.push(case("rate_of_change", series, parameters, &flags));

        let flat = FlatLine {
            tolerance: 0.55,
            suspect_s: 900,
            fail_s: 1_800,
        };
        let parameters = json!({
            "suspect_threshold": flat.suspect_s, "fail_threshold": flat.fail_s, "tolerance": flat.tolerance,
        });
        let flags = batch::flat_line(series, flat);
        cases.push(case("flat_line", series, parameters, &flags));

        let attenuated = AttenuatedSignal {
            variation: Variation::Range,
            period_s: 7_200,
            observations_min: 10,
            span_min_s: None,
            suspect: 3.0,
            fail: 1.5,
        };
        let parameters = json!({
            "suspect_threshold": attenuated.suspect, "fail_threshold": attenuated.fail, "test_period": 7_200,
            "min_obs": 10, "check_type": "range",
        });
        let flags = batch::attenuated_signal(series, attenuated);
        cases.push(case("attenuated_signal", series, parameters, &flags));

        let limits = Spike {
            suspect: 5.0,
            fail: Some(25.0),
        };
        let parameters =
            json!({ "suspect_threshold": limits.suspect, "fail_threshold": limits.fail });
        let flags = batch::spike(series, limits);
        cases.push(case("spike", series, parameters, &flags));
    }
    let seen = compare(&cases);
    for test in ["rate_of_change", "flat_line", "attenuated_signal", "spike"] {
        let suspect = seen.get(&(test, 3)).copied().unwrap_or(0);
        assert!(suspect > 0, "{test} finds nothing: {seen:?}");
    }
}

/// A source that sends temperatures.
pub(crate) const SOURCES: &str = r#"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
time = { pointer = "/ts", format = "unix" }
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;
/// Sensors whose series are settled.
const SENSORS: usize = 12;

/// Returns true where the values of the period up to one of them lie far enough apart to be tested: `ioos_qc` counts them.
fn spans(window: &[Observation], at: usize, limits: AttenuatedSignal) -> bool {
    let (now, seconds) = (window[at].time, |s: u32| i64::from(s) * SECOND_US);
    let begin = now - seconds(limits.period_s);
    let oldest = window.iter().find(|o| o.time > begin).unwrap();
    now - oldest.time >= seconds(limits.span_min_s.unwrap())
}

/// What `ioos_qc` is asked of a window of a series, by the declared tests; with the bit of each.
fn declared_cases(tests: &PropertyTests, window: &[Observation]) -> Vec<(QualityTest, Value)> {
    let rate = tests.rate_of_change.unwrap();
    let rate = json!({
        "threshold": rate.suspect_per_hour / 3_600.0,
        "fail_threshold": rate.fail_per_hour.map(|fail| fail / 3_600.0),
    });
    let flat = tests.flat_line.unwrap();
    let flat = json!({
        "suspect_threshold": flat.suspect_s, "fail_threshold": flat.fail_s, "tolerance": flat.tolerance,
    });
    let signal = tests.attenuated_signal.unwrap();
    assert_eq!(signal.variation, Variation::Range);
    let signal = json!({
        "suspect_threshold": signal.suspect, "fail_threshold": signal.fail, "test_period": signal.period_s,
        "min_obs": signal.observations_min, "check_type": "range",
    });
    let spike = tests.spike.unwrap();
    let spike = json!({ "suspect_threshold": spike.suspect, "fail_threshold": spike.fail });
    let asked = |name: &str, parameters| case(name, window, parameters, &[]).theirs;
    vec![
        (QualityTest::RateOfChange, asked("rate_of_change", rate)),
        (QualityTest::FlatLine, asked("flat_line", flat)),
        (
            QualityTest::AttenuatedSignal,
            asked("attenuated_signal", signal),
        ),
        (QualityTest::Spike, asked("spike", spike)),
    ]
}

#[test]
fn settled_rows_have_the_flags_of_ioos_qc() {
    if !python::has_packages(&["ioos_qc"]) {
        return;
    }
    let seed = std::env::var("MEETNET_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("MEETNET_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let installation = Installation::new("", SOURCES).unwrap();
    let mut lines = String::new();
    for sensor in 0..SENSORS {
        // What changes fast, what stays the same for hours, and what varies too little in half a day.
        let step_s = [60, 600, 3_600][sensor % 3];
        for Observation { time, value } in series(random, step_s, false) {
            let ts = time / SECOND_US;
            lines.push_str(&format!(
                "{{\"id\":\"{sensor}\",\"ts\":{ts},\"t\":{value}}}\n"
            ));
        }
    }
    let file = installation.folder().join("history.ndjson");
    fs::write(&file, lines).unwrap();
    installation
        .succeed(&["import", "json", file.to_str().unwrap()])
        .unwrap();
    installation.succeed(&["quality", "settle"]).unwrap();

    let rows = installation
        .sql_on_files(
            "SELECT sensor_id, time, value, quality_tests FROM heat ORDER BY sensor_id, time",
        )
        .unwrap();
    let mut stored: BTreeMap<String, (Vec<Observation>, Vec<i64>)> = BTreeMap::new();
    for row in rows {
        let time = parse_rfc3339(row[1].as_str().unwrap()).unwrap();
        let value = row[2].as_f64().unwrap();
        let of_sensor = stored
            .entry(row[0].as_str().unwrap().to_owned())
            .or_default();
        of_sensor.0.push(Observation { time, value });
        of_sensor.1.push(row[3].as_i64().unwrap());
    }
    assert_eq!(stored.len(), SENSORS);
    let declarations = schemas::builtin().into_declarations([]);
    let tests = &declarations
        .property("heat", "air_temperature")
        .unwrap()
        .tests;
    let reach = WholeTests::new(tests).unwrap().reach_us();

    // Each day, as part of what lies around it.
    let mut asked = Vec::new();
    let mut of = Vec::new();
    for (series, bits) in stored.values() {
        let days: BTreeSet<i64> = series.iter().map(|o| o.time.div_euclid(DAY_US)).collect();
        for day in days {
            let begin = day * DAY_US;
            let until = |time: i64| series.partition_point(|o| o.time < time);
            let (from, to) = (until(begin - reach), until(begin + DAY_US + LOOK_AHEAD_US));
            let (first, end) = (until(begin), until(begin + DAY_US));
            for (test, case) in declared_cases(tests, &series[from..to]) {
                asked.push(case);
                let window = &series[from..to];
                of.push((test, first - from..end - from, window, &bits[first..end]));
            }
        }
    }
    let asked: Vec<&Value> = asked.iter().collect();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let signal = tests.attenuated_signal.unwrap();
    for ((test, tested, window, bits), flags) in of.into_iter().zip(ask(&asked)) {
        let is_tested = |at| test != QualityTest::AttenuatedSignal || spans(window, at, signal);
        let theirs: Vec<bool> = tested
            .map(|at| [3, 4].contains(&flags[at]) && is_tested(at))
            .collect();
        let ours: Vec<bool> = bits.iter().map(|bits| bits & test.bit() != 0).collect();
        assert_eq!(ours, theirs, "{test:?}");
        *found.entry(test.as_str()).or_default() += theirs.iter().filter(|is| **is).count();
    }
    // Series that no test finds fault with would agree as well.
    assert!(
        found.len() == 4 && found.values().all(|count| *count > 5),
        "{found:?}"
    );
}

#[test]
fn places_are_flagged_as_by_ioos_qc() {
    // Its location test of these pairs gives 1, 4, 4, 9, 4 (version 3.0.0).
    let pairs = [
        (Some(0.0), Some(90.0)),
        (Some(180.0), Some(91.0)),
        (Some(181.0), Some(0.0)),
        (None, None),
        (None, Some(1.0)),
    ];
    let flags = pairs.map(|(lon, lat)| value::location(lon, lat).code());
    assert_eq!(flags, [1, 4, 4, 9, 4]);
}
