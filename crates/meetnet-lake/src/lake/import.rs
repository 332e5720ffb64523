//! Imports: rows that come past the journal, chunk by chunk. Nothing but the table knows of them, so a chunk is committed
//! before its caller hears of it.

use meetnet_model::ids::DatasetId;
use meetnet_model::rows::DatasetRows;

use super::{Lake, Outcome, is_committing, unknown};
use crate::actor::{Applied, Flag, IMPORT_APP, Lineage};
use crate::error::LakeError;

impl Lake {
    /// How far an import has come in a dataset: rows consumed; None where it never began.
    pub fn import_position(&self, dataset: &DatasetId, import_id: &str) -> Option<u64> {
        let position = self
            .tables
            .get(dataset)?
            .actor
            .txn(&format!("{IMPORT_APP}{import_id}"))?;
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
        self.wait_for_commits()?;
        // The chunk is committed alone, and a failed attempt before it is settled first.
        self.run_again(&id)?;
        let table = self.tables.get_mut(&id).ok_or_else(|| unknown(&id))?;
        if table.actor.hot_rows() > 0 {
            self.commit_whole(&id)?;
        }
        let table = self.tables.get_mut(&id).ok_or_else(|| unknown(&id))?;
        let applied = table.actor.apply(rows, lineage, false, flag)?;
        let txns = vec![(format!("{IMPORT_APP}{import_id}"), consumed as i64)];
        let committed = self.commit_import(&id, txns);
        if let Some(table) = self.tables.get_mut(&id)
            && committed.is_err()
            && table.again.is_none()
        {
            // No journal holds the rows: they must not be answered now and be gone after a restart.
            table.actor.forget_hot();
        }
        self.publish();
        committed.map(|()| applied)
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
