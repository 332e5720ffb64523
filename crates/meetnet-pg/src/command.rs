//! Commands to the session: what clients send beside queries, read from the words of a statement.

use std::time::Duration;

use meetnet_query::postgres::{
    PgExecute, PgPrepare, PgStatement, USER, copy_out, execute, prepare,
};

use crate::error::{PgError, state};

pub(crate) mod copy;

use copy::CopyFormat;

/// What a statement asks of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Begin,
    Commit,
    Rollback,
    /// A savepoint is set, released or gone back to; the word that answers it.
    Savepoint(&'static str),
    Set {
        name: String,
        /// None: as at the start.
        value: Option<String>,
    },
    /// A setting goes back to what it was at the start.
    Reset(String),
    ResetAll,
    Show(String),
    ShowAll,
    DiscardAll,
    /// None: all.
    Deallocate(Option<String>),
    Declare {
        name: String,
        query: String,
        is_binary: bool,
        /// It outlives its transaction.
        is_held: bool,
    },
    Fetch {
        name: String,
        /// None: all.
        rows_max: Option<u64>,
    },
    /// None: all.
    CloseCursor(Option<String>),
    /// The rows of a query are wanted as data.
    Copy {
        query: String,
        format: CopyFormat,
    },
    /// A query is kept by a name.
    Prepare(PgPrepare),
    /// A query that is kept is run.
    Execute(PgExecute),
    /// Nothing is to be done; the words that answer it.
    Nothing(&'static str),
}

impl Command {
    /// Returns what a statement asks of the session; None: it is a query.
    ///
    /// # Errors
    /// Where it is a command that is written wrongly, or that there is none like.
    pub(crate) fn of(statement: &PgStatement) -> Result<Option<Self>, PgError> {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        let command = match words.as_slice() {
            // Levels and modes are taken, whatever they say, as PostgreSQL takes READ WRITE where transactions only read by
            // default: drivers send it unasked. What would write is refused by itself.
            ["begin", ..] | ["start", "transaction", ..] => Self::Begin,
            ["commit", ..] | ["end", ..] => Self::Commit,
            ["rollback", "to", ..] | ["rollback", "work" | "transaction", "to", ..] => {
                Self::Savepoint("ROLLBACK")
            }
            ["rollback", ..] | ["abort", ..] => Self::Rollback,
            ["savepoint", _] => Self::Savepoint("SAVEPOINT"),
            ["release", ..] => Self::Savepoint("RELEASE"),
            ["set", rest @ ..] => set(rest)?,
            ["reset", "all"] => Self::ResetAll,
            ["reset", name @ ..] => Self::Reset(setting_name(name)?),
            ["show", "all"] => Self::ShowAll,
            ["show", name @ ..] => Self::Show(setting_name(name)?),
            ["discard", "all"] => Self::DiscardAll,
            // There are none: plans are made for each statement.
            ["discard", "plans"] => Self::Nothing("DISCARD PLANS"),
            ["discard", "sequences"] => Self::Nothing("DISCARD SEQUENCES"),
            ["discard", "temp" | "temporary"] => Self::Nothing("DISCARD TEMP"),
            ["discard", ..] => {
                return Err(wrong("DISCARD takes ALL, PLANS, SEQUENCES or TEMP"));
            }
            ["deallocate", "prepare", name] | ["deallocate", name] => {
                Self::Deallocate((*name != "all").then(|| (*name).to_owned()))
            }
            ["declare", name, ..] => declare(name, statement)?,
            ["fetch", rest @ ..] => fetch(rest)?,
            ["close", name] => Self::CloseCursor((*name != "all").then(|| (*name).to_owned())),
            ["unlisten", ..] => Self::Nothing("UNLISTEN"),
            // Who waits for a notification would wait for ever.
            ["listen" | "notify", ..] => {
                return Err(PgError::new(
                    state::UNSUPPORTED,
                    format!(
                        "{} is not supported; nobody is notified here, so ask again from time to time",
                        words[0].to_uppercase()
                    ),
                ));
            }
            ["copy", ..] => {
                let copy = copy_out(statement).map_err(PgError::from)?;
                Self::Copy {
                    format: CopyFormat::of(&copy.options)?,
                    query: copy.query,
                }
            }
            ["prepare", ..] => Self::Prepare(prepare(statement).map_err(PgError::from)?),
            ["execute", ..] => Self::Execute(execute(statement).map_err(PgError::from)?),
            ["move" | "lock" | "do" | "call", ..] => {
                return Err(PgError::new(
                    state::UNSUPPORTED,
                    format!(
                        "{} is not supported; this service answers queries",
                        words[0].to_uppercase()
                    ),
                ));
            }
            _ => return Ok(None),
        };
        Ok(Some(command))
    }

    /// Returns true for what a transaction that has failed still takes.
    pub(crate) fn ends_transaction(&self) -> bool {
        matches!(
            self,
            Self::Commit | Self::Rollback | Self::Savepoint("ROLLBACK")
        )
    }
}

fn wrong(what: &str) -> PgError {
    PgError::new(state::SYNTAX, format!("the SQL could not be read: {what}"))
}

/// Returns the name of a setting; some have names of several words.
fn setting_name(words: &[&str]) -> Result<String, PgError> {
    match words {
        ["transaction", "isolation", "level"] => Ok("transaction_isolation".to_owned()),
        ["time", "zone"] => Ok("timezone".to_owned()),
        ["session", "authorization"] => Ok("session_authorization".to_owned()),
        // `meetnet.something` comes in three words.
        [_, ..] if words.iter().skip(1).step_by(2).all(|word| *word == ".") => {
            Ok(words.concat().to_lowercase())
        }
        _ => Err(wrong("the name of one setting is expected")),
    }
}

/// Everybody reads as one role, which can be set, or left as it is, and no other.
fn set_role(name: &[&str], nothing: &str) -> Result<Command, PgError> {
    let name = match name {
        ["=" | "to", name] | [name] => *name,
        _ => return Err(wrong("the name of one role is expected")),
    };
    if name == USER || name.eq_ignore_ascii_case(nothing) {
        return Ok(Command::Nothing("SET"));
    }
    let name: String = name.chars().take(100).collect();
    let message = format!("there is no role `{name}`; everybody reads as `{USER}`");
    Err(PgError::new(state::BAD_VALUE, message))
}

fn set(words: &[&str]) -> Result<Command, PgError> {
    match words {
        // As of BEGIN.
        ["transaction", ..] | ["session", "characteristics", ..] => Ok(Command::Nothing("SET")),
        ["constraints", ..] => Ok(Command::Nothing("SET CONSTRAINTS")),
        ["role", name @ ..] => set_role(name, "none"),
        ["session", "authorization", name @ ..] | ["session_authorization", name @ ..] => {
            set_role(name, "default")
        }
        ["session" | "local", rest @ ..] => set(rest),
        ["names", value, ..] => Ok(assignment("client_encoding", &[*value])),
        ["time", "zone", value @ ..] => Ok(assignment("timezone", value)),
        words => {
            let at = words.iter().position(|word| matches!(*word, "=" | "to"));
            let at = at.ok_or_else(|| wrong("SET takes a name, `=` or TO, and a value"))?;
            let (name, value) = (&words[..at], &words[at + 1..]);
            if value.is_empty() {
                return Err(wrong("SET takes a value"));
            }
            Ok(assignment(&setting_name(name)?, value))
        }
    }
}

fn assignment(name: &str, value: &[&str]) -> Command {
    let is_default = matches!(value, ["default"] | ["local"]);
    Command::Set {
        name: name.to_owned(),
        value: (!is_default).then(|| value.concat()),
    }
}

/// The query is taken from the text, behind FOR: what stands before it can only be words.
fn declare(name: &str, statement: &PgStatement) -> Result<Command, PgError> {
    let expected = || wrong("DECLARE takes a name, CURSOR FOR, and a query");
    let cursor = statement.words.iter().position(|word| word == "cursor");
    let cursor = cursor.filter(|at| *at >= 2).ok_or_else(expected)?;
    let before = &statement.words[2..cursor];
    if before.iter().any(|word| word == "scroll") && !before.iter().any(|word| word == "no") {
        return Err(PgError::new(
            state::UNSUPPORTED,
            "a cursor only goes forward; declare it NO SCROLL",
        ));
    }
    let text = statement.text.to_lowercase();
    // Lower case has other lengths for a few letters, which are no words of this command.
    if text.len() != statement.text.len() {
        return Err(expected());
    }
    let after_name = text.find(&name.to_lowercase()).ok_or_else(expected)? + name.len();
    let after_cursor = find_word(&text, after_name, "cursor").ok_or_else(expected)?;
    let after_for = find_word(&text, after_cursor, "for").ok_or_else(expected)?;
    Ok(Command::Declare {
        name: name.to_owned(),
        query: statement.text[after_for..].trim().to_owned(),
        is_binary: before.iter().any(|word| word == "binary"),
        is_held: statement.words[cursor..]
            .starts_with(&["cursor", "with", "hold"].map(str::to_owned)),
    })
}

/// Returns where a word ends that stands by itself.
fn find_word(text: &str, from: usize, word: &str) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.match_indices(word).find_map(|(at, _)| {
        let (start, end) = (from + at, from + at + word.len());
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let before = text[..start].chars().next_back();
        let after = text[end..].chars().next();
        let stands_alone = !before.is_some_and(is_part) && !after.is_some_and(is_part);
        stands_alone.then_some(end)
    })
}

fn fetch(words: &[&str]) -> Result<Command, PgError> {
    let (how_many, name) = match words {
        [how_many @ .., "from" | "in", name] => (how_many, name),
        [how_many @ .., name] => (how_many, name),
        [] => return Err(wrong("FETCH takes the name of a cursor")),
    };
    let rows_max = match how_many {
        [] | ["next"] | ["forward"] => Some(1),
        ["all"] | ["forward", "all"] => None,
        [
            "backward" | "prior" | "first" | "last" | "absolute" | "relative",
            ..,
        ] => {
            return Err(only_forward());
        }
        ["forward", count] | [count] => {
            let count = count.parse().map_err(|_| only_forward())?;
            Some(count)
        }
        _ => return Err(wrong("FETCH FORWARD takes one number")),
    };
    Ok(Command::Fetch {
        name: (*name).to_owned(),
        rows_max,
    })
}

fn only_forward() -> PgError {
    PgError::new(
        state::STATE,
        "a cursor only goes forward; FETCH FORWARD n FROM it",
    )
}

/// Returns true for the names of the encoding that texts have here, and for those that do not mind.
pub(crate) fn is_utf8(encoding: &str) -> bool {
    let plain = encoding.replace(['-', '_', '"', '\''], "").to_lowercase();
    ["utf8", "unicode", "sqlascii"].contains(&plain.as_str())
}

/// Reads a duration as PostgreSQL's settings have it: a number of milliseconds, or one with a unit. 0: none.
pub(crate) fn duration(value: &str) -> Result<Option<Duration>, PgError> {
    let value = value.trim();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    let milliseconds = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match number.parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(number) if milliseconds > 0 => Ok(Some(Duration::from_millis(
            number.saturating_mul(milliseconds),
        ))),
        _ => Err(PgError::new(
            state::BAD_VALUE,
            format!("`{value}` is no duration; write milliseconds, or a unit as in 5s or 1min"),
        )),
    }
}

#[cfg(test)]
mod tests;
