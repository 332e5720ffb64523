//! Imports: files that were recorded elsewhere become rows, past the journal.
//!
//! ```text
//! paths ─▶ inputs ─▶ [documents: unpacked] ─▶ [pieces] ─▶ decode ─▶ chunks per dataset ─▶ pipeline ─▶ commits
//!          └ hash ─▶ id of the import                     └ rejects: counted, with examples ─▶ frames of the journal
//! ```
//!
//! A piece is what a source would have sent as one message: a whole document, one line of it, or a block of lines. So
//! every wire format can be imported, by the same decoder and mapping that its messages go through.
//!
//! **Resumable.** The id of an import is a hash of what the files hold, of the source's declaration and of how it is cut.
//! Each commit records with its rows how many pieces of the import its table has consumed, so the same command goes on
//! where it was cut off; not behind rows that a repair has taken out of a table since: there it begins again.
//! **Idempotent.** Rows are looked up by key: what the tables hold already is unchanged, whichever files it comes in.
//!
//! **What cannot be read** (cut off, not what its first bytes say, no file at all) is named, and ends nothing else: it is as
//! long as what can be read of it, each time the same. Where the system no longer gives a file that it gave when it was
//! hashed, that is not so, and the import ends: the same one goes on when the file is there again.
//!
//! **What is refused** is journalled, part by part, and becomes rejects like any message: a replay makes its rows once the
//! mapping is mended (`kept`). Rows come first, frames behind them, so a crash between the two leaves nothing out: the
//! import that goes on meets the same rejects again, and keeps those that no reject knows.
//!
//! **Which version counts.** An imported row is as old as its own time: a row that came live wins, whichever came first,
//! and a later import wins over an earlier one. With `correct` it is as new as the import. Rows without a time of their
//! own have no place in the past: a file with one is refused. Where a file says of a place that it is there, and not since when,
//! that makes no row of `stations`.

mod inputs;
mod kept;
mod pieces;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use crossbeam_channel::bounded;
use meetnet_decode::{DecodeSetupError, Decoders, TopicPattern};
use meetnet_lake::Applied;
use meetnet_lake::journal::{AppendError, Journal, JournalError, NewEnvelope};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::declarations::Declarations;
use meetnet_model::hex::Hex;
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::{Reject, RejectReason};
use meetnet_model::rows::DatasetRows;
use meetnet_model::source::{SourceDeclaration, SourceKind, TimeWindow};
use sha2::{Digest, Sha256};

use self::inputs::note;
pub use self::inputs::{Broken, Found, Input, find};
pub(crate) use self::kept::IMPORT_META;
pub use self::kept::{IMPORT_PIECE, Keep};
use self::kept::{Keeper, Kept};
use self::pieces::PIECES_VERSION;
use self::reading::{Chunk, Reader, topic_of};
use crate::http::STATION_META;
use crate::pipeline::{ImportChunk, ImportedPiece, PipelineCommands, PipelineError};

/// Chunks that wait for the pipeline: enough that neither side waits.
const CHUNKS_WAITING_MAX: usize = 2;
/// Rejects that are shown.
const EXAMPLES_MAX: usize = 10;
/// How far back the time of a row may lie, µs: decoders refuse clocks that were never set, nothing else is too old.
const BACK_US: i64 = i64::MAX / 4;
/// Shortest time between two reports of progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);
/// What a frame has beside its payload, bytes, at most.
const FRAME_HEAD_BYTES: u64 = 64 << 10;
/// Until a full journal is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(20);

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
    /// How much of what is refused is kept.
    pub keep: Keep,
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
    /// Documents with nothing in them but blank lines.
    pub empty: u64,
    /// The first of them.
    pub first_empty: Option<String>,
    /// Messages that carry no observation by their kind, such as a device's join: they are no rows, and no rejects either.
    pub ignored: u64,
    /// Rows by dataset: what became of them.
    pub applied: BTreeMap<DatasetId, Applied>,
    /// Rows that an earlier run of the same import had brought.
    pub resumed: u64,
    /// What could not become a row.
    pub rejects: BTreeMap<RejectReason, u64>,
    /// The first of them: document, what was wrong, excerpt without personal data.
    pub examples: Vec<(String, String, String)>,
    /// Messages that were journalled for them.
    pub kept: u64,
    /// Messages that had been journalled for them before.
    pub kept_before: u64,
    /// Rejects beyond what one import keeps: they cannot be replayed.
    pub left_out: u64,
    /// What could not be read, or not to its end; the rest of it, and the others, were.
    pub broken: Vec<Broken>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why an import ended early; what was committed by then stays, and the same import goes on behind it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file cannot be read, of those without which there is no import.
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
    /// What was refused cannot be kept.
    #[error("failed to journal what was refused; the same import goes on where it was")]
    Append(#[from] AppendError),
    /// The journal has stopped.
    #[error("failed to journal what was refused; the same import goes on where it was")]
    Journal(#[from] JournalError),
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

/// Imports; blocking. What is refused goes to `journal`. `progress` is told now and then how far it has come.
///
/// # Errors
/// [`ImportError`].
pub fn run(
    mut import: Import,
    journal: &Journal,
    commands: &PipelineCommands,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, ImportError> {
    let started = Instant::now();
    let patterns = path_patterns(&import.source);
    let mut broken = Vec::new();
    let id = import.identify(&patterns, &mut broken)?;
    let decoders = decoders(&import.declarations, &import.source, &import.key)?;
    let Import {
        source,
        key,
        inputs,
        topic,
        correct,
        now,
        keep,
        ..
    } = import;
    let read = Arc::new(AtomicU64::new(0));
    let bytes_total = inputs.iter().map(Input::bytes).sum();
    let mut loading = Loading {
        id: id.clone(),
        source: source.clone(),
        received_at: correct.then_some(now),
        journal,
        commands,
        last: None,
        positions: BTreeMap::new(),
        summary: Summary {
            id,
            files: inputs.len() as u64,
            broken,
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
        let keeper = Keeper::new(keep, &decoders, &source, &key, correct, now);
        let decoding = std::thread::Builder::new()
            .name("import-decode".to_owned())
            .spawn_scoped(scope, move || reader.read(keeper, &inputs))
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
        let found = decoding
            .join()
            .map_err(|_| ImportError::Thread("decoding ended abnormally".to_owned()))??;
        loading.summary.documents = found.documents;
        loading.summary.empty = found.empty;
        loading.summary.first_empty = found.first_empty;
        loading.summary.ignored = found.ignored;
        loading.summary.kept_before = found.tally.known;
        loading.summary.left_out += found.tally.left_out;
        loading.summary.broken.extend(found.broken);
        Ok::<(), ImportError>(())
    })?;
    if let Some(last) = loading.last {
        journal.wait_durable(last)?;
    }
    let mut summary = loading.summary;
    summary.elapsed = started.elapsed();
    Ok(summary)
}

impl Import {
    /// Returns its id: 32 hexadecimal digits. Files that cannot be read are left out of the import, to `broken`.
    fn identify(
        &mut self,
        patterns: &[TopicPattern],
        broken: &mut Vec<Broken>,
    ) -> Result<String, ImportError> {
        let mut hash = Sha256::new();
        // What decides which rows the bytes become, and what they are compared with.
        let declared = (
            &self.source,
            &self.topic,
            self.correct,
            self.declarations.decoder_version,
            // Of an earlier version the numbers of pieces are others: behind those that it consumed some would be left out.
            PIECES_VERSION,
        );
        let declared = serde_json::to_vec(&declared).expect("declarations have string keys only");
        hash.update((declared.len() as u64).to_le_bytes());
        hash.update(&declared);
        for input in std::mem::take(&mut self.inputs) {
            match input.hash() {
                Ok(content) => hash.update(content),
                Err(error) => {
                    note(broken, error)?;
                    continue;
                }
            }
            // Where a file's name says which sensor it is of, the same bytes are other rows under another name.
            if !patterns.is_empty() {
                let path = input.shown();
                let topic = topic_of(patterns, &input, &path);
                hash.update((topic.len() as u64).to_le_bytes());
                hash.update(topic);
            }
            self.inputs.push(input);
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

/// Returns the decoders of every source, for which no time is too old: what an import refused is decoded by them again.
///
/// # Errors
/// As [`decoders`].
pub(crate) fn decoders_of_any_age(
    declarations: &Declarations,
    key: &PrivacyKey,
) -> Result<Decoders, DecodeSetupError> {
    let mut declarations = Declarations::clone(declarations);
    for source in declarations.sources.values_mut() {
        Arc::make_mut(source).time_window.back_us = BACK_US;
    }
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

/// Brings chunks into the tables.
struct Loading<'a> {
    id: String,
    source: SourceDeclaration,
    /// When every row was received, µs; None: at its own time.
    received_at: Option<i64>,
    journal: &'a Journal,
    commands: &'a PipelineCommands,
    /// The last frame of what was refused.
    last: Option<Sequence>,
    /// What each table knew of the import when this run met it.
    positions: BTreeMap<DatasetId, Position>,
    summary: Summary,
}

/// What a table knows of an import.
#[derive(Clone, Debug)]
struct Position {
    /// The import's id there. After a repair it is another one: what a run had brought before it may be gone, and a run that the
    /// repair overtakes must not say that it is there.
    import_id: String,
    /// Pieces that the table had consumed.
    consumed: u64,
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
        // Behind the rows: those that a frame repeats are there.
        for kept in chunk.kept {
            self.keep(kept)?;
        }
        Ok(())
    }

    /// Journals what was refused, after a pause as often as the journal is full: it comes after the messages that arrive now.
    fn keep(&mut self, kept: Kept) -> Result<(), ImportError> {
        let piece = ImportedPiece {
            id: kept.id,
            corrects: self.received_at.is_some(),
        };
        let piece = piece.to_text();
        let mut meta = vec![(IMPORT_META, piece.as_str())];
        let station = kept.station.as_deref();
        meta.extend(station.map(|station| (STATION_META, station)));
        let envelope = NewEnvelope {
            source: self.source.id.as_str(),
            topic: &kept.topic,
            meta: &meta,
            payload: &kept.payload,
            ..NewEnvelope::default()
        };
        let appended = loop {
            match self.journal.append(&envelope) {
                Err(AppendError::Full { bytes_max, .. })
                    if kept.payload.len() as u64 + FRAME_HEAD_BYTES < bytes_max =>
                {
                    std::thread::sleep(FULL_PAUSE);
                }
                // It would never have room.
                Err(AppendError::Full { .. } | AppendError::FieldTooLong { .. }) => {
                    self.summary.left_out += 1;
                    return Ok(());
                }
                appended => break appended?,
            }
        };
        self.last = Some(appended.sequence);
        self.summary.kept += 1;
        Ok(())
    }

    fn position(&self, dataset: &DatasetId) -> Result<Position, ImportError> {
        let import_id = match self.commands.repairs(dataset)? {
            0 => self.id.clone(),
            repairs => format!("{}-{repairs}", self.id),
        };
        let consumed = self.commands.import_position(dataset, &import_id)?;
        Ok(Position {
            import_id,
            consumed: consumed.unwrap_or(0),
        })
    }

    fn load_rows(
        &mut self,
        rows: DatasetRows,
        first: u64,
        consumed: u64,
    ) -> Result<(), ImportError> {
        let dataset = rows.declaration.id.clone();
        let position = match self.positions.get(&dataset) {
            Some(position) => position.clone(),
            None => {
                let position = self.position(&dataset)?;
                self.positions.insert(dataset.clone(), position.clone());
                position
            }
        };
        let done = position.consumed.saturating_sub(first);
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
            import_id: position.import_id,
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
    let is_kept = rows.timeless.iter().map(|timeless| !timeless).collect();
    select_rows(&rows, is_kept)
}

/// Returns the rows that are kept.
pub(crate) fn select_rows(rows: &DatasetRows, is_kept: Vec<bool>) -> DatasetRows {
    let positions = || (0..is_kept.len()).filter(|row| is_kept[*row]);
    DatasetRows {
        declaration: Arc::clone(&rows.declaration),
        envelopes: positions().map(|row| rows.envelopes[row]).collect(),
        timeless: positions().map(|row| rows.timeless[row]).collect(),
        batch: filter_record_batch(&rows.batch, &BooleanArray::from(is_kept))
            .expect("the mask is as long as the rows"),
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
