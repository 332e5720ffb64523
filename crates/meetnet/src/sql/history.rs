//! Where what was typed is kept.

use std::path::PathBuf;

use crate::config::Environment;

/// Returns the file in the folder for state of the person (`$XDG_STATE_HOME`, `~/.local/state`); None where neither is
/// known.
pub(super) fn file(environment: &Environment) -> Option<PathBuf> {
    let state = environment
        .get("XDG_STATE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment.get("HOME")?).join(".local/state")))?;
    Some(state.join("meetnet/sql_history"))
}
