//! The secret under which hardware ids become pseudonyms: configured, or generated once beside the journal.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, ensure};
use meetnet_model::privacy::PrivacyKey;
use rand::TryRngCore;
use rand::rngs::OsRng;
use tracing::warn;

/// Name of the generated secret in the journal folder.
pub(crate) const FILE: &str = "privacy.key";
const BYTES: usize = 32;

/// Returns the key: from the configured secret, else from the file in `dir`, which is made where it is missing and nothing
/// `is_written` yet. (It is on disk before the journal is, so no crash leaves the one without the other.)
///
/// # Errors
/// Where the file is missing all the same, cannot be read or written, or has not the length that we wrote: another key
/// would give every device a new id.
pub(super) fn find(
    configured: Option<String>,
    dir: &Path,
    is_written: impl FnOnce() -> anyhow::Result<bool>,
) -> anyhow::Result<PrivacyKey> {
    if let Some(secret) = configured {
        return Ok(PrivacyKey::new(secret));
    }
    let path = dir.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            ensure!(
                bytes.len() == BYTES,
                "{} has {} bytes instead of {BYTES}; restore it from a backup: with another one every device gets a new id",
                path.display(),
                bytes.len()
            );
            Ok(PrivacyKey::new(bytes))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let shown = path.display();
            ensure!(
                !is_written()?,
                "the privacy secret {shown} is missing, though there is a journal or a lake: put the file back, a backup \
                 has it, or add [privacy] secret as it was configured; with another one every device gets a new id. Where \
                 it is lost for good, `(umask 077; head -c 32 /dev/urandom > {shown})` makes another one"
            );
            let bytes = generate(&path, dir).with_context(|| {
                format!("failed to write the privacy secret {}", path.display())
            })?;
            warn!(
                file = %path.display(),
                "generated the privacy secret: keep a copy, without it every device gets a new id"
            );
            Ok(PrivacyKey::new(bytes))
        }
        Err(error) => Err(error)
            .with_context(|| format!("failed to read the privacy secret {}", path.display())),
    }
}

/// Writes a fresh secret and returns the one that is there then: whether or not the caller has locked the folder, another
/// process may have been faster. It is on disk under its name, complete, or not there at all.
fn generate(path: &Path, dir: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = [0; BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .context("the system gives no random bytes")?;
    // As the journal makes it.
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let unfinished = dir.join(format!("{FILE}.{}.tmp", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    // Unlike a rename, a link replaces nothing.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        _ => fs::File::open(dir)?.sync_all()?,
    }
    Ok(fs::read(path)?)
}

#[cfg(test)]
mod tests;
