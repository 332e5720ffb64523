//! `meetnet backfill`: a polled API is asked for its past, window by window, at the pace that it allows.

use anyhow::anyhow;
use jiff::Timestamp;
use meetnet_ingest::poll::{BackfillEnd, BackfillProgress, Window};
use meetnet_model::ids::SourceId;
use tokio::runtime::Handle;

use super::{Context, Outcome, Progress};
use crate::failure::Failure;
use crate::readable::counted;

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
            return end(source, &now, ended);
        }
        progress(line(&now, Timestamp::now().as_microsecond()));
        if runtime.block_on(receiver.changed()).is_err() {
            return end(source, &now, &BackfillEnd::Interrupted);
        }
    }
}

/// Takes back what a source was asked for.
pub(super) fn cancel(context: &Context, source: &SourceId) -> Result<Outcome, Failure> {
    let cancelled = context.backfills.cancel(source).map_err(Failure::usage)?;
    let cancelled = Handle::current().block_on(cancelled);
    let stopped = |_| anyhow!("source `{source}` stopped before it had heard of it; ask again");
    match cancelled.map_err(stopped).map_err(Failure::Work)? {
        0 => Err(Failure::Usage(anyhow!(
            "there is no backfill of `{source}`: nothing was cancelled"
        ))),
        count => {
            let plural = if count == 1 { "" } else { "s" };
            Ok(Outcome::of(format!(
                "cancelled {count} backfill{plural} of `{source}`; what they have brought stays"
            )))
        }
    }
}

/// Says how it ended.
fn end(source: &SourceId, now: &BackfillProgress, how: &BackfillEnd) -> Result<Outcome, Failure> {
    let done = windows(now.windows_done);
    let error = match how {
        BackfillEnd::Done => return report(source, now),
        BackfillEnd::GivenUp(message) => {
            anyhow!(
                "the backfill was given up after {done}: {message}; the same command goes on with what is left, and so does a daemon"
            )
        }
        BackfillEnd::Cancelled => anyhow!("the backfill was cancelled after {done}"),
        BackfillEnd::Interrupted => anyhow!(
            "the source was stopped after {done}; the backfill goes on when it runs again, and asking for the same span shows how"
        ),
    };
    Err(Failure::Work(error))
}

/// Says how it stands at `at`, µs since 1970 UTC.
fn line(now: &BackfillProgress, at: i64) -> String {
    if !now.begun {
        return "waiting until another backfill of the source is done".to_owned();
    }
    let all = now.windows_done + now.windows_left;
    let mut line = format!(
        "{} of {}, {}",
        now.windows_done,
        windows(all),
        counted(now.items, "row")
    );
    if let Some(end) = now.expected_end {
        line.push_str("; ");
        line.push_str(&duration(end.saturating_sub(at)));
        line.push_str(" left");
    }
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
        "asked `{source}` for {}: {}, stored but for those that were there",
        windows(done.windows_done),
        counted(done.items, "row")
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

/// Returns a duration, given in µs, in the unit that suits it, rounded up.
fn duration(micros: i64) -> String {
    let seconds = micros.max(0).unsigned_abs().div_ceil(1_000_000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        7_200..172_800 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} d", seconds.div_ceil(86_400)),
    }
}

fn windows(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} window{plural}")
}

#[cfg(test)]
mod tests;
