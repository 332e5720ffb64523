//! A source of each format, and messages for it. Four formats are those that the demo's city sends; the others are
//! written here, as the documentation of their senders shows them.

use anyhow::Result;
use meetnet_benches::bodies::{self, Bodies};
use meetnet_benches::{DEVICES, message, now_ms};
use meetnet_demo::messages::Message;
use meetnet_model::declarations::Declarations;
use meetnet_model::source::{
    MapEntry, SourceDeclaration, SourceKind, TimeDeclaration, TimeFormat, ValueRef, WireFormat,
};

use crate::reference;

/// Id of every source.
pub(crate) const SOURCE: &str = "bench";
/// 2026-06-01T00:00:00Z, ms: the day of the messages that are written here.
const DAY_MS: u64 = 1_780_272_000_000;
/// When they are received, µs: at its end.
const RECEIVED_AT: i64 = (DAY_MS as i64 + 86_400_000) * 1_000;
/// Lines, points or readings of one body, where a body has many.
const MANY: u64 = 100;

/// One format.
pub(crate) struct Case {
    pub(crate) format: WireFormat,
    pub(crate) declarations: fn(WireFormat) -> Declarations,
    /// Message number N.
    pub(crate) message: Box<dyn Fn(u64) -> Result<Message>>,
    /// What stands beside every body.
    pub(crate) meta: Vec<(Box<str>, Box<str>)>,
    /// When every message is received, µs.
    pub(crate) received_at: fn() -> i64,
    /// The reference.
    pub(crate) parse: fn(&[u8]) -> serde_json::Result<()>,
}

/// Returns every format that is JSON.
pub(crate) fn all() -> Vec<Case> {
    vec![
        of_city(WireFormat::Telraam, reference::telraam),
        of_city(WireFormat::Airrohr, reference::airrohr),
        of_city(WireFormat::TtsV3, reference::tts),
        of_city(WireFormat::Json, reference::json),
        written(WireFormat::Ndjson, ndjson, reference::ndjson, &[]),
        written(
            WireFormat::ChirpstackV4,
            chirpstack,
            reference::chirpstack,
            &[],
        ),
        written(
            WireFormat::SensorThings,
            sensorthings,
            reference::sensorthings,
            &[],
        ),
        written(WireFormat::Ngsi, ngsi, reference::ngsi, &[]),
        written(WireFormat::Senml, senml, reference::senml, &[]),
        written(
            WireFormat::SensorCommunity,
            sensor_community,
            reference::sensor_community,
            &[],
        ),
        written(
            WireFormat::Ircel,
            ircel,
            reference::ircel,
            &[
                ("sensor", "42R803"),
                ("property", "pm2_5"),
                ("unit", "ug/m3"),
                ("interval-s", "3600"),
            ],
        ),
        written(
            WireFormat::Opensensemap,
            opensensemap,
            reference::opensensemap,
            &[
                ("sensor", "6398c664a7390d001b5e0744"),
                ("property", "air_temperature"),
                ("unit", "Cel"),
            ],
        ),
    ]
}

/// A format that the demo's city sends.
fn of_city(format: WireFormat, parse: fn(&[u8]) -> serde_json::Result<()>) -> Case {
    let city = Bodies::new(format);
    Case {
        format,
        declarations: bodies::declarations,
        message: Box::new(move |number| city.message(number)),
        meta: Vec::new(),
        received_at: || now_ms() as i64 * 1_000,
        parse,
    }
}

/// A format whose bodies are written here.
fn written(
    format: WireFormat,
    body: fn(u64) -> (String, String),
    parse: fn(&[u8]) -> serde_json::Result<()>,
    meta: &[(&str, &str)],
) -> Case {
    let owned = |(name, value): &(&str, &str)| -> (Box<str>, Box<str>) {
        ((*name).into(), (*value).into())
    };
    Case {
        format,
        declarations,
        message: Box::new(move |number| {
            let (topic, body) = body(number);
            Ok(Message {
                topic,
                payload: body.into_bytes(),
            })
        }),
        meta: meta.iter().map(owned).collect(),
        received_at: || RECEIVED_AT,
        parse,
    }
}

/// The built-in datasets with one source that maps what the bodies have.
fn declarations(format: WireFormat) -> Declarations {
    let heat = |property: &str| MapEntry::property("heat", property);
    let is_ndjson = format == WireFormat::Ndjson;
    let map = match format {
        WireFormat::Ndjson => vec![
            heat("air_temperature")
                .at_pointer("/temperature")
                .in_unit("Cel"),
            heat("relative_humidity")
                .at_pointer("/humidity")
                .in_unit("%"),
        ],
        WireFormat::ChirpstackV4 => vec![
            heat("air_temperature")
                .at_pointer("/temperature")
                .in_unit("Cel"),
            heat("relative_humidity")
                .at_pointer("/env/humidity")
                .in_unit("%"),
        ],
        WireFormat::SensorThings => vec![
            heat("air_temperature").in_field("1").in_unit("Cel"),
            heat("relative_humidity").in_field("2").in_unit("%"),
        ],
        WireFormat::Senml => vec![
            heat("air_temperature").in_field("temperature"),
            heat("relative_humidity").in_field("humidity"),
        ],
        _ => Vec::new(),
    };
    let kind = match format {
        WireFormat::SensorCommunity | WireFormat::Ircel | WireFormat::Opensensemap => {
            SourceKind::Poll
        }
        _ => SourceKind::Http,
    };
    meetnet_model::schemas::builtin().into_declarations([SourceDeclaration {
        sensor_id: is_ndjson.then(|| ValueRef::Pointer {
            pointer: "/id".to_owned(),
        }),
        time: is_ndjson.then(|| TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs)),
        map,
        ..SourceDeclaration::new(SOURCE, kind, format, "CC0-1.0")
    }])
}

/// Devices take turns, once a second each; returns which one it is, and the second of the day.
fn turn(number: u64) -> (u64, u64) {
    (number % DEVICES, number / DEVICES % 86_400)
}

/// Returns a second of the day as its time of day.
fn clock(second: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

fn temperature(number: u64) -> f64 {
    (number * 7 % 400) as f64 / 10.0 - 5.0
}

fn humidity(number: u64) -> u64 {
    30 + number % 60
}

fn ndjson(number: u64) -> (String, String) {
    let line = |line: u64| {
        let (_, body) = message(line, DAY_MS);
        format!(
            "{{\"id\":\"station-{:03}\",{}\n",
            line % DEVICES,
            &body[1..]
        )
    };
    let lines = number * MANY..(number + 1) * MANY;
    (String::new(), lines.map(line).collect())
}

fn chirpstack(number: u64) -> (String, String) {
    let (device, second) = turn(number);
    let (time, temperature, humidity) = (clock(second), temperature(number), humidity(number));
    let body = format!(
        r#"{{"deduplicationId":"3ac7e3c4-4401-4b8d-9386-{number:012x}","time":"2026-06-01T{time}.512345+00:00","deviceInfo":{{"tenantId":"52f14cd4-c6f1-4fbd-8f87-4025e1d49242","tenantName":"city","applicationId":"17c82e96-be03-4f38-aef3-f83d48582d97","applicationName":"heat","deviceProfileId":"14855bf7-d10d-4aee-b618-ebfcb64dc7ad","deviceProfileName":"station","deviceName":"station-{device}","devEui":"0102030405{device:06x}","tags":{{}}}},"devAddr":"00189440","adr":true,"dr":5,"fCnt":{second},"fPort":2,"confirmed":false,"data":"AQIDBA==","object":{{"temperature":{temperature:.1},"env":{{"humidity":{humidity}}},"battery":3.61}},"rxInfo":[{{"gatewayId":"0016c001f153a14c","uplinkId":4217106255,"time":"2026-06-01T{time}+00:00","rssi":-36,"snr":10.5,"context":"E3OWOQ==","metadata":{{"region_common_name":"EU868"}}}}],"txInfo":{{"frequency":868100000,"modulation":{{"lora":{{"bandwidth":125000,"spreadingFactor":7,"codeRate":"CR_4_5"}}}}}}}}"#
    );
    let topic = format!("application/17c82e96/device/0102030405{device:06x}/event/up");
    (topic, body)
}

/// A data array of two datastreams.
fn sensorthings(number: u64) -> (String, String) {
    let stream = |id: u64, value: fn(u64) -> f64| {
        let rows: Vec<String> = (0..MANY / 2)
            .map(|row| {
                let row = number * MANY / 2 + row;
                let time = clock(row % 86_400);
                format!(r#"["2026-06-01T{time}Z",{:.1}]"#, value(row))
            })
            .collect();
        format!(
            r#"{{"Datastream":{{"@iot.id":{id}}},"components":["phenomenonTime","result"],"dataArray@iot.count":{},"dataArray":[{}]}}"#,
            rows.len(),
            rows.join(",")
        )
    };
    let body = format!(
        "[{},{}]",
        stream(1, temperature),
        stream(2, |row| humidity(row) as f64)
    );
    ("v1.1/CreateObservations".to_owned(), body)
}

/// A normalised notification of NGSIv2.
fn ngsi(number: u64) -> (String, String) {
    let (device, second) = turn(number);
    let time = clock(second);
    let (temperature, humidity) = (temperature(number), humidity(number) as f64 / 100.0);
    let (no2, pm10) = (10 + number % 60, 5 + number % 40);
    let body = format!(
        r#"{{"subscriptionId":"57458eb60962ef754e7c0998","data":[{{"id":"air-{device}","type":"AirQualityObserved","dateObserved":{{"type":"DateTime","value":"2026-06-01T{time}.00Z","metadata":{{}}}},"no2":{{"type":"Number","value":{no2},"metadata":{{"unitCode":{{"type":"Text","value":"GQ"}}}}}},"pm10":{{"type":"Number","value":{pm10},"metadata":{{"unitCode":{{"type":"Text","value":"GQ"}}}}}},"temperature":{{"type":"Number","value":{temperature:.1},"metadata":{{}}}},"relativeHumidity":{{"type":"Number","value":{humidity:.2},"metadata":{{}}}},"location":{{"type":"geo:json","value":{{"type":"Point","coordinates":[4.7005,50.8798]}},"metadata":{{}}}}}}]}}"#
    );
    (String::new(), body)
}

fn senml(number: u64) -> (String, String) {
    let (device, second) = turn(number);
    let time = DAY_MS / 1_000 + second;
    let records: Vec<String> = (1..10)
        .map(|back| {
            let value = temperature(number + back);
            format!(r#"{{"n":"temperature","v":{value:.1},"t":-{back}}}"#)
        })
        .collect();
    let body = format!(
        r#"[{{"bn":"station-{device}:","bt":{time},"bu":"Cel","bver":10,"n":"humidity","u":"%RH","v":{}}},{}]"#,
        humidity(number),
        records.join(",")
    );
    (String::new(), body)
}

fn sensor_community(number: u64) -> (String, String) {
    let readings: Vec<String> = (0..MANY)
        .map(|reading| {
            let number = number * MANY + reading;
            let (device, second) = turn(number);
            let (id, time) = (3_452_000_000 + number, clock(second));
            let (pm10, pm2_5) = (temperature(number) + 10.0, temperature(number) / 2.0 + 5.0);
            format!(
                r#"{{"id":{id},"sampling_rate":null,"timestamp":"2026-06-01 {time}","location":{{"id":7,"latitude":"50.88","longitude":"4.70","altitude":"20.1","country":"BE","exact_location":0,"indoor":0}},"sensor":{{"id":{device},"pin":"1","sensor_type":{{"id":14,"name":"SDS011","manufacturer":"Nova Fitness"}}}},"sensordatavalues":[{{"id":{id}1,"value":"{pm10:.2}","value_type":"P1"}},{{"id":{id}2,"value":"{pm2_5:.2}","value_type":"P2"}}]}}"#
            )
        })
        .collect();
    (String::new(), format!("[{}]", readings.join(",")))
}

fn ircel(number: u64) -> (String, String) {
    let points: Vec<String> = (0..MANY)
        .map(|point| {
            let number = number * MANY + point;
            let time = DAY_MS + number % 86_400 * 1_000;
            let value = 10.0 + humidity(number) as f64 / 10.0;
            format!(r#"{{"timestamp":{time},"value":{value:.1}}}"#)
        })
        .collect();
    (
        "/timeseries/10744/getData".to_owned(),
        format!(r#"{{"values":[{}]}}"#, points.join(",")),
    )
}

fn opensensemap(number: u64) -> (String, String) {
    let points: Vec<String> = (0..MANY)
        .map(|point| {
            let number = number * MANY + point;
            let (time, value) = (clock(number % 86_400), temperature(number));
            format!(
                r#"{{"location":[13.3,52.4],"createdAt":"2026-06-01T{time}.572Z","value":"{value:.2}"}}"#
            )
        })
        .collect();
    (String::new(), format!("[{}]", points.join(",")))
}
