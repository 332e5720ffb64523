//! Rows of a pass on their way to whoever takes them, in chunks of about a size.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use meetnet_lake::LakeError;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::rows::DatasetRows;

use crate::deriver::{DerivedChunk, DerivedTables, not_taken, unreadable};
use crate::error::DeriveError;
use crate::fold::Finished;
use crate::position;

/// Rows of one chunk, about: each is a commit.
pub(crate) const CHUNK_ROWS: usize = 65_536;

/// Rows that have been computed and not handed over.
pub(crate) struct Outbox<'a> {
    declaration: &'a Arc<DatasetDeclaration>,
    position_id: &'a str,
    input: &'a DatasetId,
    /// Position before the pass; none: it is from the beginning.
    before: Option<i64>,
    /// Position after it.
    after: i64,
    /// What was recorded until then is in the rows.
    through: i64,
    erasures: u64,
    pending: BTreeMap<LicenceId, Vec<RecordBatch>>,
    /// Rows that are pending.
    rows: usize,
    handed: u64,
}

impl<'a> Outbox<'a> {
    /// Returns an empty outbox of a pass between two positions, up to what was recorded `through`.
    pub(crate) fn new(
        declaration: &'a Arc<DatasetDeclaration>,
        position_id: &'a str,
        input: &'a DatasetId,
        (before, after): (Option<i64>, i64),
        through: i64,
        erasures: u64,
    ) -> Self {
        Self {
            declaration,
            position_id,
            input,
            before,
            after,
            through,
            erasures,
            pending: BTreeMap::new(),
            rows: 0,
            handed: 0,
        }
    }

    /// Takes rows. Those before them are handed over where they are enough for a chunk; these stay, for the last chunk of
    /// the pass has its position.
    pub(crate) fn add<T: DerivedTables>(
        &mut self,
        finished: Vec<Finished>,
        tables: &T,
    ) -> Result<(), DeriveError> {
        let rows: usize = finished
            .iter()
            .map(|finished| finished.rows.batch.num_rows())
            .sum();
        if self.rows > 0 && self.rows + rows > CHUNK_ROWS {
            self.hand_over(tables, false)?;
        }
        self.rows += rows;
        for Finished { rows, licence } in finished {
            self.pending.entry(licence).or_default().push(rows.batch);
        }
        Ok(())
    }

    /// Hands everything over that is left, with the new position; returns how many rows that were in all.
    pub(crate) fn finish<T: DerivedTables>(mut self, tables: &T) -> Result<u64, DeriveError> {
        self.hand_over(tables, true)?;
        Ok(self.handed)
    }

    /// Hands everything over; with `is_last`, the last chunk says how far the dataset is derived.
    fn hand_over<T: DerivedTables>(
        &mut self,
        tables: &T,
        is_last: bool,
    ) -> Result<(), DeriveError> {
        let declaration = self.declaration;
        let id = &declaration.id;
        self.rows = 0;
        let mut pending = std::mem::take(&mut self.pending).into_iter().peekable();
        while let Some((licence, batches)) = pending.next() {
            let batch =
                concat_batches(&declaration.declared_schema(), &batches).map_err(|source| {
                    unreadable(id)(LakeError::Usage(format!("rows cannot be joined: {source}")))
                })?;
            let handed = batch.num_rows() as u64;
            let position = match self.before {
                _ if is_last && pending.peek().is_none() => position::done(self.after),
                Some(before) => position::done(before),
                None => position::begun(self.through),
            };
            let chunk = DerivedChunk {
                rows: DatasetRows {
                    declaration: Arc::clone(declaration),
                    batch,
                    envelopes: Vec::new(),
                    timeless: Vec::new(),
                },
                input: self.input.clone(),
                licence,
                through: self.through,
                position_id: self.position_id.to_owned(),
                position,
                erasures: self.erasures,
            };
            tables.take(chunk).map_err(not_taken(id))?;
            self.handed += handed;
        }
        Ok(())
    }
}
