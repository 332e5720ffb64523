//! Erasing a sensor: afterwards no file holds a byte of it. The request is a frame of the journal, which names it by a
//! pseudonym only.
//!
//! ```text
//! erase frame E ─▶ 1 barrier ─▶ 2 find ─▶ 3 rejects ─▶ 4 checkpoint ─▶ 5 raw messages ─▶ 6 datasets ─▶ 7 T = E
//! ```
//!
//! 1. **Barrier.** Everything before E is committed, merges and vacuums are ended, segments up to the frame before E are
//!    trimmed, and the journal goes on in a new segment: what is to go stands in files that nobody writes. No backup is
//!    under way, and none begins before the end ([`Journal::begin_erasure`](meetnet_lake::journal::Journal::begin_erasure)).
//! 2. **Find**, changing nothing: rows of the subject in live files, current and replaced; the messages that they came
//!    from, by source and receive time; and raw messages in archive and journal that decode to such rows or, where they
//!    cannot be decoded, name it.
//! 3. **Rejects** of those messages, and those whose texts name it.
//! 4. **Checkpoint** without what the DUP windows hold of those messages, whose topics may name it, and without what the
//!    quality tests remember of it.
//! 5. **Raw messages**: their frames lose their content, in the archive and in the journal. A message that also held rows
//!    of others goes whole; those rows stay in their tables. What nobody can read goes as well.
//! 6. **Datasets**, those that are gathered of several sensors first, and whole, then the others one after the other (whole,
//!    too, where their rows are compared with the subject): files written again without the rows, one commit, then everything
//!    that is left over of the table's past: statistics in the log, replaced files, orphans, the quarantine (see the lake).
//! 7. T becomes E: the request is done.
//!
//! **A crash** anywhere leaves T before E, so the restart meets E again and does all of it once more; frames behind E
//! have not been applied, so it finds what it found before, less what is gone. What is found by something goes before it:
//! rejects by rows and messages, entries of DUP windows by messages, messages by rows. A row in a table is found by its
//! own subject, so it goes last. Every step is synced before the next begins.
//!
//! **An error** (a full disk, a file that cannot be read) leaves the same state. The pipeline says so, tries again after
//! [`RETRY_PAUSE`], and applies nothing behind E before it has succeeded. A start goes on without the frames behind E:
//! messages are taken, what is committed is answered, and a repair can take a broken file away.
//!
//! What arrives after E is stored: who erases a sensor first sees to it that it is silent. That includes a message from
//! before E that a broker delivers again, as nothing is left to recognise it by.

mod judge;
mod request;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use crossbeam_channel::Sender;
use meetnet_decode::Subject;
use meetnet_lake::journal::{ErasedFrames, FrameRef, JournalError};
use meetnet_lake::{ErasedRows, LakeError};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::derivation::ConditionValue;
use meetnet_model::ids::{DatasetId, Sequence};
use tracing::{error, info};

use self::judge::{FrameJudge, ORIGIN_COLUMNS, Origins, REJECT_COLUMNS, RejectJudge, note_origins};
pub use self::request::EraseRequest;
use self::request::{Journalled, Wanted};
use super::PipelineError;
use super::group::REJECTS;
use super::run::Runner;

/// Pause after an erasure that failed; longer where it took longer than this to fail.
const RETRY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 10_000 });

/// Why something behind an erasure that failed has to wait.
pub(super) const EARLIER: &str = "an erasure before it is not complete: the log says why";

/// What an erasure took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EraseReport {
    /// The frame that asked for it.
    pub sequence: Sequence,
    /// Rows per dataset that had any of the subject, replaced versions and rejects among them.
    pub datasets: BTreeMap<DatasetId, u64>,
    /// Rows per dataset that went whole, because the rows of others in it give something of the subject away: what is left of
    /// their input is derived anew.
    pub whole_datasets: BTreeMap<DatasetId, u64>,
    /// Sums over all tables.
    pub tables: ErasedRows,
    /// Raw messages.
    pub frames: ErasedFrames,
    /// Raw messages among them that also held rows of others: those rows stay, but cannot be decoded again.
    pub mixed_frames: u64,
    /// What was asked for and is nowhere; where nobody waited for the end, nobody is told.
    pub missing: EraseRequest,
}

/// Who waits for an erasure, and what for: the frame names nobody.
pub(super) struct Waiting {
    request: EraseRequest,
    reply: Sender<Result<EraseReport, PipelineError>>,
}

impl EraseReport {
    fn add(&mut self, dataset: &DatasetId, goes_whole: bool, erased: ErasedRows) {
        let datasets = if goes_whole {
            &mut self.whole_datasets
        } else {
            &mut self.datasets
        };
        if erased.rows > 0 {
            datasets.insert(dataset.clone(), erased.rows);
        }
        self.tables += erased;
    }
}

/// What stopped an attempt.
enum Failure {
    /// Doing it all again may help.
    Again(PipelineError),
    /// Only a restart helps.
    Restart(PipelineError),
}

impl From<LakeError> for Failure {
    fn from(error: LakeError) -> Self {
        Self::Again(error.into())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Again(error.into())
    }
}

impl Runner {
    /// Journals a request to erase; its frame is carried out when it is met.
    pub(super) fn request_erasure(
        &mut self,
        request: &EraseRequest,
        reply: Sender<Result<EraseReport, PipelineError>>,
    ) {
        let appended = Journalled::new(request, self.decoder.decoders(), &self.key)
            .map_err(|source| PipelineError::UnknownSource { source_id: source })
            .and_then(|journalled| {
                // Before anything is journalled: what is journalled must be carried out.
                self.lake.refuse_former_tables()?;
                Ok(self.journal.append_erase(&journalled.to_bytes())?)
            });
        match appended {
            Ok(appended) => {
                let request = request.clone();
                let waiting = Waiting { request, reply };
                self.erasing.insert(appended.sequence, waiting);
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// Whether the next frame is an erasure that failed and is not to be tried again yet.
    pub(super) fn waits_to_erase(&self) -> bool {
        self.erase_retry_at.is_some_and(|at| Instant::now() < at)
    }

    /// Shows recovered frames that cannot be applied yet to the DUP windows: a broker sends again what it knows nothing of,
    /// whether it has been applied or not.
    pub(super) fn observe_behind(&self, last: Sequence) -> Result<(), PipelineError> {
        let bytes_max = self.options.limits.group_bytes_max;
        let mut reader = self.journal.reader(self.reader.position());
        while let Some(group) = reader.read_group_through(last, bytes_max)? {
            group
                .frames()
                .for_each(|frame| self.observe_recovered(&frame));
        }
        Ok(())
    }

    /// Carries out an erase frame; everything before it has been applied. False: it failed, and is to be met again.
    pub(super) fn carry_out_erasure(
        &mut self,
        frame: &FrameRef<'_>,
    ) -> Result<bool, PipelineError> {
        let sequence = frame.sequence;
        let mut wanted = Wanted::read(frame.payload, &self.key)
            .map_err(|source| PipelineError::EraseRequest { sequence, source })?
            .ok_or(PipelineError::EraseSecret { sequence })?;
        let started = Instant::now();
        let result = self.erase(frame, &mut wanted);
        let waiting = self.erasing.remove(&sequence);
        match result {
            Ok(mut report) => {
                let EraseReport {
                    tables: ErasedRows { rows, files, .. },
                    frames,
                    ..
                } = &report;
                let elapsed_ms = started.elapsed().as_millis() as u64;
                info!(
                    sequence = sequence.0,
                    rows,
                    files,
                    frames = frames.frames,
                    elapsed_ms,
                    "erased what was asked for"
                );
                metrics::counter!("meetnet_erasures_total").increment(1);
                self.erase_retry_at = None;
                self.journal.end_erasure(sequence);
                if let Some(waiting) = waiting {
                    report.missing = wanted.missing(&waiting.request, self.decoder.decoders());
                    let _ = waiting.reply.send(Ok(report));
                }
                Ok(true)
            }
            Err(Failure::Restart(error)) => Err(error),
            Err(Failure::Again(source)) => {
                let failed = PipelineError::Erase {
                    sequence,
                    source: Box::new(source),
                };
                error!(
                    error = &failed as &dyn std::error::Error,
                    "an erasure failed: trying again, and applying nothing meanwhile"
                );
                metrics::counter!("meetnet_erasure_failures_total").increment(1);
                if let Some(waiting) = waiting {
                    let _ = waiting.reply.send(Err(failed));
                }
                for (sequence, waiting) in std::mem::take(&mut self.erasing) {
                    let source = Box::new(LakeError::Usage(EARLIER.to_owned()).into());
                    let failed = PipelineError::Erase { sequence, source };
                    let _ = waiting.reply.send(Err(failed));
                }
                self.erase_retry_at = Some(Instant::now() + RETRY_PAUSE.max(started.elapsed()));
                Ok(false)
            }
        }
    }

    fn erase(&mut self, frame: &FrameRef<'_>, wanted: &mut Wanted) -> Result<EraseReport, Failure> {
        let sequence = frame.sequence;
        let mut report = EraseReport {
            sequence,
            ..EraseReport::default()
        };
        self.journal.begin_erasure(sequence)?;
        self.lake.refuse_former_tables()?;
        self.lake.settle()?;
        self.save_checkpoint()?;
        if !self.journal.is_sealed(sequence) {
            let sealed = self.journal.seal()?;
            self.journal.wait_durable(sealed.sequence)?;
        }

        let mut found_rows = Vec::new();
        let mut origins = Origins::new();
        for declaration in self.lake.datasets() {
            let Some(subject) = declaration.subject_column() else {
                continue;
            };
            let column = subject.name.clone();
            let goes_whole = is_compared(&declaration, wanted);
            let select = &mut |rows: &RecordBatch| to_erase(wanted, rows, &column, goes_whole);
            let found = self
                .lake
                .find_rows(&declaration.id, &[column.as_str()], select)?;
            for rows in self.lake.read_found(&found, &ORIGIN_COLUMNS)? {
                note_origins(&rows, &mut origins);
            }
            if goes_whole
                && found.count() > 0
                && let Some(subject) = reference_of(&declaration)
            {
                wanted.meets(subject);
            }
            found_rows.push((declaration.id.clone(), column, goes_whole, found));
        }
        let through = Sequence(sequence.0 - 1);
        let decoders = self.decoder.decoders();
        let mut judge = FrameJudge::new(wanted, &origins, &self.key, decoders);
        let found_frames = self
            .journal
            .find_frames(through, &mut |group| judge.judge(group))?;
        report.mixed_frames = judge.mixed;

        let restart = |error: LakeError| Failure::Restart(error.into());
        let sequences = found_frames.sequences();
        let rejects = DatasetId::new(REJECTS);
        if decoders.declarations().dataset(REJECTS).is_some() {
            let mut judge = RejectJudge {
                wanted,
                decoders,
                sequences: &sequences,
                origins: &origins,
            };
            let select = &mut |rows: &RecordBatch| judge.rows(rows);
            let found = self.lake.find_rows(&rejects, &REJECT_COLUMNS, select)?;
            let erased = self
                .lake
                .erase_rows(&found, &REJECT_COLUMNS, select)
                .map_err(restart)??;
            report.add(&rejects, false, erased);
        }
        self.dup_windows.forget(&sequences);
        self.history
            .forget(|sensor| wanted.holds(Subject::Sensor(sensor)));
        self.save_checkpoint()?;
        report.frames = self.journal.erase_frames(&found_frames)?;
        if found_rows.iter().any(|(.., found)| found.count() > 0) {
            self.erase_gathered(&mut report)?;
        }
        for (dataset, column, goes_whole, found) in found_rows {
            let select = &mut |rows: &RecordBatch| to_erase(wanted, rows, &column, goes_whole);
            let erased = self
                .lake
                .erase_rows(&found, &[column.as_str()], select)
                .map_err(restart)??;
            report.add(&dataset, goes_whole, erased);
        }
        self.lake.advance(sequence, frame.recorded_at);
        // It is done. A checkpoint that failed halfway may have archived the frame, so it is not to be met again for it.
        self.try_checkpoint();
        Ok(report)
    }

    /// Erases every row that is gathered of several sensors: it names none of them, and may be made of the one that goes. What
    /// is left of their input is gathered anew afterwards.
    fn erase_gathered(&mut self, report: &mut EraseReport) -> Result<(), Failure> {
        for declaration in self.lake.datasets() {
            let (Some(_), Some(column)) = (&declaration.gather, declaration.key.first()) else {
                continue;
            };
            let columns = [column.as_str()];
            let select = &mut |rows: &RecordBatch| vec![true; rows.num_rows()];
            let found = self.lake.find_rows(&declaration.id, &columns, select)?;
            let erased = self
                .lake
                .erase_rows(&found, &columns, select)
                .map_err(|error| Failure::Restart(error.into()))??;
            report.add(&declaration.id, true, erased);
        }
        Ok(())
    }
}

/// Returns whether the rows of a dataset say how far they are from one that is to be erased: value and difference of any of them
/// would give it away.
fn is_compared(declaration: &DatasetDeclaration, wanted: &mut Wanted) -> bool {
    reference_of(declaration).is_some_and(|subject| wanted.holds(subject))
}

/// Returns who the rows of a dataset are compared with.
fn reference_of(declaration: &DatasetDeclaration) -> Option<Subject<'_>> {
    match declaration.derive.as_ref()?.reference.as_ref()? {
        ConditionValue::Text(sensor) => Some(Subject::Sensor(sensor)),
        ConditionValue::Int(segment) => Some(Subject::Segment(*segment)),
    }
}

/// Says per row whether it goes: because the whole table does, or because of its subject, which stands in `column`.
fn to_erase(wanted: &mut Wanted, rows: &RecordBatch, column: &str, goes_whole: bool) -> Vec<bool> {
    if goes_whole {
        return vec![true; rows.num_rows()];
    }
    wanted.rows(rows, column)
}

#[cfg(test)]
mod tests;
