//! Commands of the tool itself: lines that begin with `\`.

use std::path::PathBuf;

use meetnet_model::time;
use meetnet_query::Format;

use super::{parameters, parse_format};

#[cfg(test)]
mod tests;

/// What `\?` prints.
pub(super) const HELP: &str = r"\d            tables; \dt is the same
\d TABLE      columns of a table, with types and units, and what it measures
\df [WORD]    functions for sensor data; with a word, those whose name or description has it
\format NAME  how answers look: table, csv, json, ndjson, geojson, arrow, parquet; alone: what is set
\x            each row of a table below the other, one column a line; on or off
\pager        tables whole in $PAGER, on or off; without one in less, where the arrow keys move along wide ones
\o FILE       writes the next answer to a file
\i FILE       does what stands in a file
\e            opens the statement that has begun, else the last one, in $EDITOR; what is saved is asked as if typed
\echo TEXT    says a text
\as-of TIME   answers as of a time or day, RFC 3339; `\as-of now` ends it
\param N=V    $N in statements is the value V; alone: what is set
\timing       how long statements take, on or off
\r            forgets the statement that has begun; Ctrl-C does the same, and stops a running one
\q            ends; Ctrl-D does the same
A statement may have several lines and ends with ;";

/// The names of all commands, for completion.
pub(super) const NAMES: [&str; 16] = [
    "\\?", "\\as-of", "\\d", "\\df", "\\dt", "\\e", "\\echo", "\\format", "\\i", "\\o", "\\pager",
    "\\param", "\\q", "\\r", "\\timing", "\\x",
];

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Help,
    Quit,
    /// Forgets the statement that has begun.
    Reset,
    Tables,
    /// Columns of a table.
    Describe(String),
    /// Functions, with a word in name or description.
    Functions(Option<String>),
    /// On, off, or the other one.
    Timing(Option<bool>),
    /// Tables row by row: on, off, or the other one.
    Expanded(Option<bool>),
    /// Tables in the pager: on, off, or the other one.
    Pager(Option<bool>),
    /// Does what stands in a file.
    Include(PathBuf),
    Echo(String),
    /// Opens the statement in an editor.
    Edit,
    /// Sets the format, or says which one is set.
    Format(Option<Format>),
    /// Sets the time (µs since 1970 UTC) or ends it, or says which one is set.
    AsOf(Option<Option<i64>>),
    /// Name and literal; none: says what is set.
    Parameter(Option<(String, String)>),
    /// Where the next answer goes.
    Output(PathBuf),
}

impl Command {
    /// Reads a line that begins with `\`.
    ///
    /// # Errors
    /// What is wrong with it, and what there is.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        let given = (!argument.is_empty()).then_some(argument);
        let command = match (name, given) {
            ("\\?" | "\\h" | "\\help", None) => Self::Help,
            ("\\q" | "\\quit", None) => Self::Quit,
            ("\\r", None) => Self::Reset,
            // There is no more to show with `+`, which fingers know.
            ("\\d" | "\\dt" | "\\d+" | "\\dt+", None) => Self::Tables,
            ("\\d" | "\\d+", Some(table)) => Self::Describe(table.trim_matches('"').to_owned()),
            ("\\df", word) => Self::Functions(word.map(str::to_owned)),
            ("\\timing", None) => Self::Timing(None),
            ("\\timing", Some("on")) => Self::Timing(Some(true)),
            ("\\timing", Some("off")) => Self::Timing(Some(false)),
            ("\\timing", Some(_)) => return Err("\\timing takes on, off or nothing".to_owned()),
            ("\\x", None) => Self::Expanded(None),
            ("\\x", Some("on")) => Self::Expanded(Some(true)),
            ("\\x", Some("off")) => Self::Expanded(Some(false)),
            ("\\x", Some(_)) => return Err("\\x takes on, off or nothing".to_owned()),
            ("\\pager", None) => Self::Pager(None),
            ("\\pager", Some("on")) => Self::Pager(Some(true)),
            ("\\pager", Some("off")) => Self::Pager(Some(false)),
            ("\\pager", Some(_)) => return Err("\\pager takes on, off or nothing".to_owned()),
            ("\\i", Some(file)) => Self::Include(file.into()),
            ("\\i", None) => return Err("\\i takes a file: \\i report.sql".to_owned()),
            ("\\e" | "\\edit", None) => Self::Edit,
            ("\\echo", text) => Self::Echo(text.unwrap_or_default().to_owned()),
            ("\\format", None) => Self::Format(None),
            ("\\format", Some(name)) => Self::Format(Some(parse_format(name)?)),
            ("\\as-of", None) => Self::AsOf(None),
            ("\\as-of", Some("now")) => Self::AsOf(Some(None)),
            ("\\as-of", Some(text)) => {
                let time = time::day_or_time(text).ok_or(
                    "\\as-of takes a day (2026-01-31), a time (2026-01-31T12:00:00Z) or `now`",
                )?;
                Self::AsOf(Some(Some(time)))
            }
            ("\\param", None) => Self::Parameter(None),
            ("\\param", Some(text)) => Self::Parameter(Some(parameters::parse(text)?)),
            ("\\o", Some(file)) => Self::Output(file.into()),
            ("\\o", None) => return Err("\\o takes a file: \\o answer.csv".to_owned()),
            (known, Some(_)) if NAMES.contains(&known) => {
                return Err(format!("{known} takes nothing; \\? lists the commands"));
            }
            (unknown, _) => {
                return Err(format!(
                    "there is no command {unknown}; \\? lists those there are"
                ));
            }
        };
        Ok(command)
    }
}
