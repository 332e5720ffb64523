//! Verifying a lake and its journal: what is on disk against what it says of itself.
//!
//! ```text
//! checkpoint ─▶ table logs ─▶ segments (archive, journal) ─▶ files ─▶ keys across files ─▶ Report
//! ```
//!
//! It only reads, and may run while a daemon works on the same folders. Positions are read in the order in which a
//! daemon moves them, each before what it rests on, so that what it does meanwhile is never taken for damage: T before
//! the tables, the tables before the journal. The tail of the open segment, which is being written, does not count. A
//! file that is gone is missed only if the log still names it.
//!
//! Memory: a batch of key columns per run of one period, and the footers of files; never a partition.

mod bounds;
mod file;
mod journal;
mod keys;
mod log;
mod report;
mod rows;
mod segments;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use self::bounds::Bounds;
pub(crate) use self::file::{Verdict, agrees, examine, kind_of};
pub(crate) use self::keys::value_text;
pub(crate) use self::log::with_sources;
pub use self::report::{Counts, Finding, FindingKind, Place, Report, Severity};
pub(crate) use self::rows::key_schema;
use crate::damage;
use crate::error::LakeError;
use crate::journal::{JournalError, JournalPlace};
use crate::storage::{LakeStorage, TableFolder};

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything but the contents of Parquet files and of the raw archive: logs, lengths, footers, the journal.
    Quick,
    /// All of it: hashes, rows, keys, every raw message.
    Full,
}

/// What to verify.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Where the tables lie.
    pub storage: Arc<dyn LakeStorage>,
    /// The journal that they are written from; None: only the tables are looked at.
    pub journal: Option<JournalPlace>,
    /// How much is read.
    pub depth: Depth,
}

/// The check itself failed: nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The journal or its archive cannot be listed or read.
    #[error("failed to check the journal")]
    Journal(#[from] JournalError),
    /// The tables cannot be listed or read.
    #[error("failed to check the tables")]
    Lake(#[from] LakeError),
}

/// Verifies journal, tables and files. What is wrong is in the report; nothing is written.
///
/// # Errors
/// Where a folder, a segment or a table log cannot be read at all: a fault of the disk, the network or permissions.
pub fn check(options: &CheckOptions) -> Result<Report, CheckError> {
    let mut report = Report::default();
    let known = match &options.journal {
        Some(place) => Some(journal::Known::read(place, &mut report)?),
        None => None,
    };
    damage::recall(&*options.storage)?;
    let mut tables = Vec::new();
    for folder in table_folders(&options.storage)? {
        let context = log::Context {
            folder: &folder,
            depth: options.depth,
            trimmed_through: known.as_ref().and_then(journal::Known::trimmed_through),
            app_id: known.as_ref().and_then(journal::Known::app_id),
        };
        tables.extend(log::check(&context, &mut report)?);
    }
    if let Some(known) = &known {
        journal::check(known, &tables, options.depth, &mut report)?;
    }
    for table in &tables {
        table::check(table, options.depth, &mut report)?;
    }
    report.finish();
    Ok(report)
}

/// Returns the folders of a lake that may hold a table.
pub(crate) fn table_folders(storage: &Arc<dyn LakeStorage>) -> Result<Vec<TableFolder>, LakeError> {
    let names = storage.folders("").map_err(|error| {
        let lake = storage.location().name();
        LakeError::io("list", lake.as_ref())(error)
    })?;
    let folders = names
        .iter()
        .map(|name| TableFolder::new(Arc::clone(storage), name));
    Ok(folders.collect())
}
