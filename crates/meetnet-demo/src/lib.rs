//! The demo city: an MQTT broker inside the process and a seeded simulator of Leuven's sensors.
//!
//! ```text
//! seed ─▶ City ─▶ Sky ─▶ readings ─┬─▶ messages + faults ─▶ LiveFeed ─▶ publish ─▶ broker ─▶ ingest, as for real sensors
//!                                  └─▶ history: a year of rows ─▶ bulk path of the lake
//! seed ─▶ load: any number of devices in every wire format, and what their rows must be
//! ```
//!
//! Every value is a function of seed, sensor and time, so history and live feed join without a seam and a second
//! demo continues the first. It knows neither lake nor ingest nor SQL; the binary wires it to them.

pub mod broker;
pub mod calendar;
pub mod city;
pub mod faults;
pub mod feed;
pub mod history;
pub mod load;
pub mod messages;
pub mod noise;
pub mod places;
pub mod publish;
pub mod sensors;
pub mod sources;
pub mod traffic;
pub mod weather;

pub use broker::{Broker, BrokerError, start_broker};
pub use city::City;
pub use faults::{Fault, FaultShares};
pub use feed::{LiveFeed, LiveMessage};
pub use history::{History, HistoryChunk, HistoryError};
pub use messages::Message;
pub use publish::{PublishReport, publish};
pub use sources::{DemoSource, sources_toml};

/// The seed of the demo's city.
pub const DEFAULT_SEED: u64 = 3_000;
