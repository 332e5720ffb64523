//! The settle pass of a running daemon: once a day is over, and whenever rows of earlier days have come since.

use std::time::Duration;

use meetnet_ingest::settle::settled_until;
use meetnet_lake::journal::system_clock;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::commands::{self, Context, Request, Rerunning};

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
        Err(failure) => {
            let error = format!("{:#}", failure.error());
            warn!(error, "the flags of days that are over are settled later");
            false
        }
    }
}
