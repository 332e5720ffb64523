//! What was typed: statements as a whole, and where they are kept.

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

/// The lines of a statement that has begun, which become one entry of the history.
#[derive(Debug, Default)]
pub(super) struct Entry(String);

impl Entry {
    /// Takes a line; returns the entry that it completes. `is_last`: nothing goes on in the next line.
    pub(super) fn push(&mut self, line: &str, is_last: bool) -> Option<String> {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(line);
        if is_last { self.take() } else { None }
    }

    /// Returns what has begun, and begins anew.
    pub(super) fn take(&mut self) -> Option<String> {
        let entry = std::mem::take(&mut self.0);
        (!entry.trim().is_empty()).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_statement_are_one_entry() {
        let mut entry = Entry::default();
        assert_eq!(entry.push("SELECT 1;", true).as_deref(), Some("SELECT 1;"));
        assert_eq!(entry.push("SELECT", false), None);
        assert_eq!(entry.push("  2", false), None);
        assert_eq!(entry.push(";", true).as_deref(), Some("SELECT\n  2\n;"));
        assert_eq!(entry.push("", true), None);
        // What was given up is kept, too.
        assert_eq!(entry.push("SELECT 'x", false), None);
        assert_eq!(entry.take().as_deref(), Some("SELECT 'x"));
        assert_eq!(entry.take(), None);
    }
}
