//! What a run says of itself.

use std::path::Path;

use meetnet_demo::load::Load;
use meetnet_demo::load::expect::{Expectation, Fold};
use meetnet_model::time::format_rfc3339;

use super::pace::Outcome;
use super::text::{decimal, table};
use crate::readable::{counted, grouped};

/// Returns what is said before anything is sent.
pub(super) fn heading(load: &Load, rate: Option<f64>) -> String {
    let plan = load.plan();
    let rate = match rate {
        Some(rate) => format!("{rate} messages/s"),
        None => "as fast as they are acknowledged".to_owned(),
    };
    format!(
        "simulating: {} of {} over their transports, {} each, {rate}\n\
         \x20 seed {}, until {}; its devices begin with {}",
        counted(plan.messages, "message"),
        counted(plan.lanes.len() as u64, "format"),
        counted(plan.devices.into(), "device"),
        plan.seed,
        format_rfc3339(plan.until_s * 1_000_000),
        load.tag(),
    )
}

/// Returns what was sent, how fast, and what must be in the answers now.
pub(super) fn summary(expectation: &Expectation, outcome: &Outcome, file: &Path) -> String {
    let messages = expectation.messages;
    let seconds = outcome.elapsed.as_secs_f64();
    let per_second = messages.acknowledged as f64 / seconds.max(1e-6);
    let mut text = format!(
        "{} begun; {} acknowledged ({} of them again), {} in doubt, {} refused\n\
         {per_second:.0} acknowledged per second over {seconds:.1} s, at most {:.1?} behind the schedule\n",
        counted(outcome.messages, "message"),
        grouped(messages.acknowledged),
        grouped(messages.duplicates),
        grouped(messages.in_doubt),
        grouped(messages.refused),
        outcome.behind_max,
    );
    let within = |share| outcome.latencies.within(share);
    if let (Some(half), Some(most)) = (within(0.5), within(0.99)) {
        text.push_str(&format!(
            "from due to acknowledged: {half:.1?} at the median, {most:.1?} for 99 %\n"
        ));
    }
    for (complaint, times) in &outcome.complaints {
        let times = counted(*times, "time");
        text.push_str(&format!("{times}: {complaint}\n"));
    }
    text.push_str("\nin the answers now, per source:\n");
    let mut rows = vec![head(&[
        "source", "dataset", "of", "rows", "sum", "min", "max", "maybe",
    ])];
    for part in &expectation.parts {
        for series in &part.series {
            let Fold {
                rows: count,
                sum,
                lowest,
                highest,
            } = series.must;
            let may = match series.may.rows {
                0 => String::new(),
                more => format!("+{}", grouped(more)),
            };
            rows.push(vec![
                part.source.clone(),
                part.dataset.clone(),
                series.name.clone(),
                grouped(count),
                decimal(sum),
                lowest.map(decimal).unwrap_or_default(),
                highest.map(decimal).unwrap_or_default(),
                may,
            ]);
        }
    }
    text.push_str(&table(&rows));
    if !expectation.rejects.is_empty() {
        text.push_str("\nand rejects, which `meetnet rejects list --summary` shows:\n");
        let mut rows = vec![head(&["source", "reason", "rejects", "maybe"])];
        for rejects in &expectation.rejects {
            let may = match rejects.may {
                0 => String::new(),
                more => format!("+{}", grouped(more)),
            };
            rows.push(vec![
                rejects.source.clone(),
                rejects.reason.clone(),
                grouped(rejects.must),
                may,
            ]);
        }
        text.push_str(&table(&rows));
    }
    text.push_str(&format!(
        "\nwritten to {0}; check it with `meetnet simulate --verify http://HOST:PORT --expect {0}`",
        file.display()
    ));
    text
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
