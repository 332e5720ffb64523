//! Waiting for a store that does not answer.
//!
//! Requests have a limit of their own, within which the store's client tries again. Beyond it a commit fails and is
//! tried again later, its rows stay hot. Whoever looks keys up has no such way back: without the answer nothing can be
//! applied, and giving up means a restart that meets the same store. So reads of files wait here, while the journal
//! takes what comes in.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::Error;
use object_store::path::Path;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::io_error;

/// First pause; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long reads wait, and whether they still may.
#[derive(Debug)]
pub(super) struct Patience {
    outage_time_max: Duration,
    is_over: Mutex<bool>,
    ended: Condvar,
}

impl Patience {
    /// Returns patience for outages up to `outage_time_max`.
    pub(super) fn new(outage_time_max: Duration) -> Self {
        Self {
            outage_time_max,
            is_over: Mutex::new(false),
            ended: Condvar::new(),
        }
    }

    /// Lets every wait, now and later, end with the error that it waited for to go away.
    pub(super) fn end(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
    }

    /// Reads until the store answers, or for too long.
    pub(super) fn read<T, F>(
        &self,
        runtime: &Handle,
        path: &Path,
        request: impl Fn() -> F,
    ) -> io::Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let begun = Instant::now();
        let mut pause = PAUSE;
        let mut is_told = false;
        loop {
            match runtime.block_on(request()) {
                Err(error)
                    if is_outage(&error)
                        && begun.elapsed() + pause < self.outage_time_max
                        && self.sleep(pause) =>
                {
                    metrics::counter!("meetnet_lake_read_waits_total").increment(1);
                    if !std::mem::replace(&mut is_told, true) {
                        warn!(
                            %path,
                            error = &error as &dyn std::error::Error,
                            "the object store does not answer: waiting for it, the journal takes what comes in"
                        );
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                answer => {
                    if is_told && answer.is_ok() {
                        let elapsed_ms = begun.elapsed().as_millis() as u64;
                        info!(%path, elapsed_ms, "the object store answers again");
                    }
                    return answer.map_err(io_error);
                }
            }
        }
    }

    /// Sleeps; false where waiting is over.
    fn sleep(&self, pause: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_over, _) = self
            .ended
            .wait_timeout_while(is_over, pause, |is_over| !*is_over)
            .unwrap_or_else(PoisonError::into_inner);
        !*is_over
    }
}

/// Returns true where asking again may help: the error says nothing about the object or the one who asks.
fn is_outage(error: &Error) -> bool {
    if !matches!(error, Error::Generic { .. }) {
        return false;
    }
    // The status is in the text alone: the client's own error type is private.
    let said = error.to_string();
    let refused = said.contains("status code: 4");
    !refused || said.contains("status code: 429") || said.contains("status code: 408")
}
