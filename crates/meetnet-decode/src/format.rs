//! The wire formats, one module each. A format finds the documents in a body, the time and the sensor of each, and
//! hands them to the mapping (Telraam, whose rows are wide and fixed, and time series, which say beside the body what they
//! are, fill their datasets themselves).
//!
//! A decoder fails only where the body as a whole cannot be read, and then before it has made any row, so that the
//! caller can try again leniently or make one reject of the whole body.

pub(crate) mod airrohr;
pub(crate) mod chirpstack;
pub(crate) mod csv;
pub(crate) mod influx;
pub(crate) mod json;
pub(crate) mod mapped;
pub(crate) mod ngsi;
pub(crate) mod senml;
pub(crate) mod sensor_community;
pub(crate) mod sensorthings;
pub(crate) mod series;
pub(crate) mod station;
pub(crate) mod telraam;
pub(crate) mod tts;

use meetnet_model::privacy::{self, PrivacyKey};
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{SourceDeclaration, TimeWindow};

use crate::envelope::EnvelopeRef;
use crate::group::Output;
use crate::identity::{IdFault, Naming};
use crate::instant::{TimeFault, check_window};
use crate::sentinels::Sentinels;
use crate::stations::DeclaredStations;

/// What every format needs of its source's declaration.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) naming: Naming,
    pub(crate) time_window: TimeWindow,
    pub(crate) sentinels: Sentinels,
    /// Where the declared devices stand.
    pub(crate) stations: DeclaredStations,
}

impl Common {
    pub(crate) fn new(source: &SourceDeclaration, key: &PrivacyKey) -> Self {
        Self {
            naming: Naming::new(source, key),
            time_window: source.time_window,
            sentinels: Sentinels::of(&source.sentinels, &[]),
            stations: DeclaredStations::default(),
        }
    }

    /// Returns a device's time if it is plausible.
    #[inline]
    pub(crate) fn check_time(&self, time: i64, received_at: i64) -> Result<i64, TimeFault> {
        check_window(time, received_at, self.time_window)
    }
}

/// One body being decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) common: &'a Common,
    pub(crate) envelope: &'a EnvelopeRef<'a>,
    /// Its text: the payload, trimmed, and without bare `nan` where the source is lenient.
    pub(crate) text: &'a str,
    /// Some of its lines are not UTF-8; of a format of lines only.
    pub(crate) is_torn: bool,
}

/// What is said about a line that is not UTF-8.
pub(crate) const NOT_TEXT: &str =
    "the line is not UTF-8; let the sender write UTF-8, not Latin-1 or Windows-1252";

impl Body<'_> {
    /// Returns true for a part of the text that is not what was sent, since that was not UTF-8.
    pub(crate) fn is_torn_at(&self, part: &str) -> bool {
        self.is_torn && part.contains(char::REPLACEMENT_CHARACTER)
    }

    /// Returns a device's time if it is plausible, or if it lies in the window that a poll asked for: whoever asks for
    /// years ago wants them.
    #[inline]
    pub(crate) fn check_time(&self, time: i64) -> Result<i64, TimeFault> {
        let checked = self.common.check_time(time, self.envelope.received_at);
        checked.or_else(|fault| {
            if self.envelope.is_asked_for(time) {
                Ok(time)
            } else {
                Err(fault)
            }
        })
    }
}

/// Makes the reject of a message without a usable time.
pub(crate) fn reject_time(fault: &TimeFault, excerpt: &str, output: &mut Output) {
    output.reject(fault.reason, &fault.message, excerpt);
}

/// Makes the reject of a message that does not say which sensor it is from. `missing` says where the id should stand.
pub(crate) fn reject_id(fault: IdFault, missing: &str, excerpt: &str, output: &mut Output) {
    match fault {
        IdFault::UnknownTopic => output.reject(
            RejectReason::UnknownTopic,
            "the topic matches none of the source's topic patterns, so it names no sensor",
            excerpt,
        ),
        IdFault::Missing => output.reject(RejectReason::MissingField, missing, excerpt),
        IdFault::Wrong => output.reject(
            RejectReason::WrongType,
            "the sensor id is no text or number of at most 200 bytes without control characters",
            excerpt,
        ),
    }
}

/// Makes the reject of a part of a body that is not JSON; `error` names line and column, never content.
pub(crate) fn reject_malformed(error: &serde_json::Error, excerpt: &str, output: &mut Output) {
    output.reject(
        RejectReason::Malformed,
        format_args!("not JSON: {error}"),
        excerpt,
    );
}

/// Returns a name from a body as a reject may repeat it: what could be anything (a MAC, a token) is not shown.
pub(crate) fn shown_name(name: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    let is_name = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_()-. ".contains(&b));
    if !is_name {
        return "?".to_owned();
    }
    let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
    privacy::redact(shown.as_bytes())
}
