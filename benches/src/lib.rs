//! What the benches share: figures and their aims, clocks of CPU time, the bare disk, a bare MQTT publisher, messages
//! and tables.
//!
//! Every figure is a ratio to a reference measured in the same run on the same machine; docs/benchmarks.md has them.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

pub mod bodies;
pub mod broker;
pub mod cpu;
pub mod daemon;
pub mod disk;
pub mod figures;
pub mod publisher;
pub mod python;
pub mod table;

use meetnet_model::declarations::Declarations;
use meetnet_model::source::WireFormat;

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
    bodies::declarations(WireFormat::Json)
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
