//! What somebody who replayed messages is told.

use meetnet_ingest::pipeline::ReplayedRows;
use meetnet_ingest::replay::Decided;

use super::super::import::describe_applied;

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
    let mut report = format!("replayed {} messages", decided.frames);
    if chosen > 0 {
        report.push_str(&format!(": {resolved} of {chosen} rejects are resolved"));
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
            "\n{} stored values were said again by later messages: they stay, and what was replayed of them is history",
            decided.confirmed
        ));
    }
    if decided.gone > 0 {
        report.push_str(&format!(
            "\n{} messages are in neither journal nor archive any more: their rejects stay open, `meetnet rejects drop` \
             closes them",
            decided.gone
        ));
    }
    for (source, messages) in &decided.without_source {
        report.push_str(&format!(
            "\n{messages} messages of source `{source}` stay as they were, rejects with their reasons: it is not configured \
             any more. Declare it again and replay them, or close them with `meetnet rejects drop --source {source}`"
        ));
    }
    report
}
