//! Temporary files of queries: bounded for each and for all, in a folder of this process that the next one clears away.
//!
//! ```text
//! spill_dir/meetnet-spill-PID-N.lock   locked as long as the process lives
//! spill_dir/meetnet-spill-PID-N/…      its files
//! ```
//!
//! Files go when their query ends. What a process leaves behind that was killed lies in a folder whose lock nobody holds:
//! whoever starts next removes it. So several processes may share one `spill_dir`.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::error::Result;
use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use meetnet_model::quantity::SizeText;
use tracing::{info, warn};

use crate::error::{QueryError, QueryErrorKind, SharedLimit};
use crate::room::ClientRoom;

#[cfg(test)]
mod tests;

const PREFIX: &str = "meetnet-spill-";
const LOCK: &str = "lock";

/// Services that this process has started: each has a folder of its own.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// The folder of one service; removed with it.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    path: PathBuf,
    lock_path: PathBuf,
    /// Unlocked when it is closed, however the process ends.
    _lock: File,
}

impl SpillFolder {
    /// Makes a folder under `base`, and removes those that nobody uses any more.
    ///
    /// # Errors
    /// Where `base` cannot be written.
    pub(crate) fn open(base: &Path) -> io::Result<Self> {
        fs::create_dir_all(base)?;
        remove_left(base);
        loop {
            let number = STARTED.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("{PREFIX}{}-{number}", std::process::id()));
            let lock_path = path.with_extension(LOCK);
            // The lock comes first: a folder without one that is held is cleared away.
            let lock = File::create(&lock_path)?;
            match lock.try_lock() {
                Ok(()) => {}
                // Containers count their processes each for itself: one of another has this number, and lives.
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            match fs::create_dir(&path) {
                // An earlier process had this number, and what it left cannot be removed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            return Ok(Self {
                path,
                lock_path,
                _lock: lock,
            });
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        if fs::remove_dir_all(&self.path).is_ok() {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// Removes the folders of processes that have ended. What cannot be removed stays: it takes room, and does no other harm.
fn remove_left(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for lock_path in entries.flatten().map(|entry| entry.path()) {
        let name = lock_path.file_name().and_then(|name| name.to_str());
        let is_lock = lock_path
            .extension()
            .is_some_and(|extension| extension == LOCK);
        if !is_lock || !name.is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        let Ok(lock) = File::open(&lock_path) else {
            continue;
        };
        if lock.try_lock().is_err() {
            continue;
        }
        let folder = lock_path.with_extension("");
        let removed = match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::remove_file(&lock_path),
        };
        match removed {
            Ok(()) => {
                info!(folder = %folder.display(), "removed temporary files of a process that has ended")
            }
            Err(error) => {
                warn!(folder = %folder.display(), %error, "failed to remove temporary files")
            }
        }
    }
}

/// Makes the temporary files of one query, within its limit, that of its client, and that of all queries.
#[derive(Debug)]
pub(crate) struct QuerySpill {
    disk: Arc<DiskManager>,
    bytes_max: u64,
    used: Arc<AtomicU64>,
    client: Arc<ClientRoom>,
}

impl QuerySpill {
    /// Gives a query so many bytes of what `client` has, and `disk` has for all.
    pub(crate) fn new(disk: Arc<DiskManager>, bytes_max: u64, client: Arc<ClientRoom>) -> Self {
        Self {
            disk,
            bytes_max,
            used: Arc::default(),
            client,
        }
    }
}

impl TempFileFactory for QuerySpill {
    fn create_temp_file(&self, description: &str) -> Result<Arc<dyn SpillFile>> {
        Ok(Arc::new(CountedFile {
            inner: self.disk.create_tmp_file(description)?,
            count: Arc::new(Count {
                disk: Arc::clone(&self.disk),
                bytes_max: self.bytes_max,
                used: Arc::clone(&self.used),
                client: Arc::clone(&self.client),
                written: AtomicU64::new(0),
            }),
        }))
    }
}

/// What one file takes of its query's limit, until nobody has the file any more.
struct Count {
    disk: Arc<DiskManager>,
    bytes_max: u64,
    used: Arc<AtomicU64>,
    client: Arc<ClientRoom>,
    written: AtomicU64,
}

impl Count {
    fn add(&self, bytes: u64) -> io::Result<()> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.written.fetch_add(bytes, Ordering::Relaxed);
        let of_client = self.client.spill(bytes);
        if used > self.bytes_max {
            let message = format!(
                "the query needs more than {} of temporary files, which is the most; narrow it by time, or group or \
                 sort fewer rows",
                SizeText(self.bytes_max).exact()
            );
            return Err(io::Error::other(QueryError::new(
                QueryErrorKind::TooLarge,
                message,
            )));
        }
        of_client.map_err(io::Error::other)?;
        if self.disk.used_disk_space() + bytes > self.disk.max_temp_directory_size() {
            let message = "all running queries together need more temporary files than there is room for (spill_bytes_max of \
                           the service); try again later";
            let error = QueryError::new(QueryErrorKind::Busy, message);
            let error = error.with_shared_limit(SharedLimit::TemporaryFiles);
            return Err(io::Error::other(error));
        }
        Ok(())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let written = self.written.load(Ordering::Relaxed);
        self.used.fetch_sub(written, Ordering::Relaxed);
        self.client.removed(written);
    }
}

struct CountedFile {
    inner: Arc<dyn SpillFile>,
    count: Arc<Count>,
}

impl SpillFile for CountedFile {
    fn path(&self) -> Option<&Path> {
        self.inner.path()
    }

    fn size(&self) -> Option<u64> {
        self.inner.size()
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        self.inner.read_stream()
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(CountedWriter {
            inner: self.inner.open_writer()?,
            count: Arc::clone(&self.count),
        }))
    }
}

struct CountedWriter {
    inner: Box<dyn SpillWriter>,
    count: Arc<Count>,
}

impl Write for CountedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.count.add(bytes.len() as u64)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl SpillWriter for CountedWriter {
    fn finish(&mut self) -> Result<()> {
        self.inner.finish()
    }
}
