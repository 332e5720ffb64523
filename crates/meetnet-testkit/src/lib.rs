//! Helpers that more than one crate's tests need: a clock that is set by hand, and a file layer that fails on purpose.
//!
//! Production code never depends on it. The faulty file layer (feature `files`) implements a trait of `meetnet-lake`;
//! everything else knows only `meetnet-model`.

pub mod clock;
#[cfg(feature = "files")]
pub mod files;
