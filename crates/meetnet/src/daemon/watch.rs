//! Notices that the configuration may have changed: SIGHUP, or other bytes in its files.
//!
//! Files are looked at, not watched: a look costs a few reads, works on every file system, and sees through editors that
//! replace a file, links that are turned, and mounted secrets.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;

/// Between two looks at the files.
const PERIOD: Duration = Duration::from_secs(2);

/// Waits for the next change.
pub(crate) struct ConfigWatch {
    hangup: Signal,
    places: Places,
    known: u64,
    /// What the last look saw where it was new: a file that is being written is not read yet.
    seen: Option<u64>,
}

/// What a configuration is read from.
#[derive(Clone, Debug)]
struct Places {
    file: PathBuf,
    schemas_dir: Option<PathBuf>,
}

impl ConfigWatch {
    /// Starts to watch the files of a configuration that has just been read.
    ///
    /// # Errors
    /// Where the system does not let us listen for SIGHUP.
    pub(crate) fn start(config: &Config) -> anyhow::Result<Self> {
        let places = Places::of(config);
        Ok(Self {
            hangup: signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?,
            known: places.fingerprint(),
            places,
            seen: None,
        })
    }

    /// Watches the files of another configuration from now on.
    pub(crate) fn follow(&mut self, config: &Config) {
        self.places = Places::of(config);
        self.known = self.places.fingerprint();
        self.seen = None;
    }

    /// Waits until there is a reason to read the configuration again. Dropping the future loses nothing.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    self.known = self.places.fingerprint();
                    return;
                }
                () = tokio::time::sleep(PERIOD) => {
                    if self.look() {
                        return;
                    }
                }
            }
        }
    }

    /// Returns true where the files are others than those known, and the same as at the last look.
    fn look(&mut self) -> bool {
        let print = self.places.fingerprint();
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
        Self {
            file: config.file.clone(),
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
        add(&self.file);
        if let Some(folder) = &self.schemas_dir {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
            files.sort();
            for file in &files {
                add(file);
            }
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[tokio::test]
    async fn a_change_counts_once_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("meetnet.toml");
        let schemas = folder.path().join("schemas");
        std::fs::create_dir(&schemas).unwrap();
        let text = "[schemas]\ndir = \"schemas\"\n";
        std::fs::write(&file, text).unwrap();
        let config = Config::load(&file, &Environment::default()).unwrap();
        let mut watch = ConfigWatch::start(&config).unwrap();
        let mut check = |expect: &[bool]| {
            for (at, expect) in expect.iter().enumerate() {
                assert_eq!(watch.look(), *expect, "look {at}");
            }
        };
        check(&[false, false]);
        std::fs::write(&file, format!("{text}# a comment\n")).unwrap();
        check(&[false, true, false]);
        // Written in two goes, with a look between them.
        std::fs::write(&file, "[sche").unwrap();
        check(&[false]);
        std::fs::write(&file, text).unwrap();
        check(&[false, true, false]);
        std::fs::write(schemas.join("odour.toml"), "id = \"odour\"").unwrap();
        check(&[false, true, false]);
        std::fs::write(schemas.join("notes.txt"), "no declaration").unwrap();
        check(&[false, false]);
        std::fs::remove_file(schemas.join("odour.toml")).unwrap();
        check(&[false, true, false]);
        // Changed and changed back: nothing to do.
        std::fs::write(&file, "").unwrap();
        check(&[false]);
        std::fs::write(&file, text).unwrap();
        check(&[false, false]);
    }
}
