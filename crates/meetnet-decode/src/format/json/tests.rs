use expect_test::{Expect, expect};

use crate::testing::{self, decoders, envelope, try_decoders};

const BALCONY: &str = r#"
    format = 'json'
    topics = ['zigbee2mqtt/{device}']
    sensor_id = '{device}'
    sentinels = [-999, -9999]
    map = [
      { dataset = 'heat', property = 'air_temperature', pointer = '/temperature', unit = 'Cel' },
      { dataset = 'heat', property = 'relative_humidity', pointer = '/humidity', unit = '%' },
      { dataset = 'heat', property = 'air_pressure', pointer = '/air/pressure', unit = 'Pa' },
    ]"#;

/// Decodes `body` from one device of the source `BALCONY`.
fn check(body: &str, expect: Expect) {
    expect.assert_eq(&testing::decode(BALCONY, "zigbee2mqtt/a1", body));
}

fn check_source(source: &str, topic: &str, body: &str, expect: Expect) {
    expect.assert_eq(&testing::decode(source, topic, body));
}

#[test]
fn every_mapped_value_is_a_row_in_its_canonical_unit() {
    check(
        r#"{"temperature": 27.34, "humidity": 44, "air": {"pressure": 100659.00}, "linkquality": 3}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=27.34
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=44
            heat sensor_id=ns-a1 property=air_pressure time=2026-06-01T12:00:00Z value=1006.59
        "#]],
    );
}

#[test]
fn numbers_come_in_every_dress_and_a_missing_value_makes_no_row() {
    check(
        r#"{"temperature": "27.34", "humidity": 0.0}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=27.34
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=0
        "#]],
    );
    check(
        r#"{"temperature": "", "humidity": 0}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=0
    "#]],
    );
    check(
        r#"{"temperature": null, "humidity": "0"}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=0
    "#]],
    );
    check(
        r#"{"humidity": " 44.72 "}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=44.72
    "#]],
    );
    check(
        r#"{"temperature": "NaN", "humidity": -999}"#,
        expect![[r#"
        no_mapped_value: the message has no value at `/temperature`, `/humidity`, `/air/pressure`
    "#]],
    );
    check(
        r#"{"temperature": "-9999", "humidity": 1}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=1
    "#]],
    );
    // Valid small negatives stay; -1 is a sentinel only where it is declared.
    check(
        r#"{"temperature": -1, "humidity": -0.5}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=-1
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=-0.5
    "#]],
    );
}

#[test]
fn implausible_values_are_kept() {
    check(
        r#"{"temperature": -144.7, "humidity": 121318, "air": {"pressure": -70000}}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=-144.7
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=121318
            heat sensor_id=ns-a1 property=air_pressure time=2026-06-01T12:00:00Z value=-700
        "#]],
    );
}

#[test]
fn a_value_of_another_kind_is_one_reject_and_the_others_stay() {
    check(
        r#"{"temperature": "warm", "humidity": 44}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=44
        wrong_type: the value at `/temperature` is not a number
    "#]],
    );
    check(
        r#"{"temperature": true, "humidity": [1], "air": 5}"#,
        expect![[r#"
            wrong_type: the value at `/temperature` is not a number
            wrong_type: the value at `/humidity` is not a number
        "#]],
    );
    check(
        r#"{"temperature": "21,5", "humidity": 44}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=44
        wrong_type: the value at `/temperature` is not a number
    "#]],
    );
    check(
        r#"{"temperature": 1e999, "humidity": 44}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=44
        wrong_type: the value at `/temperature` is not a number
    "#]],
    );
}

#[test]
fn a_message_without_any_mapped_value_is_a_reject() {
    for body in [
        "{}",
        r#"{"state": "online"}"#,
        r#"{"temperature": null}"#,
        r#"{"air": 3}"#,
    ] {
        let decoded = testing::decode(BALCONY, "zigbee2mqtt/a1", body);
        assert_eq!(
            decoded,
            "no_mapped_value: the message has no value at `/temperature`, `/humidity`, `/air/pressure`\n",
            "{body}"
        );
    }
}

#[test]
fn what_is_not_json_is_one_malformed_reject_with_its_position() {
    check(
        r#"{"temperature": 21.5, "humid"#,
        expect![[r#"
        malformed: not JSON: EOF while parsing a string at line 1 column 28
    "#]],
    );
    check(
        r#"{"temperature": 21.5}{"temperature": 22}"#,
        expect![[r#"
        malformed: not JSON: trailing characters at line 1 column 22
    "#]],
    );
    check(
        r#"{"temperature": 21.5}garbage"#,
        expect![[r#"
        malformed: not JSON: trailing characters at line 1 column 22
    "#]],
    );
    check(
        "temperature=21.5",
        expect![[r#"
        malformed: not JSON: expected ident at line 1 column 2
    "#]],
    );
    check(
        "   ",
        expect![[r#"
        malformed: the body is empty
    "#]],
    );
    check(
        r#"{"temperature": nan, "humidity": 44}"#,
        expect![[r#"
        malformed: not JSON: expected ident at line 1 column 18; bare `nan` is read as missing with `lenient = true`
    "#]],
    );
}

#[test]
fn other_shapes_are_rejects() {
    check(
        "21.5",
        expect![[r#"
        unexpected_shape: the body is a bare value, and the map has no entry with the pointer "" for it
    "#]],
    );
    check(
        "\"online\"",
        expect![[r#"
        unexpected_shape: the body is a bare value, and the map has no entry with the pointer "" for it
    "#]],
    );
    check(
        "[]",
        expect![[r#"
        no_observation: the body is an empty array
    "#]],
    );
    check(
        "[[1], 5, {\"temperature\": 3}]",
        expect![[r#"
        heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=3
        no_mapped_value: the message has no value at `/temperature`, `/humidity`, `/air/pressure`
        unexpected_shape: the body is a bare value, and the map has no entry with the pointer "" for it
    "#]],
    );
}

#[test]
fn bytes_that_are_no_text_are_malformed() {
    let decoded =
        decoders(BALCONY).decode_body(&envelope("zigbee2mqtt/a1", b"{\"temperature\": 2\xff}"));
    expect![[r#"
        malformed: not UTF-8 from byte 17 on
    "#]]
    .assert_eq(&testing::render(&decoded));
    let marked = decoders(BALCONY).decode_body(&envelope(
        "zigbee2mqtt/a1",
        b"\xef\xbb\xbf{\"humidity\": 2}\r\n",
    ));
    expect![[r#"
        heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=2
    "#]]
    .assert_eq(&testing::render(&marked));
}

#[test]
fn of_a_repeated_member_the_last_counts() {
    check(
        r#"{"temperature": 1, "temperature": 2}"#,
        expect![[r#"
        heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=2
    "#]],
    );
}

#[test]
fn an_array_is_a_row_set_per_element() {
    check(
        r#"[{"temperature": 1}, {"temperature": "x"}, {"humidity": 2}, {"state": 1}]"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=1
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=2
            wrong_type: the value at `/temperature` is not a number
            no_mapped_value: the message has no value at `/temperature`, `/humidity`, `/air/pressure`
        "#]],
    );
}

#[test]
fn the_topic_says_which_device_speaks() {
    check_source(
        BALCONY,
        "zigbee2mqtt/garden/shed",
        r#"{"temperature": 1}"#,
        expect![[r#"
            unknown_topic: the topic matches none of the source's topic patterns, so it names no sensor
        "#]],
    );
    check_source(
        BALCONY,
        "zigbee2mqtt/",
        r#"{"temperature": 1}"#,
        expect![[r#"
            missing_field: the message has no sensor id where the source's `sensor_id` says
        "#]],
    );
    let with_slash = BALCONY.replace("{device}']", "{device...}']");
    check_source(
        &with_slash,
        "zigbee2mqtt/garden/shed",
        r#"{"temperature": 1}"#,
        expect![[r#"
            heat sensor_id=ns-garden/shed property=air_temperature time=2026-06-01T12:00:00Z value=1
        "#]],
    );
}

const BY_BODY: &str = r#"
    format = 'json'
    sensor_id = { pointer = '/id' }
    time = { pointer = '/ts', format = 'unix-ms' }
    map = [ { dataset = 'noise', property = 'laeq', pointer = '/db', interval_s = 60 } ]"#;

#[test]
fn the_body_may_say_device_and_time() {
    let check = |body, expect| check_source(BY_BODY, "", body, expect);
    check(
        r#"{"id": "m1", "ts": 1780315199123, "db": 54.2}"#,
        expect![[r#"
            noise sensor_id=ns-m1 property=laeq time=2026-06-01T11:59:59.123Z interval_s=60 value=54.2
        "#]],
    );
    check(
        r#"{"id": 17, "ts": "1780315199123", "db": 54.2}"#,
        expect![[r#"
            noise sensor_id=ns-17 property=laeq time=2026-06-01T11:59:59.123Z interval_s=60 value=54.2
        "#]],
    );
    check(
        r#"{"ts": 1780315199123, "db": 54.2}"#,
        expect![[r#"
        missing_field: the message has no sensor id where the source's `sensor_id` says
    "#]],
    );
    check(
        r#"{"id": "", "ts": 1780315199123, "db": 54.2}"#,
        expect![[r#"
            missing_field: the message has no sensor id where the source's `sensor_id` says
        "#]],
    );
    check(
        r#"{"id": {"a": 1}, "ts": 1780315199123, "db": 54.2}"#,
        expect![[r#"
            wrong_type: the sensor id is no text or number of at most 200 bytes without control characters
        "#]],
    );
    check(
        r#"{"id": "m1", "db": 54.2}"#,
        expect![[r#"
        missing_field: the message has no time at `/ts`, where the source declares it
    "#]],
    );
    check(
        r#"{"id": "m1", "ts": "yesterday", "db": 54.2}"#,
        expect![[r#"
            bad_time: the time at `/ts`: not a number of milliseconds since 1970
        "#]],
    );
    check(
        r#"{"id": "m1", "ts": false, "db": 54.2}"#,
        expect![[r#"
        bad_time: the time at `/ts` is neither a text nor a number
    "#]],
    );
    // Clocks that were never set, and seconds where milliseconds are declared.
    check(
        r#"{"id": "m1", "ts": 0, "db": 54.2}"#,
        expect![[r#"
        bad_time: the time 1970-01-01T00:00:00Z lies before 2015: the device's clock was not set
    "#]],
    );
    check(
        r#"{"id": "m1", "ts": 1780315199, "db": 54.2}"#,
        expect![[r#"
            bad_time: the time 1970-01-21T14:31:55.199Z lies before 2015: the device's clock was not set
        "#]],
    );
    check(
        r#"{"id": "m1", "ts": 1780322400001, "db": 54.2}"#,
        expect![[r#"
            time_out_of_window: the time 2026-06-01T14:00:00.001Z lies 7200 s after the receive time; the source's time_window allows 3600 s
        "#]],
    );
    check(
        r#"{"id": "m1", "ts": 1700000000000, "db": 54.2}"#,
        expect![[r#"
            time_out_of_window: the time 2023-11-14T22:13:20Z lies 80315200 s before the receive time; the source's time_window allows 34560000 s
        "#]],
    );
    check(
        r#"{"id": "m1", "ts": 99999999999999999999999, "db": 54.2}"#,
        expect![[r#"
            bad_time: the time at `/ts`: the time lies outside the years 1 to 9999
        "#]],
    );
}

#[test]
fn times_are_read_as_declared() {
    let check = |time: &str, body: &str, expect: Expect| {
        let source = BY_BODY.replace("{ pointer = '/ts', format = 'unix-ms' }", time);
        check_source(&source, "", body, expect);
    };
    let unix = "{ pointer = '/ts', format = 'unix' }";
    check(
        unix,
        r#"{"id": "m", "ts": 1780315199.5, "db": 1}"#,
        expect![[r#"
            noise sensor_id=ns-m property=laeq time=2026-06-01T11:59:59.500Z interval_s=60 value=1
        "#]],
    );
    let text = "{ pointer = '/t/at', format = 'rfc3339' }";
    check(
        text,
        r#"{"id": "m", "t": {"at": "2026-06-01T13:59:00+02:00"}, "db": 1}"#,
        expect![[r#"
            noise sensor_id=ns-m property=laeq time=2026-06-01T11:59:00Z interval_s=60 value=1
        "#]],
    );
    check(
        text,
        r#"{"id": "m", "t": {"at": "2026-06-01T11:59:00"}, "db": 1}"#,
        expect![[r#"
            bad_time: the time at `/t/at`: the time has no offset and the source declares no zone; add `zone = "UTC"` or its IANA name to `time`
        "#]],
    );
    // Tasmota: local time without an offset.
    let local = "{ pointer = '/Time', format = 'rfc3339', zone = 'Europe/Brussels' }";
    check(
        local,
        r#"{"id": "m", "Time": "2026-06-01T13:59:00", "db": 1}"#,
        expect![[r#"
            noise sensor_id=ns-m property=laeq time=2026-06-01T11:59:00Z interval_s=60 value=1
        "#]],
    );
    check(
        local,
        r#"{"id": "m", "Time": "2025-10-26T02:30:00", "db": 1}"#,
        expect![[r#"
            bad_time: the time at `/Time`: the local time occurs twice in autumn; declare `doubled_hour = "first"` or `"second"`
        "#]],
    );
    let doubled = "{ pointer = '/Time', format = 'rfc3339', zone = 'Europe/Brussels', doubled_hour = 'second' }";
    check(
        doubled,
        r#"{"id": "m", "Time": "2025-10-26T02:30:00", "db": 1}"#,
        expect![[r#"
            noise sensor_id=ns-m property=laeq time=2025-10-26T01:30:00Z interval_s=60 value=1
        "#]],
    );
}

#[test]
fn a_bare_number_is_read_by_the_empty_pointer() {
    let source = r#"
        format = 'json'
        topics = ['{room}/sensor/{name}/state']
        sensor_id = '{room}-{name}'
        lenient = true
        map = [ { dataset = 'heat', property = 'air_temperature', pointer = '' } ]"#;
    let check = |body, expect| check_source(source, "living/sensor/t/state", body, expect);
    check(
        "21.3",
        expect![[r#"
        heat sensor_id=ns-living-t property=air_temperature time=2026-06-01T12:00:00Z value=21.3
    "#]],
    );
    check(
        "\"21.3\"",
        expect![[r#"
        heat sensor_id=ns-living-t property=air_temperature time=2026-06-01T12:00:00Z value=21.3
    "#]],
    );
    check(
        "nan",
        expect![[r#"
            no_mapped_value: the message has no value at `(the whole body)`
        "#]],
    );
    check(
        "{\"a\":1}",
        expect![[r#"
            wrong_type: the value at `(the whole body)` is not a number
        "#]],
    );
    check(
        "unavailable",
        expect![[r#"
        malformed: not JSON: expected value at line 1 column 1
    "#]],
    );
}

#[test]
fn lenient_reads_bare_nan_as_missing() {
    let source = r#"
        format = 'json'
        lenient = true
        sensor_id = 's'
        map = [
          { dataset = 'heat', property = 'air_temperature', pointer = '/SI7021/Temperature' },
          { dataset = 'heat', property = 'relative_humidity', pointer = '/SI7021/Humidity' },
        ]"#;
    let check = |body, expect| check_source(source, "", body, expect);
    check(
        r#"{"SI7021": {"Temperature": nan, "Humidity": 70.0}}"#,
        expect![[r#"
            heat sensor_id=ns-s property=relative_humidity time=2026-06-01T12:00:00Z value=70
        "#]],
    );
    check(
        r#"{"SI7021": {"Temperature": NaN, "Humidity": -nan}}"#,
        expect![[r#"
            no_mapped_value: the message has no value at `/SI7021/Temperature`, `/SI7021/Humidity`
        "#]],
    );
    check(
        r#"{"SI7021": {"Temperature": nan, "Humidity": }}"#,
        expect![[r#"
            malformed: not JSON: expected value at line 1 column 46
        "#]],
    );
}

#[test]
fn positions_in_arrays_make_an_array_one_document() {
    let source = r#"
        format = 'json'
        sensor_id = 's'
        map = [
          { dataset = 'heat', property = 'air_temperature', pointer = '/0' },
          { dataset = 'heat', property = 'relative_humidity', pointer = '/1/rh' },
        ]"#;
    check_source(
        source,
        "",
        r#"[21.5, {"rh": 40}, 7]"#,
        expect![[r#"
        heat sensor_id=ns-s property=air_temperature time=2026-06-01T12:00:00Z value=21.5
        heat sensor_id=ns-s property=relative_humidity time=2026-06-01T12:00:00Z value=40
    "#]],
    );
}

#[test]
fn the_first_pointer_with_a_value_fills_a_property() {
    let source = r#"
        format = 'json'
        sensor_id = 's'
        map = [
          { dataset = 'heat', property = 'air_temperature', pointer = '/temperature' },
          { dataset = 'heat', property = 'air_temperature', pointer = '/temp_f', unit = '[degF]' },
        ]"#;
    let check = |body, expect| check_source(source, "", body, expect);
    check(
        r#"{"temperature": 20, "temp_f": 212}"#,
        expect![[r#"
        heat sensor_id=ns-s property=air_temperature time=2026-06-01T12:00:00Z value=20
    "#]],
    );
    check(
        r#"{"temp_f": 212}"#,
        expect![[r#"
        heat sensor_id=ns-s property=air_temperature time=2026-06-01T12:00:00Z value=100
    "#]],
    );
}

#[test]
fn hardware_ids_are_replaced() {
    let source = BALCONY.replace("sensor_id =", "hardware_id = true\nsensor_id =");
    let decoded = testing::decode(
        &source,
        "zigbee2mqtt/0x00158d0001a2b3c4",
        r#"{"temperature": 1}"#,
    );
    assert!(decoded.contains(" sensor_id=ns-"), "{decoded}");
    assert!(!decoded.contains("158d0001a2b3c4"), "{decoded}");
}

const COUNTER: &str = r#"
    format = 'json'
    time = { pointer = '/at', format = 'rfc3339' }
    map = [
      { dataset = 'traffic', column = 'segment_id', pointer = '/segment' },
      { dataset = 'traffic', column = 'interval_s', pointer = '/minutes', unit = 'min' },
      { dataset = 'traffic', column = 'bike', pointer = '/bikes' },
      { dataset = 'traffic', column = 'v85', pointer = '/speed', unit = 'm/s' },
      { dataset = 'traffic', column = 'speed_hist', pointer = '/hist' },
    ]"#;

#[test]
fn wide_datasets_are_filled_by_column() {
    let check = |body, expect| check_source(COUNTER, "", body, expect);
    check(
        r#"{"at": "2026-06-01T11:00:00Z", "segment": 9000001463, "minutes": 15, "bikes": 12, "speed": 10,
            "hist": [0, 100, 0, 0, 0, 0, 0, 0]}"#,
        expect![[r#"
            traffic segment_id=9000001463 interval_s=900 time=2026-06-01T11:00:00Z bike=12 v85=36 speed_hist=[0.0, 100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        "#]],
    );
    check(
        r#"{"at": "2026-06-01T11:00:00Z", "segment": 5, "minutes": 15, "bikes": 0}"#,
        expect![[r#"
            traffic segment_id=5 interval_s=900 time=2026-06-01T11:00:00Z bike=0
        "#]],
    );
    check(
        r#"{"at": "2026-06-01T11:00:00Z", "segment": 5, "minutes": 15}"#,
        expect![[r#"
            no_mapped_value: the message has no value at `/bikes`, `/speed`, `/hist`
        "#]],
    );
    check(
        r#"{"at": "2026-06-01T11:00:00Z", "minutes": 15, "bikes": 3}"#,
        expect![[r#"
            missing_field: dataset `traffic` needs `segment_id`, and the message has no value for it
        "#]],
    );
    check(
        r#"{"at": "2026-06-01T11:00:00Z", "segment": 5.5, "minutes": 15, "bikes": 3}"#,
        expect![[r#"
            wrong_type: the value at `/segment` is not a whole number
        "#]],
    );
    check(
        r#"{"at": "2026-06-01T11:00:00Z", "segment": 5, "minutes": 15, "bikes": 3, "hist": "x"}"#,
        expect![[r#"
            wrong_type: the value at `/hist` is not a list of numbers
        "#]],
    );
    let constant = COUNTER.replace(
        "column = 'interval_s', pointer = '/minutes', unit = 'min'",
        "column = 'car', pointer = '/cars', interval_s = 3600",
    );
    check_source(
        &constant,
        "",
        r#"{"at": "2026-06-01T11:00:00Z", "segment": 5, "cars": 7}"#,
        expect![[r#"
            traffic segment_id=5 interval_s=3600 time=2026-06-01T11:00:00Z car=7
        "#]],
    );
}

#[test]
fn a_wrong_declaration_names_source_and_entry() {
    let check = |from: &str, to: &str, expect: &str| {
        assert!(BALCONY.contains(from));
        let error = try_decoders(&BALCONY.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.to_string(), expect);
    };
    check(
        "dataset = 'heat'",
        "dataset = 'heet'",
        "source `test`, map entry 1: no dataset `heet` is declared; declare it in the schema folder or correct the name",
    );
    check(
        "'relative_humidity'",
        "'humidity'",
        "source `test`, map entry 2: dataset `heat` has no property `humidity`; add it to properties.toml or correct the name",
    );
    check(
        "unit = '%'",
        "unit = 'Pa'",
        "source `test`, map entry 2: `Pa` cannot become `%`: they measure different things",
    );
    check(
        "unit = '%'",
        "unit = 'percent'",
        "source `test`, map entry 2: unknown unit `percent`; use a UCUM code such as Cel, [degF], %, hPa, m/s, mm, ug/m3 or [ppb]",
    );
    check(
        "'/humidity'",
        "'humidity'",
        "source `test`, map entry 2: `humidity` is not a JSON Pointer; it is empty (the whole body) or starts with `/`, with ~0 for ~ and ~1 for /",
    );
    check(
        "property = 'relative_humidity'",
        "column = 'value'",
        "source `test`, map entry 2: dataset `heat` is long: the entry must name one `property` and nothing else",
    );
    check(
        "dataset = 'heat'",
        "dataset = 'traffic'",
        "source `test`, map entry 1: dataset `traffic` is wide: the entry must name one `column` and nothing else",
    );
    check(
        "dataset = 'heat'",
        "dataset = 'stations'",
        "source `test`, map entry 1: dataset `stations` takes no mapped messages; use a long or a wide dataset",
    );
    check(
        "sensor_id = '{device}'",
        "sensor_id = '{room}'",
        "source `test`: sensor_id uses `{room}`, which topic pattern `zigbee2mqtt/{device}` does not capture",
    );
    check(
        "sensor_id = '{device}'",
        "sensor_id = '{device'",
        "source `test`: sensor_id template `{device` has an unclosed or empty `{…}`",
    );
    check(
        "sensor_id = '{device}'",
        "",
        r#"source `test`: the map fills dataset `heat`, whose rows need a sensor id; declare `sensor_id = "{device}"` or `sensor_id = { pointer = "/…" }`"#,
    );
    check(
        "topics = ['zigbee2mqtt/{device}']",
        "",
        "source `test`: sensor_id uses `{device}`, which the source, having no topics, does not capture",
    );
    check(
        "zigbee2mqtt/{device}",
        "zigbee2mqtt/#/{device}",
        "source `test`: topic pattern `zigbee2mqtt/#/{device}`: `#` and `{name...}` take all further levels, so they must stand last",
    );
    check(
        "sentinels = [-999, -9999]",
        "time = { pointer = '/t', format = 'rfc3339', zone = 'Leuven' }",
        "source `test`: time zone `Leuven` is not an IANA name (for example `Europe/Brussels`)",
    );
    let unmapped = COUNTER.replacen(
        "{ dataset = 'traffic', column = 'segment_id', pointer = '/segment' },",
        "",
        1,
    );
    let error = try_decoders(&unmapped).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `test`: key column `segment_id` of dataset `traffic` has no map entry; every key column but `time` needs one"
    );
    let reserved = COUNTER.replacen("'segment_id'", "'time'", 1);
    let error = try_decoders(&reserved).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `test`, map entry 1: column `time` is filled by the decoder (`sensor_id` and `time` of the source); leave the entry out"
    );
    let no_map = "format = 'json'\nsensor_id = 's'";
    let error = try_decoders(no_map).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `test`: format `json` needs a `map`: without one no message becomes a row"
    );
}
