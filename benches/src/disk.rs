//! The bare disk: what writing and syncing costs without us. The reference of everything that waits for a sync.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

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
