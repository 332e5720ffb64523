//! One group of frames becomes decoded rows: envelopes through the decoders, rejects into their own dataset.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use meetnet_decode::{Decoded, Decoders, EnvelopeRef, Group};
use meetnet_lake::journal::{FrameKind, FrameRef};
use meetnet_lake::{Applied, Lineage, Precedences};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence, SourceId};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::redact::redact;
use meetnet_model::reject::{Reject, RejectReason};
use meetnet_model::rows::{DatasetRows, RowsBuilder};

use meetnet_decode::DecodeSetupError;
use meetnet_quality::QualityRules;

use super::confirmed::{ConfirmedRows, Confirming, settle_confirming};
use super::imported::{ImportDecoders, Imported, ImportedPiece, settle_imported};
use super::run::Runner;
use crate::import::{IMPORT_META, IMPORT_PIECE};
use crate::outcomes::{Outcome, OutcomeRegistry, OutcomeReject};
use crate::replay::{Decision, Handled, REPLAY_META};

/// Licence of rejects whose source is not declared any more: SPDX's form of "ask the publisher".
const UNKNOWN_LICENCE: &str = "LicenseRef-unknown";
/// The private dataset that rejects become.
pub(super) const REJECTS: &str = "rejects";

/// Rows that the tables take some milliseconds for: whoever waits for what became of them is told before. A sender of fewer finds
/// them in the answers when it is told.
pub(super) const TOLD_EARLY_ROWS: usize = 1_000;

impl Runner {
    /// Publishes what has been applied, and tells those of it who have pushed it and wait.
    pub(super) fn publish(&mut self) {
        self.lake.publish();
        for taken in self.untold.drain(..) {
            taken.report(&self.outcomes);
        }
    }
}

/// Rejects by source and reason since the start; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RejectCounts {
    counts: Arc<Mutex<BTreeMap<(SourceId, RejectReason), RejectTally>>>,
}

/// Rejects of one source for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectTally {
    /// How many since the start.
    pub total: u64,
    /// Sequence of the message that one of the last was of.
    pub sequence: Sequence,
    /// What was wrong with it.
    pub message: String,
    /// A redacted excerpt of its bytes.
    pub excerpt: String,
}

impl RejectCounts {
    /// Returns the counts.
    pub fn read(&self) -> BTreeMap<(SourceId, RejectReason), RejectTally> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, source: &SourceId, sequence: Sequence, reject: &Reject) {
        let reason = reject.reason;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = counts.entry((source.clone(), reason)).or_default();
        tally.total += 1;
        // A flood of rejects is not copied one by one: the example is younger than half of them.
        if tally.total.is_power_of_two() {
            tally.sequence = sequence;
            tally.message.clone_from(&reject.message);
            tally.excerpt.clone_from(&reject.excerpt);
        }
        metrics::counter!("meetnet_rejects_total", "source" => source.to_string(), "reason" => reason.as_str())
            .increment(1);
    }
}

/// What rows of a source carry.
#[derive(Clone, Debug)]
struct SourceFacts {
    id: SourceId,
    licence: LicenceId,
    precedence: i32,
}

/// A frame that repeats an earlier message.
#[derive(Debug)]
struct Replayed {
    /// Position of its envelope in the group.
    envelope: u32,
    /// Where the message stood first: its rejects keep their key.
    original: Sequence,
    /// The rejects that it is to resolve, and those that were dropped.
    handled: Handled,
}

impl Replayed {
    /// Marks those rejects of the message that were dropped before.
    ///
    /// Ordinals count all rejects of a message, so they shift where one before is mended. Of a reason those that come out are
    /// therefore the known ones in their order, where no ordinal says more. Where fewer come out than are known, and one of
    /// the known is open, nobody can tell which is mended: then all of that reason are told.
    fn mark_dropped(&self, rejects: &[Reject], is_dropped: &mut [bool]) {
        let Handled {
            rejects: open,
            dropped,
            ..
        } = &self.handled;
        let start = rejects.partition_point(|reject| reject.envelope < self.envelope);
        let end = rejects.partition_point(|reject| reject.envelope <= self.envelope);
        let reasons: BTreeSet<RejectReason> = dropped.iter().map(|(_, reason)| *reason).collect();
        for reason in reasons {
            // By ordinal: whether it was dropped.
            let mut known: BTreeMap<u32, bool> = BTreeMap::new();
            for (list, was_dropped) in [(open, false), (dropped, true)] {
                let of_reason = list.iter().filter(|(_, of)| *of == reason);
                known.extend(of_reason.map(|(ordinal, _)| (*ordinal, was_dropped)));
            }
            let again: Vec<usize> = (start..end)
                .filter(|at| rejects[*at].reason == reason)
                .collect();
            let stands = |ordinal: &u32| {
                let at = again.binary_search_by_key(ordinal, |at| rejects[*at].ordinal);
                at.is_ok()
            };
            if known.keys().all(stands) {
                for at in again {
                    is_dropped[at] = known.get(&rejects[at].ordinal) == Some(&true);
                }
            } else if again.len() >= known.len() || known.values().all(|dropped| *dropped) {
                for (at, was_dropped) in again.into_iter().zip(known.into_values()) {
                    is_dropped[at] = was_dropped;
                }
            }
        }
        // Where another reject takes the row of one that was dropped, nothing says any more that it was.
        let is_taken = |at: usize| {
            let ordinal = rejects[at].ordinal;
            !is_dropped[at] && dropped.iter().any(|(of, _)| *of == ordinal)
        };
        if (start..end).any(is_taken) {
            for (reject, is_dropped) in rejects[start..end].iter().zip(&mut is_dropped[start..end])
            {
                *is_dropped &= dropped.contains(&(reject.ordinal, reject.reason));
            }
        }
    }
}

/// Returns the rejects without those that were dropped before their message was replayed: they stay so.
fn without_dropped<'r>(rejects: &'r [Reject], replayed: &[Replayed]) -> Vec<&'r Reject> {
    let mut is_dropped = vec![false; rejects.len()];
    for replayed in replayed {
        replayed.mark_dropped(rejects, &mut is_dropped);
    }
    let by_reject = rejects.iter().zip(is_dropped);
    by_reject
        .filter(|(_, is_dropped)| !is_dropped)
        .map(|(reject, _)| reject)
        .collect()
}

/// A row of `rejects` to be written.
struct RejectRow<'a> {
    envelope: u32,
    ordinal: u32,
    reason: RejectReason,
    message: &'a str,
    excerpt: Option<&'a str>,
    resolution: Option<&'static str>,
}

/// A decoded group.
pub(super) struct Taken {
    /// Rows per dataset, rejects among them.
    pub(super) rows: Vec<DatasetRows>,
    /// By envelope: what its rows carry. Behind them: what rows of imports carry, which are as old as they say themselves.
    pub(super) lineage: Arc<[Lineage]>,
    /// How many envelopes there are.
    pub(super) envelopes: usize,
    /// What could not become a row, in the order of the envelopes.
    pub(super) rejects: Vec<Reject>,
    /// How many more rejects envelopes have, in the order of the envelopes.
    pub(super) unlisted: Vec<(u32, u32)>,
    /// By envelope: whether the clock was off when it was received. Empty where it never was.
    clock_steps: Vec<bool>,
}

impl Taken {
    /// Returns per row of one dataset whether its time is a receive time that may be wrong. Empty where none is.
    pub(super) fn clock_steps_of(&self, rows: &DatasetRows) -> Vec<bool> {
        if self.clock_steps.is_empty() {
            return Vec::new();
        }
        let by_row = rows.timeless.iter().zip(&rows.envelopes);
        by_row
            .map(|(timeless, envelope)| *timeless && self.clock_steps[*envelope as usize])
            .collect()
    }

    /// Counts the rejects, in the order of the journal.
    pub(super) fn count_rejects(&self, counts: &RejectCounts) {
        for reject in &self.rejects {
            let lineage = &self.lineage[reject.envelope as usize];
            counts.add(&lineage.source, lineage.sequence, reject);
        }
    }

    /// Tells waiting pushes what became of their body.
    pub(super) fn report(&self, outcomes: &OutcomeRegistry) {
        for (index, lineage) in self.lineage[..self.envelopes].iter().enumerate() {
            if !outcomes.is_awaited(lineage.sequence) {
                continue;
            }
            let index = index as u32;
            let accepted: usize = self
                .rows
                .iter()
                .filter(|rows| rows.declaration.is_public())
                .map(|rows| {
                    // Positions of imported rows do not ascend, sequences do.
                    let sequence = |envelope: &u32| self.lineage[*envelope as usize].sequence;
                    let of_rows = &rows.envelopes;
                    let start = of_rows.partition_point(|e| sequence(e) < lineage.sequence);
                    let end = of_rows.partition_point(|e| sequence(e) <= lineage.sequence);
                    end - start
                })
                .sum();
            let rejects = self
                .rejects
                .iter()
                .filter(|reject| reject.envelope == index)
                .map(|reject| OutcomeReject {
                    reason: reject.reason,
                    message: reject.message.clone(),
                    item: reject.item,
                })
                .collect();
            let unlisted = self
                .unlisted
                .binary_search_by_key(&index, |(envelope, _)| *envelope)
                .map_or(0, |found| u64::from(self.unlisted[found].1));
            outcomes.report(
                lineage.sequence,
                Outcome {
                    accepted: accepted as u64,
                    rejects,
                    unlisted,
                },
            );
        }
    }
}

/// Decodes by one declarations frame.
pub(super) struct GroupDecoder {
    decoders: Decoders,
    /// For what imports refused; none before the first of it.
    of_imports: Option<ImportDecoders>,
    key: PrivacyKey,
    group: Group,
    pub(super) rules: Arc<QualityRules>,
    pub(super) precedences: Precedences,
    rejects: Option<RowsBuilder>,
    sources: HashMap<Box<str>, SourceFacts>,
    lineage: Vec<Lineage>,
    clock_steps: Vec<bool>,
    topics: Vec<Box<str>>,
    /// Ascending by envelope.
    replayed: Vec<Replayed>,
    /// Ascending by envelope.
    imported: Vec<Imported>,
    /// Ascending by envelope.
    confirming: Vec<Confirming>,
    meta: Vec<(Box<str>, Box<str>)>,
    /// What it decodes has been told before, and is only compared: messages that are ignored have been counted, and one that
    /// confirms some of its rows is wanted whole.
    pub(super) only_compares: bool,
}

impl GroupDecoder {
    pub(super) fn new(
        declarations: &Arc<Declarations>,
        key: &PrivacyKey,
    ) -> Result<Self, DecodeSetupError> {
        let decoders = Decoders::new(declarations, key)?;
        let sources = declarations
            .sources
            .values()
            .map(|source| {
                let facts = SourceFacts {
                    id: source.id.clone(),
                    licence: source.licence.clone(),
                    precedence: source.precedence,
                };
                (Box::from(source.id.as_str()), facts)
            })
            .collect();
        let declared = declarations.sources.values();
        let precedences = declared
            .filter(|source| source.precedence != 0)
            .map(|source| (source.id.clone(), source.precedence));
        Ok(Self {
            group: decoders.group(),
            decoders,
            of_imports: None,
            key: key.clone(),
            rules: Arc::new(QualityRules::new(declarations)),
            precedences: Arc::new(precedences.collect()),
            rejects: declarations.dataset(REJECTS).cloned().map(RowsBuilder::new),
            sources,
            lineage: Vec::new(),
            clock_steps: Vec::new(),
            topics: Vec::new(),
            replayed: Vec::new(),
            imported: Vec::new(),
            confirming: Vec::new(),
            meta: Vec::new(),
            only_compares: false,
        })
    }

    /// Returns the decoders.
    pub(super) fn decoders(&self) -> &Decoders {
        &self.decoders
    }

    /// Decodes one envelope or replay frame.
    pub(super) fn decode(&mut self, frame: &FrameRef<'_>) {
        let SourceFacts {
            id,
            licence,
            precedence,
        } = self.facts(frame.source);
        let index = self.lineage.len() as u32;
        let is_replay = frame.kind == FrameKind::Replay;
        let may_confirm = is_replay && !self.only_compares;
        let confirmed = may_confirm
            .then(|| ConfirmedRows::read(frame.meta))
            .flatten();
        self.lineage.push(Lineage {
            sequence: frame.sequence,
            received_at: frame.received_at,
            recorded_at: frame.recorded_at,
            source: id,
            licence,
            precedence,
            confirms: confirmed.is_some(),
        });
        self.confirming.extend(confirmed.map(|rows| Confirming {
            envelope: index,
            rows,
        }));
        self.clock_steps.push(frame.clock_step);
        let handled = is_replay.then(|| Handled::read(frame.meta));
        let is_dropped = handled
            .as_ref()
            .is_some_and(|handled| handled.decision == Decision::Drop);
        if let Some(handled) = handled {
            self.replayed.push(Replayed {
                envelope: index,
                original: frame.original_sequence.unwrap_or(frame.sequence),
                handled,
            });
        }
        let piece = ImportedPiece::read(frame.meta);
        let is_imported = piece.is_some();
        self.imported.extend(piece.map(|piece| Imported {
            envelope: index,
            piece,
        }));
        if is_dropped {
            // Nobody wants its rows: only its rejects change.
            self.topics.push(frame.topic.into());
            return;
        }
        self.meta.clear();
        let of_message =
            |(name, _): &(&str, &str)| !REPLAY_META.contains(name) && *name != IMPORT_META;
        self.meta.extend(
            frame
                .meta
                .iter()
                .filter(of_message)
                .map(|(name, value)| (name.into(), value.into())),
        );
        if is_imported && self.of_imports.is_none() {
            self.of_imports = ImportDecoders::new(self.decoders.declarations(), &self.key);
        }
        let of_imports = self.of_imports.as_ref().filter(|_| is_imported);
        let decoders = of_imports.map_or(&self.decoders, ImportDecoders::decoders);
        let topic = of_imports.map_or(frame.topic, |of| of.topic(frame.source, frame.topic));
        let rejects = self.group.rejects();
        let ignored = self.group.ignored();
        let envelope = EnvelopeRef {
            sequence: frame.sequence.0,
            source: frame.source,
            topic,
            meta: &self.meta,
            payload: frame.payload,
            received_at: frame.received_at,
            truncated: frame.truncated,
        };
        decoders.decode(index, &envelope, &mut self.group);
        if !self.only_compares && self.group.ignored() > ignored {
            metrics::counter!("meetnet_messages_ignored_total", "source" => frame.source.to_owned())
                .increment(self.group.ignored() - ignored);
        }
        // Only rejects need the topic again, and rows about them.
        let may_be_told = is_replay || is_imported;
        let topic = if self.group.rejects() > rejects || may_be_told {
            frame.topic
        } else {
            ""
        };
        self.topics.push(topic.into());
    }

    /// Returns what rows of a source carry; a source that is not declared any more is remembered when it is first met.
    fn facts(&mut self, source: &str) -> SourceFacts {
        if let Some(facts) = self.sources.get(source) {
            return facts.clone();
        }
        let facts = SourceFacts {
            id: SourceId::new(source),
            licence: LicenceId::new(UNKNOWN_LICENCE),
            precedence: 0,
        };
        self.sources.insert(source.into(), facts.clone());
        facts
    }

    /// Takes what has been decoded and leaves room for the next group.
    pub(super) fn take(&mut self) -> Taken {
        let Decoded {
            mut rows,
            mut rejects,
            mut unlisted,
        } = self.group.take();
        let envelopes = self.lineage.len();
        if !self.confirming.is_empty() {
            settle_confirming(&self.confirming, &mut rows, &mut rejects, &mut unlisted);
        }
        if !self.imported.is_empty() {
            settle_imported(&self.imported, &mut rows, &mut rejects, &mut self.lineage);
        }
        rows.extend(self.reject_rows(&rejects));
        self.topics.clear();
        self.replayed.clear();
        self.imported.clear();
        self.confirming.clear();
        let mut clock_steps = std::mem::take(&mut self.clock_steps);
        if !clock_steps.contains(&true) {
            // Almost always: nobody has to look at each row.
            clock_steps.clear();
        }
        Taken {
            rows,
            lineage: self.lineage.drain(..).collect(),
            envelopes,
            rejects,
            unlisted,
            clock_steps,
        }
    }

    /// Builds the rows of `rejects`: what could not become a row, and what a replay resolved.
    fn reject_rows(&mut self, rejects: &[Reject]) -> Option<DatasetRows> {
        let Self {
            rejects: builder,
            lineage,
            topics,
            replayed,
            imported,
            ..
        } = self;
        let builder = builder.as_mut()?;
        let replayed = replayed.as_slice();
        let told = without_dropped(rejects, replayed);
        let open = told.iter().map(|reject| RejectRow {
            envelope: reject.envelope,
            ordinal: reject.ordinal,
            reason: reject.reason,
            message: &reject.message,
            excerpt: Some(&reject.excerpt),
            resolution: None,
        });
        let mut reject_rows: Vec<RejectRow<'_>> = open.collect();
        for replayed in replayed.iter() {
            let (resolution, message) = match replayed.handled.decision {
                Decision::Replay => ("replayed", "its message was replayed without this reject"),
                Decision::Drop => ("dropped", "the data team dropped it"),
            };
            for (ordinal, reason) in &replayed.handled.rejects {
                let again = |reject: &&Reject| {
                    (reject.envelope, reject.ordinal) == (replayed.envelope, *ordinal)
                };
                if !told.iter().any(again) {
                    reject_rows.push(RejectRow {
                        envelope: replayed.envelope,
                        ordinal: *ordinal,
                        reason: *reason,
                        message,
                        excerpt: None,
                        resolution: Some(resolution),
                    });
                }
            }
        }
        if !replayed.is_empty() {
            reject_rows.sort_by_key(|row| (row.envelope, row.ordinal));
        }
        for row in &reject_rows {
            let lineage = &lineage[row.envelope as usize];
            let of_replay = replayed
                .binary_search_by_key(&row.envelope, |replayed| replayed.envelope)
                .ok()
                .map(|at| replayed[at].original);
            let declaration = Arc::clone(builder.declaration());
            let mut text = |name: &str, value: Option<&str>| {
                if let Some((column, value)) = declaration.column_index(name).zip(value) {
                    builder.set_text(column, value);
                }
            };
            // A level of it may be a hardware id.
            let topic = redact(topics[row.envelope as usize].as_bytes());
            text("topic", (!topic.is_empty()).then_some(topic.as_str()));
            text("reason", Some(row.reason.as_str()));
            text("message", Some(row.message));
            text("excerpt", row.excerpt);
            text("resolution", row.resolution);
            let of_import = imported.binary_search_by_key(&row.envelope, |of| of.envelope);
            let piece = of_import.ok().map(|at| imported[at].piece.id.as_str());
            text(IMPORT_PIECE, piece);
            let mut int = |name: &str, value: Option<i64>| {
                if let Some((column, value)) = declaration.column_index(name).zip(value) {
                    builder.set_int(column, value);
                }
            };
            let sequence = of_replay.unwrap_or(lineage.sequence);
            int("sequence", Some(sequence.0 as i64));
            int("ordinal", Some(i64::from(row.ordinal)));
            int(
                "resolved_by",
                row.resolution.map(|_| lineage.sequence.0 as i64),
            );
            if let Some(column) = declaration.column_index("time") {
                builder.set_receive_time(column, lineage.received_at);
            }
            if let Err(column) = builder.finish_row(row.envelope) {
                // A folder that overrides `rejects` may ask for a column that no reject has.
                tracing::error!(
                    column,
                    "dataset `rejects` requires a column that is not filled"
                );
            }
        }
        (!builder.is_empty()).then(|| builder.take())
    }
}

/// Counts what became of rows of a dataset.
pub(super) fn count_applied(dataset: &DatasetId, applied: Applied) {
    let count = |outcome: &'static str, number: u64| {
        if number > 0 {
            let dataset = dataset.to_string();
            metrics::counter!("meetnet_rows_total", "dataset" => dataset, "outcome" => outcome)
                .increment(number);
        }
    };
    count("inserted", applied.inserted);
    count("revised", applied.revised);
    count("unchanged", applied.unchanged);
    count("history", applied.history);
    count("skipped", applied.skipped);
}

#[cfg(test)]
mod tests;
