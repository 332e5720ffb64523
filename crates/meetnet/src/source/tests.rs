use std::path::Path;

use super::answer::{Answer, AnswerFormat};
use super::trial::{Trial, window_note};
use super::*;

const CONFIG: &str = r#"
[[source]]
id = "balcony"
kind = "mqtt"
url = "mqtt://127.0.0.1:1883"
topics = ["zigbee2mqtt/{device}"]
format = "json"
sensor_id = "{device}"
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

/// 2026-06-01T12:00:00Z.
const RECEIVED_AT: i64 = 1_780_315_200_000_000;

fn config(text: &str) -> Config {
    Config::parse(Path::new("city.toml"), text, &Environment::default()).unwrap()
}

fn answer(format: AnswerFormat, bodies: &[&str]) -> String {
    let trial = Trial::new(&config(CONFIG), "balcony").unwrap();
    let mut answer = Answer::new(format);
    for body in bodies {
        let decoded = trial.decode("zigbee2mqtt/a1", &[], body.as_bytes(), RECEIVED_AT);
        answer.add("kitchen.json", &decoded);
    }
    answer.note(trial.note());
    answer.finish()
}

#[test]
fn a_table_shows_rows_and_rejects() {
    assert_eq!(
        answer(AnswerFormat::Table, &[r#"[{"t": 21.5}, {"t": "x"}]"#]),
        "kitchen.json\n  \
           heat\n    \
             sensor_id   property         time                  value\n    \
             balcony-a1  air_temperature  2026-06-01T12:00:00Z  21.5\n  \
           rejected: wrong_type: the value at `/t` is not a number\n    \
             {\"t\": \"x\"}\n\
         \n\
         1 message: 1 row, 1 reject; nothing was stored"
    );
}

#[test]
fn json_is_an_object_per_row_and_reject() {
    let lines = answer(AnswerFormat::Json, &[r#"{"t": 21.5}"#, "{}"]);
    let objects: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        objects,
        [
            serde_json::json!({"file": "kitchen.json", "dataset": "heat", "row": {
                "sensor_id": "balcony-a1", "property": "air_temperature", "time": "2026-06-01T12:00:00Z", "value": 21.5}}),
            serde_json::json!({"file": "kitchen.json", "reject": "no_mapped_value",
                "message": "the message has no value at `/t`", "excerpt": "{}"}),
        ]
    );
}

#[test]
fn a_topic_that_was_left_out_is_missed_where_there_are_topics() {
    let mqtt = Trial::new(&config(CONFIG), "balcony").unwrap();
    assert!(mqtt.topic_note("").unwrap().contains("--topic"));
    assert_eq!(mqtt.topic_note("zigbee2mqtt/a1"), None);
    let pushed = CONFIG
        .replace(
            "kind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:1883\"",
            "kind = \"http\"",
        )
        .replace("topics = [\"zigbee2mqtt/{device}\"]\n", "")
        .replace("\"{device}\"", "{ pointer = \"/id\" }");
    let pushed = format!("[ingest_http]\nlisten = \"127.0.0.1:8081\"\n{pushed}");
    let pushed = Trial::new(&config(&pushed), "balcony").unwrap();
    assert_eq!(pushed.topic_note(""), None);
}

#[test]
fn a_source_of_files_takes_the_sensor_from_their_names_and_no_time_is_too_old() {
    let files = CONFIG
        .replace(
            "kind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:1883\"",
            "kind = \"files\"",
        )
        .replace(
            "topics = [\"zigbee2mqtt/{device}\"]",
            "files = [\"{device}.json\"]",
        )
        .replace(
            "licence",
            "time = { pointer = \"/ts\", format = \"unix\" }\nlicence",
        );
    let trial = Trial::new(&config(&files), "balcony").unwrap();
    let topic = trial.topic_of("history/2020/kitchen.json");
    assert_eq!(topic, "kitchen.json");
    let decoded = trial.decode(topic, &[], br#"{"ts": 1577836800, "t": 20}"#, RECEIVED_AT);
    assert_eq!((decoded.row_count(), decoded.rejects.len()), (1, 0));
    assert_eq!(trial.topic_of("kitchen.csv"), "");
    // A subscription's messages have no names.
    let subscribed = Trial::new(&config(CONFIG), "balcony").unwrap();
    assert_eq!(subscribed.topic_of("zigbee2mqtt/kitchen"), "");
}

#[test]
fn a_recording_that_is_too_old_is_told_how_to_be_tried() {
    let timed = CONFIG.replace(
        "licence",
        "time = { pointer = \"/ts\", format = \"unix\" }\nlicence",
    );
    let trial = Trial::new(&config(&timed), "balcony").unwrap();
    let note = |body: &str, received_at: Option<i64>| {
        let at = received_at.unwrap_or(RECEIVED_AT);
        let decoded = trial.decode("zigbee2mqtt/a1", &[], body.as_bytes(), at);
        window_note(&decoded, received_at)
    };
    let of_2020 = r#"[{"ts": 1577836800, "t": 20}, {"ts": 1780315200, "t": 21}]"#;
    assert!(note(of_2020, None).unwrap().contains("--received-at"));
    // Who says when it came knows.
    assert_eq!(note(of_2020, Some(RECEIVED_AT)), None);
    assert_eq!(note(r#"{"ts": 1780315200, "t": "x"}"#, None), None);
}

#[test]
fn hardware_ids_are_not_those_of_stored_rows() {
    let hidden = CONFIG.replace("licence", "hardware_id = true\nlicence");
    let trial = Trial::new(&config(&hidden), "balcony").unwrap();
    assert!(trial.note().unwrap().contains("a key for this test"));
    let error = Trial::new(&config(CONFIG), "garden").err().unwrap();
    assert_eq!(
        error.to_string(),
        "city.toml has no source `garden`; it has balcony"
    );
}

#[test]
fn headers_are_names_and_values() {
    let header = parse_header("X-Sensor = esp8266-1").unwrap();
    assert_eq!((&*header.0, &*header.1), ("x-sensor", "esp8266-1"));
    assert!(parse_header("X-Sensor").is_err());
}
