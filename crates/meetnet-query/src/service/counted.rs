//! How queries end, counted.

use std::thread;

use crate::error::QueryErrorKind;
use crate::stop::CutOff;

/// Counts one query when it is dropped: by what is said of its end, and where nobody can say it any more, because the task is
/// stopped or nobody waits for a place, as one that was given up, or cut off by the end of the service.
#[derive(Debug)]
pub(super) struct Counted {
    result: Option<&'static str>,
    cut_off: CutOff,
}

impl Counted {
    /// Begins a query of a service.
    pub(super) fn begin(cut_off: &CutOff) -> Self {
        Self {
            result: None,
            cut_off: cut_off.clone(),
        }
    }

    /// Says how it ended.
    pub(super) fn ended(mut self, result: &'static str) {
        self.result = Some(result);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let result = match self.result {
            Some(result) => result,
            None if thread::panicking() => QueryErrorKind::Internal.as_str(),
            None => self.cut_off.outcome(),
        };
        metrics::counter!("meetnet_queries_total", "result" => result).increment(1);
    }
}
