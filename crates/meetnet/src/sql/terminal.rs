//! The terminal: lines with history and completion. It is raw while a line is read only, so that Ctrl-C during a query
//! is a signal.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustix::termios;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::complete::{Completion, Names};

/// Statements and commands that are kept.
const HISTORY_MAX: usize = 1000;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C: what was begun is given up.
    Interrupt,
    /// Ctrl-D in an empty line, or the terminal is gone.
    End,
}

/// Returns the characters of a line of the terminal behind stdout; None where there is none.
pub(super) fn width() -> Option<usize> {
    let size = termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Reads lines from the terminal.
pub(super) struct Terminal {
    editor: Editor<Completing, FileHistory>,
    /// Where the history is kept; None: nowhere.
    history: Option<PathBuf>,
}

impl Terminal {
    /// Reads the history, if there is one; `names` may be set later.
    ///
    /// # Errors
    /// Where the terminal cannot be used.
    pub(super) fn open(
        history: Option<PathBuf>,
        names: Arc<OnceLock<Names>>,
    ) -> Result<Self, ReadlineError> {
        // A statement that begins with a space is not kept, as in shells: it may name what is private.
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(HISTORY_MAX)?
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Completing {
            names,
            pending: String::new(),
        }));
        if let Some(file) = &history {
            // A first time, or what cannot be read, is no reason not to answer.
            let _ = editor.load_history(file);
        }
        Ok(Self { editor, history })
    }

    /// Reads one line; `pending` is what stands before it in its statement.
    ///
    /// # Errors
    /// Where the terminal cannot be read or set.
    pub(super) fn read_line(
        &mut self,
        prompt: &str,
        pending: &str,
    ) -> Result<Typed, ReadlineError> {
        if let Some(completing) = self.editor.helper_mut() {
            pending.clone_into(&mut completing.pending);
        }
        match self.editor.readline(prompt) {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupt),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error),
        }
    }

    /// Adds a statement or command to the history.
    ///
    /// # Errors
    /// Where the history cannot take it.
    pub(super) fn remember(&mut self, line: &str) -> Result<(), ReadlineError> {
        self.editor.add_history_entry(line).map(drop)
    }

    /// Adds what was typed to the file, which only its person can read. Other sessions may have done so meanwhile.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn save_history(&mut self) -> Result<(), ReadlineError> {
        let Some(file) = &self.history else {
            return Ok(());
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        self.editor.append_history(file)
    }
}

/// Completes words with the names that are known by now.
struct Completing {
    names: Arc<OnceLock<Names>>,
    /// What stands before the line in its statement.
    pending: String,
}

impl Completer for Completing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let unknown = Names::default();
        let names = self.names.get().unwrap_or(&unknown);
        let Completion {
            start,
            mut candidates,
        } = names.complete(&self.pending, line, cursor);
        // Before the quote of a name a space would be of the name.
        if let [only] = candidates.as_mut_slice()
            && !line[cursor..].starts_with('"')
        {
            only.push(' ');
        }
        Ok((start, candidates))
    }
}

impl Hinter for Completing {
    type Hint = String;
}

impl Highlighter for Completing {}

impl Validator for Completing {}

impl Helper for Completing {}
