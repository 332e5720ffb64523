//! What is known of damaged files over a restart: one small file in the lake for each.
//!
//! ```text
//! scrub: damaged ─▶ [note] ─▶ next start, `meetnet sql`, backup, check: not answered, before anything is read
//!   whole again, moved to the quarantine, removed ─▶ the note goes
//! ```
//!
//! | name | content |
//! |---|---|
//! | `_meetnet/damaged/<path of the file in the lake>.json` | what is wrong with it: `{"damage":"wrong_checksum"}` |
//!
//! A note for each file, so that processes over one lake need not agree, and in the lake, so that whoever reads it has them.
//! A note may be too many, never wrong for long: names are not used twice, but by a restore, which removes the notes first;
//! and the scrub compares what a note names within a minute. So nothing rests on a removal that a crash takes back, or on a
//! note for a file that is gone.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::Damage;
use crate::error::LakeError;
use crate::storage::{LakeStorage, ListedObject};

/// Folder of the notes; no dataset's id begins with `_`.
const FOLDER: &str = "_meetnet/damaged";
const ENDING: &str = ".json";
/// Notes of one lake: each is read at a start. Damage beyond is found by the rounds.
const NOTES_MAX: usize = 4_096;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    damage: Damage,
}

fn note_of(path: &str) -> String {
    format!("{FOLDER}/{path}{ENDING}")
}

/// Takes in what earlier processes have noted; it belongs before anybody reads what is in the files.
///
/// # Errors
/// Where the notes cannot be listed: without them wrong bytes could be answered.
pub(crate) fn recall(storage: &dyn LakeStorage) -> Result<(), LakeError> {
    match storage.damaged() {
        Some(damaged) => damaged.recall(|| read_all(storage)),
        None => Ok(()),
    }
}

fn list(storage: &dyn LakeStorage) -> Result<Vec<ListedObject>, LakeError> {
    let lake = storage.location().name();
    let listed = storage.list(FOLDER);
    listed.map_err(LakeError::io("list", &Path::new(&lake).join(FOLDER)))
}

fn read_all(storage: &dyn LakeStorage) -> Result<Vec<(String, Damage)>, LakeError> {
    let mut notes = Vec::new();
    for object in list(storage)? {
        let of_file = object.path.strip_prefix(FOLDER);
        let of_file = of_file.and_then(|rest| rest.strip_prefix('/')?.strip_suffix(ENDING));
        let Some(path) = of_file else {
            continue;
        };
        let damage = match storage.read(&object.path) {
            // Another process has found the file whole meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.ok().and_then(|content| damage_in(&content)),
        };
        // That there is a note says enough: one that cannot be read must not keep a process from starting.
        let damage = damage.unwrap_or(Damage::WrongChecksum);
        notes.push((path.to_owned(), damage));
    }
    Ok(notes)
}

fn damage_in(content: &[u8]) -> Option<Damage> {
    let note = serde_json::from_slice::<Note>(content);
    note.ok().map(|note| note.damage)
}

/// Notes what is wrong with a file, for this process and those to come; durable when this returns without an error.
///
/// # Errors
/// Where the note cannot be written: this process knows it all the same.
pub(crate) fn remember(
    storage: &dyn LakeStorage,
    path: &str,
    damage: Damage,
) -> Result<(), LakeError> {
    let Some(damaged) = storage.damaged() else {
        return Ok(());
    };
    // First: from here on nobody is given what is in it.
    damaged.note(path, Some(damage));
    match damaged.is_noted(path) {
        (true, _) => return Ok(()),
        (false, notes) if notes >= NOTES_MAX => {
            return Err(LakeError::Usage(format!(
                "{NOTES_MAX} damaged files are noted already"
            )));
        }
        (false, _) => {}
    }
    let name = note_of(path);
    let content = serde_json::to_vec(&Note { damage }).expect("a name and numbers make valid JSON");
    storage.replace(&name, &content).map_err(|error| {
        let lake = storage.location().name();
        LakeError::io("write", &Path::new(&lake).join(&name))(error)
    })?;
    damaged.note_written(path);
    Ok(())
}

/// Forgets what was wrong with a file: it is whole, or is not there under its name any more.
pub(crate) fn forget(storage: &dyn LakeStorage, path: &str) {
    let Some(damaged) = storage.damaged() else {
        return;
    };
    damaged.note(path, None);
    if !damaged.note_removed(path) {
        return;
    }
    match storage.remove(&note_of(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => warn!(
            file = path,
            error = &error as &dyn std::error::Error,
            "the note that a file was damaged cannot be removed: the next start does not answer the file before it is compared"
        ),
        _ => {}
    }
}

/// Removes every note, before files are put there that have the names of earlier ones: those of a backup.
///
/// # Errors
/// Where they cannot be listed or removed.
pub(crate) fn clear(storage: &dyn LakeStorage) -> Result<(), LakeError> {
    let notes: Vec<String> = list(storage)?.into_iter().map(|note| note.path).collect();
    let removed = storage.remove_all(&notes);
    let lake = storage.location().name();
    removed.map_err(LakeError::io(
        "remove files of",
        &Path::new(&lake).join(FOLDER),
    ))
}

#[cfg(test)]
mod tests;
