//! What meetnet knows about data before any arrives: dataset declarations, ids, time, units, quality flags, licences
//! and reject reasons.
//!
//! Nearly every other crate builds on this one, on the way of a message: `decode -> quality -> lake -> query -> publish`.
//! It does no I/O, reads no clock and starts no task: files and the time of day are handed in.

pub mod assessment;
pub mod buckets;
pub mod calendar;
pub mod calendar_unit;
pub mod change;
pub mod column;
pub mod common;
pub mod common_columns;
pub mod dataset;
pub mod declarations;
pub mod derivation;
pub mod gathering;
pub mod hex;
pub mod ids;
pub mod index;
mod lambert;
pub mod lambert2008;
pub mod lambert72;
pub mod licence;
pub mod municipality;
pub mod network;
pub mod privacy;
pub mod property;
pub mod quality;
pub mod quantity;
pub mod readable;
pub mod redact;
pub mod registry;
pub mod reject;
pub mod rows;
pub mod schemas;
pub mod source;
pub mod texts;
pub mod time;
pub mod units;
pub mod weather;
