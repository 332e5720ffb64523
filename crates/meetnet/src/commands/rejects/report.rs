//! What somebody who replayed messages is told.

use meetnet_ingest::pipeline::ReplayedRows;
use meetnet_ingest::replay::Decided;

use super::super::import::describe_applied;
use crate::readable::{counted, grouped};

/// Says what came of a replay: of `chosen` rejects so many are `resolved`, and `rows` are those of its messages.
pub(super) fn describe_replayed(
    decided: &Decided,
    chosen: u64,
    resolved: u64,
    rows: &ReplayedRows,
) -> String {
    if chosen == 0 && decided.frames == 0 && decided.without_source.is_empty() {
        return "no open reject matches".to_owned();
    }
    let mut report = format!("replayed {}", counted(decided.frames, "message"));
    if chosen > 0 {
        report.push_str(&format!(
            ": {} of {} {} resolved",
            grouped(resolved),
            counted(chosen, "reject"),
            if chosen == 1 { "is" } else { "are" }
        ));
    }
    for (dataset, applied) in &rows.applied {
        report.push('\n');
        report.push_str(&describe_applied(dataset, *applied));
    }
    for dataset in &rows.waiting {
        report.push_str(&format!(
            "\n{dataset}: further rows wait for a file that cannot be read; the log names it"
        ));
    }
    if rows.applied.is_empty() && decided.frames > 0 {
        report.push_str("\nnone of them has a row");
    }
    let again = decided.rejects.saturating_sub(resolved);
    if again > 0 {
        report.push_str(&format!(
            "\n{again} came out again for the same messages: `meetnet rejects list` says why"
        ));
    }
    if decided.confirmed > 0 {
        report.push_str(&format!(
            "\n{} said again by later messages: what is stored stays, and what was replayed of it is history",
            counted(decided.confirmed, "stored value")
        ));
    }
    if decided.gone > 0 {
        report.push_str(&format!(
            "\n{} in neither journal nor archive any more: the rejects stay open, `meetnet rejects drop` closes them",
            counted(decided.gone, "message")
        ));
    }
    for (source, messages) in &decided.without_source {
        report.push_str(&format!(
            "\n{} of source `{source}` left as before, rejects with their reasons: it is not configured any more. Declare it \
             again and replay them, or close them with `meetnet rejects drop --source {source}`",
            counted(*messages, "message")
        ));
    }
    report
}
