//! The wire formats, one module each. A format finds the documents in a body, the time and the sensor of each, and
//! hands them to the mapping (Telraam, whose rows are wide and fixed, fills its dataset itself).
//!
//! A decoder fails only where the body as a whole cannot be read, and then before it has made any row, so that the
//! caller can try again leniently or make one reject of the whole body.

pub(crate) mod airrohr;
pub(crate) mod json;
pub(crate) mod telraam;
pub(crate) mod tts;

use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{SourceDeclaration, TimeWindow};

use crate::group::Output;
use crate::identity::{IdFault, Naming};
use crate::instant::{TimeFault, check_window};

/// What every format needs of its source's declaration.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) naming: Naming,
    pub(crate) time_window: TimeWindow,
    pub(crate) sentinels: Vec<f64>,
}

impl Common {
    pub(crate) fn new(source: &SourceDeclaration, key: &PrivacyKey) -> Self {
        Self {
            naming: Naming::new(source, key),
            time_window: source.time_window,
            sentinels: source.sentinels.clone(),
        }
    }

    /// Returns a device's time if it is plausible.
    pub(crate) fn check_time(&self, time: i64, received_at: i64) -> Result<i64, TimeFault> {
        check_window(time, received_at, self.time_window)
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
