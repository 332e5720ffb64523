//! Reads lines from the terminal: raw mode around each line only, so that Ctrl-C during a query is a signal.

use std::io::{self, Read, Stdin, Write};

use rustix::termios::{self, OptionalActions, Termios};

use super::complete::{Completion, common_beginning};
use super::edit::{Line, Step, read_key};
use super::history::History;

/// Characters of a line where the terminal does not say.
const WIDTH_DEFAULT: usize = 80;
/// Candidates that are listed at once.
const CANDIDATES_MAX: usize = 60;

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

/// Raw mode, until it is dropped.
struct RawMode {
    stdin: Stdin,
    before: Termios,
}

impl RawMode {
    fn enter() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = termios::tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = termios::tcsetattr(&self.stdin, OptionalActions::Drain, &self.before);
    }
}

/// Reads one line; `complete` says what the word before the cursor (bytes) may become.
///
/// # Errors
/// Where the terminal cannot be read or set.
pub(super) fn read_line(
    prompt: &str,
    history: &History,
    complete: impl Fn(&str, usize) -> Completion,
) -> io::Result<Typed> {
    let raw = RawMode::enter()?;
    let mut out = io::stdout().lock();
    let mut line = Line::default();
    show(&mut out, prompt, &line)?;
    let mut bytes = raw.stdin.lock().bytes();
    loop {
        let Some(key) = read_key(&mut bytes)? else {
            return Ok(Typed::End);
        };
        let typed = match line.press(key, history) {
            Step::Show => None,
            Step::ClearScreen => {
                out.write_all(b"\x1b[H\x1b[2J")?;
                None
            }
            Step::Complete => {
                let completion = complete(line.text(), line.cursor());
                list(&mut out, &completion.candidates)?;
                apply(&mut line, &completion);
                None
            }
            Step::Enter => Some(Typed::Line(line.text().to_owned())),
            Step::Interrupt => Some(Typed::Interrupt),
            Step::End => Some(Typed::End),
        };
        show(&mut out, prompt, &line)?;
        if let Some(typed) = typed {
            out.write_all(b"\r\n")?;
            out.flush()?;
            return Ok(typed);
        }
    }
}

/// Brings the word as far as the candidates agree; a blank follows where only one is left.
fn apply(line: &mut Line, completion: &Completion) {
    let beginning = common_beginning(&completion.candidates);
    match completion.candidates.as_slice() {
        [] => {}
        [only] => line.replace(completion.start, &format!("{only} ")),
        // Letters that were typed in another case are not made fewer.
        _ if beginning.len() >= line.cursor() - completion.start => {
            line.replace(completion.start, beginning);
        }
        _ => {}
    }
}

/// Lists what there is to choose from.
fn list(out: &mut impl Write, candidates: &[String]) -> io::Result<()> {
    if candidates.len() < 2 {
        return Ok(());
    }
    let mut text = candidates
        .iter()
        .take(CANDIDATES_MAX)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("  ");
    if candidates.len() > CANDIDATES_MAX {
        text.push_str("  …");
    }
    write!(out, "\r\n{text}\r\n")
}

fn show(out: &mut impl Write, prompt: &str, line: &Line) -> io::Result<()> {
    let width = width().unwrap_or(WIDTH_DEFAULT);
    let indent = prompt.chars().count();
    let (text, before) = line.window(width.saturating_sub(indent + 1));
    write!(out, "\r{prompt}{text}\x1b[K\r")?;
    let column = indent + before;
    if column > 0 {
        write!(out, "\x1b[{column}C")?;
    }
    out.flush()
}
