//! Tables as text: a header and one row per line, or rows alone under declared columns.
//!
//! ```text
//! body ─▶ records (csv-core: quoting, line ends) ─▶ cells ─▶ slots of the wanted columns ─▶ mapping
//! ```
//!
//! - Values are named by column: `field = "P1"`. Without `csv.columns` the first row is the header; with it, a first row
//!   that repeats the declared columns is passed over.
//! - An empty cell, `NA`, `NaN`, `null` and `None` are missing, and make no row and no zero.
//! - With `csv.decimal_comma` a cell that is a number with one comma is read as that number. Points that group digits
//!   are not guessed at: a number with a point and three digits behind it (`1.013`) is a reject, as is `1.013,2`.
//! - A row with another number of cells than there are columns (a file cut short) is a reject and takes no other row
//!   with it; empty cells beyond the columns, as a delimiter at the line's end makes them, do no harm.
//! - A row that is not UTF-8 is a reject and takes no other row with it; a header that is not is one of the whole body.
//! - A quote that is never closed would swallow the rest of the body, and the cell that it is in is no value. Where a
//!   row's quotes are not closed at the end of a cell, or a row of several lines has the wrong number of cells, only its
//!   first line is turned away and reading goes on with the next.

pub(crate) mod quotes;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{CsvDeclaration, Place, SourceDeclaration, ValueRef};

use crate::comma::{self, may_group_digits};
use crate::error::SetupProblem;
use crate::fields::{FieldNames, Fields, Slot, Span, WantedPlaces};
use crate::format::mapped::{Document, Finds, FoundId, Mapped};
use crate::format::{Body, NOT_TEXT};
use crate::group::{Group, Output, RowScratch};
use crate::mapping::MappingFault;
use crate::topic::TopicPattern;

use quotes::RecordEnds;

/// Cells of one row: a body of commas must not become as many positions.
const CELLS_MAX: usize = 4096;
/// Texts that mean "no value" in tables, whatever their case.
const MISSING: [&str; 6] = ["na", "n/a", "nan", "null", "none", "\\n"];

/// The decoder of one source of CSV bodies.
#[derive(Clone, Debug)]
pub(crate) struct CsvDecoder {
    delimiter: u8,
    names: FieldNames,
    mapped: Mapped,
    /// Columns that every row needs: those of sensor and time.
    required: Vec<(Slot, Box<str>)>,
    /// The declared columns; none where the first row names them.
    columns: Option<Vec<Box<str>>>,
    decimal_comma: bool,
    /// By slot: what a value is called that must be a number; only where a comma is the decimal sign.
    numbers: Vec<Option<Box<str>>>,
}

/// Buffers for records; what is in them counts for one record only.
#[derive(Debug, Default)]
pub(crate) struct CsvScratch {
    cells: Vec<u8>,
    ends: Vec<usize>,
    /// By column: the slot that it fills.
    columns: Vec<Option<Slot>>,
    spans: Vec<Span>,
}

/// One record of a body, whose cells stand in the scratch.
struct Record<'t> {
    /// The text that it was read from.
    source: &'t str,
    line: u64,
    /// None where its quotes are wrong.
    cells: usize,
    /// What is wrong with its quotes: it is the first line then.
    fault: Option<&'static str>,
}

impl CsvDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let declared = source.csv.clone().unwrap_or_default();
        let mut names = FieldNames::default();
        let mapped = Mapped::compile(
            source,
            topics,
            declarations,
            Vec::new(),
            Finds::Nothing,
            &mut names,
        )?;
        let delimiter = delimiter(&declared).map_err(|problem| (None, problem))?;
        let mut required: Vec<(Slot, Box<str>)> = Vec::new();
        let sensor_place = match &source.sensor_id {
            Some(ValueRef::Field { field }) => Some(Place::Field(field)),
            Some(ValueRef::Pointer { pointer }) => Some(Place::Pointer(pointer)),
            Some(ValueRef::Template(_)) | None => None,
        };
        let time_place = source.time.as_ref().and_then(|time| time.place());
        for place in sensor_place.into_iter().chain(time_place) {
            let slot = names.want(place).map_err(|problem| (None, problem))?;
            let name = place.to_string();
            required.push((slot, name.trim_start_matches('/').into()));
        }
        if let Some(columns) = &declared.columns {
            let missing = required
                .iter()
                .find(|(_, name)| !columns.contains(&name.to_string()));
            if let Some((_, name)) = missing {
                return Err((None, SetupProblem::NoCsvColumn(name.to_string())));
            }
        }
        let mut numbers: Vec<Option<Box<str>>> = Vec::new();
        if declared.decimal_comma {
            numbers.resize(names.slots(), None);
            let is_required = |slot: Slot| required.iter().any(|(known, _)| *known == slot);
            for (slot, name) in mapped.numbers().filter(|(slot, _)| !is_required(*slot)) {
                if let Some(of) = numbers.get_mut(usize::from(slot.0)) {
                    *of = Some(name.into());
                }
            }
        }
        Ok(Self {
            delimiter,
            names,
            mapped,
            required,
            columns: declared
                .columns
                .map(|columns| columns.iter().map(|name| name.as_str().into()).collect()),
            decimal_comma: declared.decimal_comma,
            numbers,
        })
    }

    /// The compiled declaration of the source.
    pub(crate) fn mapped(&self) -> &Mapped {
        &self.mapped
    }

    /// Returns a body without blank lines and spaces at its ends. A tab there may be the delimiter before, or behind, an
    /// empty cell: then only whole lines go.
    pub(crate) fn trimmed<'t>(&self, text: &'t str) -> &'t str {
        let inner = text.trim_ascii();
        if !self.delimiter.is_ascii_whitespace() || inner.is_empty() {
            return inner;
        }
        let line_ends = ['\r', '\n'];
        let start = text.len() - text.trim_ascii_start().len();
        let start = text[..start].rfind(line_ends).map_or(0, |end| end + 1);
        let end = text.trim_ascii_end().len();
        let end = text[end..]
            .find(line_ends)
            .map_or(text.len(), |length| end + length);
        &text[start..end]
    }

    pub(crate) fn decode(&self, body: &Body<'_>, group: &mut Group) {
        let output = &mut group.output;
        let csv = &mut group.scratch.csv;
        let row = &mut group.scratch.row;
        let mut records = Records::new(self.delimiter, body.text);
        let mut declared = self.columns.as_deref();
        csv.columns.clear();
        if let Some(columns) = declared {
            let slots = columns.iter().map(|name| self.names.slot(name));
            csv.columns.extend(slots);
        }
        let mut rows = 0_u32;
        let mut has_columns = declared.is_some();
        while let Some(record) = records.next(csv) {
            if !has_columns {
                if body.is_torn_at(record.source) {
                    let message = "the header is not UTF-8; let the sender write UTF-8, not Latin-1 or Windows-1252";
                    output.reject(RejectReason::Malformed, message, body.text);
                    return;
                }
                if let Some(fault) = record.fault {
                    let message = format!("the header, line {}, {fault}", record.line);
                    output.reject(RejectReason::Malformed, message, body.text);
                    return;
                }
                if !self.header(body, &record, csv, output) {
                    return;
                }
                has_columns = true;
                continue;
            }
            let is_first = rows == 0;
            if is_first
                && declared
                    .take()
                    .is_some_and(|names| csv.repeats(&record, names))
            {
                continue;
            }
            output.begin_item(rows);
            rows = rows.saturating_add(1);
            if let Some(fault) = record.fault {
                output.reject(
                    RejectReason::Malformed,
                    format_args!("line {} {fault}", record.line),
                    record.source,
                );
                continue;
            }
            if let Err(message) = csv.check_width(&record) {
                let source = records.only_first_line(&record);
                output.reject(RejectReason::Malformed, message, source);
                continue;
            }
            if body.is_torn_at(record.source) {
                output.reject(RejectReason::Malformed, NOT_TEXT, record.source);
                continue;
            }
            self.row(body, &record, csv, row, output);
        }
        output.end_items();
        if rows == 0 {
            output.reject(
                RejectReason::NoObservation,
                "the table has no row",
                body.text,
            );
        }
    }

    /// Takes the header; returns false, and makes the reject of the whole body, where it is none for this source.
    fn header(
        &self,
        body: &Body<'_>,
        record: &Record<'_>,
        csv: &mut CsvScratch,
        output: &mut Output,
    ) -> bool {
        let CsvScratch {
            cells,
            ends,
            columns,
            ..
        } = csv;
        let mut start = 0;
        for end in &ends[..record.cells] {
            let name = std::str::from_utf8(&cells[start..*end]).unwrap_or_default();
            start = *end;
            let slot = self.names.slot(name.trim());
            if slot.is_some() && columns.contains(&slot) {
                let message = format!("the header names the column `{}` twice", name.trim());
                output.reject(RejectReason::UnexpectedShape, message, record.source);
                return false;
            }
            columns.push(slot);
        }
        let missing = self
            .required
            .iter()
            .find(|(slot, _)| !columns.contains(&Some(*slot)));
        let message = match missing {
            Some((_, name)) => format!(
                "the header has no column `{name}`, which every row needs; declare `csv.delimiter` where it is not a \
                 comma, and `csv.columns` where the body has no header"
            ),
            None if columns.iter().all(Option::is_none) => format!(
                "the header has none of the columns {}; declare `csv.delimiter` where it is not a comma, and \
                 `csv.columns` where the body has no header",
                self.mapped.wanted()
            ),
            None => return true,
        };
        output.reject(RejectReason::UnexpectedShape, message, body.text);
        false
    }

    fn row(
        &self,
        body: &Body<'_>,
        record: &Record<'_>,
        csv: &mut CsvScratch,
        row: &mut RowScratch,
        output: &mut Output,
    ) {
        csv.spans.clear();
        csv.spans.resize(self.names.slots(), Span::default());
        let mut start = 0;
        let mut is_refused = false;
        for (slot, end) in csv.columns.iter().zip(&csv.ends[..record.cells]) {
            let cell = start..*end;
            start = *end;
            let Some(slot) = slot else { continue };
            let bytes = &mut csv.cells[cell.clone()];
            if is_missing(bytes) {
                continue;
            }
            if self.decimal_comma {
                let name = self.numbers.get(usize::from(slot.0));
                if let Some(Some(name)) = name
                    && may_group_digits(bytes)
                {
                    let message = comma::grouped(name, "csv.decimal_comma");
                    output.reject(RejectReason::WrongType, message, record.source);
                    is_refused = true;
                    continue;
                }
                if let Some(comma) = comma::position(bytes) {
                    bytes[comma] = b'.';
                }
            }
            csv.spans[usize::from(slot.0)] = Span {
                start: cell.start as u32,
                end: cell.end as u32,
            };
        }
        let used = csv.ends[..record.cells].last().copied().unwrap_or(0);
        // The body is text, and cells are parts of it between ASCII characters.
        let Ok(cells) = std::str::from_utf8(&csv.cells[..used]) else {
            output.reject(
                RejectReason::Malformed,
                "a cell is not UTF-8",
                record.source,
            );
            return;
        };
        let document = Document {
            fields: Fields::text(cells, &csv.spans),
            excerpt: record.source,
            what: "the row",
            missing_id: "the row has no sensor id in the column that the source's `sensor_id` names",
        };
        if is_refused {
            // Why a value is missing is said already.
            self.mapped.emit(
                body,
                &document,
                || Ok(FoundId::Nobody),
                || Ok(None),
                row,
                output,
            );
            return;
        }
        self.mapped.emit_or_reject(
            body,
            &document,
            || Ok(FoundId::Nobody),
            || Ok(None),
            row,
            output,
        );
    }
}

impl CsvScratch {
    /// Returns true where a record is nothing but the names of the columns.
    fn repeats(&self, record: &Record<'_>, names: &[Box<str>]) -> bool {
        let starts = std::iter::once(&0).chain(&self.ends);
        let mut cells = starts
            .zip(&self.ends[..record.cells])
            .map(|(start, end)| self.cells[*start..*end].trim_ascii());
        record.cells == names.len()
            && names
                .iter()
                .all(|name| cells.next() == Some(name.as_bytes()))
    }

    /// Says what is wrong with the number of cells of a record.
    fn check_width(&self, record: &Record<'_>) -> Result<(), String> {
        let columns = self.columns.len();
        let beyond_is_empty = || {
            let beyond = self.ends[columns.saturating_sub(1)..record.cells].first();
            beyond == self.ends[..record.cells].last()
        };
        if record.cells == columns || (record.cells > columns && beyond_is_empty()) {
            return Ok(());
        }
        Err(format!(
            "line {} has {} cells, and there are {columns} columns",
            record.line, record.cells
        ))
    }
}

/// The records of a body, one after the other.
struct Records<'t> {
    reader: Reader,
    ends: RecordEnds<'t>,
    text: &'t str,
    at: usize,
    line: u64,
}

impl<'t> Records<'t> {
    fn new(delimiter: u8, text: &'t str) -> Self {
        Self {
            // Built anew for each body: the clone of a reader of csv-core 0.1 has lost its tables, and reads nothing.
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            ends: RecordEnds::new(delimiter, text.as_bytes()),
            text,
            at: 0,
            line: 1,
        }
    }

    /// Reads the next record into the scratch; none at the end of the body.
    fn next(&mut self, csv: &mut CsvScratch) -> Option<Record<'t>> {
        let from = self.at;
        // Empty lines before a record are passed over with it.
        let passed = self.text[from..].trim_start_matches(['\r', '\n']);
        let start = self.text.len() - passed.len();
        let newlines = |text: &str| text.bytes().filter(|b| *b == b'\n').count() as u64;
        let line = self.line + newlines(&self.text[from..start]);
        if let Err(fault) = self.ends.check(start) {
            self.go_on(fault.line_end, line);
            return Some(Record {
                source: &self.text[start..fault.line_end],
                line,
                cells: 0,
                fault: Some(fault.problem),
            });
        }
        let (mut bytes, mut ends) = (0, 0);
        loop {
            let input = &self.text.as_bytes()[self.at..];
            let (result, read, written, ended) =
                self.reader
                    .read_record(input, &mut csv.cells[bytes..], &mut csv.ends[ends..]);
            self.at += read;
            bytes += written;
            ends += ended;
            match result {
                // The next call has nothing to read and ends the last record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => csv.cells.resize((bytes * 2).max(1024), 0),
                // A row of more cells than any table has is a reject, whatever their number: the last place is used
                // again.
                ReadRecordResult::OutputEndsFull if ends == CELLS_MAX => ends -= 1,
                ReadRecordResult::OutputEndsFull => {
                    csv.ends.resize((ends * 2).clamp(64, CELLS_MAX), 0);
                }
                ReadRecordResult::End => return None,
                ReadRecordResult::Record => break,
            }
        }
        let read = &self.text[start..self.at];
        self.line = line + newlines(read);
        Some(Record {
            source: read.trim_end_matches(['\r', '\n']),
            line,
            cells: ends,
            fault: None,
        })
    }

    /// Goes back to the second line of a record of several, and returns the first: its quote was never meant to go on.
    fn only_first_line(&mut self, record: &Record<'t>) -> &'t str {
        let Some(length) = record.source.find(['\r', '\n']) else {
            return record.source;
        };
        let start = record.source.as_ptr() as usize - self.text.as_ptr() as usize;
        self.ends.note_again(record.source.len() - length);
        self.go_on(start + length, record.line);
        &record.source[..length]
    }

    /// Reads on at that position, the end of a line, with a record of its own.
    fn go_on(&mut self, line_end: usize, line: u64) {
        self.at = line_end;
        self.line = line;
        self.reader.reset();
    }
}

/// Returns true for what tables write where there is no value.
pub(crate) fn is_missing(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    cell.len() <= 4
        && MISSING
            .iter()
            .any(|word| cell.eq_ignore_ascii_case(word.as_bytes()))
}

fn delimiter(declared: &CsvDeclaration) -> Result<u8, SetupProblem> {
    match declared.delimiter.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err(SetupProblem::Delimiter(declared.delimiter.clone())),
    }
}

#[cfg(test)]
mod tests;
