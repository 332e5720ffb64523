//! Which values become rows, and how they are read.

use expect_test::{Expect, expect};

use super::{BALCONY, COUNTER, check, check_source};
use crate::testing;

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
fn a_text_may_have_a_decimal_comma_where_that_is_declared() {
    let balcony = BALCONY.replace("format = 'json'", "format = 'json'\ndecimal_comma = true");
    let check = |body: &str, expect: Expect| {
        check_source(&balcony, "zigbee2mqtt/a1", body, expect);
    };
    check(
        r#"{"temperature": "21,5", "humidity": " -0,25 ", "air": {"pressure": "100659"}}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=21.5
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=-0.25
            heat sensor_id=ns-a1 property=air_pressure time=2026-06-01T12:00:00Z value=1006.59
        "#]],
    );
    // Numbers, points and what means "no value" stay what they are.
    check(
        r#"{"temperature": 1.013, "humidity": "44.5", "air": {"pressure": "-999,0"}}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=1.013
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=44.5
        "#]],
    );
    check(
        r#"{"temperature": "", "humidity": "0,0"}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=0
        "#]],
    );
    // Nobody can tell a decimal point from one that groups digits.
    check(
        r#"{"temperature": "1.013", "humidity": "1.013,5"}"#,
        expect![[r#"
            wrong_type: the value at `/temperature` has a point before its last three digits, which with `decimal_comma` may be a decimal point or group digits; let the sender write `1,013` or `1013`
            wrong_type: the value at `/humidity` is not a number
        "#]],
    );
    // Columns: whole numbers, converted or not, and others.
    let counter = COUNTER.replace("format = 'json'", "format = 'ndjson'\ndecimal_comma = true");
    check_source(
        &counter,
        "",
        r#"{"at": "2026-06-01T11:00:00Z", "segment": "17,0", "minutes": "7,5", "bikes": "12,5", "speed": "10,0"}"#,
        expect![[r#"
            traffic segment_id=17 interval_s=450 time=2026-06-01T11:00:00Z bike=12.5 v85=36
        "#]],
    );
    check_source(
        &counter,
        "",
        r#"{"at": "2026-06-01T11:00:00Z", "segment": "1.017", "minutes": 15, "bikes": 3}"#,
        expect![[r#"
            wrong_type: the value at `/segment` has a point before its last three digits, which with `decimal_comma` may be a decimal point or group digits; let the sender write `1,013` or `1013`
        "#]],
    );
}

#[test]
fn a_number_may_have_its_unit_behind_it_where_that_is_declared() {
    let declared =
        |keys: &str| BALCONY.replace("format = 'json'", &format!("format = 'json'\n{keys}"));
    let balcony = declared("unit_in_value = true");
    let check_by = |source: &str, body: &str, expect: Expect| {
        check_source(source, "zigbee2mqtt/a1", body, expect);
    };
    // The unit that stands there counts, and without one that of the map.
    check_by(
        &balcony,
        r#"{"temperature": "70.7 °F", "humidity": "55 %", "air": {"pressure": "1006.59hPa"}}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=21.5
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=55
            heat sensor_id=ns-a1 property=air_pressure time=2026-06-01T12:00:00Z value=1006.59
        "#]],
    );
    check_by(
        &balcony,
        r#"{"temperature": "-999 °C", "humidity": 44.5, "air": {"pressure": "100659"}}"#,
        expect![[r#"
            heat sensor_id=ns-a1 property=relative_humidity time=2026-06-01T12:00:00Z value=44.5
            heat sensor_id=ns-a1 property=air_pressure time=2026-06-01T12:00:00Z value=1006.59
        "#]],
    );
    // One that nobody knows, and one of something else.
    check_by(
        &balcony,
        r#"{"temperature": "21.3 grad", "humidity": "21.3 °C", "air": {"pressure": "warm"}}"#,
        expect![[r#"
            wrong_type: the value at `/temperature`, `21.3 grad`, has another unit than it may: unknown unit `grad`; use a UCUM code such as Cel, [degF], %, hPa, m/s, mm, ug/m3 or [ppb]
            wrong_type: the value at `/humidity`, `21.3 °C`, has another unit than it may: `°C` cannot become `%`: they measure different things
            wrong_type: the value at `/air/pressure` is not a number
        "#]],
    );
    // A comma is declared by itself.
    let sent = r#"{"temperature": "21,5 °C", "air": {"pressure": "1.013 hPa"}}"#;
    check_by(
        &balcony,
        sent,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_pressure time=2026-06-01T12:00:00Z value=1.013
            wrong_type: the value at `/temperature`, `21,5 °C`, is not a number; if its comma is a decimal comma, declare `decimal_comma = true` for the source
        "#]],
    );
    check_by(
        &declared("unit_in_value = true\ndecimal_comma = true"),
        sent,
        expect![[r#"
            heat sensor_id=ns-a1 property=air_temperature time=2026-06-01T12:00:00Z value=21.5
            wrong_type: the value at `/air/pressure` has a point before its last three digits, which with `decimal_comma` may be a decimal point or group digits; let the sender write `1,013` or `1013`
        "#]],
    );
    // Columns: whole numbers, converted or not, and such as have no unit.
    let counter = COUNTER.replace("format = 'json'", "format = 'ndjson'\nunit_in_value = true");
    check_source(
        &counter,
        "",
        "{\"at\": \"2026-06-01T11:00:00Z\", \"segment\": 17, \"minutes\": \"0.5 h\", \"bikes\": 12, \"speed\": \"36 km/h\"}\n\
         {\"at\": \"2026-06-01T11:00:00Z\", \"segment\": \"17 m\", \"minutes\": 15, \"bikes\": 12}",
        expect![[r#"
            traffic segment_id=17 interval_s=1800 time=2026-06-01T11:00:00Z bike=12 v85=36
            wrong_type: the value at `/segment`, `17 m`, has a unit behind the number, and what it becomes has none; let the sender write the number alone
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
            wrong_type: the value at `/temperature` is not a number; if its comma is a decimal comma, declare `decimal_comma = true` for the source
        "#]],
    );
    check(
        r#"{"temperature": "21.3 °C", "humidity": "12,5%"}"#,
        expect![[r#"
            wrong_type: the value at `/temperature`, `21.3 °C`, has a unit behind the number; declare `unit_in_value = true` for the source, or let the sender write the number alone
            wrong_type: the value at `/humidity`, `12,5 %`, has a unit behind the number; declare `unit_in_value = true` for the source, or let the sender write the number alone
        "#]],
    );
    // No decimal comma.
    check(
        r#"{"temperature": "1,234,5", "humidity": "4,x"}"#,
        expect![[r#"
            wrong_type: the value at `/temperature` is not a number
            wrong_type: the value at `/humidity` is not a number
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
