//! The few file operations that durability rests on, behind a small trait.
//!
//! Whatever must survive a crash goes through [`Files`], so that a test can put a layer below it that tears writes,
//! fails syncs, fills the disk and forgets everything that was not synced. It is not a file system abstraction:
//! there is one real implementation, [`DiskFiles`], and it is what production always uses.

use std::any::Any;
use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a file that is being written which wait for their sync, at most: a sync of all of a large file at its end
/// would keep the disk from those of the journal, and so keep acknowledgements back for as long.
const UNSYNCED_BYTES_MAX: u64 = 4 << 20;

/// Ending of a file that is not complete yet; in the journal's folder such are removed when the journal is opened.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Holds a lock until it is dropped.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// One entry of [`Files::list`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedFile {
    /// File name without its folder.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// File operations by path.
///
/// Contract: bytes are durable after [`FileHandle::sync_data`] returned without error **and** the entry that names the
/// file is durable after [`Files::sync_dir`] on its folder. A rename replaces its target at once or not at all.
pub trait Files: Debug + Send + Sync {
    /// Creates an empty file for appending and reading, replacing an existing one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>>;
    /// Opens an existing file for appending and reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>>;
    /// Opens an existing file to be written over from its start: what is appended through the handle takes the place of what
    /// is there, and makes the file longer only behind its end.
    fn open_to_overwrite(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>>;
    /// Opens an existing file for reading only: it may lie in a folder that others write.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>>;
    /// Moves a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the entries of a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Returns the files in a folder (not its subfolders), sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<ListedFile>>;
    /// Returns the subfolders of a folder, sorted by name.
    fn folders(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a folder and its missing parents.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Gives a file a second name; [`io::ErrorKind::AlreadyExists`] where that is taken, which a rename would replace.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Locks `path` for this process and writes `holder` into it; [`io::ErrorKind::WouldBlock`] where it is taken.
    fn lock(&self, path: &Path, holder: &str) -> io::Result<LockGuard>;
}

/// One open file. Appending is done by one thread; reading by any.
pub trait FileHandle: Debug + Send + Sync {
    /// Writes all of `bytes` at the end, or behind what has been written over; after an error any prefix of them may be
    /// there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buffer` from `offset`; less only at the end of the file. Returns the bytes read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Makes the content and the length durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts the file to `bytes`.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Returns the length in bytes.
    fn bytes(&self) -> io::Result<u64>;
    /// A large file is synced after so many bytes while it is written; a test may do with fewer.
    fn unsynced_bytes_max(&self) -> u64 {
        UNSYNCED_BYTES_MAX
    }
}

/// Writes a file that counts only once it is whole, and syncs it as it grows.
///
/// After an error it takes nothing more: what of the file is there nobody knows, and after a failed sync a second one
/// would report success.
#[derive(Debug)]
pub(crate) struct GradualWriter {
    handle: Arc<dyn FileHandle>,
    /// Bytes behind the last sync.
    unsynced: u64,
    state: Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// Nothing has been synced.
    Fresh,
    /// Everything but the unsynced bytes is on disk.
    Synced,
    /// A write or a sync failed.
    Failed,
}

impl GradualWriter {
    /// Begins at the end of a file.
    pub(crate) fn new(handle: Arc<dyn FileHandle>) -> Self {
        Self {
            handle,
            unsynced: 0,
            state: Written::Fresh,
        }
    }

    /// Makes everything that was written durable.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.check()?;
        if self.unsynced == 0 && self.state == Written::Synced {
            return Ok(());
        }
        self.sync()
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.handle.sync_data();
        self.state = match synced {
            Ok(()) => Written::Synced,
            Err(_) => Written::Failed,
        };
        self.unsynced = 0;
        synced
    }

    fn check(&self) -> io::Result<()> {
        match self.state {
            Written::Failed => Err(io::Error::other(
                "an earlier write or sync of the file failed",
            )),
            Written::Fresh | Written::Synced => Ok(()),
        }
    }
}

impl Write for GradualWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        if let Err(error) = self.handle.append(bytes) {
            self.state = Written::Failed;
            return Err(error);
        }
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= self.handle.unsynced_bytes_max() {
            self.sync()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns true where an error says that there is no space.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Reads a whole file, which may lie on a disk that cannot be written.
pub(crate) fn read_all(files: &dyn Files, path: &Path) -> io::Result<Vec<u8>> {
    let handle = files.open_to_read(path)?;
    let length = usize::try_from(handle.bytes()?).map_err(io::Error::other)?;
    let mut content = vec![0; length];
    let read = handle.read_at(0, &mut content)?;
    content.truncate(read);
    Ok(content)
}

/// Replaces a small file at once or not at all; content and name are durable when this returns without error.
///
/// It is written as `NAME.tmp`. A crash may leave that, for the next replacement to write over; an error leaves none, for on a
/// full disk it would keep the space that it was refused.
///
/// # Errors
/// Where it cannot be written: then it is as it was before, or already replaced where only its name could not be synced.
pub fn replace(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let fill = || -> io::Result<()> {
        let handle = files.create(&unfinished)?;
        handle.append(content)?;
        handle.sync_data()?;
        files.rename(&unfinished, path)
    };
    fill().inspect_err(|_| {
        // The error that there is says more.
        drop(files.remove(&unfinished));
    })?;
    files.sync_dir(folder_of(path))
}

/// As [`replace`], in a folder that is made where it is missing.
///
/// # Errors
/// As there, and where the folder cannot be made.
pub fn replace_in_folder(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    match replace(files, path, content) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(path);
            files.create_dir(folder)?;
            // Its own name must be on disk, too.
            files.sync_dir(folder_of(folder))?;
            replace(files, path, content)
        }
        replaced => replaced,
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the name of a folder durable, and those of its parents: one that is there already may owe its existence to a
/// process that ended before it had synced them.
pub(crate) fn sync_parents(files: &dyn Files, dir: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    for parent in dir.ancestors().skip(1) {
        let parent = match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        };
        match files
            .sync_dir(parent)
            .map_err(|error| (error.kind(), error))
        {
            Ok(()) => {}
            // From here up nothing was made by us: it may not be read, or not be written.
            Err((PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported, _)) => break,
            Err((_, error)) => return Err(error),
        }
    }
    Ok(())
}

/// The real file system, and who may read what is made in it.
#[derive(Clone, Copy, Debug)]
pub struct DiskFiles {
    file_mode: u32,
    folder_mode: u32,
}

impl DiskFiles {
    /// Nobody but the owner reads: raw messages may hold personal data, from the first byte on. Missing parents of a folder
    /// are made as the umask says.
    pub const PRIVATE: Self = Self {
        file_mode: 0o600,
        folder_mode: 0o700,
    };
    /// Whom the umask lets read: the tables are there for everybody on the machine.
    pub const PUBLIC: Self = Self {
        file_mode: 0o666,
        folder_mode: 0o777,
    };
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    /// Where the next append goes in a file that is written over; None: at its end.
    over: Option<AtomicU64>,
}

impl DiskFile {
    fn handle(file: File) -> Arc<dyn FileHandle> {
        Arc::new(Self { file, over: None })
    }
}

impl Files for DiskFiles {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(self.file_mode)
            .open(path)?;
        drop(file);
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        Ok(DiskFile::handle(file))
    }

    fn open_to_overwrite(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        // Not to append: Linux would write at the end whatever place it is told.
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let over = Some(AtomicU64::new(0));
        Ok(Arc::new(DiskFile { file, over }))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        Ok(DiskFile::handle(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<ListedFile>> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Another thread removed or renamed it between the two calls.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // Names that are not UTF-8 are not ours.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                listed.push(ListedFile {
                    name,
                    bytes: metadata.len(),
                });
            }
        }
        listed.sort();
        Ok(listed)
    }

    fn folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string())
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        // Parents are not ours alone: beside the private journal the lake lies, which others may read.
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        DirBuilder::new()
            .recursive(true)
            .mode(self.folder_mode)
            .create(dir)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<LockGuard> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // not before the lock is ours: it names the holder
            .mode(self.file_mode)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Over what is there, which needs no room; a lock whose holder is not named is one all the same.
        let named = file
            .write_all_at(holder.as_bytes(), 0)
            .and_then(|()| file.set_len(holder.len() as u64));
        match named {
            Err(error) if is_no_space(&error) => file.set_len(0)?,
            named => named?,
        }
        Ok(Box::new(file))
    }
}

impl FileHandle for DiskFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let Some(over) = &self.over else {
            return (&self.file).write_all(bytes);
        };
        // One thread appends.
        let at = over.load(Ordering::Acquire);
        self.file.write_all_at(bytes, at)?;
        over.store(at + bytes.len() as u64, Ordering::Release);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        if let Some(over) = &self.over {
            over.fetch_min(bytes, Ordering::AcqRel);
        }
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests;
