//! `meetnet privacy scan`: looks for personal data in everything that is published, and in logs.
//!
//! ```text
//! --config, --dir ─▶ every file of the lake ─┐
//! FILE… ─────────────────────────────────────┼▶ by kind: Parquet, JSON, CSV, text ─▶ leaks by place ─▶ stdout
//! --url ─▶ pages and answers of the service ─┘
//! ```
//!
//! What the sources of the configuration publish as it is (`exact_location`) is no finding, at `--url` neither.
//!
//! It only reads. A finding names file, place, kind and how many rows, and shows no more than three characters of it. Exit
//! code 1: something was found, or could not be looked at. What personal data looks like is `meetnet_model::redact`'s
//! business, how Parquet is read `meetnet_lake::leaks`'s.

mod content;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use meetnet_lake::leaks::{coordinates_of, search_parquet};
use meetnet_lake::storage::{FolderStorage, LakeLocation, LakeStorage};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::redact::{Allowed, Leak, redact_text};
use tokio::runtime::Handle;

use crate::cli::print;
use crate::config::{Config, Environment};
use crate::failure::Failure;
use crate::readable::counted;
use crate::sql::ServiceAccess;

/// The options of `meetnet privacy scan`.
#[derive(Debug, Args)]
pub(crate) struct ScanOptions {
    /// Searches the lake of this configuration, in a folder or a bucket
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Searches every file in this folder and below
    #[arg(long, value_name = "DIR")]
    dir: Vec<PathBuf>,

    /// Searches the pages and answers of the service at this address
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Asks the service with the API key in this file; without it with the one in MEETNET_API_KEY, if that is set
    #[arg(long, value_name = "FILE", requires = "url")]
    api_key_file: Option<PathBuf>,

    /// Files: Parquet, JSON, NDJSON, CSV, logs and other texts
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// A text that is public on purpose, such as the address of the data team; may be repeated
    #[arg(long, value_name = "TEXT")]
    allow: Vec<String>,
}

/// What was found, and what was looked at.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    files: u64,
    answers: u64,
    lines: Vec<String>,
    leaks: u64,
    failures: u64,
}

impl Findings {
    /// Notes a file or answer that was searched, by its name.
    fn add(&mut self, name: &str, leaks: &[(String, Leak)]) {
        for (place, leak) in leaks {
            self.leaks += 1;
            // A name may be what was found.
            self.lines.push(format!(
                "{}: {}: {} in {} ({})",
                redact_text(name),
                redact_text(place),
                leak.kind.as_str(),
                counted(leak.rows, "row"),
                leak.hint,
            ));
        }
    }

    /// Notes what could not be searched.
    fn fail(&mut self, name: &str, error: &anyhow::Error) {
        self.failures += 1;
        let line = format!("{name}: not searched: {error:#}");
        self.lines.push(redact_text(&line).into_owned());
    }

    /// Returns the report.
    fn describe(&self) -> String {
        let mut lines = self.lines.clone();
        lines.push(format!(
            "searched {} and {}: {}",
            counted(self.files, "file"),
            counted(self.answers, "answer"),
            match self.leaks {
                0 => "no personal data".to_owned(),
                leaks => counted(leaks, "finding"),
            }
        ));
        lines.join("\n")
    }

    /// An error where a person has something to do.
    fn judge(&self) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        if self.leaks > 0 {
            wrong.push(format!(
                "{} of personal data: see docs/privacy.md for what to do",
                counted(self.leaks, "finding")
            ));
        }
        if self.failures > 0 {
            wrong.push(format!(
                "{} could not be searched",
                counted(self.failures, "place")
            ));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::Work(anyhow!(wrong.join("; "))))
    }
}

/// Searches, and prints what was found.
///
/// # Errors
/// `Usage` where nothing is named to search or the configuration or API key is wrong, `Work` where something was found or
/// could not be read.
pub(crate) async fn scan(options: ScanOptions, environment: Environment) -> Result<(), Failure> {
    let ScanOptions {
        config,
        dir,
        url,
        api_key_file,
        files,
        allow,
    } = options;
    if config.is_none() && dir.is_empty() && url.is_none() && files.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "say what to search: --config FILE, --dir DIR, --url URL, or files"
        )));
    }
    let access = url.map(|url| ServiceAccess::new(url, api_key_file.as_deref(), &environment));
    let access = access.transpose()?;
    let allowed = Allowed::new(allow);
    let lake = config
        .map(|file| lake_of(&file, &environment))
        .transpose()?;
    let (mut findings, allowed) = tokio::task::spawn_blocking(move || {
        let mut findings = Findings::default();
        let mut allowed = allowed;
        if let Some(lake) = lake {
            allowed = allowed.with_coordinates(lake.exact_coordinates());
            search_all(&lake.storage, &allowed, &mut findings);
        }
        for dir in &dir {
            let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new(dir));
            if dir.is_dir() {
                search_all(&storage, &allowed, &mut findings);
            } else {
                findings.fail(
                    &dir.display().to_string(),
                    &anyhow!("there is no such folder"),
                );
            }
        }
        for file in &files {
            search_file(file, &allowed, &mut findings);
        }
        (findings, allowed)
    })
    .await
    .map_err(Failure::work)?;
    if let Some(access) = &access {
        service::search(access, &allowed, &mut findings).await?;
    }
    print(&findings.describe())?;
    findings.judge()
}

/// The lake of a configuration.
struct Lake {
    storage: Arc<dyn LakeStorage>,
    /// Sources that publish their places as they are.
    exact: BTreeSet<String>,
    /// Folders of the tables of places.
    places: Vec<String>,
}

impl Lake {
    /// Returns the longitudes and latitudes that are published as they are. A file that cannot be read is said by the search.
    fn exact_coordinates(&self) -> Vec<f64> {
        if self.exact.is_empty() {
            return Vec::new();
        }
        let is_of_places = |path: &str| self.places.iter().any(|folder| path.starts_with(folder));
        let listed = self.storage.list("").unwrap_or_default();
        let files = listed.iter().map(|object| object.path.as_str());
        let files = files.filter(|path| is_of_places(path) && path.ends_with(".parquet"));
        files
            .filter_map(|path| coordinates_of(&*self.storage, path, &self.exact).ok())
            .flatten()
            .collect()
    }
}

/// Returns the lake of a configuration, and what it says of places.
fn lake_of(file: &Path, environment: &Environment) -> Result<Lake, Failure> {
    let config = Config::load(file, environment).map_err(Failure::usage)?;
    let secrets = config.lake_secrets(environment).map_err(Failure::usage)?;
    let storage = config
        .lake
        .storage(&secrets, Handle::current())
        .map_err(Failure::Usage)?;
    let sources = config.declarations.sources.values();
    let datasets = config.declarations.datasets.values();
    Ok(Lake {
        storage,
        exact: sources
            .filter(|source| source.exact_location)
            .map(|source| source.id.to_string())
            .collect(),
        places: datasets
            .filter(|dataset| dataset.kind == DatasetKind::Places)
            .map(|dataset| format!("{}/", dataset.id))
            .collect(),
    })
}

/// Searches every file of a lake or folder.
fn search_all(storage: &Arc<dyn LakeStorage>, allowed: &Allowed, findings: &mut Findings) {
    let listed = match storage.list("") {
        Ok(listed) => listed,
        Err(error) => {
            let error = anyhow::Error::new(error).context("failed to list it");
            return findings.fail(&storage.location().name(), &error);
        }
    };
    for object in listed {
        search_stored(storage, &object.path, allowed, findings);
    }
}

/// Searches a file by its path.
fn search_file(path: &Path, allowed: &Allowed, findings: &mut Findings) {
    let shown = path.display().to_string();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return findings.fail(&shown, &anyhow!("it is no file"));
    };
    let Some(name) = name.to_str() else {
        return findings.fail(&shown, &anyhow!("its name is not UTF-8; rename it"));
    };
    let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new(folder));
    search_stored(&storage, name, allowed, findings);
}

fn search_stored(
    storage: &Arc<dyn LakeStorage>,
    path: &str,
    allowed: &Allowed,
    findings: &mut Findings,
) {
    let location = storage.location();
    let shown = match &location {
        LakeLocation::Folder(folder) => folder.join(path).display().to_string(),
        LakeLocation::Objects { url, .. } => format!("{url}/{path}"),
    };
    let mut found = content::search_name(path, allowed);
    let searched = if path.ends_with(".parquet") {
        search_parquet(&**storage, path, allowed).map_err(anyhow::Error::new)
    } else {
        read(storage, &location, path, allowed)
    };
    match searched {
        Ok(leaks) => found.extend(leaks),
        Err(error) => findings.fail(&shown, &error),
    }
    findings.files += 1;
    findings.add(&shown, &found);
}

/// Searches a file that is no Parquet; a local one is not read at once.
fn read(
    storage: &Arc<dyn LakeStorage>,
    location: &LakeLocation,
    path: &str,
    allowed: &Allowed,
) -> anyhow::Result<Vec<(String, Leak)>> {
    match location {
        LakeLocation::Folder(folder) => {
            let file = File::open(folder.join(path)).context("failed to open it")?;
            content::search(path, file, allowed)
        }
        LakeLocation::Objects { .. } => {
            let bytes = storage.read(path).context("failed to read it")?;
            content::search(path, Cursor::new(bytes), allowed)
        }
    }
}
