use meetnet_model::redact::PersonalKind;

use super::*;

/// Place, kind and rows of each leak in a file of this name and content.
fn found(name: &str, text: &str) -> Vec<(String, PersonalKind, u64)> {
    let leaks = content::search(name, text.as_bytes(), &Allowed::default()).unwrap();
    leaks
        .into_iter()
        .map(|(place, leak)| (place, leak.kind, leak.rows))
        .collect()
}

fn check(name: &str, text: &str, expect: &[(&str, PersonalKind, u64)]) {
    let found = found(name, text);
    let found: Vec<_> = found
        .iter()
        .map(|(place, kind, rows)| (place.as_str(), *kind, *rows))
        .collect();
    assert_eq!(found, expect, "{name}: {text}");
}

#[test]
fn each_kind_of_file_is_searched_by_its_places() {
    use PersonalKind::*;

    // The answer of the SQL endpoint, and of the dataset API.
    check(
        "answer.json",
        r#"{"columns":[{"name":"sensor_id","type":"text"},{"name":"lat","type":"float64"}],
            "rows":[["lora-70b3d57ed005abcd",50.88],["x",50.87981],["lora-3f1c0a9e5b7d2468",null]],"through":4}"#,
        &[("rows.lat", Coordinates, 1), ("rows.sensor_id", Eui, 1)],
    );
    check(
        "list.json",
        r#"{"datasets":[{"id":"air","attributions":["an@example.org","bo@example.org"],"key":["sensor_id"]}]}"#,
        &[("datasets.attributions", Email, 2)],
    );
    // Entries of a table log stand behind one another; its statistics are JSON in a text.
    check(
        "00000000000000000000.json",
        "{\"protocol\":{\"minReaderVersion\":1}}\n\
         {\"add\":{\"path\":\"licence=CC0-1.0/0198c0de7f0a7b0c8d0e1f2a3b4c5d6e.parquet\",\
         \"stats\":\"{\\\"minValues\\\":{\\\"lon\\\":4.70052,\\\"lat\\\":50.88}}\"}}\n",
        &[("add.stats", Coordinates, 1)],
    );
    check(
        "map.geojson",
        r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[4.70052,50.88]},"properties":{"token":"hunter2"}}"#,
        &[
            ("geometry.coordinates", Coordinates, 1),
            ("properties.token", Token, 1),
        ],
    );
    // The hash of an imported file in the log of a table; a key of that length anywhere else is one.
    check(
        "00000000000000000001.json",
        "{\"txn\":{\"appId\":\"meetnet/import/0123456789abcdef0123456789abcdef\",\"version\":1}}\n\
         {\"txn\":{\"appId\":\"other/0123456789abcdef0123456789abcdef\",\"version\":1}}\n",
        &[("txn.appId", Passkey, 1)],
    );
    // A histogram of speeds is no place, a pair is.
    check(
        "counts.json",
        r#"{"speed_hist":[0.0,14.28571,42.85714,28.57143,14.28571],"at":[50.87981,4.70052]}"#,
        &[("at", Coordinates, 1)],
    );
    check(
        "road.geojson",
        r#"{"type":"LineString","coordinates":[[4.70052,50.88012],[4.70064,50.88013]]}"#,
        &[],
    );
    check(
        "by_device.json",
        r#"{"70b3d57ed005abcd":{"t":1}}"#,
        &[("names of fields", Eui, 1)],
    );
    // Not JSON after all.
    check(
        "cut.json",
        "{\"mac\":\"AA:BB:CC:DD:EE:FF\"",
        &[("text", Mac, 1)],
    );
    check(
        "rows.ndjson",
        "{\"sensor_id\":\"AA:BB:CC:DD:EE:FF\"}\n{\"sensor_id\":\"x\"}\n",
        &[("sensor_id", Mac, 1)],
    );
    check(
        "rows.csv",
        "sensor_id,lat,note\r\nx,50.88,\"a, b\"\r\n\"AA:BB:CC:DD:EE:FF\",50.87981,\r\n",
        &[("column lat", Coordinates, 1), ("column sensor_id", Mac, 1)],
    );
    check(
        "archive.csv",
        "sensor_id;lat;lon\n1;50.88;4.701\n2;50.88;4.70052",
        &[("column lon", Coordinates, 1)],
    );
    check(
        "bare.csv",
        "AA:BB:CC:DD:EE:FF,1\n",
        &[("first line", Mac, 1)],
    );
    check(
        "meetnet.log",
        "INFO committed dataset=heat rows=3\n\
         WARN refused topic=\"application/1/device/70b3d57ed005abcd/event/up\"\n\
         {\"level\":\"WARN\",\"fields\":{\"url\":\"mqtt://an:hunter2@broker\"}}\n",
        &[("fields.url", BasicAuth, 1), ("text", Eui, 1)],
    );
    check(
        "metrics",
        "meetnet_rejects_total{source=\"lora\",topic=\"esp8266-1234567\"} 3\n",
        &[("text", ChipId, 1)],
    );
    for name in ["empty.json", "empty.csv", "empty.log", "empty"] {
        check(name, "", &[]);
    }
}

#[test]
fn what_is_packed_is_not_called_clean() {
    let error = content::search("rows.csv.gz", &b""[..], &Allowed::default()).unwrap_err();
    assert!(error.to_string().contains("unpack it"), "{error}");
}

#[test]
fn long_fields_and_lines_are_searched() {
    let blank = " ".repeat(100_000);
    check(
        "rows.csv",
        &format!("note\n{blank}an@example.org\n"),
        &[("column note", PersonalKind::Email, 1)],
    );
    check(
        "page.html",
        &format!("{blank}an@example.org{blank}"),
        &[("text", PersonalKind::Email, 1)],
    );
}

#[test]
fn a_report_names_the_place_and_not_what_was_found() {
    let mut findings = Findings::default();
    let leaks = content::search(
        "x.ndjson",
        &b"{\"AA:BB:CC:DD:EE:FF\":\"70b3d57ed005abcd\"}\n"[..],
        &Allowed::default(),
    )
    .unwrap();
    findings.files = 1;
    findings.add("x.ndjson", &leaks);
    findings.fail("mqtt://an:hunter2@broker", &anyhow!("no answer"));
    let said = findings.describe();
    assert_eq!(
        said,
        "x.ndjson: …: eui64 in 1 row (70b…)\n\
         x.ndjson: names of fields: mac in 1 row (AA:…)\n\
         mqtt://…@broker: not searched: no answer\n\
         searched 1 file and 0 answers: 2 findings"
    );
    let failure = findings.judge().unwrap_err();
    assert!(matches!(failure, Failure::Work(_)));
    Findings::default().judge().unwrap();
}

#[test]
fn huge_files_are_searched_in_parts() {
    // Before the cut of the line, across it, and behind it.
    for before in ((1 << 20) - 20..=1 << 20).step_by(4) {
        let line = format!(
            "{}an@example.org{}",
            " ".repeat(before),
            " ".repeat(1 << 20)
        );
        let found = found("daemon.log", &line);
        let kinds: Vec<_> = found.iter().map(|(_, kind, _)| *kind).collect();
        assert_eq!(kinds, [PersonalKind::Email], "{before}");
    }
}

#[test]
fn a_file_of_too_many_fields_is_not_passed() {
    let fields = |count: usize| {
        let fields: Vec<String> = (0..count).map(|n| format!("\"f{n}\":\"x\"")).collect();
        format!("{{{}}}", fields.join(","))
    };
    // One place more: the names of fields.
    let few = fields(9_999);
    check("few.json", &few, &[]);
    let many = fields(10_000);
    let error = content::search("many.json", many.as_bytes(), &Allowed::default()).unwrap_err();
    assert!(error.to_string().contains("10000 different"), "{error}");
}
