//! A file system in memory that fails on purpose and forgets what was not synced.
//!
//! ```text
//! code under test ─▶ FaultyFiles ─(fail_at: short write, failed sync, full disk, power loss)
//!                        │ restart(Kill): everything stays, locks are freed
//!                        └ restart(PowerLoss): synced bytes and entries stay; of the rest, any part may
//! ```
//!
//! Operations that change something are counted, so that a schedule of faults is a list of numbers and replays exactly.
//! It is harsh where a real disk may be: after a failed sync, later syncs of the same file report success and keep
//! nothing more of it; entries that were not synced, folders among them, survive a power loss each by itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meetnet_lake::files::{FileHandle, Files, ListedFile, LockGuard};

mod state;

use self::state::{EntryChange, Node, State, late_error};

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write stores only its first bytes and fails; another operation fails without effect.
    ShortWrite {
        /// How many bytes are stored.
        bytes: usize,
    },
    /// A sync fails, and the file never becomes more durable than it was; another operation fails without effect.
    FailedSync,
    /// The operation fails without effect: no space left.
    DiskFull,
    /// The operation takes effect and reports a failure all the same, as over a network that loses the answer.
    LateError,
    /// This operation and all behind it fail.
    PowerLoss,
}

/// How the process or the machine went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process was killed: the page cache stays.
    Kill,
    /// The machine lost power; the seed decides what of the unsynced survives.
    PowerLoss {
        /// Seed of the choice.
        seed: u64,
    },
}

/// The file system; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct FaultyFiles {
    state: Arc<Mutex<State>>,
}

impl FaultyFiles {
    /// Returns an empty file system without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many operations that change something have been tried.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Returns how many of them have failed: by a fault, for want of space, or because the machine was off.
    pub fn failed(&self) -> u64 {
        self.state().failed
    }

    /// Makes a folder with its parents, durable: what was there before anybody came.
    pub fn make_dir(&self, dir: &Path) {
        let mut state = self.state();
        for dir in dir.ancestors() {
            state.dirs.insert(dir.to_path_buf());
            state.durable_dirs.insert(dir.to_path_buf());
        }
    }

    /// Lets the operation with this number (0 first) fail.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// Lets the next operation fail.
    pub fn fail_next(&self, fault: Fault) {
        let mut state = self.state();
        let operation = state.operations;
        state.faults.insert(operation, fault);
    }

    /// Forgets the faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Limits the sum of all file lengths; none: no limit.
    pub fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.state().bytes_max = bytes_max;
    }

    /// Returns the sum of all file lengths.
    pub fn bytes_used(&self) -> u64 {
        self.state().bytes_used()
    }

    /// Lets every operation that changes something fail, as on a file system that is mounted read-only.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Returns whether a power loss has happened.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Returns the file system as the next process finds it. This one is off from now on.
    pub fn restart(&self, crash: Crash) -> Self {
        self.state().off = true;
        self.copy_after(crash)
    }

    /// The same, but this one stays on: what would be found if it happened now.
    pub fn copy_after(&self, crash: Crash) -> Self {
        let next = self.state().after(crash);
        Self {
            state: Arc::new(Mutex::new(next)),
        }
    }

    /// Returns a file's content as a process sees it.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state
            .entries
            .get(path)
            .map(|&node| state.nodes[node].content.clone())
    }

    /// Puts a file there, durable: for damage that no operation makes.
    pub fn put(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.state();
        let node = state.nodes.len();
        let durable = content.clone();
        state.nodes.push(Node {
            content,
            durable,
            poisoned: false,
        });
        state.entries.insert(path.to_path_buf(), node);
        state.durable_entries.insert(path.to_path_buf(), node);
    }

    /// Returns the paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().entries.keys().cloned().collect()
    }

    fn handle(&self, node: usize, over: Option<AtomicUsize>) -> Arc<dyn FileHandle> {
        Arc::new(FaultyFile {
            files: self.clone(),
            node,
            over,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let mut state = self.state();
        let report = state.operate_plainly()?;
        state.check_dir_of(path)?;
        let node = state.nodes.len();
        state.nodes.push(Node::default());
        state.change(EntryChange::Link(path.to_path_buf(), node));
        report?;
        Ok(self.handle(node, None))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let state = self.state();
        state.check_on()?;
        Ok(self.handle(state.node_at(path)?, None))
    }

    fn open_to_overwrite(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let state = self.state();
        state.check_on()?;
        Ok(self.handle(state.node_at(path)?, Some(AtomicUsize::new(0))))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let report = state.operate_plainly()?;
        state.check_dir_of(to)?;
        let node = state.node_at(from)?;
        state.change(EntryChange::Rename(
            from.to_path_buf(),
            to.to_path_buf(),
            node,
        ));
        report
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let report = state.operate_plainly()?;
        state.node_at(path)?;
        state.change(EntryChange::Unlink(path.to_path_buf()));
        report
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        let report = state.operate_plainly()?;
        let unsynced = std::mem::take(&mut state.unsynced);
        for change in unsynced {
            if change.touches(dir) {
                change.apply(&mut state.durable_dirs, &mut state.durable_entries);
            } else {
                state.unsynced.push(change);
            }
        }
        report
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<ListedFile>> {
        let state = self.state();
        state.check_on()?;
        let mut listed = Vec::new();
        for (path, &node) in &state.entries {
            if let (true, Some(name)) = (path.parent() == Some(dir), path.file_name()) {
                let name = name.to_string_lossy().into_owned();
                listed.push(ListedFile {
                    name,
                    bytes: state.nodes[node].content.len() as u64,
                });
            }
        }
        listed.sort();
        Ok(listed)
    }

    fn folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.check_on()?;
        let below = state.dirs.iter().filter(|path| path.parent() == Some(dir));
        Ok(below
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let report = state.operate_plainly()?;
        state.check_dir_of(to)?;
        if state.entries.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = state.node_at(from)?;
        state.change(EntryChange::Link(to.to_path_buf(), node));
        report
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_on()?;
        let missing: Vec<&Path> = dir
            .ancestors()
            .take_while(|dir| !state.dirs.contains(*dir))
            .collect();
        for dir in missing.into_iter().rev() {
            state.change(EntryChange::Folder(dir.to_path_buf()));
        }
        Ok(())
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<LockGuard> {
        let mut state = self.state();
        state.check_on()?;
        if !state.locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let node = state.nodes.len();
        state.nodes.push(Node {
            content: holder.as_bytes().to_vec(),
            ..Node::default()
        });
        state.entries.insert(path.to_path_buf(), node);
        Ok(Box::new(Unlock {
            files: self.clone(),
            path: path.to_path_buf(),
        }))
    }
}

#[derive(Debug)]
struct Unlock {
    files: FaultyFiles,
    path: PathBuf,
}

impl Drop for Unlock {
    fn drop(&mut self) {
        self.files.state().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct FaultyFile {
    files: FaultyFiles,
    node: usize,
    /// Where the next append goes in a file that is written over; None: at its end.
    over: Option<AtomicUsize>,
}

impl FileHandle for FaultyFile {
    // Files of tests are small, and each sync is a step that a fault may hit.
    fn unsynced_bytes_max(&self) -> u64 {
        64 << 10
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.files.state();
        let fault = state.operate()?;
        let (stored, error) = match fault {
            Some(Fault::ShortWrite { bytes: stored }) => (
                stored.min(bytes.len()),
                Some(io::Error::other("short write")),
            ),
            Some(Fault::LateError) => (bytes.len(), Some(late_error())),
            Some(_) => (0, Some(io::Error::other("injected failure"))),
            None => (bytes.len(), None),
        };
        let used = state.bytes_used() as usize;
        let room = state
            .bytes_max
            .map_or(usize::MAX, |max| (max as usize).saturating_sub(used));
        let content = &mut state.nodes[self.node].content;
        let length = content.len();
        let at = self.over.as_ref().map(|over| over.load(Ordering::Acquire));
        let at = at.unwrap_or(length).min(length);
        // What is written over takes no room.
        let replaced = stored.min(length - at);
        let room = room.saturating_add(replaced);
        content[at..at + replaced].copy_from_slice(&bytes[..replaced]);
        content.extend_from_slice(&bytes[replaced..stored.min(room)]);
        match error {
            Some(error) => Err(error),
            None if stored > room => {
                state.failed += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            None => {
                if let Some(over) = &self.over {
                    over.store(at + stored, Ordering::Release);
                }
                Ok(())
            }
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.files.state();
        state.check_on()?;
        let content = &state.nodes[self.node].content;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let bytes = buffer.len().min(content.len() - start);
        buffer[..bytes].copy_from_slice(&content[start..start + bytes]);
        Ok(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.files.state();
        let fault = state.operate()?;
        let node = &mut state.nodes[self.node];
        if fault.is_some_and(|fault| fault != Fault::LateError) {
            node.poisoned = true;
            return Err(io::Error::other("sync failed"));
        }
        if !node.poisoned {
            node.durable = node.content.clone();
        }
        fault.map_or(Ok(()), |_| Err(late_error()))
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.files.state();
        let report = state.operate_plainly()?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        state.nodes[self.node].content.truncate(bytes);
        if let Some(over) = &self.over {
            over.fetch_min(bytes, Ordering::AcqRel);
        }
        report
    }

    fn bytes(&self) -> io::Result<u64> {
        let state = self.files.state();
        state.check_on()?;
        Ok(state.nodes[self.node].content.len() as u64)
    }
}
