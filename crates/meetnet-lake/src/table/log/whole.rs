//! Whether a table log is whole: no version is missing in what is opened, and a log that is open is still where it was.

use super::super::actions::Action;
use super::super::checkpoint;
use super::super::vacuum::version_of;
use super::{LOG_FOLDER, TableLog, entry_path};
use crate::error::LakeError;
use crate::storage::{Access, LakeLocation, TableFolder};

/// How often a log is read anew because a writer cuts it meanwhile.
const OPEN_ATTEMPTS: u32 = 5;

impl TableLog {
    /// Opens the table in `folder`; None where there is none.
    ///
    /// # Errors
    /// [`LakeError::MissingEntry`] where a version is missing before a later one: what comes first in a log that is read one
    /// entry after the other would pass for all of it, and be written on.
    pub(crate) fn open(folder: &TableFolder) -> Result<Option<Self>, LakeError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut log = Self::empty(folder);
            let mut next = match checkpoint::read_last(folder)? {
                Some((version, actions)) => {
                    log.fold_version(version, actions);
                    log.last_checkpoint = version;
                    version + 1
                }
                None => 0,
            };
            next += log.fold_from(next)?;
            let hole = log.fold_to_end(&mut next)?;
            let Some(newest) = hole else {
                if next == 0 {
                    return Ok(None);
                }
                log.check_protocol()?;
                return Ok(Some(log));
            };
            // A writer has cut its log behind a newer checkpoint since this one was read.
            let is_cut = checkpoint::newest(folder)?.is_some_and(|at| at.version >= next);
            if !is_cut || attempts == OPEN_ATTEMPTS {
                return Err(LakeError::MissingEntry {
                    path: folder.shown(&entry_path(next)),
                    newest,
                });
            }
        }
    }

    /// Folds what has been committed from `next` on, as long as the folder lists such versions. Returns the newest that is
    /// listed where `next` is missing before it.
    fn fold_to_end(&mut self, next: &mut u64) -> Result<Option<u64>, LakeError> {
        loop {
            let listed = self.folder.list(LOG_FOLDER)?;
            let versions = listed.iter().filter_map(|object| version_of(&object.path));
            let Some(newest) = versions.max().filter(|newest| *newest >= *next) else {
                return Ok(None);
            };
            // Whoever lists while others commit may see a later one and not the one before: it is there all the same.
            match self.fold_from(*next)? {
                0 => return Ok(Some(newest)),
                folded => *next += folded,
            }
        }
    }

    /// Looks whether the newest entry is still where it was put, and the files that `actions` add where the entry would be: a
    /// folder can be unmounted, or put back to an earlier state, under a process that writes it, and files be written below
    /// the place where it is mounted again. A bucket cannot, and would be asked once more for each commit.
    pub(crate) fn check_in_place(&self, actions: &[Action]) -> Result<(), LakeError> {
        if !matches!(self.folder.location(), LakeLocation::Folder(_)) {
            return Ok(());
        }
        let entry = entry_path(self.version);
        // Other programs may keep a checkpoint alone.
        let checkpoint = checkpoint::checkpoint_path(self.version);
        let is_there = |path: &str| -> Result<bool, LakeError> {
            Ok(self.folder.open_if_there(path, Access::Pages)?.is_some())
        };
        if !is_there(&entry)? && !is_there(&checkpoint)? {
            return Err(LakeError::MissingEntry {
                path: self.folder.shown(&entry),
                newest: self.version,
            });
        }
        for action in actions {
            if let Action::Add(add) = action {
                self.folder.open_as_stored(&add.path, Access::Pages)?;
            }
        }
        Ok(())
    }
}
