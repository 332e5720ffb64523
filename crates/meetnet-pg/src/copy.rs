//! Rows as the data of a COPY, in the formats of PostgreSQL: text, CSV and binary.
//!
//! One message holds one row, as PostgreSQL sends it: some clients read no other. The head of the binary format stands before
//! the first row, in its message; where there are no rows, before the end.

use bytes::{BufMut, BytesMut};
use pgwire::messages::copy::{CopyDone, CopyOutResponse};

use crate::command::copy::{CopyFormat, Lines, Quoted};
use crate::error::{PgError, state};
use crate::portal::FieldType;
use crate::values::{Column, Format};
use crate::wire::{End, Wire, framed};

/// Type of a message with data.
const DATA: u8 = b'd';
/// Signature, then no flags and no more head.
const BINARY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of the number of columns: there are no more rows.
const BINARY_END: i16 = -1;
/// A line that ends the data where it is read from a file.
const END_OF_DATA: &[u8] = b"\\.";

/// Writes the rows of one COPY.
pub(crate) struct CopyWriter {
    form: Form,
    /// The head of the format has still to be written.
    has_head: bool,
    /// A value as it is, before what is special in it is marked.
    value: BytesMut,
}

enum Form {
    /// A line for each row; with quotes: CSV.
    Lines(Lines, Option<Quotes>),
    Binary,
}

struct Quotes {
    quote: u8,
    escape: u8,
    /// For each column: its values stand in quotes.
    quoted: Vec<bool>,
}

impl CopyWriter {
    /// Makes the writer for rows with these columns.
    ///
    /// # Errors
    /// `42703` where the format names a column that is not there.
    pub(crate) fn new(format: &CopyFormat, fields: &[FieldType]) -> Result<Self, PgError> {
        let form = match format {
            CopyFormat::Text(lines) => Form::Lines(lines.clone(), None),
            CopyFormat::Binary => Form::Binary,
            CopyFormat::Csv {
                lines,
                quote,
                escape,
                quoted,
            } => {
                let quotes = Quotes {
                    quote: *quote,
                    escape: *escape,
                    quoted: columns_in_quotes(quoted, fields)?,
                };
                Form::Lines(lines.clone(), Some(quotes))
            }
        };
        Ok(Self {
            has_head: matches!(form, Form::Binary),
            form,
            value: BytesMut::new(),
        })
    }

    /// Returns how values are written.
    pub(crate) fn format(&self) -> Format {
        match self.form {
            Form::Lines(..) => Format::Text,
            Form::Binary => Format::Binary,
        }
    }

    /// Tells the client what comes, and the names of the columns where it wants them.
    pub(crate) fn begin(&self, fields: &[FieldType], wire: &mut Wire) -> Result<(), End> {
        let format = self.format().code();
        wire.put(&CopyOutResponse::new(
            format as i8,
            fields.len() as i16,
            vec![format; fields.len()],
        ))?;
        if let Form::Lines(lines, quotes) = &self.form
            && lines.has_header
        {
            let names = fields.iter().map(|field| Some(field.name.as_bytes()));
            framed(wire.output(), DATA, |out| {
                for (position, name) in names.enumerate() {
                    // Names stand in quotes only where they need them.
                    let quotes = quotes.as_ref().map(|quotes| (quotes, false));
                    write_value(name, position, fields.len() == 1, lines, quotes, out);
                }
                out.put_u8(b'\n');
            });
        }
        Ok(())
    }

    /// Appends a row.
    pub(crate) fn write_row(&mut self, columns: &[Column], row: usize, out: &mut BytesMut) {
        let has_head = std::mem::take(&mut self.has_head);
        let (form, value) = (&self.form, &mut self.value);
        framed(out, DATA, |out| match form {
            Form::Lines(lines, quotes) => {
                for (position, column) in columns.iter().enumerate() {
                    let text = text_of(column, row, value);
                    let quotes = quotes.as_ref();
                    let quotes = quotes.map(|quotes| (quotes, quotes.quoted[position]));
                    write_value(text, position, columns.len() == 1, lines, quotes, out);
                }
                out.put_u8(b'\n');
            }
            Form::Binary => {
                if has_head {
                    out.put_slice(BINARY_HEAD);
                }
                out.put_i16(columns.len() as i16);
                for column in columns {
                    column.write(row, out);
                }
            }
        });
    }

    /// Says that that was all.
    pub(crate) fn end(&mut self, wire: &mut Wire) -> Result<(), End> {
        if matches!(self.form, Form::Binary) {
            let has_head = std::mem::take(&mut self.has_head);
            framed(wire.output(), DATA, |out| {
                if has_head {
                    out.put_slice(BINARY_HEAD);
                }
                out.put_i16(BINARY_END);
            });
        }
        wire.put(&CopyDone::new())
    }
}

/// Returns a value as text; None: NULL.
fn text_of<'a>(column: &Column, row: usize, value: &'a mut BytesMut) -> Option<&'a [u8]> {
    if column.is_null(row) {
        return None;
    }
    value.clear();
    column.write_text(row, value);
    Some(&value[..])
}

fn columns_in_quotes(quoted: &Quoted, fields: &[FieldType]) -> Result<Vec<bool>, PgError> {
    let names = match quoted {
        Quoted::All => return Ok(vec![true; fields.len()]),
        Quoted::Columns(names) => names,
    };
    let is_there = |name: &String| fields.iter().any(|field| field.name == *name);
    if let Some(name) = names.iter().find(|name| !is_there(name)) {
        return Err(PgError::new(
            state::COLUMN,
            format!("FORCE_QUOTE names `{name}`, which is no column of the answer"),
        ));
    }
    let is_quoted = |field: &FieldType| names.contains(&field.name);
    Ok(fields.iter().map(is_quoted).collect())
}

/// Appends a value, None: NULL, behind what stands between two; `alone`: its line has no other. With `quotes` it is one of
/// CSV, and stands in quotes in any case where that says so.
fn write_value(
    text: Option<&[u8]>,
    position: usize,
    alone: bool,
    lines: &Lines,
    quotes: Option<(&Quotes, bool)>,
    out: &mut BytesMut,
) {
    if position > 0 {
        out.put_u8(lines.delimiter);
    }
    match (text, quotes) {
        (None, _) => out.put_slice(lines.null.as_bytes()),
        (Some(text), None) => write_text(text, lines, out),
        (Some(text), Some((quotes, quoted))) => quotes.write(text, quoted, alone, lines, out),
    }
}

/// Appends a value of the text format: what would end it, or its line, stands behind a backslash.
fn write_text(text: &[u8], lines: &Lines, out: &mut BytesMut) {
    let is_special =
        |byte: &u8| *byte == b'\\' || *byte == lines.delimiter || (0x08..=0x0d).contains(byte);
    let mut rest = text;
    while let Some(at) = rest.iter().position(is_special) {
        out.put_slice(&rest[..at]);
        out.put_u8(b'\\');
        out.put_u8(match rest[at] {
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0b => b'v',
            0x0c => b'f',
            b'\r' => b'r',
            byte => byte,
        });
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
}

impl Quotes {
    /// Appends a value, in quotes where it is `quoted` or could be read as something else; `alone`: its line has no other.
    fn write(&self, text: &[u8], quoted: bool, alone: bool, lines: &Lines, out: &mut BytesMut) {
        let is_special = |byte: &u8| [lines.delimiter, self.quote, b'\n', b'\r'].contains(byte);
        let needs_quotes = text == lines.null.as_bytes()
            || alone && text == END_OF_DATA
            || text.iter().any(is_special);
        if !quoted && !needs_quotes {
            out.put_slice(text);
            return;
        }
        out.put_u8(self.quote);
        for byte in text {
            if *byte == self.quote || *byte == self.escape {
                out.put_u8(self.escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(self.quote);
    }
}

#[cfg(test)]
mod tests;
