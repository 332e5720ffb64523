//! The state of the tables that an answer was made from: as long as it holds, the same question has the same answer.
//!
//! Between two versions of a table every change of what it answers adds a hot row: an equal value is dropped before, and
//! a revision, early or late, is a row of its own. So a version and the number of hot rows, replaced ones included, say
//! which state it is; after a restart the same messages make the same state again. An answer as of a settled time does
//! not depend on hot rows: all that could be in it have been there when it was made. It does depend on the version, since
//! an erasure makes a new one. And on which files are known to be damaged: what was made of one before is not answered,
//! nor is it the same answer once the file is whole again.
//!
//! A table without hot rows and masks is its files and nothing else, whatever its version: one that nobody adds to has a commit
//! every few minutes, and at every end of the service, which says how far it has come and changes no row. So its files say which
//! state it is, by their names, which never come again. Where there are hot rows they do not: rows may come, be committed and be
//! erased, and leave the files as they were, with as many others hot by then.
//!
//! What is shown of a state becomes part of an ETag, which clients keep over a restart on purpose. The number of times that files
//! were found damaged, or whole again, begins anew in each process: `!1` of one is of another file, found at another moment, than
//! `!1` of the next. An answer of one with rows of a file that was found damaged only afterwards would be the answer of the next,
//! with that file made whole, and 304. So beside that number, and only there, stands a number that each service draws for itself:
//! of a lake in which nothing was found the states are those of before the restart. While something is found damaged, all of the
//! lake is answered anew after each restart; this costs an answer each, and is rare. A file in the quarantine, or made again, is
//! another list of files, and so another state by itself. Left is one way: a file that nobody had found damaged when the answer was
//! made, that is put back as it was under its own name, and a restart before the client asks again.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use meetnet_lake::snapshot::{LakeSnapshot, LiveFile, TableSnapshot};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::hex::Hex;
use meetnet_model::ids::DatasetId;
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// The state of the tables that one answer reads.
#[derive(Clone, Debug)]
pub struct AnswerState {
    tables: Vec<TableState>,
    marks: Arc<FileMarks>,
}

#[derive(Clone, Debug)]
struct TableState {
    version: u64,
    /// What stands for its files; None where it has hot rows or masks beside them.
    files: Option<FileMark>,
    /// How often files of the lake have been found damaged, or whole again.
    damage: u64,
    /// None where the answer is as of a settled time.
    hot_rows: Option<usize>,
    /// By its address: a reload may change texts and licences only.
    declaration: Arc<DatasetDeclaration>,
}

impl AnswerState {
    /// Returns the state of `tables`, with the marks that the service keeps.
    pub(crate) fn of<'a>(
        tables: impl IntoIterator<Item = &'a Arc<TableSnapshot>>,
        is_settled: bool,
        marks: &Arc<FileMarks>,
    ) -> Self {
        let mut states: Vec<TableState> = tables
            .into_iter()
            .map(|table| TableState {
                version: table.version,
                files: is_in_files(table).then(|| marks.of(table)),
                damage: table.folder.damage_revision(),
                hot_rows: (!is_settled).then(|| hot_rows(table)),
                declaration: Arc::clone(&table.declaration),
            })
            .collect();
        states.sort_by(|a, b| a.declaration.id.cmp(&b.declaration.id));
        states.dedup_by(|a, b| a.declaration.id == b.declaration.id);
        Self {
            tables: states,
            marks: Arc::clone(marks),
        }
    }

    /// Returns true where the tables are in this state.
    pub fn holds(&self, snapshot: &LakeSnapshot) -> bool {
        self.tables.iter().all(|state| {
            let table = snapshot.tables.get(&state.declaration.id);
            table.is_some_and(|table| {
                table.folder.damage_revision() == state.damage
                    && state.hot_rows.is_none_or(|rows| rows == hot_rows(table))
                    && Arc::ptr_eq(&table.declaration, &state.declaration)
                    && (table.version == state.version || self.has_files_of(state, table))
            })
        })
    }

    /// Returns true where all that an answer was made from is in the files that `table` has, whatever its version.
    fn has_files_of(&self, state: &TableState, table: &TableSnapshot) -> bool {
        // What came later is in no answer as of a settled time.
        let is_settled = state.hot_rows.is_none();
        (is_settled || is_in_files(table))
            && state.files.is_some_and(|of| of == self.marks.of(table))
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
/// the version of one whose rows are all in files stand these. `heat@3!1.5b1f…+120` where a file has been found damaged.
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
                write!(f, "!{}.{:016x}", table.damage, self.marks.drawn)?;
            }
            if let Some(rows) = table.hot_rows {
                write!(f, "+{rows}")?;
            }
        }
        Ok(())
    }
}

/// Stands for the files of a table, and for what is declared of it.
type FileMark = [u8; 32];

/// The marks of tables, each made once for a list of files: it may be long, and is asked for with every answer.
#[derive(Debug)]
pub(crate) struct FileMarks {
    marks: Mutex<HashMap<DatasetId, Marked>>,
    /// Of this service alone: what it counts begins anew in the next.
    drawn: u64,
}

impl Default for FileMarks {
    fn default() -> Self {
        Self {
            marks: Mutex::default(),
            // Each of these has a key of its own, which is random in each process.
            drawn: RandomState::new().hash_one(()),
        }
    }
}

#[derive(Debug)]
struct Marked {
    /// Keeps nothing of the list but its address, which no other list has meanwhile.
    files: Weak<Vec<Arc<LiveFile>>>,
    declaration: Weak<DatasetDeclaration>,
    mark: FileMark,
}

impl Marked {
    fn is_of(&self, table: &TableSnapshot) -> bool {
        std::ptr::eq(self.files.as_ptr(), Arc::as_ptr(&table.files))
            && std::ptr::eq(self.declaration.as_ptr(), Arc::as_ptr(&table.declaration))
    }
}

impl FileMarks {
    /// Every change is whole before the lock is given back.
    fn marks(&self) -> MutexGuard<'_, HashMap<DatasetId, Marked>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the mark of a table.
    fn of(&self, table: &TableSnapshot) -> FileMark {
        let id = &table.declaration.id;
        let known = self
            .marks()
            .get(id)
            .filter(|known| known.is_of(table))
            .map(|known| known.mark);
        if let Some(mark) = known {
            return mark;
        }
        let mark = file_mark(table);
        let marked = Marked {
            files: Arc::downgrade(&table.files),
            declaration: Arc::downgrade(&table.declaration),
            mark,
        };
        self.marks().insert(id.clone(), marked);
        mark
    }
}

/// Makes the mark of a table: of its files, and of its declaration, by which the same rows may be answered in other columns, units or
/// order.
fn file_mark(table: &TableSnapshot) -> FileMark {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", table.declaration));
    for file in table.files.iter() {
        hash.update(b"\n");
        hash.update(file.path.as_bytes());
    }
    hash.finalize().into()
}

/// Returns true where the rows of a table are those of its files, all of them.
fn is_in_files(table: &TableSnapshot) -> bool {
    hot_rows(table) == 0 && table.masks.is_empty()
}

/// Returns how many hot rows a table has, replaced ones included.
pub(crate) fn hot_rows(table: &TableSnapshot) -> usize {
    table.hot.iter().map(|hot| hot.batch.num_rows()).sum()
}
