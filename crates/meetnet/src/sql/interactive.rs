//! The tool at a terminal: reads lines with history and completion, answers, goes on after errors.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use anyhow::Context;

use super::complete::Names;
use super::history;
use super::script::Script;
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
    loop {
        let prompt = if script.is_idle() {
            PROMPT
        } else {
            PROMPT_MORE
        };
        // Blocks this thread, which has nothing else to do: connections live on others.
        let typed = terminal.read_line(prompt, script.pending());
        let line = match typed
            .context("the terminal cannot be read")
            .map_err(Failure::Work)?
        {
            Typed::Line(line) => line,
            Typed::Interrupt => {
                script.clear();
                continue;
            }
            Typed::End => break,
        };
        let mut flow = Flow::Continue;
        for item in script.push_line(&line) {
            flow = match session.run(&item).await {
                Ok(flow) => flow,
                Err(failure) => {
                    eprintln!("{:#}", failure.error());
                    break;
                }
            };
        }
        match flow {
            Flow::Continue => {}
            Flow::Reset => script.clear(),
            Flow::Quit => break,
        }
    }
    if let Err(error) = terminal.save_history() {
        eprintln!("meetnet: the history was not saved: {error}");
    }
    Ok(())
}

fn greet(target: &Target) -> Result<(), Failure> {
    use std::io::Write;

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
