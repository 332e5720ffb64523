//! A document cut into pieces, each of which its source could have sent as one message.
//!
//! Tables and line protocol are cut between lines into blocks, each table block under the header again; a table without
//! rows is its header. A JSON document
//! is one piece, or one per line where every line is a document of its own. No piece is cut inside a quoted field, unless that
//! goes on for longer than anybody writes: its quote was never closed.
//!
//! A piece has parts, which say the same by themselves: its lines, the rows of a table under its header, the elements of a
//! list.
//!
//! **Where a document breaks off,** packed and cut, or in a broken archive, the lines before that are its last piece, and the
//! error comes behind them. Not where the system fails to give what the file holds: pieces have numbers, by which an import
//! goes on, and that piece is a longer one the next time.

use std::io::{BufRead, Read};
use std::sync::Arc;

use meetnet_decode::RecordEnds;
use meetnet_model::source::{SourceDeclaration, WireFormat};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::ImportError;
use super::inputs::is_given;

/// Version of the cuts: raised whenever the same bytes would become other pieces, by whose numbers an import goes on.
pub(super) const PIECES_VERSION: u32 = 3;
/// Bytes of a block of lines, about.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes of a record of several lines that a piece is never cut in. A quote that is never closed would make one piece of the
/// rest of the file; a cell that is longer, and stands where a block ends, is refused.
const RECORD_BYTES_MAX: usize = 64 << 10;
/// Bytes of a piece at most: a JSON document, or a line.
const PIECE_BYTES_MAX: usize = 256 << 20;

/// How a format is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// JSON documents: one, or one per line.
    Json,
    /// Blocks of lines.
    Lines,
    /// Blocks of lines under the first one.
    Table,
}

impl Split {
    pub(super) fn of(format: WireFormat, document: &str) -> Self {
        match format {
            // Lists from its API, tables from its archive.
            WireFormat::SensorCommunity if document.contains(".csv") => Self::Table,
            WireFormat::Telraam
            | WireFormat::Airrohr
            | WireFormat::TtsV3
            | WireFormat::ChirpstackV4
            | WireFormat::SensorThings
            | WireFormat::Ngsi
            | WireFormat::Senml
            | WireFormat::SensorCommunity
            | WireFormat::Ircel
            | WireFormat::Opensensemap
            | WireFormat::Json => Self::Json,
            WireFormat::Ndjson
            | WireFormat::Ecowitt
            | WireFormat::Wunderground
            | WireFormat::Influx => Self::Lines,
            WireFormat::Csv => Self::Table,
        }
    }
}

/// An answer of Telraam's API: its rows are reports by themselves.
#[derive(Deserialize)]
struct Reports<'a> {
    #[serde(borrow)]
    report: Vec<&'a RawValue>,
}

/// The pieces of one document.
pub(super) struct Pieces<'a> {
    split: Split,
    /// Between the cells of a table whose cells may be quoted.
    delimiter: Option<u8>,
    document: Arc<str>,
    bytes: &'a mut dyn BufRead,
    /// The piece; of a table, its header and the rows behind it.
    piece: Vec<u8>,
    /// Bytes of the header.
    header: usize,
    /// Lines are JSON documents.
    by_line: bool,
    is_first: bool,
    /// Why nothing comes behind the last piece.
    broken: Option<ImportError>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(
        source: &SourceDeclaration,
        document: &str,
        bytes: &'a mut dyn BufRead,
    ) -> Self {
        let split = Split::of(source.format, document);
        let declared = source.csv.as_ref();
        let declared = declared.and_then(|csv| csv.delimiter.bytes().next());
        let delimiter = declared.unwrap_or(b',');
        // In other formats a quote is a character like any other, or stands within one line.
        let is_quoted = source.format == WireFormat::Csv;
        Self::cut(split, is_quoted.then_some(delimiter), document, bytes)
    }

    pub(super) fn cut(
        split: Split,
        delimiter: Option<u8>,
        document: &str,
        bytes: &'a mut dyn BufRead,
    ) -> Self {
        Self {
            split,
            delimiter,
            document: document.into(),
            bytes,
            piece: Vec::new(),
            header: 0,
            by_line: false,
            is_first: true,
            broken: None,
        }
    }

    /// Name of the document.
    pub(super) fn document(&self) -> &Arc<str> {
        &self.document
    }

    /// How it is cut.
    pub(super) fn split(&self) -> Split {
        self.split
    }

    /// The piece that [`Pieces::next`] has returned.
    pub(super) fn piece(&self) -> &[u8] {
        &self.piece
    }

    /// Returns true where some lines of a block are not UTF-8: they would take the others with them.
    pub(super) fn is_torn(&self) -> bool {
        let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        self.split != Split::Json && is_text(&self.piece[..self.header]) && !is_text(&self.piece)
    }

    /// Shows `visit` the parts of the piece, each a message by itself. Where it has none, there is nothing to be seen.
    pub(super) fn parts(&self, format: WireFormat, visit: &mut dyn FnMut(&[u8])) {
        match self.split {
            Split::Json if self.by_line => {}
            Split::Json => elements(format, &self.piece, visit),
            Split::Lines => {
                for line in self.piece.split_inclusive(|byte| *byte == b'\n') {
                    let text = line.trim_ascii();
                    // Of line protocol, a comment.
                    if !text.is_empty() && !text.starts_with(b"#") {
                        visit(line);
                    }
                }
            }
            Split::Table => {
                let (header, rows) = self.piece.split_at(self.header);
                let delimiter = self.delimiter;
                let mut ends = delimiter.map(|delimiter| RecordEnds::new(delimiter, rows));
                let mut part = Vec::new();
                let mut start = 0;
                while start < rows.len() {
                    let end = match &mut ends {
                        Some(ends) => ends.end(start),
                        None => memchr::memchr(b'\n', &rows[start..])
                            .map_or(rows.len(), |length| start + length + 1),
                    };
                    let row = &rows[start..end];
                    start = end;
                    if !row.trim_ascii().is_empty() {
                        part.clear();
                        part.extend_from_slice(header);
                        part.extend_from_slice(row);
                        visit(&part);
                    }
                }
            }
        }
    }

    /// Returns the next piece; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ImportError> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let found = match self.split {
            Split::Json if is_first => self.first_document()?,
            Split::Json if self.by_line => self.line_document()?,
            Split::Json => false,
            Split::Lines => self.block()?,
            Split::Table => {
                if is_first {
                    // Blank lines before it are no header.
                    while self.record()? && self.piece.trim_ascii().is_empty() {
                        self.piece.clear();
                    }
                    self.header = self.piece.len();
                }
                // A first line alone may be no header of this source, or a row of a table without one: its decoder says.
                self.block()? || (is_first && !self.piece.trim_ascii().is_empty())
            }
        };
        Ok(found.then_some(&self.piece))
    }

    /// Reads the first line, and the rest where that is no document by itself.
    fn first_document(&mut self) -> Result<bool, ImportError> {
        while self.line()? {
            if self.piece.trim_ascii().is_empty() {
                self.piece.clear();
                continue;
            }
            self.by_line = serde_json::from_slice::<IgnoredAny>(&self.piece).is_ok();
            if !self.by_line {
                self.rest()?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the next line that is not empty.
    fn line_document(&mut self) -> Result<bool, ImportError> {
        loop {
            self.piece.clear();
            if !self.line()? {
                return Ok(false);
            }
            if !self.piece.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Reads lines behind the header until they are a block.
    fn block(&mut self) -> Result<bool, ImportError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.piece.truncate(self.header);
        while self.piece.len() < self.header + BLOCK_BYTES {
            let record = self.piece.len();
            match self.record() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if record > self.header && is_of_document(&error) => {
                    // The line in which it breaks off says something else than the whole one.
                    self.piece.truncate(record);
                    self.broken = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.piece.len() > self.header)
    }

    /// Appends a line, and those that a quoted field in it goes over.
    fn record(&mut self) -> Result<bool, ImportError> {
        let mut is_open = false;
        let record = self.piece.len();
        loop {
            let start = self.piece.len();
            if !self.line()? {
                return Ok(start > record);
            }
            if let Some(delimiter) = self.delimiter {
                let line = &self.piece[start..];
                // A byte order mark is no part of the first cell.
                let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
                is_open = goes_on(line, delimiter, is_open);
            }
            if !is_open || self.piece.len() - record > RECORD_BYTES_MAX {
                return Ok(true);
            }
        }
    }

    /// Appends a line; false at the end.
    fn line(&mut self) -> Result<bool, ImportError> {
        let left = PIECE_BYTES_MAX.saturating_sub(self.piece.len()) as u64;
        let count = (&mut self.bytes)
            .take(left)
            .read_until(b'\n', &mut self.piece)
            .map_err(ImportError::io("read", &*self.document))?;
        self.check_bytes()?;
        Ok(count > 0)
    }

    /// Appends everything up to the end.
    fn rest(&mut self) -> Result<(), ImportError> {
        let left = PIECE_BYTES_MAX.saturating_sub(self.piece.len()) as u64;
        (&mut self.bytes)
            .take(left)
            .read_to_end(&mut self.piece)
            .map_err(ImportError::io("read", &*self.document))?;
        self.check_bytes()
    }

    fn check_bytes(&self) -> Result<(), ImportError> {
        if self.piece.len() < PIECE_BYTES_MAX {
            return Ok(());
        }
        Err(ImportError::Input {
            path: self.document.to_string(),
            problem: format!(
                "a document or line has {} MiB or more; cut it into smaller ones",
                PIECE_BYTES_MAX >> 20
            ),
        })
    }
}

/// Returns true where a document is at fault, so that it breaks off at the same place whenever it is read.
fn is_of_document(error: &ImportError) -> bool {
    match error {
        ImportError::Io { source, .. } => is_given(source),
        ImportError::Input { .. } => true,
        _ => false,
    }
}

/// Returns whether a quoted cell goes on behind a line; `is_open` says the same of the line before.
///
/// Quotes are not counted: of one within a cell (`5" rain`), or one that is never closed, all quotes behind it would seem to
/// be the other ones. Text behind the quote that closes a cell says that it was never meant to go on: the line begins a
/// record, as its decoder reads it.
fn goes_on(line: &[u8], delimiter: u8, is_open: bool) -> bool {
    if memchr::memchr(b'"', line).is_none() {
        return is_open;
    }
    let mut at = 0;
    let mut in_quotes = is_open;
    loop {
        if in_quotes {
            let Some(length) = memchr::memchr(b'"', &line[at..]) else {
                return true;
            };
            at += length + 1;
            if line.get(at) == Some(&b'"') {
                at += 1;
                continue;
            }
            in_quotes = false;
            let is_end = |byte: u8| byte == delimiter || matches!(byte, b'\r' | b'\n');
            let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
            let mut behind = line[at..].iter().copied();
            let behind = behind.find(|byte| is_end(*byte) || !is_blank(*byte));
            if behind.is_some_and(|byte| !is_end(byte)) {
                return is_open && goes_on(line, delimiter, false);
            }
        } else if line.get(at) == Some(&b'"') {
            in_quotes = true;
            at += 1;
            continue;
        }
        match memchr::memchr(delimiter, &line[at..]) {
            Some(length) => at += length + 1,
            None => return false,
        }
    }
}

/// Shows the elements of a list, each as a list of one; of a format in which elements can refer to each other, nothing.
fn elements(format: WireFormat, document: &[u8], visit: &mut dyn FnMut(&[u8])) {
    let (begin, found, end) = match format {
        WireFormat::Telraam => {
            let reports = serde_json::from_slice::<Reports<'_>>(document);
            ("{\"report\":[", reports.map(|reports| reports.report), "]}")
        }
        WireFormat::Json
        | WireFormat::Ngsi
        | WireFormat::SensorCommunity
        | WireFormat::SensorThings => ("[", serde_json::from_slice(document), "]"),
        _ => return,
    };
    // What is no list is one message.
    let elements: Vec<&RawValue> = found.unwrap_or_default();
    let mut part = Vec::new();
    for element in elements {
        part.clear();
        part.extend_from_slice(begin.as_bytes());
        part.extend_from_slice(element.get().as_bytes());
        part.extend_from_slice(end.as_bytes());
        visit(&part);
    }
}
