//! The tool at a terminal: reads lines with history and completion, answers, goes on after errors.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use anyhow::Context;

use super::complete::Names;
use super::edit::edited;
use super::history::{self, Entry};
use super::script::{Item, Script};
use super::session::{Flow, Session};
use super::target::Target;
use super::terminal::{Terminal, Typed};
use super::{Question, went_out};
use crate::config::Environment;
use crate::failure::Failure;

const PROMPT: &str = "meetnet> ";
/// Of the lines of a statement after its first.
const PROMPT_MORE: &str = "    ...> ";

/// Reads and answers until the person has had enough.
///
/// # Errors
/// Where the terminal cannot be read.
pub(super) async fn run(
    target: Arc<Target>,
    mut session: Session<'_>,
    environment: &Environment,
) -> Result<(), Failure> {
    greet(&target)?;
    let slot = Arc::new(OnceLock::new());
    let names = Arc::clone(&slot);
    // Names are for completion alone: nobody waits for them.
    tokio::spawn(async move {
        if let Ok(names) = load_names(&target).await {
            // Nobody else sets them.
            let _ = slot.set(names);
        }
    });
    let mut terminal = Terminal::open(history::file(environment), names)
        .context("the terminal cannot be used")
        .map_err(Failure::Work)?;
    let mut script = Script::default();
    // The statement that `\e` opens where none has begun, and the lines that an editor has given back.
    let mut last = String::new();
    let mut edited_lines: VecDeque<String> = VecDeque::new();
    // What is typed of a statement is one entry of the history, however many lines it has.
    let mut entry = Entry::default();
    loop {
        let prompt = if script.is_idle() {
            PROMPT
        } else {
            PROMPT_MORE
        };
        let typed = match edited_lines.pop_front() {
            Some(line) => Ok(Typed::Line(line)),
            // Blocks this thread, which has nothing else to do: connections live on others.
            None => terminal.read_line(prompt, script.pending()),
        };
        let line = match typed
            .context("the terminal cannot be read")
            .map_err(Failure::Work)?
        {
            Typed::Line(line) => line,
            Typed::Interrupt => {
                script.clear();
                remember(&mut terminal, entry.take())?;
                continue;
            }
            Typed::End => break,
        };
        let items = script.push_line(&line);
        // A command may stand between the lines of a statement.
        let whole = match items.as_slice() {
            [Item::Command(_)] => Some(line),
            _ => entry.push(&line, script.is_idle()),
        };
        remember(&mut terminal, whole)?;
        let mut flow = Flow::Continue;
        for item in items {
            if let Item::Statement(statement) = &item {
                last = format!("{statement};");
            }
            flow = match session.run(&item).await {
                Ok(flow) => flow,
                Err(failure) => {
                    eprintln!("{:#}", failure.error());
                    // What follows in the editor was meant to follow this.
                    edited_lines.clear();
                    break;
                }
            };
        }
        match flow {
            Flow::Continue => {}
            Flow::Reset => {
                script.clear();
                remember(&mut terminal, entry.take())?;
            }
            Flow::Edit => {
                let begun = script.pending().trim();
                let text = if begun.is_empty() {
                    last.as_str()
                } else {
                    begun
                };
                if let Some(lines) = lines_from_editor(text, environment)? {
                    script.clear();
                    // What had begun is in it.
                    drop(entry.take());
                    edited_lines = lines;
                }
            }
            Flow::Quit => break,
        }
    }
    remember(&mut terminal, entry.take())?;
    if let Err(error) = terminal.save_history() {
        eprintln!("meetnet: the history was not saved: {error}");
    }
    Ok(())
}

/// Opens a text in an editor; returns the lines of what it gives back, which are as if they had been typed. None where it gives
/// nothing back, and where it cannot be opened, which is said.
fn lines_from_editor(
    text: &str,
    environment: &Environment,
) -> Result<Option<VecDeque<String>>, Failure> {
    let text = match edited(text, environment) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(None);
        }
    };
    let text = text.trim_end();
    // To be seen: an editor leaves nothing on the terminal.
    let shown = format!("{text}\n");
    went_out(io::stdout().lock().write_all(shown.as_bytes()))?;
    Ok(Some(text.lines().map(str::to_owned).collect()))
}

/// Adds what was typed to the history.
fn remember(terminal: &mut Terminal, typed: Option<String>) -> Result<(), Failure> {
    let Some(typed) = typed else {
        return Ok(());
    };
    terminal
        .remember(&typed)
        .context("the terminal cannot be read")
        .map_err(Failure::Work)
}

fn greet(target: &Target) -> Result<(), Failure> {
    let who = match target {
        Target::Service(service) => {
            let url = &service.url;
            format!("asks {url}: public datasets, newest rows included")
        }
        Target::Files(..) => "reads committed files: every dataset, rejects included".to_owned(),
    };
    let text = format!("meetnet sql {who}. \\? lists commands, \\q ends.\n");
    went_out(io::stdout().lock().write_all(text.as_bytes())).map(drop)
}

async fn load_names(target: &Target) -> Result<Names, Failure> {
    let columns = "SELECT table_name, column_name FROM information_schema.columns ORDER BY table_name, ordinal_position";
    let columns = target.whole(&Question::new(columns)).await?;
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    for (table, column) in columns.texts(0).zip(columns.texts(1)) {
        let known = tables.entry(table.to_owned()).or_default();
        known.push(column.to_owned());
    }
    let functions = target
        .whole(&Question::new("SELECT name FROM functions"))
        .await?;
    Ok(Names {
        tables,
        functions: functions.texts(0).map(str::to_owned).collect(),
    })
}
