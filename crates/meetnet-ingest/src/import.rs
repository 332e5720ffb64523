//! Imports: files that were recorded elsewhere become rows, past the journal.
//!
//! ```text
//! paths ─▶ inputs ─▶ [documents: unpacked] ─▶ [pieces] ─▶ decode ─▶ chunks per dataset ─▶ pipeline ─▶ commits
//!          └ hash ─▶ id of the import                     └ rejects: counted, with examples
//! ```
//!
//! A piece is what a source would have sent as one message: a whole document, one line of it, or a block of lines. So
//! every wire format can be imported, by the same decoder and mapping that its messages go through.
//!
//! **Resumable.** The id of an import is a hash of what the files hold, of the format and of the source's declaration.
//! Each commit records with its rows how many pieces of the import its table has consumed, so the same command goes on
//! where it was cut off. **Idempotent.** Rows are looked up by key: what the tables hold already is unchanged, whichever
//! files it comes in.
//!
//! **Which version counts.** An imported row is as old as its own time: a row that came live wins, whichever came first,
//! and a later import wins over an earlier one. With `correct` it is as new as the import. Rows without a time of their
//! own have no place in the past: a file with one is refused. Where a file says of a place that it is there, and not since when,
//! that makes no row of `stations`.

mod inputs;
mod pieces;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use crossbeam_channel::{Sender, bounded};
use meetnet_decode::{DecodeSetupError, Decoded, Decoders, EnvelopeRef, Group, TopicPattern};
use meetnet_lake::Applied;
use meetnet_model::dataset::DatasetKind;
use meetnet_model::declarations::Declarations;
use meetnet_model::hex::Hex;
use meetnet_model::ids::DatasetId;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::{Reject, RejectReason};
use meetnet_model::rows::DatasetRows;
use meetnet_model::source::{SourceDeclaration, SourceKind, TimeWindow};
use sha2::{Digest, Sha256};

pub use self::inputs::{Input, find};
use self::pieces::Pieces;
use crate::pipeline::{ImportChunk, PipelineCommands, PipelineError};

/// Rows of one chunk, about: while it is applied and committed, nothing else of its dataset is.
const CHUNK_ROWS: usize = 250_000;
/// Pieces of one chunk at most, so that a file of rejects has an end, too.
const CHUNK_PIECES: usize = 1 << 20;
/// Chunks that wait for the pipeline: enough that neither side waits.
const CHUNKS_WAITING_MAX: usize = 2;
/// Rejects that are shown.
const EXAMPLES_MAX: usize = 10;
/// How far back the time of a row may lie, µs: decoders refuse clocks that were never set, nothing else is too old.
const BACK_US: i64 = i64::MAX / 4;
/// Shortest time between two reports of progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

/// What to import.
pub struct Import {
    /// The source that the rows are of; it need not be among the configured ones.
    pub source: SourceDeclaration,
    /// Datasets and properties.
    pub declarations: Arc<Declarations>,
    /// Makes pseudonyms of hardware ids.
    pub key: PrivacyKey,
    /// The files, in order: [`find`].
    pub inputs: Vec<Input>,
    /// The topic or path that the messages would have come by; empty: the name of each document, or what a source of
    /// files takes of it.
    pub topic: String,
    /// The rows count as new as the import.
    pub correct: bool,
    /// The present, µs since 1970 UTC.
    pub now: i64,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Bytes of files read, of all of them.
    pub bytes: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// Rows in the tables, unchanged ones included.
    pub rows: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Files read.
    pub files: u64,
    /// Documents in them.
    pub documents: u64,
    /// Rows by dataset: what became of them.
    pub applied: BTreeMap<DatasetId, Applied>,
    /// Rows that an earlier run of the same import had brought.
    pub resumed: u64,
    /// What could not become a row.
    pub rejects: BTreeMap<RejectReason, u64>,
    /// The first of them: document, what was wrong, excerpt without personal data.
    pub examples: Vec<(String, String, String)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why an import ended early; what was committed by then stays, and the same import goes on behind it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file cannot be read.
    #[error("failed to {operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file, and the document in it.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A path leads nowhere, or to nothing that can be imported.
    #[error("{path}: {problem}")]
    Input {
        /// The path as it was given.
        path: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The source cannot be decoded by.
    #[error("the source cannot be imported by")]
    Setup(#[from] DecodeSetupError),
    /// A row has no time of its own.
    #[error(
        "{document}: a row of `{dataset}` has no time of its own, and the time of the import is not when it was \
         observed; declare where the time stands"
    )]
    NoTime {
        /// Where.
        document: String,
        /// The dataset.
        dataset: DatasetId,
    },
    /// A chunk was not taken.
    #[error("the tables did not take the rows")]
    Pipeline(#[from] PipelineError),
    /// A thread could not be started, or ended abnormally.
    #[error("{0}")]
    Thread(String),
}

impl ImportError {
    fn io(operation: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }
}

/// The decoded pieces of one chunk.
struct Chunk {
    decoded: Decoded,
    /// Number of its first piece in the import.
    first: u64,
    /// Pieces up to its end.
    consumed: u64,
    /// By piece: the document it is from.
    documents: Vec<Arc<str>>,
}

/// Imports; blocking. `progress` is told now and then how far it has come.
///
/// # Errors
/// [`ImportError`].
pub fn run(
    import: Import,
    commands: &PipelineCommands,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, ImportError> {
    let started = Instant::now();
    let patterns = path_patterns(&import.source);
    let id = import.id(&patterns)?;
    let decoders = decoders(&import.declarations, &import.source, &import.key)?;
    let Import {
        source,
        inputs,
        topic,
        correct,
        now,
        ..
    } = import;
    let read = Arc::new(AtomicU64::new(0));
    let bytes_total = inputs.iter().map(Input::bytes).sum();
    let mut loading = Loading {
        id: id.clone(),
        source: source.clone(),
        received_at: correct.then_some(now),
        commands,
        positions: BTreeMap::new(),
        summary: Summary {
            id,
            files: inputs.len() as u64,
            ..Summary::default()
        },
    };
    std::thread::scope(|scope| {
        let (sender, chunks) = bounded::<Chunk>(CHUNKS_WAITING_MAX);
        let reader = Reader {
            decoders: &decoders,
            source: &source,
            topic: &topic,
            patterns: &patterns,
            now,
            read: Arc::clone(&read),
            sender,
        };
        let decoding = std::thread::Builder::new()
            .name("import-decode".to_owned())
            .spawn_scoped(scope, move || reader.read(&inputs))
            .map_err(|error| ImportError::Thread(format!("failed to start a thread: {error}")))?;
        let mut told = Instant::now();
        for chunk in &chunks {
            loading.load(chunk)?;
            if told.elapsed() >= PROGRESS_PAUSE {
                told = Instant::now();
                progress(&Progress {
                    bytes: read.load(Ordering::Relaxed).min(bytes_total),
                    bytes_total,
                    rows: loading.summary.rows(),
                    elapsed: started.elapsed(),
                });
            }
        }
        drop(chunks);
        let documents = decoding
            .join()
            .map_err(|_| ImportError::Thread("decoding ended abnormally".to_owned()))??;
        loading.summary.documents = documents;
        Ok::<(), ImportError>(())
    })?;
    let mut summary = loading.summary;
    summary.elapsed = started.elapsed();
    Ok(summary)
}

impl Import {
    /// Returns its id: 32 hexadecimal digits.
    fn id(&self, patterns: &[TopicPattern]) -> Result<String, ImportError> {
        let mut hash = Sha256::new();
        // What decides which rows the bytes become, and what they are compared with.
        let declared = (
            &self.source,
            &self.topic,
            self.correct,
            self.declarations.decoder_version,
        );
        let declared = serde_json::to_vec(&declared).expect("declarations have string keys only");
        hash.update((declared.len() as u64).to_le_bytes());
        hash.update(&declared);
        for input in &self.inputs {
            hash.update(input.hash()?);
            // Where a file's name says which sensor it is of, the same bytes are other rows under another name.
            if !patterns.is_empty() {
                let path = input.shown();
                let topic = topic_of(patterns, input, &path);
                hash.update((topic.len() as u64).to_le_bytes());
                hash.update(topic);
            }
        }
        let digest = hash.finalize();
        Ok(Hex(&digest[..16]).to_string())
    }
}

/// Returns the decoders of an import, for which no time is too old.
///
/// # Errors
/// Where the source cannot be decoded by.
pub fn decoders(
    declarations: &Declarations,
    source: &SourceDeclaration,
    key: &PrivacyKey,
) -> Result<Decoders, DecodeSetupError> {
    let mut declarations = Declarations::clone(declarations);
    let mut source = source.clone();
    source.time_window = TimeWindow {
        back_us: BACK_US,
        ..source.time_window
    };
    declarations
        .sources
        .insert(source.id.clone(), Arc::new(source));
    Decoders::new(&Arc::new(declarations), key)
}

/// Returns what the paths of a source's files end in; none where it has messages.
pub fn path_patterns(source: &SourceDeclaration) -> Vec<TopicPattern> {
    if source.kind != SourceKind::Files {
        return Vec::new();
    }
    // Decoders are made of the same ones, and say what is wrong with them.
    let patterns = source.topics.iter().map(|text| TopicPattern::parse(text));
    patterns.filter_map(Result::ok).collect()
}

/// Returns the topic of a document: the end of its path that a pattern takes, else its name.
fn topic_of<'n>(patterns: &[TopicPattern], input: &Input, name: &'n str) -> &'n str {
    if patterns.is_empty() {
        return name;
    }
    let path = input.path_of(name);
    let mut ends = patterns.iter().filter_map(|pattern| pattern.end_of(path));
    ends.next().unwrap_or(name)
}

/// Reads and decodes, ahead of the tables.
struct Reader<'a> {
    decoders: &'a Decoders,
    source: &'a SourceDeclaration,
    topic: &'a str,
    /// What the paths of documents end in.
    patterns: &'a [TopicPattern],
    now: i64,
    read: Arc<AtomicU64>,
    sender: Sender<Chunk>,
}

impl Reader<'_> {
    /// Returns the number of documents.
    fn read(&self, inputs: &[Input]) -> Result<u64, ImportError> {
        let mut group = self.decoders.group();
        let mut chunk = Building::default();
        let mut documents = 0;
        for input in inputs {
            let is_wanted = input.documents(&self.read, &mut |name, bytes| {
                documents += 1;
                let mut pieces = Pieces::new(self.source.format, name, bytes);
                let topic = if self.topic.is_empty() {
                    topic_of(self.patterns, input, name)
                } else {
                    self.topic
                };
                while let Some(piece) = pieces.next()? {
                    let envelope = EnvelopeRef {
                        sequence: chunk.first + chunk.documents.len() as u64 + 1,
                        source: self.source.id.as_str(),
                        topic,
                        meta: &[],
                        payload: piece,
                        received_at: self.now,
                        truncated: false,
                    };
                    let index = chunk.documents.len() as u32;
                    self.decoders.decode(index, &envelope, &mut group);
                    chunk.documents.push(Arc::clone(pieces.document()));
                    let is_full =
                        group.rows() >= CHUNK_ROWS || chunk.documents.len() >= CHUNK_PIECES;
                    if is_full && !self.send(&mut chunk, &mut group) {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
            if !is_wanted {
                return Ok(documents);
            }
        }
        self.send(&mut chunk, &mut group);
        Ok(documents)
    }

    /// Hands a chunk over; false: nobody wants it, for the tables refused an earlier one.
    fn send(&self, chunk: &mut Building, group: &mut Group) -> bool {
        let documents = std::mem::take(&mut chunk.documents);
        let first = chunk.first;
        chunk.first += documents.len() as u64;
        let chunk = Chunk {
            decoded: group.take(),
            first,
            consumed: chunk.first,
            documents,
        };
        self.sender.send(chunk).is_ok()
    }
}

/// The chunk that is being decoded.
#[derive(Default)]
struct Building {
    first: u64,
    documents: Vec<Arc<str>>,
}

/// Brings chunks into the tables.
struct Loading<'a> {
    id: String,
    source: SourceDeclaration,
    /// When every row was received, µs; None: at its own time.
    received_at: Option<i64>,
    commands: &'a PipelineCommands,
    /// Pieces that each table had consumed when this run met it.
    positions: BTreeMap<DatasetId, u64>,
    summary: Summary,
}

impl Loading<'_> {
    fn load(&mut self, chunk: Chunk) -> Result<(), ImportError> {
        for reject in &chunk.decoded.rejects {
            self.note_reject(reject, &chunk);
        }
        for rows in chunk.decoded.rows {
            let rows = without_sightings(rows);
            if let Some(row) = rows.timeless.iter().position(|timeless| *timeless) {
                return Err(ImportError::NoTime {
                    document: chunk.documents[rows.envelopes[row] as usize].to_string(),
                    dataset: rows.declaration.id.clone(),
                });
            }
            self.load_rows(rows, chunk.first, chunk.consumed)?;
        }
        Ok(())
    }

    fn load_rows(
        &mut self,
        rows: DatasetRows,
        first: u64,
        consumed: u64,
    ) -> Result<(), ImportError> {
        let dataset = rows.declaration.id.clone();
        let position = match self.positions.get(&dataset) {
            Some(position) => *position,
            None => {
                let position = self.commands.import_position(&dataset, &self.id)?;
                let position = position.unwrap_or(0);
                self.positions.insert(dataset.clone(), position);
                position
            }
        };
        let done = position.saturating_sub(first);
        let start = rows
            .envelopes
            .partition_point(|piece| u64::from(*piece) < done);
        self.summary.resumed += start as u64;
        let count = rows.envelopes.len() - start;
        if count == 0 {
            return Ok(());
        }
        let rows = DatasetRows {
            batch: rows.batch.slice(start, count),
            envelopes: Vec::new(),
            timeless: Vec::new(),
            declaration: rows.declaration,
        };
        let applied = self.commands.import(ImportChunk {
            import_id: self.id.clone(),
            consumed,
            rows,
            source: self.source.id.clone(),
            licence: self.source.licence.clone(),
            received_at: self.received_at.map(|at| vec![at; count]),
        })?;
        *self.summary.applied.entry(dataset).or_default() += applied;
        Ok(())
    }

    fn note_reject(&mut self, reject: &Reject, chunk: &Chunk) {
        *self.summary.rejects.entry(reject.reason).or_default() += 1;
        // One of each kind says more than ten of the first.
        let known: BTreeSet<&str> = self
            .summary
            .examples
            .iter()
            .map(|(_, message, _)| message.as_str())
            .collect();
        if self.summary.examples.len() < EXAMPLES_MAX && !known.contains(reject.message.as_str()) {
            let document = chunk.documents[reject.envelope as usize].to_string();
            let example = (document, reject.message.clone(), reject.excerpt.clone());
            self.summary.examples.push(example);
        }
    }
}

/// Leaves out rows of places that only say where something stands now: nobody knows when the now of a file was.
fn without_sightings(rows: DatasetRows) -> DatasetRows {
    if rows.declaration.kind != DatasetKind::Places || !rows.timeless.contains(&true) {
        return rows;
    }
    let is_kept: Vec<bool> = rows.timeless.iter().map(|timeless| !timeless).collect();
    let kept = rows.envelopes.iter().zip(&is_kept);
    let envelopes: Vec<u32> = kept.filter(|(_, kept)| **kept).map(|(at, _)| *at).collect();
    DatasetRows {
        batch: filter_record_batch(&rows.batch, &BooleanArray::from(is_kept))
            .expect("the mask is as long as the rows"),
        timeless: vec![false; envelopes.len()],
        envelopes,
        declaration: rows.declaration,
    }
}

impl Summary {
    /// Rows that came, unchanged ones included.
    pub fn rows(&self) -> u64 {
        self.applied
            .values()
            .map(|applied| {
                applied.inserted
                    + applied.revised
                    + applied.unchanged
                    + applied.history
                    + applied.skipped
            })
            .sum()
    }
}
