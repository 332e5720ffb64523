//! The settle pass of a running daemon: once a day is over, and whenever rows of earlier days have come since.

use std::time::Duration;

use meetnet_ingest::pipeline::PipelineError;
use meetnet_ingest::settle::settled_until;
use meetnet_lake::journal::system_clock;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::commands::{self, Context, Request, Rerunning};
use crate::failure::Failure;

/// How long after the start it is first looked: a start has other things to do.
const FIRST_PAUSE: Duration = Duration::from_secs(600);
/// How often it is looked whether a day is over.
const PAUSE: Duration = Duration::from_secs(3_600);

/// Starts it.
pub(super) fn start(context: Context) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut done = None;
        tokio::time::sleep(FIRST_PAUSE).await;
        loop {
            let until = settled_until(system_clock()());
            if done != Some(until) {
                let context = context.clone();
                let pass = tokio::task::spawn_blocking(move || pass(&context));
                // A panic has been reported by the panic hook.
                if pass.await.unwrap_or(false) {
                    done = Some(until);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// Settles what is over; returns whether that was possible.
fn pass(context: &Context) -> bool {
    let request = Request::Quality(Rerunning {
        only_changed: true,
        ..Rerunning::default()
    });
    match commands::execute(&request, context, &mut |_| {}) {
        Ok(outcome) => {
            // One field of one line: who reads JSON finds no breaks in it.
            let lines: Vec<&str> = outcome.report.lines().map(str::trim).collect();
            info!(
                report = lines.join("; "),
                "settled the flags of days that are over"
            );
            true
        }
        // Whoever stops a daemon is not to be warned of it: the next start makes the pass.
        Err(failure) if is_stop(&failure) => {
            debug!(
                "the daemon stops: the flags of days that are over are settled after the next start"
            );
            false
        }
        Err(failure) => {
            let error = format!("{:#}", failure.error());
            warn!(error, "the flags of days that are over are settled later");
            false
        }
    }
}

/// Returns true where a pass has ended because the pipeline takes nothing more.
fn is_stop(failure: &Failure) -> bool {
    failure.error().chain().any(|cause| {
        matches!(
            cause.downcast_ref::<PipelineError>(),
            Some(PipelineError::Stopped)
        )
    })
}

#[cfg(test)]
mod tests {
    use meetnet_ingest::settle::SettleError;

    use super::*;

    #[test]
    fn a_stop_is_told_from_a_failure() {
        let check = |error: PipelineError, expect: bool| {
            let text = error.to_string();
            let error = anyhow::Error::new(SettleError::from(error));
            let failure = Failure::Work(error.context("done before: air"));
            assert_eq!(is_stop(&failure), expect, "{text}");
        };
        check(PipelineError::Stopped, true);
        check(PipelineError::Interrupted, false);
    }
}
