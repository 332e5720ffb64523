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
        let tried = trial.decode("zigbee2mqtt/a1", &[], body.as_bytes(), RECEIVED_AT);
        answer.add("kitchen.json", &tried);
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
fn what_is_ignored_by_kind_is_told_and_so_is_a_message_with_nothing_in_it() {
    let lorawan = CONFIG
        .replace("format = \"json\"", "format = \"chirpstack-v4\"")
        .replace("sensor_id = \"{device}\"\n", "");
    let trial = Trial::new(&config(&lorawan), "balcony").unwrap();
    let join = r#"{"deviceInfo": {"devEui": "24e124128c010203"}, "time": "2026-06-01T12:00:00Z", "devAddr": "0189"}"#;
    let answer = |format: AnswerFormat, body: &str| {
        let mut answer = Answer::new(format);
        let tried = trial.decode("zigbee2mqtt/a1", &[], body.as_bytes(), RECEIVED_AT);
        answer.add("a1.json", &tried);
        answer.finish()
    };
    assert_eq!(
        answer(AnswerFormat::Table, join),
        "a1.json\n  \
           ignored: a kind of message without an observation (a join, a status): neither rows nor rejects\n\
         \n\
         1 message: 0 rows, 0 rejects, 1 ignored by kind; nothing was stored"
    );
    let json: serde_json::Value = serde_json::from_str(&answer(AnswerFormat::Json, join)).unwrap();
    assert_eq!(json["ignored"], 1);
    assert_eq!(json["file"], "a1.json");

    let telraam = CONFIG
        .replace("format = \"json\"", "format = \"telraam\"")
        .replace("CC0-1.0", "CC-BY-NC-4.0");
    let telraam: Vec<&str> = telraam
        .lines()
        .filter(|line| !line.starts_with("sensor_id") && !line.starts_with("map"))
        .collect();
    let trial = Trial::new(&config(&telraam.join("\n")), "balcony").unwrap();
    let mut answer = Answer::new(AnswerFormat::Table);
    answer.add(
        "n.json",
        &trial.decode("zigbee2mqtt/a1", &[], br#"{"report": []}"#, RECEIVED_AT),
    );
    let expect = "n.json\n  nothing is in it\n\n1 message: 0 rows, 0 rejects; nothing was stored";
    assert_eq!(answer.finish(), expect);
}

#[test]
fn rows_that_replace_others_and_entries_without_a_value_are_told() {
    let two = CONFIG.replace(
        "map = [",
        "map = [{ dataset = \"heat\", property = \"relative_humidity\", pointer = \"/h\", unit = \"%\" }, ",
    );
    let trial = Trial::new(&config(&two), "balcony").unwrap();
    let notes = |bodies: &[&str]| {
        let mut answer = Answer::new(AnswerFormat::Table);
        for body in bodies {
            let tried = trial.decode("zigbee2mqtt/a1", &[], body.as_bytes(), RECEIVED_AT);
            answer.add("a.json", &tried);
        }
        (answer.replaced_note(), trial.missing_note(&answer))
    };
    assert_eq!(notes(&[r#"{"t": 21.5, "h": 40}"#]), (None, None));
    let (replaced, missing) = notes(&[r#"{"t": 21.5}"#, r#"{"t": 22.5}"#]);
    assert!(replaced.unwrap().ends_with("1 of 2 rows left"));
    assert!(
        missing
            .unwrap()
            .starts_with("no message had a value that became relative_humidity: ")
    );
    // Rejects say it themselves.
    assert_eq!(notes(&[r#"{"x": 1}"#]), (None, None));
}

#[test]
fn rejects_that_are_not_listed_are_counted() {
    let many = format!("[{}]", vec![r#"{"t": "x"}"#; 1_005].join(","));
    let shown = answer(AnswerFormat::Table, &[&many]);
    assert!(
        shown.contains("\n  rejected: 5 more, counted and not listed\n"),
        "{shown}"
    );
    let end = "1 message: 0 rows, 1005 rejects; nothing was stored";
    assert!(shown.ends_with(end), "{shown}");
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
    let tried = trial.decode(topic, &[], br#"{"ts": 1577836800, "t": 20}"#, RECEIVED_AT);
    let decoded = tried.decoded;
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
        let tried = trial.decode("zigbee2mqtt/a1", &[], body.as_bytes(), at);
        window_note(&tried.decoded, received_at)
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

/// What is proposed for a message and a configuration, and that with the proposal at its end.
fn proposed(text: &str, sample: &str, topic: Option<&str>) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.toml");
    std::fs::write(&file, text).unwrap();
    let environment = Environment::default();
    let samples = [sample.as_bytes()];
    let added = learn::propose_for(&samples, topic, &file, &environment).unwrap();
    let whole = format!("{text}{added}");
    (added, whole)
}

#[test]
fn a_proposal_fits_the_configuration_that_it_is_added_to() {
    // Configuration, message, topic, and what the proposal says; it can be taken as it is.
    let check = |text: &str, sample: &str, topic: Option<&str>, says: &[&str]| {
        let (added, whole) = proposed(text, sample, topic);
        for says in says {
            assert!(added.contains(says), "no {says} in\n{added}");
        }
        assert!(!added.contains("asks for more"), "{added}");
        let sources = config(&whole).sources.len();
        assert_eq!(sources, config(text).sources.len() + 1, "{added}");
        whole
    };
    let shed = r#"{"temperature": 21.5, "humidity": 44}"#;
    let once = check(
        CONFIG,
        shed,
        Some("garden/shed"),
        &[
            "id = \"new-source\"",
            "url = \"mqtt://127.0.0.1:1883\"  # as source `balcony` has it",
            "meetnet source test new-source FILE… --config /",
        ],
    );
    // Twice: the id is another one, and somebody has the topic.
    let twice = check(
        &once,
        shed,
        Some("garden/shed"),
        &[
            "id = \"new-source-2\"",
            "# Source `new-source` takes this topic already (`garden/{device}`)",
        ],
    );
    check(
        &twice,
        shed,
        None,
        &["id = \"new-source-3\"", "/ingest/v1/new-source-3;"],
    );
    // The last line of the file need not have an end, and a prefix of sensor ids is taken like an id.
    let named = CONFIG.replace("licence", "namespace = \"new-source\"\nlicence");
    check(
        named.trim_end(),
        shed,
        None,
        &[
            "id = \"new-source-2\"",
            "[ingest_http]\nlisten = \"127.0.0.1:8081\"",
        ],
    );
    let taken = format!("[http]\nlisten = \"127.0.0.1:8081\"\n{CONFIG}");
    let says = ["[ingest_http]\nlisten = \"127.0.0.1:8082\""];
    check(&taken, shed, None, &says);
    let open = format!("[ingest_http]\nlisten = \"0.0.0.0:8081\"\n{CONFIG}");
    check(
        &open,
        shed,
        None,
        &["token = { env = \"NEW_SOURCE_TOKEN\" }"],
    );
    check(&open, shed, Some("garden/shed"), &["kind = \"mqtt\""]);
    // What a dataset promises of its licence holds for the new source as well.
    let free = format!("[[dataset]]\nid = \"heat\"\nlicence = \"CC0-1.0\"\n{CONFIG}");
    let says = ["licence = \"CC0-1.0\"  # dataset `heat` is published under it: "];
    check(&free, shed, None, &says);
}

#[test]
fn a_proposal_names_datasets_and_properties_of_the_city() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let water = include_str!("../../../../schemas/noise.toml");
    let water = water.replacen("id = \"noise\"", "id = \"water\"", 1);
    write("water.toml", &water);
    write(
        "properties.toml",
        "[[property]]\nname = \"water_temperature\"\ndataset = \"water\"\nunit = \"Cel\"\n\
         iri = \"http://vocab.nerc.ac.uk/standard_name/water_temperature/\"\nrange = [-2, 40]\n\
         title = { nl = \"Watertemperatuur\", en = \"Water temperature\", fr = \"Température de l'eau\" }\n",
    );
    let text = format!("[schemas]\ndir = \"{}\"\n", folder.path().display());
    let sample = r#"{"id": "dyle", "water_temperature": 12.5}"#;
    let (added, whole) = proposed(&text, sample, None);
    let entry = "{ dataset = \"water\", property = \"water_temperature\", pointer = \"/water_temperature\", unit = \"Cel\" }";
    assert!(added.contains(entry), "{added}");
    assert_eq!(config(&whole).sources.len(), 1);
    // Without it there is none such.
    let samples = [sample.as_bytes()];
    let proposal = learn::propose(&samples, None).unwrap();
    assert!(!proposal.contains("\"water\""), "{proposal}");
}

#[test]
fn a_proposal_says_what_is_missing_for_its_configuration() {
    let (added, whole) = proposed(CONFIG, r#"{"id": "a", "colour": "red"}"#, None);
    let (_, more) = added
        .split_once("# `meetnet config check` asks for more:\n#   ")
        .expect("nothing is mapped");
    assert!(more.contains("city.toml:"), "{more}");
    let problems = Config::parse(Path::new("city.toml"), &whole, &Environment::default());
    assert!(problems.is_err());
    // What is wrong already is said instead.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.toml");
    std::fs::write(&file, "[lke]\n").unwrap();
    let samples = [b"{}".as_slice()];
    let wrong = learn::propose_for(&samples, None, &file, &Environment::default());
    let wrong = format!("{:#}", wrong.unwrap_err().error());
    assert!(wrong.contains("unknown section `lke`"), "{wrong}");
}
