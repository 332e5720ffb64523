//! Rows and rejects as text: a table for people, a JSON object per line for programs.

use std::collections::BTreeSet;
use std::fmt::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use clap::ValueEnum;
use meetnet_model::reject::Reject;
use meetnet_model::rows::DatasetRows;
use meetnet_model::time::format_rfc3339;
use serde_json::{Map, Value, json};

use super::trial::Tried;
use crate::readable::counted;

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerFormat {
    /// Aligned columns.
    Table,
    /// One JSON object per row and reject.
    Json,
}

/// What messages became.
pub(super) struct Answer {
    format: AnswerFormat,
    out: String,
    messages: usize,
    rows: usize,
    rejects: usize,
    ignored: u64,
    /// The keys of the rows, with their datasets, and how many rows have one that another has.
    keys: BTreeSet<String>,
    replaced: usize,
    /// Dataset and property, or column, of which there was a value.
    filled: BTreeSet<(String, String)>,
}

impl Answer {
    pub(super) fn new(format: AnswerFormat) -> Self {
        Self {
            format,
            out: String::new(),
            messages: 0,
            rows: 0,
            rejects: 0,
            ignored: 0,
            keys: BTreeSet::new(),
            replaced: 0,
            filled: BTreeSet::new(),
        }
    }

    /// Adds what one message of a file became.
    pub(super) fn add(&mut self, file: &str, tried: &Tried) {
        self.messages += 1;
        self.rows += tried.decoded.row_count();
        self.rejects += tried.decoded.rejects.len() + unlisted(tried);
        self.ignored += tried.ignored;
        for rows in &tried.decoded.rows {
            self.look_at(rows);
        }
        match self.format {
            AnswerFormat::Table => self.add_table(file, tried),
            AnswerFormat::Json => self.add_json(file, tried),
        }
    }

    /// Notes which rows replace others, and what there are values of.
    fn look_at(&mut self, rows: &DatasetRows) {
        let dataset = rows.declaration.id.as_str();
        let schema = rows.batch.schema();
        let columns = || schema.fields().iter().zip(rows.batch.columns());
        for row in 0..rows.batch.num_rows() {
            let key = columns().filter(|(field, _)| rows.declaration.key.contains(field.name()));
            let key = key.map(|(_, column)| value(column, row).to_string());
            let key: Vec<String> = std::iter::once(dataset.to_owned()).chain(key).collect();
            if !self.keys.insert(key.join("\n")) {
                self.replaced += 1;
            }
        }
        for (field, column) in columns() {
            if field.name() == "property" {
                let properties =
                    (0..rows.batch.num_rows()).map(|row| cell_text(&value(column, row)));
                let properties = properties.map(|property| (dataset.to_owned(), property));
                self.filled.extend(properties);
            } else if column.null_count() < column.len() {
                self.filled
                    .insert((dataset.to_owned(), field.name().clone()));
            }
        }
    }

    /// Returns what is to be said of rows that replace others; None where none does.
    pub(super) fn replaced_note(&self) -> Option<String> {
        (self.replaced > 0).then(|| {
            format!(
                "rows of one sensor, property and time replace each other: {} of {} left",
                self.rows - self.replaced,
                counted(self.rows as u64, "row")
            )
        })
    }

    /// Returns whether there was a value of a property, or a column, of a dataset.
    pub(super) fn has(&self, dataset: &str, name: &str) -> bool {
        let filled = (dataset.to_owned(), name.to_owned());
        self.filled.contains(&filled)
    }

    /// Returns whether there were rows.
    pub(super) fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// Adds a remark for people.
    pub(super) fn note(&mut self, note: Option<&str>) {
        if let (AnswerFormat::Table, Some(note)) = (self.format, note) {
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(self.out, "note: {note}");
        }
    }

    /// Returns the text.
    pub(super) fn finish(mut self) -> String {
        if self.format == AnswerFormat::Table {
            let plural = |count: usize| if count == 1 { "" } else { "s" };
            let _ = write!(
                self.out,
                "{} message{}: {} row{}, {} reject{}",
                self.messages,
                plural(self.messages),
                self.rows,
                plural(self.rows),
                self.rejects,
                plural(self.rejects)
            );
            if self.ignored > 0 {
                let _ = write!(self.out, ", {} ignored by kind", self.ignored);
            }
            self.out.push_str("; nothing was stored\n");
        }
        self.out.truncate(self.out.trim_end().len());
        self.out
    }

    fn add_table(&mut self, file: &str, tried: &Tried) {
        let Tried { decoded, ignored } = tried;
        let _ = writeln!(self.out, "{file}");
        for rows in &decoded.rows {
            let _ = writeln!(self.out, "  {}", rows.declaration.id);
            for line in table(&rows.batch) {
                let _ = writeln!(self.out, "    {line}");
            }
        }
        for reject in &decoded.rejects {
            let _ = writeln!(
                self.out,
                "  rejected: {}: {}",
                reject.reason.as_str(),
                reject.message
            );
            let _ = writeln!(self.out, "    {}", reject.excerpt.replace('\n', " "));
        }
        let unlisted = unlisted(tried);
        if unlisted > 0 {
            let _ = writeln!(
                self.out,
                "  rejected: {unlisted} more, counted and not listed"
            );
        }
        if *ignored > 0 {
            let _ = writeln!(self.out, "  ignored: {IGNORED}");
        }
        if decoded.row_count() == 0 && decoded.rejects.is_empty() && *ignored == 0 {
            let _ = writeln!(self.out, "  nothing is in it");
        }
        self.out.push('\n');
    }

    fn add_json(&mut self, file: &str, tried: &Tried) {
        let Tried { decoded, ignored } = tried;
        for rows in &decoded.rows {
            for row in 0..rows.batch.num_rows() {
                let object = json!({
                    "file": file,
                    "dataset": rows.declaration.id.as_str(),
                    "row": row_object(&rows.batch, row),
                });
                let _ = writeln!(self.out, "{object}");
            }
        }
        for Reject {
            reason,
            message,
            excerpt,
            ..
        } in &decoded.rejects
        {
            let object = json!({
                "file": file,
                "reject": reason.as_str(),
                "message": message,
                "excerpt": excerpt,
            });
            let _ = writeln!(self.out, "{object}");
        }
        let unlisted = unlisted(tried);
        if unlisted > 0 {
            let object = json!({"file": file, "rejects_not_listed": unlisted});
            let _ = writeln!(self.out, "{object}");
        }
        if *ignored > 0 {
            let object = json!({"file": file, "ignored": ignored, "message": IGNORED});
            let _ = writeln!(self.out, "{object}");
        }
    }
}

/// Why a message is neither rows nor rejects.
const IGNORED: &str =
    "a kind of message without an observation (a join, a status): neither rows nor rejects";

/// Returns how many rejects of a message are counted and not listed.
fn unlisted(tried: &Tried) -> usize {
    let unlisted = tried.decoded.unlisted.iter();
    unlisted.map(|(_, count)| *count as usize).sum()
}

/// Returns the lines of a table of the columns that have a value anywhere.
fn table(batch: &RecordBatch) -> Vec<String> {
    let mut lines = vec![String::new(); batch.num_rows() + 1];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if column.null_count() == batch.num_rows() {
            continue;
        }
        let cells: Vec<String> = std::iter::once(field.name().clone())
            .chain((0..batch.num_rows()).map(|row| cell_text(&value(column, row))))
            .collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max();
        let width = width.unwrap_or_default();
        for (line, cell) in lines.iter_mut().zip(&cells) {
            let _ = write!(line, "{cell:<width$}  ");
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the values that a row has.
fn row_object(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let schema = batch.schema();
    let cells = schema.fields().iter().zip(batch.columns());
    cells
        .filter(|(_, column)| !column.is_null(row))
        .map(|(field, column)| (field.name().clone(), value(column, row)))
        .collect()
}

/// Returns one cell; declared columns have these types only.
fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Timestamp(..) => {
            format_rfc3339(column.as_primitive::<TimestampMicrosecondType>().value(row)).into()
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>().value(row);
            let numbers = list.as_primitive::<Float64Type>().values().to_vec();
            numbers.into()
        }
        other => format!("({other})").into(),
    }
}
