//! `meetnet quality`: stored rows get the flags that the rules now in force and the whole series give them.

use std::sync::Arc;

use anyhow::anyhow;
use meetnet_ingest::settle::{self, SettleError, SettleSummary, Settling};
use meetnet_lake::journal::system_clock;
use meetnet_model::ids::DatasetId;
use serde::{Deserialize, Serialize};

use super::client::BAR;
use super::{Context, Outcome, Progress};
use crate::failure::Failure;
use crate::readable::{counted, grouped};

/// Which days of which datasets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rerunning {
    /// None: all.
    pub(crate) dataset: Option<DatasetId>,
    /// From when, µs since 1970 UTC; None: from the first row.
    pub(crate) from: Option<i64>,
    /// Until when, µs since 1970 UTC; itself not. None: as far as days are over.
    pub(crate) to: Option<i64>,
    /// Leaves out days that were settled with everything recorded since.
    pub(crate) only_changed: bool,
    /// Only says what would change.
    pub(crate) dry_run: bool,
}

/// Makes a pass over each dataset.
pub(super) fn rerun(
    context: &Context,
    rerunning: &Rerunning,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let declarations = Arc::clone(&context.config().declarations);
    let datasets: Vec<DatasetId> = match &rerunning.dataset {
        Some(dataset) => vec![dataset.clone()],
        None => {
            let all = declarations.datasets.values();
            let public = all.filter(|dataset| dataset.is_public());
            public.map(|dataset| dataset.id.clone()).collect()
        }
    };
    let mut lines = Vec::new();
    for dataset in datasets {
        let settling = Settling {
            dataset,
            from: rerunning.from,
            to: rerunning.to,
            only_changed: rerunning.only_changed,
            dry_run: rerunning.dry_run,
            declarations: Arc::clone(&declarations),
            now: system_clock()(),
        };
        let id = &settling.dataset;
        let mut tell = |done: &SettleSummary| {
            progress(format!(
                "{BAR}{id}: {} of {}, {} differ]",
                grouped(done.rows),
                counted(done.days, "day"),
                grouped(done.changed)
            ));
        };
        let summary = settle::settle(&settling, &context.shared, &context.pipeline, &mut tell);
        let summary = summary.map_err(|error| failure(error, &lines))?;
        if summary.days > 0 {
            lines.push(describe(&settling, &summary));
        }
    }
    if lines.is_empty() {
        lines.push("nothing to settle: no day with rows is over, or none has changed".to_owned());
    }
    Ok(Outcome::of(lines.join("\n")))
}

/// Says what became of one dataset.
fn describe(settling: &Settling, summary: &SettleSummary) -> String {
    let SettleSummary {
        days,
        rows,
        changed,
        reflagged,
        by_test,
        elapsed,
    } = summary;
    let verb = if settling.dry_run { "would get" } else { "got" };
    let changed = if settling.dry_run {
        *changed
    } else {
        reflagged.revised
    };
    let mut text = format!(
        "{}: {} of {} {verb} other flags, in {}",
        settling.dataset,
        grouped(changed),
        counted(*rows, "row"),
        counted(*days, "day")
    );
    if !settling.dry_run {
        text.push_str(&format!(" ({:.1} s)", elapsed.as_secs_f64()));
    }
    for (test, (found, passed)) in by_test {
        text.push_str(&format!(
            "\n  {test}: {} more, {} fewer",
            grouped(*found),
            grouped(*passed)
        ));
    }
    if reflagged.outdated > 0 {
        text.push_str(&format!(
            "\n  {} had changed meanwhile: the next pass judges them",
            counted(reflagged.outdated, "row")
        ));
    }
    text
}

/// A dataset that there is not is for who asked to correct.
fn failure(error: SettleError, done: &[String]) -> Failure {
    match error {
        SettleError::Usage(message) => Failure::Usage(anyhow!(message)),
        error if done.is_empty() => Failure::work(error),
        error => Failure::Work(
            anyhow::Error::new(error).context(format!("done before: {}", done.join("; "))),
        ),
    }
}
