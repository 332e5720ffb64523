//! How the rows of a COPY are written: its options, with the rules that PostgreSQL has for them.

use meetnet_query::postgres::CopyArgument;

use super::is_utf8;
use crate::error::{PgError, state};

/// What would be taken for a part of a value, or for its end, in the text format.
const NO_DELIMITERS: &[u8] = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";

/// Length of what stands for NULL: few letters would make many megabytes where it stands in every value.
const NULL_BYTES_MAX: usize = 64;

/// A format and all that is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopyFormat {
    Text(Lines),
    Csv {
        lines: Lines,
        quote: u8,
        escape: u8,
        quoted: Quoted,
    },
    Binary,
}

/// What the formats of lines have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) delimiter: u8,
    /// What stands for NULL.
    pub(crate) null: String,
    /// The first line has the names of the columns.
    pub(crate) has_header: bool,
}

/// Columns whose values stand in quotes, also where they need none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Quoted {
    All,
    /// Of these names.
    Columns(Vec<String>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Text,
    Csv,
    Binary,
}

/// What was said, each at most once.
#[derive(Default)]
struct Said {
    kind: Option<Kind>,
    delimiter: Option<u8>,
    null: Option<String>,
    has_header: Option<bool>,
    quote: Option<u8>,
    escape: Option<u8>,
    quoted: Option<Quoted>,
    encoding: Option<()>,
}

impl CopyFormat {
    /// Reads the options of a COPY.
    ///
    /// # Errors
    /// Where one of them is not known, said twice, or does not go with the others: with PostgreSQL's codes.
    pub(crate) fn of(options: &[(String, CopyArgument)]) -> Result<Self, PgError> {
        let mut said = Said::default();
        for (name, argument) in options {
            said.take(name, argument)?;
        }
        said.check_format()?;
        let kind = said.kind.unwrap_or_default();
        if kind == Kind::Binary {
            return Ok(Self::Binary);
        }
        let (delimiter, null) = match kind {
            Kind::Csv => (b',', ""),
            _ => (b'\t', "\\N"),
        };
        let lines = Lines {
            delimiter: said.delimiter.unwrap_or(delimiter),
            null: said.null.unwrap_or_else(|| null.to_owned()),
            has_header: said.has_header.unwrap_or(false),
        };
        lines.check()?;
        if kind == Kind::Text {
            if NO_DELIMITERS.contains(&lines.delimiter) {
                let delimiter = char::from(lines.delimiter);
                return Err(bad_value(format!("DELIMITER cannot be `{delimiter}`")));
            }
            return Ok(Self::Text(lines));
        }
        let quote = said.quote.unwrap_or(b'"');
        if quote == lines.delimiter {
            return Err(bad_value("DELIMITER and QUOTE must differ"));
        }
        if lines.null.as_bytes().contains(&quote) {
            return Err(bad_value("QUOTE must not stand in NULL"));
        }
        Ok(Self::Csv {
            lines,
            quote,
            escape: said.escape.unwrap_or(quote),
            quoted: said.quoted.unwrap_or(Quoted::Columns(Vec::new())),
        })
    }
}

impl Lines {
    fn check(&self) -> Result<(), PgError> {
        if self.null.len() > NULL_BYTES_MAX {
            let bytes = self.null.len();
            return Err(PgError::new(
                state::LIMIT,
                format!("NULL has {bytes} bytes; at most {NULL_BYTES_MAX} are taken"),
            ));
        }
        let ends_line = |byte: u8| matches!(byte, b'\n' | b'\r');
        if ends_line(self.delimiter) || self.null.bytes().any(ends_line) {
            return Err(bad_value("DELIMITER and NULL cannot end a line"));
        }
        if self.null.as_bytes().contains(&self.delimiter) {
            return Err(bad_value("DELIMITER must not stand in NULL"));
        }
        Ok(())
    }
}

impl Said {
    fn take(&mut self, name: &str, argument: &CopyArgument) -> Result<(), PgError> {
        match name {
            "format" => once(name, &mut self.kind, kind(&value(name, argument)?)?),
            "delimiter" => once(name, &mut self.delimiter, byte(name, argument)?),
            "null" => once(name, &mut self.null, value(name, argument)?),
            "header" => once(name, &mut self.has_header, header(argument)?),
            "quote" => once(name, &mut self.quote, byte(name, argument)?),
            "escape" => once(name, &mut self.escape, byte(name, argument)?),
            "force_quote" => once(name, &mut self.quoted, quoted(argument)?),
            "encoding" => {
                let encoding = value(name, argument)?;
                if !is_utf8(&encoding) {
                    return Err(unsupported(format!(
                        "texts are sent in UTF8 only, not in `{encoding}`"
                    )));
                }
                once(name, &mut self.encoding, ())
            }
            "freeze" | "force_null" | "force_not_null" | "on_error" | "log_verbosity"
            | "reject_limit" | "default" => Err(unsupported(format!(
                "{} is of COPY … FROM; this service only reads",
                name.to_uppercase()
            ))),
            _ => Err(syntax(format!("COPY has no option `{name}`"))),
        }
    }

    /// Checks that nothing was said that the format does not have.
    fn check_format(&self) -> Result<(), PgError> {
        let kind = self.kind.unwrap_or_default();
        let of_lines = [
            ("DELIMITER", self.delimiter.is_some()),
            ("NULL", self.null.is_some()),
        ];
        let of_csv = [
            ("QUOTE", self.quote.is_some()),
            ("ESCAPE", self.escape.is_some()),
            ("FORCE_QUOTE", self.quoted.is_some()),
        ];
        if let (Kind::Binary, Some(name)) = (kind, first(&of_lines)) {
            return Err(syntax(format!("there is no {name} in the binary format")));
        }
        if kind == Kind::Binary && self.has_header == Some(true) {
            return Err(unsupported("there is no HEADER in the binary format"));
        }
        match first(&of_csv) {
            Some(name) if kind != Kind::Csv => Err(unsupported(format!(
                "{name} is of the format csv; write FORMAT csv"
            ))),
            _ => Ok(()),
        }
    }
}

fn first(options: &[(&'static str, bool)]) -> Option<&'static str> {
    let said = options.iter().find(|(_, is_said)| *is_said);
    said.map(|(name, _)| *name)
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), PgError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(syntax(format!("COPY takes `{name}` once"))),
    }
}

fn value(name: &str, argument: &CopyArgument) -> Result<String, PgError> {
    match argument {
        CopyArgument::Value(value) => Ok(value.clone()),
        _ => Err(syntax(format!("`{name}` of COPY takes a value"))),
    }
}

fn byte(name: &str, argument: &CopyArgument) -> Result<u8, PgError> {
    let value = value(name, argument)?;
    match value.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(unsupported(format!(
            "{} takes one character of one byte",
            name.to_uppercase()
        ))),
    }
}

fn kind(name: &str) -> Result<Kind, PgError> {
    match name {
        "text" => Ok(Kind::Text),
        "csv" => Ok(Kind::Csv),
        "binary" => Ok(Kind::Binary),
        _ => Err(bad_value(
            "COPY has the formats text, csv and binary, and no other",
        )),
    }
}

fn header(argument: &CopyArgument) -> Result<bool, PgError> {
    let value = match argument {
        CopyArgument::On => return Ok(true),
        argument => value("header", argument)?.to_lowercase(),
    };
    match value.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        "match" => Err(bad_value("HEADER MATCH is of COPY … FROM")),
        _ => Err(syntax("HEADER is true or false")),
    }
}

fn quoted(argument: &CopyArgument) -> Result<Quoted, PgError> {
    match argument {
        CopyArgument::AllColumns => Ok(Quoted::All),
        CopyArgument::Columns(names) => Ok(Quoted::Columns(names.clone())),
        _ => Err(syntax("FORCE_QUOTE takes columns in parentheses, or *")),
    }
}

fn syntax(message: impl Into<String>) -> PgError {
    PgError::new(state::SYNTAX, message)
}

fn unsupported(message: impl Into<String>) -> PgError {
    PgError::new(state::UNSUPPORTED, message)
}

fn bad_value(message: impl Into<String>) -> PgError {
    PgError::new(state::BAD_VALUE, message)
}

#[cfg(test)]
mod tests;
