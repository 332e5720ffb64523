//! Recordings of weather stations, airRohr boxes and line protocol, read a second way and compared value by value.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use meetnet_decode::Decoded;
use serde_json::Value;

use crate::recordings::{decode, decoders, files, folder, long_rows, reasons};

/// The values of a decoded message by property.
fn values(decoded: &Decoded) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for rows in &decoded.rows {
        let column = |name: &str| {
            rows.batch
                .column(rows.declaration.column_index(name).unwrap())
        };
        let properties = column("property").as_string::<i32>();
        let numbers = column("value").as_primitive::<Float64Type>();
        for row in 0..rows.batch.num_rows() {
            let before = values.insert(properties.value(row).to_owned(), numbers.value(row));
            assert_eq!(before, None, "{}: one row each", properties.value(row));
        }
    }
    values
}

fn assert_same(found: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>, name: &str) {
    let keys = |values: &BTreeMap<String, f64>| values.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected), "{name}");
    for (property, value) in expected {
        let close = (found[property] - value).abs() <= value.abs() * 1e-6 + 1e-6;
        assert!(
            close,
            "{name}: {property} is {}, not {value}",
            found[property]
        );
    }
}

fn fahrenheit(value: f64) -> f64 {
    (value - 32.0) / 1.8
}

/// Inches of mercury at 0 °C.
fn inches_of_mercury(value: f64) -> f64 {
    value * 33.863_886_67
}

fn miles_per_hour(value: f64) -> f64 {
    value * 1_609.344 / 3_600.0
}

fn inches(value: f64) -> f64 {
    value * 25.4
}

fn as_it_is(value: f64) -> f64 {
    value
}

type Reader = fn(f64) -> f64;

const ECOWITT: [(&str, &str, Reader); 13] = [
    ("tempf", "air_temperature", fahrenheit),
    ("humidity", "relative_humidity", as_it_is),
    ("bgt", "globe_temperature", fahrenheit),
    ("wbgt", "wbgt", fahrenheit),
    ("baromabsin", "air_pressure", inches_of_mercury),
    ("baromrelin", "sea_level_pressure", inches_of_mercury),
    ("windspeedmph", "wind_speed", miles_per_hour),
    ("windgustmph", "wind_gust", miles_per_hour),
    ("winddir", "wind_direction", as_it_is),
    // The tipping bucket counts where both are there, so it is the later one here.
    ("rrain_piezo", "rain_rate", inches),
    ("rainratein", "rain_rate", inches),
    ("solarradiation", "solar_irradiance", as_it_is),
    ("uv", "uv_index", as_it_is),
];

const WUNDERGROUND: [(&str, &str, Reader); 9] = [
    ("tempf", "air_temperature", fahrenheit),
    ("humidity", "relative_humidity", as_it_is),
    ("dewptf", "dew_point", fahrenheit),
    ("baromin", "sea_level_pressure", inches_of_mercury),
    ("windspeedmph", "wind_speed", miles_per_hour),
    ("windgustmph", "wind_gust", miles_per_hour),
    ("winddir", "wind_direction", as_it_is),
    ("rainin", "rain_rate", inches),
    ("solarradiation", "solar_irradiance", as_it_is),
];

fn expected(
    fields: &[(String, String)],
    readers: &[(&str, &str, Reader)],
) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for (key, property, reader) in readers {
        for (_, value) in fields.iter().filter(|(name, _)| name == key) {
            if let Ok(number) = value.parse::<f64>() {
                values.insert((*property).to_owned(), reader(number));
            }
        }
    }
    values
}

/// The form that a station would have sent, blanks as `+`.
fn form(fields: &[(String, String)]) -> String {
    let pairs = fields.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
        .collect();
    pairs.join("&")
}

fn fields_of(json: &Value) -> Vec<(String, String)> {
    let members = json.as_object().unwrap().iter();
    members
        .map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        })
        .collect()
}

#[test]
fn every_ecowitt_payload() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let mut reports: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for path in files(&samples.join("ecowitt"), "json") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        if !name.contains("wunderground") {
            reports.push((name, fields_of(&json)));
        }
    }
    // Printed by the listener of a library: `'name': 'value', …`, one report in each pair of brackets.
    let printed = samples.join("ecowitt/aioecowitt_misc_example.data");
    let printed = std::fs::read_to_string(printed).unwrap();
    for (number, report) in printed.split("MultiDict").skip(1).enumerate() {
        let mut quoted = report.split('\'').skip(1).step_by(2);
        let mut fields = Vec::new();
        while let (Some(name), Some(value)) = (quoted.next(), quoted.next()) {
            fields.push((name.to_owned(), value.to_owned()));
        }
        reports.push((format!("printed report {number}"), fields));
    }
    let (imperial, metric) = (
        decoders("format = 'ecowitt'\nsensor_id = 'roof'"),
        decoders("format = 'ecowitt'\nsensor_id = 'roof'\nunits = 'metric'"),
    );
    let mut rows = 0;
    for (name, fields) in &reports {
        if name.contains("metric") {
            let decoded = decode(&metric, &[], form(fields).as_bytes());
            let own_units = ECOWITT.map(|(key, property, _)| {
                let reader: Reader = if key.ends_with("mph") {
                    |kmh| kmh / 3.6
                } else {
                    as_it_is
                };
                (key, property, reader)
            });
            assert_same(&values(&decoded), &expected(fields, &own_units), name);
            continue;
        }
        let decoded = decode(&imperial, &[], form(fields).as_bytes());
        assert_eq!(decoded.rejects, [], "{name}");
        assert_same(&values(&decoded), &expected(fields, &ECOWITT), name);
        rows += decoded.row_count();
    }
    println!("{} reports, {rows} rows", reports.len());
    assert!(
        reports.len() >= 14 && rows >= 100,
        "{} reports, {rows} rows",
        reports.len()
    );
}

#[test]
fn the_weather_underground_payload() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let path = samples.join("ecowitt/payload_wunderground.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let fields = fields_of(&json);
    let decoded = decode(
        &decoders("format = 'wunderground'"),
        &[],
        form(&fields).as_bytes(),
    );
    assert_eq!(decoded.rejects, []);
    let mut expected = expected(&fields, &WUNDERGROUND);
    expected.insert("uv_index".to_owned(), json["UV"].as_f64().unwrap());
    assert_same(&values(&decoded), &expected, "upload");
    // Upper-cased, as Leuven.cool's raw set has them.
    let upper: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| (name.to_ascii_uppercase(), value))
        .collect();
    let decoded = decode(
        &decoders("format = 'wunderground'"),
        &[],
        form(&upper).as_bytes(),
    );
    assert_same(&values(&decoded), &expected, "upload in capitals");
}

/// What some stations send besides [`WUNDERGROUND`]; HP1001 consoles have metric names and values.
const UPLOADS: [(&str, &str, Reader); 10] = [
    ("absbaromin", "air_pressure", inches_of_mercury),
    ("AqPM2.5", "pm2_5", as_it_is),
    ("outtemp", "air_temperature", as_it_is),
    ("outhumi", "relative_humidity", as_it_is),
    ("dewpoint", "dew_point", as_it_is),
    ("absbaro", "air_pressure", as_it_is),
    ("relbaro", "sea_level_pressure", as_it_is),
    ("windspeed", "wind_speed", kilometres_per_hour),
    ("windgust", "wind_gust", kilometres_per_hour),
    ("rainrate", "rain_rate", as_it_is),
];

fn kilometres_per_hour(value: f64) -> f64 {
    value / 3.6
}

/// The queries of the uploads in a text: one a line, or as a network dump has them, in several.
fn queries(text: &str) -> Vec<String> {
    let is_dump = text.contains("HTTP/1.1");
    let text = if is_dump {
        text.replace(['\r', '\n'], "")
    } else {
        text.to_owned()
    };
    let requests = text.split("GET /").skip(1);
    requests
        .map(|request| {
            let end = request.find([' ', '\n']).unwrap_or(request.len());
            let (_, query) = request[..end].split_once('?').unwrap();
            query.to_owned()
        })
        .collect()
}

#[test]
fn recorded_uploads_to_weather_underground() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders("format = 'wunderground'");
    let (mut uploads, mut rows) = (0, 0);
    for path in files(&samples.join("wunderground"), "txt") {
        for query in queries(&std::fs::read_to_string(&path).unwrap()) {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut fields: Vec<(String, String)> = pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            // Without a sensor outdoors the rain is not measured either. HP1001 consoles have no index in `UV`.
            let is_lost = fields.contains(&("tempf".to_owned(), "-9999".to_owned()));
            let is_hp1001 = fields.iter().any(|(name, _)| name == "outtemp");
            fields.retain(|(name, value)| value != "-9999" && !(is_lost && name.contains("rain")));
            let mut readers = [&WUNDERGROUND[..], &UPLOADS[..]].concat();
            if !is_hp1001 {
                readers.push(("UV", "uv_index", as_it_is));
            }
            let decoded = decode(&decoders, &[], query.as_bytes());
            assert_eq!(decoded.rejects, [], "{query}");
            assert_same(&values(&decoded), &expected(&fields, &readers), &query);
            let sensors = long_rows(&decoded);
            assert!(
                sensors.iter().all(|row| !row.0.contains("24C86E06B15C")),
                "{query}: the MAC address of a bridge"
            );
            uploads += 1;
            rows += decoded.row_count();
        }
    }
    println!("{uploads} uploads, {rows} rows");
    assert!(uploads >= 11, "{uploads} uploads");
}

#[test]
fn line_protocol_samples() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let text = std::fs::read_to_string(samples.join("influx/lines.txt")).unwrap();
    let boxes = decoders("format = 'influx'");
    let decoded = decode(&boxes, &[], text.as_bytes());
    let line = text
        .lines()
        .find(|line| line.starts_with("feinstaub"))
        .unwrap();
    let (_, pairs) = line.split_once(' ').unwrap();
    let field = |name: &str| {
        let mut pairs = pairs.split(',').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .unwrap()
            .1
            .parse::<f64>()
            .unwrap()
    };
    let expected = BTreeMap::from([
        ("pm10".to_owned(), field("SDS_P1")),
        ("pm2_5".to_owned(), field("SDS_P2")),
        ("air_temperature".to_owned(), field("BME280_temperature")),
        ("relative_humidity".to_owned(), field("BME280_humidity")),
        ("air_pressure".to_owned(), field("BME280_pressure") / 100.0),
    ]);
    assert_same(&values(&decoded), &expected, "airRohr");
    // The other lines are no box's.
    let others = text
        .lines()
        .filter(|line| line.starts_with("mymeas"))
        .count();
    assert_eq!(
        reasons(&decoded),
        BTreeMap::from([("missing_field", others)])
    );
    assert_eq!(others, 4);

    let mapped = decoders(
        "format = 'influx'\nsensor_id = 's'\n\
         map = [ { dataset = 'heat', property = 'air_temperature', field = 'mymeas.value' } ]",
    );
    let of_line = |line: &str| decode(&mapped, &[], line.as_bytes());
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("mymeas"))
        .collect();
    assert_eq!(values(&of_line(lines[0]))["air_temperature"], -1.234456e+78);
    assert_eq!(values(&of_line(lines[1]))["air_temperature"], 1.0);
    assert_eq!(
        reasons(&of_line(lines[2])),
        BTreeMap::from([("wrong_type", 1)])
    );
    assert_eq!(
        reasons(&of_line(lines[3])),
        BTreeMap::from([("wrong_type", 1)])
    );
    // What InfluxDB answered to a line is what its reject says.
    let answers = text.lines().filter_map(|line| line.strip_prefix("# {"));
    let mut compared = 0;
    for answer in answers {
        let answer: Value = serde_json::from_str(&format!("{{{answer}")).unwrap();
        let error = answer["error"].as_str().unwrap();
        let quoted = error.strip_prefix("unable to parse '");
        let Some((line, reason)) = quoted.and_then(|rest| rest.rsplit_once("': ")) else {
            continue;
        };
        let decoded = of_line(line);
        assert_eq!(decoded.rejects[0].message, reason, "{line}");
        compared += 1;
    }
    assert_eq!(compared, 1);
}

#[test]
fn the_real_airrohr_message_as_one_post_per_sensor() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let body = std::fs::read(samples.join("sensor_community/airrohr_push_real.json")).unwrap();
    let whole: Value = serde_json::from_slice(&body).unwrap();
    let decoders = decoders("format = 'airrohr'");
    let meta = |pin: &str| {
        [
            ("x-sensor".into(), "esp8266-1234567".into()),
            ("x-pin".into(), pin.into()),
        ]
    };
    let own_api = values(&decode(&decoders, &meta("")[..1], &body));
    let mut pushed = BTreeMap::new();
    for (prefix, pin) in [("SDS_", "1"), ("BMP_", "3")] {
        let all = whole["sensordatavalues"].as_array().unwrap().iter();
        let of_sensor: Vec<Value> = all
            .filter_map(|value| {
                let name = value["value_type"].as_str()?.strip_prefix(prefix)?;
                Some(serde_json::json!({"value_type": name, "value": value["value"]}))
            })
            .collect();
        assert!(!of_sensor.is_empty(), "{prefix}");
        let message = serde_json::json!({"sensordatavalues": of_sensor}).to_string();
        let decoded = decode(&decoders, &meta(pin), message.as_bytes());
        assert_eq!(decoded.rejects, [], "{prefix}");
        pushed.extend(values(&decoded));
    }
    assert_eq!(pushed, own_api);
}
