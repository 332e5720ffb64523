//! MQTT sources against a real Mosquitto and a real journal; schedules of faults against journal, pipeline and lake.
//! Without `mosquitto` on the machine the tests that need it say so and pass; `MEETNET_REQUIRE_MOSQUITTO=1` (CI) makes
//! that a failure.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]

mod client_library;
mod daemon;
mod exchange;
mod mqtt_source;
mod scene;
mod schedules;
mod station;
mod tls;
mod websockets;
