//! Free space on the disks of journal and lake: somebody is to hear of a disk that fills up before a write is refused.
//!
//! Nothing is refused here. What happens when a disk is full is the journal's and the lake's own (docs/operations.md).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meetnet_publish::{DiskStatus, Readiness};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::config::{Config, LakePlace};

/// How often it is measured: what a busy city writes in this time is a small part of any useful threshold.
const PERIOD: Duration = Duration::from_secs(10);

/// What was measured last; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured(Arc<Mutex<Vec<DiskStatus>>>);

impl Measured {
    /// Returns the disks, the journal's first; none before the first look.
    pub(super) fn read(&self) -> Vec<DiskStatus> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn write(&self, disks: Vec<DiskStatus>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = disks;
    }
}

/// Folders on disks that are looked at.
struct Watch {
    folders: Vec<Folder>,
    free_bytes_min: u64,
}

struct Folder {
    name: &'static str,
    dir: PathBuf,
    is_low: bool,
    /// The last look failed.
    is_unknown: bool,
}

/// Starts the task; it runs until it is aborted. A bucket has no end, so only the journal is looked at before one.
pub(super) fn start(config: &Config, measured: Measured, readiness: Readiness) -> JoinHandle<()> {
    let mut folders = vec![Folder::new("journal", &config.journal.dir)];
    if let LakePlace::Folder(root) = &config.lake.place {
        folders.push(Folder::new("lake", root));
    }
    let mut watch = Watch {
        folders,
        free_bytes_min: config.limits.free_bytes_min,
    };
    tokio::spawn(async move {
        loop {
            // Off the async threads: the disk may be another machine's, which does not answer.
            let look = tokio::task::spawn_blocking(move || (watch.look(free_bytes), watch));
            // A panic has been reported by the panic hook.
            let Ok((disks, looked)) = look.await else {
                return;
            };
            watch = looked;
            readiness.disks_low(low(&disks));
            measured.write(disks);
            tokio::time::sleep(PERIOD).await;
        }
    })
}

/// Returns the folders of disks with little space left.
fn low(disks: &[DiskStatus]) -> Vec<&'static str> {
    let low = disks.iter().filter(|disk| disk.is_low);
    low.map(|disk| disk.folder).collect()
}

impl Folder {
    fn new(name: &'static str, dir: &Path) -> Self {
        Self {
            name,
            dir: dir.to_path_buf(),
            is_low: false,
            is_unknown: false,
        }
    }
}

impl Watch {
    /// Measures every disk with `measure`, and says what has changed: once when space becomes short, and once when there
    /// is enough again.
    fn look(&mut self, measure: impl Fn(&Path) -> io::Result<u64>) -> Vec<DiskStatus> {
        let min = self.free_bytes_min;
        // Space that comes and goes by a little is one shortage.
        let enough = min.saturating_add(min / 8);
        let mut disks = Vec::with_capacity(self.folders.len());
        for folder in &mut self.folders {
            let (name, dir) = (folder.name, folder.dir.display());
            let measured = measure(&folder.dir);
            let was_unknown = std::mem::replace(&mut folder.is_unknown, measured.is_err());
            if let Err(error) = &measured
                && !was_unknown
            {
                let error: &dyn std::error::Error = error;
                warn!(folder = name, %dir, error, "failed to measure the free space of a disk");
            }
            let free_bytes = measured.ok();
            if let Some(free) = free_bytes {
                let was_low = folder.is_low;
                folder.is_low = free < if was_low { enough } else { min };
                if folder.is_low && !was_low {
                    warn!(folder = name, %dir, free_bytes = free, free_bytes_min = min,
                        "little space is left on a disk: make room before writes are refused");
                } else if was_low && !folder.is_low {
                    info!(folder = name, %dir, free_bytes = free, "a disk has enough space again");
                }
                metrics::gauge!("meetnet_disk_free_bytes", "folder" => name).set(free as f64);
            }
            let is_low = f64::from(u8::from(folder.is_low));
            metrics::gauge!("meetnet_disk_low", "folder" => name).set(is_low);
            disks.push(DiskStatus {
                folder: name,
                free_bytes,
                is_low: folder.is_low,
            });
        }
        disks
    }
}

/// Returns how many bytes a process without special rights may still write on the file system of a folder.
fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests;
