//! What a call restricts its answers to, in headers: a time they are answered as of, licences of their rows. Over HTTP the
//! same stands in addresses, as `as_of` and `licence`.

use std::collections::BTreeSet;

use meetnet_model::ids::LicenceId;
use meetnet_model::time::day_or_time;
use meetnet_query::licences;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::error::of_query;

const AS_OF: &str = "meetnet-as-of";
const LICENCE: &str = "meetnet-licence";

/// See the module's own words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// µs since 1970 UTC.
    pub(crate) as_of: Option<i64>,
    /// None: all.
    pub(crate) licences: Option<BTreeSet<LicenceId>>,
}

impl Scope {
    /// Reads the headers of a call.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no time, or no licence.
    pub(crate) fn of(metadata: &MetadataMap) -> Result<Self, Status> {
        let as_of = metadata.get(AS_OF).map(|header| {
            let time = header.to_str().ok();
            let time = time.and_then(day_or_time);
            time.ok_or_else(|| {
                Status::invalid_argument(format!(
                    "the header `{AS_OF}` takes an RFC 3339 time such as 2026-01-31T12:00:00Z, or a day"
                ))
            })
        });
        let named = metadata.get_all(LICENCE).into_iter();
        let named = named.map(|header| header.to_str().unwrap_or_default());
        Ok(Self {
            as_of: as_of.transpose()?,
            licences: licences(named).map_err(of_query)?,
        })
    }
}
