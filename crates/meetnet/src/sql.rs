//! `meetnet sql`: questions to a running service, or straight to committed files; at a terminal, a tool to work with.
//!
//! ```text
//! "SELECT …", -f FILE, stdin ─▶ script ─┬▶ statements ─▶ parameters ─▶ target ─▶ table, csv, … ─▶ stdout, FILE
//! terminal ─▶ edit, complete, history ──┘▶ commands: \d, \df, \x, \i, …   (place: service or files)
//! ```
//!
//! Through a service only public tables can be asked, and hot rows are in the answer; of files it is the other way round.
//! Lines are edited here and not by a crate: those there are change features of libc or mio, which everything else is
//! built on.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use clap::Args;
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_model::ids::LicenceId;
use meetnet_model::licence::Licence;
use meetnet_query::{Format, QueryErrorKind, QueryOptions, QueryService};

use self::parameters::Parameters;
use self::script::{Item, Script};
use self::session::{Flow, Session};
use crate::cli;
use crate::config::{Config, Environment};
use crate::failure::Failure;

mod access;
mod command;
mod complete;
mod edit;
mod history;
mod interactive;
mod pager;
mod parameters;
mod place;
mod script;
mod service;
mod session;
mod sink;
mod target;
mod terminal;
#[cfg(test)]
mod tests;

pub(crate) use self::access::ServiceAccess;
pub(crate) use self::parameters::{identifier, quoted};
pub(crate) use self::place::{Place, PlaceOptions, committed};
pub(crate) use self::service::{answered, answered_of_named, ask_json, client, head_of};
pub(crate) use self::sink::Sink;
pub(crate) use self::target::Target;

/// The options of `meetnet sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlOptions {
    /// Statements with ; between them; without any, and without --file: what stands on stdin, or a prompt
    #[arg(value_name = "SQL")]
    statement: Option<String>,

    /// Reads the statements in this file; - is stdin
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    file: Option<PathBuf>,

    /// Writes the answer to this file, which appears when it is whole
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// table, csv, json, ndjson, arrow, parquet or geojson; without it what the name of --output ends in, else table on a
    /// terminal and csv otherwise
    #[arg(long, value_parser = parse_format)]
    format: Option<Format>,

    /// Shows tables row by row, one column a line, as \x does; with it, table is the format that needs no name
    #[arg(short = 'x', long)]
    expanded: bool,

    /// $NAME in statements is this value: a number, true, false or null as it is, anything else a text; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameters::parse)]
    param: Vec<(String, String)>,

    /// Answers as of this time, or the begin of a day (UTC): what was known then, for example 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = cli::day_or_time)]
    as_of: Option<i64>,

    /// Only rows under this licence: an SPDX id, or an IRI; may be repeated
    #[arg(long, value_name = "LICENCE", value_parser = parse_licence)]
    licence: Vec<LicenceId>,

    #[command(flatten)]
    place: PlaceOptions,
}

/// Returns the words of a command line with a space before each statement of `meetnet sql` that begins with a comment: it begins with
/// the two signs of an option, and would be refused as one that there is not. No option has white space in its name.
pub(crate) fn words(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = given.into_iter().collect();
    if words.get(1).is_some_and(|command| command == "sql") {
        for word in &mut words {
            let statement = word.to_str().filter(|word| begins_with_comment(word));
            let statement = statement.map(|statement| OsString::from(format!(" {statement}")));
            if let Some(statement) = statement {
                *word = statement;
            }
        }
    }
    words
}

fn begins_with_comment(word: &str) -> bool {
    let name = word
        .strip_prefix("--")
        .map(|rest| rest.split_once('=').map_or(rest, |(name, _)| name));
    name.is_some_and(|name| name.contains(char::is_whitespace))
}

fn parse_format(text: &str) -> Result<Format, String> {
    text.parse()
        .map_err(|error: meetnet_query::QueryError| error.message)
}

/// Reads a licence for flags.
pub(crate) fn parse_licence(text: &str) -> Result<LicenceId, String> {
    Licence::read(text).ok_or_else(|| {
        "write an SPDX id such as CC-BY-4.0, or the IRI of a known licence".to_owned()
    })
}

/// Answers statements.
///
/// # Errors
/// `Usage` where the configuration is wrong or the format is not for a terminal, `Work` where there is no answer.
pub(crate) async fn run(options: SqlOptions, environment: &Environment) -> Result<(), Failure> {
    let on_terminal = io::stdout().is_terminal();
    let items = match (&options.statement, &options.file) {
        (Some(statement), _) => Some(Script::items(statement)),
        (None, Some(file)) if *file != *Path::new("-") => {
            Some(Script::items(&session::read_script(file)?))
        }
        (None, None) if on_terminal && io::stdin().is_terminal() => None,
        (None, _) => {
            let text = io::read_to_string(io::stdin())
                .context("cannot read the statements on stdin")
                .map_err(Failure::Usage)?;
            Some(Script::items(&text))
        }
    };
    if let Some(items) = &items {
        check_items(&options, items)?;
    }
    let default = if on_terminal || options.expanded {
        Format::Table
    } else {
        Format::Csv
    };
    let format = match (options.format, &options.output) {
        (Some(format), _) => format,
        (None, Some(file)) => by_name(file, format_of, default)?,
        (None, None) => default,
    };
    let mut parameters = Parameters::default();
    for (name, literal) in options.param {
        parameters.set(name, literal);
    }
    let target = Arc::new(Target::open(&options.place, environment).await?);
    let mut session = Session {
        target: &target,
        format,
        as_of: options.as_of,
        licences: options.licence,
        parameters,
        timing: false,
        expanded: options.expanded,
        is_paged: false,
        pager: pager::command(environment),
        scripts: 0,
        output: options.output,
        output_format: None,
        format_said: options.format.is_some(),
        is_interactive: items.is_none(),
        is_listening: false,
    };
    let Some(items) = items else {
        return interactive::run(Arc::clone(&target), session, environment).await;
    };
    for item in &items {
        if session.run(item).await? == Flow::Quit {
            break;
        }
    }
    Ok(())
}

/// Refuses a script that could not be answered as it is asked for.
fn check_items(options: &SqlOptions, items: &[Item]) -> Result<(), Failure> {
    let is_statement = |item: &&Item| matches!(item, Item::Statement(_));
    let statements = items.iter().filter(is_statement).count();
    if items.is_empty() && options.statement.is_some() {
        return Err(Failure::Usage(anyhow!("the statement is empty")));
    }
    if statements > 1 && options.output.is_some() {
        return Err(Failure::Usage(anyhow!(
            "--output takes one answer, and there are {statements} statements; write `\\o FILE` before each in a script"
        )));
    }
    Ok(())
}

/// Returns the format that the name of a file says.
fn format_of(file: &Path) -> Option<Format> {
    let extension = file.extension()?.to_str()?;
    match extension {
        "arrows" => Some(Format::Arrow),
        "txt" => Some(Format::Table),
        name => name.parse().ok(),
    }
}

/// Returns the format that the name of a file says by `format_of`, else `default`. A name that says another one is refused: what is
/// called `.xlsx` and holds CSV opens nowhere.
pub(crate) fn by_name(
    file: &Path,
    format_of: fn(&Path) -> Option<Format>,
    default: Format,
) -> Result<Format, Failure> {
    named(file, format_of, "--format").map(|format| format.unwrap_or(default))
}

/// Returns the format that the name of a file says by `format_of`; None for a name that says nothing about it. `instead` is how one
/// says a format that the name does not.
///
/// # Errors
/// Where the name says a format that there is none of.
fn named(
    file: &Path,
    format_of: fn(&Path) -> Option<Format>,
    instead: &str,
) -> Result<Option<Format>, Failure> {
    let format = format_of(file);
    if format.is_none() && file.extension().is_some() {
        return Err(Failure::Usage(anyhow!(
            "`{}` ends in no format that there is; end it in .csv, .parquet, .json, .ndjson, .geojson or .arrow, or say which it \
             is with {instead}",
            file.display()
        )));
    }
    Ok(format)
}

/// What is asked, whoever answers.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) statement: String,
    /// µs since 1970 UTC.
    pub(crate) as_of: Option<i64>,
    /// Empty: all.
    pub(crate) licences: Vec<LicenceId>,
}

impl Question {
    /// Asks for the newest rows under any licence.
    pub(crate) fn new(statement: impl Into<String>) -> Self {
        Self {
            statement: statement.into(),
            as_of: None,
            licences: Vec::new(),
        }
    }
}

/// Starts a service over committed files. `declares`: what the configuration declares is about them.
fn query_service(
    config: &Config,
    snapshot: SharedSnapshot,
    declares: bool,
) -> Result<QueryService, Failure> {
    // Nobody else waits for these answers, so only memory limits them.
    let options = QueryOptions {
        row_limit: ROW_LIMIT_NONE,
        query_time_max: TIME_LIMIT_NONE,
        answer_time_max: TIME_LIMIT_NONE,
        answer_bytes_max: u64::MAX,
        declarations: declares.then(|| Arc::new(ArcSwap::new(Arc::clone(&config.declarations)))),
        ..config.query.clone()
    };
    QueryService::new(options, snapshot)
        .context("failed to start the query service")
        .map_err(Failure::Work)
}

/// More rows than any file system holds, and far from overflowing.
const ROW_LIMIT_NONE: usize = 1 << 40;
/// A month.
const TIME_LIMIT_NONE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Says why there is no answer.
pub(crate) fn query_failure(error: meetnet_query::QueryError) -> Failure {
    // For a wrong statement the message says it all; for a defect, or a store that fails, the cause is wanted.
    if matches!(
        error.kind,
        QueryErrorKind::Internal | QueryErrorKind::StoreUnavailable
    ) {
        Failure::work(error)
    } else {
        Failure::Work(anyhow!(error.message))
    }
}

/// Writes bytes to stdout as they are. Who closed the pipe has read enough.
///
/// # Errors
/// Where they cannot be written.
pub(crate) fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = Output::new();
    stdout.write(bytes)?;
    stdout.finish()
}

/// Stdout, for answers of any size.
pub(crate) struct Output(io::StdoutLock<'static>);

impl Output {
    fn new() -> Self {
        Self(io::stdout().lock())
    }

    /// Writes; false: the reader has closed the pipe, having read enough.
    fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        went_out(self.0.write_all(bytes))
    }

    fn finish(mut self) -> Result<(), Failure> {
        went_out(self.0.flush()).map(drop)
    }
}

/// Says whether bytes went out; false: the reader has closed the pipe, having read enough.
///
/// # Errors
/// Where they cannot be written.
fn went_out(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Work(
            anyhow::Error::new(error).context("failed to write to stdout"),
        )),
    }
}
