//! Which raw messages, and which rejects, belong to what is erased.
//!
//! A message is decoded again, by the declarations that were in force where it stands. It goes if one of its rows is
//! about a wanted subject; if rows that are erased came from it, whatever it decodes to today (by another secret a device
//! has another id); or if it has no row, or a reject, and its bytes may name one ([`Decoders::mention`]). What an import
//! refused is decoded as imports decode it: a time that is too old for its source says nothing of who it is about.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use meetnet_decode::{Decoders, EnvelopeRef, Group, Subject};
use meetnet_lake::journal::{FrameGroup, FrameKind, FrameRef};
use meetnet_model::common;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::Sequence;
use meetnet_model::privacy::PrivacyKey;

use super::request::Wanted;
use crate::pipeline::imported::{ImportDecoders, ImportedPiece};

/// Judges the frames of the journal.
pub(super) struct FrameJudge<'a> {
    wanted: &'a mut Wanted,
    origins: &'a Origins,
    key: &'a PrivacyKey,
    /// None where the declarations in force are not readable: then only the bytes can tell.
    decoders: Option<(Decoders, Group)>,
    /// The same for what imports refused; none before the first of it.
    of_imports: Option<ImportDecoders>,
    /// The declarations that the decoders were made of.
    declared: Vec<u8>,
    /// Decoders of the declarations in force now: they read the bytes where no others can.
    current: &'a Decoders,
    /// Messages that also held rows of others.
    pub(super) mixed: u64,
}

/// What is known of the messages between two frames of declarations.
#[derive(Default)]
struct Messages<'f> {
    frames: Vec<FrameRef<'f>>,
    /// By frame: whether it has a reject, or no row.
    is_doubtful: Vec<bool>,
}

impl<'a> FrameJudge<'a> {
    pub(super) fn new(
        wanted: &'a mut Wanted,
        origins: &'a Origins,
        key: &'a PrivacyKey,
        current: &'a Decoders,
    ) -> Self {
        Self {
            wanted,
            origins,
            key,
            decoders: None,
            of_imports: None,
            declared: Vec::new(),
            current,
            mixed: 0,
        }
    }

    /// Returns the sequences of the frames that go.
    pub(super) fn judge(&mut self, group: &FrameGroup) -> Vec<Sequence> {
        let mut gone = Vec::new();
        let mut messages = Messages::default();
        for frame in group.frames() {
            if frame.kind == FrameKind::Declarations {
                self.judge_messages(std::mem::take(&mut messages), &mut gone);
                self.declare(frame.payload);
            } else {
                let is_doubtful = self.decode(&frame, messages.frames.len() as u32);
                messages.frames.push(frame);
                messages.is_doubtful.push(is_doubtful);
            }
        }
        self.judge_messages(messages, &mut gone);
        gone
    }

    fn declare(&mut self, declarations: &[u8]) {
        if self.declared == declarations {
            return;
        }
        self.declared = declarations.to_vec();
        self.of_imports = None;
        let read = Declarations::from_bytes(declarations).ok();
        self.decoders = read.and_then(|declarations| {
            let decoders = Decoders::new(&Arc::new(declarations), self.key).ok()?;
            let group = decoders.group();
            Some((decoders, group))
        });
    }

    /// Decodes one message; returns whether it has a reject, or no row.
    fn decode(&mut self, frame: &FrameRef<'_>, index: u32) -> bool {
        let Some((decoders, group)) = &mut self.decoders else {
            return true;
        };
        let (rows, rejects) = (group.rows(), group.rejects());
        let meta = frame.meta.iter();
        let meta: Vec<(Box<str>, Box<str>)> = meta
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if is_imported(frame) && self.of_imports.is_none() {
            self.of_imports = ImportDecoders::new(decoders.declarations(), self.key);
        }
        let of_imports = self.of_imports.as_ref().filter(|_| is_imported(frame));
        let envelope = EnvelopeRef {
            sequence: frame.sequence.0,
            source: frame.source,
            topic: topic_of(frame, of_imports),
            meta: &meta,
            payload: frame.payload,
            received_at: frame.received_at,
            truncated: frame.truncated,
        };
        let decoders = of_imports.map_or(&*decoders, ImportDecoders::decoders);
        decoders.decode(index, &envelope, group);
        group.rejects() > rejects || group.rows() == rows
    }

    fn judge_messages(&mut self, messages: Messages<'_>, gone: &mut Vec<Sequence>) {
        let Messages {
            frames,
            is_doubtful,
        } = messages;
        // Per frame: rows of what is wanted, and of others.
        let mut counts = vec![(0_u64, 0_u64); frames.len()];
        if let Some((_, group)) = &mut self.decoders {
            for rows in group.take().rows {
                let subject = rows.declaration.subject_column();
                let is_wanted = match subject {
                    Some(column) => self.wanted.rows(&rows.batch, &column.name),
                    None => vec![false; rows.envelopes.len()],
                };
                for (envelope, is_wanted) in rows.envelopes.iter().zip(is_wanted) {
                    let (wanted, others) = &mut counts[*envelope as usize];
                    *(if is_wanted { wanted } else { others }) += 1;
                }
            }
        }
        for ((frame, (wanted, others)), is_doubtful) in frames.iter().zip(counts).zip(is_doubtful) {
            // Also of one that goes anyway: it may name another one that is wanted beside that of its rows.
            let is_named = is_doubtful && self.mentions(frame);
            if wanted > 0 || is_named || is_origin(self.origins, frame.source, frame.received_at) {
                gone.push(frame.sequence);
                self.mixed += u64::from(others > 0);
            }
        }
    }

    /// Whether the bytes of a message may name what is wanted.
    fn mentions(&mut self, frame: &FrameRef<'_>) -> bool {
        let decoders = match &self.decoders {
            Some((decoders, _)) => decoders,
            None => self.current,
        };
        let of_imports = self.of_imports.as_ref().filter(|_| is_imported(frame));
        let topic = topic_of(frame, of_imports);
        let meta = frame.meta.iter().map(|(_, value)| value.as_bytes());
        // The whole path of a file, too, where a pattern takes its end.
        let texts: Vec<&[u8]> = meta
            .chain([frame.topic.as_bytes(), frame.payload])
            .collect();
        names_wanted(self.wanted, |is_meant| {
            decoders.mention(frame.source, topic, &texts, is_meant)
        })
    }
}

/// Returns whether something that is wanted is among what `mention` finds named. It goes through all of it: who asked for
/// several is told of each whether something of it was there.
fn names_wanted(
    wanted: &mut Wanted,
    mention: impl FnOnce(&mut dyn FnMut(Subject<'_>) -> bool) -> bool,
) -> bool {
    let mut is_wanted = false;
    let goes_on = &mut |subject: Subject<'_>| {
        is_wanted |= wanted.meets(subject);
        false
    };
    mention(goes_on);
    is_wanted
}

fn is_imported(frame: &FrameRef<'_>) -> bool {
    ImportedPiece::read(frame.meta).is_some()
}

/// Returns by which topic a frame is decoded; `of_imports` are the decoders of one that an import refused.
fn topic_of<'f>(frame: &FrameRef<'f>, of_imports: Option<&ImportDecoders>) -> &'f str {
    of_imports.map_or(frame.topic, |of| of.topic(frame.source, frame.topic))
}

/// The messages that erased rows came from: by source, when they were received (µs).
pub(super) type Origins = HashMap<Box<str>, HashSet<i64>>;

/// Columns that [`note_origins`] reads.
pub(super) const ORIGIN_COLUMNS: [&str; 2] = [common::SOURCE, common::RECEIVED_AT];

fn is_origin(origins: &Origins, source: &str, received_at: i64) -> bool {
    let times = origins.get(source);
    times.is_some_and(|times| times.contains(&received_at))
}

/// Notes which messages rows came from.
pub(super) fn note_origins(rows: &RecordBatch, origins: &mut Origins) {
    let Some((sources, times)) = origin_columns(rows) else {
        return;
    };
    for row in 0..rows.num_rows() {
        let (source, received_at) = (sources.value(row), times.value(row));
        match origins.get_mut(source) {
            Some(times) => {
                times.insert(received_at);
            }
            None => {
                origins.insert(source.into(), HashSet::from([received_at]));
            }
        }
    }
}

fn origin_columns(
    rows: &RecordBatch,
) -> Option<(
    &arrow::array::StringArray,
    &arrow::array::TimestampMicrosecondArray,
)> {
    Some((
        rows.column_by_name(common::SOURCE)?
            .as_string_opt::<i32>()?,
        rows.column_by_name(common::RECEIVED_AT)?
            .as_primitive_opt::<TimestampMicrosecondType>()?,
    ))
}

/// Columns of a reject that say whose it is.
pub(super) const REJECT_COLUMNS: [&str; 5] = [
    "sequence",
    "topic",
    "excerpt",
    common::SOURCE,
    common::RECEIVED_AT,
];

/// Judges rows of the dataset of rejects.
pub(super) struct RejectJudge<'a> {
    pub(super) wanted: &'a mut Wanted,
    pub(super) decoders: &'a Decoders,
    /// Frames that go.
    pub(super) sequences: &'a BTreeSet<Sequence>,
    pub(super) origins: &'a Origins,
}

impl RejectJudge<'_> {
    /// Says per row whether it is a reject of what is wanted: of a frame or a message that goes, or by its texts.
    pub(super) fn rows(&mut self, rows: &RecordBatch) -> Vec<bool> {
        let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>();
        let sequences = rows
            .column_by_name("sequence")
            .and_then(|array| array.as_primitive_opt::<Int64Type>());
        let origins = origin_columns(rows);
        let topics = text("topic");
        let excerpts = text("excerpt");
        let judge = |row: usize| {
            let of_frame = sequences.is_some_and(|sequences| {
                let sequence = Sequence(sequences.value(row).max(0) as u64);
                self.sequences.contains(&sequence)
            });
            let of_message = origins.is_some_and(|(sources, times)| {
                is_origin(self.origins, sources.value(row), times.value(row))
            });
            let source = origins.map_or("", |(sources, _)| sources.value(row));
            // The value of a null is the empty text. The explanation repeats nothing of the message.
            let topic = topics.map_or("", |topics| topics.value(row));
            let excerpt = excerpts.map_or("", |excerpts| excerpts.value(row));
            let texts = [excerpt.as_bytes()];
            let is_named = names_wanted(self.wanted, |is_meant| {
                self.decoders.mention(source, topic, &texts, is_meant)
            });
            of_frame || of_message || is_named
        };
        (0..rows.num_rows()).map(judge).collect()
    }
}
