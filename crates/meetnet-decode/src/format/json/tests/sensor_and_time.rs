//! Which sensor a message is from, and when it was made.

use expect_test::{Expect, expect};

use super::{BALCONY, check_source};
use crate::testing;

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
            bad_time: the time 1970-01-21T14:31:55.199Z lies before 2015: in a unit 1000 times as long it would be of 2026-06-01, so check the unit of the source's `time`, or the precision that the sender names
        "#]],
    );
    check(
        r#"{"id": "m1", "ts": 1780322400001, "db": 54.2}"#,
        expect![[r#"
            time_out_of_window: the time 2026-06-01T14:00:00.001Z lies 2h after the receive time; the source's time_window allows 1h ahead
        "#]],
    );
    check(
        r#"{"id": "m1", "ts": 1700000000000, "db": 54.2}"#,
        expect![[r#"
            time_out_of_window: the time 2023-11-14T22:13:20Z lies 929d before the receive time; the source's time_window allows 400d back
        "#]],
    );
    check(
        r#"{"id": "m1", "ts": 99999999999999999999999, "db": 54.2}"#,
        expect![[r#"
            bad_time: the time at `/ts`: the time lies outside the years 1 to 9999; is it in a smaller unit, such as milliseconds in the place of seconds?
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
