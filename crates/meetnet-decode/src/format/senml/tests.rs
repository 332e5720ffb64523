use expect_test::{Expect, expect};
use meetnet_model::units::canonical_unit;

use super::UNITS;
use crate::testing::{decode, try_decoders};

const CITY: &str = r#"
    format = 'senml'
    map = [
      { dataset = 'heat', property = 'air_temperature', field = 'temperature' },
      { dataset = 'heat', property = 'relative_humidity', field = 'humidity' },
      { dataset = 'heat', property = 'rainfall', field = 'rain#sum', unit = 'mm' },
      { dataset = 'heat', property = 'rain_rate', field = 'rain' },
    ]"#;

fn check(body: &str, expect: Expect) {
    expect.assert_eq(&decode(CITY, "", body));
}

#[test]
fn codes_are_units_that_are_known() {
    for (code, unit) in UNITS {
        assert_eq!(canonical_unit(unit), Some(*unit), "{code}");
    }
    for (code, unit) in [("rad", "rad"), ("J", "J")] {
        assert!(UNITS.contains(&(code, unit)), "{code}");
    }
}

#[test]
fn base_fields_hold_for_the_records_behind_them() {
    check(
        r#"[{"bn": "roof-3:", "bt": 1780311600, "bu": "Cel", "bver": 10, "n": "temperature", "v": 21.5},
            {"n": "humidity", "u": "%RH", "v": 40, "t": -5}, {"n": "temperature", "v": 22, "t": 60.5},
            {"bn": "roof-4/", "bt": 1.7803116e9, "n": "temperature", "v": "23"}]"#,
        expect![[r#"
            heat sensor_id=ns-roof-3 property=air_temperature time=2026-06-01T11:00:00Z value=21.5
            heat sensor_id=ns-roof-3 property=relative_humidity time=2026-06-01T10:59:55Z value=40
            heat sensor_id=ns-roof-3 property=air_temperature time=2026-06-01T11:01:00.500Z value=22
            heat sensor_id=ns-roof-4 property=air_temperature time=2026-06-01T11:00:00Z value=23
        "#]],
    );
    // A record may set base fields and measure nothing; a base value is added.
    check(
        r#"[{"bn": "a:", "bv": 20, "bt": 1780311600}, {"n": "temperature", "v": 1.5}, {"n": "temperature", "v": -1, "t": 1}]"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=21.5
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:01Z value=19
        "#]],
    );
}

#[test]
fn a_member_is_known_by_its_whole_name_however_that_is_written() {
    let of = |members: &str| decode(CITY, "", &format!("[{{{members}}}]"));
    let row = "heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=1\n";
    for members in [
        r#""n": "a:temperature", "v": 1"#,
        r#""\u006e": "a:temperature", "\u0076": 1"#,
        r#""\u0062n": "a:", "n": "temperature", "v": 1"#,
        // Of a repeated one the last counts.
        r#""n": "b:rain", "v": 2, "v": 1, "n": "a:temperature""#,
        r#""\u006e": "b:rain", "v": 2, "n": "a:temperature", "\u0076": 1"#,
        r#""n": "a:temperature", "v": 1, "vx": 2, "bn:": "b:", "bvers": 11, "nn": "x", "": 3"#,
        // What need not be understood is passed over.
        r#""n": "a:temperature", "v": 1, "\u0075t": 60, "\u006fwner\u00e9": "x", "a\u005fb": 4"#,
    ] {
        assert_eq!(of(members), row, "{members}");
    }
    for unknown in [r#""v_": 1"#, r#""_": 1"#, r#""must\u005f": 1"#] {
        let text = of(&format!(r#""n": "a:temperature", "v": 1, {unknown}"#));
        assert!(text.starts_with("unexpected_shape: "), "{unknown}: {text}");
    }
}

#[test]
fn times_below_two_to_the_28_are_relative_to_now() {
    let at = |times: &str| {
        decode(
            CITY,
            "",
            &format!(r#"[{{"n": "a:temperature", "v": 1{times}}}]"#),
        )
    };
    let row =
        |time: &str| format!("heat sensor_id=ns-a property=air_temperature time={time} value=1\n");
    for (times, expect) in [
        ("", "2026-06-01T12:00:00Z"),
        (r#", "t": 0"#, "2026-06-01T12:00:00Z"),
        (r#", "t": -60"#, "2026-06-01T11:59:00Z"),
        (r#", "bt": -60, "t": -0.5"#, "2026-06-01T11:58:59.500Z"),
        (r#", "t": 1780311600"#, "2026-06-01T11:00:00Z"),
        (r#", "bt": 1780311000, "t": 600"#, "2026-06-01T11:00:00Z"),
    ] {
        assert_eq!(at(times), row(expect), "{times}");
    }
    // An actuation in the future is no measurement; neither is a clock that was never set.
    assert!(at(r#", "t": 7200"#).starts_with("time_out_of_window: "));
    assert!(at(r#", "t": 268435455"#).starts_with("time_out_of_window: "));
    assert!(
        at(r#", "t": 268435456"#)
            .starts_with("bad_time: the time 1978-07-04T21:24:16Z lies before 2015")
    );
    assert_eq!(
        at(r#", "t": "soon""#),
        "bad_time: the time at `t`: not a number of seconds since 1970\n"
    );
}

#[test]
fn sums_are_another_quantity_than_values() {
    check(
        r#"[{"bn": "a:", "bs": 100, "n": "rain", "u": "mm/h", "v": 2.5, "s": 0.5}, {"n": "rain", "s": 1}]"#,
        expect![[r#"
            heat sensor_id=ns-a property=rain_rate time=2026-06-01T12:00:00Z value=2.5
            heat sensor_id=ns-a property=rainfall time=2026-06-01T12:00:00Z value=100.5
            heat sensor_id=ns-a property=rainfall time=2026-06-01T12:00:00Z value=101
        "#]],
    );
}

#[test]
fn the_unit_of_a_record_wins() {
    let of = |unit: &str, value: &str| {
        let body = format!(r#"[{{"n": "a:temperature", "v": {value}, "u": "{unit}"}}]"#);
        decode(CITY, "", &body)
    };
    let row = |value: &str| {
        format!(
            "heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value={value}\n"
        )
    };
    assert_eq!(of("Cel", "21.5"), row("21.5"));
    assert_eq!(of("K", "294.65"), row("21.5"));
    assert_eq!(of("", "21.5"), row("21.5"));
    for unit in ["lx", "furlong"] {
        assert_eq!(
            of(unit, "21.5"),
            "wrong_type: the message states a unit for the value at `temperature` that is not known or does not become `Cel`\n"
        );
    }
    // Without one it is the unit of the map.
    let source = CITY.replace("field = 'temperature'", "field = 'temperature', unit = 'K'");
    assert_eq!(
        decode(&source, "", r#"[{"n": "a:temperature", "v": 294.65}]"#),
        row("21.5")
    );
}

#[test]
fn names_are_taken_by_their_end() {
    let source = r#"
        format = 'senml'
        map = [
          { dataset = 'heat', property = 'air_temperature', field = 'temp' },
          { dataset = 'heat', property = 'dew_point', field = 'dew/temp' },
          { dataset = 'noise', property = 'laeq', field = '' },
        ]"#;
    let of = |name: &str| decode(source, "", &format!(r#"[{{"n": "{name}", "v": 1}}]"#));
    let row = |rest: &str| format!("{rest} time=2026-06-01T12:00:00Z value=1\n");
    for (name, expect) in [
        (
            "roof:temp",
            "heat sensor_id=ns-roof property=air_temperature",
        ),
        (
            "roof_temp",
            "heat sensor_id=ns-roof property=air_temperature",
        ),
        (
            "roof/1.temp",
            "heat sensor_id=ns-roof/1 property=air_temperature",
        ),
        ("roof:dew/temp", "heat sensor_id=ns-roof property=dew_point"),
        // The whole name, where nothing stands before.
        ("temp", "heat sensor_id=ns-temp property=air_temperature"),
        ("dew/temp", "heat sensor_id=ns-dew/temp property=dew_point"),
        // Only whole parts count; all others are taken by the empty one.
        ("rooftemp", "noise sensor_id=ns-rooftemp property=laeq"),
        ("temp:x", "noise sensor_id=ns-temp:x property=laeq"),
    ] {
        assert_eq!(of(name), row(expect), "{name}");
    }
}

#[test]
fn device_urns_are_hardware_ids() {
    let of = |name: &str| {
        let text = decode(
            CITY,
            "",
            &format!(r#"[{{"bn": "{name}", "n": "temperature", "v": 1}}]"#),
        );
        let rest = text.split(" sensor_id=").nth(1).unwrap_or_default();
        rest.split(' ').next().unwrap_or_default().to_owned()
    };
    let mac = of("urn:dev:mac:0024befffe804ff1_");
    assert!(mac.starts_with("ns-") && !mac.contains("0024be"), "{mac}");
    assert_eq!(mac, of("urn:dev:mac:0024BEFFFE804FF1/"));
    let one_wire = of("urn:dev:ow:10e2073a01080063:");
    assert!(one_wire.len() == 19 && one_wire != mac, "{one_wire}");
    assert_eq!(of("station:"), "ns-station");
}

#[test]
fn what_is_no_measurement_says_why_and_takes_no_other_with_it() {
    check(
        r#"[{"bn": "a:", "n": "temperature", "v": 1}, {"n": "battery", "v": 3}, {"n": "x", "vs": "on"},
            {"n": "temperature", "vs": "warm"}, {"n": "temperature", "vb": true}, {"n": "temperature", "v": {}},
            {"n": "temperature", "v": 2, "must_": 1}, {"n": "temperature", "v": 2, "ignored": 1}, 5,
            {"n": "tempörature", "v": 1}, {"n": 7, "v": 3}]"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=1
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=2
            wrong_type: the value at `temperature` is not a number
            wrong_type: the value of the record is no number
            wrong_type: the value of the record is no number
            unexpected_shape: the record has a member ending in `_`, which must be understood and is not
            unexpected_shape: a record is no object
            wrong_type: `bn` and `n` make no SenML name: letters, digits, `-`, `:`, `.`, `/` and `_`, a letter or digit first
            no_mapped_value: 3 record(s) have a name that no entry of the `map` takes, the first of them in the excerpt; add an entry whose `field` is the end of the name to keep them
        "#]],
    );
    check(
        r#"[{"v": 1}]"#,
        expect![[r#"
            missing_field: the record has no name: neither `bn` nor `n`
        "#]],
    );
    check(
        "[]",
        expect![[r#"
            no_observation: the pack has no record
        "#]],
    );
    check(
        r#"{"n": "a:temperature", "v": 1}"#,
        expect![[r#"
            unexpected_shape: no SenML pack: the body is no array of records
        "#]],
    );
    check(
        r#"[{"n": "a:temperature", "v": 1"#,
        expect![[r#"
            malformed: not JSON: EOF while parsing an object at line 1 column 30
        "#]],
    );
}

#[test]
fn a_record_without_a_value_is_not_dropped_silently() {
    // The first one only sets base fields.
    check(
        r#"[{"bn": "a:", "bt": 1780311600}, {"n": "temperature", "v": 1}, {"n": "temperature", "val": 2},
            {"n": "temperature", "v": "NaN"}, {"n": "temperature", "v": null}, {"n": "temperature", "vs": ""},
            {"n": "rain", "s": null}, {"val": 3}, {}]"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=1
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
        "#]],
    );
    // What is missing is not the base value either.
    check(
        r#"[{"bn": "a:", "bv": 20, "n": "temperature", "v": "NaN"}, {"n": "rain", "bv": 0, "v": "NaN", "s": 0.5}]"#,
        expect![[r#"
            heat sensor_id=ns-a property=rainfall time=2026-06-01T12:00:00Z value=0.5
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
        "#]],
    );
    // A list in the form of an older draft.
    check(
        r#"[{"e": [{"n": "a:temperature", "v": 1}]}]"#,
        expect![[r#"
            no_mapped_value: the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and declared sentinels are none
        "#]],
    );
    for pack in [
        r#"[{"bn": "a:", "bt": 1780311600}]"#,
        r#"[{"bn": "a:temperature", "value": 21}, {"bt": 1780311600}]"#,
    ] {
        check(
            pack,
            expect![[r#"
                no_observation: no record of the pack has a value: all of them only set base fields
            "#]],
        );
    }
}

#[test]
fn a_base_field_that_cannot_be_read_holds_for_the_records_behind_it() {
    check(
        r#"[{"n": "a:temperature", "v": 1}, {"bt": "noon", "n": "a:temperature", "v": 2}, {"n": "a:temperature", "v": 3}]"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=1
            bad_time: the time at `bt`: not a number of seconds since 1970; it holds for all records behind it, too
            bad_time: the time at `bt`: not a number of seconds since 1970; it holds for all records behind it, too
        "#]],
    );
    check(
        r#"[{"bver": 11, "n": "a:temperature", "v": 1}]"#,
        expect![[r#"
            unexpected_shape: `bver` is not a version up to 10; it holds for all records behind it, too
        "#]],
    );
    assert!(decode(CITY, "", r#"[{"bver": 5, "n": "a:temperature", "v": 1}]"#).starts_with("heat"));
}

#[test]
fn declarations_that_cannot_work_are_refused() {
    let check = |more: &str, expect: Expect| {
        let error = try_decoders(&CITY.replace("map =", &format!("{more}\nmap ="))).unwrap_err();
        expect.assert_eq(&error.to_string());
    };
    check(
        "time = { pointer = '/t', format = 'unix' }",
        expect![
            "source `test`: format `senml` says itself when a value was measured; remove `time`"
        ],
    );
    check(
        "sensor_id = { pointer = '/bn' }",
        expect![
            "source `test`: format `senml` names the sensor in its records; leave `sensor_id` out, or write a text with captures of the topic"
        ],
    );
    let named = CITY.replace(
        "map =",
        "topics = ['senml/{device}']\nsensor_id = '{device}'\nmap =",
    );
    assert_eq!(
        decode(&named, "senml/roof", r#"[{"n": "temperature", "v": 1}]"#),
        "heat sensor_id=ns-roof property=air_temperature time=2026-06-01T12:00:00Z value=1\n"
    );
}

/// What a name stands for is kept from one record to the next, and rows of one series are made together: a pack is the
/// same as its records in packs of their own.
#[test]
fn a_record_is_what_it_would_be_in_a_pack_of_its_own() {
    let records = [
        r#""n": "temperature", "v": 21.5"#,
        r#""n": "temperature", "v": 22, "t": -5"#,
        r#""n": "temperature", "v": 295.5, "u": "K", "t": 3"#,
        r#""n": "temperature", "v": 1, "u": "lm""#,
        r#""n": "temperature", "v": 2, "u": "lm""#,
        r#""n": "temperature", "v": 3, "u": {}"#,
        r#""n": "temperature", "v": 21, "u": null"#,
        r#""n": "temperature", "v": "22.5""#,
        r#""n": "temperature", "vb": true"#,
        r#""n": "temperature", "vs": "23""#,
        r#""n": "temperature", "v": 24, "t": 1780311660"#,
        r#""n": "rain", "v": 2, "u": "mm/h", "s": 12.5"#,
        r#""n": "rain", "v": 3, "u": "mm/h", "s": 12.75"#,
        r#""n": "rain", "s": 13"#,
        r#""n": "nobody's", "v": 1"#,
        r#""n": "humidity", "v": 40, "u": "%RH", "t": 1.5"#,
        r#""n": "humidity", "v": 41, "u": "/""#,
        r#""n": "", "v": 1"#,
        r#""n": "temperature", "v": 25, "t": -1780311600"#,
        r#""n": "temperature", "v": 1e1, "x_": 1"#,
        r#""n": "temperature", "v": 26"#,
    ];
    for base in [
        r#""bn": "roof:", "bt": 1780311600, "bu": "Cel""#,
        r#""bn": "urn:dev:mac:0024befffe804ff1/", "bt": 1780311600, "bu": "Cel""#,
        r#""bn": "roof:", "bt": 1780311600, "bu": "Cel", "bv": 20"#,
    ] {
        let pack = |records: &str| decode(CITY, "", &format!("[{{{base}}},{records}]"));
        let whole: Vec<String> = records
            .iter()
            .map(|record| format!("{{{record}}}"))
            .collect();
        let each: String = whole.iter().map(|record| pack(record)).collect();
        // Rows come before rejects, and names that nobody takes are counted together.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let together = pack(&whole.join(","));
        assert_eq!(sorted(&together), sorted(&each));
        let rows = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| line.starts_with("heat "))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(rows(&together), rows(&each));
        // A name holds for the records behind a base name, not for those before it.
        let two = pack(&format!(
            "{},{{\"bn\": \"cellar:\"}},{}",
            whole[0], whole[0]
        ));
        assert_eq!(rows(&two).len(), 2, "{two}");
        assert!(two.contains("ns-cellar"), "{two}");
    }
}
