//! `meetnet import`: files that were recorded elsewhere, into the tables.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use meetnet_decode::with_pseudonyms;
use meetnet_ingest::import::{
    Broken, Found, Import, ImportError, Input, Keep, Progress as Done, Summary, find, run,
};
use meetnet_lake::Applied;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, SourceId};
use meetnet_model::source::{SourceDeclaration, WireFormat};
use serde::{Deserialize, Serialize};

use super::client::BAR;
use super::{Context, Outcome, Progress, rejects};
use crate::config::near_name;
use crate::failure::Failure;
use crate::readable::{counted, grouped};

/// What publishers give out as files: its name, its format, and their licence. Only the name is one of ours; the rows are of a
/// configured source as those of every file are, so that whom its licence wants to be named is declared.
const PUBLISHED: [(&str, WireFormat, &str); 2] = [
    ("telraam-json", WireFormat::Telraam, "CC-BY-NC-4.0"),
    (
        "sensor-community-csv",
        WireFormat::SensorCommunity,
        "ODbL-1.0",
    ),
];

/// Files that could not be read of which each is named.
const BROKEN_SHOWN_MAX: usize = 100;
/// Characters of the bar.
const BAR_CHARS: u64 = 24;

/// What to import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Importing {
    /// Name of the format, as sources name theirs.
    pub(crate) format: String,
    /// Files, folders and patterns: absolute, for the daemon has a folder of its own to be in.
    pub(crate) paths: Vec<PathBuf>,
    /// Where what came on stdin has been put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stdin: Option<PathBuf>,
    /// The configured source whose rows they are; None: the only one of this format.
    pub(crate) source: Option<SourceId>,
    /// The topic or path that the messages would have come by.
    pub(crate) topic: Option<String>,
    /// The rows are as new as the import.
    pub(crate) correct: bool,
    /// Only say what would be read.
    pub(crate) dry_run: bool,
}

/// Imports.
pub(super) fn import(
    context: &Context,
    importing: &Importing,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    // As the journal has them: devices are known by their pseudonyms.
    let declarations = with_pseudonyms(&context.config().declarations, &context.key);
    let source = source_of(importing, &declarations)?;
    let Found { mut inputs, broken } = find(&importing.paths).map_err(failure)?;
    if let Some(path) = &importing.stdin {
        inputs.push(Input::of_stdin(path.clone()).map_err(failure)?);
    }
    if importing.dry_run {
        let bytes: u64 = inputs.iter().map(|input| input.bytes()).sum();
        let mut lines = vec![format!(
            "{} with {} would be imported as source `{}`, licence {}",
            counted(inputs.len() as u64, "file"),
            meetnet_model::quantity::SizeText(bytes).rounded(),
            source.id,
            source.licence
        )];
        lines.extend(describe_broken(&broken));
        let mut outcome = Outcome::of(lines.join("\n"));
        outcome.in_vain = not_all(&broken);
        return Ok(outcome);
    }
    progress(format!("reading {}", counted(inputs.len() as u64, "file")));
    let keep = match rejects::kept_pieces(context, &source.id)? {
        Some(known) => Keep {
            known,
            ..Keep::default()
        },
        None => Keep {
            frames_max: 0,
            ..Keep::default()
        },
    };
    let import = Import {
        source,
        declarations,
        key: context.key.clone(),
        inputs,
        topic: importing.topic.clone().unwrap_or_default(),
        correct: importing.correct,
        now: jiff::Timestamp::now().as_microsecond(),
        keep,
    };
    let mut tell = |done: &Done| progress(bar(done));
    let mut summary =
        run(import, &context.journal, &context.pipeline, &mut tell).map_err(failure)?;
    summary.broken = [broken, std::mem::take(&mut summary.broken)].concat();
    if summary.kept > 0 {
        // Who reads the summary finds them.
        context.pipeline.commit_all().map_err(Failure::work)?;
    }
    let mut outcome = Outcome::of(describe(&summary));
    outcome.in_vain = not_all(&summary.broken).or_else(|| in_vain(&summary).map(str::to_owned));
    Ok(outcome)
}

/// Says that not all was read; None where it was.
fn not_all(broken: &[Broken]) -> Option<String> {
    let count = broken.len() as u64;
    (count > 0).then(|| {
        format!(
            "{} could not be read, or not to the end, as said above; what could be is imported: mend or leave out the rest, \
             and import again",
            counted(count, "file")
        )
    })
}

/// Names what could not be read.
fn describe_broken(broken: &[Broken]) -> Vec<String> {
    let named = broken.iter().take(BROKEN_SHOWN_MAX);
    let mut lines: Vec<String> = named
        .map(|Broken { path, problem }| format!("not read to the end: {path}: {problem}"))
        .collect();
    let more = broken.len().saturating_sub(BROKEN_SHOWN_MAX);
    if more > 0 {
        lines.push(format!("and {} more", grouped(more as u64)));
    }
    lines
}

/// Says why nothing of the files is a row, now or from an earlier run; None where something is.
fn in_vain(summary: &Summary) -> Option<&'static str> {
    if summary.rows() > 0 || summary.resumed > 0 {
        return None;
    }
    Some(if !summary.rejects.is_empty() {
        "nothing was imported: all of it was refused, for the reasons above; look at format, source and mapping, and try them \
         with `meetnet source test`"
    } else if summary.empty == summary.documents {
        "nothing was imported: there is nothing in the files; look at what has written them"
    } else {
        "nothing was imported: there is no observation in the files; look at format and source, and try them with `meetnet \
         source test`"
    })
}

/// Finds the source that the rows are of.
fn source_of(
    importing: &Importing,
    declarations: &Declarations,
) -> Result<SourceDeclaration, Failure> {
    let usage = |message: String| Failure::Usage(anyhow!(message));
    let name = importing.format.as_str();
    let published = PUBLISHED.iter().find(|(published, ..)| *published == name);
    let format = published
        .map(|(_, format, _)| *format)
        .or_else(|| WireFormat::from_name(name));
    let format = format.ok_or_else(|| {
        let of_publishers = PUBLISHED.map(|(name, ..)| name).join(", ");
        usage(format!(
            "there is no format `{name}`; there are {}, and of what publishers give out {of_publishers}",
            WireFormat::ALL.map(WireFormat::as_str).join(", ")
        ))
    })?;
    let sources = || declarations.sources.values();
    let Some(id) = &importing.source else {
        let mut of_format = sources().filter(|source| source.format == format);
        return match (of_format.next(), of_format.next()) {
            (Some(source), None) => Ok(SourceDeclaration::clone(source)),
            (None, _) => {
                let theirs = published.map_or_else(String::new, |(_, _, licence)| {
                    format!("; who publishes these files gives them out under {licence}")
                });
                Err(usage(format!(
                    "no source of format `{}` is configured: declare one, so that its rows have a licence and a \
                     mapping{theirs}",
                    format.as_str()
                )))
            }
            (Some(first), Some(second)) => Err(usage(format!(
                "say which source the rows are of with --source: `{}` and `{}` both have the format `{}`",
                first.id,
                second.id,
                format.as_str()
            ))),
        };
    };
    let source = sources().find(|source| source.id == *id).ok_or_else(|| {
        let known: Vec<&str> = sources().map(|source| source.id.as_str()).collect();
        let near = near_name(id.as_str(), &known);
        usage(format!("source `{id}` is not configured{near}"))
    })?;
    if source.format != format {
        return Err(usage(format!(
            "source `{id}` has the format `{}`, not `{}`",
            source.format.as_str(),
            format.as_str()
        )));
    }
    Ok(SourceDeclaration::clone(source))
}

/// Files that cannot be used are for who asked to mend.
fn failure(error: ImportError) -> Failure {
    match error {
        ImportError::Input { .. } | ImportError::NoTime { .. } | ImportError::Setup(_) => {
            Failure::usage(error)
        }
        error => Failure::work(error),
    }
}

/// Returns a line that says how far an import has come.
fn bar(done: &Done) -> String {
    let seconds = done.elapsed.as_secs_f64().max(0.001);
    let share = match done.bytes_total {
        0 => 1.0,
        total => (done.bytes as f64 / total as f64).min(1.0),
    };
    let filled = (share * BAR_CHARS as f64) as usize;
    let left = match share {
        share if share > 0.0 => Duration::from_secs_f64(seconds * (1.0 - share) / share),
        _ => Duration::ZERO,
    };
    format!(
        "{BAR}{}{}] {:3.0} %  {} rows  {} rows/s  {} left",
        "#".repeat(filled),
        "-".repeat(BAR_CHARS as usize - filled),
        share * 100.0,
        grouped(done.rows),
        grouped((done.rows as f64 / seconds) as u64),
        clock(left)
    )
}

fn describe(summary: &Summary) -> String {
    let mut lines = Vec::new();
    let seconds = summary.elapsed.as_secs_f64();
    let rate = (summary.rows() as f64 / seconds.max(0.001)) as u64;
    lines.push(format!(
        "{}, {}, {} in {seconds:.1} s ({} rows/s)",
        counted(summary.files, "file"),
        counted(summary.documents, "document"),
        counted(summary.rows(), "row"),
        grouped(rate)
    ));
    let applied = summary.applied.iter();
    lines.extend(applied.map(|(dataset, applied)| describe_applied(dataset, *applied)));
    if let Some(first) = &summary.first_empty {
        lines.push(match summary.empty {
            1 => format!("nothing is in {first}"),
            empty => format!(
                "nothing is in {} documents, of which the first is {first}",
                grouped(empty)
            ),
        });
    }
    if summary.ignored > 0 {
        lines.push(format!(
            "{} without an observation by kind (a join, a status): neither rows nor rejects",
            counted(summary.ignored, "message")
        ));
    }
    lines.extend(describe_broken(&summary.broken));
    if summary.resumed > 0 {
        lines.push(format!(
            "{} came by an earlier run of this import and {} not looked at again: rows that `retention` has dropped since \
             stay away",
            counted(summary.resumed, "row"),
            if summary.resumed == 1 { "is" } else { "are" }
        ));
    }
    let rejects: u64 = summary.rejects.values().sum();
    if rejects > 0 {
        let reasons = summary.rejects.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{} {}", grouped(*count), reason.as_str()))
            .collect();
        lines.push(format!(
            "{}: {}",
            counted(rejects, "reject"),
            reasons.join(", ")
        ));
        for (document, message, excerpt) in &summary.examples {
            lines.push(format!("  {document}: {message}: {excerpt}"));
        }
        lines.extend(describe_kept(summary));
    }
    lines.join("\n")
}

/// Says what became of the rows of a dataset.
pub(super) fn describe_applied(dataset: &DatasetId, applied: Applied) -> String {
    let Applied {
        inserted,
        revised,
        unchanged,
        history,
        skipped,
    } = applied;
    format!(
        "{dataset}: {} new, {}, {}, {} older than what is stored",
        grouped(inserted),
        counted(revised, "revision"),
        counted(unchanged + skipped, "duplicate"),
        grouped(history)
    )
}

/// Says what can be done about what was refused.
fn describe_kept(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    if summary.kept + summary.kept_before > 0 {
        lines.push(format!(
            "kept {} refused message{}, {} known from before: `meetnet rejects list` shows them; once the mapping is mended, \
             `meetnet rejects replay` makes their rows",
            grouped(summary.kept),
            plural(summary.kept),
            grouped(summary.kept_before)
        ));
    }
    if summary.left_out > 0 {
        lines.push(format!(
            "{} reject{} beyond what one import keeps: mend the mapping and import the files again, or import them again as \
             they are, which keeps more",
            grouped(summary.left_out),
            plural(summary.left_out)
        ));
    }
    lines
}

/// A duration as a clock shows it.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use meetnet_model::reject::RejectReason;
    use meetnet_model::source::SourceKind;

    use super::*;

    #[test]
    fn what_publishers_give_out_has_a_name_and_a_configured_source() {
        let counters = SourceDeclaration::new(
            "counters",
            SourceKind::Http,
            WireFormat::Telraam,
            "CC-BY-NC-4.0",
        );
        let declarations = meetnet_model::schemas::builtin().into_declarations([counters]);
        let found = |format: &str| {
            let importing = Importing {
                format: format.to_owned(),
                paths: Vec::new(),
                stdin: None,
                source: None,
                topic: None,
                correct: false,
                dry_run: false,
            };
            match source_of(&importing, &declarations) {
                Ok(source) => source.id.to_string(),
                Err(failure) => failure.error().to_string(),
            }
        };
        assert_eq!(found("telraam-json"), "counters");
        assert_eq!(found("telraam"), "counters");
        assert_eq!(
            found("sensor-community-csv"),
            "no source of format `sensor-community` is configured: declare one, so that its rows have a licence and a \
             mapping; who publishes these files gives them out under ODbL-1.0"
        );
        let unknown = found("telraam-xlsx");
        assert!(
            unknown.ends_with("and of what publishers give out telraam-json, sensor-community-csv"),
            "{unknown}"
        );
    }

    #[test]
    fn an_import_of_which_nothing_came_says_so() {
        let check = |summary: Summary, expect: Option<&str>| {
            let why = in_vain(&summary);
            assert_eq!(why.is_some(), expect.is_some(), "{why:?}");
            let said = why.unwrap_or_default();
            assert!(said.contains(expect.unwrap_or_default()), "{said}");
        };
        let of = |documents: u64, empty: u64| Summary {
            documents,
            empty,
            ..Summary::default()
        };
        check(of(1, 1), Some("there is nothing in the files"));
        check(of(0, 0), Some("there is nothing in the files"));
        check(of(2, 1), Some("there is no observation in the files"));
        let refused = Summary {
            rejects: [(RejectReason::Malformed, 1)].into(),
            ..of(2, 1)
        };
        check(refused, Some("all of it was refused"));
        let repeated = Summary {
            resumed: 3,
            ..of(1, 0)
        };
        check(repeated, None);
        let one = Applied {
            unchanged: 1,
            ..Applied::default()
        };
        let brought = Summary {
            applied: [(DatasetId::new("heat"), one)].into(),
            ..of(2, 1)
        };
        check(brought, None);
        let lines = describe(&Summary {
            first_empty: Some("a.csv".to_owned()),
            ..of(3, 2)
        });
        let line = "nothing is in 2 documents, of which the first is a.csv";
        assert!(lines.contains(line), "{lines}");
        // Who counts the messages of a file must come to their number.
        let lines = describe(&Summary {
            ignored: 2,
            ..of(1, 0)
        });
        let line = "2 messages without an observation by kind (a join, a status): neither rows nor rejects";
        assert!(lines.contains(line), "{lines}");
        // What could not be read is named, whatever came of the rest.
        let cut = Broken {
            path: "/a/m.csv.gz".to_owned(),
            problem: "failed to read it: it ends early".to_owned(),
        };
        let lines = describe(&Summary {
            broken: vec![cut.clone()],
            ..of(1, 0)
        });
        let line = "not read to the end: /a/m.csv.gz: failed to read it: it ends early";
        assert!(lines.contains(line), "{lines}");
        assert_eq!(not_all(&[]), None);
        let why = not_all(&[cut]).unwrap();
        assert!(why.starts_with("1 file could not be read"), "{why}");
        // They may have been dropped since.
        let lines = describe(&Summary {
            resumed: 3,
            ..of(1, 0)
        });
        let line = "3 rows came by an earlier run of this import and are not looked at again: rows that `retention`";
        assert!(lines.contains(line), "{lines}");
    }

    #[test]
    fn a_line_of_progress_says_how_far_how_fast_and_how_long() {
        let check = |bytes: u64, bytes_total: u64, rows: u64, seconds: u64, expect: &str| {
            let done = Done {
                bytes,
                bytes_total,
                rows,
                elapsed: Duration::from_secs(seconds),
            };
            assert_eq!(bar(&done), expect);
        };
        check(
            25,
            100,
            1_234_567,
            10,
            "[######------------------]  25 %  1,234,567 rows  123,456 rows/s  0:30 left",
        );
        check(
            1,
            1_000,
            0,
            5,
            "[------------------------]   0 %  0 rows  0 rows/s  1:23:15 left",
        );
        check(
            0,
            0,
            0,
            1,
            "[########################] 100 %  0 rows  0 rows/s  0:00 left",
        );
    }

    #[test]
    fn numbers_are_grouped() {
        let check = |number: u64, expect: &str| assert_eq!(grouped(number), expect);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(12_345_678, "12,345,678");
    }
}
