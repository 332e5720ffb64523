//! Helpers that more than one crate's tests need: a clock that is set by hand, a file layer that fails on purpose
//! (feature `files`), an object store that does (`objects`), rows of a small dataset (`garden`), a Mosquitto of a test's
//! own (`mosquitto`), an S3 server, a proxy that fails on purpose, and the place of the program under test.
//!
//! Production code never depends on it. The faulty file layer implements a trait of `meetnet-lake`, the rows are those of
//! `meetnet-model`; nothing else here knows another crate of the workspace.

pub mod binary;
pub mod clock;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "garden")]
pub mod garden;
pub mod http_proxy;
#[cfg(feature = "mosquitto")]
pub mod mosquitto;
#[cfg(feature = "objects")]
pub mod objects;
mod ports;
pub mod s3;

pub use ports::free_port;
