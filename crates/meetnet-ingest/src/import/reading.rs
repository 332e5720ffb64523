//! The reading half of an import: documents, pieces, decoding, ahead of the tables.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::Sender;
use meetnet_decode::{Decoded, Decoders, EnvelopeRef, Group, TopicPattern};
use meetnet_model::source::SourceDeclaration;

use super::ImportError;
use super::inputs::{Broken, Input};
use super::kept::{Keeper, Kept, KeptTally, Topics};
use super::pieces::Pieces;

/// Rows of one chunk, about: while it is applied and committed, nothing else of its dataset is.
const CHUNK_ROWS: usize = 250_000;
/// Pieces of one chunk at most, so that a file of rejects has an end, too.
const CHUNK_PIECES: usize = 1 << 20;
/// Bytes of one chunk that were refused and are kept, about.
const CHUNK_KEPT_BYTES: usize = 8 << 20;

/// The decoded pieces of one chunk.
pub(super) struct Chunk {
    pub(super) decoded: Decoded,
    /// Number of its first piece in the import.
    pub(super) first: u64,
    /// Pieces up to its end.
    pub(super) consumed: u64,
    /// By piece: the document it is from.
    pub(super) documents: Vec<Arc<str>>,
    /// What is to be journalled.
    pub(super) kept: Vec<Kept>,
}

/// What has been read.
#[derive(Default)]
pub(super) struct HasRead {
    pub(super) documents: u64,
    /// Documents with nothing in them.
    pub(super) empty: u64,
    /// The first of them.
    pub(super) first_empty: Option<String>,
    /// Messages that carry no observation by their kind.
    pub(super) ignored: u64,
    /// What became of what was refused.
    pub(super) tally: KeptTally,
    /// What could not be read.
    pub(super) broken: Vec<Broken>,
}

/// Reads and decodes, ahead of the tables.
pub(super) struct Reader<'a> {
    pub(super) decoders: &'a Decoders,
    pub(super) source: &'a SourceDeclaration,
    pub(super) topic: &'a str,
    /// What the paths of documents end in.
    pub(super) patterns: &'a [TopicPattern],
    pub(super) now: i64,
    pub(super) read: Arc<AtomicU64>,
    pub(super) sender: Sender<Chunk>,
}

impl Reader<'_> {
    /// Reads everything, or as much as is wanted.
    pub(super) fn read(
        &self,
        mut keeper: Keeper<'_>,
        inputs: &[Input],
    ) -> Result<HasRead, ImportError> {
        let mut group = self.decoders.group();
        let mut chunk = Building::default();
        let mut found = HasRead::default();
        let mut broken = Vec::new();
        for input in inputs {
            let is_wanted = input.documents(&self.read, &mut broken, &mut |name, bytes| {
                found.documents += 1;
                let mut is_empty = true;
                let mut pieces = Pieces::new(self.source, name, bytes);
                let topic = if self.topic.is_empty() {
                    topic_of(self.patterns, input, name)
                } else {
                    self.topic
                };
                while pieces.next()?.is_some() {
                    is_empty &= pieces.piece().trim_ascii().is_empty();
                    let topics = Topics {
                        decoded: topic,
                        kept: self.topic_kept(input, topic, name),
                        tell: !self.patterns.is_empty() || !self.topic.is_empty(),
                    };
                    let document = pieces.document();
                    if pieces.is_torn() {
                        // What is not UTF-8 in one line says nothing about the others.
                        pieces.parts(self.source.format, &mut |part| {
                            let rejects =
                                self.decode(part, topic, document, &mut chunk, &mut group);
                            if rejects > 0 {
                                chunk.kept_bytes +=
                                    keeper.take_part(part, topics, rejects, &mut chunk.kept);
                            }
                        });
                    } else {
                        let piece = pieces.piece();
                        let rejects = self.decode(piece, topic, document, &mut chunk, &mut group);
                        if rejects > 0 {
                            chunk.kept_bytes +=
                                keeper.take(&pieces, topics, rejects, &mut chunk.kept);
                        }
                    }
                    let is_full = group.rows() >= CHUNK_ROWS
                        || chunk.documents.len() >= CHUNK_PIECES
                        || chunk.kept_bytes >= CHUNK_KEPT_BYTES;
                    if is_full && !self.send(&mut chunk, &mut group) {
                        return Ok(false);
                    }
                }
                if is_empty {
                    found.empty += 1;
                    found.first_empty.get_or_insert_with(|| name.to_owned());
                }
                Ok(true)
            })?;
            found.tally = keeper.tally;
            found.ignored = group.ignored();
            if !is_wanted {
                return Ok(found);
            }
        }
        found.broken = broken;
        self.send(&mut chunk, &mut group);
        Ok(found)
    }

    /// Decodes one message into the chunk; returns the number of its rejects.
    fn decode(
        &self,
        payload: &[u8],
        topic: &str,
        document: &Arc<str>,
        chunk: &mut Building,
        group: &mut Group,
    ) -> u64 {
        let envelope = EnvelopeRef {
            sequence: chunk.first + chunk.documents.len() as u64 + 1,
            source: self.source.id.as_str(),
            topic,
            meta: &[],
            payload,
            received_at: self.now,
            truncated: false,
        };
        let rejects = group.rejects();
        let index = chunk.documents.len() as u32;
        self.decoders.decode(index, &envelope, group);
        chunk.documents.push(Arc::clone(document));
        (group.rejects() - rejects) as u64
    }

    /// Returns by which topic a document that was decoded by `topic` can be decoded again: where no pattern takes its path,
    /// one that is declared later may.
    fn topic_kept<'n>(&self, input: &Input, topic: &'n str, name: &'n str) -> &'n str {
        let is_untaken = !self.patterns.is_empty() && topic == name;
        if is_untaken {
            return input.path_of(name);
        }
        topic
    }

    /// Hands a chunk over; false: nobody wants it, for the tables refused an earlier one.
    fn send(&self, chunk: &mut Building, group: &mut Group) -> bool {
        let documents = std::mem::take(&mut chunk.documents);
        let kept = std::mem::take(&mut chunk.kept);
        chunk.kept_bytes = 0;
        let first = chunk.first;
        chunk.first += documents.len() as u64;
        let chunk = Chunk {
            decoded: group.take(),
            first,
            consumed: chunk.first,
            documents,
            kept,
        };
        self.sender.send(chunk).is_ok()
    }
}

/// The chunk that is being decoded.
#[derive(Default)]
struct Building {
    first: u64,
    documents: Vec<Arc<str>>,
    kept: Vec<Kept>,
    kept_bytes: usize,
}

/// Returns the topic of a document: the end of its path that a pattern takes, else its name.
pub(super) fn topic_of<'n>(patterns: &[TopicPattern], input: &Input, name: &'n str) -> &'n str {
    if patterns.is_empty() {
        return name;
    }
    let path = input.path_of(name);
    let mut ends = patterns.iter().filter_map(|pattern| pattern.end_of(path));
    ends.next().unwrap_or(name)
}
