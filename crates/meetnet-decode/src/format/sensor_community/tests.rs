use expect_test::{Expect, expect};

use crate::testing;

const SOURCE: &str = "format = 'sensor-community'\nkind = 'poll'";

/// Compares all rows but those of `stations`, which `crate::stations` tests.
fn check(body: &str, expect: Expect) {
    let topic = "/airrohr/v1/filter/area=50.88,4.7,10";
    let decoded = testing::decode(SOURCE, topic, body);
    let measured: String = decoded
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("stations "))
        .collect();
    expect.assert_eq(&measured);
}

fn reading(id: &str, device: &str, values: &[(&str, &str)]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|(name, value)| format!(r#"{{"id": 9, "value_type": "{name}", "value": {value}}}"#))
        .collect();
    format!(
        r#"{{"id": 3452716782, "sampling_rate": null, "timestamp": "2026-06-01 09:51:12",
            "location": {{"id": 7, "latitude": "50.88", "longitude": "4.70", "country": "BE", "indoor": 0}},
            "sensor": {{"id": {id}, "pin": "1", "sensor_type": {{"id": 14, "name": "{device}"}}}},
            "sensordatavalues": [{}]}}"#,
        values.join(", ")
    )
}

#[test]
fn readings_of_several_devices() {
    let body = [
        reading("140", "SDS011", &[("P1", "\"19.13\""), ("P2", "\"16.23\"")]),
        reading(
            "141",
            "BME280",
            &[
                ("temperature", "\"18.80\""),
                ("humidity", "76.7"),
                ("pressure", "\"100659.00\""),
                ("pressure_at_sealevel", "101325.5"),
            ],
        ),
        reading("142", "DNMS (Teensy)", &[("noise_LAeq", "\"51.2\"")]),
    ];
    check(
        &format!("[{}]", body.join(",")),
        expect![[r#"
            air sensor_id=ns-140 property=pm2_5 time=2026-06-01T09:51:12Z value=16.23
            air sensor_id=ns-140 property=pm10 time=2026-06-01T09:51:12Z value=19.13
            heat sensor_id=ns-141 property=air_temperature time=2026-06-01T09:51:12Z value=18.8
            heat sensor_id=ns-141 property=relative_humidity time=2026-06-01T09:51:12Z value=76.7
            heat sensor_id=ns-141 property=air_pressure time=2026-06-01T09:51:12Z value=1006.59
            heat sensor_id=ns-141 property=sea_level_pressure time=2026-06-01T09:51:12Z value=1013.255
            noise sensor_id=ns-142 property=laeq time=2026-06-01T09:51:12Z value=51.2
        "#]],
    );
}

#[test]
fn counts_are_no_masses() {
    let counter = reading(
        "9",
        "PPD42NS",
        &[("P1", "\"912.1\""), ("P2", "\"0.62\""), ("durP1", "\"0\"")],
    );
    check(&format!("[{counter}]"), expect![[""]]);
}

#[test]
fn implausible_values_stay_and_missing_ones_make_no_row() {
    let body = [
        reading(
            "1",
            "BME280",
            &[
                ("temperature", "\"-144.7\""),
                ("humidity", "\"\""),
                ("pressure", "null"),
            ],
        ),
        reading("2", "SDS011", &[("P1", "\"1999.90\""), ("P2", "\"nan\"")]),
    ];
    check(
        &format!("[{}]", body.join(",")),
        expect![[r#"
            air sensor_id=ns-2 property=pm10 time=2026-06-01T09:51:12Z value=1999.9
            heat sensor_id=ns-1 property=air_temperature time=2026-06-01T09:51:12Z value=-144.7
        "#]],
    );
}

#[test]
fn what_nobody_knows_is_named_once_for_all() {
    let body = [
        reading("1", "NEW", &[("ozone", "\"3\"")]),
        reading(
            "2",
            "NEW",
            &[("ozone", "\"4\""), ("P1", "\"5\""), ("gas", "\"6\"")],
        ),
    ];
    check(
        &format!("[{}]", body.join(",")),
        expect![[r#"
            air sensor_id=ns-2 property=pm10 time=2026-06-01T09:51:12Z value=5
            no_mapped_value: 3 value type(s) not known: ozone, gas; add them to the source's `map` to keep them
        "#]],
    );
}

#[test]
fn one_bad_reading_takes_no_other_with_it() {
    let good = reading("1", "SDS011", &[("P1", "\"5\"")]);
    let nameless = good.replace("\"id\": 1, \"pin\"", "\"pin\"");
    let timeless = good.replace("2026-06-01 09:51:12", "yesterday");
    let wrong = good.replace("\"5\"", "\"five\"");
    check(
        &format!("[{nameless}, 7, {timeless}, {wrong}, {good}]"),
        expect![[r#"
            air sensor_id=ns-1 property=pm10 time=2026-06-01T09:51:12Z value=5
            missing_field: the reading does not say in `sensor.id` (`sensor_id`) which sensor it is from
            unexpected_shape: the reading has no list `sensordatavalues`
            bad_time: the time at `timestamp`: not an RFC 3339 / ISO 8601 time such as 2026-01-31T12:00:00Z
            wrong_type: the value at `P1` is not a number
        "#]],
    );
}

#[test]
fn bodies_that_are_no_list() {
    check("[]", expect![[""]]);
    check(
        r#"{"detail": "not found"}"#,
        expect![[r#"
            unexpected_shape: no list of readings, and no file of the archive
        "#]],
    );
    check(
        "sensor_id;name\n1;x\n",
        expect![[r#"
            unexpected_shape: the first line names other columns than a file of the archive
        "#]],
    );
}

#[test]
fn a_day_of_the_archive() {
    check(
        "sensor_id;sensor_type;location;lat;lon;timestamp;P1;durP1;ratioP1;P2;durP2;ratioP2\r\n\
         140;SDS011;64;50.881;4.701;2026-06-01T00:02:12;4.97;;;4.20;;\r\n\
         140;SDS011;64;50.881;4.701;2026-06-01T00:04:39.500;5;;;;;\r\n\
         9;PPD42NS;64;50.881;4.701;2026-06-01T00:05:00;912.1;1;2;0.62;0;0\r\n\
         140;SDS011;64;",
        expect![[r#"
            air sensor_id=ns-140 property=pm2_5 time=2026-06-01T00:02:12Z value=4.2
            air sensor_id=ns-140 property=pm10 time=2026-06-01T00:02:12Z value=4.97
            air sensor_id=ns-140 property=pm10 time=2026-06-01T00:04:39.500Z value=5
            malformed: the line has 4 columns instead of 12: it was cut short
        "#]],
    );
}
