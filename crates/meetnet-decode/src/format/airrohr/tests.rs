use expect_test::{Expect, expect};

use crate::testing::{self, decoders, envelope, render, try_decoders};

/// A source whose boxes have a fixed name, so that rows read well.
const BOX: &str = "format = 'airrohr'\nkind = 'http'\nsensor_id = 'box'";

fn body(values: &[(&str, &str)]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|(value_type, value)| format!(r#"{{"value_type": "{value_type}", "value": {value}}}"#))
        .collect();
    format!(
        r#"{{"software_version": "NRZ-2024-135", "sensordatavalues": [{}]}}"#,
        values.join(", ")
    )
}

fn check(values: &[(&str, &str)], expect: Expect) {
    expect.assert_eq(&testing::decode(BOX, "/ingest/v1/airrohr", &body(values)));
}

/// The property and value of each row, and the rejects.
fn short(values: &[(&str, &str)]) -> String {
    let text = testing::decode(BOX, "", &body(values));
    text.lines()
        .map(|line| match line.split_once(" property=") {
            Some((head, rest)) => {
                let property = rest.split(' ').next().unwrap();
                let value = rest.split(" value=").nth(1).unwrap();
                format!("{} {property} {value}\n", head.split(' ').next().unwrap())
            }
            None => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn values_become_rows_at_the_receive_time() {
    check(
        &[
            ("SDS_P1", "\"12.30\""),
            ("SDS_P2", "\"5.05\""),
            ("BME280_temperature", "\"21.50\""),
            ("BME280_humidity", "\"40.00\""),
            ("BME280_pressure", "\"100659.00\""),
            ("samples", "\"924605\""),
            ("min_micro", "\"147\""),
            ("max_micro", "\"1849213\""),
            ("interval", "\"145000\""),
            ("signal", "\"-59 dBm\""),
        ],
        expect![[r#"
            air sensor_id=ns-box property=pm2_5 time=2026-06-01T12:00:00Z value=5.05
            air sensor_id=ns-box property=pm10 time=2026-06-01T12:00:00Z value=12.3
            heat sensor_id=ns-box property=air_temperature time=2026-06-01T12:00:00Z value=21.5
            heat sensor_id=ns-box property=relative_humidity time=2026-06-01T12:00:00Z value=40
            heat sensor_id=ns-box property=air_pressure time=2026-06-01T12:00:00Z value=1006.59
        "#]],
    );
}

#[test]
fn every_value_type_is_its_property() {
    let check = |value_type: &str, value: &str, expect: &str| {
        assert_eq!(
            short(&[(value_type, value)]),
            format!("{expect}\n"),
            "{value_type}"
        );
    };
    check("SDS_P1", "1.87", "air pm10 1.87");
    check("SDS_P2", "1.05", "air pm2_5 1.05");
    check("PMS_P0", "3", "air pm1 3");
    check("PMS_P1", "3", "air pm10 3");
    check("PMS_P2", "3", "air pm2_5 3");
    check("HPM_P1", "3", "air pm10 3");
    check("HPM_P2", "3", "air pm2_5 3");
    check("NPM_P0", "3", "air pm1 3");
    check("NPM_P1", "3", "air pm10 3");
    check("NPM_P2", "3", "air pm2_5 3");
    check("IPS_P0", "3", "air pm1 3");
    check("IPS_P1", "3", "air pm10 3");
    check("IPS_P2", "3", "air pm2_5 3");
    check("SPS30_P0", "3", "air pm1 3");
    check("SPS30_P1", "3", "air pm10 3");
    check("SPS30_P2", "3", "air pm2_5 3");
    check("SPS30_P4", "3", "air pm4 3");
    check("SCD30_co2_ppm", "\"415.2\"", "air co2 415.2");
    check("BMP_pressure", "\"100659.00\"", "heat air_pressure 1006.59");
    check(
        "BMP280_pressure",
        "\"100659.00\"",
        "heat air_pressure 1006.59",
    );
    check("BMP_temperature", "\"26.80\"", "heat air_temperature 26.8");
    check("HTU21D_temperature", "1", "heat air_temperature 1");
    check("HTU21D_humidity", "1", "heat relative_humidity 1");
    check("SHT3X_temperature", "1", "heat air_temperature 1");
    check("SHT3X_humidity", "1", "heat relative_humidity 1");
    check("DS18B20_temperature", "1", "heat air_temperature 1");
    check("temperature", "\"-4.20\"", "heat air_temperature -4.2");
    check("humidity", "\"99.90\"", "heat relative_humidity 99.9");
    check("DNMS_noise_LAeq", "\"54.10\"", "noise laeq 54.1");
    check("DNMS_noise_LA_min", "\"40.10\"", "noise lamin 40.1");
    check("DNMS_noise_LA_max", "\"70.10\"", "noise lamax 70.1");
}

#[test]
fn implausible_and_zero_values_are_kept() {
    // A BME280 that answers nonsense, a saturated SDS011: quality flags them, decoding keeps them.
    check(
        &[
            ("BME280_temperature", "\"-144.70\""),
            ("BME280_pressure", "\"65200\""),
            ("BME280_humidity", "\"100.00\""),
            ("SDS_P1", "\"1999.90\""),
            ("SDS_P2", "\"0.00\""),
        ],
        expect![[r#"
            air sensor_id=ns-box property=pm2_5 time=2026-06-01T12:00:00Z value=0
            air sensor_id=ns-box property=pm10 time=2026-06-01T12:00:00Z value=1999.9
            heat sensor_id=ns-box property=air_temperature time=2026-06-01T12:00:00Z value=-144.7
            heat sensor_id=ns-box property=relative_humidity time=2026-06-01T12:00:00Z value=100
            heat sensor_id=ns-box property=air_pressure time=2026-06-01T12:00:00Z value=652
        "#]],
    );
}

#[test]
fn a_missing_value_makes_no_row() {
    assert_eq!(
        short(&[
            ("SDS_P1", "\"\""),
            ("SDS_P2", "null"),
            ("humidity", "\"nan\""),
            ("temperature", "0")
        ]),
        "heat air_temperature 0\n"
    );
    check(
        &[("SDS_P1", "\"\""), ("samples", "1")],
        expect![[r#"
        no_mapped_value: none of the message's values belongs to a property
    "#]],
    );
    check(
        &[("signal", "\"-52\"")],
        expect![[r#"
        no_mapped_value: none of the message's values belongs to a property
    "#]],
    );
    check(
        &[("SDS_P1", "\"broken\""), ("SDS_P2", "2")],
        expect![[r#"
        air sensor_id=ns-box property=pm2_5 time=2026-06-01T12:00:00Z value=2
        wrong_type: the value at `SDS_P1` is not a number
    "#]],
    );
}

#[test]
fn ppd42ns_counts_and_particle_numbers_are_no_mass() {
    let counts = [
        ("P1", "\"1500.2\""),
        ("durP1", "\"1\""),
        ("ratioP1", "\"2\""),
        ("P2", "\"90\""),
    ];
    check(
        &counts,
        expect![[r#"
        no_mapped_value: none of the message's values belongs to a property
    "#]],
    );
    assert_eq!(
        short(&[("SPS30_N05", "\"1\""), ("SPS30_P1", "\"2\"")]),
        "air pm10 2\n"
    );
    // A place is declared, not sent.
    assert_eq!(
        short(&[("GPS_lat", "\"50.88\""), ("SDS_P1", "\"2\"")]),
        "air pm10 2\n"
    );
}

#[test]
fn unknown_value_types_are_one_reject_that_names_them() {
    check(
        &[
            ("SDS_P1", "2"),
            ("XYZ_gas", "1"),
            ("ABC_flow", "2"),
            ("02:00:5e:10:00:01", "3"),
        ],
        expect![[r#"
            air sensor_id=ns-box property=pm10 time=2026-06-01T12:00:00Z value=2
            no_mapped_value: 3 value type(s) not known: XYZ_gas, ABC_flow, ?; add them to the source's `map` to keep them
        "#]],
    );
    check(
        &[("XYZ_gas", "1")],
        expect![[r#"
        no_mapped_value: 1 value type(s) not known: XYZ_gas; add them to the source's `map` to keep them; the message has no other value
    "#]],
    );
    let many: Vec<(String, &str)> = (0..30).map(|n| (format!("X{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    check(
        &many,
        expect![[r#"
        no_mapped_value: 30 value type(s) not known: X0, X1, X2, X3, X4, X5, X6, X7; add them to the source's `map` to keep them; the message has no other value
    "#]],
    );
}

#[test]
fn the_map_adds_value_types_and_comes_first() {
    let source = format!(
        "{BOX}\nmap = [ {{ dataset = 'air', property = 'no2', pointer = '/XYZ_no2', unit = '[ppb]' }},\n\
         {{ dataset = 'heat', property = 'air_temperature', pointer = '/DS18B20_temperature' }} ]"
    );
    let values = body(&[
        ("XYZ_no2", "10"),
        ("BME280_temperature", "21"),
        ("DS18B20_temperature", "22"),
    ]);
    expect![[r#"
        air sensor_id=ns-box property=no2 time=2026-06-01T12:00:00Z value=19.125036996
        heat sensor_id=ns-box property=air_temperature time=2026-06-01T12:00:00Z value=22
    "#]]
    .assert_eq(&testing::decode(&source, "", &values));
    let nested =
        format!("{BOX}\nmap = [ {{ dataset = 'air', property = 'no2', pointer = '/a/b' }} ]");
    assert!(try_decoders(&nested).is_err());
}

#[test]
fn two_sensors_of_one_box_are_one_row_per_property() {
    assert_eq!(
        short(&[
            ("temperature", "20"),
            ("BME280_temperature", "21"),
            ("SDS_P2", "4"),
            ("SPS30_P2", "5")
        ]),
        "air pm2_5 5\nheat air_temperature 21\n"
    );
    assert_eq!(
        short(&[("temperature", "20"), ("BME280_temperature", "\"\"")]),
        "heat air_temperature 20\n"
    );
}

#[test]
fn other_shapes_are_rejects() {
    let check = |body: &str, expect: Expect| expect.assert_eq(&testing::decode(BOX, "", body));
    check(
        "{}",
        expect![[r#"
        unexpected_shape: no airRohr message: it has no list `sensordatavalues`
    "#]],
    );
    check(
        "[]",
        expect![[r#"
        unexpected_shape: no airRohr message: it has no list `sensordatavalues`
    "#]],
    );
    check(
        r#"{"sensordatavalues": {}}"#,
        expect![[r#"
        unexpected_shape: no airRohr message: it has no list `sensordatavalues`
    "#]],
    );
    check(
        r#"{"sensordatavalues": []}"#,
        expect![[r#"
        no_observation: `sensordatavalues` is empty: the box measured nothing
    "#]],
    );
    check(
        r#"{"sensordatavalues": [1, {"value": 2}, {"value_type": "SDS_P1", "value": 3}]}"#,
        expect![[r#"
            air sensor_id=ns-box property=pm10 time=2026-06-01T12:00:00Z value=3
            no_mapped_value: 2 value type(s) not known: (no value_type); add them to the source's `map` to keep them
        "#]],
    );
    check(
        r#"{"sensordatavalues": [{"value_type": "SDS_P1", "value": "1"}"#,
        expect![[r#"
            malformed: not JSON: EOF while parsing a list at line 1 column 60
        "#]],
    );
    check(
        r#"{"sensordatavalues": [{"value_type": "SDS_P1", "value": nan}]}"#,
        expect![[r#"
            malformed: not JSON: expected ident at line 1 column 58; bare `nan` is read as missing with `lenient = true`
        "#]],
    );
}

#[test]
fn a_box_is_known_by_its_chip_in_body_or_header() {
    let decoders = decoders("format = 'airrohr'\nkind = 'http'");
    let id = |body: &str, header: Option<&str>| {
        let meta: Vec<(Box<str>, Box<str>)> = header
            .map(|value| ("x-sensor".into(), value.into()))
            .into_iter()
            .collect();
        let mut envelope = envelope("", body.as_bytes());
        envelope.meta = &meta;
        let text = render(&decoders.decode_body(&envelope));
        match text
            .split(" sensor_id=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
        {
            Some(id) => id.to_owned(),
            None => text,
        }
    };
    let values = r#""sensordatavalues": [{"value_type": "SDS_P1", "value": "1"}]"#;
    let known = id(&format!(r#"{{"esp8266id": "1234567", {values}}}"#), None);
    assert!(
        known.starts_with("ns-") && !known.contains("1234567"),
        "{known}"
    );
    assert_eq!(
        id(&format!(r#"{{"esp8266id": 1234567, {values}}}"#), None),
        known
    );
    assert_eq!(id(&format!("{{{values}}}"), Some("esp8266-1234567")), known);
    assert_ne!(
        id(&format!(r#"{{"esp32id": "1234567", {values}}}"#), None),
        known
    );
    expect![[r#"
        missing_field: the message says in neither `esp8266id`, `esp32id` nor the header X-Sensor which box it is from; declare `sensor_id` where boxes cannot send it
    "#]].assert_eq(&id(&format!("{{{values}}}"), None));
}

#[test]
fn rejects_do_not_show_the_chip() {
    let decoders = decoders("format = 'airrohr'\nkind = 'http'");
    let body =
        r#"{"esp8266id": "7654321", "sensordatavalues": [{"value_type": "XYZ", "value": "1"}]}"#;
    let decoded = decoders.decode_body(&envelope("", body.as_bytes()));
    assert_eq!(decoded.rejects.len(), 1);
    assert!(
        !format!("{:?}", decoded.rejects).contains("7654321"),
        "{:?}",
        decoded.rejects
    );
}

/// The property and value of each row of a push to sensor.community, and the reasons of rejects.
fn pushed(declaration: &str, pin: &str, values: &[(&str, &str)]) -> Vec<String> {
    let meta = [
        ("x-sensor".into(), "esp8266-1234567".into()),
        ("x-pin".into(), pin.into()),
    ];
    let body = body(values);
    let mut envelope = envelope("/v1/push-sensor-data/", body.as_bytes());
    envelope.meta = &meta;
    let text = render(&decoders(declaration).decode_body(&envelope));
    let part = |line: &str, name: &str| {
        let rest = line.split_once(&format!(" {name}=")).map(|(_, rest)| rest);
        rest.map(|rest| rest.split(' ').next().unwrap_or(rest).to_owned())
    };
    text.lines()
        .map(|line| match (part(line, "property"), part(line, "value")) {
            (Some(property), Some(value)) => format!("{property} {value}"),
            _ => line.split(':').next().unwrap_or(line).to_owned(),
        })
        .collect()
}

#[test]
fn a_pin_says_what_a_name_means() {
    let check = |pin: &str, name: &str, expect: &str| {
        assert_eq!(
            pushed(BOX, pin, &[(name, "\"3\"")]),
            [expect],
            "{pin} {name}"
        );
    };
    check("1", "P0", "pm1 3");
    check("1", "P1", "pm10 3");
    check("1", "P2", "pm2_5 3");
    check("1", "P4", "pm4 3");
    check("1", "N10", "no_mapped_value");
    check("3", "temperature", "air_temperature 3");
    check("3", "pressure", "air_pressure 0.03");
    check("5", "P1", "no_mapped_value");
    check("5", "ratioP1", "no_mapped_value");
    check("7", "temperature", "air_temperature 3");
    check("7", "humidity", "relative_humidity 3");
    check("9", "lat", "no_mapped_value");
    check("11", "temperature", "air_temperature 3");
    check("11", "humidity", "relative_humidity 3");
    check("11", "pressure", "air_pressure 0.03");
    check("13", "temperature", "air_temperature 3");
    check("15", "noise_LAeq", "laeq 3");
    check("15", "noise_LA_min", "lamin 3");
    check("15", "noise_LA_max", "lamax 3");
    check("17", "co2_ppm", "co2 3");
    check("17", "temperature", "air_temperature 3");
    // A pin that nobody knows makes no PM10 of a count.
    check("2", "P1", "no_mapped_value");
    check("2", "temperature", "air_temperature 3");
    check("", "P1", "no_mapped_value");
    // Names that say it themselves need no pin.
    check("7", "SDS_P1", "pm10 3");
}

#[test]
fn a_box_is_one_sensor_by_header_and_by_body() {
    let meta = [
        ("x-sensor".into(), "esp8266-1234567".into()),
        ("x-pin".into(), "1".into()),
    ];
    let pushed = body(&[("P1", "3")]);
    let mut pushed = envelope("/v1/push-sensor-data/", pushed.as_bytes());
    pushed.meta = &meta;
    let declared = decoders("format = 'airrohr'");
    let by_header = render(&declared.decode_body(&pushed));
    let own =
        r#"{"esp8266id": "1234567", "sensordatavalues": [{"value_type": "SDS_P1", "value": "3"}]}"#;
    assert_eq!(by_header, testing::decode("format = 'airrohr'", "", own));
    assert!(!by_header.contains("1234567"));
}

#[test]
fn a_map_comes_before_the_pins() {
    let mapped = "format = 'airrohr'\nsensor_id = 'box'\n\
                  map = [ { dataset = 'air', property = 'pm1', field = 'P1', unit = 'ug/m3' } ]";
    assert_eq!(
        pushed(mapped, "1", &[("P1", "3"), ("P2", "2")]),
        ["pm1 3", "pm2_5 2"]
    );
    assert_eq!(pushed(mapped, "5", &[("P1", "3")]), ["pm1 3"]);
}
