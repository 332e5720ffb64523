//! What a body may look like, from no JSON at all to arrays of documents.

use expect_test::expect;

use super::{BALCONY, check, check_source};
use crate::testing::{self, decoders, envelope};

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
