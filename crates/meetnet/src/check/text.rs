//! A report as text for people: what was repaired, what is wrong and what to do, how much was looked at.

use std::fmt::Write;

use meetnet_lake::check::{Counts, Severity};
use meetnet_lake::known::LostTable;
use meetnet_lake::repair::{HeldPart, QuarantinedFile, RawFrames, Repaired, TimeRange};
use meetnet_model::quantity::SizeText;
use meetnet_model::time::format_rfc3339;

use super::Answer;
use crate::readable::counted;

/// Parts of one file that are listed; the JSON report has all.
const PARTS_SHOWN_MAX: usize = 20;

/// Returns the report.
pub(super) fn describe(answer: &Answer) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = accepted(&answer.accepted, &mut out)
        .and_then(|()| match &answer.repaired {
            Some(repaired) => repairs(repaired, &mut out),
            None => Ok(()),
        })
        .and_then(|()| findings(answer, &mut out));
    out.truncate(out.trim_end().len());
    out
}

fn findings(answer: &Answer, out: &mut String) -> std::fmt::Result {
    for finding in &answer.report.findings {
        let severity = match finding.severity {
            Severity::Damage => "damage ",
            Severity::Warning => "warning",
        };
        writeln!(out, "{severity}  {}", finding.place)?;
        writeln!(out, "         {}", finding.what)?;
        writeln!(out, "         what to do: {}\n", finding.to_do)?;
    }
    if answer.report.is_clean() {
        writeln!(out, "nothing is wrong")?;
    }
    let Counts {
        segments,
        frames,
        tables,
        log_entries,
        files,
        rows,
        bytes,
        quarantined,
    } = answer.report.counts;
    writeln!(
        out,
        "looked at {} in {}, {} with {}, {} with {}; read {}",
        counted(frames, "frame"),
        counted(segments, "segment"),
        counted(tables, "table"),
        counted(log_entries, "version"),
        counted(files, "file"),
        counted(rows, "row"),
        SizeText(bytes).rounded()
    )?;
    if quarantined > 0 {
        writeln!(out, "in quarantine: {}", counted(quarantined, "file"))?;
    }
    Ok(())
}

fn accepted(accepted: &[LostTable], out: &mut String) -> std::fmt::Result {
    for lost in accepted {
        writeln!(out, "accepted: {lost}\n")?;
    }
    Ok(())
}

fn repairs(repaired: &Repaired, out: &mut String) -> std::fmt::Result {
    for file in &repaired.files {
        repair(file, out)?;
    }
    for left in &repaired.left {
        let path = left.path.as_deref().unwrap_or("the table");
        writeln!(
            out,
            "not repaired: table {}, {path}: {}\n",
            left.dataset, left.reason
        )?;
    }
    if repaired.files.is_empty() && repaired.left.is_empty() {
        writeln!(out, "nothing to repair\n")?;
    }
    Ok(())
}

fn repair(file: &QuarantinedFile, out: &mut String) -> std::fmt::Result {
    writeln!(out, "taken out of table {}: {}", file.dataset, file.path)?;
    writeln!(out, "  {}", file.what)?;
    if let Some(kept_as) = &file.kept_as {
        writeln!(out, "  kept as {kept_as}")?;
    }
    let history = if file.superseded {
        ", all replaced before: only history is lost"
    } else {
        ""
    };
    writeln!(out, "  it held {}{history}:", counted(file.rows, "row"))?;
    for part in file.held.iter().take(PARTS_SHOWN_MAX) {
        writeln!(out, "    {}", describe_part(part))?;
    }
    let more = file.held.len().saturating_sub(PARTS_SHOWN_MAX);
    if more > 0 {
        writeln!(out, "    and {more} more; --format json lists all")?;
    }
    for raw in &file.raw {
        writeln!(out, "  {}", describe_raw(raw))?;
    }
    if file.has_imports {
        let dataset = &file.dataset;
        writeln!(
            out,
            "  files were imported into {dataset}: those that its rows came from bring them back, with the same `meetnet import`"
        )?;
    }
    writeln!(out)
}

fn describe_part(part: &HeldPart) -> String {
    let keys = part.keys.iter().map(|key| {
        if key.least == key.greatest {
            format!("{} {}", key.column, key.least)
        } else {
            format!("{} {} to {}", key.column, key.least, key.greatest)
        }
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    if part.is_read {
        format!("{}: {keys}", counted(part.rows, "row"))
    } else {
        format!(
            "{} that cannot be read, within: {keys}",
            counted(part.rows, "row")
        )
    }
}

fn describe_raw(raw: &RawFrames) -> String {
    let source = if raw.sources.least == raw.sources.greatest {
        format!("source {}", raw.sources.least)
    } else {
        format!("sources {} to {}", raw.sources.least, raw.sources.greatest)
    };
    let wanted = span(raw.wanted);
    let Some((first, last)) = raw.sequences else {
        return format!("of {source}, recorded {wanted}, there are no raw messages any more");
    };
    let begins = if raw.begins_later {
        ", but not back to its beginning"
    } else {
        ""
    };
    let of_one = if raw.sources.least == raw.sources.greatest {
        format!(" --source {}", raw.sources.least)
    } else {
        String::new()
    };
    format!(
        "to replay: {} raw messages of {source}, recorded {wanted}{begins}, sequences {first} to {last}, in {}\n    \
         meetnet rejects replay --all-messages --sequence {first}..{last}{of_one} --config FILE",
        raw.frames,
        raw.files.join(", ")
    )
}

fn span(range: TimeRange) -> String {
    let (first, last) = (format_rfc3339(range.first), format_rfc3339(range.last));
    format!("{first} to {last}")
}
