//! End-to-end tests: the real binary, a real Mosquitto, real recordings, independent readers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics to fail and says what it skips"
)]

mod abuse;
mod backfills;
mod changes;
mod crashes;
mod declarations;
mod derived;
mod described;
mod erase;
mod exports;
mod files;
mod first_page;
mod flight;
mod gathered;
mod imports;
mod lost;
mod operations;
mod postgres;
mod priority;
mod privacy;
mod quality;
mod readers;
mod recordings;
mod reload;
mod repair;
mod s3;
mod scrub;
mod settled;
mod starts;
