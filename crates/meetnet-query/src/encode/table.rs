//! Text for terminals: aligned columns, widths from the first rows; plans (`EXPLAIN`) as the trees they are.

use arrow::array::RecordBatch;

use super::{Encoder, Footer, Header, cell, format_time};
use crate::error::QueryError;

/// Rows that decide the widths; they are held back until there are so many.
const SAMPLE_ROWS: usize = 1000;
/// Characters of one cell that are shown.
const WIDTH_MAX: usize = 120;

#[derive(Default)]
pub(super) struct Table {
    names: Vec<String>,
    right: Vec<bool>,
    /// Rows held back; None once the widths are fixed.
    sample: Option<Vec<Vec<String>>>,
    widths: Vec<usize>,
    /// The answer is the one of `EXPLAIN`: the kind of a plan and its text of many lines.
    is_plan: bool,
}

impl Table {
    /// Fixes the widths and writes what was held back.
    fn release(&mut self, out: &mut Vec<u8>) {
        let Some(sample) = self.sample.take() else {
            return;
        };
        self.widths = (0..self.names.len())
            .map(|column| {
                let cells = sample.iter().map(|row| row[column].chars().count());
                cells
                    .chain([self.names[column].chars().count()])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        if !self.names.is_empty() {
            let names = self.names.clone();
            self.write_row(&names, out);
            let rules: Vec<String> = self
                .widths
                .iter()
                .map(|width| "-".repeat(width + 2))
                .collect();
            out.extend_from_slice(rules.join("+").as_bytes());
            out.push(b'\n');
        }
        for row in &sample {
            self.write_row(row, out);
        }
    }

    fn write_row(&self, row: &[String], out: &mut Vec<u8>) {
        let mut line = String::new();
        for (column, text) in row.iter().enumerate() {
            let padding = " ".repeat(self.widths[column].saturating_sub(text.chars().count()));
            let separator = if column > 0 { "| " } else { " " };
            line.push_str(separator);
            if self.right.get(column).copied().unwrap_or(false) {
                line.extend([&padding, text, " "]);
            } else {
                line.extend([text, &padding, " "]);
            }
        }
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }
}

impl Encoder for Table {
    fn begin(&mut self, header: &Header<'_>, _: &mut Vec<u8>) -> Result<(), QueryError> {
        let fields = header.schema.fields();
        self.names = fields
            .iter()
            .zip(header.units)
            .map(|(field, unit)| match unit {
                Some(unit) => printable(&format!("{} [{unit}]", field.name())),
                None => printable(field.name()),
            })
            .collect();
        self.right = fields
            .iter()
            .map(|field| field.data_type().is_numeric())
            .collect();
        let names = fields.iter().map(|field| field.name().as_str());
        self.is_plan = names.eq(["plan_type", "plan"]);
        self.sample = (!self.is_plan).then(Vec::new);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = cell::columns(batch)?;
        let mut text = Vec::new();
        if self.is_plan {
            for row in 0..batch.num_rows() {
                text.clear();
                for column in &columns {
                    column.write_text(row, &mut text);
                    text.push(b'\n');
                }
                for line in String::from_utf8_lossy(&text).lines() {
                    out.extend_from_slice(line.replace(char::is_control, " ").as_bytes());
                    out.push(b'\n');
                }
            }
            return Ok(());
        }
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns
                .iter()
                .map(|column| {
                    text.clear();
                    column.write_text(row, &mut text);
                    printable(&String::from_utf8_lossy(&text))
                })
                .collect();
            match &mut self.sample {
                Some(sample) => {
                    sample.push(cells);
                    if sample.len() >= SAMPLE_ROWS {
                        self.release(out);
                    }
                }
                None => self.write_row(&cells, out),
            }
        }
        Ok(())
    }

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.release(out);
        let rows = if footer.rows == 1 { "row" } else { "rows" };
        let cut = match footer.next {
            Some(next) => format!(", more at {next}"),
            None if footer.truncated => ", row limit reached".to_owned(),
            None => String::new(),
        };
        let as_of = footer
            .as_of
            .map(|as_of| format!(" as of {}", format_time(as_of)))
            .unwrap_or_default();
        let reach = format_time(footer.stable_time);
        let end = format!(
            "({} {rows}{as_of}{cut}; complete through {reach})\n",
            footer.rows
        );
        out.extend_from_slice(end.as_bytes());
        let rights = footer.rights;
        if !rights.licences.is_empty() {
            let named = match rights.attribution_text() {
                names if names.is_empty() => String::new(),
                names => format!("; {names}"),
            };
            let line = format!("licence {}{named}", rights.licence_text());
            // Never cut, whatever its width: it says what may be done with the rows.
            let line = line.replace(char::is_control, " ");
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        Ok(())
    }
}

/// Returns a text on one line, without control characters, which would steer the terminal.
fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(WIDTH_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(WIDTH_MAX).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}
