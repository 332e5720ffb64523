//! `meetnet backup` and `meetnet restore`. What a backup is, and why it is whole, stands in `meetnet_lake::backup`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use meetnet_lake::backup::{self, BackupError, BackupOptions, Manifest, RestoreOptions};
use meetnet_lake::files::DiskFiles;
use meetnet_lake::journal::JournalError;
use meetnet_lake::storage::LakeStorage;
use meetnet_model::calendar::format_rfc3339;
use meetnet_model::quantity::SizeText;
use tokio::runtime::Handle;

use super::{Context, Outcome, Progress, client};
use crate::cli::print;
use crate::config::{Config, Environment};
use crate::daemon::{PRIVACY_KEY_FILE, SESSIONS_FILE};
use crate::failure::Failure;
use crate::readable::counted;

/// Makes a backup of the lake and the open journal.
pub(super) fn write(
    context: &Context,
    dir: &Path,
    with_archive: bool,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let options = BackupOptions {
        dir: dir.to_path_buf(),
        files: Arc::new(DiskFiles::PRIVATE),
        with_archive,
        journal_files: vec![PRIVACY_KEY_FILE.to_owned(), SESSIONS_FILE.to_owned()],
    };
    let manifest =
        backup::write(&context.storage, &context.journal, &options, progress).map_err(failure)?;
    let secret = if context.config().privacy_secret.is_none() {
        "the privacy secret is in it: who has it can find a device behind its pseudonym, so keep the backup private"
    } else {
        "[privacy] secret is not in it: keep a copy elsewhere, without it every device gets a new id"
    };
    Ok(Outcome::of(format!(
        "backup of {} in {}: {}; everything acknowledged before it began is in it\n{secret}",
        format_rfc3339(manifest.made_at),
        dir.display(),
        amount(&manifest)
    )))
}

/// Restores a backup to where the configuration says, and prints what to do next. No daemon may run there.
///
/// # Errors
/// `Usage` where there is no backup or something in its place, or its pseudonyms could not be made again; `Work`
/// where it is damaged or cannot be written.
pub(crate) async fn restore(
    dir: PathBuf,
    file: &Path,
    environment: &Environment,
) -> Result<(), Failure> {
    let config = Config::load(file, environment).map_err(Failure::usage)?;
    let secrets = config.lake_secrets(environment).map_err(Failure::usage)?;
    let storage = config.lake.storage(&secrets, Handle::current());
    let storage = storage.map_err(Failure::Usage)?;
    let report = tokio::task::spawn_blocking(move || restore_to(&config, storage.as_ref(), &dir))
        .await
        .unwrap_or_else(|error| Err(Failure::work(error)))?;
    print(&report)
}

fn restore_to(config: &Config, storage: &dyn LakeStorage, dir: &Path) -> Result<String, Failure> {
    let files = DiskFiles::PRIVATE;
    let manifest = Manifest::read(&files, dir).map_err(failure)?;
    if config.privacy_secret.is_none() && !manifest.has_journal_file(PRIVACY_KEY_FILE) {
        return Err(Failure::Usage(anyhow!(
            "the backup in {} has no privacy secret, and {} names none: add [privacy] secret as it was configured then, \
             or every device gets a new id",
            dir.display(),
            config.file.display()
        )));
    }
    let options = RestoreOptions {
        dir: dir.to_path_buf(),
        journal_dir: config.journal.dir.clone(),
        archive_dir: config.journal.archive_dir.clone(),
        files: Arc::new(files),
    };
    let manifest = backup::restore(storage, &options, &mut client::show).map_err(failure)?;
    Ok(format!(
        "restored the backup of {}: {}\nstart the daemon with `meetnet run --config {}`",
        format_rfc3339(manifest.made_at),
        amount(&manifest),
        config.file.display()
    ))
}

fn amount(manifest: &Manifest) -> String {
    format!(
        "{}, {}, {}",
        counted(manifest.tables.len() as u64, "table"),
        counted(manifest.files.len() as u64, "file"),
        SizeText(manifest.bytes()).rounded()
    )
}

/// A folder that is the wrong one is for the operator to correct; damage is not.
fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::Taken { .. }
        | BackupError::NoManifest { .. }
        | BackupError::NewerFormat { .. }
        | BackupError::Occupied { .. }
        | BackupError::Journal(JournalError::Locked { .. }) => Failure::usage(error),
        error => Failure::work(error),
    }
}
