//! How queries end: noted in the audit log, and counted.

use std::thread;

use crate::audit::Noted;
use crate::error::QueryErrorKind;
use crate::stop::CutOff;

/// Notes and counts one query when it is dropped: by what is said of its end, and where nobody can say it any more, because the
/// task is stopped or nobody waits for a place, as one that was given up, or cut off by the end of the service.
#[derive(Debug)]
pub(super) struct Counted {
    result: Option<&'static str>,
    /// Its entry in the audit log.
    noted: Option<Noted>,
    cut_off: CutOff,
    is_forgotten: bool,
}

impl Counted {
    /// Begins a query of a service.
    pub(super) fn begin(cut_off: &CutOff, noted: Option<Noted>) -> Self {
        Self {
            result: None,
            noted,
            cut_off: cut_off.clone(),
            is_forgotten: false,
        }
    }

    /// Counts what goes out, for the audit log.
    pub(super) fn add(&mut self, rows: u64, bytes: u64) {
        if let Some(noted) = &mut self.noted {
            noted.add(rows, bytes);
        }
    }

    /// Says how it ended, None: because nobody waits for it any more; returns what is said of it.
    pub(super) fn ended(mut self, result: Option<&'static str>) -> &'static str {
        let result = result.unwrap_or_else(|| self.cut_off.outcome());
        self.result = Some(result);
        result
    }

    /// Says nothing of it.
    pub(super) fn forget(mut self) {
        self.is_forgotten = true;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.is_forgotten {
            return;
        }
        let result = match self.result {
            Some(result) => result,
            None if thread::panicking() => QueryErrorKind::Internal.as_str(),
            None => self.cut_off.outcome(),
        };
        if let Some(noted) = self.noted.take() {
            noted.ended(result);
        }
        metrics::counter!("meetnet_queries_total", "result" => result).increment(1);
    }
}
