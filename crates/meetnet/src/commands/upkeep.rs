//! `meetnet compact` and `meetnet vacuum`: what the lake does by itself in the background, now and for all of it.

use anyhow::anyhow;
use meetnet_ingest::pipeline::PipelineError;
use meetnet_lake::LakeError;
use meetnet_lake::check::Depth;
use meetnet_lake::lake::{Compacted, UpkeepRequest, Vacuumed};
use meetnet_model::ids::DatasetId;
use meetnet_model::quantity::{DurationText, SizeText};

use super::{Context, Outcome, Progress};
use crate::check;
use crate::failure::Failure;
use crate::readable::counted;

/// Merges the files of every partition of a dataset, or of all, into one run each.
pub(super) fn compact(
    context: &Context,
    dataset: Option<&DatasetId>,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    progress("merging files".to_owned());
    let request = UpkeepRequest::Compact(dataset.cloned());
    let report = context.pipeline.tend(request).map_err(tend_failure)?;
    let done = describe_compacted(report.compacted);
    if report.compacted.failed > 0 {
        return Err(Failure::Work(anyhow!(
            "not every merge succeeded, the log says why; {done}"
        )));
    }
    let kept = DurationText(context.config().lake.limits.vacuum_after);
    let report = match report.compacted.files_before {
        0 => done,
        _ => {
            format!("{done}\nthe replaced files stay for {kept}, for readers that still hold them")
        }
    };
    Ok(Outcome::of(report))
}

/// Removes what nothing needs any more.
pub(super) fn vacuum(context: &Context, progress: &mut Progress<'_>) -> Result<Outcome, Failure> {
    progress("looking for files that nothing needs".to_owned());
    let report = context
        .pipeline
        .tend(UpkeepRequest::Vacuum)
        .map_err(tend_failure)?;
    let done = describe_vacuumed(report.vacuumed);
    if report.vacuumed.failed_tables > 0 {
        return Err(Failure::Work(anyhow!(
            "{} could not be looked through, the log says why; {done}",
            counted(report.vacuumed.failed_tables, "table")
        )));
    }
    Ok(Outcome::of(done))
}

/// Takes broken files out of the tables. The report is the whole of it as JSON: who asked says it in their own way.
pub(super) fn repair(
    context: &Context,
    quick: bool,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    progress("looking for broken files".to_owned());
    let depth = if quick { Depth::Quick } else { Depth::Full };
    let mut repaired = context.pipeline.repair(depth).map_err(Failure::work)?;
    progress("looking for the raw messages of what they held".to_owned());
    repaired
        .find_raw(&check::place(&context.config()))
        .map_err(Failure::work)?;
    let report = serde_json::to_string(&repaired).map_err(Failure::work)?;
    Ok(Outcome::of(report))
}

fn describe_compacted(compacted: Compacted) -> String {
    let Compacted {
        merges,
        files_before,
        files_after,
        rows,
        ..
    } = compacted;
    if merges == 0 {
        return "nothing to merge: every partition is one run of files".to_owned();
    }
    format!(
        "merged {} into {} in {}: {}",
        counted(files_before, "file"),
        files_after,
        counted(merges, "merge"),
        counted(rows, "row")
    )
}

fn describe_vacuumed(vacuumed: Vacuumed) -> String {
    let Vacuumed {
        replaced_files,
        orphans,
        log_files,
        bytes,
        ..
    } = vacuumed;
    if replaced_files + orphans + log_files == 0 {
        return "nothing to remove".to_owned();
    }
    format!(
        "removed {}, {} of crashes and {}: {}",
        counted(replaced_files, "replaced file"),
        counted(orphans, "leftover"),
        counted(log_files, "log file"),
        SizeText(bytes).rounded()
    )
}

/// What the lake does not know was asked for wrongly.
fn tend_failure(error: PipelineError) -> Failure {
    match error {
        PipelineError::Lake(error @ LakeError::Usage(_)) => Failure::usage(error),
        error => Failure::work(error),
    }
}
