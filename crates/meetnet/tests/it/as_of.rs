//! A value that is revised twice, asked for as of the times between: hot rows, committed ones and masked ones.

use std::time::{Duration, Instant};

use crate::desk::{self, start};
use crate::process::{answer, http, refusal};

const VALUE: &str = "SELECT value FROM heat";

/// Pushes a value for one key and waits until it is the answer; returns the stable time of that answer.
fn revise(portal: &str, push: &str, at: &str, value: f64) -> String {
    let body = format!(r#"{{"id": "a", "at": "{at}", "t": {value}}}"#);
    desk::push(push, &body);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let json = answer(&["sql", "--url", portal, "--format", "json", VALUE]);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        if json["rows"][0][0].as_f64() == Some(value) {
            return json["stable_time"].as_str().expect("a time").to_owned();
        }
        assert!(Instant::now() < deadline, "the value is not seen: {json}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_was_the_answer_stays_readable() {
    let time = r#"time = { pointer = "/at", format = "rfc3339" }"#;
    let (_dir, file) = desk::installation(&desk::config("", time));
    // Within the source's time window, whenever the test runs.
    let at = jiff::Timestamp::now().to_string();

    let (daemon, portal, push) = start(&file);
    let first = revise(&portal, &push, &at, 20.0);
    let second = revise(&portal, &push, &at, 25.5);
    let ask = |portal: &str, as_of: &str, sql: &str| {
        answer(&[
            "sql", "--url", portal, "--format", "csv", "--as-of", as_of, sql,
        ])
    };
    assert_eq!(
        ask(&portal, &first, VALUE),
        "value\r\n20.0\r\n",
        "hot, replaced by a hot row"
    );
    assert_eq!(ask(&portal, &second, VALUE), "value\r\n25.5\r\n");
    let by_function = format!("SELECT value FROM heat_as_of(TIMESTAMP '{first}')");
    let by_function = answer(&["sql", "--url", &portal, "--format", "csv", &by_function]);
    assert_eq!(by_function, "value\r\n20.0\r\n");
    daemon.stop();

    // Committed: one row in each partition.
    let history = "SELECT value, revision, superseded_at IS NULL AS current FROM heat_history ORDER BY recorded_at";
    let committed = ["sql", "--config", &file, "--format", "csv"];
    let read = |more: &[&str]| answer(&[&committed[..], more].concat());
    assert_eq!(read(&["--as-of", &first, VALUE]), "value\r\n20.0\r\n");
    assert_eq!(read(&[VALUE]), "value\r\n25.5\r\n");
    assert_eq!(
        read(&[history]),
        "value,revision,current\r\n20.0,0,false\r\n25.5,1,true\r\n"
    );
    let said = refusal(
        &[
            "sql",
            "--config",
            &file,
            "--as-of",
            "9999-01-01T00:00:00Z",
            VALUE,
        ],
        1,
    );
    assert!(
        said.contains("`heat` is settled up to its stable time"),
        "{said}"
    );

    // Masked: a committed row that a hot row has replaced.
    let (daemon, portal, push) = start(&file);
    let third = revise(&portal, &push, &at, 30.0);
    assert_eq!(
        ask(&portal, &first, VALUE),
        "value\r\n20.0\r\n",
        "superseded in a file"
    );
    assert_eq!(
        ask(&portal, &second, VALUE),
        "value\r\n25.5\r\n",
        "masked in a file"
    );
    assert_eq!(ask(&portal, &third, VALUE), "value\r\n30.0\r\n", "hot");
    assert_eq!(
        ask(&portal, &third, history),
        "value,revision,current\r\n20.0,0,false\r\n25.5,1,false\r\n30.0,2,true\r\n"
    );
    assert_eq!(
        ask(&portal, &second, history),
        "value,revision,current\r\n20.0,0,false\r\n25.5,1,true\r\n",
        "what came later does not shine through"
    );
    let rows = format!("{portal}/api/v1/datasets/heat/rows?fields=value&as_of={second}");
    let (status, body) = http("GET", &rows, "");
    assert_eq!(status, 200, "{body}");
    let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(json["rows"], serde_json::json!([[25.5]]));
    assert_eq!(json["as_of"], second.as_str());
    daemon.stop();
}
