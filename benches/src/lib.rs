//! What the benches share: a clock of CPU time, a bare MQTT publisher, a fixed set of messages.
//!
//! Every figure is a ratio to a reference measured in the same run on the same machine; docs/benchmarks.md has them.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

pub mod cpu;
pub mod publisher;

use meetnet_model::declarations::Declarations;
use meetnet_model::source::{
    MapEntry, SourceDeclaration, SourceKind, TimeDeclaration, TimeFormat, TimeWindow, ValueRef,
    WireFormat,
};

/// Devices that take turns.
pub const DEVICES: u64 = 500;

/// Returns topic and body of message `number`: a weather station's two values with their time, about 100 bytes.
/// Times of one device rise by 100 ms from `start_ms` on, so that every message is new and ten million
/// of them stay within the hour that a source's clock may be ahead.
pub fn message(number: u64, start_ms: u64) -> (String, String) {
    let device = number % DEVICES;
    let ts = start_ms + number / DEVICES * 100;
    let temperature = (number * 7 % 400) as f64 / 10.0 - 5.0;
    let humidity = 30 + number % 60;
    let body = format!(
        "{{\"temperature\":{temperature:.1},\"humidity\":{humidity},\"battery\":91,\"linkquality\":120,\"ts\":{ts}}}"
    );
    (format!("bench/station-{device:03}"), body)
}

/// Returns the built-in datasets with one source that maps [`message`].
pub fn declarations() -> Declarations {
    let map = |property: &str, pointer: &str, unit: &str| MapEntry {
        dataset: "heat".into(),
        property: Some(property.to_owned()),
        column: None,
        pointer: pointer.to_owned(),
        unit: Some(unit.to_owned()),
        interval_s: None,
    };
    meetnet_model::schemas::builtin().into_declarations([SourceDeclaration {
        id: "bench".into(),
        kind: SourceKind::Mqtt,
        format: WireFormat::Json,
        namespace: "bench".to_owned(),
        licence: "CC0-1.0".into(),
        attribution: None,
        topics: vec!["bench/{device}".to_owned()],
        sensor_id: Some(ValueRef::Template("{device}".to_owned())),
        hardware_id: false,
        time: Some(TimeDeclaration {
            pointer: "/ts".to_owned(),
            format: TimeFormat::UnixMs,
            zone: None,
            doubled_hour: None,
        }),
        time_window: TimeWindow::default(),
        sentinels: Vec::new(),
        lenient: false,
        map: vec![
            map("air_temperature", "/temperature", "Cel"),
            map("relative_humidity", "/humidity", "%"),
        ],
        precedence: 0,
    }])
}

/// The `[[source]]` section that declares the same in a configuration file.
pub fn source_toml(port: u16) -> String {
    format!(
        "[[source]]\nid = \"bench\"\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         topics = [\"bench/{{device}}\"]\nformat = \"json\"\nsensor_id = \"{{device}}\"\n\
         time = {{ pointer = \"/ts\", format = \"unix-ms\" }}\nlicence = \"CC0-1.0\"\nmap = [\n\
         {{ dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperature\", unit = \"Cel\" }},\n\
         {{ dataset = \"heat\", property = \"relative_humidity\", pointer = \"/humidity\", unit = \"%\" }},\n]\n"
    )
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as u64)
}
