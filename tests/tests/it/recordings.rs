//! Real recordings in, SQL out: counts, sums, bounds and nulls equal those that an independent reader computes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use meetnet_testkit::mosquitto::{Mosquitto, TUNED};
use meetnet_tests::daemon::Installation;
use meetnet_tests::publisher::{self, Message};
use meetnet_tests::{python, recordings};
use serde_json::{Value, json};

mod devices;
mod standards;

/// Files of a folder with an ending, by name.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

/// Compares cells: numbers to a relative 1e-9 (sums are added in another order), the rest exactly.
fn assert_same(got: &Value, expected: &Value, what: &str) {
    match (got.as_f64(), expected.as_f64()) {
        (Some(a), Some(b)) => {
            assert!(
                (a - b).abs() <= 1e-9 * b.abs().max(1.0),
                "{what}: {a}, expected {b}"
            );
        }
        _ => assert_eq!(got, expected, "{what}"),
    }
}

/// Compares with the answer to a query, once it has as many rows: what is acknowledged is in the answers a moment later.
async fn assert_hot_rows(installation: &Installation, query: &str, expected: &Value) {
    let count = expected.as_array().unwrap().len();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut got = installation.sql(query).await.unwrap();
    while got.len() < count && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        got = installation.sql(query).await.unwrap();
    }
    assert_rows(&got, expected, "hot rows");
}

fn assert_rows(got: &[Vec<Value>], expected: &Value, what: &str) {
    let expected = expected.as_array().unwrap();
    assert_eq!(
        got.len(),
        expected.len(),
        "{what}: {got:?}\nexpected {expected:?}"
    );
    for (got, expected) in got.iter().zip(expected) {
        let expected = expected.as_array().unwrap();
        assert_eq!(got.len(), expected.len(), "{what}");
        for (column, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert_same(got, expected, &format!("{what}, column {column}"));
        }
    }
}

/// Answers, tables, rejects, table logs and the log of the daemon hold no personal data, whatever was recorded. No daemon runs.
async fn assert_private(installation: &Installation) {
    let daemon = installation.start().await.unwrap();
    let url = format!("http://{}", installation.http());
    let said = installation
        .succeed_alone(&["privacy", "scan", "--url", &url])
        .unwrap();
    daemon.stop().unwrap();
    assert!(said.contains("no personal data"), "{said}");
    // Pages, and of each of the fifteen public datasets two at least.
    let answers = said.split(" and ").nth(1).unwrap_or_default();
    let answers: u64 = answers.split(' ').next().unwrap().parse().unwrap();
    assert!(answers > 30, "{said}");
    let log = installation.folder().join("meetnet.log");
    let said = installation
        .succeed(&["privacy", "scan", &log.to_string_lossy()])
        .unwrap();
    assert!(said.contains("no personal data"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telraam_karlsruhe_over_http() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let folder = data.join("telraam/karlsruhe");
    let source = "[[source]]\nid = \"telraam\"\nkind = \"http\"\nformat = \"telraam\"\n\
                  token = { env = \"MEETNET_TEST_TOKEN\" }\nlicence = \"CC-BY-NC-4.0\"\n\
                  time_window = { back = \"20000d\", ahead = \"1h\" }\n";
    let installation = Installation::new("", source).unwrap();
    let daemon = installation.start().await.unwrap();
    for path in files(&folder, ".json") {
        let answer = installation
            .push("telraam", fs::read(&path).unwrap(), &[])
            .await
            .unwrap();
        assert_eq!(answer, (204, String::new()), "{}", path.display());
    }
    let expected = python::run("telraam.py", &[&folder]).unwrap();
    let columns = expected["columns"].as_array().unwrap();
    let cells: Vec<String> = columns
        .iter()
        .map(|name| name.as_str().unwrap())
        .map(|name| format!("count({name}), sum({name}), min({name}), max({name})"))
        .collect();
    let query = format!(
        "SELECT segment_id, interval_s, count(*), cast(min(time) AS text), cast(max(time) AS text), \
         sum(CASE WHEN quality = 9 THEN 1 ELSE 0 END), sum(CASE WHEN quality = 3 THEN 1 ELSE 0 END), \
         count(speed_hist), count(speed_hist_fine), {} FROM traffic GROUP BY 1, 2 ORDER BY 1, 2",
        cells.join(", ")
    );
    assert_hot_rows(&installation, &query, &expected["segments"]).await;
    // The same bodies again change nothing.
    let again = files(&folder, ".json")[0].clone();
    assert_eq!(
        installation
            .push("telraam", fs::read(again).unwrap(), &[])
            .await
            .unwrap()
            .0,
        204
    );
    assert_eq!(
        installation
            .cell("SELECT max(revision) FROM traffic")
            .await
            .unwrap(),
        0
    );
    daemon.stop().unwrap();
    let committed = installation.sql_on_files(&query).unwrap();
    assert_rows(&committed, &expected["segments"], "committed rows");
    let rejects = installation
        .sql_on_files("SELECT count(*) FROM rejects")
        .unwrap();
    assert_eq!(rejects[0][0], 0);
    // A restart answers from the files alone, and a revised value replaces the stored one.
    let daemon = installation.start().await.unwrap();
    assert_rows(
        &installation.sql(&query).await.unwrap(),
        &expected["segments"],
        "after a restart",
    );
    daemon.stop().unwrap();
    assert_private(&installation).await;
}

fn archive_source(port: u16) -> String {
    format!(
        "[[source]]\nid = \"archive\"\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         topics = [\"archive/{{sensor}}\"]\nformat = \"json\"\nnamespace = \"sc\"\nsensor_id = \"{{sensor}}\"\n\
         time = {{ pointer = \"/timestamp\", format = \"rfc3339\", zone = \"UTC\" }}\n\
         time_window = {{ back = \"20000d\", ahead = \"1h\" }}\nlicence = \"ODbL-1.0\"\n\
         map = [\n{{ dataset = \"air\", property = \"pm10\", pointer = \"/P1\", unit = \"ug/m3\" }},\n\
         {{ dataset = \"air\", property = \"pm2_5\", pointer = \"/P2\", unit = \"ug/m3\" }},\n]\n\n"
    )
}

/// One message per line of an archive file, as a bridge would send it: a field per column, texts as they stand.
fn archive_messages(folder: &Path) -> Vec<Message> {
    let mut messages = Vec::new();
    for path in files(folder, ".csv") {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(';').collect();
        for line in lines.filter(|line| !line.is_empty()) {
            let fields: serde_json::Map<String, Value> = header
                .iter()
                .zip(line.split(';'))
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            let topic = format!("archive/{}", fields["sensor_id"].as_str().unwrap());
            messages.push(Message {
                topic,
                payload: Value::Object(fields).to_string().into_bytes(),
            });
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sensor_community_archive_over_mosquitto() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let folder = data.join("sensor_community/archive_csv");
    let installation =
        Installation::new("commit_age_max = \"1s\"", &archive_source(broker.port)).unwrap();
    let daemon = installation.start().await.unwrap();
    let messages = archive_messages(&folder);
    let sent = messages.len();
    publisher::publish(broker.port, "bridge", messages, Duration::ZERO)
        .await
        .unwrap();
    let expected = python::run("sensor_community.py", &[&folder]).unwrap();
    let rows = expected["rows"].as_i64().unwrap();
    installation
        .wait_for("SELECT count(*) FROM air", rows)
        .await
        .unwrap();
    let query = "SELECT sensor_id, property, count(*), sum(value), min(value), max(value), \
                 cast(min(time) AS text), cast(max(time) AS text), count(DISTINCT licence) \
                 FROM air GROUP BY 1, 2 ORDER BY 1, 2";
    let expected_rows = &expected["sensors"];
    // The last messages may still be on their way: they change sums, not the count, where a key came twice.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_rows(
        &installation.sql(query).await.unwrap(),
        expected_rows,
        "while running",
    );
    daemon.stop().unwrap();
    assert_rows(
        &installation.sql_on_files(query).unwrap(),
        expected_rows,
        "committed",
    );
    let rejects = installation
        .sql_on_files("SELECT reason, count(*) FROM rejects GROUP BY 1 ORDER BY 1")
        .unwrap();
    assert_rows(&rejects, &expected["rejects"], "rejects");
    assert_private(&installation).await;
    println!("{sent} messages, {rows} rows, rejects {rejects:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn things_stack_uplinks_without_codec_are_explained_rejects() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let port = broker.port;
    let source = format!(
        "[[source]]\nid = \"lora\"\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         topics = [\"v3/+/devices/+/up\"]\nformat = \"tts-v3\"\nlicence = \"CC-BY-4.0\"\n\
         time_window = {{ back = \"20000d\", ahead = \"1h\" }}\n\
         map = [{{ dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperature\", unit = \"Cel\" }}]\n"
    );
    let installation = Installation::new("", &source).unwrap();
    let daemon = installation.start().await.unwrap();
    let text =
        fs::read_to_string(data.join("lorawan/thingsboard_ThingsStackCommunity.jsonl")).unwrap();
    let messages: Vec<Message> = text
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let recording: Value = serde_json::from_str(line).unwrap();
            Message {
                topic: format!("v3/leuven/devices/device-{index}/up"),
                payload: recording["payload"].to_string().into_bytes(),
            }
        })
        .collect();
    let sent = messages.len();
    publisher::publish(port, "bridge", messages, Duration::ZERO)
        .await
        .unwrap();
    // An uplink with a codec, by hand, shows that the good ones come through beside them.
    let good = json!({
        "end_device_ids": { "device_id": "garden", "dev_eui": "0004A30B001C0530" },
        "received_at": "2026-01-02T03:04:05.123456789Z",
        "uplink_message": {
            "received_at": "2026-01-02T03:04:05.023456789Z",
            "decoded_payload": { "temperature": 21.5 },
        },
    });
    let message = Message {
        topic: "v3/leuven/devices/garden/up".to_owned(),
        payload: good.to_string().into(),
    };
    publisher::publish(port, "bridge", vec![message], Duration::ZERO)
        .await
        .unwrap();
    installation
        .wait_for("SELECT count(*) FROM heat", 1)
        .await
        .unwrap();
    daemon.stop().unwrap();
    let rejects = installation
        .sql_on_files("SELECT reason, count(*), count(DISTINCT sequence) FROM rejects GROUP BY 1")
        .unwrap();
    assert_eq!(
        rejects,
        [[json!("no_decoded_payload"), json!(sent), json!(sent)]]
    );
    let explained = installation
        .sql_on_files("SELECT count(*) FROM rejects WHERE message LIKE '%codec%' OR message LIKE '%formatter%'")
        .unwrap();
    assert_eq!(explained[0][0], sent);
    let leaks = installation
        .sql_on_files("SELECT count(*) FROM rejects WHERE excerpt LIKE '%1000000000000001%'")
        .unwrap();
    assert_eq!(leaks[0][0], 0, "a DevEUI stands in an excerpt");
    let heat = installation
        .sql_on_files("SELECT sensor_id, value FROM heat")
        .unwrap();
    assert_eq!(heat[0][1], 21.5);
    assert!(
        !heat[0][0]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("0004a30b001c0530"),
        "{heat:?}"
    );
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn airrohr_sample_over_http() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    let source = "[[source]]\nid = \"airrohr\"\nkind = \"http\"\nformat = \"airrohr\"\n\
                  token = { env = \"MEETNET_TEST_TOKEN\" }\nlicence = \"ODbL-1.0\"\n";
    let installation = Installation::new("", source).unwrap();
    let daemon = installation.start().await.unwrap();
    let body = fs::read(samples.join("sensor_community/airrohr_push_real.json")).unwrap();
    let sent: Value = serde_json::from_slice(&body).unwrap();
    let sensor = [("x-sensor", "esp8266-1234567")];
    let answer = installation.push("airrohr", body, &sensor).await.unwrap();
    assert_eq!(answer.0, 204, "{answer:?}");
    let value = |name: &str| -> f64 {
        let values = sent["sensordatavalues"].as_array().unwrap();
        let entry = values
            .iter()
            .find(|entry| entry["value_type"] == name)
            .unwrap();
        entry["value"].as_str().unwrap().parse().unwrap()
    };
    let rows = installation
        .sql(
            "SELECT property, value, sensor_id FROM air UNION ALL SELECT property, value, sensor_id FROM heat \
             ORDER BY property",
        )
        .await
        .unwrap();
    let got: Vec<(&str, f64)> = rows
        .iter()
        .map(|row| (row[0].as_str().unwrap(), row[1].as_f64().unwrap()))
        .collect();
    let expected = [
        ("air_pressure", value("BMP_pressure") / 100.0),
        ("air_temperature", value("BMP_temperature")),
        ("pm10", value("SDS_P1")),
        ("pm2_5", value("SDS_P2")),
    ];
    assert_eq!(got, expected);
    assert!(
        rows.iter()
            .all(|row| !row[2].as_str().unwrap().contains("1234567")),
        "{rows:?}"
    );
    let broken =
        fs::read(samples.join("sensor_community/invalid_json_random_tail_issue154.json.txt"))
            .unwrap();
    let answer = installation.push("airrohr", broken, &sensor).await.unwrap();
    assert_eq!(answer.0, 400, "{answer:?}");
    daemon.stop().unwrap();
    let rejects = installation
        .sql_on_files("SELECT reason, count(*) FROM rejects GROUP BY 1")
        .unwrap();
    assert_eq!(rejects, [[json!("malformed"), json!(1)]]);
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opensensemap_download_by_import() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let source = "[[source]]\nid = \"berlin\"\nkind = \"http\"\nformat = \"csv\"\n\
                  token = { env = \"MEETNET_TEST_TOKEN\" }\nlicence = \"PDDL-1.0\"\n\
                  sensor_id = { field = \"sensorId\" }\n\
                  time = { field = \"createdAt\", format = \"rfc3339\", zone = \"UTC\" }\n\
                  map = [{ dataset = \"air\", property = \"pm2_5\", field = \"value\", unit = \"ug/m3\" }]\n";
    let installation = Installation::new("", source).unwrap();
    let path = data.join("opensensemap/pm25_berlin.csv.gz");
    let file = path.to_string_lossy();
    let import: [&str; 5] = ["import", "csv", &file, "--source", "berlin"];
    installation.succeed(&import).unwrap();
    let expected = python::run("opensensemap.py", &[&path]).unwrap();
    let query = "SELECT sensor_id, count(*), sum(value), min(value), max(value), \
                 cast(min(time) AS text), cast(max(time) AS text) FROM air GROUP BY 1 ORDER BY 1";
    let imported = installation.sql_on_files(query).unwrap();
    assert_rows(&imported, &expected["sensors"], "imported");
    // Once more changes nothing.
    installation.succeed(&import).unwrap();
    let again = installation.sql_on_files(query).unwrap();
    assert_rows(&again, &expected["sensors"], "imported again");
    let revised = installation
        .sql_on_files("SELECT count(*) FROM air WHERE revision > 0")
        .unwrap();
    assert_eq!(revised[0][0], 0);
    println!("{} rows", expected["rows"]);
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leuven_cool_stations_by_their_registry() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let source = "[[source]]\nid = \"leuven-cool\"\nkind = \"http\"\nformat = \"wunderground\"\n\
                  token = { env = \"MEETNET_TEST_TOKEN\" }\nlicence = \"CC-BY-NC-4.0\"\nregistry = \"devices.csv\"\n";
    let installation = Installation::new("", source).unwrap();
    let text = fs::read_to_string(data.join("leuven/leuven_cool_01_Metadata_v2.csv")).unwrap();
    // Id, latitude and longitude stand first; only ids are quoted among them.
    let stations: Vec<(&str, f64, f64)> = text
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let degrees = |at: usize| cells[at].parse::<f64>().unwrap();
            (cells[0].trim_matches('"'), degrees(1), degrees(2))
        })
        .collect();
    let lines: Vec<String> = stations
        .iter()
        .map(|(id, latitude, longitude)| format!("{id},{latitude},{longitude}"))
        .collect();
    let registry = format!("id,latitude,longitude\n{}\n", lines.join("\n"));
    fs::write(installation.folder().join("devices.csv"), registry).unwrap();
    let daemon = installation.start().await.unwrap();
    installation
        .wait_for("SELECT count(*) FROM stations", 117)
        .await
        .unwrap();
    let rows = installation
        .sql("SELECT id, lat, lon, licence FROM stations ORDER BY id")
        .await
        .unwrap();
    assert_eq!(rows.len(), stations.len());
    for ((id, latitude, longitude), row) in stations.iter().zip(&rows) {
        assert_eq!(row[0], format!("leuven-cool-{id}"));
        let (lat, lon) = (row[1].as_f64().unwrap(), row[2].as_f64().unwrap());
        // Published on a grid of 0.001° by 0.0015°.
        assert!(
            (lat - latitude).abs() <= 0.000_501 && (lon - longitude).abs() <= 0.000_751,
            "{id}: {lat}, {lon}"
        );
        assert_eq!(row[3], "CC-BY-NC-4.0");
    }
    daemon.stop().unwrap();
    assert_private(&installation).await;
}

/// What no test above sends: it is read or refused as it is, and nothing of it gets out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_of_other_recordings_gets_out() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let source = |id: &str, format: &str, licence: &str, more: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\nkind = \"http\"\nformat = \"{format}\"\n\
             token = {{ env = \"MEETNET_TEST_TOKEN\" }}\nlicence = \"{licence}\"\n\
             time_window = {{ back = \"20000d\", ahead = \"1h\" }}\n{more}\n"
        )
    };
    let map = "map = [{ dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperature\", unit = \"Cel\" }]";
    let sources = [
        source("lora", "chirpstack-v4", "CC-BY-4.0", map),
        source("streets", "telraam", "CC-BY-NC-4.0", ""),
    ];
    let installation = Installation::new("", &sources.concat()).unwrap();
    let daemon = installation.start().await.unwrap();
    let read = |name: &str| fs::read(data.join(name)).unwrap();
    let uplinks = String::from_utf8(read("lorawan/thingsboard_ChirpStack.jsonl")).unwrap();
    let uplinks = uplinks.lines().map(|line| {
        let recording: Value = serde_json::from_str(line).unwrap();
        ("lora", recording["payload"].to_string().into_bytes())
    });
    let streets = read("telraam/leuven_segments_snapshot_2023-12-09.geojson");
    let bodies = uplinks.chain([("streets", streets)]);
    let mut sent = 0;
    for (source, body) in bodies {
        let (status, said) = installation.push(source, body, &[]).await.unwrap();
        // Taken or refused: not put off.
        assert!(status < 429, "{source}: {status} {said}");
        sent += 1;
    }
    daemon.stop().unwrap();
    println!("{sent} messages");
    assert!(sent > 2);
    let rejects = installation
        .sql_on_files("SELECT count(*) FROM rejects")
        .unwrap();
    assert!(rejects[0][0].as_u64().unwrap() > 0, "{rejects:?}");
    assert_private(&installation).await;
}
