//! A document cut into pieces, each of which its source could have sent as one message.
//!
//! Tables and line protocol are cut between lines into blocks, each table block under the header again. A JSON document
//! is one piece, or one per line where every line is a document of its own. No piece is cut inside a quoted field.

use std::io::{BufRead, Read};
use std::sync::Arc;

use meetnet_model::source::WireFormat;
use serde::de::IgnoredAny;

use super::ImportError;

/// Bytes of a block of lines, about.
const BLOCK_BYTES: usize = 256 << 10;
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
    pub(super) fn of(format: WireFormat) -> Self {
        match format {
            WireFormat::Telraam
            | WireFormat::Airrohr
            | WireFormat::TtsV3
            | WireFormat::ChirpstackV4
            | WireFormat::SensorThings
            | WireFormat::Ngsi
            | WireFormat::Senml
            | WireFormat::Json => Self::Json,
            WireFormat::Ndjson
            | WireFormat::Ecowitt
            | WireFormat::Wunderground
            | WireFormat::Influx => Self::Lines,
            WireFormat::Csv => Self::Table,
        }
    }
}

/// The pieces of one document.
pub(super) struct Pieces<'a> {
    split: Split,
    document: Arc<str>,
    bytes: &'a mut dyn BufRead,
    /// The piece; of a table, its header and the rows behind it.
    piece: Vec<u8>,
    /// Bytes of the header.
    header: usize,
    /// Lines are JSON documents.
    by_line: bool,
    is_first: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(format: WireFormat, document: &str, bytes: &'a mut dyn BufRead) -> Self {
        Self::cut(Split::of(format), document, bytes)
    }

    pub(super) fn cut(split: Split, document: &str, bytes: &'a mut dyn BufRead) -> Self {
        Self {
            split,
            document: document.into(),
            bytes,
            piece: Vec::new(),
            header: 0,
            by_line: false,
            is_first: true,
        }
    }

    /// Name of the document.
    pub(super) fn document(&self) -> &Arc<str> {
        &self.document
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
                    self.record()?;
                    self.header = self.piece.len();
                }
                self.block()?
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
        self.piece.truncate(self.header);
        while self.piece.len() < self.header + BLOCK_BYTES {
            if !self.record()? {
                break;
            }
        }
        Ok(self.piece.len() > self.header)
    }

    /// Appends a line, and those that a quoted field in it goes over.
    fn record(&mut self) -> Result<bool, ImportError> {
        let mut quotes = 0;
        loop {
            let start = self.piece.len();
            if !self.line()? {
                return Ok(quotes > 0);
            }
            quotes += memchr::memchr_iter(b'"', &self.piece[start..]).count();
            if quotes.is_multiple_of(2) || self.split == Split::Lines {
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
