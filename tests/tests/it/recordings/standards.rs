//! Recordings and published examples of standards, sent as their clients and brokers send them.

use meetnet_tests::daemon::{Installation, TOKEN};
use meetnet_tests::{python, recordings};
use serde_json::{Value, json};

use super::{assert_hot_rows, assert_private, assert_rows};

/// A source at the push endpoint that takes times of any year.
fn source(id: &str, format: &str, more: &str) -> String {
    format!(
        "[[source]]\nid = \"{id}\"\nkind = \"http\"\nformat = \"{format}\"\nlicence = \"CC-BY-4.0\"\n\
         token = {{ env = \"MEETNET_TEST_TOKEN\" }}\n\
         time_window = {{ back = \"20000d\", ahead = \"1h\" }}\n{more}\n\n"
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The rejects by reason.
fn rejects(installation: &Installation) -> Vec<Vec<Value>> {
    installation
        .sql_on_files("SELECT reason, count(*) FROM rejects GROUP BY 1 ORDER BY 1")
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngsi_notifications_of_both_generations() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    // The published examples have no zone.
    let zone = "time = { field = \"dateObserved\", format = \"rfc3339\", zone = \"UTC\" }";
    let installation = Installation::new("", &source("orion", "ngsi", zone)).unwrap();
    let daemon = installation.start().await.unwrap();
    let expected = &python::run("standards.py", &[&samples]).unwrap()["fiware"];
    let notifications = expected["notifications"].as_array().unwrap();
    assert_eq!(notifications.len(), 16);
    for notification in notifications {
        let body = text(&notification[1]);
        let form = notification[0].as_str();
        let headers: Vec<_> = form
            .map(|form| ("ngsiv2-attrsformat", form))
            .into_iter()
            .collect();
        let (status, said) = installation
            .push("orion", body.as_bytes().to_vec(), &headers)
            .await
            .unwrap();
        // A broker counts anything but success as a failure of the subscription.
        let is_reject = notification[2].as_bool().unwrap();
        assert_eq!(status, if is_reject { 200 } else { 204 }, "{body}: {said}");
    }
    let query = "SELECT sensor_id, property, cast(time AS text), value FROM heat UNION ALL \
                 SELECT sensor_id, property, cast(time AS text), value FROM air ORDER BY 1, 2, 3";
    assert_hot_rows(&installation, query, &expected["rows"]).await;
    daemon.stop().unwrap();
    assert_rows(
        &installation.sql_on_files(query).unwrap(),
        &expected["rows"],
        "committed rows",
    );
    assert_rows(&rejects(&installation), &expected["rejects"], "rejects");
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senml_packs_resolve_as_the_standard_says() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    let map = "map = [{ dataset = \"heat\", property = \"air_temperature\", field = \"\" }]";
    let installation = Installation::new("", &source("packs", "senml", map)).unwrap();
    let daemon = installation.start().await.unwrap();
    let expected = &python::run("standards.py", &[&samples]).unwrap()["senml"];
    let packs = expected["packs"].as_array().unwrap();
    assert!(packs.len() >= 12, "{} packs", packs.len());
    for pack in packs {
        let body = text(&pack[0]);
        let (status, said) = installation
            .push("packs", body.as_bytes().to_vec(), &[])
            .await
            .unwrap();
        assert_eq!(
            status,
            if pack[1] == 0 { 204 } else { 400 },
            "{body}: {said}"
        );
    }
    daemon.stop().unwrap();
    // Those without a time have the one at which they came.
    let of = |select: &str, years: &str| {
        let query =
            format!("SELECT {select} FROM heat WHERE date_part('year', time) {years} ORDER BY 1");
        installation.sql_on_files(&query).unwrap()
    };
    let timed = of("cast(time AS text), value", "< 2020");
    assert_rows(&timed, &expected["timed"], "with a time");
    assert_rows(&of("value", ">= 2020"), &expected["untimed"], "without one");
    // Clocks that were never set: several examples are of 2010 and 2011.
    assert_rows(
        &rejects(&installation),
        &json!([["bad_time", expected["early"]]]),
        "rejects",
    );
    let leaks = installation
        .sql_on_files("SELECT count(*) FROM heat WHERE sensor_id LIKE '%10e2073a01080063%'")
        .unwrap();
    assert_eq!(leaks[0][0], 0, "a hardware id stands in a row");
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sensorthings_observations_at_the_paths_of_the_standard() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    let map = "map = [{ dataset = \"heat\", property = \"air_temperature\", field = \"1\", unit = \"Cel\" }]";
    let installation = Installation::new("", &source("sta", "sensorthings", map)).unwrap();
    let daemon = installation.start().await.unwrap();
    let expected = &python::run("standards.py", &[&samples]).unwrap()["sensorthings"];
    let bearer = format!("Bearer {TOKEN}");
    let post = async |path: &str, body: &Value| {
        let body = text(body).as_bytes().to_vec();
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        installation.post(path, body, &headers).await.unwrap()
    };
    let created = post("/v1.1/Observations", &expected["observation"]).await;
    assert_eq!(created.0, 201, "{created:?}");
    // It is not given the time at which it came.
    let refused = post("/v1.1/Datastreams(1)/Observations", &expected["misspelled"]).await;
    assert_eq!(refused.0, 400, "{refused:?}");
    assert!(refused.1.contains("phenonmenonTime"), "{refused:?}");
    daemon.stop().unwrap();
    let rows = installation
        .sql_on_files("SELECT sensor_id, cast(time AS text), value FROM heat")
        .unwrap();
    assert_rows(&rows, &expected["rows"], "observations");
    assert_rows(
        &rejects(&installation),
        &json!([["unexpected_shape", 1]]),
        "rejects",
    );
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_protocol_of_both_versions() {
    let Some(samples) = recordings("MEETNET_SAMPLES") else {
        return;
    };
    let of_lines = "database = \"lines\"\nsensor_id = \"s\"\n\
                    map = [{ dataset = \"heat\", property = \"air_temperature\", field = \"mymeas.value\" }]";
    let sources = source("boxes", "influx", "database = \"feinstaub\"")
        + &source("lines", "influx", of_lines);
    let installation = Installation::new("", &sources).unwrap();
    let daemon = installation.start().await.unwrap();
    let expected = python::run("line_protocol.py", &[&samples.join("influx")]).unwrap();
    let body = |name: &str| text(&expected[name]).as_bytes().to_vec();
    // A box writes with the first version and has its token as password.
    let path = format!("/write?db=feinstaub&u=box&p={TOKEN}");
    let answer = installation.post(&path, body("boxes"), &[]).await.unwrap();
    assert_eq!(answer, (204, String::new()));
    let path = "/api/v2/write?org=any&bucket=lines&precision=ns";
    let token = format!("Token {TOKEN}");
    let (status, said) = installation
        .post(path, body("others"), &[("authorization", token.as_str())])
        .await
        .unwrap();
    assert_eq!(status, 400, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    let message = text(&said["message"]);
    assert!(message.starts_with("partial write: "), "{message}");
    let dropped = format!("dropped={}", expected["rejected"]);
    assert!(message.ends_with(&dropped), "{message}");
    daemon.stop().unwrap();
    let of_boxes = "SELECT property, value FROM heat WHERE source = 'boxes' UNION ALL \
                    SELECT property, value FROM air WHERE source = 'boxes' ORDER BY 1";
    let of_boxes = installation.sql_on_files(of_boxes).unwrap();
    assert_rows(&of_boxes, &expected["box_rows"], "a box");
    let of_lines = |select: &str, years: &str| {
        let query = format!(
            "SELECT {select} FROM heat WHERE source = 'lines' AND date_part('year', time) {years}"
        );
        installation.sql_on_files(&query).unwrap()
    };
    let timed = of_lines("cast(time AS text), value", "< 2020");
    assert_rows(&timed, &expected["timed"], "with a time");
    assert_rows(
        &of_lines("value", ">= 2020"),
        &expected["untimed"],
        "without one",
    );
    let rejected = installation
        .sql_on_files("SELECT message FROM rejects")
        .unwrap();
    assert_eq!(json!(rejected.len()), expected["rejected"], "{rejected:?}");
    // What InfluxDB answered to a line is what its reject says.
    for reason in expected["reasons"].as_array().unwrap() {
        let mut rejected = rejected.iter();
        assert!(rejected.any(|reject| reject[0] == *reason), "{reason}");
    }
    assert_private(&installation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_the_archive_of_sensor_community_by_import() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    let source = "[[source]]\nid = \"archive\"\nkind = \"files\"\nformat = \"sensor-community\"\n\
                  namespace = \"sc\"\nlicence = \"ODbL-1.0\"\n";
    let installation = Installation::new("", source).unwrap();
    let folder = data.join("sensor_community/archive_csv");
    let expected = python::run("sensor_community.py", &[&folder]).unwrap();
    let days = folder.to_string_lossy();
    let import: [&str; 3] = ["import", "sensor-community-csv", &days];
    let said = installation.succeed(&import).unwrap();
    let query = "SELECT sensor_id, property, count(*), sum(value), min(value), max(value), \
                 cast(min(time) AS text), cast(max(time) AS text), count(DISTINCT licence) \
                 FROM air GROUP BY 1, 2 ORDER BY 1, 2";
    let imported = installation.sql_on_files(query).unwrap();
    assert_rows(&imported, &expected["sensors"], "imported");
    // A line that was cut off on its way into the archive has no time: the reader counts it by that.
    assert_eq!(expected["rejects"], json!([["missing_field", 1]]));
    assert!(said.contains("1 reject: 1 malformed"), "{said}");
    // Once more changes nothing.
    installation.succeed(&import).unwrap();
    let again = installation.sql_on_files(query).unwrap();
    assert_rows(&again, &expected["sensors"], "imported again");
    println!("{} rows", expected["rows"]);
    assert_private(&installation).await;
}
