//! Harness of the end-to-end tests: a real Mosquitto, the real `meetnet` binary, publishers, and Python readers.
//!
//! Everything listens on loopback, lives in a temporary folder and is ended by its process id.
#![allow(clippy::print_stdout, reason = "tests say what they skip")]

pub mod abuse;
pub mod daemon;
pub mod postgres;
pub mod publisher;
pub mod python;
pub mod upkeep;

use std::path::PathBuf;

/// Returns a folder of recordings named by an environment variable; says so where it is not set.
pub fn recordings(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: {variable} names no folder of recordings");
    }
    folder
}
