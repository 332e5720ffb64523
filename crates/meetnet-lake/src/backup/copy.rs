//! Filling a backup's folder: every byte that goes in is hashed, and every name in it is synced.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meetnet_model::hex::Hex;
use sha2::{Digest, Sha256};

use super::{BackupError, ManifestFile, amount};
use crate::files::{Files, GradualWriter, sync_parents};
use crate::storage::{OpenFile, StoredFile};

/// Bytes that are read, hashed and written at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Writes the files of a backup and remembers what they are.
pub(super) struct Copier<'a> {
    files: &'a dyn Files,
    root: &'a Path,
    /// Folders that have new names in them.
    folders: BTreeSet<PathBuf>,
    /// False once the file system has refused a second name.
    can_link: bool,
    written: Vec<ManifestFile>,
    /// How many of them, and of their bytes, have been told of.
    told: (u64, u64),
}

impl<'a> Copier<'a> {
    pub(super) fn new(files: &'a dyn Files, root: &'a Path) -> Self {
        Self {
            files,
            root,
            folders: BTreeSet::from([root.to_path_buf()]),
            can_link: true,
            written: Vec::new(),
            told: (0, 0),
        }
    }

    /// Writes a small file.
    pub(super) fn put(&mut self, path: String, content: &[u8]) -> Result<(), BackupError> {
        let target = self.target(&path)?;
        write(self.files, &target, |file| file(content))?;
        self.note(
            path,
            content.len() as u64,
            Hex(&Sha256::digest(content)).to_string(),
        );
        Ok(())
    }

    /// Copies a file, which `from` names for people.
    pub(super) fn copy(
        &mut self,
        path: String,
        file: &dyn StoredFile,
        from: &Path,
    ) -> Result<&ManifestFile, BackupError> {
        let target = self.target(&path)?;
        let mut sha256 = String::new();
        write(self.files, &target, |append| {
            sha256 = pass(file, from, append)?;
            Ok(())
        })?;
        Ok(self.note(path, file.bytes(), sha256))
    }

    /// Takes a file that nobody will change: as a second name of the same bytes, or as a copy where that cannot be.
    pub(super) fn link_or_copy(
        &mut self,
        path: String,
        from: &Path,
    ) -> Result<&ManifestFile, BackupError> {
        let target = self.target(&path)?;
        let linked = match self.can_link {
            true => self.files.link(from, &target),
            false => Err(io::ErrorKind::Unsupported.into()),
        };
        match linked {
            Ok(()) => {
                let file = open(self.files, &target)?;
                let sha256 = pass(&file, &target, &mut |_| Ok(()))?;
                Ok(self.note(path, file.bytes(), sha256))
            }
            Err(error) if is_refusal(&error) => {
                self.can_link = false;
                let file = open(self.files, from)?;
                self.copy(path, &file, from)
            }
            Err(error) => Err(BackupError::io("link", from)(error)),
        }
    }

    /// Returns how much was written since this was asked last, for people.
    pub(super) fn done(&mut self) -> String {
        let files = self.written.len() as u64;
        let bytes = self.written.iter().map(|file| file.bytes).sum();
        let (told_files, told_bytes) = std::mem::replace(&mut self.told, (files, bytes));
        amount(files - told_files, bytes - told_bytes)
    }

    /// Makes every name durable; returns what was written, by path.
    pub(super) fn finish(mut self) -> Result<Vec<ManifestFile>, BackupError> {
        for folder in &self.folders {
            self.files
                .sync_dir(folder)
                .map_err(BackupError::io("sync", folder))?;
        }
        sync_parents(self.files, self.root)
            .map_err(BackupError::io("sync the parents of", self.root))?;
        self.written.sort();
        Ok(self.written)
    }

    /// Returns where a file goes; its folder is made.
    fn target(&mut self, path: &str) -> Result<PathBuf, BackupError> {
        let target = self.root.join(path);
        let folder = target.parent().unwrap_or(self.root);
        if !self.folders.contains(folder) {
            self.files
                .create_dir(folder)
                .map_err(BackupError::io("create", folder))?;
            let new = folder.ancestors().take_while(|above| *above != self.root);
            self.folders.extend(new.map(Path::to_path_buf));
        }
        Ok(target)
    }

    fn note(&mut self, path: String, bytes: u64, sha256: String) -> &ManifestFile {
        self.written.push(ManifestFile {
            path,
            bytes,
            sha256,
        });
        self.written.last().expect("one was pushed just now")
    }
}

/// Returns true where a file system does not give second names, or not to this file: another one, a file of somebody
/// else, or too many names.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(
        error.kind(),
        CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
    )
}

/// Takes the next bytes of a file.
pub(super) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), BackupError> + 'a;

/// Writes a file, synced; its name is not.
pub(super) fn write(
    files: &dyn Files,
    target: &Path,
    fill: impl FnOnce(&mut Sink<'_>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let handle = files
        .create(target)
        .map_err(BackupError::io("create", target))?;
    let mut writer = GradualWriter::new(handle);
    fill(&mut |bytes: &[u8]| {
        writer
            .write_all(bytes)
            .map_err(BackupError::io("write", target))
    })?;
    writer.finish().map_err(BackupError::io("sync", target))
}

/// Opens a file for reading.
pub(super) fn open(files: &dyn Files, path: &Path) -> Result<OpenFile, BackupError> {
    let handle = files
        .open_to_read(path)
        .map_err(BackupError::io("open", path))?;
    let bytes = handle.bytes().map_err(BackupError::io("open", path))?;
    Ok(OpenFile::new(Arc::clone(&handle), bytes))
}

/// Passes a file on and returns its hash. `from` names it for people.
pub(super) fn pass(
    file: &dyn StoredFile,
    from: &Path,
    sink: &mut Sink<'_>,
) -> Result<String, BackupError> {
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < file.bytes() {
        let length = CHUNK_BYTES.min(file.bytes() - at);
        let bytes = file
            .read_at(at, length as usize)
            .map_err(BackupError::io("read", from))?;
        hash.update(&bytes);
        sink(&bytes)?;
        at += length;
    }
    Ok(Hex(&hash.finalize()).to_string())
}
