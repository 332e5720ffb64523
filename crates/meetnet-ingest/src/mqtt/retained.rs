//! Which retained messages a source has asked its broker for, noted on disk. The broker keeps a subscription in the session,
//! beyond this process, and sends what it retains to a new subscription alone: where more is wanted than when it was made, it
//! has to be asked for once.
//!
//! A note that is lost, or not written before a crash, has the broker asked once more: its messages come again then, and none is
//! missed. It is replaced at once or not at all, and one that is not what was written counts as lost. It is only an aid, and no
//! failure of it is one of the source.

use std::fs;
use std::path::{Path, PathBuf};

use meetnet_lake::files::{DiskFiles, replace_in_folder};
use meetnet_model::ids::SourceId;
use tracing::debug;

use super::options::Retained;

#[cfg(test)]
mod tests;

/// What is noted where no retained messages are taken; also what counts where nothing is noted.
const NONE: &str = "none";

/// What one source has asked for.
#[derive(Debug)]
pub(crate) struct AskedFor {
    /// None: nothing is noted.
    file: Option<PathBuf>,
    wanted: String,
    is_noted: bool,
}

/// What is to be written, off the tasks of the source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note {
    file: PathBuf,
    text: String,
}

impl AskedFor {
    /// Reads what is noted in `folder`; None: everything counts as asked for.
    pub(crate) fn read(folder: Option<&Path>, source: &SourceId, retained: &Retained) -> Self {
        let file = folder.map(|folder| folder.join(source.as_str()));
        let wanted = text(retained);
        let is_noted = match &file {
            None => true,
            Some(file) => match fs::read_to_string(file) {
                Ok(noted) => noted == wanted,
                Err(_) => wanted == NONE,
            },
        };
        Self {
            file,
            wanted,
            is_noted,
        }
    }

    /// Whether the broker is to send what it retains although it may have the subscription already.
    pub(crate) fn is_due(&self) -> bool {
        !self.is_noted
    }

    /// Takes it that every subscription has been granted; returns what is to be noted then, if anything.
    pub(crate) fn granted(&mut self) -> Option<Note> {
        if self.is_noted {
            return None;
        }
        self.is_noted = true;
        let file = self.file.clone()?;
        let text = self.wanted.clone();
        Some(Note { file, text })
    }
}

impl Note {
    /// Writes it; blocking.
    pub(crate) fn write(&self) {
        let text = self.text.as_bytes();
        if let Err(error) = replace_in_folder(&DiskFiles::PRIVATE, &self.file, text) {
            let file = self.file.display();
            debug!(%file, %error, "cannot note which retained messages were asked for: they come again at the next start");
        }
    }
}

/// Returns the text of a note.
fn text(retained: &Retained) -> String {
    match retained {
        Retained::None => NONE.to_owned(),
        Retained::All => "all".to_owned(),
        Retained::Of(patterns) => {
            let patterns = patterns
                .iter()
                .map(|pattern| format!("{}\n", pattern.as_str()));
            patterns.collect()
        }
    }
}
