//! Rows that come past the journal, chunk by chunk: imports, and stored rows with new flags. Nothing but the table knows of
//! them, so a chunk is committed before its caller hears of it.

use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::rows::DatasetRows;

use super::{Lake, Outcome, is_committing, unknown};
use crate::actor::{Applied, Flag, IMPORT_APP, Lineage, NewFlags, Reflagged};
use crate::error::LakeError;
use crate::table::log::TableLog;

/// Stands for the id of an import where stored rows get new flags.
const REFLAG: &str = "flags";

/// Whether files were imported into the table of a log.
pub(crate) fn has_imports(log: &TableLog) -> bool {
    let mut ids = log
        .txns(IMPORT_APP)
        .filter_map(|(id, _)| id.strip_prefix(IMPORT_APP));
    // Those that only take turns are made of rows of other datasets.
    ids.any(|id| id != REFLAG && !id.contains('/'))
}

impl Lake {
    /// How often a repair has taken files out of a dataset. What an import had consumed before the last one says nothing of
    /// what is there: it is to have another id for the dataset from then on.
    pub fn repairs_of(&self, dataset: &DatasetId) -> u64 {
        let table = self.tables.get(dataset);
        table.map_or(0, |table| table.actor.repairs())
    }

    /// How far an import has come in a dataset: rows consumed; None where it never began. Ids that differ behind their last
    /// `/` only take turns: where another of them has come as far since, it is None.
    pub fn import_position(&self, dataset: &DatasetId, import_id: &str) -> Option<u64> {
        let actor = &self.tables.get(dataset)?.actor;
        let app_id = format!("{IMPORT_APP}{import_id}");
        let position = actor.txn(&app_id)?;
        if let Some((turns, _)) = app_id.rsplit_once('/')
            && import_id.contains('/')
            && actor.is_overtaken(&app_id, &format!("{turns}/"))
        {
            return None;
        }
        Some(position.max(0) as u64)
    }

    /// Takes one chunk of an import past the journal: hot rows of its dataset are committed first, then the chunk,
    /// together with the import's new position `consumed` (rows). Importing it again changes nothing.
    ///
    /// # Errors
    /// Where the chunk cannot be taken now: nothing of it is answered, unless nobody knows whether it was committed.
    pub fn import(
        &mut self,
        import_id: &str,
        consumed: u64,
        rows: &DatasetRows,
        lineage: &[Lineage],
        flag: &mut Flag<'_>,
    ) -> Result<Applied, LakeError> {
        let id = rows.declaration.id.clone();
        self.clear_hot(&id)?;
        let table = self.tables.get_mut(&id).ok_or_else(|| unknown(&id))?;
        let applied = table.actor.apply(rows, lineage, false, flag)?;
        let txns = vec![(format!("{IMPORT_APP}{import_id}"), consumed as i64)];
        self.commit_or_forget(&id, txns)?;
        Ok(applied)
    }

    /// Gives stored rows of a dataset new flags, as of a frame: hot rows of the dataset are committed first, then the new
    /// versions. To do it again changes nothing.
    ///
    /// # Errors
    /// As [`Lake::import`].
    pub fn reflag(
        &mut self,
        flags: &NewFlags,
        sequence: Sequence,
        recorded_at: i64,
    ) -> Result<Reflagged, LakeError> {
        let id = &flags.dataset;
        self.clear_hot(id)?;
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        let reflagged = table.actor.reflag(flags, sequence, recorded_at)?;
        if reflagged.revised > 0 {
            // No frame holds these versions either: whoever loses the version of the log must know that they were on the way.
            let txns = vec![(format!("{IMPORT_APP}{REFLAG}"), sequence.0 as i64)];
            self.commit_or_forget(id, txns)?;
        }
        Ok(reflagged)
    }

    /// Commits what of a dataset is hot: what comes past the journal is committed alone, and a failed attempt before it is
    /// settled first.
    fn clear_hot(&mut self, id: &DatasetId) -> Result<(), LakeError> {
        self.wait_for_commits()?;
        self.run_again(id)?;
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        if table.actor.hot_rows() > 0 {
            self.commit_whole(id)?;
        }
        Ok(())
    }

    /// Commits what has come past the journal and lets readers see it; where that fails, it is as if nothing had come.
    fn commit_or_forget(
        &mut self,
        id: &DatasetId,
        txns: Vec<(String, i64)>,
    ) -> Result<(), LakeError> {
        let committed = self.commit_import(id, txns);
        if let Some(table) = self.tables.get_mut(id)
            && committed.is_err()
            && table.again.is_none()
        {
            // No journal holds the rows: they must not be answered now and be gone after a restart.
            table.actor.forget_hot();
        }
        self.publish();
        committed
    }

    /// Commits one dataset on this thread, whatever it touches, together with positions of imports.
    fn commit_import(&mut self, id: &DatasetId, txns: Vec<(String, i64)>) -> Result<(), LakeError> {
        let now_ms = self.options.clock.now_ms();
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        let job = table
            .actor
            .freeze_through(self.through, self.stable_time, txns, now_ms)
            .ok_or_else(|| is_committing(id))?;
        table.hot_since = None;
        self.admit(Outcome::Commit(job.run()))?
    }
}
