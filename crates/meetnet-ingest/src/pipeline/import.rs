//! What goes past the journal, one chunk at a time, between two frames: rows of imports, and new flags of stored rows.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::journal::Appended;
use meetnet_lake::{Applied, LakeError, Lineage, NewFlags, Reflagged};
use meetnet_model::ids::DatasetId;
use meetnet_quality::RowFacts;

use super::group::count_applied;
use super::run::Runner;
use super::{ImportChunk, PipelineError};

/// How long a chunk waits for the journal's disk: everything else waits with it.
const SYNC_WAIT_MAX: Duration = Duration::from_secs(10);

impl Runner {
    /// Takes one chunk of an import. The outer error is the pipeline's, the inner one the chunk's.
    ///
    /// # Errors
    /// Where the journal has stopped, or only a restart can tell what the tables hold.
    pub fn import(
        &mut self,
        chunk: ImportChunk,
    ) -> Result<Result<Applied, LakeError>, PipelineError> {
        self.import_after(chunk, None)
    }

    /// Takes one chunk of rows that were made of others, as an import is taken: unless more has been erased than
    /// `erasures`, the number of erasures before the others were read.
    ///
    /// # Errors
    /// As [`Runner::import`].
    pub fn derived(
        &mut self,
        chunk: ImportChunk,
        erasures: u64,
    ) -> Result<Result<Applied, LakeError>, PipelineError> {
        self.import_after(chunk, Some(erasures))
    }

    /// Returns how many erasures have been carried out since the start.
    pub fn erasures(&self) -> u64 {
        self.erasures
    }

    fn import_after(
        &mut self,
        chunk: ImportChunk,
        erasures: Option<u64>,
    ) -> Result<Result<Applied, LakeError>, PipelineError> {
        let id = &chunk.rows.declaration.id;
        let tick = match self.stand_for("import", id)? {
            Ok(tick) => tick,
            Err(error) => return Ok(Err(error)),
        };
        if erasures.is_some_and(|erasures| erasures != self.erasures) {
            // The rows may hold what is gone. Its table has none of it any more, and must not get it back.
            let message =
                format!("rows of `{id}`: something was erased since their input was read");
            return Ok(Err(LakeError::Usage(message)));
        }
        if let Err(error) = self.name_source(&chunk) {
            return Ok(Err(error));
        }
        let ImportChunk {
            import_id,
            consumed,
            mut rows,
            source,
            licence,
            received_at,
        } = chunk;
        let received_at = match received_at {
            Some(times) => times,
            None => {
                let name = rows.declaration.time_column();
                let times = rows
                    .batch
                    .column_by_name(name)
                    .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
                match times {
                    Some(times) => times.values().to_vec(),
                    None => {
                        let message = format!("import of `{}`: no times", rows.declaration.id);
                        return Ok(Err(LakeError::Usage(message)));
                    }
                }
            }
        };
        let precedences = &self.decoder.precedences;
        let precedence = precedences.get(&source).copied().unwrap_or(0);
        self.lake.set_precedences(&rows.declaration.id, precedences);
        // Rows of one line have one time: those that follow each other share what says where they come from.
        let mut lineage: Vec<Lineage> = Vec::new();
        let of_rows = received_at.iter().map(|received_at| {
            let last = lineage.last().map(|last| last.received_at);
            if last != Some(*received_at) {
                lineage.push(Lineage {
                    sequence: tick.sequence,
                    received_at: *received_at,
                    recorded_at: tick.recorded_at,
                    source: source.clone(),
                    licence: licence.clone(),
                    precedence,
                    confirms: false,
                });
            }
            lineage.len() as u32 - 1
        });
        rows.envelopes = of_rows.collect();
        let rules = &self.decoder.rules;
        // Where no receive times were given, they are the rows' own times, which are not ahead of themselves.
        let flag = &mut |declaration: &_, batch: &_, positions: &[u32]| {
            let received_at = positions
                .iter()
                .map(|position| received_at[*position as usize]);
            let received_at: Vec<i64> = received_at.collect();
            let facts = RowFacts {
                received_at: &received_at,
                ..RowFacts::default()
            };
            rules.flag(declaration, batch, facts)
        };
        let applied = self
            .lake
            .import(&import_id, consumed, &rows, &lineage, flag);
        if let Ok(applied) = &applied {
            count_applied(&rows.declaration.id, *applied);
        }
        Ok(applied)
    }

    /// Has the dataset of a chunk name its source. The declarations say which datasets a source's messages become rows of;
    /// what comes past the decoders may be more. Rows that are made of others are of no source: their dataset names those
    /// behind them.
    fn name_source(&mut self, chunk: &ImportChunk) -> Result<(), LakeError> {
        let declared = self.decoder.decoders().declarations();
        let Some(source) = declared.sources.get(&chunk.source) else {
            return Ok(());
        };
        match &source.attribution {
            Some(name) => {
                let id = &chunk.rows.declaration.id;
                self.lake.name_source(id, &chunk.licence, name)
            }
            None => Ok(()),
        }
    }

    /// Gives stored rows new flags. The outer error is the pipeline's, the inner one the rows'.
    ///
    /// # Errors
    /// As [`Runner::import`].
    pub fn reflag(
        &mut self,
        flags: &NewFlags,
    ) -> Result<Result<Reflagged, LakeError>, PipelineError> {
        let tick = match self.stand_for("new flags", &flags.dataset)? {
            Ok(tick) => tick,
            Err(error) => return Ok(Err(error)),
        };
        let id = &flags.dataset;
        let precedences = &self.decoder.precedences;
        self.lake.set_precedences(id, precedences);
        let reflagged = self.lake.reflag(flags, tick.sequence, tick.recorded_at);
        if let Ok(reflagged) = &reflagged {
            metrics::counter!("meetnet_quality_revised_total", "dataset" => id.to_string())
                .increment(reflagged.revised);
        }
        Ok(reflagged)
    }

    /// Appends a frame that stands for rows of a dataset which come past the journal: what was recorded before it comes
    /// before them in every answer AS OF, so it is applied first, and nothing after that frame is. The outer error is the
    /// pipeline's; the inner one says why they cannot come now.
    fn stand_for(
        &mut self,
        what: &str,
        id: &DatasetId,
    ) -> Result<Result<Appended, LakeError>, PipelineError> {
        let refused = |message: String| Ok(Err(LakeError::Usage(message)));
        let tick = match self.journal.append_tick() {
            Ok(tick) => tick,
            Err(error) => return refused(format!("{what}: {error}")),
        };
        if !self
            .journal
            .wait_durable_for(tick.sequence, SYNC_WAIT_MAX)?
        {
            return refused(format!(
                "{what}: the journal cannot be synced now, its log says why"
            ));
        }
        if let Err(error) = self.drain(tick.sequence)? {
            return Ok(Err(error));
        }
        if self.waiting.holds(id) {
            return refused(format!(
                "{what} of `{id}`: rows wait for a file that cannot be read; the log names it"
            ));
        }
        Ok(Ok(tick))
    }
}
