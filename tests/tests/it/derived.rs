//! Derived datasets of the real binary against pandas, which computes them from the tables of their inputs; and neighbourhoods, of
//! what may be gathered and after an erasure.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use meetnet_tests::daemon::Installation;
use meetnet_tests::{python, recordings};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::recordings::files;

/// How long everything may take to be derived: on a busy machine rounds are long, and so are the pauses between them.
const PATIENCE: Duration = Duration::from_secs(400);

/// Waits until pandas finds in the tables what it computes; returns how many rows that were, by dataset. `reference` is the sensor
/// that others are compared with, where there is one.
async fn compare(installation: &Installation, reference: &[&str]) -> Value {
    agree(installation, "derived.py", reference).await
}

/// Waits until a script of `tests/python` finds nothing wrong with the tables; returns what it counted there.
pub(crate) async fn agree(installation: &Installation, script: &str, options: &[&str]) -> Value {
    let lake = installation.lake();
    let options = options.iter().map(Path::new);
    let arguments: Vec<&Path> = [lake.as_path()].into_iter().chain(options).collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = python::run(script, &arguments).unwrap();
        if found["wrong"].as_array().unwrap().is_empty() {
            return found["rows"].clone();
        }
        assert!(
            Instant::now() < deadline,
            "{script}: {found:#}\n{}",
            installation.log_tail()
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn import(installation: &Installation, source: &str, lines: &str) {
    let file = installation.folder().join("history.ndjson");
    fs::write(&file, lines).unwrap();
    installation
        .succeed(&["import", "json", file.to_str().unwrap(), "--source", source])
        .unwrap();
}

const DESK: &str = r#"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
time = { pointer = "/ts", format = "unix" }
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [
  { dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" },
  { dataset = "air", property = "o3", pointer = "/o3", unit = "ug/m3" },
  { dataset = "air", property = "no2", pointer = "/no2", unit = "ug/m3" },
  { dataset = "air", property = "so2", pointer = "/so2", unit = "ug/m3" },
  { dataset = "air", property = "co", pointer = "/co", unit = "mg/m3" },
]

[[source]]
id = "station"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
time = { pointer = "/ts", format = "unix" }
interval_s = 3600
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "air", property = "o3", pointer = "/o3", unit = "ug/m3" }]
"#;

/// Hourly ozone of three years, the second of which has too few days for a mean over years.
fn ozone() -> String {
    let mut lines = String::new();
    // From 1 January 2024, 2025 and 2026 on: so many days, of which every so manieth is above the target value.
    for (first, days, often) in [(19_723, 320, 4), (20_089, 300, 2), (20_454, 20, 2)] {
        for day in first..first + days {
            let least = if day % often == 0 { 150 } else { 60 };
            for hour in -1..23 {
                let ts = day * 86_400 + hour * 3_600;
                let o3 = least + hour;
                writeln!(lines, "{{\"id\":\"x\",\"ts\":{ts},\"o3\":{o3}}}").unwrap();
            }
        }
    }
    lines
}

/// A summer of three sensors with heat waves, broken ones, gaps, and days when the clocks change.
fn summer(random: &mut StdRng) -> String {
    // 2026-03-20 to 2026-05-26; and some days around the end of summer time.
    let days = (20_532..20_600).chain(20_748..20_756);
    let mut lines = String::new();
    let mut warmth = [0.0_f64; 3];
    for day in days {
        for (sensor, warmth) in warmth.iter_mut().enumerate() {
            // It stays as warm as it was for some days.
            if random.random_bool(0.15) {
                *warmth = f64::from(random.random_range(0_i32..10));
            }
            if (20_560..20_570).contains(&day) {
                *warmth = 9.0;
            }
            if random.random_bool(0.03) {
                continue;
            }
            for third in 0..72 {
                if random.random_bool(0.1) {
                    continue;
                }
                let ts = day * 86_400 + third * 1_200 + random.random_range(0..1_200);
                let noon = (f64::from(third) - 42.0).abs() / 36.0;
                let t = 22.0 + 1.2 * *warmth
                    - 5.0 * noon
                    - f64::from(random.random_range(0_i32..64)) / 8.0;
                let o3 = f64::from(random.random_range(0_i32..2_400)) / 10.0;
                let no2 = f64::from(random.random_range(0_i32..800)) / 10.0;
                // In long calms both pile up.
                let so2 = 40.0 * *warmth + f64::from(random.random_range(0_i32..400)) / 10.0;
                let co = 0.9 * *warmth + f64::from(random.random_range(0_i32..400)) / 100.0;
                writeln!(
                    lines,
                    "{{\"id\":\"{sensor}\",\"ts\":{ts},\"t\":{t},\"o3\":{o3},\"no2\":{no2},\"so2\":{so2},\"co\":{co}}}"
                )
                .unwrap();
            }
        }
    }
    lines
}

/// Returns the queries that a page of the documentation shows, but for those of the data team: here anybody asks.
fn shown_queries(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("\n```sql\n").skip(1);
    let queries = blocks.filter_map(|rest| rest.split("\n```").next());
    queries
        .filter(|query| !query.contains("quality_rules"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_days_and_heat_waves_are_those_of_pandas() {
    if !python::has_packages(&["deltalake", "pandas"]) {
        return;
    }
    let seed = std::env::var("MEETNET_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("MEETNET_SEED={seed}");
    // One of the sensors is the one that others are compared with.
    let references = ["heat_hourly", "heat_daily"]
        .map(|id| format!("[[dataset]]\nid = \"{id}\"\nreference = \"desk-0\"\n"));
    let config = format!("{}{DESK}", references.concat());
    let installation = Installation::new("commit_age_max = \"1s\"", &config).unwrap();
    let lines = summer(&mut StdRng::seed_from_u64(seed));
    // What comes later is revised: every fifth line is held back until the rest has been derived.
    let part = |is_late: bool| -> String {
        let lines = lines.lines().enumerate();
        let some = lines.filter(|(number, _)| (number % 5 == 0) == is_late);
        some.map(|(_, line)| format!("{line}\n")).collect()
    };
    import(&installation, "desk", &part(false));
    import(&installation, "station", &ozone());
    let daemon = installation.start().await.unwrap();
    compare(&installation, &["desk-0"]).await;
    daemon.stop().unwrap();
    import(&installation, "desk", &part(true));
    let daemon = installation.start().await.unwrap();
    let rows = compare(&installation, &["desk-0"]).await;
    for page in ["derived.md", "quality.md"] {
        let shown = shown_queries(page);
        assert!(!shown.is_empty(), "{page} shows no query");
        for query in shown {
            installation.sql(&query).await.expect(&query);
        }
    }
    daemon.stop().unwrap();
    println!("{rows}");
    for dataset in [
        "heat_hourly",
        "heat_daily",
        "heat_waves",
        "air_hourly",
        "air_daily",
    ] {
        assert!(rows[dataset].as_u64().unwrap() > 100, "{dataset}: {rows}");
    }
    assert!(rows["classes"].as_u64().unwrap() > 5, "{rows}");
    let judged = rows["judged both ways"].as_array().unwrap();
    for limit in [
        "so2 eu_exceeded",
        "co eu_exceeded",
        "co eu_8h_exceeded",
        "o3 eu_8h_exceeded",
    ] {
        assert!(judged.contains(&json!(limit)), "{limit}: {rows}");
    }
    for (said, limit) in [
        ("too often true", "no2 who_days_exceeded"),
        ("too often true", "o3 eu_8h_exceeded"),
        ("too often true", "so2 eu_hours_exceeded"),
        ("too often false", "no2 eu_days_exceeded"),
        ("too often false", "no2 eu_hours_exceeded"),
    ] {
        let found = rows[said].as_array().unwrap();
        assert!(found.contains(&json!(limit)), "{said} {limit}: {rows}");
    }
    assert!(rows["differences"].as_u64().unwrap() > 100, "{rows}");
    assert!(rows["averaged over years"].as_u64().unwrap() > 0, "{rows}");
    let waves = rows["days in a wave"].as_u64().unwrap();
    assert!(
        waves > 0 && waves < rows["heat_waves"].as_u64().unwrap(),
        "{rows}"
    );
}

/// The turn of a year, and the days around the one on which clocks are set forward.
fn turns() -> String {
    let mut lines = String::new();
    for day in (20_452..20_457).chain(20_540..20_544) {
        for third in 0..72 {
            let ts = day * 86_400 + third * 1_200;
            writeln!(lines, "{{\"id\":\"x\",\"ts\":{ts},\"t\":12.5}}").unwrap();
        }
    }
    lines
}

/// Who asks for a day of a dataset that has local days gets that day, from a service and from files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_asked_for_is_the_local_one() {
    const DAYS: [(&str, &str, &str); 4] = [
        ("2026-01-01", "2026-01-02", "2025-12-31T23:00:00Z"),
        ("2026-01-02", "2026-01-03", "2026-01-01T23:00:00Z"),
        ("2026-03-29", "2026-03-30", "2026-03-28T23:00:00Z"),
        ("2026-03-30", "2026-03-31", "2026-03-29T22:00:00Z"),
    ];
    let installation =
        Installation::new("commit_age_max = \"200ms\"\nstable_age_max = \"1s\"", DESK).unwrap();
    import(&installation, "desk", &turns());
    let daemon = installation.start().await.unwrap();
    let times = DAYS.map(|(_, _, time)| format!("'{time}'")).join(", ");
    let derived = format!("SELECT count(*) FROM heat_daily WHERE time IN ({times})");
    installation.wait_for(&derived, 4).await.unwrap();
    let exported = |day: &str, next: &str, time: &str| {
        let arguments = ["export", "heat_daily", "--from", day, "--to", next];
        let csv = installation.succeed(&arguments).unwrap();
        assert_eq!(csv.lines().count(), 2, "{day}: {csv}");
        assert!(csv.contains(time), "{day}: {csv}");
    };
    for (day, next, time) in DAYS {
        let path =
            format!("/api/v1/datasets/heat_daily/rows?fields=time&from={day}&to={next}&limit=5");
        let answer = installation.get(&path, &[]).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(answer["rows"], json!([[time]]), "{day}");
        exported(day, next, time);
    }
    daemon.stop().unwrap();
    for (day, next, time) in DAYS {
        exported(day, next, time);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_recorded_traffic_are_those_of_pandas() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    if !python::has_packages(&["deltalake", "pandas"]) {
        return;
    }
    let source = "[[source]]\nid = \"telraam\"\nkind = \"http\"\nformat = \"telraam\"\n\
                  token = { env = \"MEETNET_TEST_TOKEN\" }\nlicence = \"CC-BY-NC-4.0\"\n\
                  time_window = { back = \"20000d\", ahead = \"1h\" }\n";
    let installation = Installation::new("commit_age_max = \"1s\"", source).unwrap();
    let daemon = installation.start().await.unwrap();
    for path in files(&data.join("telraam/karlsruhe"), ".json") {
        let body = fs::read(&path).unwrap();
        let answer = installation.push("telraam", body, &[]).await.unwrap();
        assert_eq!(answer.0, 204, "{}", path.display());
    }
    let count = "SELECT count(*) > 0 FROM traffic";
    assert_eq!(installation.cell(count).await.unwrap(), true);
    // Hot rows are not derived: everything must be committed first.
    daemon.stop().unwrap();
    let daemon = installation.start().await.unwrap();
    let rows = compare(&installation, &[]).await;
    daemon.stop().unwrap();
    println!("{rows}");
    assert!(rows["traffic_daily"].as_u64().unwrap() > 0, "{rows}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_and_days_of_recorded_air_are_those_of_pandas() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    if !python::has_packages(&["deltalake", "pandas"]) {
        return;
    }
    let source = "[[source]]\nid = \"archive\"\nkind = \"http\"\nformat = \"json\"\n\
                  sensor_id = { pointer = \"/sensor_id\" }\n\
                  time = { pointer = \"/timestamp\", format = \"rfc3339\", zone = \"UTC\" }\n\
                  token = { env = \"MEETNET_TEST_TOKEN\" }\nlicence = \"ODbL-1.0\"\n\
                  map = [\n{ dataset = \"air\", property = \"pm10\", pointer = \"/P1\", unit = \"ug/m3\" },\n\
                  { dataset = \"air\", property = \"pm2_5\", pointer = \"/P2\", unit = \"ug/m3\" },\n]\n";
    let installation = Installation::new("commit_age_max = \"1s\"", source).unwrap();
    let mut lines = String::new();
    for path in files(&data.join("sensor_community/archive_csv"), ".csv") {
        let text = fs::read_to_string(&path).unwrap();
        let mut of_file = text.lines();
        let header: Vec<&str> = of_file.next().unwrap().split(';').collect();
        if !header.contains(&"P1") {
            continue;
        }
        for line in of_file.filter(|line| !line.is_empty()) {
            let fields: serde_json::Map<String, Value> = header
                .iter()
                .zip(line.split(';'))
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            writeln!(lines, "{}", Value::Object(fields)).unwrap();
        }
    }
    import(&installation, "archive", &lines);
    let daemon = installation.start().await.unwrap();
    let rows = compare(&installation, &[]).await;
    daemon.stop().unwrap();
    println!("{rows}");
    // The recordings are of years that are over.
    for dataset in ["air_daily", "air_yearly", "air_exceedances"] {
        assert!(rows[dataset].as_u64().unwrap() > 0, "{dataset}: {rows}");
    }
}

/// Two gardens in one cell, of which one may not be sold, and a third elsewhere.
fn gardens() -> String {
    let source = |id: &str, licence: &str, at: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\nkind = \"http\"\nformat = \"json\"\nsensor_id = {{ pointer = \"/id\" }}\n\
             time = {{ pointer = \"/ts\", format = \"unix\" }}\ntoken = {{ env = \"MEETNET_TEST_TOKEN\" }}\n\
             licence = \"{licence}\"\n\
             map = [{{ dataset = \"heat\", property = \"air_temperature\", pointer = \"/t\", unit = \"Cel\" }}]\n\
             [[source.device]]\nid = \"g\"\nsince = \"2020-01-01\"\nlongitude = {at}\nlatitude = 50.8796\n\n"
        )
    };
    [
        source("one", "CC-BY-4.0", "4.7009"),
        source("two", "CC-BY-NC-4.0", "4.7009"),
        source("three", "CC0-1.0", "4.7409"),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbourhoods_leave_out_what_nobody_may_sell_and_what_was_erased() {
    let installation = Installation::new(
        "commit_age_max = \"200ms\"\nstable_age_max = \"1s\"",
        &gardens(),
    )
    .unwrap();
    let daemon = installation.start().await.unwrap();
    // An hour that ended long enough ago.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let hour = (now.as_secs() / 3_600 - 6) * 3_600;
    for (source, value) in [("one", 20.0), ("two", 30.0), ("three", 10.0)] {
        for minute in [0, 20, 40] {
            let ts = hour + minute * 60;
            let body = format!("{{\"id\":\"g\",\"ts\":{ts},\"t\":{value}}}");
            let answer = installation.push(source, body.into_bytes(), &[]);
            assert_eq!(answer.await.unwrap(), (204, String::new()), "{source}");
        }
    }
    let cells = "SELECT CAST(air_temperature AS bigint) AS t, temperature_sensors, licence FROM neighbourhood_hourly \
                 WHERE air_temperature IS NOT NULL ORDER BY 1";
    let wait_for = async |expect: Value| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = json!(installation.sql(cells).await.unwrap());
            if rows == expect {
                return;
            }
            let late = Instant::now() >= deadline;
            assert!(
                !late,
                "{rows}, expected {expect}\n{}",
                installation.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let third = json!([10, 1, "CC0-1.0"]);
    wait_for(json!([third, [20, 1, "CC-BY-4.0"]])).await;
    let said = installation
        .succeed(&["erase", "--sensor", "one-g", "--yes"])
        .unwrap();
    assert!(said.contains("neighbourhood_hourly"), "{said}");
    wait_for(json!([third])).await;
    // No earlier version, either.
    let versions = "SELECT count(*) FROM neighbourhood_hourly_history WHERE air_temperature = 20";
    assert_eq!(installation.cell(versions).await.unwrap(), 0);
    daemon.stop().unwrap();
}
