//! What the benches share: figures and their aims, clocks of CPU time, the bare disk, a bare MQTT publisher, messages
//! and tables.
//!
//! Every figure is a ratio to a reference measured in the same run on the same machine; docs/benchmarks.md has them.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

pub mod bare_broker;
pub mod bodies;
pub mod broker;
pub mod city_year;
pub mod cpu;
pub mod daemon;
pub mod derived;
pub mod disk;
pub mod figures;
pub mod kept;
pub mod publisher;
pub mod python;
pub mod station_lake;
mod stations;
pub mod table;
pub mod turns;

pub use stations::{DEVICES, message, now_ms};

use meetnet_model::declarations::Declarations;
use meetnet_model::source::WireFormat;

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

/// The `[ingest_http]` and `[[source]]` sections that take `weather,station=… temp=…` as line protocol on a port.
pub fn line_protocol_toml(port: u16) -> String {
    format!(
        "[ingest_http]\nlisten = \"127.0.0.1:{port}\"\n\
         [[source]]\nid = \"bench\"\nkind = \"http\"\nformat = \"influx\"\nlicence = \"CC0-1.0\"\n\
         requests_per_second_max = 100000\nsensor_id = {{ field = \"station\" }}\n\
         map = [{{ dataset = \"heat\", property = \"air_temperature\", field = \"weather.temp\", unit = \"Cel\" }}]\n"
    )
}
