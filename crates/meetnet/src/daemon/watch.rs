//! Notices that the configuration may have changed: SIGHUP, or other bytes in its files.
//!
//! Files are looked at, not watched: a look costs a few reads, works on every file system, and sees through editors that
//! replace a file, links that are turned, and mounted secrets.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::config::Config;

/// Between two looks at the files.
const PERIOD: Duration = Duration::from_secs(2);
/// A configuration that was refused is read again after this long, changed or not: what it lacked (a secret, a broker's
/// certificate, room in the journal) may be there.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// Waits for the next change.
pub(super) struct ConfigWatch {
    hangup: Signal,
    places: Places,
    known: u64,
    /// What the last look saw where it was new: a file that is being written is not read yet.
    seen: Option<u64>,
    retry_at: Option<Instant>,
}

/// Why the configuration is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// SIGHUP.
    Asked,
    /// Its files are others.
    Changed,
    /// It was refused a while ago.
    Retry,
}

/// What a configuration is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    files: Vec<PathBuf>,
    schemas_dir: Option<PathBuf>,
}

impl ConfigWatch {
    /// Starts to watch the files of a configuration that has just been read.
    ///
    /// # Errors
    /// Where the system does not let us listen for SIGHUP.
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let places = Places::of(config);
        Ok(Self {
            hangup: signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?,
            known: places.fingerprint(),
            places,
            seen: None,
            retry_at: None,
        })
    }

    /// Watches the files of the configuration that has been read since. What they were when it was read is known only
    /// where they are the same files: else it is read once more, which changes nothing.
    pub(super) fn follow(&mut self, config: &Config) {
        self.places = Places::of(config);
        self.retry_at = None;
    }

    /// Has the configuration read again after a while, changed or not.
    pub(super) fn try_again(&mut self) {
        self.retry_at = Some(Instant::now() + RETRY_PAUSE);
    }

    /// Waits until there is a reason to read the configuration again. Dropping the future loses nothing.
    pub(super) async fn changed(&mut self) -> Cause {
        loop {
            let retry_at = self.retry_at;
            let retry = async move {
                match retry_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Files that have changed as well are noticed once more, which changes nothing.
                _ = self.hangup.recv() => return Cause::Asked,
                () = retry => {
                    self.retry_at = None;
                    return Cause::Retry;
                }
                () = tokio::time::sleep(PERIOD) => {
                    // Off the async threads: the files may be another machine's, which does not answer.
                    let places = self.places.clone();
                    let print = tokio::task::spawn_blocking(move || places.fingerprint()).await;
                    if self.look(print.unwrap_or(self.known)) {
                        return Cause::Changed;
                    }
                }
            }
        }
    }

    /// Takes the fingerprint of the files as they are now; returns true where they are others than those known, and the same
    /// as at the last look.
    fn look(&mut self, print: u64) -> bool {
        if print == self.known {
            self.seen = None;
            return false;
        }
        if self.seen.replace(print) != Some(print) {
            return false;
        }
        self.known = print;
        self.seen = None;
        true
    }
}

impl Places {
    fn of(config: &Config) -> Self {
        let mut files = vec![config.file.clone()];
        files.extend(config.files.iter().cloned());
        Self {
            files,
            schemas_dir: config.schemas_dir.clone(),
        }
    }

    /// Returns a number that is another one where names or bytes are others. What cannot be read is nothing.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut add = |path: &Path| {
            hasher.write(path.as_os_str().as_encoded_bytes());
            let bytes = std::fs::read(path).unwrap_or_default();
            hasher.write_usize(bytes.len());
            hasher.write(&bytes);
        };
        self.files.iter().for_each(|file| add(file));
        if let Some(folder) = &self.schemas_dir {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            files.retain(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            });
            files.sort();
            files.iter().for_each(|file| add(file));
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
