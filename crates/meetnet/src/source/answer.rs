//! Rows and rejects as text: a table for people, a JSON object per line for programs.

use std::fmt::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use clap::ValueEnum;
use meetnet_decode::Decoded;
use meetnet_model::reject::Reject;
use meetnet_model::time::format_rfc3339;
use serde_json::{Map, Value, json};

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
}

impl Answer {
    pub(super) fn new(format: AnswerFormat) -> Self {
        Self {
            format,
            out: String::new(),
            messages: 0,
            rows: 0,
            rejects: 0,
        }
    }

    /// Adds what one message of a file became.
    pub(super) fn add(&mut self, file: &str, decoded: &Decoded) {
        self.messages += 1;
        self.rows += decoded.row_count();
        self.rejects += decoded.rejects.len();
        match self.format {
            AnswerFormat::Table => self.add_table(file, decoded),
            AnswerFormat::Json => self.add_json(file, decoded),
        }
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
            let _ = writeln!(
                self.out,
                "{} message{}: {} row{}, {} reject{}; nothing was stored",
                self.messages,
                plural(self.messages),
                self.rows,
                plural(self.rows),
                self.rejects,
                plural(self.rejects)
            );
        }
        self.out.truncate(self.out.trim_end().len());
        self.out
    }

    fn add_table(&mut self, file: &str, decoded: &Decoded) {
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
        self.out.push('\n');
    }

    fn add_json(&mut self, file: &str, decoded: &Decoded) {
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
    }
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
