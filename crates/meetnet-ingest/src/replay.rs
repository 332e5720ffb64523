//! Rejects that are replayed or dropped: a decision of the data team becomes frames of the journal.
//!
//! ```text
//! chosen rejects ─▶ raw messages of journal and archive ─▶ replay frames ─▶ pipeline ─▶ rows
//!                                                                                   └─▶ resolved rejects
//! ```
//!
//! A replay frame repeats a message with its receive time, and says in its meta which rejects it is about. The pipeline
//! decodes it by the declarations now in force, so a mapping that was mended makes the rows it should have made, with a
//! new `recorded_at`; what the message has told already is unchanged. A reject that comes out again keeps its key
//! (sequence of the message, ordinal) and stays open. The others are revised: `resolution` says how, `resolved_by` in
//! which frame. To drop a reject is a frame of the same kind without the message: there is nothing in it to replay, and a
//! dropped reject that comes out again, because its message is replayed for something else, stays dropped. So what became of
//! a reject is, like everything else, a function of the journal.
//!
//! What a replay says is as old as its message, so it must not overrule what was said after that. Of a message that said what
//! was stored already the tables know nothing: [`Replay::run`] has such confirmations kept first (`replay/confirm.rs`).

mod confirm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meetnet_lake::journal::{
    AppendError, Appended, FrameKind, FrameRef, Journal, JournalError, JournalPlace, Meta,
    NewEnvelope, Original, Sequences, visit_messages,
};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::RejectReason;

use self::confirm::Confirmations;
use crate::import::IMPORT_META;
use crate::pipeline::{ImportedPiece, PipelineCommands, PipelineError};

/// Names of the meta pairs that are about the replay, not of the message.
pub(crate) const REPLAY_META: [&str; 4] =
    [REJECTS_META, DROPPED_META, DECISION_META, CONFIRMS_META];
/// Which rows of a message are there to be kept as confirmations of what is stored.
pub(crate) const CONFIRMS_META: &str = "meetnet-confirms";
const REJECTS_META: &str = "meetnet-rejects";
/// Which rejects of the message were dropped before.
const DROPPED_META: &str = "meetnet-dropped";
const DECISION_META: &str = "meetnet-decision";
const DROP: &str = "drop";
/// Until a full journal is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// Messages from before a range that frames of it repeat, at most: where each stands is in memory.
const REPEATED_MAX: usize = 1_000_000;

/// What to do with rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decision {
    /// Decode their messages again.
    #[default]
    Replay,
    /// Close them without rows.
    Drop,
}

/// One message and those of its rejects that were chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedMessage {
    /// Its source.
    pub source: SourceId,
    /// When it was received, µs since 1970 UTC, exactly as its rejects say: they are looked up by it.
    pub received_at: i64,
    /// Ordinal and reason of each.
    pub rejects: Vec<(u32, RejectReason)>,
    /// What an import knows it by, where one refused it.
    pub import_piece: Option<String>,
}

/// What was chosen.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Open rejects, by the sequence of their message: all that the message has, since all are met again.
    pub rejects: BTreeMap<Sequence, RejectedMessage>,
    /// Rejects of chosen messages that were dropped, by the sequence of their message: where they come out again, they stay
    /// so.
    pub dropped: BTreeMap<Sequence, Vec<(u32, RejectReason)>>,
    /// Open rejects of messages that stand before `messages`, and that frames among these repeat ([`repeated_before`]), by the
    /// sequence of their message: it is decoded again, so they are met again.
    pub repeated: BTreeMap<Sequence, Vec<(u32, RejectReason)>>,
    /// Further messages to replay, rejected or not.
    pub messages: Option<MessageRange>,
    /// Sources that are declared now; None: all that messages are of. What is of another one is left as it is: it could
    /// only come out again for want of its source, and nobody would know any more what had been wrong with it.
    pub sources: Option<BTreeSet<SourceId>>,
}

/// Messages by where they stand.
#[derive(Clone, Debug)]
pub struct MessageRange {
    /// The first.
    pub first: Sequence,
    /// The last.
    pub last: Sequence,
    /// Only those of this source.
    pub source: Option<SourceId>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Frames written, each durable.
    pub frames: u64,
    /// Rejects that they are about.
    pub rejects: u64,
    /// Messages that neither journal nor archive holds any more.
    pub gone: u64,
    /// Messages that were left as they are, by their source, which is not declared.
    pub without_source: BTreeMap<SourceId, u64>,
    /// Stored values that later messages had said again, so that what was replayed did not take their place.
    pub confirmed: u64,
    /// Sequences of the first and the last frame.
    pub span: Option<(Sequence, Sequence)>,
}

/// Why a decision could not be carried out; what is journalled by then stands.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal or its archive cannot be read, or the journal was stopped.
    #[error("failed to read the raw messages")]
    Journal(#[from] JournalError),
    /// The journal does not take a frame.
    #[error("failed to journal the replay")]
    Append(#[from] AppendError),
    /// What is stored cannot be compared with what would be replayed.
    #[error("failed to compare the messages with the tables")]
    Pipeline(#[from] PipelineError),
    /// So many stored values would be replaced that who has confirmed them cannot be kept in mind.
    #[error(
        "more than {0} stored values would be replaced by what is replayed; choose fewer messages with --source, --since, \
         --until or --sequence"
    )]
    TooMany(usize),
    /// So many messages are repeated by frames of a range that they cannot be kept in mind.
    #[error(
        "more than {0} messages from before the range are repeated in it; choose fewer with --source or --sequence"
    )]
    TooManyRepeated(usize),
}

/// What a replay has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// So many messages have been compared with the tables.
    Compared(u64),
    /// So many messages that came after them have been searched for what they say again.
    Searched(u64),
    /// So many frames have been written.
    Replayed(u64),
}

/// Where raw messages are replayed to, and by what they are decoded.
pub struct Replay<'a> {
    /// Takes the frames.
    pub journal: &'a Journal,
    /// Has the raw messages.
    pub place: &'a JournalPlace,
    /// Applies the frames.
    pub pipeline: &'a PipelineCommands,
    /// The declarations now in force.
    pub declarations: &'a Arc<Declarations>,
    /// Makes pseudonyms of hardware ids.
    pub key: &'a PrivacyKey,
}

impl Replay<'_> {
    /// Journals a replay of the chosen messages, behind what keeps it from replacing values that were said again later, and
    /// returns when all of it is durable; blocking.
    ///
    /// # Errors
    /// [`ReplayError`]. Nothing was replayed where it is of comparing, unless all of it was.
    pub fn run(
        &self,
        choice: &Choice,
        tell: &mut dyn FnMut(Stage),
    ) -> Result<Decided, ReplayError> {
        let mut confirmations = Confirmations::needed(self, choice, tell)?;
        let mut confirmed = confirmations.keep_earlier(tell)?;
        let mut replayed = |frames| tell(Stage::Replayed(frames));
        let mut decided = replay(self.journal, self.place, choice, &mut replayed)?;
        confirmed += confirmations.keep_meanwhile(tell)?;
        decided.confirmed = confirmed;
        Ok(decided)
    }
}

/// The rejects that a replay frame is about, as its meta says.
#[derive(Debug, Default)]
pub(crate) struct Handled {
    pub(crate) decision: Decision,
    pub(crate) rejects: Vec<(u32, RejectReason)>,
    /// Those of its message that were dropped before.
    pub(crate) dropped: Vec<(u32, RejectReason)>,
}

impl Handled {
    /// Reads it; reasons that a newer version wrote are left out.
    pub(crate) fn read(meta: Meta<'_>) -> Self {
        let decision = match meta.get(DECISION_META) {
            Some(DROP) => Decision::Drop,
            _ => Decision::Replay,
        };
        Self {
            decision,
            rejects: Self::listed(meta, REJECTS_META),
            dropped: Self::listed(meta, DROPPED_META),
        }
    }

    fn listed(meta: Meta<'_>, name: &str) -> Vec<(u32, RejectReason)> {
        let list = meta.get(name).unwrap_or_default();
        let rejects = list.split(',').filter_map(|reject| {
            let (ordinal, reason) = reject.split_once(' ')?;
            Some((ordinal.parse().ok()?, RejectReason::from_name(reason)?))
        });
        rejects.collect()
    }

    /// Writes the rejects as [`Handled::read`] reads them.
    fn list(rejects: &[(u32, RejectReason)]) -> String {
        let rejects: Vec<String> = rejects
            .iter()
            .map(|(ordinal, reason)| format!("{ordinal} {}", reason.as_str()))
            .collect();
        rejects.join(",")
    }
}

/// Journals a replay of the chosen messages, whatever was said after them, and returns when all of it is durable; blocking.
/// `progress` is told the number of frames written.
///
/// # Errors
/// [`ReplayError`].
pub(crate) fn replay(
    journal: &Journal,
    place: &JournalPlace,
    choice: &Choice,
    progress: &mut dyn FnMut(u64),
) -> Result<Decided, ReplayError> {
    let mut decided = Decided::default();
    // Of messages with open rejects those that are there, by themselves or in a frame that repeats them.
    let mut found = BTreeSet::new();
    let mut met = MetMessages::default();
    // What is written from now on is decoded by the declarations in force: a range that ends behind the journal would have the
    // replay run after what arrives meanwhile.
    let (through, _) = journal.durable();
    visit_messages::<ReplayError>(place, &choice.sequences(), |frame| {
        if frame.sequence > through {
            return Ok(());
        }
        let message = message_of(frame);
        // A message and the frames that repeat it say the same: were all of them replayed, an open range would have twice as many
        // whenever it is replayed again. Those of other sources are noted as well, since one behind the other takes no room.
        let is_first = is_drop(frame) || met.insert(message);
        if !is_first || !choice.holds(frame) {
            return Ok(());
        }
        let rejects = choice.open_of(message);
        if !rejects.is_empty() {
            found.insert(message);
        }
        if !choice.is_declared(frame.source) {
            let source = SourceId::new(frame.source);
            *decided.without_source.entry(source).or_default() += 1;
            return Ok(());
        }
        let dropped = choice.dropped.get(&message);
        let dropped = dropped.map_or(&[][..], Vec::as_slice);
        let lists = [(REJECTS_META, rejects), (DROPPED_META, dropped)];
        let lists = lists.map(|(name, rejects)| (name, Handled::list(rejects)));
        let about = lists.iter().filter(|(_, list)| !list.is_empty());
        let about: Vec<(&str, &str)> = about.map(|(name, list)| (*name, list.as_str())).collect();
        decided.note(repeat(journal, frame, &about)?, rejects.len());
        progress(decided.frames);
        Ok(())
    })?;
    let chosen = choice.rejects.keys();
    decided.gone = chosen.filter(|message| !found.contains(*message)).count() as u64;
    decided.wait(journal)
}

/// Returns where messages stand that frames of a range repeat and that stand before the range themselves; blocking. Their
/// rejects are met again, too, and are known by these sequences.
///
/// # Errors
/// [`ReplayError`].
pub fn repeated_before(
    place: &JournalPlace,
    range: &MessageRange,
) -> Result<BTreeSet<Sequence>, ReplayError> {
    let mut repeated = BTreeSet::new();
    let sequences: Sequences = std::iter::once(range.first..=range.last).collect();
    visit_messages::<ReplayError>(place, &sequences, |frame| {
        let message = message_of(frame);
        if message < range.first && range.holds(frame) && !is_drop(frame) {
            repeated.insert(message);
        }
        if repeated.len() > REPEATED_MAX {
            return Err(ReplayError::TooManyRepeated(REPEATED_MAX));
        }
        Ok(())
    })?;
    Ok(repeated)
}

/// Journals that the chosen rejects are dropped and returns when all of it is durable; blocking.
///
/// # Errors
/// [`ReplayError`].
pub fn drop_rejects(
    journal: &Journal,
    rejects: &BTreeMap<Sequence, RejectedMessage>,
) -> Result<Decided, ReplayError> {
    let mut decided = Decided::default();
    for (sequence, message) in rejects {
        let list = Handled::list(&message.rejects);
        let mut meta = vec![(REJECTS_META, list.as_str()), (DECISION_META, DROP)];
        let piece = message.import_piece.as_ref().map(|id| {
            let id = id.clone();
            // No row is made of it, so it does not matter how old that would be.
            let corrects = false;
            ImportedPiece { id, corrects }.to_text()
        });
        // An import that meets it again must see that it was dropped.
        meta.extend(piece.as_deref().map(|piece| (IMPORT_META, piece)));
        let envelope = NewEnvelope {
            source: message.source.as_str(),
            meta: &meta,
            ..NewEnvelope::default()
        };
        let original = Original {
            sequence: *sequence,
            received_at: message.received_at,
            clock_step: false,
        };
        decided.note(append(journal, original, &envelope)?, message.rejects.len());
    }
    decided.wait(journal)
}

impl Choice {
    /// Where the chosen messages stand, and others between them.
    fn sequences(&self) -> Sequences {
        let range = self.messages.as_ref();
        self.rejects
            .keys()
            .map(|sequence| *sequence..=*sequence)
            .chain(range.map(|range| range.first..=range.last))
            .collect()
    }

    /// Returns true for a message that was chosen.
    fn holds(&self, frame: &FrameRef<'_>) -> bool {
        let range = self.messages.as_ref();
        let is_in_range = range.is_some_and(|range| range.holds(frame)) && !is_drop(frame);
        self.rejects.contains_key(&frame.sequence) || is_in_range
    }

    /// Returns the open rejects of a message, by where it stood first: by ordinals alone nobody can tell those that were
    /// dropped from those that are open, so whatever repeats the message has to know both.
    fn open_of(&self, message: Sequence) -> &[(u32, RejectReason)] {
        let chosen = self.rejects.get(&message).map(|chosen| &chosen.rejects);
        let open = chosen.or_else(|| self.repeated.get(&message));
        open.map_or(&[][..], Vec::as_slice)
    }

    fn is_declared(&self, source: &str) -> bool {
        let Some(sources) = &self.sources else {
            return true;
        };
        sources.iter().any(|declared| declared.as_str() == source)
    }
}

impl MessageRange {
    fn holds(&self, frame: &FrameRef<'_>) -> bool {
        let is_of_source = self
            .source
            .as_ref()
            .is_none_or(|source| source.as_str() == frame.source);
        is_of_source && (self.first..=self.last).contains(&frame.sequence)
    }
}

impl Decided {
    fn note(&mut self, appended: Appended, rejects: usize) {
        self.frames += 1;
        self.rejects += rejects as u64;
        let first = self.span.map_or(appended.sequence, |(first, _)| first);
        self.span = Some((first, appended.sequence));
    }

    fn wait(self, journal: &Journal) -> Result<Self, ReplayError> {
        if let Some((_, last)) = self.span {
            journal.wait_durable(last)?;
        }
        Ok(self)
    }
}

/// Messages that were met, by where they stood first: as ranges from first to last, since mostly one comes behind the other.
#[derive(Debug, Default)]
struct MetMessages {
    ranges: BTreeMap<Sequence, Sequence>,
}

impl MetMessages {
    /// Notes a message; returns true where it was not met before.
    fn insert(&mut self, message: Sequence) -> bool {
        if let Some((_, last)) = self.ranges.range_mut(..=message).next_back() {
            if *last >= message {
                return false;
            }
            if last.next() == message {
                *last = message;
                return true;
            }
        }
        self.ranges.insert(message, message);
        true
    }
}

/// Returns where a message stood first.
fn message_of(frame: &FrameRef<'_>) -> Sequence {
    frame.original_sequence.unwrap_or(frame.sequence)
}

/// Returns true for a decision to drop rejects, which has no message.
fn is_drop(frame: &FrameRef<'_>) -> bool {
    frame.kind == FrameKind::Replay && Handled::read(frame.meta).decision == Decision::Drop
}

/// Journals a message again, with meta pairs that say what about.
fn repeat(
    journal: &Journal,
    frame: &FrameRef<'_>,
    about: &[(&str, &str)],
) -> Result<Appended, AppendError> {
    let meta: Vec<(&str, &str)> = frame
        .meta
        .iter()
        .filter(|(name, _)| !REPLAY_META.contains(name))
        .chain(about.iter().copied())
        .collect();
    let envelope = NewEnvelope {
        source: frame.source,
        topic: frame.topic,
        meta: &meta,
        retain: frame.retain,
        truncated: frame.truncated,
        payload: frame.payload,
        ..NewEnvelope::default()
    };
    let original = Original {
        sequence: message_of(frame),
        received_at: frame.received_at,
        clock_step: frame.clock_step,
    };
    append(journal, original, &envelope)
}

/// Appends a frame, after a pause as often as the journal is full: replays come after the messages that arrive now.
fn append(
    journal: &Journal,
    original: Original,
    envelope: &NewEnvelope<'_>,
) -> Result<Appended, AppendError> {
    loop {
        match journal.append_replay(original, envelope) {
            Err(AppendError::Full { .. }) => std::thread::sleep(FULL_PAUSE),
            appended => return appended,
        }
    }
}
