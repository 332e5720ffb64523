//! What is on the disk, what only seems to be, and what of it a crash leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Crash, Fault};

const SECTOR_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    pub(super) entries: BTreeMap<PathBuf, usize>,
    pub(super) durable_entries: BTreeMap<PathBuf, usize>,
    /// Changes of entries that no sync of their folder has made durable, in order.
    pub(super) unsynced: Vec<EntryChange>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) durable_dirs: BTreeSet<PathBuf>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) operations: u64,
    /// Operations that failed.
    pub(super) failed: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) bytes_max: Option<u64>,
    pub(super) read_only: bool,
    pub(super) off: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) content: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// A sync failed: what is not durable by now never will be.
    pub(super) poisoned: bool,
}

#[derive(Clone, Debug)]
pub(super) enum EntryChange {
    Folder(PathBuf),
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

impl EntryChange {
    pub(super) fn touches(&self, dir: &Path) -> bool {
        match self {
            Self::Folder(path) | Self::Link(path, _) | Self::Unlink(path) => {
                path.parent() == Some(dir)
            }
            Self::Rename(from, to, _) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }

    pub(super) fn apply(
        &self,
        dirs: &mut BTreeSet<PathBuf>,
        entries: &mut BTreeMap<PathBuf, usize>,
    ) {
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

impl State {
    /// Returns what the next process finds.
    pub(super) fn after(&self, crash: Crash) -> Self {
        let mut next = State::default();
        match crash {
            Crash::Kill => {
                next.dirs = self.dirs.clone();
                next.durable_dirs = self.durable_dirs.clone();
                next.nodes = self.nodes.clone();
                next.entries = self.entries.clone();
                next.durable_entries = self.durable_entries.clone();
                next.unsynced = self.unsynced.clone();
            }
            Crash::PowerLoss { seed } => {
                let mut rng = StdRng::seed_from_u64(seed);
                let mut dirs = self.durable_dirs.clone();
                let mut entries = self.durable_entries.clone();
                for change in &self.unsynced {
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
                    let content = surviving(&self.nodes[node], &mut rng);
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
        next
    }

    /// Counts an operation and returns the fault that hits it, if it is one that the caller gives shape to.
    pub(super) fn operate(&mut self) -> io::Result<Option<Fault>> {
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
    pub(super) fn operate_plainly(&mut self) -> io::Result<io::Result<()>> {
        match self.operate()? {
            None => Ok(Ok(())),
            Some(Fault::LateError) => Ok(Err(late_error())),
            Some(_) => Err(io::Error::other("injected failure")),
        }
    }

    pub(super) fn check_on(&self) -> io::Result<()> {
        if self.off {
            Err(io::Error::other("the machine is off"))
        } else {
            Ok(())
        }
    }

    pub(super) fn bytes_used(&self) -> u64 {
        let nodes = self.entries.values();
        nodes
            .map(|node| self.nodes[*node].content.len() as u64)
            .sum()
    }

    pub(super) fn node_at(&self, path: &Path) -> io::Result<usize> {
        self.entries
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn change(&mut self, change: EntryChange) {
        change.apply(&mut self.dirs, &mut self.entries);
        self.unsynced.push(change);
    }

    pub(super) fn check_dir_of(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(dir) if self.dirs.contains(dir) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

pub(super) fn late_error() -> io::Error {
    io::Error::other("the answer was lost")
}

/// Returns true where a folder and all its parents are in `dirs`; those without a parent always are.
fn is_rooted(dir: &Path, dirs: &BTreeSet<PathBuf>) -> bool {
    let mut named = dir.ancestors().filter(|dir| dir.parent().is_some());
    named.all(|dir| dirs.contains(dir))
}

/// Chooses what of a file is on the disk after a power loss.
fn surviving(node: &Node, rng: &mut StdRng) -> Vec<u8> {
    if node.content.len() < node.durable.len() {
        // Cut and not synced: the cut may or may not have reached the disk.
        return if rng.random_bool(0.5) {
            node.durable.clone()
        } else {
            node.content.clone()
        };
    }
    let pairs = node.content.iter().zip(&node.durable);
    // Here begins what was written over, or else added, since the last sync.
    let synced = pairs.take_while(|(now, then)| now == then).count();
    let kept = synced + rng.random_range(0..=node.content.len() - synced);
    let mut content = node.content[..kept].to_vec();
    // Sectors that were never written read as before, or as zeros, though later ones may be there.
    if kept > synced && rng.random_bool(0.3) {
        for _ in 0..rng.random_range(1..4) {
            let start = rng.random_range(synced..kept);
            let end = ((start / SECTOR_BYTES + 1) * SECTOR_BYTES).min(kept);
            for (at, byte) in content[start..end].iter_mut().enumerate() {
                *byte = node.durable.get(start + at).copied().unwrap_or(0);
            }
        }
    }
    if kept < node.durable.len() {
        content.extend_from_slice(&node.durable[kept..]);
    }
    content
}
