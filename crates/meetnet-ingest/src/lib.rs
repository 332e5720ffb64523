//! Sources: MQTT subscriptions, HTTP push and polled APIs, from the wire to the journal, acknowledged after its sync.
//!
//! `sensor -> [mqtt | http | poll] -> intake -> journal -> pipeline (decode, quality) -> lake`
//!
//! It knows nothing of SQL or DataFusion, and what an envelope means is decided behind the journal: only the answer to
//! a push looks there, through [`outcomes`].

mod devices;
mod dup_window;
mod epoch;
pub mod http;
pub mod import;
mod intake;
pub mod mqtt;
pub mod outcomes;
pub mod pipeline;
pub mod poll;
pub mod replay;
mod service;
pub mod settle;
pub mod status;

pub use devices::announce_devices;
pub use dup_window::{DupWindows, SessionHistory};
pub use intake::{EnvelopeSink, Intake};
pub use service::{Handles, PushServer, Sources, StartError, start};
