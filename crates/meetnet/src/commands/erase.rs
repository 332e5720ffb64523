//! `meetnet erase`: a sensor or road segment leaves every file. What is done, and in which order, stands in the pipeline.
//!
//! What was named is repeated to who named it, and nowhere else: reports go to the log.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context as _, anyhow};
use meetnet_ingest::pipeline::{EraseReport, EraseRequest, PipelineError};
use meetnet_model::ids::{DatasetId, SourceId};
use serde::{Deserialize, Serialize};

use super::{Context, Outcome, Progress};
use crate::failure::Failure;
use crate::readable::{counted, grouped};

/// What is to be erased, as it was named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// Published ids of sensors.
    pub(crate) sensors: Vec<String>,
    /// Ids of road segments.
    pub(crate) segments: Vec<i64>,
    /// What devices call themselves at `source`.
    pub(crate) hardware_ids: Vec<String>,
    /// The source of the devices; given where there are any.
    pub(crate) source: Option<SourceId>,
}

impl Named {
    /// Says what will go and has a person say that it is meant; with `yes` nobody is asked.
    ///
    /// # Errors
    /// Where nothing is named, nobody can be asked, or the answer is no.
    pub(crate) fn confirm(&self, yes: bool) -> Result<(), Failure> {
        if self.sensors.is_empty() && self.segments.is_empty() && self.hardware_ids.is_empty() {
            return Err(Failure::Usage(anyhow!(
                "name what is to be erased: --sensor, --segment, or --hardware-id with --source"
            )));
        }
        let mut input = std::io::stdin().lock();
        if !yes && !input.is_terminal() {
            return Err(Failure::Usage(anyhow!(
                "an erasure cannot be undone, and nobody can be asked here: add --yes"
            )));
        }
        let mut question = std::io::stderr().lock();
        let said = writeln!(question, "{}", self.announce());
        if yes {
            // Nobody waits for it.
            return Ok(());
        }
        let mut answer = String::new();
        said.and_then(|()| write!(question, "Type yes to go on: "))
            .and_then(|()| question.flush())
            .and_then(|()| input.read_line(&mut answer))
            .context("failed to ask")
            .map_err(Failure::Work)?;
        match answer.trim() {
            "yes" => Ok(()),
            _ => Err(Failure::Usage(anyhow!("nothing was erased"))),
        }
    }

    /// Says what will be erased.
    fn announce(&self) -> String {
        let source = self.source.as_ref().map_or("", SourceId::as_str);
        let sensors = self.sensors.iter().map(|id| format!("  sensor {id}\n"));
        let segments = self.segments.iter().map(|id| format!("  segment {id}\n"));
        let devices = self.hardware_ids.iter();
        let devices = devices.map(|id| format!("  device {id} of source {source}\n"));
        let subjects: String = sensors.chain(segments).chain(devices).collect();
        format!(
            "To be erased:\n{subjects}\
             These go from tables, journal and archive: all rows, replaced versions and rejects included; the raw messages;\n\
             statistics of earlier versions; and files that nobody can read. A raw message that also holds others goes\n\
             whole, and the rows of those stay. Backups and downloads are not reached. This cannot be undone."
        )
    }

    /// Says for each what became of it.
    fn became(&self, missing: &EraseRequest) -> String {
        let line = |subject: String, is_missing: bool| {
            let what = if is_missing {
                "not found: compare the id with those in the tables; where it was erased before, nothing is left to do"
            } else {
                "erased"
            };
            format!("{subject}: {what}")
        };
        let sensors = self.sensors.iter().map(|id| {
            let is_missing = missing.sensor_ids.contains(id);
            line(format!("sensor {id}"), is_missing)
        });
        let segments = self.segments.iter().map(|id| {
            let is_missing = missing.segment_ids.contains(id);
            line(format!("segment {id}"), is_missing)
        });
        let devices = self.hardware_ids.iter().map(|id| {
            let mut devices = missing.devices.iter();
            let is_missing = devices.any(|(_, name)| name == id);
            line(format!("device {id}"), is_missing)
        });
        let lines: Vec<String> = sensors.chain(segments).chain(devices).collect();
        lines.join("\n")
    }

    fn request(&self) -> Result<EraseRequest, Failure> {
        let mut request = EraseRequest {
            sensor_ids: self.sensors.iter().cloned().collect(),
            segment_ids: self.segments.iter().copied().collect(),
            ..EraseRequest::default()
        };
        for name in &self.hardware_ids {
            let source = self.source.clone().ok_or_else(|| {
                Failure::Usage(anyhow!("say with --source where the device is from"))
            })?;
            request.devices.insert((source, name.clone()));
        }
        Ok(request)
    }
}

/// Erases what is named.
pub(super) fn erase(
    context: &Context,
    named: &Named,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let request = named.request()?;
    progress("erasing: this reads every table and every raw message".to_owned());
    let report = context
        .pipeline
        .erase(request)
        .map_err(|error| match error {
            error @ PipelineError::UnknownSource { .. } => Failure::usage(error),
            error => Failure::work(error),
        })?;
    Ok(outcome(named, &report))
}

/// Says what came of it. Names stand in what is for who named them alone.
fn outcome(named: &Named, report: &EraseReport) -> Outcome {
    let mut outcome = Outcome::of(describe(report));
    let missing = &report.missing;
    let missing_count =
        missing.sensor_ids.len() + missing.segment_ids.len() + missing.devices.len();
    if !found_anything(report) {
        let why = "nothing was erased: neither tables nor journal hold what was named; where it was erased before, nothing \
                   is left to do";
        outcome.in_vain = Some(why.to_owned());
    } else if missing_count > 0 {
        outcome.remark = Some(named.became(missing));
        outcome.in_vain = Some(format!(
            "not all of it was there: neither tables nor journal hold {missing_count} of what was named; the rest is erased"
        ));
    }
    outcome
}

fn found_anything(report: &EraseReport) -> bool {
    report.tables.rows > 0 || report.frames.frames > 0
}

fn describe(report: &EraseReport) -> String {
    let EraseReport {
        datasets,
        whole_datasets,
        tables,
        frames,
        mixed_frames,
        ..
    } = report;
    let unreadable = tables.unreadable_files + frames.unreadable_files + frames.damaged_regions;
    let mut lines = Vec::new();
    if !found_anything(report) {
        lines.push(
            "nothing was found: compare what was named with the ids in the tables".to_owned(),
        );
    } else {
        lines.push(format!(
            "erased {} and the content of {}",
            rows_of(datasets),
            counted(frames.frames, "raw message")
        ));
        if !whole_datasets.is_empty() {
            lines.push(format!(
                "{} of others and of several went as well, because they tell something of what was named: they are derived anew \
                 without it",
                rows_of(whole_datasets)
            ));
        }
        lines.push(format!(
            "{} written again, {} removed",
            counted(tables.files + frames.segments, "file"),
            counted(tables.replaced_files, "replaced file")
        ));
    }
    if *mixed_frames > 0 {
        lines.push(format!(
            "{} also held rows of others: those stay in their tables, and cannot be decoded again",
            counted(*mixed_frames, "raw message")
        ));
    }
    if unreadable > 0 {
        lines.push(format!(
            "{} that nobody could read went as well",
            counted(unreadable, "file or damaged part")
        ));
    }
    if found_anything(report) {
        lines.push("backups that were made before still hold what was erased".to_owned());
    }
    lines.join("\n")
}

/// Says how many rows of which datasets.
fn rows_of(datasets: &BTreeMap<DatasetId, u64>) -> String {
    let sum = counted(datasets.values().sum(), "row");
    if datasets.is_empty() {
        return sum;
    }
    let each = datasets.iter();
    let each = each.map(|(dataset, rows)| format!("{dataset} {}", grouped(*rows)));
    format!("{sum} ({})", each.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
