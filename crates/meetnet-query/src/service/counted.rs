//! How queries end, counted.

use std::thread;

use crate::audit::GIVEN_UP;
use crate::error::QueryErrorKind;

/// Counts one query when it is dropped: by what is said of its end, and where nobody can say it any more, because the task is
/// stopped or nobody waits for a place, as one that was given up.
#[derive(Debug, Default)]
pub(super) struct Counted {
    result: Option<&'static str>,
}

impl Counted {
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
            None => GIVEN_UP,
        };
        metrics::counter!("meetnet_queries_total", "result" => result).increment(1);
    }
}
