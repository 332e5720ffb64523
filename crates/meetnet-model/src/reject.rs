//! What could not become a row, and why: a closed list of reasons.

use serde::{Deserialize, Serialize};

/// Why an envelope, or part of one, is not a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The envelope is larger than its source allows; its head is kept.
    TooLarge,
    /// The body is not in the declared format (not JSON, not UTF-8, cut short).
    Malformed,
    /// The body is well-formed but has not the shape of the declared format.
    UnexpectedShape,
    /// A field that a row needs is missing.
    MissingField,
    /// A field has a value of another kind than declared.
    WrongType,
    /// The time cannot be read or its zone is unknown.
    BadTime,
    /// The time lies outside the source's `time_window`.
    TimeOutOfWindow,
    /// The envelope holds no value that the mapping names.
    NoMappedValue,
    /// What the source declares to say so says that the value is no reading.
    NotValid,
    /// A LoRaWAN uplink without decoded payload (no codec at the network server).
    NoDecodedPayload,
    /// An instance-level row whose segment is not known.
    UnknownPlace,
    /// The topic does not match the source's topic patterns.
    UnknownTopic,
    /// The source of the envelope is no longer declared.
    UnknownSource,
    /// A bare device message (status, join, error) that carries no observation.
    NoObservation,
}

impl RejectReason {
    /// Every reason, in the order of their declaration.
    pub const ALL: [Self; 14] = [
        Self::TooLarge,
        Self::Malformed,
        Self::UnexpectedShape,
        Self::MissingField,
        Self::WrongType,
        Self::BadTime,
        Self::TimeOutOfWindow,
        Self::NoMappedValue,
        Self::NotValid,
        Self::NoDecodedPayload,
        Self::UnknownPlace,
        Self::UnknownTopic,
        Self::UnknownSource,
        Self::NoObservation,
    ];

    /// Returns the reason as it stands in tables, metrics and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnexpectedShape => "unexpected_shape",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::BadTime => "bad_time",
            Self::TimeOutOfWindow => "time_out_of_window",
            Self::NoMappedValue => "no_mapped_value",
            Self::NotValid => "not_valid",
            Self::NoDecodedPayload => "no_decoded_payload",
            Self::UnknownPlace => "unknown_place",
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownSource => "unknown_source",
            Self::NoObservation => "no_observation",
        }
    }

    /// Returns the reason of this name, as [`RejectReason::as_str`] writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// An envelope, or part of one, that could not become a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// Position of the envelope in the decoded group.
    pub envelope: u32,
    /// Number of this reject within its envelope, 0 first; with the sequence it is the key of `rejects`.
    pub ordinal: u32,
    /// What it is about, where a body has several messages: its position in the body, 0 first (of line protocol the
    /// position of the line). None: all of the envelope.
    pub item: Option<u32>,
    /// Why.
    pub reason: RejectReason,
    /// What was wrong, where and what to do, without personal data.
    pub message: String,
    /// A redacted excerpt of the bytes, at most 200 characters.
    pub excerpt: String,
}
