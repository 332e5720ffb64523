//! Hours of the built-in dataset `heat_hourly` from pushed messages: when a row appears, how it is revised, what stays of it
//! after a restart and after an erasure.

use crate::desk::{self, TIME, push, start, wait_for};
use crate::process::{answer, http};

/// Commits at once, so that the test need not wait for what is derived from commits.
const LAKE: &str = "[lake]\ncommit_age_max = \"200ms\"\n";

const ROWS: &str = "SELECT sensor_id, observations, round(coverage, 2) AS coverage, mean, quality, licence \
                    FROM heat_hourly ORDER BY sensor_id";
const VERSIONS: &str = "SELECT count(*) AS n FROM heat_hourly_history";

#[test]
fn hours_are_derived_from_what_is_committed() {
    let (_dir, file) = desk::installation(&desk::config(LAKE, TIME));
    // An hour that has ended long enough ago, and lies within the time window of the source.
    let hour = (jiff::Timestamp::now().as_second() / 3_600 - 3) * 3_600;
    let message = |id: u32, second: i64, value: f64| {
        format!(r#"{{"id": "{id}", "ts": {}, "t": {value}}}"#, hour + second)
    };
    let (daemon, portal, address) = start(&file);
    let ask = |portal: &str, sql: &str| answer(&["sql", "--url", portal, "--format", "csv", sql]);
    let says = |portal: &str, sql: &str, expect: &str| {
        wait_for(&format!("{sql} says {expect}"), || {
            ask(portal, sql) == expect
        });
    };
    push(&address, &message(7, 0, 20.0));
    push(&address, &message(7, 1_200, 22.0));
    let header = "sensor_id,observations,coverage,mean,quality,licence\r\n";
    // Two of three stretches are covered: suspect.
    says(
        &portal,
        ROWS,
        &format!("{header}desk-7,2,0.67,21.0,3,CC0-1.0\r\n"),
    );
    // Late: a revision.
    push(&address, &message(7, 3_000, 27.0));
    let whole = format!("{header}desk-7,3,1.0,23.0,1,CC0-1.0\r\n");
    says(&portal, ROWS, &whole);
    // No configured source has this name: an erasure finds the messages of a row by it.
    let source = ask(&portal, "SELECT DISTINCT source FROM heat_hourly");
    assert_eq!(source, "source\r\nderived:heat\r\n");
    let versions = ask(&portal, VERSIONS);
    daemon.stop();

    // After a restart nothing is derived anew, and what comes is.
    let (daemon, portal, address) = start(&file);
    assert_eq!(ask(&portal, ROWS), whole);
    push(&address, &message(8, 60, 30.0));
    says(
        &portal,
        ROWS,
        &format!("{whole}desk-8,1,0.33,30.0,3,CC0-1.0\r\n"),
    );
    let of_one = "SELECT count(*) AS n FROM heat_hourly_history WHERE sensor_id = 'desk-7'";
    assert_eq!(ask(&portal, of_one), versions);

    // What is erased is gone from what was derived of it, and does not come back.
    let erased = answer(&["erase", "--sensor", "desk-7", "--yes", "--config", &file]);
    assert!(erased.contains("heat_hourly"), "{erased}");
    assert_eq!(ask(&portal, of_one), "n\r\n0\r\n");
    push(&address, &message(9, 60, 10.0));
    let rest = format!("{header}desk-8,1,0.33,30.0,3,CC0-1.0\r\ndesk-9,1,0.33,10.0,3,CC0-1.0\r\n");
    says(&portal, ROWS, &rest);
    daemon.stop();
}

const DAYS: &str = "SELECT rows, revisions, round(completeness, 3) AS complete, sensors, silent \
                    FROM data_quality WHERE dataset = 'heat' AND period = 'day' ORDER BY time";

#[test]
fn a_day_that_is_over_says_how_good_it_was() {
    let (_dir, file) = desk::installation(&desk::config(LAKE, TIME));
    // Two days ago: over for long. Whether the day after is, in which nobody said anything, depends on the time of the day.
    let day = (jiff::Timestamp::now().as_second() / 86_400 - 2) * 86_400;
    let (daemon, portal, address) = start(&file);
    push(
        &address,
        &format!(r#"{{"id": "7", "ts": {}, "t": 20.0}}"#, day + 60),
    );
    let ask = |sql: &str| answer(&["sql", "--url", &portal, "--format", "csv", sql]);
    let of_day = "rows,revisions,complete,sensors,silent\r\n1,0,0.042,1,0\r\n";
    wait_for("the day is said", || ask(DAYS).starts_with(of_day));
    let licence = ask("SELECT DISTINCT licence FROM data_quality");
    assert_eq!(licence, "licence\r\nCC0-1.0\r\n");
    let url = format!("{portal}/api/v1/datasets/heat/quality");
    let (status, said) = http("GET", &url, "");
    assert_eq!(status, 200, "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["all"]["rows"], 1, "{said}");
    assert_eq!(said["all"]["lateness"]["rows"], 1, "{said}");
    let oldest = said["days"].as_array().unwrap().last().unwrap();
    let start = jiff::Timestamp::from_second(day).unwrap();
    assert_eq!(
        oldest["start"],
        start.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    );
    daemon.stop();
}
