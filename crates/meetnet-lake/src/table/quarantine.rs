//! Broken files: a log entry takes one out of the table, then it moves to `_quarantine/`, where no reader looks.
//!
//! ```text
//! Remove (tagged) in the log, synced -> file moved, synced
//! ```
//!
//! In this order a crash between the two leaves a file that no longer counts, under its old name. The tag says that it
//! is to be kept: the next repair or vacuum moves it. The other way round the table would name a file that is gone.

use std::collections::BTreeMap;

use super::actions::Remove;
use crate::error::LakeError;
use crate::storage::TableFolder;

/// Folder in the table's. Delta readers and folder scans leave names with a leading `_` alone.
pub(crate) const QUARANTINE_FOLDER: &str = "_quarantine";
/// What the log calls the change that takes files out.
pub(crate) const REPAIR: &str = "REPAIR";
/// Tag of a removal whose file is kept.
const QUARANTINED: &str = "quarantined";

/// Returns where a quarantined file lies; `path` is its place in the table. The partition stays readable in it.
pub(crate) fn kept_path(path: &str) -> String {
    format!("{QUARANTINE_FOLDER}/{path}")
}

/// Returns true for a path in the quarantine.
pub(crate) fn holds(path: &str) -> bool {
    path.strip_prefix(QUARANTINE_FOLDER)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the tags of a removal whose file is kept.
pub(crate) fn tags() -> BTreeMap<String, Option<String>> {
    BTreeMap::from([(QUARANTINED.to_owned(), Some("true".to_owned()))])
}

/// Returns true where the file of a removal is kept.
pub(crate) fn is_kept(remove: &Remove) -> bool {
    let tags = remove.tags.as_ref();
    tags.is_some_and(|tags| tags.contains_key(QUARANTINED))
}

/// Moves a file that the log has taken out; durable. One that is gone is no error.
pub(crate) fn keep(folder: &TableFolder, path: &str) -> Result<(), LakeError> {
    folder.move_file(path, &kept_path(path))
}
