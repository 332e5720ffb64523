//! The manifest: what a backup holds, file by file.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use meetnet_model::ids::{DatasetId, Sequence};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::BackupError;
use crate::files::Files;
use crate::journal::checkpoint::{self, Sealed};

/// File name of the manifest.
pub(super) const MANIFEST: &str = "manifest";
/// Folder of the tables.
pub(super) const LAKE: &str = "lake";
/// Folder of the journal.
pub(super) const JOURNAL: &str = "journal";
/// Folder of the raw archive.
pub(super) const ARCHIVE: &str = "archive";

const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// Version of the program that made it.
    pub meetnet: String,
    /// When it was begun, µs since 1970 UTC.
    pub made_at: i64,
    /// Id of the journal.
    pub journal_id: String,
    /// Every row of every frame up to here is in its tables.
    pub trimmed_through: Sequence,
    /// The last frame in its journal: what was acknowledged before the backup began is not after it.
    pub last_sequence: Sequence,
    /// Its tables.
    pub tables: BTreeMap<DatasetId, ManifestTable>,
    /// Its files, by path.
    pub files: Vec<ManifestFile>,
}

/// One table of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestTable {
    /// Version of its log.
    pub version: u64,
    /// Sequence that the table has applied of the journal.
    pub through: u64,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path in the backup's folder, written with `/`.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Lower-case hex SHA-256.
    pub sha256: String,
}

/// The one field that every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Manifest {
    pub(super) fn new(made_at: i64, journal_id: Uuid) -> Self {
        Self {
            format: FORMAT,
            meetnet: env!("CARGO_PKG_VERSION").to_owned(),
            made_at,
            journal_id: journal_id.to_string(),
            trimmed_through: Sequence::ZERO,
            last_sequence: Sequence::ZERO,
            tables: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    /// Reads the manifest of the backup in `dir`.
    ///
    /// # Errors
    /// Where there is none, it is damaged, or a newer version wrote it.
    pub fn read(files: &dyn Files, dir: &Path) -> Result<Self, BackupError> {
        let damaged = |what: &str| BackupError::Damaged {
            path: dir.join(MANIFEST),
            what: what.to_owned(),
        };
        let format = match checkpoint::read_sealed::<Format>(files, dir, MANIFEST)? {
            Sealed::Valid(Format { format }) => format,
            Sealed::Missing => {
                return Err(BackupError::NoManifest {
                    dir: dir.to_path_buf(),
                });
            }
            Sealed::Damaged => return Err(damaged("does not match its checksum")),
        };
        if format > FORMAT {
            return Err(BackupError::NewerFormat {
                dir: dir.to_path_buf(),
                format,
            });
        }
        let manifest = match checkpoint::read_sealed::<Self>(files, dir, MANIFEST)? {
            Sealed::Valid(manifest) => manifest,
            Sealed::Missing | Sealed::Damaged => return Err(damaged("cannot be understood")),
        };
        let mut paths = manifest.files.iter().map(|file| &file.path);
        // Paths are followed when it is restored.
        match paths.find(|path| !is_in_backup(path)) {
            Some(path) => Err(damaged(&format!(
                "names `{path}`, which is no place in a backup"
            ))),
            None => Ok(manifest),
        }
    }

    pub(super) fn write(&self, files: &dyn Files, dir: &Path) -> Result<(), BackupError> {
        Ok(checkpoint::write_sealed(files, dir, MANIFEST, self)?)
    }

    /// Returns true where the backup holds the file `name` of the journal's folder.
    pub fn has_journal_file(&self, name: &str) -> bool {
        self.part(JOURNAL).any(|(_, rest)| rest == name)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Returns the files below one of the folders, with their paths in it.
    pub(super) fn part(&self, folder: &str) -> impl Iterator<Item = (&ManifestFile, &str)> {
        self.files.iter().filter_map(move |file| {
            let rest = file.path.strip_prefix(folder)?.strip_prefix('/')?;
            Some((file, rest))
        })
    }
}

fn is_in_backup(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    let is_known = parts.next().is_some_and(|first| {
        [LAKE, JOURNAL, ARCHIVE]
            .map(|folder| Component::Normal(folder.as_ref()))
            .contains(&first)
    });
    is_known && parts.all(|part| matches!(part, Component::Normal(_)))
}
