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
    Text(Lines),
    Csv(Csv),
    Binary,
}

struct Csv {
    lines: Lines,
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
            CopyFormat::Text(lines) => Form::Text(lines.clone()),
            CopyFormat::Binary => Form::Binary,
            CopyFormat::Csv {
                lines,
                quote,
                escape,
                quoted,
            } => Form::Csv(Csv {
                lines: lines.clone(),
                quote: *quote,
                escape: *escape,
                quoted: columns_in_quotes(quoted, fields)?,
            }),
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
            Form::Text(_) | Form::Csv(_) => Format::Text,
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
        let names = fields.iter().map(|field| field.name.as_bytes());
        match &self.form {
            Form::Text(lines) if lines.has_header => framed(wire.output(), DATA, |out| {
                for (position, name) in names.enumerate() {
                    between(position, lines, out);
                    write_text(name, lines, out);
                }
                out.put_u8(b'\n');
            }),
            Form::Csv(csv) if csv.lines.has_header => framed(wire.output(), DATA, |out| {
                for (position, name) in names.enumerate() {
                    between(position, &csv.lines, out);
                    csv.write(name, false, fields.len() == 1, out);
                }
                out.put_u8(b'\n');
            }),
            _ => {}
        }
        Ok(())
    }

    /// Appends a row.
    pub(crate) fn write_row(&mut self, columns: &[Column], row: usize, out: &mut BytesMut) {
        let has_head = std::mem::take(&mut self.has_head);
        let (form, value) = (&self.form, &mut self.value);
        framed(out, DATA, |out| match form {
            Form::Text(lines) => {
                for (position, column) in columns.iter().enumerate() {
                    between(position, lines, out);
                    match text_of(column, row, value) {
                        Some(text) => write_text(text, lines, out),
                        None => out.put_slice(lines.null.as_bytes()),
                    }
                }
                out.put_u8(b'\n');
            }
            Form::Csv(csv) => {
                for (position, column) in columns.iter().enumerate() {
                    between(position, &csv.lines, out);
                    match text_of(column, row, value) {
                        Some(text) => {
                            csv.write(text, csv.quoted[position], columns.len() == 1, out)
                        }
                        None => out.put_slice(csv.lines.null.as_bytes()),
                    }
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

/// Appends what stands between two values.
fn between(position: usize, lines: &Lines, out: &mut BytesMut) {
    if position > 0 {
        out.put_u8(lines.delimiter);
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

impl Csv {
    /// Appends a value, in quotes where it is `quoted` or could be read as something else; `alone`: its line has no other.
    fn write(&self, text: &[u8], quoted: bool, alone: bool, out: &mut BytesMut) {
        let is_special =
            |byte: &u8| [self.lines.delimiter, self.quote, b'\n', b'\r'].contains(byte);
        let needs_quotes = text == self.lines.null.as_bytes()
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
