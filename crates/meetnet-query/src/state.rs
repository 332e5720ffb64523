//! The state of the tables that an answer was made from: as long as it holds, the same question has the same answer.
//!
//! Between two versions of a table every change of what it answers adds a hot row: an equal value is dropped before, and
//! a revision, early or late, is a row of its own. So a version and the number of hot rows, replaced ones included, say
//! which state it is; after a restart the same messages make the same state again. An answer as of a settled time does
//! not depend on hot rows: all that could be in it have been there when it was made. It does depend on the version, since
//! an erasure makes a new one. And on which files are known to be damaged: what was made of one before is not answered,
//! nor is it the same answer once the file is whole again.

use std::fmt;
use std::sync::Arc;

use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::dataset::DatasetDeclaration;

#[cfg(test)]
mod tests;

/// The state of the tables that one answer reads.
#[derive(Clone, Debug)]
pub struct AnswerState {
    tables: Vec<TableState>,
}

#[derive(Clone, Debug)]
struct TableState {
    version: u64,
    /// How often files of the lake have been found damaged, or whole again.
    damage: u64,
    /// None where the answer is as of a settled time.
    hot_rows: Option<usize>,
    /// By its address: a reload may change texts and licences only.
    declaration: Arc<DatasetDeclaration>,
}

impl AnswerState {
    /// Returns the state of `tables`.
    pub(crate) fn of<'a>(
        tables: impl IntoIterator<Item = &'a Arc<TableSnapshot>>,
        is_settled: bool,
    ) -> Self {
        let mut states: Vec<TableState> = tables
            .into_iter()
            .map(|table| TableState {
                version: table.version,
                damage: table.folder.damage_revision(),
                hot_rows: (!is_settled).then(|| hot_rows(table)),
                declaration: Arc::clone(&table.declaration),
            })
            .collect();
        states.sort_by(|a, b| a.declaration.id.cmp(&b.declaration.id));
        states.dedup_by(|a, b| a.declaration.id == b.declaration.id);
        Self { tables: states }
    }

    /// Returns true where the tables are in this state.
    pub fn holds(&self, snapshot: &LakeSnapshot) -> bool {
        self.tables.iter().all(|state| {
            let table = snapshot.tables.get(&state.declaration.id);
            table.is_some_and(|table| {
                table.version == state.version
                    && table.folder.damage_revision() == state.damage
                    && state.hot_rows.is_none_or(|rows| rows == hot_rows(table))
                    && Arc::ptr_eq(&table.declaration, &state.declaration)
            })
        })
    }
}

/// `heat@3+120,traffic@7`: name, version and number of hot rows of each table, in the order of their names; `heat@3!1` where
/// a file has been found damaged.
impl fmt::Display for AnswerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, table) in self.tables.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{}@{}", table.declaration.id, table.version)?;
            if table.damage > 0 {
                write!(f, "!{}", table.damage)?;
            }
            if let Some(rows) = table.hot_rows {
                write!(f, "+{rows}")?;
            }
        }
        Ok(())
    }
}

/// Returns how many hot rows a table has, replaced ones included.
pub(crate) fn hot_rows(table: &TableSnapshot) -> usize {
    table.hot.iter().map(|hot| hot.batch.num_rows()).sum()
}
