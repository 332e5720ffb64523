//! Wire formats: the bytes of an envelope become typed rows plus rejects.
//!
//! ```text
//! journal ─▶ EnvelopeRef ─▶ Decoders::decode ─▶ Group ─▶ Decoded { rows per dataset, rejects } ─▶ quality, lake
//!                              │ one per declarations frame
//!                              └ source ─▶ format (telraam, airrohr, tts, json, …) ─▶ mapping ─▶ dataset
//! ```
//!
//! Decoding is pure: it does no I/O and reads no clock (the receive time comes with the envelope), so the same
//! envelopes under the same declarations always become the same rows. It never fails and never panics, whatever the
//! bytes: what cannot become a row is a [`Reject`](meetnet_model::reject::Reject) with a reason from the closed list.
//! It sets no quality flags, looks up no stored rows and knows no Parquet.
//!
//! What all formats share:
//! - a body that is not JSON is one `malformed` reject; one bad row or value never takes the others with it;
//! - a field may come as a number, a numeric text, `""`, `null` or not at all: the last three are missing, and a missing
//!   value makes no row and no zero. Declared sentinels (`-999`) are missing too. Of a repeated member the last counts;
//! - a value that is no reading by what its source declares (`valid`) is a reject, whatever it is;
//! - numbers are read from their own digits, correctly rounded;
//! - times outside the source's `time_window` are rejects, and those before 2015 unless it declares that its data are so old; a
//!   message without a time of its own was observed when it was received;
//! - a sensor id is `<namespace>-<id>`; hardware ids (DevEUI, chip id, whatever `hardware_id = true` declares) are
//!   replaced by their HMAC before a row or reject is made. Messages of rejects repeat nothing of the body, excerpts
//!   are redacted;
//! - an envelope lists at most [`REJECTS_PER_ENVELOPE_MAX`] rejects and counts the rest.
//!
//! How it is fast: one pass over a body notes where its values stand. The pointers of a source are compiled into a tree,
//! with which one walk finds the values that are wanted (nothing is built, nothing allocated per message), and each is
//! then read as what its column must be, into columns whose buffers are used again. Messages are much alike: names are first
//! looked for where the message before had them, ids are found once per topic, device or pack, and what is written as
//! nearly all values and times are takes the short way. Points of a series become rows column by column.
//! A new format is a module under `format` that finds documents, time and sensor, and hands them to the mapping.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod comma;
mod corrections;
mod decoders;
mod devices;
mod envelope;
mod error;
mod fields;
mod format;
mod group;
mod identity;
mod instant;
mod json;
mod learn;
mod mapping;
mod quantity;
mod sentinels;
mod stations;
mod topic;
mod validity;
mod words;

pub use decoders::{ABOUT_DEVICES, ABOUT_META, ABOUT_STATION, Decoders, Subject};
pub use devices::with_pseudonyms;
pub use envelope::EnvelopeRef;
pub use error::{DecodeSetupError, SetupProblem};
pub use format::csv::quotes::RecordEnds;
pub use group::{Decoded, Group, REJECTS_PER_ENVELOPE_MAX};
pub use learn::{LearnError, NewSource, learn};
pub use topic::TopicPattern;

#[cfg(test)]
mod testing;
