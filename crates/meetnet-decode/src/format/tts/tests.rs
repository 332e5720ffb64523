use expect_test::{Expect, expect};

use crate::testing::{self, try_decoders};

const LORA: &str = r#"
    format = 'tts-v3'
    topics = ['v3/+/devices/+/up']
    map = [
      { dataset = 'heat', property = 'air_temperature', pointer = '/temperature', unit = 'Cel' },
      { dataset = 'heat', property = 'relative_humidity', pointer = '/env/humidity', unit = '%' },
    ]"#;

const TOPIC: &str = "v3/city-heat@ttn/devices/eui-0102030405060708/up";

/// An uplink as the stack writes it; `payload` and `more` are members of `uplink_message`.
fn uplink(more: &str) -> String {
    format!(
        r#"{{"end_device_ids": {{"device_id": "eui-0102030405060708",
            "application_ids": {{"application_id": "city-heat"}}, "dev_eui": "0102030405060708",
            "dev_addr": "260B0001"}}, "correlation_ids": ["as:up:X"],
            "received_at": "2026-06-01T11:59:58.700000001Z",
            "uplink_message": {{"session_key_id": "AAAA", "f_port": 2, "frm_payload": "AQI=",
              "rx_metadata": [{{"gateway_ids": {{"gateway_id": "g"}}, "rssi": -35, "snr": 13.2,
                "location": {{"latitude": 50.1, "longitude": 4.7}}}}],
              "settings": {{"data_rate": {{"lora": {{"bandwidth": 125000}}}}, "frequency": "867100000"}},
              "received_at": "2026-06-01T11:59:58.512345678Z", "consumed_airtime": "0.056576s"{more}}}}}"#
    )
}

fn decoded(body: &str) -> String {
    // The HMAC of the test key is no part of what is tested here.
    let text = testing::decode(LORA, TOPIC, body);
    let id = text
        .split(" sensor_id=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    match id.map(str::to_owned) {
        Some(id) => text.replace(&id, "ID"),
        None => text,
    }
}

fn check(body: &str, expect: Expect) {
    expect.assert_eq(&decoded(body));
}

#[test]
fn the_decoded_payload_becomes_rows_at_the_network_servers_time() {
    let payload =
        r#", "f_cnt": 7, "decoded_payload": {"temperature": 21.5, "env": {"humidity": "40"}}"#;
    check(
        &uplink(payload),
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:58.512345Z value=21.5
        heat sensor_id=ID property=relative_humidity time=2026-06-01T11:59:58.512345Z value=40
    "#]],
    );
}

#[test]
fn an_absent_frame_count_is_the_first_one() {
    let first = uplink(r#", "decoded_payload": {"temperature": 21.5}"#);
    let third = uplink(r#", "f_cnt": 2, "decoded_payload": {"temperature": 21.5}"#);
    assert_eq!(decoded(&first), decoded(&third));
}

#[test]
fn wrapped_uplinks_are_the_same_uplinks() {
    let plain = uplink(r#", "decoded_payload": {"temperature": 21.5}"#);
    let rows = decoded(&plain);
    assert!(rows.starts_with("heat"), "{rows}");
    assert_eq!(decoded(&format!(r#"{{"result": {plain}}}"#)), rows);
    let event = format!(
        r#"{{"name": "as.up.data.forward", "time": "2026-06-01T12:00:00Z", "data": {plain}, "origin": "ip"}}"#
    );
    assert_eq!(decoded(&event), rows);
}

#[test]
fn the_storage_integration_sends_lines() {
    let line = |payload: &str| {
        let uplink = uplink(&format!(r#", "decoded_payload": {payload}"#)).replace('\n', " ");
        format!(r#"{{"result": {uplink}}}"#)
    };
    let lines = [
        line(r#"{"temperature": 1}"#),
        line(r#"{"temperature": 2}"#),
        String::new(),
    ];
    check(
        &lines.join("\n"),
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:58.512345Z value=1
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:58.512345Z value=2
    "#]],
    );
    let cut = format!("{}\n{}", lines[0], &lines[1][..300]);
    check(
        &cut,
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:58.512345Z value=1
        malformed: not JSON: EOF while parsing an object at line 1 column 292
    "#]],
    );
}

#[test]
fn no_decoded_payload_is_a_reject_that_says_what_to_do() {
    for more in [
        "",
        r#", "decoded_payload": {}"#,
        r#", "decoded_payload": null"#,
    ] {
        assert_eq!(
            decoded(&uplink(more)),
            "no_decoded_payload: the uplink has no decoded payload; add an uplink payload formatter for the device or \
             its application at The Things Stack (console: Payload formatters), or see why the one that it has makes \
             nothing of these bytes\n"
        );
    }
}

#[test]
fn a_payload_without_mapped_values_names_them() {
    check(
        &uplink(r#", "decoded_payload": {"battery": 3.1}"#),
        expect![[r#"
            no_mapped_value: the decoded payload has no value at `/temperature`, `/env/humidity`
        "#]],
    );
    check(
        &uplink(r#", "decoded_payload": {"temperature": null}"#),
        expect![[r#"
            no_mapped_value: the decoded payload has no value at `/temperature`, `/env/humidity`
        "#]],
    );
    check(
        &uplink(r#", "decoded_payload": {"temperature": "hot"}"#),
        expect![[r#"
            wrong_type: the value at `/temperature` is not a number
        "#]],
    );
}

#[test]
fn other_messages_carry_no_observation() {
    let ids = r#""end_device_ids": {"device_id": "eui-1", "dev_eui": "0102030405060708"}, "received_at": "2026-06-01T11:59:58Z""#;
    for kind in [
        r#""join_accept": {"session_key_id": "AAAA"}"#,
        r#""downlink_ack": {"f_port": 1}"#,
        r#""downlink_queued": {}"#,
        r#""location_solved": {"location": {"latitude": 1}}"#,
        r#""uplink_normalized": {"normalized_payload": {"air": {"temperature": 1}}}"#,
    ] {
        assert_eq!(
            decoded(&format!("{{{ids}, {kind}}}")),
            "no_observation: a join, downlink, status or location message: it carries no observation\n"
        );
    }
    check(
        r#"{"name": "gs.status.receive", "data": {"uptime": 1}}"#,
        expect![[r#"
            no_observation: a join, downlink, status or location message: it carries no observation
        "#]],
    );
    check(
        r#"{"temperature": 1}"#,
        expect![[r#"
        unexpected_shape: no message of The Things Stack v3: it has neither `uplink_message` nor `end_device_ids`
    "#]],
    );
    check(
        "[]",
        expect![[r#"
        unexpected_shape: no message of The Things Stack v3: it has neither `uplink_message` nor `end_device_ids`
    "#]],
    );
}

#[test]
fn a_simulated_uplink_is_no_observation() {
    let body = uplink(r#", "decoded_payload": {"temperature": 21.5}"#);
    let simulated = format!("{}, \"simulated\": true}}", body.strip_suffix('}').unwrap());
    check(
        &simulated,
        expect![[r#"
        no_observation: a simulated uplink from the console: nobody measured it
    "#]],
    );
    let real = format!(
        "{}, \"simulated\": false}}",
        body.strip_suffix('}').unwrap()
    );
    assert_eq!(decoded(&real), decoded(&body));
}

#[test]
fn the_time_falls_back_from_server_to_server() {
    let body = uplink(r#", "decoded_payload": {"temperature": 21.5}"#);
    let outer = body.replace(r#""received_at": "2026-06-01T11:59:58.512345678Z", "#, "");
    check(
        &outer,
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T11:59:58.700Z value=21.5
    "#]],
    );
    let none = outer.replace(r#""received_at": "2026-06-01T11:59:58.700000001Z","#, "");
    check(
        &none,
        expect![[r#"
        heat sensor_id=ID property=air_temperature time=2026-06-01T12:00:00Z value=21.5
    "#]],
    );
    let old = body.replace(
        "2026-06-01T11:59:58.512345678Z",
        "2023-05-19T05:33:35.641841782Z",
    );
    check(
        &old,
        expect![[r#"
        time_out_of_window: the time 2023-05-19T05:33:35.641841Z lies 1109d before the receive time; the source's time_window allows 400d back
    "#]],
    );
    let wrong = body.replace("2026-06-01T11:59:58.512345678Z", "soon");
    check(
        &wrong,
        expect![[r#"
        bad_time: the time at `uplink_message.received_at`: not an RFC 3339 / ISO 8601 time such as 2026-01-31T12:00:00Z
    "#]],
    );
}

#[test]
fn the_device_is_known_by_its_eui_else_by_its_name() {
    let body = uplink(r#", "decoded_payload": {"temperature": 21.5}"#);
    let id = |body: &str| {
        let text = testing::decode(LORA, TOPIC, body);
        let id = text
            .split(" sensor_id=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        id.map(str::to_owned)
    };
    let known = id(&body).unwrap();
    let colons = body.replace(
        r#""dev_eui": "0102030405060708""#,
        r#""dev_eui": "01:02:03:04:05:06:07:08""#,
    );
    assert_eq!(id(&colons).as_ref(), Some(&known));
    assert!(
        known.starts_with("ns-") && !known.contains("0102030405060708"),
        "{known}"
    );
    let abp = body.replace(r#""dev_eui": "0102030405060708","#, "");
    let named = id(&abp).unwrap();
    assert!(
        named.starts_with("ns-") && named != known && !named.contains("eui"),
        "{named}"
    );
    let nameless = abp.replace(r#""device_id": "eui-0102030405060708","#, "");
    check(
        &nameless,
        expect![[r#"
        missing_field: the uplink has neither `end_device_ids.dev_eui` nor a device id
    "#]],
    );
}

#[test]
fn declared_ids_and_times_are_relative_to_the_payload() {
    let source = LORA.replace(
        "topics = ['v3/+/devices/+/up']",
        "topics = ['v3/+/devices/{device}/up']\nsensor_id = { pointer = '/station' }\n\
         time = { pointer = '/measured', format = 'unix' }",
    );
    let body = uplink(
        r#", "decoded_payload": {"station": "roof 3", "measured": 1780311600, "temperature": 21.5}"#,
    );
    expect![[r#"
        heat sensor_id=ns-roof 3 property=air_temperature time=2026-06-01T11:00:00Z value=21.5
    "#]]
    .assert_eq(&testing::decode(&source, TOPIC, &body));
}

#[test]
fn a_source_without_a_map_cannot_start() {
    let error = try_decoders("format = 'tts-v3'").unwrap_err();
    expect!["source `test`: format `tts-v3` needs a `map`: without one no message becomes a row"]
        .assert_eq(&error.to_string());
}
