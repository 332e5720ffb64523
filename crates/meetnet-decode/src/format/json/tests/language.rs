//! What a declaration can say of values: constants, sentinels, scales, units, times, intervals, arrays and pairs.

use expect_test::expect;

use super::check_source;
use crate::testing::{self, try_decoders};

const HEAT: &str = "format = 'json'\nsensor_id = 's'\n";

/// Decodes a body by a source of heat, to which `declared` adds.
fn decode(declared: &str, body: &str) -> String {
    let source = format!("{HEAT}{declared}");
    testing::decode(&source, "", body).replace("heat sensor_id=ns-s property=", "")
}

fn error(declared: &str) -> String {
    let error = try_decoders(&format!("{HEAT}{declared}")).unwrap_err();
    error.to_string().replace("source `test`", "s")
}

#[test]
fn a_field_is_a_member_by_its_name() {
    let map = "map = [ { dataset = 'heat', property = 'air_temperature', field = 'a/~ b' } ]";
    assert_eq!(
        decode(map, r#"{"a/~ b": 3, "a": {"~ b": 4}}"#),
        "air_temperature time=2026-06-01T12:00:00Z value=3\n"
    );
}

#[test]
fn sentinels_are_numbers_and_texts_of_source_and_entry() {
    let map = "sentinels = [-999, 'unavailable']
        map = [ { dataset = 'heat', property = 'air_temperature', field = 't' },
                { dataset = 'heat', property = 'relative_humidity', field = 'h', sentinels = [255, 'wet'] } ]";
    for (body, expect) in [
        (
            r#"{"t": -999, "h": 40}"#,
            "relative_humidity time=2026-06-01T12:00:00Z value=40\n",
        ),
        (
            r#"{"t": "-999.0", "h": 40}"#,
            "relative_humidity time=2026-06-01T12:00:00Z value=40\n",
        ),
        (
            r#"{"t": "unavailable", "h": "wet"}"#,
            "no_mapped_value: the message has no value at `t`, `h`\n",
        ),
        (
            r#"{"t": 255, "h": 255}"#,
            "air_temperature time=2026-06-01T12:00:00Z value=255\n",
        ),
        (
            r#"{"t": "wet", "h": 1}"#,
            "relative_humidity time=2026-06-01T12:00:00Z value=1\n\
             wrong_type: the value at `t` is not a number\n",
        ),
        // Case counts: a text is a sentinel as it is written.
        (
            r#"{"t": "Unavailable"}"#,
            "wrong_type: the value at `t` is not a number\n",
        ),
    ] {
        assert_eq!(decode(map, body), expect, "{body}");
    }
}

#[test]
fn scale_and_offset_come_before_the_unit() {
    for (entry, sent, expect) in [
        ("scale = 0.1", "215", "21.5"),
        ("scale = 0.1, offset = -40", "615", "21.5"),
        ("scale = 0.1, unit = '[degF]'", "2120", "100"),
        ("offset = 273.15, unit = 'K'", "-1.5", "-1.5"),
    ] {
        let map = format!(
            "map = [ {{ dataset = 'heat', property = 'air_temperature', field = 't', {entry} }} ]"
        );
        assert_eq!(
            decode(&map, &format!("{{\"t\": {sent}}}")),
            format!("air_temperature time=2026-06-01T12:00:00Z value={expect}\n"),
            "{entry}"
        );
    }
    assert_eq!(
        error(
            "map = [ { dataset = 'heat', property = 'air_temperature', field = 't', scale = 0 } ]"
        ),
        "s, map entry 1: `scale` is a number other than 0, and `offset` a number"
    );
}

#[test]
fn a_sentinel_is_the_number_as_sent() {
    let map = "map = [ { dataset = 'heat', property = 'air_temperature', field = 't', scale = 0.1, sentinels = [32767] } ]";
    assert_eq!(
        decode(map, r#"{"t": 32767}"#),
        "no_mapped_value: the message has no value at `t`\n"
    );
}

#[test]
fn units_of_weather_stations() {
    for (property, unit, sent, expect) in [
        ("air_temperature", "[degF]", "68", "20"),
        ("air_temperature", "°F", "68", "20"),
        ("air_pressure", "[in_i'Hg]", "29.92", "1013.20748119"),
        ("air_pressure", "inHg", "29.92", "1013.20748119"),
        ("wind_speed", "mph", "10", "4.4704"),
        ("wind_speed", "km/h", "36", "10"),
        ("rainfall", "[in_i]", "0.1", "2.54"),
        ("rain_rate", "[in_i]/h", "0.02", "0.508"),
    ] {
        let map = format!(
            "map = [ {{ dataset = 'heat', property = '{property}', field = 'v', unit = \"{unit}\" }} ]"
        );
        assert_eq!(
            decode(&map, &format!("{{\"v\": {sent}}}")),
            format!("{property} time=2026-06-01T12:00:00Z value={expect}\n"),
            "{unit}"
        );
    }
}

#[test]
fn gases_have_the_reference_temperature_that_is_declared() {
    let check = |source: &str, entry: &str, expect: &str| {
        let map = format!(
            "{source}\nmap = [ {{ dataset = 'air', property = 'no2', field = 'v', unit = 'ppb' {entry} }} ]"
        );
        let rows = decode(&map, r#"{"v": 10}"#);
        assert_eq!(
            rows,
            format!("air sensor_id=ns-s property=no2 time=2026-06-01T12:00:00Z value={expect}\n")
        );
    };
    check("", "", "19.125036996");
    check("reference_temperature = 25", "", "18.804308554");
    check("", ", reference_temperature = 25", "18.804308554");
    check(
        "reference_temperature = 25",
        ", reference_temperature = 20",
        "19.125036996",
    );
    assert_eq!(
        error(
            "reference_temperature = 293\nmap = [ { dataset = 'air', property = 'no2', field = 'v', unit = 'ppb' } ]"
        ),
        "s, map entry 1: `reference_temperature` is in Cel, between -50 and 60; write 20 (Europe) or 25 (US EPA)"
    );
    assert_eq!(
        error("map = [ { dataset = 'air', property = 'pm10', field = 'v', unit = 'ppb' } ]"),
        "s, map entry 1: `ppb` becomes `ug/m3` only with the gas's molar mass; declare `molar_mass` for the property"
    );
}

const BIKES: &str = "
    format = 'json'
    interval_s = 900
    constants = { segment_id = 17 }
    map = [ { dataset = 'traffic', column = 'bike', field = 'n' },
            { dataset = 'traffic', column = 'uptime', field = 'up', constant = 1 } ]";

#[test]
fn a_constant_stands_where_the_message_has_no_value() {
    let check = |body, expect| check_source(BIKES, "", body, expect);
    check(
        r#"{"n": 3}"#,
        expect![[r#"
            traffic segment_id=17 interval_s=900 time=2026-06-01T12:00:00Z uptime=1 bike=3
        "#]],
    );
    check(
        r#"{"n": 3, "up": 0.5}"#,
        expect![[r#"
            traffic segment_id=17 interval_s=900 time=2026-06-01T12:00:00Z uptime=0.5 bike=3
        "#]],
    );
    // Constants alone are no observation.
    check(
        "{}",
        expect![[r#"
            no_mapped_value: the message has no value at `n`, `up`
        "#]],
    );
    // Of a row that became a reject nothing stays for the next one.
    check(
        r#"[{"n": "x"}, {"n": 3}]"#,
        expect![[r#"
            traffic segment_id=17 interval_s=900 time=2026-06-01T12:00:00Z uptime=1 bike=3
            wrong_type: the value at `n` is not a number
        "#]],
    );
    for (from, to, expect) in [
        (
            "segment_id = 17",
            "segment_id = 'a'",
            "source `test`: the constant for column `segment_id` must be of type int",
        ),
        (
            "segment_id = 17",
            "segment_id = 17, segmnt = 1",
            "source `test`: `constants`: no wide dataset that the map fills has a column `segmnt`; correct the name (of \
             long datasets only `interval_s` is the same everywhere: it is a key of the source)",
        ),
        (
            "segment_id = 17",
            "segment_id = 17, time = 1",
            "source `test`: column `time` is filled by the decoder (`sensor_id` and `time` of the source); leave the entry out",
        ),
        (
            "interval_s = 900",
            "interval_s = 0",
            "source `test`, map entry 1: `interval_s` is a number of seconds above 0",
        ),
    ] {
        let error = try_decoders(&BIKES.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    assert_eq!(
        error("map = [ { dataset = 'heat', property = 'air_temperature', constant = 1 } ]"),
        "s, map entry 1: a constant is no observation of `air_temperature`; write `pointer` or `field`: constants are \
         for columns of wide datasets"
    );
}

#[test]
fn rows_carry_the_start_of_their_interval() {
    let long = "
        time = { field = 'at', format = 'rfc3339' }
        time_is = 'end'
        interval_s = 600
        map = [ { dataset = 'heat', property = 'air_temperature', field = 't' },
                { dataset = 'heat', property = 'relative_humidity', field = 'h', interval_s = 60 } ]";
    assert_eq!(
        decode(long, r#"{"at": "2026-06-01T11:00:00Z", "t": 1, "h": 2}"#),
        "air_temperature time=2026-06-01T10:50:00Z interval_s=600 value=1\n\
         relative_humidity time=2026-06-01T10:59:00Z interval_s=60 value=2\n"
    );
    let wide = "
        format = 'json'
        time = { field = 'at', format = 'rfc3339' }
        time_is = 'end'
        constants = { segment_id = 17 }
        map = [ { dataset = 'traffic', column = 'bike', field = 'n' },
                { dataset = 'traffic', column = 'interval_s', field = 'min', unit = 'min' } ]";
    check_source(
        wide,
        "",
        r#"[{"at": "2026-06-01T11:00:00Z", "n": 1, "min": 15}, {"at": "2026-06-01T11:00:00Z", "n": 1}]"#,
        expect![[r#"
            traffic segment_id=17 interval_s=900 time=2026-06-01T10:45:00Z bike=1
            missing_field: dataset `traffic` needs `interval_s`, and the message has no value for it
        "#]],
    );
    // The receive time is no end of anything.
    let timeless = "
        time_is = 'end'
        interval_s = 600
        map = [ { dataset = 'heat', property = 'air_temperature', field = 't' } ]";
    assert_eq!(
        decode(timeless, r#"{"t": 1}"#),
        "air_temperature time=2026-06-01T12:00:00Z interval_s=600 value=1\n"
    );
    assert_eq!(
        error(
            "time_is = 'end'\nmap = [ { dataset = 'heat', property = 'air_temperature', field = 't' } ]"
        ),
        "s, map entry 1: with `time_is = \"end\"` the start is the time minus the interval; add `interval_s` to the \
         source or the entry, or map the column `interval_s`"
    );
}

#[test]
fn times_in_every_form() {
    let check = |time: &str, body: &str, expect: &str| {
        let map = "map = [ { dataset = 'heat', property = 'air_temperature', field = 't' } ]";
        assert_eq!(
            decode(&format!("time = {{ {time} }}\n{map}"), body),
            expect,
            "{time} {body}"
        );
    };
    let at = |time: &str| format!("air_temperature time={time} value=1\n");
    check(
        "field = 'at', format = 'unix-us'",
        r#"{"at": 1780311600000001, "t": 1}"#,
        &at("2026-06-01T11:00:00.000001Z"),
    );
    check(
        "field = 'at', format = 'unix-ns'",
        r#"{"at": "1780311600000001999", "t": 1}"#,
        &at("2026-06-01T11:00:00.000001Z"),
    );
    check(
        "field = 'at', format = '%d.%m.%Y %H:%M', zone = 'Europe/Brussels'",
        r#"{"at": "1.6.2026 13:00", "t": 1}"#,
        &at("2026-06-01T11:00:00Z"),
    );
    let apart =
        "field = 'date', clock_pointer = '/time', format = 'rfc3339', zone = 'Europe/Brussels'";
    check(
        apart,
        r#"{"date": "2026-06-01", "time": "13:00:00", "t": 1}"#,
        &at("2026-06-01T11:00:00Z"),
    );
    for body in [
        r#"{"date": "2026-06-01", "t": 1}"#,
        r#"{"time": "13:00:00", "t": 1}"#,
    ] {
        check(
            apart,
            body,
            "missing_field: the message has no time at `date`, where the source declares it\n",
        );
    }
    check(
        apart,
        r#"{"date": "2026-03-29", "time": "02:30:00", "t": 1}"#,
        "bad_time: the time at `date`: the local time does not exist: clocks skip it in spring\n",
    );
    check(
        apart,
        r#"{"date": "2025-10-26", "time": "02:30:00", "t": 1}"#,
        "bad_time: the time at `date`: the local time occurs twice in autumn; declare `doubled_hour = \"first\"` or \
         `\"second\"`\n",
    );
    check(
        &format!("{apart}, doubled_hour = 'second'"),
        r#"{"date": "2025-10-26", "time": "02:30:00", "t": 1}"#,
        &at("2025-10-26T01:30:00Z"),
    );
    let map = "map = [ { dataset = 'heat', property = 'air_temperature', field = 't' } ]";
    for (time, expect) in [
        (
            "field = 'at', format = 'unix_ms'",
            "s: `time`: the format `unix_ms` is no time; use rfc3339, unix, unix-ms, unix-us, unix-ns, or a pattern that \
             has year, month and day (or %j), such as `%Y-%m-%d %H:%M:%S` or `%d/%m/%Y %H:%M`",
        ),
        (
            "format = 'rfc3339'",
            "s: name one place: `pointer` (a JSON Pointer) or `field` (a name)",
        ),
        (
            "field = 'a', clock_field = 'b', clock_pointer = '/c', format = 'rfc3339'",
            "s: name one place: `pointer` (a JSON Pointer) or `field` (a name)",
        ),
    ] {
        assert_eq!(error(&format!("time = {{ {time} }}\n{map}")), expect);
    }
}

#[test]
fn each_element_of_an_array_is_a_message() {
    let source = "
        format = 'json'
        sensor_id = { pointer = '/readings/*/id' }
        time = { pointer = '/readings/*/at', format = 'unix' }
        map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/readings/*/v/t' },
                { dataset = 'heat', property = 'air_pressure', pointer = '/site/p' } ]";
    let check = |body, expect| check_source(source, "", body, expect);
    check(
        r#"{"site": {"p": 1000}, "readings": [
            {"id": "a", "at": 1780311600, "v": {"t": 1}},
            {"id": "b", "v": {"t": 2}},
            7,
            {"id": "c", "at": 1780311660, "v": {}}]}"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=1
            heat sensor_id=ns-a property=air_pressure time=2026-06-01T11:00:00Z value=1000
            heat sensor_id=ns-c property=air_pressure time=2026-06-01T11:01:00Z value=1000
            missing_field: the message has no time at `/readings/*/at`, where the source declares it
            missing_field: the message has no sensor id where the source's `sensor_id` says
        "#]],
    );
    check(
        r#"{"readings": []}"#,
        expect![[r#"
            no_observation: the array at `/readings` is empty
        "#]],
    );
    check(
        r#"[{"readings": {"id": "a"}}, {}]"#,
        expect![[r#"
            unexpected_shape: the message has no array at `/readings`
            unexpected_shape: the message has no array at `/readings`
        "#]],
    );
    // A body that is an array is one message per element anyway.
    let root = "map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/*/t' } ]";
    assert_eq!(
        decode(root, r#"[{"t": 1}]"#),
        "air_temperature time=2026-06-01T12:00:00Z value=1\n"
    );
    for (pointers, expect) in [
        (
            ["/a/*/t", "/b/*/h"],
            "s, map entry 2: `/a` and `/b` are two arrays; the elements of one array are read as messages, so use two \
             sources or positions",
        ),
        (
            ["/a/*/t", "/a/*/b/*/h"],
            "s, map entry 2: `/a/*/b/*/h`: `*` stands for the position in an array once in a pointer, in the \
             formats `json` and `ndjson`, and not beside `pairs`",
        ),
    ] {
        let [t, h] = pointers;
        let map = format!(
            "map = [ {{ dataset = 'heat', property = 'air_temperature', pointer = '{t}' }},
                     {{ dataset = 'heat', property = 'relative_humidity', pointer = '{h}' }} ]"
        );
        assert_eq!(error(&map), expect);
    }
}

#[test]
fn pairs_of_name_and_value_are_fields() {
    let source = "
        format = 'json'
        sensor_id = { pointer = '/id' }
        time = { field = 'at', format = 'unix' }
        pairs = { name = '/values/*/type', value = '/values/*/v/now' }
        map = [ { dataset = 'heat', property = 'air_temperature', field = 'temp' },
                { dataset = 'heat', property = 'air_pressure', pointer = '/p' } ]";
    let check = |body, expect| check_source(source, "", body, expect);
    check(
        r#"{"id": "a", "p": 1000, "temp": 7, "values": [
            {"type": "at", "v": {"now": 1780311600}},
            {"type": "temp", "v": {"now": "1"}}, {"type": "other", "v": {"now": 1}}, 5,
            {"v": {"now": 1}}, {"type": "temp", "v": {"now": 2}}]}"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=2
            heat sensor_id=ns-a property=air_pressure time=2026-06-01T11:00:00Z value=1000
        "#]],
    );
    // Nothing of a message stays for the next one.
    check(
        r#"[{"id": "a", "values": [{"type": "at", "v": {"now": 1780311600}}, {"type": "temp", "v": {"now": 1}}]},
            {"id": "b", "values": [{"type": "at", "v": {"now": 1780311600}}]}]"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=1
            no_mapped_value: the message has no value at `temp`, `/p`
        "#]],
    );
    check(
        r#"{"id": "a", "values": {}}"#,
        expect![[r#"
            unexpected_shape: the message has no array at `/values`
        "#]],
    );
    let wrong = "s: `pairs`: `name` and `value` point into the elements of one array, such as `/values/*/type` and \
                 `/values/*/value`";
    for pairs in [
        "name = '/values/0/type', value = '/values/*/v'",
        "name = '/values/*/type', value = '/others/*/v'",
        "name = '/values/*/type', value = '/values/*/type'",
    ] {
        let map = "map = [ { dataset = 'heat', property = 'air_temperature', field = 't' } ]";
        assert_eq!(error(&format!("pairs = {{ {pairs} }}\n{map}")), wrong);
    }
    assert_eq!(
        error(
            "pairs = { name = '/a/*/n', value = '/a/*/v' }
             map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/b/*/t' } ]"
        ),
        "s, map entry 1: `/b/*/t`: `*` stands for the position in an array once in a pointer, in the formats `json` and \
         `ndjson`, and not beside `pairs`"
    );
}
