//! What the city declares for its datasets, against the rows that lie in the lake already.
//!
//! The configuration knows its own sources; those of former ones have left rows under their licences. So this belongs
//! behind the table logs, and before anything is recorded or answered: at a start, and when the configuration changes.

use anyhow::bail;
use meetnet_model::declarations::Declarations;
use meetnet_model::licence::{StoredLicences, check_stored};

/// Returns an error where a dataset declares more than its stored rows allow.
///
/// # Errors
/// It names each such dataset, and the sources of the rows.
pub(super) fn allow(declarations: &Declarations, stored: &StoredLicences) -> anyhow::Result<()> {
    let errors = check_stored(declarations, stored);
    if errors.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    bail!(lines.join("\n"))
}
