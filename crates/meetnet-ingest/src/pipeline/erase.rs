//! Erasing a sensor: afterwards no file holds a byte of it. The request is a frame of the journal, which names it by a
//! pseudonym only.
//!
//! ```text
//! erase frame E ─▶ 1 barrier ─▶ 2 find ─▶ 3 rejects ─▶ 4 datasets ─▶ 5 checkpoint ─▶ 6 raw messages ─▶ 7 T = E
//! ```
//!
//! 1. **Barrier.** Everything before E is committed, merges and vacuums are ended, segments up to the frame before E are
//!    trimmed, and the journal goes on in a new segment: what is to go stands in files that nobody writes.
//! 2. **Find**, changing nothing: rows of the subject in live files, current and replaced; the messages that they came
//!    from; and raw messages in archive and journal that decode to such rows or, where they cannot be decoded, name it.
//! 3. **Rejects** of those messages, and those whose texts name it.
//! 4. **Datasets**, one after the other: files written again without the rows, one commit, then everything that is left
//!    over of the table's past: statistics in the log, replaced files, orphans, the quarantine (see the lake).
//! 5. **Checkpoint** without what the DUP windows hold of those messages: their topics may name it.
//! 6. **Raw messages**: their frames lose their content, in the archive and in the journal. A message that also held rows
//!    of others goes whole; those rows stay in their tables. What nobody can read goes as well.
//! 7. T becomes E: the request is done.
//!
//! **A crash** anywhere leaves T before E, so the restart meets E again and does all of it once more; frames behind E
//! have not been applied, so it finds what it found before, less what is gone. The order matters in three places: rejects
//! are found by the rows and messages they belong to, so they go first (3 before 4 and 6); entries of DUP windows are
//! found by the sequences of messages that can still be decoded (5 before 6); and a row in a table is found by its own
//! subject, so that nothing else needs to be left for it (4 alone). Every step is synced before the next begins.
//!
//! **An error** (a full disk, a file that cannot be read) leaves the same state. A running pipeline says so, tries again
//! after [`RETRY_PAUSE`], and applies nothing behind E before it has succeeded; a start fails.
//!
//! What arrives after E is stored: who erases a sensor first sees to it that it is silent. That includes a message from
//! before E that a broker delivers again, as nothing is left to recognise it by.

mod judge;
mod request;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use meetnet_lake::journal::{ErasedFrames, FrameRef, JournalError};
use meetnet_lake::{ErasedRows, LakeError};
use meetnet_model::ids::{DatasetId, Sequence};
use tracing::{error, info};

use self::judge::{FrameJudge, ORIGIN_COLUMNS, Origins, REJECT_COLUMNS, RejectJudge, note_origins};
pub use self::request::EraseRequest;
pub(super) use self::request::Journalled;
use self::request::Wanted;
use super::PipelineError;
use super::group::REJECTS;
use super::run::Runner;

/// Pause after an erasure that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 10_000 });

/// What an erasure took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EraseReport {
    /// The frame that asked for it.
    pub sequence: Sequence,
    /// Rows per dataset that had any, replaced versions and rejects among them.
    pub datasets: BTreeMap<DatasetId, u64>,
    /// Sums over all tables.
    pub tables: ErasedRows,
    /// Raw messages.
    pub frames: ErasedFrames,
    /// Raw messages among them that also held rows of others: those rows stay, but cannot be decoded again.
    pub mixed_frames: u64,
}

impl EraseReport {
    fn add(&mut self, dataset: &DatasetId, erased: ErasedRows) {
        if erased.rows > 0 {
            self.datasets.insert(dataset.clone(), erased.rows);
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
    /// Carries out an erase frame; everything before it has been applied. False: it failed, and is to be met again.
    pub(super) fn carry_out_erasure(
        &mut self,
        frame: &FrameRef<'_>,
    ) -> Result<bool, PipelineError> {
        let sequence = frame.sequence;
        let mut wanted = Wanted::read(frame.payload, &self.key)
            .map_err(|source| PipelineError::EraseRequest { sequence, source })?;
        let started = Instant::now();
        let result = self.erase(frame, &mut wanted);
        let waiting = self.erasing.remove(&sequence);
        match result {
            Ok(report) => {
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
                if let Some(waiting) = waiting {
                    let _ = waiting.send(Ok(report));
                }
                self.erase_retry_at = None;
                Ok(true)
            }
            Err(Failure::Restart(error)) => Err(error),
            Err(Failure::Again(source)) => {
                let failed = PipelineError::Erase {
                    sequence,
                    source: Box::new(source),
                };
                if self.replaying {
                    return Err(failed);
                }
                error!(
                    error = &failed as &dyn std::error::Error,
                    "an erasure failed: trying again, and applying nothing meanwhile"
                );
                metrics::counter!("meetnet_erasure_failures_total").increment(1);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(Err(failed));
                }
                self.erase_retry_at = Some(Instant::now() + RETRY_PAUSE);
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
        self.lake.settle()?;
        self.save_checkpoint()?;
        let sealed = self.journal.seal()?;
        self.journal.wait_durable(sealed.sequence)?;

        let through = Sequence(sequence.0 - 1);
        let decoders = self.decoder.decoders();
        let mut judge = FrameJudge::new(wanted, &self.key, decoders);
        let found_frames = self
            .journal
            .find_frames(through, &mut |group| judge.judge(group))?;
        report.mixed_frames = judge.mixed;
        let mut found_rows = Vec::new();
        let mut origins = Origins::new();
        for declaration in self.lake.datasets() {
            let Some(subject) = declaration.subject_column() else {
                continue;
            };
            let column = subject.name.clone();
            let select = &mut |rows: &RecordBatch| wanted.rows(rows, &column);
            let found = self
                .lake
                .find_rows(&declaration.id, &[column.as_str()], select)?;
            for rows in self.lake.read_found(&found, &ORIGIN_COLUMNS)? {
                note_origins(&rows, &mut origins);
            }
            found_rows.push((declaration.id.clone(), column, found));
        }

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
            report.add(&rejects, erased);
        }
        for (dataset, column, found) in found_rows {
            let select = &mut |rows: &RecordBatch| wanted.rows(rows, &column);
            let erased = self
                .lake
                .erase_rows(&found, &[column.as_str()], select)
                .map_err(restart)??;
            report.add(&dataset, erased);
        }
        self.lake.publish();

        self.dup_windows.forget(&sequences);
        self.save_checkpoint()?;
        report.frames = self.journal.erase_frames(&found_frames)?;
        self.lake.advance(sequence, frame.recorded_at);
        self.save_checkpoint()?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests;
