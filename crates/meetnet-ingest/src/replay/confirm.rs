//! Values that were said again after the message that is replayed.
//!
//! A table keeps no row that says what is stored already, so it does not know when a value was said last:
//!
//! ```text
//! t1  5             stored
//! t2  7, rejected   nothing
//! t3  5             nothing: it is stored
//!     t2 replayed   7 is later than the 5 of t1, and would be the answer, though 5 was said after it
//! ```
//!
//! So before anything is replayed the chosen messages are compared with the tables. Where they would replace nothing, as
//! nearly always (a sensor says each time once), that is all. Else the messages that the same sources sent afterwards are
//! searched for the last one that says what is stored of those keys, and it is replayed as well: its frame names the rows in
//! question, and they alone are kept, as revisions that say the same (`Lineage::confirms`). What is then replayed of the time
//! before is history, and never the answer.
//!
//! Other sources do not matter: two that share a namespace have different precedences, which decide before any time does.
//! Journal and archive hold every later message wherever they hold the one that is replayed, since the oldest go first: there
//! is no confirmation that they do not reach. What an import refused is left out, and places are: imports bypass the journal,
//! and rows of places are made of periods.
//!
//! **Work and memory.** Compared is what is replayed; searched are the segments from the first message that would replace
//! something to the end of the journal, and decoded of them those of its source. In memory are the keys in question, up to
//! [`KEYS_MAX`].
//!
//! **A crash** between the two finds confirmations without the replay: true all the same, and the rejects are open. It is asked for
//! again, and replaces nothing any more. All of it are frames, so a restart makes the same of them, whatever the archive has
//! lost since. **Twice:** the row that was kept is as late as its message, so that confirms nothing of it any more.
//! **An erasure** finds the frame by its message, as it does any other.
//!
//! **What arrives meanwhile** and says again what is stored is searched once more before the replay, and behind it what
//! came while that was written. Only a crash in that last moment, with such a message in it, leaves the replayed value.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use meetnet_lake::Standing;
use meetnet_lake::journal::{FrameKind, FrameRef, Sequences, visit_messages};
use meetnet_model::ids::{DatasetId, Sequence};

use super::{CONFIRMS_META, Choice, IMPORT_META, Replay, ReplayError, Stage, is_drop, repeat};
use crate::pipeline::{ByKey, ConfirmedRows, MessageComparer, MetRow};

/// Stored values that would be replaced, at most: all of their keys are in memory.
const KEYS_MAX: usize = 1_000_000;
/// Messages between two words about how far it is.
const TOLD_MESSAGES: u64 = if cfg!(test) { 1 } else { 10_000 };

/// A key of which the replay would replace what is stored.
#[derive(Clone, Copy, Debug)]
struct Replaced {
    /// When the first message that would was received, µs: what was said again before it changes nothing.
    since: i64,
    confirmation: Option<Confirmation>,
}

/// Where a confirmation stands.
#[derive(Clone, Copy, Debug)]
struct Confirmation {
    received_at: i64,
    sequence: Sequence,
    row: u32,
}

/// Keys of which the replay would replace what is stored, and who confirms that.
pub(super) struct Confirmations<'a> {
    replay: &'a Replay<'a>,
    comparer: MessageComparer<'a>,
    keys: ByKey<Replaced>,
    keys_count: usize,
    /// Of the messages that would replace something.
    sources: BTreeSet<String>,
    /// Of those that are compared next and are replays themselves: where their message stands.
    originals: BTreeMap<Sequence, Sequence>,
    /// Before this, and at it, nothing is searched.
    searched: Sequence,
}

impl<'a> Confirmations<'a> {
    /// Compares the chosen messages with the tables.
    pub(super) fn needed(
        replay: &'a Replay<'a>,
        choice: &Choice,
        tell: &mut dyn FnMut(Stage),
    ) -> Result<Self, ReplayError> {
        let mut needed = Self {
            replay,
            comparer: MessageComparer::new(replay.declarations, replay.key, replay.pipeline)?,
            keys: ByKey::default(),
            keys_count: 0,
            sources: BTreeSet::new(),
            originals: BTreeMap::new(),
            searched: Sequence(u64::MAX),
        };
        let mut compared = 0;
        visit_messages::<ReplayError>(replay.place, &choice.sequences(), |frame| {
            let is_chosen = choice.holds(frame) && choice.is_declared(frame.source);
            if !is_chosen || !is_comparable(frame) {
                return Ok(());
            }
            let original = frame.original_sequence;
            let original = original.map(|original| (frame.sequence, original));
            needed.originals.extend(original);
            if needed.comparer.decode(frame) {
                needed.note_replaced()?;
            }
            count(&mut compared, |messages| tell(Stage::Compared(messages)));
            Ok(())
        })?;
        needed.note_replaced()?;
        Ok(needed)
    }

    fn note_replaced(&mut self) -> Result<(), ReplayError> {
        for met in self.comparer.compare::<()>(None)? {
            if !matches!(met.standing, Standing::Replaces | Standing::Corrects) {
                continue;
            }
            let of_dataset = self.keys.entry(met.dataset).or_default();
            match of_dataset.entry(met.key) {
                Entry::Occupied(mut known) => {
                    let since = &mut known.get_mut().since;
                    *since = met.received_at.min(*since);
                }
                Entry::Vacant(place) => {
                    place.insert(Replaced {
                        since: met.received_at,
                        confirmation: None,
                    });
                    self.keys_count += 1;
                }
            }
            if self.keys_count > KEYS_MAX {
                return Err(ReplayError::TooMany(KEYS_MAX));
            }
            // What came behind the message counts, though its replay may stand behind that.
            let original = self.originals.get(&met.sequence).copied();
            self.searched = self.searched.min(original.unwrap_or(met.sequence));
            if !self.sources.contains(met.source.as_str()) {
                self.sources.insert(met.source.as_str().to_owned());
            }
        }
        self.originals.clear();
        Ok(())
    }

    /// Has what was said again until now kept, before anything is replayed; returns of how many values.
    pub(super) fn keep_earlier(&mut self, tell: &mut dyn FnMut(Stage)) -> Result<u64, ReplayError> {
        let is_confirmed = |_: &FrameRef<'_>| true;
        let kept = self.keep(&[Standing::Confirms], is_confirmed, tell)?;
        // The search may have taken minutes: what came meanwhile takes less.
        Ok(kept + self.keep(&[Standing::Confirms], is_confirmed, tell)?)
    }

    /// Has what was said again while the replay was written kept. It was compared with what was stored before, so it left
    /// nothing; now the replayed value may stand there. Messages alone: of two replays the order of their messages decides.
    pub(super) fn keep_meanwhile(
        &mut self,
        tell: &mut dyn FnMut(Stage),
    ) -> Result<u64, ReplayError> {
        let is_message = |frame: &FrameRef<'_>| frame.kind == FrameKind::Envelope;
        self.keep(&[Standing::Confirms, Standing::Replaces], is_message, tell)
    }

    /// Searches what is durable and has not been searched, and replays for each key the last message that stands so.
    fn keep(
        &mut self,
        standings: &[Standing],
        is_searched: impl Fn(&FrameRef<'_>) -> bool,
        tell: &mut dyn FnMut(Stage),
    ) -> Result<u64, ReplayError> {
        let Replay { journal, place, .. } = *self.replay;
        let through = journal.durable().0;
        if self.keys.is_empty() || through <= self.searched {
            return Ok(0);
        }
        let behind = Sequence(self.searched.0 + 1)..=through;
        let behind: Sequences = std::iter::once(behind).collect();
        let mut searched = 0;
        visit_messages::<ReplayError>(place, &behind, |frame| {
            if !self.sources.contains(frame.source) || !is_comparable(frame) || !is_searched(frame)
            {
                return Ok(());
            }
            if self.comparer.decode(frame) {
                self.note_confirmed(standings)?;
            }
            count(&mut searched, |messages| tell(Stage::Searched(messages)));
            Ok(())
        })?;
        self.note_confirmed(standings)?;
        self.searched = through;
        let (kept, messages) = self.take_confirmed();
        let mut last = None;
        let sequences: Sequences = messages.keys().copied().collect();
        visit_messages::<ReplayError>(place, &sequences, |frame| {
            if let Some(rows) = messages.get(&frame.sequence) {
                let text = rows.to_text();
                let appended = repeat(journal, frame, &[(CONFIRMS_META, text.as_str())])?;
                last = Some(appended.sequence);
            }
            Ok(())
        })?;
        if let Some(last) = last {
            journal.wait_durable(last)?;
        }
        Ok(kept)
    }

    fn note_confirmed(&mut self, standings: &[Standing]) -> Result<(), ReplayError> {
        for met in self.comparer.compare(Some(&self.keys))? {
            let MetRow {
                received_at,
                sequence,
                row,
                ..
            } = met;
            let of_dataset = self.keys.get_mut(&met.dataset);
            let Some(replaced) = of_dataset.and_then(|keys| keys.get_mut(&met.key)) else {
                continue;
            };
            let is_behind = received_at > replaced.since;
            let known = &mut replaced.confirmation;
            let is_later = known.is_none_or(|known| known.received_at <= received_at);
            if standings.contains(&met.standing) && is_behind && is_later {
                *known = Some(Confirmation {
                    received_at,
                    sequence,
                    row,
                });
            }
        }
        Ok(())
    }

    /// Returns how many values are confirmed, and by which rows of which messages.
    fn take_confirmed(&mut self) -> (u64, BTreeMap<Sequence, ConfirmedRows>) {
        let mut kept = 0;
        let mut rows: BTreeMap<Sequence, BTreeMap<&DatasetId, BTreeSet<u32>>> = BTreeMap::new();
        for (dataset, keys) in &mut self.keys {
            let confirmations = keys.values_mut();
            for confirmation in confirmations.filter_map(|key| key.confirmation.take()) {
                kept += 1;
                let of_message = rows.entry(confirmation.sequence).or_default();
                let of_dataset = of_message.entry(dataset).or_default();
                of_dataset.insert(confirmation.row);
            }
        }
        let messages = rows.into_iter().map(|(sequence, of_message)| {
            let mut confirmed = ConfirmedRows::default();
            for (dataset, rows) in of_message {
                confirmed.add(dataset, rows);
            }
            (sequence, confirmed)
        });
        (kept, messages.collect())
    }
}

/// Returns true for a message whose rows are as old as it: none of an import, and no decision to drop rejects.
fn is_comparable(frame: &FrameRef<'_>) -> bool {
    !is_drop(frame) && frame.meta.get(IMPORT_META).is_none()
}

/// Counts one more, and tells now and then.
fn count(messages: &mut u64, mut tell: impl FnMut(u64)) {
    *messages += 1;
    if messages.is_multiple_of(TOLD_MESSAGES) {
        tell(*messages);
    }
}
