//! The rows and rejects of one decoded group of envelopes, and the buffers that the next group uses again.

use std::fmt::Display;

use meetnet_model::declarations::Declarations;
use meetnet_model::privacy;
use meetnet_model::redact::redact_text;
use meetnet_model::reject::{Reject, RejectReason};
use meetnet_model::rows::{DatasetRows, LongColumns, LongRow, LongSeries, RowsBuilder};

use crate::corrections::Corrections;
use crate::fields::{Span, TextValues};
use crate::format::csv::CsvScratch;
use crate::format::influx::LineKeys;
use crate::identity::{HardwareIds, TopicIds};
use crate::json::tape::Tape;
use crate::json::walk::Wanted;
use crate::stations::Places;

/// Rejects that one envelope can have; the last one then counts those beyond. A body of a million bad rows must not
/// become a gigabyte of explanations.
pub const REJECTS_PER_ENVELOPE_MAX: u32 = 1000;
/// Bytes of a body that are looked at for the excerpt of a reject.
const EXCERPT_BYTES_MAX: usize = 512;
/// Characters of an excerpt, and of a reject's message.
const EXCERPT_CHARS_MAX: usize = 200;

/// What a group of envelopes became.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The rows, per dataset that has any.
    pub rows: Vec<DatasetRows>,
    /// What could not become a row, in the order of the envelopes.
    pub rejects: Vec<Reject>,
    /// How many rejects of an envelope are beyond [`REJECTS_PER_ENVELOPE_MAX`] and not listed, by its position in the
    /// group, in ascending order; envelopes without such rejects are not here.
    pub unlisted: Vec<(u32, u32)>,
}

impl Decoded {
    /// Returns the number of rows.
    pub fn row_count(&self) -> usize {
        self.rows.iter().map(|rows| rows.envelopes.len()).sum()
    }
}

/// A group of envelopes being decoded: one row builder per dataset, reused from group to group.
#[derive(Debug)]
pub struct Group {
    corrections: Corrections,
    pub(crate) output: Output,
    /// Where the values of the body stand that is being decoded.
    pub(crate) tape: Tape,
    pub(crate) scratch: Scratch,
}

impl Group {
    pub(crate) fn new(declarations: &Declarations) -> Self {
        let builders = declarations
            .datasets
            .values()
            .cloned()
            .map(RowsBuilder::new)
            .collect();
        Self {
            corrections: Corrections::new(declarations),
            output: Output {
                builders,
                rejects: Vec::new(),
                ignored: 0,
                unlisted: Vec::new(),
                item: None,
                envelope: 0,
                rejected: 0,
                places: Places::default(),
            },
            tape: Tape::default(),
            scratch: Scratch::default(),
        }
    }

    /// Returns the number of rows since the last [`Group::take`].
    pub fn rows(&self) -> usize {
        self.output.rows()
    }

    /// Returns the number of rejects since the last [`Group::take`].
    pub fn rejects(&self) -> usize {
        self.output.rejects.len()
    }

    /// Returns the number of messages since the group was made that are known and have nothing for a table.
    pub fn ignored(&self) -> u64 {
        self.output.ignored
    }

    /// Takes what was decoded and leaves the group empty for the next envelopes.
    pub fn take(&mut self) -> Decoded {
        // The next message may be long in coming.
        self.tape.give_back();
        self.scratch.inner.give_back();
        let builders = self.output.builders.iter_mut();
        let filled = builders.filter(|rows| !rows.is_empty());
        let mut rows: Vec<DatasetRows> = filled.map(RowsBuilder::take).collect();
        self.corrections.add(&mut rows);
        Decoded {
            rows,
            rejects: std::mem::take(&mut self.output.rejects),
            unlisted: std::mem::take(&mut self.output.unlisted),
        }
    }
}

/// Buffers of the decoders; what is in them counts for one envelope only, the ids excepted that were met so far.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Where the wanted values of a document stand.
    pub(crate) spans: Vec<Span>,
    /// The same for a part of it.
    pub(crate) part_spans: Vec<Span>,
    /// The units that a document states of its values.
    pub(crate) units: Vec<Span>,
    /// Those of the values of a document that belong together.
    pub(crate) subset: Vec<Span>,
    /// By cell of a row: what is wanted of it.
    pub(crate) cells: Vec<Wanted>,
    /// A text that had to be unescaped, where there is a document in it.
    pub(crate) text: String,
    /// Where the values of that document stand.
    pub(crate) inner: Tape,
    /// The values of a flat message.
    pub(crate) values: TextValues,
    /// The record of a table.
    pub(crate) csv: CsvScratch,
    /// The keys of lines before.
    pub(crate) line_keys: LineKeys,
    /// What making a row takes.
    pub(crate) row: RowScratch,
}

/// Buffers for one row.
#[derive(Debug, Default)]
pub(crate) struct RowScratch {
    /// The sensor id.
    pub(crate) sensor_id: String,
    /// A list of numbers.
    pub(crate) floats: Vec<f64>,
    /// Points of a series, time and value, that are to be rows.
    pub(crate) points: Vec<(i64, f64)>,
    /// Date and time of day of a message that has them apart.
    pub(crate) time: String,
    /// HMAC ids met so far.
    pub(crate) hardware_ids: HardwareIds,
    /// The ids of topics met so far.
    pub(crate) topics: TopicIds,
}

/// Where decoders put rows and rejects.
#[derive(Debug)]
pub(crate) struct Output {
    builders: Vec<RowsBuilder>,
    rejects: Vec<Reject>,
    ignored: u64,
    unlisted: Vec<(u32, u32)>,
    envelope: u32,
    /// The message of a body of several that is being decoded.
    item: Option<u32>,
    /// Rejects of the current envelope.
    rejected: u32,
    /// Places met so far.
    pub(crate) places: Places,
}

impl Output {
    /// Starts the envelope at position `envelope` of the group.
    pub(crate) fn begin(&mut self, envelope: u32) {
        self.envelope = envelope;
        self.rejected = 0;
        self.item = None;
    }

    /// Says that what follows is about the message at that position of the body, until the next one or
    /// [`Output::end_items`]: rejects carry it.
    pub(crate) fn begin_item(&mut self, position: u32) {
        self.item = Some(position);
    }

    /// Says that what follows is about the body as a whole.
    pub(crate) fn end_items(&mut self) {
        self.item = None;
    }

    pub(crate) fn rows(&self) -> usize {
        self.builders.iter().map(RowsBuilder::len).sum()
    }

    /// Returns the draft of a dataset; datasets are numbered as the declarations order them.
    pub(crate) fn draft(&mut self, dataset: usize) -> &mut RowsBuilder {
        &mut self.builders[dataset]
    }

    /// Finishes the draft of a dataset; a draft without a required column becomes a reject. Returns whether it is a row.
    #[inline]
    pub(crate) fn finish_row(&mut self, dataset: usize, excerpt: &str) -> bool {
        let column = match self.builders[dataset].finish_row(self.envelope) {
            Ok(()) => return true,
            Err(column) => column.to_owned(),
        };
        self.refuse_row(dataset, &column, excerpt)
    }

    /// Appends a row of a long dataset; one without a required column becomes a reject. Returns whether it is a row.
    #[inline]
    pub(crate) fn push_long(
        &mut self,
        dataset: usize,
        columns: &LongColumns,
        row: &LongRow<'_>,
        excerpt: &str,
    ) -> bool {
        let column = match self.builders[dataset].push_long(columns, row, self.envelope) {
            Ok(()) => return true,
            Err(column) => column.to_owned(),
        };
        self.refuse_row(dataset, &column, excerpt)
    }

    /// Returns true where [`Output::push_series`] takes rows of a dataset.
    pub(crate) fn takes_series(&self, dataset: usize, columns: &LongColumns) -> bool {
        self.builders[dataset].takes_series(columns)
    }

    /// Appends the rows of a series, and forgets the points.
    pub(crate) fn push_series(
        &mut self,
        dataset: usize,
        columns: &LongColumns,
        series: &LongSeries<'_>,
        points: &mut Vec<(i64, f64)>,
    ) {
        self.builders[dataset].push_series(columns, series, points, self.envelope);
        points.clear();
    }

    #[cold]
    fn refuse_row(&mut self, dataset: usize, column: &str, excerpt: &str) -> bool {
        let builder = &self.builders[dataset];
        let dataset = builder.declaration().id.clone();
        self.reject(
            RejectReason::MissingField,
            format_args!(
                "dataset `{dataset}` needs `{column}`, and the message has no value for it"
            ),
            excerpt,
        );
        false
    }

    /// Counts a message that its format knows and that never carries an observation, such as a device's join: it is no
    /// row, and nobody has to look into it, so it is no reject either.
    pub(crate) fn ignore(&mut self) {
        self.ignored += 1;
    }

    /// Notes that the envelope, or the part of it in `excerpt`, is no row. `message` must repeat nothing of the body.
    pub(crate) fn reject(&mut self, reason: RejectReason, message: impl Display, excerpt: &str) {
        self.reject_bytes(reason, message, excerpt.as_bytes());
    }

    /// Does the same for bytes that need not be text.
    pub(crate) fn reject_bytes(
        &mut self,
        reason: RejectReason,
        message: impl Display,
        excerpt: &[u8],
    ) {
        let ordinal = self.rejected;
        self.rejected = self.rejected.saturating_add(1);
        if ordinal < REJECTS_PER_ENVELOPE_MAX {
            self.rejects.push(Reject {
                envelope: self.envelope,
                ordinal,
                item: self.item,
                reason,
                // It repeats nothing of the body, but a name that a mapping, a device or a parser chose may be anything.
                message: redact_text(&message.to_string()).into_owned(),
                excerpt: excerpt_of(excerpt),
            });
        }
    }

    /// Ends the envelope: rejects beyond the limit are counted in the last one.
    pub(crate) fn end(&mut self) {
        let beyond = self.rejected.saturating_sub(REJECTS_PER_ENVELOPE_MAX);
        if let (1.., Some(last)) = (beyond, self.rejects.last_mut()) {
            self.unlisted.push((self.envelope, beyond));
            last.message = format!(
                "{} (and {beyond} more rejects of this envelope, which are not listed; its bytes are in the journal)",
                last.message
            );
        }
    }
}

fn excerpt_of(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(EXCERPT_BYTES_MAX)];
    let mut excerpt = privacy::redact(head);
    if let Some((end, _)) = excerpt.char_indices().nth(EXCERPT_CHARS_MAX) {
        excerpt.truncate(end);
    }
    excerpt
}

#[cfg(test)]
mod tests;
