//! What was typed before: in memory, and in a file of the person's own.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::Environment;

#[cfg(test)]
mod tests;

/// Entries that are kept.
const ENTRIES_MAX: usize = 1000;

/// Lines, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Vec<String>,
    /// Where they are kept; None: nowhere.
    file: Option<PathBuf>,
}

impl History {
    /// Reads what is kept in the folder for state of the person (`$XDG_STATE_HOME`, `~/.local/state`). What cannot be
    /// read is no reason not to answer.
    pub(super) fn load(environment: &Environment) -> Self {
        let state = environment
            .get("XDG_STATE_HOME")
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(environment.get("HOME")?).join(".local/state")));
        Self::load_from(state.map(|state| state.join("meetnet/sql_history")))
    }

    fn load_from(file: Option<PathBuf>) -> Self {
        let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let mut entries: Vec<String> = text
            .iter()
            .flat_map(|text| text.lines())
            .map(str::to_owned)
            .collect();
        entries.drain(..entries.len().saturating_sub(ENTRIES_MAX));
        Self { entries, file }
    }

    pub(super) fn entries(&self) -> &[String] {
        &self.entries
    }

    /// Adds a line; not one that is blank, begins with a space, or is the last one again.
    pub(super) fn add(&mut self, line: &str) {
        let is_again = self.entries.last().is_some_and(|last| last == line);
        if line.trim().is_empty() || line.starts_with(' ') || is_again {
            return;
        }
        self.entries.push(line.to_owned());
        let surplus = self.entries.len().saturating_sub(ENTRIES_MAX);
        self.entries.drain(..surplus);
    }

    /// Writes what is kept. Only its person reads it: statements may name what is private.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn save(&self) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;

        let Some(file) = &self.file else {
            return Ok(());
        };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut text = self.entries.join("\n");
        text.push('\n');
        options.open(file)?.write_all(text.as_bytes())
    }
}
