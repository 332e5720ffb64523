//! A lake in a local folder. Nothing counts before it is on disk: a file is synced before anything names it, and the
//! folder that names it is synced before anyone is told (`object_store`'s local folder never syncs).

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use uuid::Uuid;

use super::{Access, LakeLocation, LakeStorage, ListedObject, NewFile, Put, StoredFile, folder_of};
use crate::damage::DamagedFiles;
use crate::files::{DiskFiles, FileHandle, Files, GradualWriter, sync_parents};

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// A lake in a local folder.
#[derive(Debug)]
pub struct FolderStorage {
    root: PathBuf,
    files: Arc<dyn Files>,
    /// Folders whose own names this process has made durable. One that merely exists may owe its existence to a crash
    /// before its parent was synced.
    durable: Mutex<HashSet<String>>,
    damaged: DamagedFiles,
}

impl FolderStorage {
    /// Returns the lake in `root`, which is made when the first file is.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_files(root, Arc::new(DiskFiles::PUBLIC))
    }

    /// The same over other file operations: tests put a faulty layer here.
    pub fn with_files(root: impl Into<PathBuf>, files: Arc<dyn Files>) -> Self {
        Self {
            root: root.into(),
            files,
            durable: Mutex::default(),
            damaged: DamagedFiles::default(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }

    /// Makes a folder with its parents; every name on the way is durable when this returns.
    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(folder) {
            return Ok(());
        }
        self.files.create_dir(&self.path(folder))?;
        let mut synced = Vec::new();
        let mut name = folder;
        loop {
            match name {
                "" => sync_parents(self.files.as_ref(), &self.root)?,
                name => self.files.sync_dir(&self.path(folder_of(name)))?,
            }
            synced.push(name.to_owned());
            if name.is_empty() || durable.contains(folder_of(name)) {
                break;
            }
            name = folder_of(name);
        }
        // Not before: a folder whose parent could still vanish is not durable.
        durable.extend(synced);
        Ok(())
    }

    /// Creates a file in a folder, which is made where it is missing.
    fn create_in(&self, folder: &str, target: &Path) -> io::Result<Arc<dyn FileHandle>> {
        self.make_folder(folder)?;
        match self.files.create(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // What this process has made is not there: a disk was unmounted under it, or is back.
                let durable = self.durable.lock();
                durable.unwrap_or_else(PoisonError::into_inner).clear();
                self.make_folder(folder)?;
                self.files.create(target)
            }
            created => created,
        }
    }

    /// Writes and syncs `bytes` beside `path` under a name of its own, and gives it its name with `place`.
    fn write_beside(
        &self,
        path: &str,
        bytes: &[u8],
        place: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> io::Result<()> {
        self.make_folder(folder_of(path))?;
        let target = self.path(path);
        let temporary = target.with_file_name(format!(".{}.tmp", Uuid::now_v7().simple()));
        let placed = (|| {
            let file = self.create_in(folder_of(path), &temporary)?;
            file.append(bytes)?;
            file.sync_data()?;
            place(&temporary, &target)
        })();
        // After a rename there is nothing to remove; a leftover is found by its name and age later.
        let _ = self.files.remove(&temporary);
        placed?;
        self.files.sync_dir(&self.path(folder_of(path)))
    }

    fn list_into(&self, folder: &str, listed: &mut Vec<ListedObject>) -> io::Result<()> {
        let path = self.path(folder);
        let below = |name: &str| match folder {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        };
        let (files, folders) = match (self.files.list(&path), self.files.folders(&path)) {
            (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(());
            }
            (files, folders) => (files?, folders?),
        };
        listed.extend(files.into_iter().map(|file| ListedObject {
            path: below(&file.name),
            bytes: file.bytes,
        }));
        for name in folders {
            self.list_into(&below(&name), listed)?;
        }
        Ok(())
    }
}

impl LakeStorage for FolderStorage {
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>> {
        let target = self.path(path);
        let handle = self.create_in(folder_of(path), &target)?;
        Ok(Box::new(FolderFile {
            writer: BufWriter::with_capacity(WRITE_BYTES, GradualWriter::new(handle)),
            leftover: Some((Arc::clone(&self.files), target)),
        }))
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<Put> {
        match self.write_beside(path, bytes, |from, to| self.files.link(from, to)) {
            Ok(()) => Ok(Put::Done),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Exists),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_beside(path, bytes, |from, to| self.files.rename(from, to))
    }

    fn open(&self, path: &str, _: Access) -> io::Result<Arc<dyn StoredFile>> {
        let handle = self.files.open_to_read(&self.path(path))?;
        let bytes = handle.bytes()?;
        Ok(Arc::new(OpenFile::new(handle, bytes)))
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        let file = self.open(path, Access::Whole)?;
        file.read_at(0, file.bytes() as usize)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<ListedObject>> {
        let mut listed = Vec::new();
        self.list_into(folder, &mut listed)?;
        listed.sort();
        Ok(listed)
    }

    fn folders(&self, folder: &str) -> io::Result<Vec<String>> {
        match self.files.folders(&self.path(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            folders => folders,
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.files.remove(&self.path(path))
    }

    fn move_file(&self, from: &str, to: &str) -> io::Result<()> {
        // A rename: the bytes need not be readable.
        self.make_folder(folder_of(to))?;
        self.files.rename(&self.path(from), &self.path(to))?;
        self.sync_names(folder_of(to))?;
        self.sync_names(folder_of(from))
    }

    fn sync_names(&self, folder: &str) -> io::Result<()> {
        self.files.sync_dir(&self.path(folder))
    }

    fn location(&self) -> LakeLocation {
        LakeLocation::Folder(std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone()))
    }

    fn damaged(&self) -> Option<&DamagedFiles> {
        Some(&self.damaged)
    }
}

struct FolderFile {
    writer: BufWriter<GradualWriter>,
    /// What to remove where the file is given up.
    leftover: Option<(Arc<dyn Files>, PathBuf)>,
}

impl Write for FolderFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl NewFile for FolderFile {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_mut().finish()?;
        self.leftover = None;
        Ok(())
    }
}

impl Drop for FolderFile {
    fn drop(&mut self) {
        if let Some((files, path)) = self.leftover.take() {
            // A full disk needs the space. What cannot be removed is an orphan, which vacuum finds.
            let _ = files.remove(&path);
        }
    }
}

/// The first bytes of an open file: as many as it had when it was opened, or as many as count.
#[derive(Debug)]
pub(crate) struct OpenFile {
    handle: Arc<dyn FileHandle>,
    bytes: u64,
}

impl OpenFile {
    /// Returns the first `bytes` of a file.
    pub(crate) fn new(handle: Arc<dyn FileHandle>, bytes: u64) -> Self {
        Self { handle, bytes }
    }
}

impl StoredFile for OpenFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if offset.saturating_add(length as u64) > self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buffer = vec![0; length];
        if self.handle.read_at(offset, &mut buffer)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(buffer.into())
    }
}
