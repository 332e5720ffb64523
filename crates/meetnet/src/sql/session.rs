//! Statements and commands, one after the other, with what has been set for those that follow.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures::StreamExt;
use meetnet_model::ids::LicenceId;
use meetnet_model::time::format_rfc3339;
use meetnet_query::{Format, RowWriter, TableStyle, nearest};

use super::command::{Command, HELP};
use super::parameters::{Parameters, quoted};
use super::script::{Item, Script};
use super::target::Target;
use super::{Question, Sink, format_of, named, query_failure, terminal, went_out};
use crate::failure::Failure;
use crate::progress::ProgressLine;

const NULL: &str = "NULL";
/// Characters of a cell that a pager is shown. Each row has room for the longest one, so that there is a limit.
const PAGED_CELL_MAX: usize = 10_000;
/// Scripts that name each other, one within the other.
const SCRIPTS_MAX: usize = 8;

/// What has been set.
pub(super) struct Session<'a> {
    pub(super) target: &'a Target,
    pub(super) format: Format,
    /// µs since 1970 UTC.
    pub(super) as_of: Option<i64>,
    /// Empty: all.
    pub(super) licences: Vec<LicenceId>,
    pub(super) parameters: Parameters,
    pub(super) timing: bool,
    /// Tables are shown row by row.
    pub(super) expanded: bool,
    /// Tables on the terminal go to the pager, whole.
    pub(super) is_paged: bool,
    /// The command of the pager.
    pub(super) pager: String,
    /// How deep scripts have named each other.
    pub(super) scripts: usize,
    /// Where the next answer goes; None: stdout.
    pub(super) output: Option<PathBuf>,
    /// How that answer looks, where the name of its file says it; None: as others.
    pub(super) output_format: Option<Format>,
    /// Whether a format was asked for, by `--format` or `\format`.
    pub(super) format_said: bool,
    /// Whether Ctrl-C ends a query only.
    pub(super) is_interactive: bool,
    /// Whether Ctrl-C is listened for. Who has done so once does it for good: nothing gives the signal back to the system.
    pub(super) is_listening: bool,
}

/// How an answer looks.
#[derive(Clone, Copy, Debug)]
struct Shown {
    format: Format,
    /// Of a table: whether the number of rows and their licences follow.
    footer: bool,
    /// Of a table: row by row.
    expanded: bool,
}

/// What a command asks of whoever reads the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    /// The statement that has begun is forgotten.
    Reset,
    /// The statement that has begun, or the last one, is opened in an editor.
    Edit,
    Quit,
}

impl Session<'_> {
    /// Does what a line or a statement says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn run(&mut self, item: &Item) -> Result<Flow, Failure> {
        match item {
            Item::Statement(statement) => {
                let bound = self.parameters.bind(statement);
                let bound = bound.map_err(|message| Failure::Work(anyhow!(message)))?;
                let question = Question {
                    statement: bound,
                    as_of: self.as_of,
                    licences: self.licences.clone(),
                };
                let output = self.output.take();
                let format = self.output_format.take().unwrap_or(self.format);
                let shown = Shown {
                    format,
                    footer: true,
                    expanded: self.expanded,
                };
                self.answer(&question, shown, output).await?;
                Ok(Flow::Continue)
            }
            Item::Command(line) => {
                let command = Command::parse(line);
                let command = command.map_err(|message| Failure::Work(anyhow!(message)))?;
                self.obey(command).await
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<Flow, Failure> {
        match command {
            Command::Quit => return Ok(Flow::Quit),
            Command::Reset => return Ok(Flow::Reset),
            Command::Edit if self.is_interactive && self.scripts == 0 => return Ok(Flow::Edit),
            Command::Edit => {
                let message = "\\e is for a terminal, and a script cannot have it";
                return Err(Failure::Work(anyhow!(message)));
            }
            Command::Help => say(HELP)?,
            Command::Tables => self.describe(TABLES.to_owned()).await?,
            Command::Describe(table) => {
                let known = format!("{TABLES} AND table_name = {}", quoted(&table));
                let known = self.target.whole(&Question::new(known)).await?;
                if known.rows.is_empty() {
                    let all = self.target.whole(&Question::new(TABLES)).await?;
                    let all: Vec<&str> = all.texts(0).collect();
                    let near = nearest(&table, &all);
                    let hint = near.map(|near| format!(" did you mean `{near}`?"));
                    let message = format!(
                        "there is no table `{table}`;{} \\d lists those there are",
                        hint.unwrap_or_default()
                    );
                    return Err(Failure::Work(anyhow!(message)));
                }
                self.describe(columns_of(&table)).await?;
                let properties = properties_of(&table);
                let known = self
                    .target
                    .whole(&Question::new(properties.as_str()))
                    .await?;
                if !known.rows.is_empty() {
                    self.describe(properties).await?;
                }
            }
            Command::Functions(word) => self.describe(functions(word.as_deref())).await?,
            Command::Timing(wanted) => {
                self.timing = wanted.unwrap_or(!self.timing);
                let state = if self.timing { "on" } else { "off" };
                say(&format!("timing is {state}"))?;
            }
            Command::Expanded(wanted) => {
                self.expanded = wanted.unwrap_or(!self.expanded);
                let state = if self.expanded { "on" } else { "off" };
                say(&format!("expanded display is {state}"))?;
            }
            Command::Pager(wanted) => {
                self.is_paged = wanted.unwrap_or(!self.is_paged);
                let state = if self.is_paged { "on" } else { "off" };
                say(&format!("pager is {state}"))?;
            }
            Command::Include(file) => self.include(&file).await?,
            Command::Echo(text) => say(&text)?,
            Command::Format(None) => say(&format!("format is {}", self.format.as_str()))?,
            Command::Format(Some(format)) => {
                self.format = format;
                self.format_said = true;
            }
            Command::AsOf(None) => say(&match self.as_of {
                Some(time) => format!("as of {}", format_rfc3339(time)),
                None => "as of now".to_owned(),
            })?,
            Command::AsOf(Some(as_of)) => self.as_of = as_of,
            Command::Parameter(None) => {
                for (name, literal) in self.parameters.iter() {
                    say(&format!("{name} = {literal}"))?;
                }
            }
            Command::Parameter(Some((name, literal))) => self.parameters.set(name, literal),
            Command::Output(file) => {
                // As with `--output`: whoever says a format means it, else the name of the file says one.
                self.output_format = if self.format_said {
                    None
                } else {
                    named(&file, format_of, "\\format before it")?
                };
                self.output = Some(file);
            }
        }
        Ok(Flow::Continue)
    }

    /// Does what stands in a file. `\q` ends the file, and an error ends it and what has named it.
    async fn include(&mut self, file: &Path) -> Result<(), Failure> {
        if self.scripts >= SCRIPTS_MAX {
            let message =
                format!("scripts may name each other {SCRIPTS_MAX} deep; is one of them its own?");
            return Err(Failure::Work(anyhow!(message)));
        }
        let items = Script::items(&read_script(file)?);
        self.scripts += 1;
        let mut done = Ok(Flow::Continue);
        for item in &items {
            // It may name another one, so that its future would hold itself.
            done = Box::pin(self.run(item)).await;
            if !matches!(done, Ok(Flow::Continue | Flow::Reset)) {
                break;
            }
        }
        self.scripts -= 1;
        done.map(drop)
    }

    /// Answers a question of the tool's own, as a table without a footer.
    async fn describe(&mut self, statement: String) -> Result<(), Failure> {
        let question = Question::new(statement);
        let shown = Shown {
            format: Format::Table,
            footer: false,
            expanded: false,
        };
        self.answer(&question, shown, None).await
    }

    /// Answers a question; Ctrl-C stops it.
    async fn answer(
        &mut self,
        question: &Question,
        shown: Shown,
        output: Option<PathBuf>,
    ) -> Result<(), Failure> {
        let mut progress = ProgressLine::start();
        // Of a file that is not whole nothing stays, but only where the program ends by itself.
        self.is_listening |= self.is_interactive || output.is_some();
        let work = self.pass_on(question, shown, output, &mut progress);
        if self.is_listening {
            tokio::select! {
                // Listens before the work begins.
                biased;
                _ = tokio::signal::ctrl_c() => {
                    return Err(Failure::Work(anyhow!("stopped")));
                }
                done = work => done?,
            }
        } else {
            work.await?;
        }
        progress.clear();
        if self.timing {
            // Beside the answer, which may be a file for a program.
            eprintln!("time: {}", milliseconds(progress.elapsed()));
        }
        Ok(())
    }

    async fn pass_on(
        &self,
        question: &Question,
        shown: Shown,
        output: Option<PathBuf>,
        progress: &mut ProgressLine,
    ) -> Result<(), Failure> {
        let format = shown.format;
        let on_terminal = output.is_none() && io::stdout().is_terminal();
        if on_terminal && matches!(format, Format::Arrow | Format::Parquet) {
            let format = format.as_str();
            return Err(Failure::Usage(anyhow!(
                "{format} is not for a terminal; write it to a file with `-o answer.{format}`, or `\\o answer.{format}`"
            )));
        }
        let is_paged = on_terminal && self.is_paged && self.is_interactive;
        let open = || Sink::open(output.as_deref());
        if format == Format::Table {
            let mut style = TableStyle {
                width_max: on_terminal.then(terminal::width).flatten(),
                null: NULL,
                footer: shown.footer,
                expanded: shown.expanded,
                ..TableStyle::default()
            };
            if is_paged {
                // A pager moves along lines that are longer than the terminal is wide.
                style.width_max = None;
                style.cell_max = PAGED_CELL_MAX;
            }
            let rows = progress.watch(self.target.rows(question)).await?;
            tell(&rows.hints, progress);
            let writer = RowWriter::table(style, rows.schema.clone(), rows.rights.clone());
            let sink = if is_paged {
                Sink::pager(&self.pager)
            } else {
                open()?
            };
            return write_rows(rows, writer, sink, progress).await;
        }
        let answer = progress.watch(self.target.bytes(question, format)).await?;
        tell(&answer.hints, progress);
        let mut chunks = answer.chunks;
        let mut sink = open()?;
        while let Some(chunk) = progress.watch(chunks.next()).await {
            let chunk = chunk?;
            progress.amounts.bytes += chunk.len() as u64;
            if on_terminal {
                progress.clear();
            } else {
                progress.pass().await;
            }
            if !sink.write(&chunk)? {
                return Ok(());
            }
        }
        progress.clear();
        sink.finish().map(drop)
    }
}

/// Tells whoever asks what is no error, beside the answer.
fn tell(hints: &[String], progress: &mut ProgressLine) {
    if !hints.is_empty() {
        progress.clear();
    }
    for hint in hints {
        eprintln!("hint: {hint}");
    }
}

/// Writes rows as they come.
async fn write_rows(
    mut rows: super::target::Rows,
    mut writer: RowWriter,
    mut sink: Sink,
    progress: &mut ProgressLine,
) -> Result<(), Failure> {
    let mut out = Vec::new();
    writer.begin(&mut out).map_err(query_failure)?;
    while let Some(batch) = progress.watch(rows.next()).await? {
        writer.batch(&batch, &mut out).map_err(query_failure)?;
        progress.amounts.rows = writer.rows();
        if !out.is_empty() {
            make_room(progress, &sink);
            if !sink.write(&out)? {
                return Ok(());
            }
            out.clear();
        }
    }
    writer.end(&rows.end(), &mut out).map_err(query_failure)?;
    make_room(progress, &sink);
    if sink.write(&out)? {
        sink.finish()?;
    }
    Ok(())
}

/// Takes the progress away before something else is written.
fn make_room(progress: &mut ProgressLine, sink: &Sink) {
    if sink.takes_terminal() {
        progress.give_way();
    } else {
        progress.clear();
    }
}

/// Every table, with a condition to go on from.
const TABLES: &str = "SELECT table_name AS \"table\", CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'dataset' END AS kind \
    FROM information_schema.tables WHERE true";

fn columns_of(table: &str) -> String {
    format!(
        "SELECT column_name AS \"column\", data_type AS type, unit, CASE is_nullable WHEN 'YES' THEN '' ELSE 'always' END \
         AS has_value FROM information_schema.columns WHERE table_name = {} ORDER BY ordinal_position",
        quoted(table)
    )
}

/// What a long dataset measures: its column `value` has the unit of the row's property.
fn properties_of(table: &str) -> String {
    format!(
        "SELECT property, unit, title FROM properties WHERE {} IN (dataset, concat(dataset, '_history')) ORDER BY property",
        quoted(table)
    )
}

fn functions(word: Option<&str>) -> String {
    let mut statement = "SELECT name, kind, signature, unit, description FROM functions".to_owned();
    if let Some(word) = word {
        let word = quoted(&word.to_lowercase());
        statement.push_str(&format!(
            " WHERE strpos(lower(name), {word}) > 0 OR strpos(lower(description), {word}) > 0"
        ));
    }
    statement.push_str(" ORDER BY name");
    statement
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Says something about the tool itself, where a script's answers go, too.
fn say(text: &str) -> Result<(), Failure> {
    let written = writeln!(io::stdout().lock(), "{text}");
    went_out(written).map(drop)
}

/// Reads a script.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn read_script(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the statements in {}", file.display()))
        .map_err(Failure::Usage)
}
