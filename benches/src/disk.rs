//! The bare disk: what writing and syncing costs without us. The reference of everything that waits for a sync.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use meetnet_lake::storage::{FolderStorage, LakeStorage};

/// Bytes that [`OtherFiles`] writes at once.
const PIECE_BYTES: usize = 256 << 10;

/// Appends `bytes` to a file of its own in `folder` and syncs it, one after the other for `time`; returns how long each
/// pair took.
///
/// # Errors
/// Where the file cannot be written.
pub fn syncs(folder: &Path, bytes: usize, time: Duration) -> Result<Vec<Duration>> {
    let path = folder.join("bare");
    let mut file = File::create(&path)?;
    let content = noise(bytes);
    let until = Instant::now() + time;
    let mut took = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        file.write_all(&content)?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    fs::remove_file(path)?;
    Ok(took)
}

/// Appends `bytes` to a file of its own in `folder` `per_second` times a second; what has come due while a sync ran is
/// written and synced together. Returns how long after its due time each was synced.
///
/// # Errors
/// Where the file cannot be written.
pub fn syncs_at_pace(
    folder: &Path,
    bytes: usize,
    per_second: f64,
    time: Duration,
) -> Result<Vec<Duration>> {
    let path = folder.join("bare");
    let mut file = File::create(&path)?;
    let content = noise(bytes);
    let count = (time.as_secs_f64() * per_second) as u64;
    let start = Instant::now();
    let due_at = |number: u64| start + Duration::from_secs_f64(number as f64 / per_second);
    let mut took = Vec::with_capacity(count as usize);
    let mut group = Vec::new();
    let mut next = 0;
    while next < count {
        thread::sleep(due_at(next).saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let first = next;
        group.clear();
        while next < count && (next == first || due_at(next) <= now) {
            group.extend_from_slice(&content);
            next += 1;
        }
        file.write_all(&group)?;
        file.sync_data()?;
        let synced = Instant::now();
        took.extend((first..next).map(|number| synced.saturating_duration_since(due_at(number))));
    }
    fs::remove_file(path)?;
    Ok(took)
}

/// Data files that a lake writes and syncs meanwhile, as commits and merges do: what a disk has to do besides.
#[derive(Debug)]
pub struct OtherFiles {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64>>,
}

impl OtherFiles {
    /// Starts to write files of `file_bytes`, one after the other, `bytes_per_second` in all. Each is removed once the
    /// next one is there.
    pub fn start(folder: &Path, file_bytes: u64, bytes_per_second: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (folder, stopped) = (folder.join("lake"), Arc::clone(&stop));
        let thread =
            thread::spawn(move || write_files(folder, file_bytes, bytes_per_second, &stopped));
        Self { stop, thread }
    }

    /// Ends with the file that is being written; returns how many bytes there were.
    ///
    /// # Errors
    /// Where one could not be written.
    pub fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the thread of the other files has panicked"))?
    }
}

fn write_files(
    folder: PathBuf,
    file_bytes: u64,
    bytes_per_second: f64,
    stop: &AtomicBool,
) -> Result<u64> {
    let storage = FolderStorage::new(folder);
    let piece = noise(PIECE_BYTES);
    let start = Instant::now();
    let mut written = 0_u64;
    let mut before: Option<String> = None;
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("data/{number}.parquet");
        let mut file = storage.create(&name)?;
        let mut left = file_bytes;
        while left > 0 {
            let due = Duration::from_secs_f64(written as f64 / bytes_per_second);
            thread::sleep(due.saturating_sub(start.elapsed()));
            let length = left.min(piece.len() as u64);
            file.write_all(&piece[..length as usize])?;
            left -= length;
            written += length;
        }
        file.finish()?;
        storage.sync_names("data")?;
        if let Some(before) = before.replace(name) {
            storage.remove(&before)?;
        }
    }
    Ok(written)
}

/// Writes `bytes` in pieces of `piece`, each synced; returns how long that took.
///
/// # Errors
/// Where the file cannot be written.
pub fn stream(folder: &Path, bytes: u64, piece: usize) -> Result<Duration> {
    let path = folder.join("bare");
    let mut file = File::create(&path)?;
    let content = noise(piece.max(1));
    let began = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let length = left.min(content.len() as u64);
        file.write_all(&content[..length as usize])?;
        file.sync_data()?;
        left -= length;
    }
    let took = began.elapsed();
    fs::remove_file(path)?;
    Ok(took)
}

/// Bytes that no disk can compress away.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(length)
    .collect()
}
