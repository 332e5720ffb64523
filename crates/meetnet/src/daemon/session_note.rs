//! The note, in the journal's folder, of which source has and had which session at a broker.
//!
//! ```text
//! start, reload: what is configured ─▶ [note], synced ─▶ sources connect
//! start: note ─▶ DUP windows ─▶ the journal is read
//! ```
//!
//! The journal names sources, and a broker knows sessions: a source that was renamed and keeps its client id is given once more
//! what the one before had journalled and not acknowledged. After a crash only the note tells that the two are one.
//!
//! One that cannot be written or read is no reason to stop: such messages are then stored twice where they have no time of their
//! own, and nothing is lost.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use meetnet_ingest::SessionHistory;
use meetnet_lake::files::{DiskFiles, replace};
use meetnet_model::ids::Sequence;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::sessions::Session;

#[cfg(test)]
mod tests;

/// Name of the note in the journal's folder.
pub(crate) const FILE: &str = "sessions.json";

/// The note; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionNote {
    file: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    noted: Noted,
    /// Whether the file says it; where there is none, nothing is there to be said.
    is_written: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// The journal whose positions are meant.
    journal: String,
    history: SessionHistory,
}

impl SessionNote {
    /// Reads the note of a journal that ends at `last`; blocking.
    pub(super) fn open(dir: &Path, journal_id: &str, last: Sequence) -> Self {
        let file = dir.join(FILE);
        let found = read(&file).unwrap_or_else(|error| {
            warn!(
                error = format!("{error:#}"),
                "which source had which session at a broker is not known: what a broker delivers once more to a source that was \
                 renamed just before the last crash is stored twice where it has no time of its own"
            );
            None
        });
        let found = found.filter(|noted| noted.journal == journal_id);
        let mut noted = found.unwrap_or_else(|| Noted {
            journal: journal_id.to_owned(),
            history: SessionHistory::default(),
        });
        let is_changed = noted.history.recovered(last);
        let state = State {
            noted,
            is_written: !is_changed,
        };
        Self {
            file,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Notes the sessions that sources have for what they journal behind `after`, and returns who had which; blocking. None of
    /// those that are new may be connected yet.
    pub(super) fn take_up(&self, sessions: &[Session], after: Sequence) -> SessionHistory {
        let state = self.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let history = &mut state.noted.history;
        let is_new = history.take_up(sessions.iter().map(Session::facts), after);
        if is_new || !state.is_written {
            let written = write(&self.file, &state.noted);
            state.is_written = written.is_ok();
            if let Err(error) = written {
                warn!(
                    error = format!("{error:#}"),
                    "which source has which session at a broker cannot be noted: if the process crashes, what a broker delivers \
                     once more to a renamed source is stored twice where it has no time of its own"
                );
            }
        }
        state.noted.history.clone()
    }
}

fn read(file: &Path) -> anyhow::Result<Option<Noted>> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is not what was written", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
    }
}

fn write(file: &Path, noted: &Noted) -> anyhow::Result<()> {
    replace(&DiskFiles::PRIVATE, file, &serde_json::to_vec(noted)?)
        .with_context(|| format!("failed to write {}", file.display()))
}
