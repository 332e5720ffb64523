//! `meetnet backfill`: a polled API is asked for its past, window by window, at the pace that it allows.

use anyhow::anyhow;
use meetnet_ingest::poll::{BackfillProgress, Window};
use meetnet_model::ids::SourceId;
use tokio::runtime::Handle;

use super::{Context, Outcome, Progress};
use crate::failure::Failure;

/// Has the source's poller do it, and tells how it gets on.
pub(super) fn run(
    context: &Context,
    source: &SourceId,
    span: Window,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let mut receiver = context
        .backfills
        .request(source, span)
        .map_err(Failure::usage)?;
    let runtime = Handle::current();
    loop {
        let now = receiver.borrow_and_update().clone();
        if let Some(ended) = &now.ended {
            return match ended {
                Ok(()) => report(source, &now),
                Err(message) => Err(Failure::Work(anyhow!(
                    "the backfill was given up after {}: {message}",
                    windows(now.windows_done)
                ))),
            };
        }
        progress(line(&now));
        if runtime.block_on(receiver.changed()).is_err() {
            return Err(Failure::Work(anyhow!(
                "the source stopped before the backfill was done; ask for it again"
            )));
        }
    }
}

/// Says how it stands.
fn line(now: &BackfillProgress) -> String {
    if !now.begun {
        return "waiting until another backfill of the source is done".to_owned();
    }
    let all = now.windows_done + now.windows_left;
    let mut line = format!(
        "{} of {}, {} rows",
        now.windows_done,
        windows(all),
        now.items
    );
    if let Some(last) = &now.last {
        line.push_str("; last ");
        line.push_str(last);
    }
    if let Some(trouble) = &now.trouble {
        line.push_str("; tries again: ");
        line.push_str(trouble);
    }
    line
}

fn report(source: &SourceId, done: &BackfillProgress) -> Result<Outcome, Failure> {
    if done.windows_done == 0 {
        return Err(Failure::Usage(anyhow!(
            "there was nothing to ask `{source}` for: the span holds no closed period, or its API has no history"
        )));
    }
    let report = format!(
        "asked `{source}` for {}: {} rows, stored but for those that were there",
        windows(done.windows_done),
        done.items
    );
    if done.refused_total == 0 {
        return Ok(Outcome::of(report));
    }
    let refused = done.refused.join("\n");
    Err(Failure::Work(anyhow!(
        "{report}\n{} refused, these first:\n{refused}",
        windows(done.refused_total)
    )))
}

fn windows(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} window{plural}")
}
