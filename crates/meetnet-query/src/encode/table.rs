//! Text for terminals: aligned columns, widths from the first rows; plans (`EXPLAIN`) as the trees they are. A width is what a
//! terminal with characters of one width shows: an ideograph takes two of its cells, an accent that stands alone none.

use std::iter;

use arrow::array::RecordBatch;
use unicode_width::UnicodeWidthStr;

use super::{Encoder, Footer, Header, cell, format_time};
use crate::error::QueryError;

/// Rows that decide the widths; they are held back until there are so many.
const SAMPLE_ROWS: usize = 1000;
/// Characters of one cell that are shown where nobody says how many.
const CELL_MAX: usize = 120;
/// Characters that a column of text keeps where others need room.
const SHRUNK_MIN: usize = 12;
/// Stands where something was left out.
const MARK: char = '…';
/// Characters between two columns, and of the column of marks at the right.
const BETWEEN: usize = 3;
const MARKS: usize = 3;

/// How text for terminals looks; the default is what the service answers.
#[derive(Clone, Copy, Debug)]
pub struct TableStyle {
    /// Characters of a line: cells of text are cut and columns at the right left out, both with a mark. None: any.
    pub width_max: Option<usize>,
    /// Characters of one cell, or name, that are shown; what is longer is cut, with a mark.
    pub cell_max: usize,
    /// What stands for a value that is not there.
    pub null: &'static str,
    /// Whether the number of rows, how far they reach and their licences follow.
    pub footer: bool,
    /// Rows one below the other, each column on a line of its own: for wide rows. Nothing is cut then.
    pub expanded: bool,
}

impl Default for TableStyle {
    fn default() -> Self {
        Self {
            width_max: None,
            cell_max: CELL_MAX,
            null: "",
            footer: true,
            expanded: false,
        }
    }
}

#[derive(Default)]
pub(super) struct Table {
    style: TableStyle,
    names: Vec<String>,
    right: Vec<bool>,
    /// Rows held back; None once the widths are fixed.
    sample: Option<Vec<Vec<String>>>,
    /// Widths of the columns that are shown.
    widths: Vec<usize>,
    /// The answer is the one of `EXPLAIN`: the kind of a plan and its text of many lines.
    is_plan: bool,
    /// Rows that were written one below the other.
    records: u64,
}

impl Table {
    pub(super) fn new(style: TableStyle) -> Self {
        Self {
            style,
            ..Self::default()
        }
    }

    /// Fixes the widths and writes what was held back.
    fn release(&mut self, out: &mut Vec<u8>) {
        let Some(sample) = self.sample.take() else {
            return;
        };
        let widths: Vec<usize> = (0..self.names.len())
            .map(|column| {
                let cells = sample.iter().map(|row| row[column].width());
                cells.chain([self.names[column].width()]).max().unwrap_or(0)
            })
            .collect();
        self.widths = match self.style.width_max {
            Some(width_max) => fit(&widths, &self.right, width_max),
            None => widths,
        };
        if !self.names.is_empty() {
            let names = self.names.clone();
            self.write_row(&names, out);
            let rules: Vec<String> = self
                .widths
                .iter()
                .map(|width| "-".repeat(width + 2))
                .collect();
            out.extend_from_slice(rules.join("+").as_bytes());
            if self.leaves_out_columns() {
                out.extend_from_slice(b"+--");
            }
            out.push(b'\n');
        }
        for row in &sample {
            self.write_row(row, out);
        }
    }

    fn write_row(&self, row: &[String], out: &mut Vec<u8>) {
        let mut line = String::new();
        for (column, (text, width)) in row.iter().zip(&self.widths).enumerate() {
            let separator = if column > 0 { "| " } else { " " };
            line.push_str(separator);
            let is_number = self.right.get(column).copied().unwrap_or(false);
            // A number with digits left out would be another number.
            let cut = (self.style.width_max.is_some() && !is_number).then(|| cut(text, *width));
            let text = cut.as_ref().unwrap_or(text);
            let padding = " ".repeat(width.saturating_sub(text.width()));
            if is_number {
                line.extend([&padding, text, " "]);
            } else {
                line.extend([text, &padding, " "]);
            }
        }
        if self.leaves_out_columns() {
            line.push_str("| ");
            line.push(MARK);
        }
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }

    fn leaves_out_columns(&self) -> bool {
        !self.is_plan && !self.style.expanded && self.widths.len() < self.names.len()
    }

    /// Writes a row on lines of its own.
    fn write_record(&mut self, cells: &[String], out: &mut Vec<u8>) {
        self.records += 1;
        let names = self.names.iter().map(|name| name.width());
        let width = names.max().unwrap_or(0);
        let head = format!("-[ row {} ]", self.records);
        let mut lines = format!("{head:-<rule$}\n", rule = width + BETWEEN);
        for (name, cell) in self.names.iter().zip(cells) {
            let padding = " ".repeat(width - name.width());
            let line = format!("{name}{padding} | {cell}");
            lines.push_str(line.trim_end());
            lines.push('\n');
        }
        out.extend_from_slice(lines.as_bytes());
    }
}

/// Returns the widths of the columns that have room in a line. Text gives room first, the widest most; then columns at
/// the right are left out, so that numbers are whole.
fn fit(widths: &[usize], right: &[bool], width_max: usize) -> Vec<usize> {
    let mut count = widths.len();
    loop {
        let marks = if count < widths.len() { MARKS } else { 0 };
        let room = width_max.saturating_sub(marks);
        let shown = shrunk(&widths[..count], &right[..count], room);
        if count <= 1 || line_width(&shown) <= room {
            return shown;
        }
        count -= 1;
    }
}

/// Returns the characters of the longest line, the one below the names: it has one at each end.
fn line_width(widths: &[usize]) -> usize {
    let between = BETWEEN * widths.len().saturating_sub(1);
    2 + widths.iter().sum::<usize>() + between
}

fn shrunk(widths: &[usize], right: &[bool], room: usize) -> Vec<usize> {
    let mut shown = widths.to_vec();
    while line_width(&shown) > room {
        let texts = (0..shown.len()).filter(|at| !right[*at] && shown[*at] > SHRUNK_MIN);
        let Some(widest) = texts.max_by_key(|at| shown[*at]) else {
            break;
        };
        shown[widest] -= 1;
    }
    shown
}

/// Returns a text of at most this width; its end is a mark where some was left out.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    marked(text, width)
}

/// Returns the beginning of a text, with a mark behind it, of at most this width.
fn marked(text: &str, width: usize) -> String {
    let room = width.saturating_sub(1);
    let end = if text.is_ascii() {
        room.min(text.len())
    } else {
        // From the end: seldom more than a few letters have to go. What joins emoji makes one of several, so widths of letters
        // are no widths of texts.
        let ends = text.char_indices().rev().map(|(at, _)| at);
        iter::once(text.len())
            .chain(ends)
            .find(|end| text[..*end].width() <= room)
            .unwrap_or(0)
    };
    let mut shown = text[..end].to_owned();
    shown.push(MARK);
    shown
}

impl Encoder for Table {
    fn begin(&mut self, header: &Header<'_>, _: &mut Vec<u8>) -> Result<(), QueryError> {
        let fields = header.schema.fields();
        self.names = fields
            .iter()
            .zip(header.units)
            .map(|(field, unit)| match unit {
                // `1` is UCUM's word for a number without a unit.
                Some(unit) if unit != "1" => {
                    printable(&format!("{} [{unit}]", field.name()), self.style.cell_max)
                }
                _ => printable(field.name(), self.style.cell_max),
            })
            .collect();
        self.right = fields
            .iter()
            .map(|field| field.data_type().is_numeric())
            .collect();
        let names = fields.iter().map(|field| field.name().as_str());
        self.is_plan = names.eq(["plan_type", "plan"]);
        self.sample = (!self.is_plan && !self.style.expanded).then(Vec::new);
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
        let width_max = if self.style.expanded {
            usize::MAX
        } else {
            self.style.cell_max
        };
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns
                .iter()
                .map(|column| {
                    if column.is_null(row) {
                        return self.style.null.to_owned();
                    }
                    text.clear();
                    column.write_text(row, &mut text);
                    printable(&String::from_utf8_lossy(&text), width_max)
                })
                .collect();
            match &mut self.sample {
                Some(sample) => {
                    sample.push(cells);
                    if sample.len() >= SAMPLE_ROWS {
                        self.release(out);
                    }
                }
                None if self.style.expanded => self.write_record(&cells, out),
                None => self.write_row(&cells, out),
            }
        }
        Ok(())
    }

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.release(out);
        if !self.style.footer {
            return Ok(());
        }
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
        let columns = if self.leaves_out_columns() {
            let (shown, all) = (self.widths.len(), self.names.len());
            format!(", {shown} of {all} columns shown")
        } else {
            String::new()
        };
        let reach = format_time(footer.stable_time);
        let end = format!(
            "({} {rows}{as_of}{cut}{columns}; complete through {reach})\n",
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

/// Returns a text on one line, of at most this width and as many characters, without control characters, which would steer the
/// terminal.
fn printable(text: &str, width_max: usize) -> String {
    let mut chars = text.chars();
    let shown: String = chars
        .by_ref()
        .take(width_max)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // What takes no room (an accent that stands alone) may come any number of times.
    if chars.next().is_some() {
        return marked(&shown, width_max);
    }
    cut(&shown, width_max)
}

#[cfg(test)]
mod tests;
