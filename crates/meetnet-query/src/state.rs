//! The state of the tables that an answer was made from: as long as it holds, the same question has the same answer.
//!
//! Between two versions of a table every change of what it answers adds a hot row: an equal value is dropped before, and
//! a revision, early or late, is a row of its own. So a version and the number of hot rows, replaced ones included, say
//! which state it is; after a restart the same messages make the same state again. An answer as of a settled time does
//! not depend on hot rows: all that could be in it have been there when it was made. It does depend on the version, since
//! an erasure makes a new one. And on which files are known to be damaged: what was made of one before is not answered,
//! nor is it the same answer once the file is whole again.
//!
//! A table without hot rows is its files and nothing else, whatever its version: one that nobody adds to has a commit every few
//! minutes, and at every end of the service, which says how far it has come and changes no row. So its files say which state
//! it is, by their names, which never come again. Where there are hot rows they do not: rows may come, be committed and be
//! erased, and leave the files as they were, with as many others hot by then.

use std::fmt;
use std::sync::Arc;

use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::hex::Hex;
use sha2::{Digest, Sha256};

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
    /// What stands for its files and columns; None where it has hot rows beside them.
    files: Option<[u8; 32]>,
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
                files: (hot_rows(table) == 0).then(|| files(table)),
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
                (table.version == state.version || state.files.is_some_and(|of| of == files(table)))
                    && table.folder.damage_revision() == state.damage
                    && state.hot_rows.is_none_or(|rows| rows == hot_rows(table))
                    && Arc::ptr_eq(&table.declaration, &state.declaration)
            })
        })
    }

    /// Returns true where one table alone was read, in the version that `table` is of, and no file has been found damaged since.
    pub(crate) fn is_version_of(&self, table: &TableSnapshot) -> bool {
        let [state] = &self.tables[..] else {
            return false;
        };
        state.declaration.id == table.declaration.id
            && state.version == table.version
            && state.damage == table.folder.damage_revision()
    }
}

/// `heat@3+120,stations@0f6c5b7d9e21a834+0`: name, version and number of hot rows of each table, in the order of their names; for
/// the version of one without hot rows stand its files. `heat@3!1` where a file has been found damaged.
impl fmt::Display for AnswerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, table) in self.tables.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{}@", table.declaration.id)?;
            match &table.files {
                Some(files) => write!(f, "{}", Hex(&files[..16]))?,
                None => write!(f, "{}", table.version)?,
            }
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

/// Returns what stands for the files of a table and for its columns, which a commit may change as well.
fn files(table: &TableSnapshot) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", table.declaration.columns));
    for file in table.files.iter() {
        hash.update(b"\n");
        hash.update(file.path.as_bytes());
    }
    hash.finalize().into()
}

/// Returns how many hot rows a table has, replaced ones included.
pub(crate) fn hot_rows(table: &TableSnapshot) -> usize {
    table.hot.iter().map(|hot| hot.batch.num_rows()).sum()
}
