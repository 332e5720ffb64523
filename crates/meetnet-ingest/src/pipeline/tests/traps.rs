//! What goes wrong with sensors in the field, and what becomes of it: value, quality and reject, from the bytes to the table.

use meetnet_model::source::{MapEntry, Sentinel, Validity};
use meetnet_model::time::format_rfc3339;

use super::*;

fn trapped() -> Arc<Declarations> {
    let map = |dataset: &str, property: &str, pointer: &str, unit: &str| {
        MapEntry::property(dataset, property)
            .at_pointer(pointer)
            .in_unit(unit)
    };
    let source = |id: &str, format, map| SourceDeclaration {
        map,
        ..SourceDeclaration::new(id, SourceKind::Http, format, "CC0-1.0")
    };
    let sources = [
        source("boxes", WireFormat::Airrohr, Vec::new()),
        source(
            "lora",
            WireFormat::TtsV3,
            vec![map("heat", "air_temperature", "/t", "Cel")],
        ),
        SourceDeclaration {
            sensor_id: Some(ValueRef::Template("roof".to_owned())),
            ..source("roof", WireFormat::Ecowitt, Vec::new())
        },
        SourceDeclaration {
            sensor_id: Some(ValueRef::Template("logger".to_owned())),
            time: Some(TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs)),
            sentinels: vec![Sentinel::Number(-999.0)],
            ..source(
                "logger",
                WireFormat::Json,
                vec![
                    map("air", "pm10", "/pm10", "ug/m3"),
                    MapEntry {
                        valid: Some(Validity {
                            pointer: Some("/no2_ok".to_owned()),
                            ..Validity::default()
                        }),
                        ..map("air", "no2", "/no2", "ug/m3")
                    },
                    map("heat", "relative_humidity", "/h", "%"),
                ],
            )
        },
    ];
    Arc::new(meetnet_model::schemas::builtin().into_declarations(sources))
}

/// Sends messages and returns the rows (property, value, quality), then the reasons of the rejects.
fn outcome(messages: &[(&str, String)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start_as(folder.path(), &trapped(), |_| {}, |_| {});
    let mut last = Sequence::ZERO;
    for (source, body) in messages {
        last = daemon.append(source, body);
    }
    let snapshot = daemon.wait(last);
    let mut lines = Vec::new();
    for dataset in ["air", "heat"] {
        for hot in snapshot.tables[&DatasetId::new(dataset)].hot.iter() {
            let column = |name: &str| Arc::clone(hot.batch.column_by_name(name).unwrap());
            let (property, value) = (column("property"), column("value"));
            let quality = column("quality");
            lines.extend((0..hot.batch.num_rows()).map(|row| {
                format!(
                    "{} {} {}",
                    property.as_string::<i32>().value(row),
                    value.as_primitive::<Float64Type>().value(row),
                    quality.as_primitive::<Int8Type>().value(row)
                )
            }));
        }
    }
    lines.sort();
    for hot in snapshot.tables[&DatasetId::new("rejects")].hot.iter() {
        let reason = Arc::clone(hot.batch.column_by_name("reason").unwrap());
        let reasons = reason.as_string::<i32>();
        lines.extend((0..hot.batch.num_rows()).map(|row| reasons.value(row).to_owned()));
    }
    lines
}

/// A message of an airRohr box.
fn of_box(values: &[(&str, &str)]) -> (&'static str, String) {
    let values: Vec<String> = values
        .iter()
        .map(|(name, value)| format!(r#"{{"value_type": "{name}", "value": "{value}"}}"#))
        .collect();
    let values = values.join(", ");
    let body = format!(r#"{{"esp8266id": "4711", "sensordatavalues": [{values}]}}"#);
    ("boxes", body)
}

/// A message of a logger, `ago` milliseconds old; `values` are further members.
fn of_logger(ago: i64, values: &str) -> (&'static str, String) {
    (
        "logger",
        format!(r#"{{"ts": {}, {values}}}"#, now_ms() - ago),
    )
}

const HOUR_MS: i64 = 3_600_000;

/// The time of a station, UTC without a zone.
fn station_time(ago_ms: i64) -> String {
    let seconds = (now_ms() - ago_ms) / 1_000;
    let text = format_rfc3339(seconds * 1_000_000);
    text.replace('T', "+").replace('Z', "")
}

#[test]
fn a_broken_bme280_is_kept_and_flagged() {
    let nonsense = of_box(&[
        ("BME280_temperature", "-144.70"),
        ("BME280_pressure", "65200.00"),
        ("BME280_humidity", "100.00"),
    ]);
    assert_eq!(
        outcome(&[nonsense]),
        [
            "air_pressure 652 4",
            "air_temperature -144.7 4",
            "relative_humidity 100 1"
        ]
    );
    let below_zero = of_box(&[
        ("BME280_temperature", "-183.00"),
        ("BME280_pressure", "-70000"),
    ]);
    assert_eq!(
        outcome(&[below_zero]),
        ["air_pressure -700 4", "air_temperature -183 4"]
    );
}

#[test]
fn a_humidity_that_stands_still_is_a_humidity_and_an_impossible_one_is_flagged() {
    let stuck = ["0.00", "100.00", "121318"].map(|value| of_box(&[("BME280_humidity", value)]));
    assert_eq!(
        outcome(&stuck),
        [
            "relative_humidity 0 1",
            "relative_humidity 100 1",
            "relative_humidity 121318 4"
        ]
    );
}

#[test]
fn a_pms_that_lost_its_sensors_is_kept_and_flagged() {
    let lost = of_box(&[
        ("PMS_P2", "-1"),
        ("temperature", "-1000.99"),
        ("humidity", "-1"),
    ]);
    assert_eq!(
        outcome(&[lost]),
        [
            "air_temperature -1000.99 4",
            "pm2_5 -1 1",
            "relative_humidity -1 4"
        ]
    );
}

#[test]
fn small_negatives_and_zeros_stay_and_sentinels_go() {
    let messages = ["-0.4", "0.0", "-999", "-999.0", "\"-999\""];
    let mut ago = 0;
    let messages = messages.map(|value| {
        ago += 1_000;
        of_logger(ago, &format!(r#""pm10": {value}, "h": 40"#))
    });
    let rows = outcome(&messages);
    assert_eq!(rows[..2], ["pm10 -0.4 1", "pm10 0 1"]);
    assert_eq!(rows[2..], ["relative_humidity 40 1"; 5]);
}

#[test]
fn a_zero_that_is_no_reading_is_a_reject() {
    let flags = ["true", "false", "1", "0"];
    let mut ago = 0;
    let messages = flags.map(|flag| {
        ago += 1_000;
        of_logger(ago, &format!(r#""no2": 0.0, "no2_ok": {flag}"#))
    });
    assert_eq!(
        outcome(&messages),
        ["no2 0 1", "no2 0 1", "not_valid", "not_valid"]
    );
}

#[test]
fn garbage_is_one_reject_and_stops_nothing() {
    let (source, good) = of_box(&[("SDS_P1", "12.3")]);
    let cut = (source, good[..good.len() - 9].to_owned());
    let tail = (source, format!("{good}\u{1}\u{2}rxInfo\":["));
    assert_eq!(
        outcome(&[
            cut,
            (source, good.clone()),
            tail,
            ("boxes", "\u{0}".to_owned())
        ]),
        ["pm10 12.3 1", "malformed", "malformed", "malformed"]
    );
}

#[test]
fn a_point_that_comes_3703_times_is_one_row() {
    let message = of_logger(1_000, r#""pm10": 7"#);
    let messages = vec![message; 3_703];
    assert_eq!(outcome(&messages), ["pm10 7 1"]);
}

#[test]
fn a_frame_counter_that_falls_back_loses_nothing() {
    let uplink = |count: u32, ago: i64, value: f64| {
        let at = format_rfc3339((now_ms() - ago) * 1_000);
        let body = format!(
            r#"{{"end_device_ids": {{"device_id": "a", "dev_eui": "70B3D57ED005A1B2"}}, "received_at": "{at}",
                "uplink_message": {{"f_port": 1, "f_cnt": {count}, "received_at": "{at}",
                "decoded_payload": {{"t": {value}}}}}}}"#
        );
        ("lora", body)
    };
    // After its gateway came back the device counts from the start.
    assert_eq!(
        outcome(&[uplink(900, 2_000, 20.5), uplink(3, 1_000, 20.51)]),
        ["air_temperature 20.5 1", "air_temperature 20.51 1"]
    );
}

#[test]
fn clocks_that_were_never_set_or_show_local_time_are_rejects() {
    let unset = |ms: i64| ("logger", format!(r#"{{"ts": {ms}, "h": 40}}"#));
    let station = |ago| ("roof", format!("dateutc={}&tempf=68", station_time(ago)));
    assert_eq!(
        outcome(&[
            unset(12_000),
            unset(946_684_800_000),
            station(-2 * HOUR_MS),
            station(0)
        ]),
        [
            "air_temperature 20 1",
            "bad_time",
            "bad_time",
            "time_out_of_window"
        ]
    );
}

#[test]
fn a_station_that_shows_winter_time_as_utc_is_suspect() {
    // An hour ahead is within the window of a source. Clocks that differ by less than five minutes are as good as right.
    let ahead = |ms: i64| ("roof", format!("dateutc={}&tempf=68", station_time(-ms)));
    assert_eq!(
        outcome(&[ahead(HOUR_MS - 60_000), ahead(240_000)]),
        ["air_temperature 20 1", "air_temperature 20 3"]
    );
}

#[test]
fn what_is_sent_later_stands_at_the_time_of_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start_as(folder.path(), &trapped(), |_| {}, |_| {});
    let measured = station_time(5 * HOUR_MS);
    let last = daemon.append("roof", &format!("dateutc={measured}&tempf=68"));
    let snapshot = daemon.wait(last);
    let hot = &snapshot.tables[&DatasetId::new("heat")].hot[0];
    let micros = |name: &str| {
        let array = hot.batch.column_by_name(name).unwrap();
        array
            .as_primitive::<arrow::datatypes::TimestampMicrosecondType>()
            .value(0)
    };
    assert_eq!(
        format_rfc3339(micros("time"))
            .replace('T', "+")
            .replace('Z', ""),
        measured
    );
    let late_us = micros("received_at") - micros("time");
    assert!(late_us >= 5 * HOUR_MS * 1_000, "{late_us}");
}
