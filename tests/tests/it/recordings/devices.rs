//! Recordings of devices and of the servers that pass their messages on, sent as those send them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use meetnet_testkit::mosquitto::{Mosquitto, TUNED};
use meetnet_tests::daemon::Installation;
use meetnet_tests::publisher::{self, Message};
use meetnet_tests::{python, recordings};
use serde_json::{Value, json};

use super::{assert_hot_rows, assert_private, assert_rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ecowitt_forms_at_the_path_that_gateways_have_built_in() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    // Without a token: the gateways can send none.
    let source = "[[source]]\nid = \"roofs\"\nkind = \"http\"\nformat = \"ecowitt\"\nlicence = \"CC-BY-4.0\"\n\
                  time_window = { back = \"20000d\", ahead = \"1h\" }\n";
    let installation = Installation::new("", source).unwrap();
    let daemon = installation.start().await.unwrap();
    let folder = samples.join("ecowitt");
    let expected = python::run("stations.py", &[&folder]).unwrap();
    for form in expected["forms"].as_array().unwrap() {
        let form = form.as_str().unwrap();
        let answer = installation.report("/data/report/", form).await.unwrap();
        assert_eq!(answer, (200, String::new()), "{form}");
    }
    let query =
        "SELECT property, cast(time AS text), value FROM heat WHERE source = 'roofs' ORDER BY 1, 2";
    assert_hot_rows(&installation, query, &expected["rows"]).await;
    // All of them were made to have one PASSKEY, so they are one station.
    let stations = installation
        .cell("SELECT count(DISTINCT sensor_id) FROM heat")
        .await
        .unwrap();
    assert_eq!(stations, 1);
    daemon.stop().unwrap();
    assert_rows(
        &installation.sql_on_files(query).unwrap(),
        &expected["rows"],
        "committed rows",
    );
    let rejects = installation
        .sql_on_files("SELECT count(*) FROM rejects")
        .unwrap();
    assert_eq!(rejects[0][0], 0);
    assert_private(&installation).await;
}

/// Sensors of Tasmota devices, in the order in which the first with a value counts: as in `mqtt.py`.
const SENSORS: [&str; 8] = [
    "SI7021-02",
    "SI7021-00",
    "AM2301",
    "LYWSD02-a2fd09",
    "LYWSD03-52680f",
    "MPU6050",
    "SCD40",
    "DS18B20",
];

fn nodes(port: u16) -> String {
    let broker = format!(
        "kind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\nformat = \"json\"\nlenient = true\nlicence = \"CC0-1.0\"\n\
         sensor_id = \"{{device}}\"\ntime_window = {{ back = \"20000d\", ahead = \"1h\" }}\n"
    );
    let entry = |property: &str, pointer: &str, unit: &str| {
        format!(
            "{{ dataset = \"heat\", property = \"{property}\", pointer = \"{pointer}\", unit = \"{unit}\" }},\n"
        )
    };
    let of_tasmota: Vec<String> = SENSORS
        .iter()
        .flat_map(|sensor| {
            [
                entry("air_temperature", &format!("/{sensor}/Temperature"), "Cel"),
                entry("relative_humidity", &format!("/{sensor}/Humidity"), "%"),
            ]
        })
        .collect();
    let of_zigbee = [
        entry("air_temperature", "/temperature", "Cel"),
        entry("relative_humidity", "/humidity", "%"),
    ];
    // Zigbee devices that nobody has given a name are called by their hardware address.
    format!(
        "[[source]]\nid = \"tasmota\"\n{broker}topics = [\"tele/{{device}}/SENSOR\"]\n\
         time = {{ pointer = \"/Time\", format = \"rfc3339\", zone = \"Europe/Brussels\", doubled_hour = \"first\" }}\n\
         map = [\n{}]\n\n\
         [[source]]\nid = \"z2m\"\n{broker}hardware_id = true\ntopics = [\"zigbee2mqtt/{{device...}}\"]\nmap = [\n{}]\n\n\
         [[source]]\nid = \"esphome\"\n{broker}topics = [\"{{device}}/sensor/temperature/state\"]\nmap = [\n{}]\n",
        of_tasmota.concat(),
        of_zigbee.concat(),
        entry("air_temperature", "", "Cel"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasmota_zigbee2mqtt_and_esphome_over_mosquitto() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let installation = Installation::new("", &nodes(broker.port)).unwrap();
    let daemon = installation.start().await.unwrap();
    let folder = samples.join("generic_mqtt");
    let expected = python::run("mqtt.py", &[&folder]).unwrap();
    let recorded = expected["messages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let messages: Vec<Message> = recorded
        .iter()
        .map(|message| Message {
            topic: text(&message[0]),
            payload: text(&message[1]).into_bytes(),
        })
        .collect();
    let sent = messages.len();
    publisher::publish(broker.port, "nodes", messages, Duration::ZERO)
        .await
        .unwrap();
    let count = |name: &str| expected[name].as_array().unwrap().len();
    let rows = i64::try_from(count("tasmota") + count("others")).unwrap();
    installation
        .wait_for("SELECT count(*) FROM heat", rows)
        .await
        .unwrap();
    // What makes no row may still be on its way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    daemon.stop().unwrap();
    let tasmota = installation
        .sql_on_files(
            "SELECT sensor_id, property, cast(time AS text), value FROM heat WHERE source = 'tasmota' ORDER BY 1, 2, 3",
        )
        .unwrap();
    assert_rows(&tasmota, &expected["tasmota"], "Tasmota");
    let others = installation
        .sql_on_files(
            "SELECT source, property, value FROM heat WHERE source <> 'tasmota' ORDER BY 1, 2, 3",
        )
        .unwrap();
    assert_rows(&others, &expected["others"], "zigbee2mqtt and ESPHome");
    let leaks = installation
        .sql_on_files("SELECT count(*) FROM heat WHERE sensor_id LIKE '%00158d0001a2b3c4%'")
        .unwrap();
    assert_eq!(leaks[0][0], 0, "a hardware address stands in a row");
    let rejects = installation
        .sql_on_files("SELECT count(DISTINCT sequence) FROM rejects")
        .unwrap();
    assert_eq!(rejects[0][0], expected["rejected"]);
    assert_private(&installation).await;
    println!("{sent} messages, {rows} rows, rejects {rejects:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chirpstack_events_at_its_http_integration() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let source = "[[source]]\nid = \"lora\"\nkind = \"http\"\nformat = \"chirpstack-v4\"\n\
                  token = { env = \"MEETNET_TEST_TOKEN\" }\nlicence = \"CC-BY-4.0\"\n\
                  time_window = { back = \"20000d\", ahead = \"1h\" }\n\
                  map = [{ dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperatureSensor\" }]\n";
    let installation = Installation::new("", source).unwrap();
    let daemon = installation.start().await.unwrap();
    let text = fs::read_to_string(data.join("lorawan/thingsboard_ChirpStack.jsonl")).unwrap();
    let (mut found, mut expected) = (BTreeMap::new(), BTreeMap::new());
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    for line in text.lines() {
        let recording: Value = serde_json::from_str(line).unwrap();
        let payload = &recording["payload"];
        let (event, status, is_reject) = match payload["objectJSON"].as_str() {
            Some(object) => {
                let object: Value = serde_json::from_str(object).unwrap();
                // The shape of v3, whose time is that of the first gateway.
                let key = format!("{} {}", payload["devEUI"], payload["rxInfo"][0]["time"]);
                values.insert(key, object["temperatureSensor"].as_f64().unwrap());
                ("up", 204, false)
            }
            // Kept, and said to be no row: a failure would make senders of this kind give up.
            None if payload.get("data").is_some() => ("up", 200, true),
            None => ("status", 204, false),
        };
        *expected.entry((status, is_reject)).or_insert(0_usize) += 1;
        let answer = installation
            .push(
                &format!("lora?event={event}"),
                payload.to_string().into_bytes(),
                &[],
            )
            .await
            .unwrap();
        let said: Option<Value> = serde_json::from_str(&answer.1).ok();
        let is_reject = said.is_some_and(|said| said["rejected"] == 1);
        *found.entry((answer.0, is_reject)).or_insert(0_usize) += 1;
    }
    assert_eq!(found, expected);
    assert_eq!(
        expected,
        BTreeMap::from([((200, true), 276), ((204, false), 113)])
    );
    let rows = installation
        .sql("SELECT count(*), sum(value) FROM heat")
        .await
        .unwrap();
    let sum: f64 = values.values().sum();
    assert_rows(&rows, &json!([[values.len(), sum]]), "uplinks with a codec");
    daemon.stop().unwrap();
    let rejects = installation
        .sql_on_files("SELECT reason, count(*) FROM rejects GROUP BY 1")
        .unwrap();
    assert_eq!(rejects, [[json!("no_decoded_payload"), json!(276)]]);
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_to_weather_underground_at_its_paths() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    // Of whatever station, with whatever password.
    let source = "[[source]]\nid = \"roofs\"\nkind = \"http\"\nformat = \"wunderground\"\nlicence = \"CC-BY-4.0\"\n\
                  time_window = { back = \"20000d\", ahead = \"1h\" }\n";
    let installation = Installation::new("", source).unwrap();
    let daemon = installation.start().await.unwrap();
    let expected = python::run("uploads.py", &[&samples.join("wunderground")]).unwrap();
    let requests = expected["requests"].as_array().unwrap();
    assert!(requests.len() >= 11, "{} requests", requests.len());
    for request in requests {
        let request = request.as_str().unwrap();
        let answer = installation.upload(request).await.unwrap();
        assert_eq!(answer, (200, "success\n".to_owned()), "{request}");
    }
    // Those with `dateutc=now` have the time at which they came.
    let of = |select: &str, years: &str| {
        let from = |dataset: &str| {
            format!("SELECT {select} FROM {dataset} WHERE date_part('year', time) {years}")
        };
        format!("{} UNION ALL {} ORDER BY 1, 2", from("heat"), from("air"))
    };
    let timed = of("property, cast(time AS text), value", "< 2020");
    let untimed = of("property, value", ">= 2020");
    assert_hot_rows(&installation, &timed, &expected["timed"]).await;
    daemon.stop().unwrap();
    for (query, rows) in [(timed, "timed"), (untimed, "untimed")] {
        let committed = installation.sql_on_files(&query).unwrap();
        assert_rows(&committed, &expected[rows], rows);
    }
    let rejects = installation
        .sql_on_files("SELECT count(*) FROM rejects")
        .unwrap();
    assert_eq!(rejects[0][0], 0);
    let leaks = installation
        .sql_on_files("SELECT count(*) FROM heat WHERE sensor_id LIKE '%24C86E06B15C%'")
        .unwrap();
    assert_eq!(
        leaks[0][0], 0,
        "the hardware address of a bridge stands in a row"
    );
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uplinks_of_both_network_servers_at_their_webhooks() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    let source = |id: &str, format: &str, map: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\nkind = \"http\"\nformat = \"{format}\"\nlicence = \"CC-BY-4.0\"\n\
             token = {{ env = \"MEETNET_TEST_TOKEN\" }}\n\
             time_window = {{ back = \"20000d\", ahead = \"1h\" }}\nmap = [\n{map}]\n\n"
        )
    };
    let entry = |property: &str, pointer: &str| {
        format!("{{ dataset = \"heat\", property = \"{property}\", pointer = \"{pointer}\" }},\n")
    };
    let of_cayenne = [
        entry("air_temperature", "/temperature_1"),
        entry("air_pressure", "/barometric_pressure_1"),
        entry("relative_humidity", "/relative_humidity_1"),
    ];
    let sources = source("tts", "tts-v3", &of_cayenne.concat())
        + &source(
            "chirpstack",
            "chirpstack-v4",
            &entry("air_temperature", "/temperature"),
        );
    let installation = Installation::new("", &sources).unwrap();
    let daemon = installation.start().await.unwrap();
    let expected = python::run("uplinks.py", &[&samples.join("lorawan")]).unwrap();
    for uplink in expected["uplinks"].as_array().unwrap() {
        let text = |at: usize| uplink[at].as_str().unwrap();
        let body = text(1).as_bytes().to_vec();
        let (status, said) = installation.push(text(0), body, &[]).await.unwrap();
        // Kept, and said to be no row: a failure would make network servers give up.
        let is_row = uplink[2].as_bool().unwrap();
        assert_eq!(status, if is_row { 204 } else { 200 }, "{said}");
        assert!(is_row || said.contains("no_decoded_payload"), "{said}");
    }
    let query = "SELECT property, cast(time AS text), value FROM heat ORDER BY 1, 2";
    assert_hot_rows(&installation, query, &expected["rows"]).await;
    daemon.stop().unwrap();
    assert_rows(
        &installation.sql_on_files(query).unwrap(),
        &expected["rows"],
        "committed rows",
    );
    let rejects = installation
        .sql_on_files("SELECT reason, count(*) FROM rejects GROUP BY 1")
        .unwrap();
    assert_rows(
        &rejects,
        &json!([["no_decoded_payload", expected["undecoded"]]]),
        "rejects",
    );
    assert_private(&installation).await;
}
