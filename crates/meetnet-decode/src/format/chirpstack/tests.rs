use expect_test::{Expect, expect};

use crate::testing::{self, decoders, envelope, render, try_decoders};

const LORA: &str = r#"
    format = 'chirpstack-v4'
    topics = ['application/+/device/+/event/+']
    map = [
      { dataset = 'heat', property = 'air_temperature', pointer = '/temperature', unit = 'Cel' },
      { dataset = 'heat', property = 'relative_humidity', pointer = '/env/humidity', unit = '%' },
    ]"#;

const TOPIC: &str = "application/1c1f/device/0102030405060708/event/up";

/// An uplink as v4 writes it; `more` is further members.
fn uplink(more: &str) -> String {
    format!(
        r#"{{"deduplicationId": "57433366", "time": "2026-06-01T11:59:58.512345678+00:00",
            "deviceInfo": {{"tenantId": "t", "applicationId": "a", "deviceProfileName": "p", "deviceName": "roof",
              "devEui": "0102030405060708", "tags": {{}}}},
            "devAddr": "20000001", "adr": true, "dr": 5, "fPort": 2, "data": "AQI="{more},
            "rxInfo": [{{"gatewayId": "0a", "time": "2026-06-01T11:00:00Z", "rssi": -35, "location": {{}}}}],
            "txInfo": {{"frequency": 868500000}}}}"#
    )
}

/// An uplink as v3 writes it.
fn v3(more: &str) -> String {
    format!(
        r#"{{"applicationID": "1", "applicationName": "heat", "deviceName": "roof", "devEUI": "AQIDBAUGBwg=",
            "rxInfo": [{{"gatewayID": "AwM=", "time": "2026-06-01T11:59:57Z", "rssi": -48}}],
            "txInfo": {{"frequency": 868100000}}, "adr": true, "fPort": 5, "data": "AQI="{more}, "tags": {{}}}}"#
    )
}

fn without_id(text: String) -> String {
    // The HMAC of the test key is no part of what is tested here.
    match sensor_id(&text) {
        Some(id) => text.replace(&id, "ID"),
        None => text,
    }
}

fn sensor_id(text: &str) -> Option<String> {
    let rest = text.split(" sensor_id=").nth(1)?;
    rest.split(' ').next().map(str::to_owned)
}

fn decoded(body: &str) -> String {
    without_id(testing::decode(LORA, TOPIC, body))
}

fn check(body: &str, expect: Expect) {
    expect.assert_eq(&decoded(body));
}

#[test]
fn the_decoded_object_becomes_rows_at_the_gateways_time() {
    check(
        &uplink(r#", "fCnt": 7, "object": {"temperature": 21.5, "env": {"humidity": "40"}}"#),
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:58.512345Z value=21.5
        heat sensor_id=ID property=relative_humidity time=2026-06-01T11:59:58.512345Z value=40
    "#]],
    );
}

#[test]
fn an_uplink_delivered_twice_has_the_same_rows_whatever_its_frame_count() {
    let first = uplink(r#", "object": {"temperature": 21.5}"#);
    let again =
        uplink(r#", "fCnt": 2, "object": {"temperature": 21.5}"#).replace("57433366", "another id");
    assert_eq!(decoded(&first), decoded(&again));
}

#[test]
fn the_shape_of_v3_is_recognised() {
    check(
        &v3(r#", "fCnt": 10, "objectJSON": "{\"temperature\":25,\"env\":{\"humidity\":32}}""#),
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:57Z value=25
        heat sensor_id=ID property=relative_humidity time=2026-06-01T11:59:57Z value=32
    "#]],
    );
    // A server's time is better than a gateway's.
    check(
        &v3(r#", "publishedAt": "2026-06-01T11:59:59.5Z", "objectJSON": "{\"temperature\":25}""#),
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:59.500Z value=25
    "#]],
    );
    // Its other marshaler writes the object as an object and the DevEUI in hexadecimal.
    let object =
        v3(r#", "object": {"temperature": 25}"#).replace("AQIDBAUGBwg=", "0102030405060708");
    check(
        &object,
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:57Z value=25
    "#]],
    );
    for (text, expect) in [
        (
            r#""{\"temperature\":""#,
            "malformed: the text in `objectJSON` is not JSON: EOF while parsing a value at line 1 column 15\n",
        ),
        ("5", "unexpected_shape: `objectJSON` is no text\n"),
        (
            r#""{}""#,
            "no_mapped_value: the decoded payload has no value at `/temperature`, `/env/humidity`\n",
        ),
    ] {
        assert_eq!(decoded(&v3(&format!(r#", "objectJSON": {text}"#))), expect);
    }
}

#[test]
fn a_device_has_one_id_in_v3_v4_and_the_things_stack() {
    let ids = [
        testing::decode(LORA, TOPIC, &uplink(r#", "object": {"temperature": 1}"#)),
        testing::decode(
            LORA,
            TOPIC,
            &v3(r#", "objectJSON": "{\"temperature\": 1}""#),
        ),
        testing::decode(
            &LORA.replace("chirpstack-v4", "tts-v3"),
            "",
            r#"{"end_device_ids": {"dev_eui": "0102030405060708"},
                "uplink_message": {"decoded_payload": {"temperature": 1}}}"#,
        ),
    ]
    .map(|text| sensor_id(&text).unwrap());
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
    assert!(ids[0].starts_with("ns-") && !ids[0].contains("0102030405060708"));
    let nameless = uplink(r#", "object": {"temperature": 1}"#).replace("0102030405060708", "");
    check(
        &nameless,
        expect![[r#"
        missing_field: the uplink has no `deviceInfo.devEui`
    "#]],
    );
}

#[test]
fn no_decoded_payload_is_a_reject_that_says_what_to_do() {
    let no_codec = "no_decoded_payload: the uplink has no decoded payload; add a codec to the device profile in \
                    ChirpStack (Device profiles: Codec), or see why the one that it has makes nothing of these bytes\n";
    for body in [
        uplink(""),
        uplink(r#", "object": {}"#),
        uplink(r#", "object": null"#),
        v3(""),
        v3(r#", "objectJSON": """#),
    ] {
        assert_eq!(decoded(&body), no_codec);
    }
    check(
        &uplink(r#", "fCnt": 3"#).replace(r#""data": "AQI=""#, r#""data": """#),
        expect![[r#"
        no_observation: an uplink without a payload: the device only talked to the network
    "#]],
    );
    check(
        &uplink(r#", "object": {"battery": 3.1}"#),
        expect![[r#"
        no_mapped_value: the decoded payload has no value at `/temperature`, `/env/humidity`
    "#]],
    );
}

/// By its topic it is an uplink, so it is not counted among the other events.
#[test]
fn an_uplink_without_object_and_data_is_a_reject() {
    let body = r#"{"time": "2026-06-01T11:59:58Z", "deviceInfo": {"devEui": "0102030405060708"}, "temperature": 20}"#;
    let reject = "no_observation: the uplink has neither `object`, in which ChirpStack writes what a codec made, nor \
                  `data`: its values stand elsewhere, or the device only talked to the network\n";
    for (topic, query) in [(TOPIC, ""), ("/ingest/v1/test", "event=up")] {
        assert_eq!(outcome(topic, query, body), (reject.to_owned(), 0));
    }
}

/// Returns rows and rejects, and how many messages were counted and no more.
fn outcome(topic: &str, query: &str, body: &str) -> (String, u64) {
    let decoders = decoders(LORA);
    let mut group = decoders.group();
    let meta = [("query".into(), query.into())];
    let mut message = envelope(topic, body.as_bytes());
    message.meta = &meta;
    decoders.decode(0, &message, &mut group);
    let ignored = group.ignored();
    (without_id(render(&group.take())), ignored)
}

#[test]
fn other_events_are_counted_and_are_no_rejects() {
    let device = r#""deviceInfo": {"devEui": "0102030405060708"}"#;
    let status = format!(r#"{{{device}, "margin": 10, "batteryLevel": 88.5}}"#);
    let nothing = (String::new(), 1);
    for event in [
        "join",
        "ack",
        "txack",
        "status",
        "log",
        "location",
        "integration",
    ] {
        let topic = format!("application/1/device/2/event/{event}");
        assert_eq!(outcome(&topic, "", &status), nothing, "{event}");
        let query = format!("x=1&event={event}");
        assert_eq!(
            outcome("/ingest/v1/test", &query, &status),
            nothing,
            "{event}"
        );
        // The name decides: an integration's object is no measurement.
        let body = uplink(r#", "object": {"temperature": 21.5}"#);
        assert_eq!(outcome(&topic, "", &body), nothing, "{event}");
    }
    // Forwarded without its name.
    assert_eq!(outcome("/ingest/v1/test", "", &status), nothing);
    let uplink = uplink(r#", "object": {"temperature": 21.5}"#);
    let row =
        "heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:58.512345Z value=21.5\n";
    for (topic, query) in [(TOPIC, ""), ("/ingest/v1/test", "event=up"), ("", "")] {
        assert_eq!(outcome(topic, query, &uplink), (row.to_owned(), 0));
    }
}

#[test]
fn what_is_no_event_is_a_reject() {
    for body in [r#"{"temperature": 1}"#, "[]", "5"] {
        assert_eq!(
            decoded(body),
            "unexpected_shape: no event of ChirpStack v4: it has no `deviceInfo` (v3: `devEUI`)\n"
        );
    }
    check(
        "{\"deviceInfo\": ",
        expect![[r#"
        malformed: not JSON: EOF while parsing a value at line 1 column 14
    "#]],
    );
}

#[test]
fn times_outside_the_window_are_rejects() {
    let body = uplink(r#", "object": {"temperature": 21.5}"#);
    check(
        &body.replace(
            "2026-06-01T11:59:58.512345678+00:00",
            "1970-01-01T00:00:09Z",
        ),
        expect![[r#"
        bad_time: the time 1970-01-01T00:00:09Z lies before 2015: the device's clock was not set
    "#]],
    );
    check(
        &body.replace("2026-06-01T11:59:58.512345678+00:00", "soon"),
        expect![[r#"
        bad_time: the time at `time`: not an RFC 3339 / ISO 8601 time such as 2026-01-31T12:00:00Z
    "#]],
    );
}

#[test]
fn declared_ids_and_times_are_relative_to_the_object() {
    let source = LORA.replace(
        "topics = ['application/+/device/+/event/+']",
        "sensor_id = { pointer = '/station' }\ntime = { pointer = '/measured', format = 'unix' }",
    );
    let object = r#"{"station": "roof 3", "measured": 1780311600, "temperature": 21.5}"#;
    let row =
        "heat sensor_id=ns-roof 3 property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n";
    let v4 = uplink(&format!(r#", "object": {object}"#));
    assert_eq!(testing::decode(&source, TOPIC, &v4), row);
    let text = object.replace('"', "\\\"");
    let v3 = v3(&format!(r#", "objectJSON": "{text}""#));
    assert_eq!(testing::decode(&source, TOPIC, &v3), row);
}

#[test]
fn a_source_without_a_map_cannot_start() {
    let error = try_decoders("format = 'chirpstack-v4'").unwrap_err();
    expect![
        "source `test`: format `chirpstack-v4` needs a `map`: without one no message becomes a row"
    ]
    .assert_eq(&error.to_string());
}
