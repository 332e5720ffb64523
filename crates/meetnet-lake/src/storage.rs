//! Where the tables lie: names and bytes of immutable files, whatever holds them.
//!
//! ```text
//! table log, Parquet writer, key look-up, compaction, vacuum ─▶ [TableFolder ─▶ LakeStorage] ─┬▶ folder (own fsync)
//!                                                                                            └▶ object store ◀─ s3
//! ```
//!
//! It knows nothing of tables: a path is relative to the lake and written with `/`.
//!
//! Contract, on which exactly-once rests:
//! - a file appears whole under its name or not at all, except that a crash may leave an unfinished file under a name
//!   that nothing refers to;
//! - bytes are durable when [`NewFile::finish`] returns, and the name is when [`LakeStorage::sync_names`] on its folder
//!   has returned too; [`LakeStorage::put_if_absent`] and [`LakeStorage::replace`] do both;
//! - of any number of writers that put the same name if it is absent, at most one succeeds. An error says nothing, the
//!   file may be there; nor, in an object store, does a name that exists already: the file may be the writer's own.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};

mod claim;
mod folder;
mod objects;
mod s3;
#[cfg(test)]
mod tests;

pub(crate) use claim::{check_writer, claim, disclaim};
pub use folder::FolderStorage;
pub(crate) use folder::OpenFile;
pub use objects::{ObjectStorage, look_up};
pub use s3::{ROLE_VARIABLES, S3Credentials, S3Limits, S3Options, S3OptionsError, S3Url};

use crate::damage::{self, Damage, DamagedFiles};
use crate::error::LakeError;
use crate::snapshot::LiveFile;

/// Bytes that a sequential read fetches at once.
const READ_BYTES: usize = 64 << 10;

/// Holds the files of a lake.
pub trait LakeStorage: Debug + Send + Sync {
    /// Starts a file.
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>>;
    /// Writes a file that must not exist yet; durable, with its name.
    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<Put>;
    /// Writes a file in place of any earlier one; durable, with its name. Readers see the old or the new bytes, whole.
    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Opens a file for reading at any place; [`io::ErrorKind::NotFound`] where there is none.
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn StoredFile>>;
    /// The same where its length is known, so that a store need not be asked for it: a file that is missing or shorter
    /// may be noticed only when it is read.
    fn open_known(
        &self,
        path: &str,
        bytes: u64,
        access: Access,
    ) -> io::Result<Arc<dyn StoredFile>> {
        let _ = bytes;
        self.open(path, access)
    }
    /// Reads a whole file; [`io::ErrorKind::NotFound`] where there is none.
    fn read(&self, path: &str) -> io::Result<Bytes>;
    /// Returns every file below a folder at any depth, by path; nothing where there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<ListedObject>>;
    /// Returns the names of the folders right below a folder, sorted; nothing where there is no such folder.
    fn folders(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Removes a file; [`io::ErrorKind::NotFound`] where there is none, if the storage can tell.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes files; those that are gone already are no error. Where it fails, some may be gone.
    fn remove_all(&self, paths: &[String]) -> io::Result<()> {
        paths.iter().try_for_each(|path| match self.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io::Error::new(error.kind(), format!("{path}: {error}")))
            }
            _ => Ok(()),
        })
    }
    /// Gives a file another name, which nothing has; durable. After a crash it has the old name, the new one or both.
    fn move_file(&self, from: &str, to: &str) -> io::Result<()> {
        self.replace(to, &self.read(from)?)?;
        self.remove(from)
    }
    /// Makes the names in a folder durable.
    fn sync_names(&self, folder: &str) -> io::Result<()>;
    /// Returns where other readers find the files.
    fn location(&self) -> LakeLocation;
    /// Returns which files are known to be damaged; None where nobody keeps that in mind.
    fn damaged(&self) -> Option<&DamagedFiles> {
        None
    }
}

/// A file that is being written.
pub trait NewFile: Write + Send {
    /// Makes the content durable. A file that is dropped without this is given up.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A file that is there; its bytes never change.
pub trait StoredFile: Debug + Send + Sync {
    /// Length in bytes.
    fn bytes(&self) -> u64;
    /// Returns `length` bytes from `offset`; an error where the file is shorter.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes>;
}

/// What a file is opened for: decides how much an object store is asked for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A footer and a few pages.
    Pages,
    /// Everything, about in order.
    Whole,
}

/// Outcome of [`LakeStorage::put_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The file is there, with these bytes.
    Done,
    /// A file has the name.
    Exists,
}

/// One file of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedObject {
    /// Path relative to the lake.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Where other readers find the files.
#[derive(Clone)]
pub enum LakeLocation {
    /// A local folder, absolute.
    Folder(PathBuf),
    /// An object store.
    Objects {
        /// The lake's URL, for people.
        url: Arc<str>,
        /// The store.
        store: Arc<dyn object_store::ObjectStore>,
        /// Prefix of the lake in the store.
        prefix: object_store::path::Path,
    },
}

impl LakeLocation {
    /// Returns what identifies the lake, for messages and caches: a path or a URL.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(path) => path.to_string_lossy().into_owned(),
            Self::Objects { url, .. } => url.to_string(),
        }
    }
}

impl Debug for LakeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A store's own form may hold credentials.
        f.debug_tuple("LakeLocation").field(&self.name()).finish()
    }
}

/// The folder of one table.
#[derive(Clone, Debug)]
pub struct TableFolder {
    storage: Arc<dyn LakeStorage>,
    name: Arc<str>,
}

impl TableFolder {
    /// Returns the folder `name` of a lake.
    pub fn new(storage: Arc<dyn LakeStorage>, name: &str) -> Self {
        Self {
            storage,
            name: Arc::from(name),
        }
    }

    /// Name of the table's folder in the lake.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where other readers find the lake that holds the folder.
    pub fn location(&self) -> LakeLocation {
        self.storage.location()
    }

    /// Returns a path in the folder as people know it, for messages.
    pub fn shown(&self, path: &str) -> PathBuf {
        let lake = self.storage.location().name();
        let folder = Path::new(&lake).join(&*self.name);
        if path.is_empty() {
            folder
        } else {
            folder.join(path)
        }
    }

    fn full(&self, path: &str) -> String {
        if path.is_empty() {
            self.name.to_string()
        } else {
            format!("{}/{path}", self.name)
        }
    }

    fn failed(
        &self,
        operation: &'static str,
        path: &str,
    ) -> impl FnOnce(io::Error) -> LakeError + use<> {
        LakeError::io(operation, &self.shown(path))
    }

    /// Returns what is known to be wrong with a file; None where nothing is.
    pub fn damage_of(&self, path: &str) -> Option<Damage> {
        // Next to always there is none, and no path has to be put together.
        let damaged = self.storage.damaged()?;
        (damaged.revision() > 0).then(|| damaged.of(&self.full(path)))?
    }

    /// A number that rises whenever a file of the lake is found damaged, or whole again: what is kept of answers since
    /// before then may hold what must not be answered.
    pub fn damage_revision(&self) -> u64 {
        self.storage.damaged().map_or(0, DamagedFiles::revision)
    }

    /// Notes what is wrong with a file, or that nothing is: what is in one that has damage is given to nobody. For this
    /// process; see [`Self::remember_damage`].
    pub fn note_damage(&self, path: &str, damage: Option<Damage>) {
        if let Some(damaged) = self.storage.damaged() {
            damaged.note(&self.full(path), damage);
        }
    }

    /// Notes what is wrong with a file, for processes to come, too.
    ///
    /// # Errors
    /// Where it cannot be written down: it is known to this process alone.
    pub fn remember_damage(&self, path: &str, damage: Damage) -> Result<(), LakeError> {
        damage::remember(&*self.storage, &self.full(path), damage)
    }

    /// Forgets what was wrong with a file that is whole, or that is not there under its name any more.
    pub(crate) fn forget_damage(&self, path: &str) {
        damage::forget(&*self.storage, &self.full(path));
    }

    /// Returns the files of the whole lake that a note in it names as damaged, by their path in it.
    pub(crate) fn noted_damage(&self) -> BTreeSet<String> {
        let damaged = self.storage.damaged();
        damaged.map(DamagedFiles::noted).unwrap_or_default()
    }

    /// Notes that a file was found broken.
    pub(crate) fn suspect(&self, path: &str) {
        if let Some(damaged) = self.storage.damaged() {
            damaged.suspect(self.full(path));
        }
    }

    /// Returns the files of the whole lake that were found broken, each once, by their path in it.
    pub(crate) fn take_suspected(&self) -> BTreeSet<String> {
        let damaged = self.storage.damaged();
        damaged
            .map(DamagedFiles::take_suspected)
            .unwrap_or_default()
    }

    /// Returns an error for a file that is known to be damaged.
    pub(crate) fn refuse_damaged(&self, path: &str) -> Result<(), LakeError> {
        let Some(damage) = self.damage_of(path) else {
            return Ok(());
        };
        Err(LakeError::BrokenFile {
            path: self.shown(path),
            damage,
        })
    }

    pub(crate) fn create(&self, path: &str) -> Result<Box<dyn NewFile>, LakeError> {
        self.storage
            .create(&self.full(path))
            .map_err(self.failed("create", path))
    }

    pub(crate) fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put, LakeError> {
        self.storage
            .put_if_absent(&self.full(path), bytes)
            .map_err(self.failed("write", path))
    }

    pub(crate) fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), LakeError> {
        self.storage
            .replace(&self.full(path), bytes)
            .map_err(self.failed("write", path))
    }

    /// Reads a whole file; None where there is none.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Bytes>, LakeError> {
        match self.storage.read(&self.full(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", path)(error)),
        }
    }

    /// Opens a file of which the table log knows the length, also one that is known to be damaged: look-ups go on in what can
    /// be read of it, so that new rows are taken. Whoever gives values on asks [`Self::refuse_damaged`] first.
    pub(crate) fn open(&self, file: &LiveFile, access: Access) -> Result<FileChunks, LakeError> {
        self.storage
            .open_known(&self.full(&file.path), file.bytes, access)
            .map(FileChunks)
            .map_err(self.failed("open", &file.path))
    }

    /// Opens a file as it is stored, whatever the table log knows of it.
    pub(crate) fn open_as_stored(
        &self,
        path: &str,
        access: Access,
    ) -> Result<FileChunks, LakeError> {
        self.storage
            .open(&self.full(path), access)
            .map(FileChunks)
            .map_err(self.failed("open", path))
    }

    /// The same; None where there is no such file.
    pub(crate) fn open_if_there(
        &self,
        path: &str,
        access: Access,
    ) -> Result<Option<FileChunks>, LakeError> {
        match self.storage.open(&self.full(path), access) {
            Ok(file) => Ok(Some(FileChunks(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("open", path)(error)),
        }
    }

    /// Returns every file below a subfolder, paths relative to the table's folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<ListedObject>, LakeError> {
        let prefix = format!("{}/", self.name);
        let listed = self
            .storage
            .list(&self.full(folder))
            .map_err(self.failed("list", folder))?;
        Ok(listed
            .into_iter()
            .filter_map(|object| {
                Some(ListedObject {
                    path: object.path.strip_prefix(&prefix)?.to_owned(),
                    bytes: object.bytes,
                })
            })
            .collect())
    }

    /// Removes files; those that are gone already are no error.
    pub(crate) fn remove_all<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), LakeError> {
        let paths: Vec<String> = paths.into_iter().map(|path| self.full(path)).collect();
        if paths.is_empty() {
            return Ok(());
        }
        self.storage
            .remove_all(&paths)
            .map_err(self.failed("remove files of", ""))?;
        for path in &paths {
            damage::forget(&*self.storage, path);
        }
        Ok(())
    }

    /// Moves a file within the folder; durable. One that is gone already is no error.
    pub(crate) fn move_file(&self, from: &str, to: &str) -> Result<(), LakeError> {
        match self.storage.move_file(&self.full(from), &self.full(to)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("move", from)(error))
            }
            _ => {
                self.forget_damage(from);
                Ok(())
            }
        }
    }

    pub(crate) fn sync_names(&self, folder: &str) -> Result<(), LakeError> {
        self.storage
            .sync_names(&self.full(folder))
            .map_err(self.failed("sync folder", folder))
    }
}

/// A stored file as the Parquet reader wants it.
#[derive(Clone, Debug)]
pub(crate) struct FileChunks(Arc<dyn StoredFile>);

impl FileChunks {
    /// Returns the file itself.
    pub(crate) fn into_stored(self) -> Arc<dyn StoredFile> {
        self.0
    }

    pub(crate) fn new(file: Arc<dyn StoredFile>) -> Self {
        Self(file)
    }
}

impl Length for FileChunks {
    fn len(&self) -> u64 {
        self.0.bytes()
    }
}

impl ChunkReader for FileChunks {
    type T = io::BufReader<ReadOn>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let on = ReadOn {
            file: Arc::clone(&self.0),
            at: start,
        };
        Ok(io::BufReader::with_capacity(READ_BYTES, on))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        Ok(self.0.read_at(start, length)?)
    }
}

/// Reads a stored file from a place on.
#[derive(Debug)]
pub(crate) struct ReadOn {
    file: Arc<dyn StoredFile>,
    at: u64,
}

impl Read for ReadOn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.bytes().saturating_sub(self.at);
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        let bytes = self.file.read_at(self.at, length)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// Returns the folder part of a path.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
