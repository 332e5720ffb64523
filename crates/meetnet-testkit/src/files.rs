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

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meetnet_lake::files::{FileHandle, Files, ListedFile, LockGuard};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SECTOR_BYTES: usize = 512;

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

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    entries: BTreeMap<PathBuf, usize>,
    durable_entries: BTreeMap<PathBuf, usize>,
    /// Changes of entries that no sync of their folder has made durable, in order.
    unsynced: Vec<EntryChange>,
    dirs: BTreeSet<PathBuf>,
    durable_dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    operations: u64,
    /// Operations that failed.
    failed: u64,
    faults: BTreeMap<u64, Fault>,
    bytes_max: Option<u64>,
    read_only: bool,
    off: bool,
}

#[derive(Clone, Debug, Default)]
struct Node {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// A sync failed: what is not durable by now never will be.
    poisoned: bool,
}

#[derive(Clone, Debug)]
enum EntryChange {
    Folder(PathBuf),
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

impl EntryChange {
    fn touches(&self, dir: &Path) -> bool {
        match self {
            Self::Folder(path) | Self::Link(path, _) | Self::Unlink(path) => {
                path.parent() == Some(dir)
            }
            Self::Rename(from, to, _) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }

    fn apply(&self, dirs: &mut BTreeSet<PathBuf>, entries: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Folder(path) => {
                dirs.insert(path.clone());
            }
            Self::Link(path, node) => {
                entries.insert(path.clone(), *node);
            }
            Self::Unlink(path) => {
                entries.remove(path);
            }
            Self::Rename(from, to, node) => {
                entries.remove(from);
                entries.insert(to.clone(), *node);
            }
        }
    }
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
        let state = self.state();
        let mut next = State::default();
        match crash {
            Crash::Kill => {
                next.dirs = state.dirs.clone();
                next.durable_dirs = state.durable_dirs.clone();
                next.nodes = state.nodes.clone();
                next.entries = state.entries.clone();
                next.durable_entries = state.durable_entries.clone();
                next.unsynced = state.unsynced.clone();
            }
            Crash::PowerLoss { seed } => {
                let mut rng = StdRng::seed_from_u64(seed);
                let mut dirs = state.durable_dirs.clone();
                let mut entries = state.durable_entries.clone();
                for change in &state.unsynced {
                    if rng.random_bool(0.5) {
                        change.apply(&mut dirs, &mut entries);
                    }
                }
                // What lies in a folder whose name is lost is lost with it.
                next.dirs = dirs
                    .iter()
                    .filter(|dir| is_rooted(dir, &dirs))
                    .cloned()
                    .collect();
                next.durable_dirs = next.dirs.clone();
                for (path, node) in entries {
                    if !path.parent().is_some_and(|dir| is_rooted(dir, &dirs)) {
                        continue;
                    }
                    let content = surviving(&state.nodes[node], &mut rng);
                    let durable = content.clone();
                    next.entries.insert(path.clone(), next.nodes.len());
                    next.durable_entries.insert(path, next.nodes.len());
                    next.nodes.push(Node {
                        content,
                        durable,
                        poisoned: false,
                    });
                }
            }
        }
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn late_error() -> io::Error {
    io::Error::other("the answer was lost")
}

/// Returns true where a folder and all its parents are in `dirs`; those without a parent always are.
fn is_rooted(dir: &Path, dirs: &BTreeSet<PathBuf>) -> bool {
    let mut named = dir.ancestors().filter(|dir| dir.parent().is_some());
    named.all(|dir| dirs.contains(dir))
}

/// Chooses what of a file is on the disk after a power loss.
fn surviving(node: &Node, rng: &mut StdRng) -> Vec<u8> {
    if !node.content.starts_with(&node.durable) {
        // Cut and not synced: the cut may or may not have reached the disk.
        return if rng.random_bool(0.5) {
            node.durable.clone()
        } else {
            node.content.clone()
        };
    }
    let unsynced = node.content.len() - node.durable.len();
    let kept = node.durable.len() + rng.random_range(0..=unsynced);
    let mut content = node.content[..kept].to_vec();
    // A sector that was never written reads as zeros, though later ones may be there.
    if kept > node.durable.len() && rng.random_bool(0.3) {
        let start = rng.random_range(node.durable.len()..kept);
        let end = (start / SECTOR_BYTES + 1) * SECTOR_BYTES;
        content[start..end.min(kept)].fill(0);
    }
    content
}

impl State {
    /// Counts an operation and returns the fault that hits it, if it is one that the caller gives shape to.
    fn operate(&mut self) -> io::Result<Option<Fault>> {
        if let Err(error) = self.check_on() {
            self.failed += 1;
            return Err(error);
        }
        if self.read_only {
            self.failed += 1;
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let fault = self.faults.remove(&self.operations);
        self.operations += 1;
        self.failed += u64::from(fault.is_some());
        match fault {
            Some(Fault::PowerLoss) => {
                self.off = true;
                Err(io::Error::other("power loss"))
            }
            Some(Fault::DiskFull) => Err(io::ErrorKind::StorageFull.into()),
            fault => Ok(fault),
        }
    }

    /// The same for an operation to which short writes and failed syncs mean nothing of their own. What it returns is
    /// what to report once the operation has taken effect.
    fn operate_plainly(&mut self) -> io::Result<io::Result<()>> {
        match self.operate()? {
            None => Ok(Ok(())),
            Some(Fault::LateError) => Ok(Err(late_error())),
            Some(_) => Err(io::Error::other("injected failure")),
        }
    }

    fn check_on(&self) -> io::Result<()> {
        if self.off {
            Err(io::Error::other("the machine is off"))
        } else {
            Ok(())
        }
    }

    fn bytes_used(&self) -> u64 {
        let nodes = self.entries.values();
        nodes
            .map(|node| self.nodes[*node].content.len() as u64)
            .sum()
    }

    fn node_at(&self, path: &Path) -> io::Result<usize> {
        self.entries
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: EntryChange) {
        change.apply(&mut self.dirs, &mut self.entries);
        self.unsynced.push(change);
    }

    fn check_dir_of(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(dir) if self.dirs.contains(dir) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
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
        Ok(Arc::new(FaultyFile {
            files: self.clone(),
            node,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let state = self.state();
        state.check_on()?;
        let node = state.node_at(path)?;
        Ok(Arc::new(FaultyFile {
            files: self.clone(),
            node,
        }))
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
}

impl FileHandle for FaultyFile {
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
        let node = &mut state.nodes[self.node];
        node.content.extend_from_slice(&bytes[..stored.min(room)]);
        match error {
            Some(error) => Err(error),
            None if stored > room => {
                state.failed += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            None => Ok(()),
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
        state.nodes[self.node]
            .content
            .truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        report
    }

    fn bytes(&self) -> io::Result<u64> {
        let state = self.files.state();
        state.check_on()?;
        Ok(state.nodes[self.node].content.len() as u64)
    }
}
