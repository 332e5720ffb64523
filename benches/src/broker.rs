//! Mosquitto as docs/mosquitto.md tunes it, required here.

use anyhow::{Context, Result};
use meetnet_testkit::mosquitto::{Mosquitto, TUNED};

/// Starts the broker; returns it with its process id.
///
/// # Errors
/// Where it is not installed, or ends.
pub fn broker() -> Result<(Mosquitto, u32)> {
    let broker =
        Mosquitto::start(TUNED)?.context("install mosquitto: apt-get install mosquitto")?;
    let process_id = broker.process_id().context("the broker has ended")?;
    Ok((broker, process_id))
}
