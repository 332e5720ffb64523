//! `meetnet export`: a dataset, or a part of it, as one file; or its files as they are (`mirror`).
//!
//! ```text
//! columns ─▶ selection ─▶ settled time ─▶ rows per subject ─▶ windows of at most 250,000 rows ─▶ one file, in order
//! ```
//!
//! Everything is read as of one time, window by window: the limits of a service hold for each, memory does not grow, and
//! what is missing is noticed, because the rows of each window were counted before. The same export as of the same time
//! gives the same rows in the same order.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use meetnet_model::common::LICENCE;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::licence::Rights;
use meetnet_model::quantity::SizeText;
use meetnet_model::time::{format_rfc3339, parse_rfc3339};
use meetnet_query::{Format, HISTORY_SUFFIX, RowWriter, RowsEnd, nearest};

use self::selection::{Area, Selection};
use self::windows::{Step, Subject, Window, divide_subjects, divide_time};
use crate::cli::{self, DayOrInstant};
use crate::config::Environment;
use crate::daemon::StopSignal;
use crate::failure::Failure;
use crate::progress::ProgressLine;
use crate::readable::{counted, grouped};
use crate::sql::{self, PlaceOptions, Question, Sink, Target};

mod mirror;
mod selection;
mod statement_of_rights;
mod windows;

/// Rows that are asked for at once: a fraction of what a service answers, and of what sorting holds in memory.
const WINDOW_ROWS_MAX: u64 = 250_000;

/// The options of `meetnet export`.
#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// The dataset
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// csv, parquet, geojson, ndjson, json or arrow; without it what the name of --output ends in, else csv
    #[arg(long, value_parser = parse_format)]
    format: Option<Format>,

    /// Rows from this day or time on; a day begins in UTC, or by the clocks by which the dataset has days
    #[arg(long, value_name = "TIME", value_parser = cli::day_or_instant)]
    from: Option<DayOrInstant>,

    /// Rows before this day or time
    #[arg(long, value_name = "TIME", value_parser = cli::day_or_instant)]
    to: Option<DayOrInstant>,

    /// Only this property; may be repeated
    #[arg(long, value_name = "NAME")]
    property: Vec<String>,

    /// Only this sensor, station or road segment, by its published id; may be repeated
    #[arg(long, value_name = "ID")]
    sensor: Vec<String>,

    /// Only what lies there: west,south,east,north in degrees, for example 4.6,50.8,4.8,51.0
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    bbox: Option<Area>,

    /// Only rows under this licence: an SPDX id, or an IRI; may be repeated
    #[arg(long, value_name = "LICENCE", value_parser = sql::parse_licence)]
    licence: Vec<LicenceId>,

    /// As of this time, or the begin of a day (UTC); without it the newest that is settled
    #[arg(long, value_name = "TIME", value_parser = cli::day_or_time)]
    as_of: Option<i64>,

    /// Writes to this file, which appears when it is whole; without it to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Mirrors the dataset's Parquet files into this folder instead: what is there already is not fetched again, what the
    /// service no longer has is removed
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["format", "property", "sensor", "bbox", "as_of", "output"]
    )]
    files: Option<PathBuf>,

    #[command(flatten)]
    place: PlaceOptions,
}

fn parse_format(name: &str) -> Result<Format, String> {
    match name.parse() {
        Ok(Format::Table) | Err(_) => {
            Err("write csv, parquet, geojson, ndjson, json or arrow".to_owned())
        }
        Ok(format) => Ok(format),
    }
}

/// Returns true where the file itself has no place for licence and attribution: then a second one states them.
fn needs_statement(format: Format) -> bool {
    matches!(format, Format::Csv | Format::Ndjson)
}

/// Reads a subject from an answer.
fn text_subject(value: &serde_json::Value) -> Option<Subject> {
    value.as_str().map(|text| Subject::Text(text.to_owned()))
}

/// Reads a subject that is a number from an answer, which has wide ones as texts.
fn number_subject(value: &serde_json::Value) -> Option<Subject> {
    let number = match value {
        serde_json::Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    };
    number.map(Subject::Number)
}

/// Reads a time from an answer, µs since 1970 UTC.
fn time(value: &serde_json::Value) -> Option<i64> {
    parse_rfc3339(value.as_str()?).ok()
}

fn format_of(file: &Path) -> Option<Format> {
    parse_format(file.extension()?.to_str()?).ok()
}

/// Writes the file, or the files. Ctrl-C and SIGTERM end it: of a file nothing stays then, of a mirror what was fetched.
///
/// # Errors
/// `Usage` where the dataset has nothing that is asked for, `Work` where it cannot be read or written, or somebody ended it.
pub(crate) async fn run(options: ExportOptions, environment: &Environment) -> Result<(), Failure> {
    // Without that either would end the process as it stands, and leave half a file: what is written from now on is removed by
    // whoever drops it.
    let signal = StopSignal::listen().map_err(Failure::Work)?;
    tokio::select! {
        biased;
        () = signal.stopped() => Err(Failure::Work(anyhow!("stopped before the end"))),
        done = write(options, environment) => done,
    }
}

async fn write(options: ExportOptions, environment: &Environment) -> Result<(), Failure> {
    let (from, to) = (options.from.as_ref(), options.to.as_ref());
    // Two days, or two instants, need no zone to be told apart.
    match (from, to) {
        (Some(DayOrInstant::Day(_)), Some(DayOrInstant::Instant(_)))
        | (Some(DayOrInstant::Instant(_)), Some(DayOrInstant::Day(_))) => {}
        _ => check_span(
            from.and_then(|from| from.in_zone(None)),
            to.and_then(|to| to.in_zone(None)),
        )?,
    }
    if let Some(dir) = &options.files {
        let wanted = mirror::Wanted {
            dataset: &options.dataset,
            from,
            to,
            licences: &options.licence,
        };
        return mirror::run(&options.place, environment, &wanted, dir).await;
    }
    let target = Target::open(&options.place, environment).await?;
    Export::prepare(&target, &options).await?.write().await
}

fn check_span(from: Option<i64>, to: Option<i64>) -> Result<(), Failure> {
    match from.zip(to) {
        Some((from, to)) if from >= to => {
            Err(Failure::Usage(anyhow!("--from must lie before --to")))
        }
        _ => Ok(()),
    }
}

/// Returns from when to when rows are wanted, µs since 1970 UTC.
async fn span(
    target: &Target,
    options: &ExportOptions,
) -> Result<(Option<i64>, Option<i64>), Failure> {
    let bounds = [options.from.as_ref(), options.to.as_ref()];
    let has_day = bounds
        .iter()
        .any(|bound| matches!(bound, Some(DayOrInstant::Day(_))));
    let zone = if has_day {
        target.zone(&described(options)).await?
    } else {
        None
    };
    let of = |bound: Option<&DayOrInstant>| {
        let instant = bound.map(|bound| bound.in_zone(zone.as_deref()));
        match instant {
            Some(None) => Err(Failure::Work(anyhow!(
                "`{}` has days of a time zone that is not known here; write times with their offset",
                options.dataset
            ))),
            Some(instant) => Ok(instant),
            None => Ok(None),
        }
    };
    let [from, to] = bounds;
    let (from, to) = (of(from)?, of(to)?);
    check_span(from, to)?;
    Ok((from, to))
}

/// Returns the dataset that says what the rows are: that of a history is the dataset itself.
fn described(options: &ExportOptions) -> DatasetId {
    let dataset = options.dataset.as_str();
    DatasetId::new(dataset.strip_suffix(HISTORY_SUFFIX).unwrap_or(dataset))
}

/// Refuses properties that the dataset cannot have: their rows would be missing, and the file look whole.
async fn check_properties(target: &Target, options: &ExportOptions) -> Result<(), Failure> {
    let wanted = &options.property;
    if wanted.is_empty() {
        return Ok(());
    }
    let dataset = options.dataset.as_str();
    let declared = target.properties(&described(options)).await?;
    let mut known = BTreeSet::from_iter(declared);
    if !wanted.iter().all(|name| known.contains(name)) {
        // A lake may hold what only the configuration of its city declares.
        let stored = Question::new(selection::properties_of(dataset));
        let stored = target.whole(&stored).await?;
        known.extend(stored.texts(0).map(str::to_owned));
    }
    let Some(unknown) = wanted.iter().find(|name| !known.contains(*name)) else {
        return Ok(());
    };
    let known: Vec<String> = known.into_iter().collect();
    Err(Failure::Usage(anyhow!(
        "`{dataset}` has no property `{unknown}`; it has {}",
        known.join(", ")
    )))
}

/// One export that is decided.
struct Export<'a> {
    target: &'a Target,
    options: &'a ExportOptions,
    format: Format,
    selection: Selection,
    /// µs since 1970 UTC.
    as_of: i64,
    rights: Rights,
}

impl<'a> Export<'a> {
    async fn prepare(target: &'a Target, options: &'a ExportOptions) -> Result<Self, Failure> {
        let format = match (options.format, &options.output) {
            (Some(format), _) => format,
            (None, Some(file)) => sql::by_name(file, format_of, Format::Csv)?,
            (None, None) => Format::Csv,
        };
        let is_binary = matches!(format, Format::Arrow | Format::Parquet);
        if is_binary && options.output.is_none() && std::io::stdout().is_terminal() {
            let message = "this format is not for a terminal; name a file with --output";
            return Err(Failure::Usage(anyhow!(message)));
        }
        let columns = Question::new(selection::columns_of(&options.dataset));
        let columns = target.whole(&columns).await?;
        let columns = columns.texts(0).zip(columns.texts(1));
        let columns: Vec<_> = columns
            .map(|(name, data_type)| (name.to_owned(), data_type.to_owned()))
            .collect();
        if columns.is_empty() {
            let dataset = &options.dataset;
            let all = target.whole(&Question::new(selection::TABLES)).await?;
            let all: Vec<&str> = all.texts(0).collect();
            let near = nearest(dataset, &all);
            let hint = near.map(|near| format!(" did you mean `{near}`?"));
            return Err(Failure::Usage(anyhow!(
                "there is no dataset `{dataset}`;{} `meetnet sql '\\d'` lists those there are",
                hint.unwrap_or_default()
            )));
        }
        let (from, to) = span(target, options).await?;
        // Rows of every dataset say what may be done with them, those of other views do not, and have no key.
        let key = if columns.iter().any(|(name, _)| name == LICENCE) {
            target.key(&described(options)).await?
        } else {
            Vec::new()
        };
        let mut selection = Selection {
            from,
            to,
            properties: options.property.clone(),
            subjects: options.sensor.clone(),
            area: options.bbox,
            key,
            ..Selection::of(&options.dataset, columns)
        };
        selection
            .check()
            .map_err(|message| Failure::Usage(anyhow!(message)))?;
        check_properties(target, options).await?;
        if let Some(places) = selection.told_by().filter(|_| format == Format::Geojson) {
            // A lake of few datasets may have none; then the format says what it needs.
            let all = target.whole(&Question::new(selection::TABLES)).await?;
            selection.places = all.texts(0).any(|table| table == places).then_some(places);
        }
        // What is settled in everything that the export reads, and what may be done with it.
        let nothing = Question {
            as_of: options.as_of,
            licences: options.licence.clone(),
            ..Question::new(selection.nothing())
        };
        let nothing = target.whole(&nothing).await?;
        let settled = parse_rfc3339(&nothing.stable_time)
            .context("the answer states no time")
            .map_err(Failure::Work)?;
        Ok(Self {
            target,
            options,
            format,
            as_of: options.as_of.unwrap_or(settled),
            rights: Rights {
                licences: nothing.licences.into_iter().collect(),
                attributions: nothing.attributions,
            },
            selection,
        })
    }

    fn question(&self, statement: String) -> Question {
        Question {
            statement,
            as_of: Some(self.as_of),
            licences: self.options.licence.clone(),
        }
    }

    /// Returns windows that cover all rows, in the order of subject and time.
    async fn windows(&self, progress: &mut ProgressLine) -> Result<Vec<Window>, Failure> {
        let mut left = Vec::new();
        let mut windows = Vec::new();
        match self.selection.subject_counts() {
            Some(counts) => {
                let subject = if self.selection.has_number_subjects() {
                    number_subject
                } else {
                    text_subject
                };
                let counts = self.counts(progress, counts, subject).await?;
                for part in divide_subjects(counts, WINDOW_ROWS_MAX) {
                    if part.rows > WINDOW_ROWS_MAX {
                        left.push((part, Step::Day));
                    } else {
                        windows.push(part);
                    }
                }
            }
            None => left.push((Window::default(), Step::Day)),
        }
        while let Some((window, step)) = left.pop() {
            let counts = self.selection.counts(&window, step);
            let counts = self.counts(progress, counts, time).await?;
            for part in divide_time(&window, &counts, step, WINDOW_ROWS_MAX) {
                match step.finer() {
                    Some(finer) if part.rows > WINDOW_ROWS_MAX => left.push((part, finer)),
                    _ => windows.push(part),
                }
            }
        }
        windows.sort_by(|a, b| (&a.first, a.from).cmp(&(&b.first, b.from)));
        Ok(windows)
    }

    /// Returns the answer to a question for numbers of rows: what each is of, as `of` reads it, and the number.
    async fn counts<T>(
        &self,
        progress: &mut ProgressLine,
        statement: String,
        of: fn(&serde_json::Value) -> Option<T>,
    ) -> Result<Vec<(T, u64)>, Failure> {
        let question = self.question(statement);
        let counts = progress.watch(self.target.whole(&question)).await?;
        let counts = counts.rows.iter().map(|row| {
            let counted = row.first().and_then(of);
            let rows = row.get(1).and_then(serde_json::Value::as_u64);
            counted
                .zip(rows)
                .ok_or_else(|| Failure::Work(anyhow!("the answer counts no rows")))
        });
        counts.collect()
    }

    async fn write(self) -> Result<(), Failure> {
        let mut progress = ProgressLine::start();
        let mut windows = self.windows(&mut progress).await?;
        progress.amounts.total = Some(windows.iter().map(|window| window.rows).sum());
        if windows.is_empty() {
            // Without rows there is a header all the same.
            windows.push(Window::default());
        }
        let mut sink = Sink::open(self.options.output.as_deref())?;
        let mut writer = None;
        let mut out = Vec::new();
        for window in &windows {
            let question = self.question(self.selection.rows(window));
            let mut rows = progress.watch(self.target.rows(&question)).await?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let rights = self.rights.clone();
                    let mut writer = RowWriter::new(self.format, rows.schema.clone(), rights);
                    writer.begin(&mut out).map_err(sql::query_failure)?;
                    none.insert((writer, rows.end()))
                }
            };
            let before = writer.0.rows();
            while let Some(batch) = progress.watch(rows.next()).await? {
                writer
                    .0
                    .batch(&batch, &mut out)
                    .map_err(sql::query_failure)?;
                progress.amounts.rows = writer.0.rows();
                progress.amounts.bytes += out.len() as u64;
                if !sink.write(&out)? {
                    return Ok(());
                }
                out.clear();
                progress.pass().await;
            }
            let found = writer.0.rows() - before;
            if found != window.rows {
                return Err(Failure::Work(anyhow!(
                    "of {} {found} came; the rest is missing, so there is no file; ask again",
                    counted(window.rows, "row")
                )));
            }
        }
        let (mut writer, end) =
            writer.ok_or_else(|| Failure::Work(anyhow!("there was nothing to read")))?;
        let end = RowsEnd {
            as_of: Some(self.as_of),
            ..end
        };
        writer.end(&end, &mut out).map_err(sql::query_failure)?;
        let bytes = progress.amounts.bytes + out.len() as u64;
        if !sink.write(&out)? {
            return Ok(());
        }
        let written = sink.finish()?;
        let elapsed = progress.elapsed().as_secs_f64();
        drop(progress);
        if let (Some(path), Some(written)) = (&self.options.output, &written)
            && needs_statement(self.format)
        {
            let statement = statement_of_rights::Statement {
                dataset: &self.options.dataset,
                as_of: format_rfc3339(self.as_of),
                rows: writer.rows(),
                written,
                rights: &self.rights,
            };
            statement.write_beside(path)?;
        }
        self.report(writer.rows(), bytes, elapsed);
        Ok(())
    }

    /// Says what was written, on stderr: stdout may be the file.
    fn report(&self, rows: u64, bytes: u64, seconds: f64) {
        let rate = rows as f64 / seconds.max(0.001);
        eprintln!(
            "{}, {} in {seconds:.1} s ({} rows/s), as of {}",
            counted(rows, "row"),
            SizeText(bytes).rounded(),
            grouped(rate as u64),
            format_rfc3339(self.as_of)
        );
        if !self.rights.licences.is_empty() {
            let names = self.rights.attribution_text();
            let named = if names.is_empty() {
                String::new()
            } else {
                format!("; name {names}")
            };
            eprintln!("licence {}{named}", self.rights.licence_text());
        }
    }
}
