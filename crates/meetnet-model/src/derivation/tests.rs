use super::*;

fn derivation(text: &str) -> Derivation {
    toml::from_str(text).unwrap()
}

#[test]
fn a_derivation_is_journalled_as_it_is_declared() {
    let declared = derivation(
        r#"
from = "air_hourly"
bucket = "day"
zone = "Europe/Brussels"
grace_s = 3600
expected_s = 3600
quality_max = 2
where = [{ column = "property", equals = "o3" }, { column = "coverage", at_least = 0.75 }]
permission = "letter of 2026-03-01"
reference = "rural"
[columns]
n = "count"
coverage = "coverage"
mean = { mean = "mean" }
o3_8h = { running_mean_max = { of = "mean", hours = 8, hours_min = 6 } }
car_share = { share = { of = ["car"], among = ["car", "bike"] } }
v85 = { histogram_percentile = { of = "speed_hist", weight = "car", class = 10.0, percent = 85.0 } }
wave = { run = { of = "mean", at_least = 25.0, length_min = 5, peak = 30.0, peaks_min = 3, length_max = 11, source = "KMI" } }
difference = { difference_to_reference = "mean" }
eaqi = { index = { name = "eaqi", of = "mean" } }
hot = { at_least = { of = "mean", limit = 30.0, source = "KMI" } }
who = { above = { of = "mean", limits = { o3 = 100.0 }, source = "WHO" } }
"#,
    );
    let json = serde_json::to_string(&declared).unwrap();
    assert_eq!(serde_json::from_str::<Derivation>(&json).unwrap(), declared);
    // Runs reach ten days each way, of up to 25 hours; the running mean seven hours back.
    let ten_days = 10 * 25 * 3_600 * SECOND_US;
    assert_eq!(
        (declared.look_back(), declared.look_ahead()),
        (ten_days, ten_days)
    );
    let mut without_runs = declared.clone();
    without_runs.columns.remove("wave");
    assert_eq!(
        (without_runs.look_back(), without_runs.look_ahead()),
        (7 * 3_600 * SECOND_US, 0)
    );
    let equal: Vec<_> = declared.equalities().collect();
    assert_eq!(
        equal,
        [("property", &ConditionValue::Text("o3".to_owned()))]
    );
    assert_eq!(
        declared.least_values().collect::<Vec<_>>(),
        [("coverage", 0.75)]
    );
}

#[test]
fn numbers_of_a_year_so_far_are_journalled_and_reach_back() {
    let text = r#"
from = "air_daily"
bucket = "year"
SO_FAR
grace_s = 0
expected_s = 86400
quality_max = 3
[columns]
so_far = "coverage_so_far"
hours = { total = "eu_hours" }
days = { count_above = { of = "mean_8h_max", limits = { o3 = 120.0 }, source = "EU" } }
mean = { count_above_mean = { of = "mean_8h_max", limits = { o3 = 120.0 }, averaged = ["o3"], buckets = 3, rows_min = 310, source = "EU" } }
allowed = { by_property = { numbers = { o3 = 18 }, source = "EU" } }
exceeded = { more_than = { of = "mean", than = "allowed" } }
"#;
    let declared = derivation(&text.replace("SO_FAR", "so_far = true"));
    let json = serde_json::to_string(&declared).unwrap();
    assert_eq!(serde_json::from_str::<Derivation>(&json).unwrap(), declared);
    let two_years = 2 * (366 * 86_400 + 3_600) * SECOND_US;
    assert_eq!(
        (declared.look_back(), declared.look_ahead()),
        (two_years, 0)
    );
    // What does not say it is journalled as it was before there was such a thing: its rows are not made anew.
    let plain = derivation(&text.replace("SO_FAR", ""));
    assert!(!plain.so_far && plain != declared);
    let json = serde_json::to_string(&plain).unwrap();
    assert!(!json.contains("\"so_far\":false"), "{json}");
}

#[test]
fn days_are_those_of_the_zone() {
    let declared = derivation(
        "from = \"air\"\nbucket = \"day\"\nzone = \"Europe/Brussels\"\ngrace_s = 0\nexpected_s = 60\nquality_max = 3\n[columns]\n",
    );
    let buckets = declared.buckets().unwrap();
    // 2026-03-29, when the clocks go forward: 23 hours from 2026-03-28T23:00:00Z.
    let start = 1_774_738_800 * SECOND_US;
    let mut walk = buckets.walk();
    assert_eq!(walk.start(start + SECOND_US), Some(start));
    assert_eq!(walk.next(start), Some(start + 23 * 3_600 * SECOND_US));
    assert_eq!(declared.look_back(), 0);
}
