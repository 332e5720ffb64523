//! `meetnet export --files DIR`: the Parquet files of a dataset as the service has them, current rows only.
//!
//! ```text
//! /api/v1/datasets/ID/files ─▶ there already, by hash? ─ no ─▶ NAME.part, from where it ends ─▶ hash ─▶ NAME
//!                          └─▶ what an earlier run has fetched, or begun to, and the service no longer lists is removed
//! ```
//!
//! Files never change under their name, so a run that broke off is gone on with. Readers of the folder see a file whole
//! or not; while a run replaces files that were merged, they may see rows twice, as in any copy that is being made.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use futures::StreamExt;
use meetnet_model::hex::Hex;
use meetnet_model::ids::LicenceId;
use meetnet_model::quantity::SizeText;
use reqwest::StatusCode;
use reqwest::header::{IF_RANGE, RANGE};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::DayOrInstant;
use crate::config::Environment;
use crate::failure::Failure;
use crate::part_file::PartFile;
use crate::progress::ProgressLine;
use crate::readable::counted;
use crate::sql::{self, Place, PlaceOptions};

#[cfg(test)]
mod tests;

/// What earlier runs have fetched or begun to, in the folder of the dataset.
const LIST: &str = "files.json";

/// Which files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) dataset: &'a str,
    /// Files with rows from then on; where a day begins, the service knows.
    pub(super) from: Option<&'a DayOrInstant>,
    /// Files with rows before.
    pub(super) to: Option<&'a DayOrInstant>,
    /// Empty: all.
    pub(super) licences: &'a [LicenceId],
}

impl Wanted<'_> {
    /// Returns true where the dataset may have other files.
    fn is_narrowed(&self) -> bool {
        self.from.is_some() || self.to.is_some() || !self.licences.is_empty()
    }
}

/// The list of a dataset's files, as the service answers it.
#[derive(Debug, Deserialize)]
struct FileList {
    stable_time: String,
    hot_rows: u64,
    files: Vec<RemoteFile>,
}

/// One file; written to [`LIST`], too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct RemoteFile {
    /// Path from the root of the service.
    url: String,
    bytes: u64,
    sha256: String,
    rows: u64,
    #[serde(default)]
    masked_rows: u64,
    licence: LicenceId,
}

impl RemoteFile {
    /// Returns where it lies below the folder of the dataset; None where the service names a place outside of it.
    fn path(&self, dataset: &str) -> Option<PathBuf> {
        let path = self.url.strip_prefix("/files/")?;
        let path = Path::new(path.strip_prefix(dataset)?.strip_prefix('/')?);
        let is_plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        (is_plain && path.file_name().is_some()).then(|| path.to_path_buf())
    }
}

/// Brings a folder to what the service has.
///
/// # Errors
/// `Usage` where no service is asked, `Work` where files cannot be fetched or written.
pub(super) async fn run(
    place: &PlaceOptions,
    environment: &Environment,
    wanted: &Wanted<'_>,
    dir: &Path,
) -> Result<(), Failure> {
    let Place::Service(access) = place.open(environment).await? else {
        return Err(Failure::Usage(anyhow!(
            "--files mirrors from a running service; without one, copy the folder of the lake, or use `meetnet backup`"
        )));
    };
    let client = sql::client(&access.address("/")?, access.key.as_ref())?;
    let service = Service {
        client,
        url: access.url.trim_end_matches('/'),
    };
    let list = service.list(wanted).await?;
    // What was mirrored by a wider choice is still the service's, and stays.
    let whole = if wanted.is_narrowed() {
        let whole = Wanted {
            from: None,
            to: None,
            licences: &[],
            ..*wanted
        };
        Some(service.list(&whole).await?)
    } else {
        None
    };
    let folder = dir.join(wanted.dataset);
    make_folder(&folder)?;
    note_coming(&folder, &list.files).map_err(Failure::Work)?;

    let mut progress = ProgressLine::start();
    progress.amounts.total = Some(list.files.iter().map(|file| file.bytes).sum());
    let present = service
        .fetch_missing(&list, wanted.dataset, &folder, &mut progress)
        .await?;
    let mut live = present.paths.clone();
    let of_whole = whole.iter().flat_map(|whole| &whole.files);
    live.extend(of_whole.filter_map(|file| file.path(wanted.dataset)));
    let earlier = forget_others(&folder, wanted.dataset, &live).map_err(Failure::Work)?;
    let mut mirrored = list.files.clone();
    mirrored.extend(earlier.kept.into_iter().filter(|file| {
        !file
            .path(wanted.dataset)
            .is_some_and(|path| present.paths.contains(&path))
    }));
    let others = mirrored.len() - list.files.len();
    write_list(&folder.join(LIST), &mirrored).map_err(Failure::Work)?;
    drop(progress);
    tell(&list, &folder, &present, earlier.removed, others);
    Ok(())
}

/// The files of a list, once the folder has all of them.
#[derive(Debug, Default)]
struct Present {
    /// Below the folder of the dataset.
    paths: BTreeSet<PathBuf>,
    /// How many were fetched for it.
    fetched: usize,
    /// How many it had before.
    there: usize,
}

/// Tells what a folder has now; `others`: so many files of earlier runs, which are live and were not asked for.
fn tell(list: &FileList, folder: &Path, present: &Present, removed: usize, others: usize) {
    let rows: u64 = list.files.iter().map(|file| file.rows).sum();
    let bytes: u64 = list.files.iter().map(|file| file.bytes).sum();
    eprintln!(
        "{} with {} and {} in {}: {} fetched, {} there already, {removed} removed; complete through {}",
        counted(list.files.len() as u64, "file"),
        counted(rows, "row"),
        SizeText(bytes).rounded(),
        folder.display(),
        present.fetched,
        present.there,
        list.stable_time
    );
    if others > 0 {
        eprintln!(
            "{} of earlier runs, which this one did not ask for, left as they are",
            counted(others as u64, "file")
        );
    }
    let masked: u64 = list.files.iter().map(|file| file.masked_rows).sum();
    if masked > 0 || list.hot_rows > 0 {
        eprintln!(
            "{} in no file yet; {} of these files replaced since they were written",
            counted(list.hot_rows, "row"),
            counted(masked, "row")
        );
    }
    let licences: BTreeSet<&str> = list
        .files
        .iter()
        .map(|file| file.licence.as_str())
        .collect();
    for licence in licences {
        eprintln!(
            "licence {licence}: files below licence={licence}/, which name whom to attribute"
        );
    }
}

/// The service that files come from.
struct Service<'a> {
    client: reqwest::Client,
    /// Without `/` at its end.
    url: &'a str,
}

impl Service<'_> {
    async fn list(&self, wanted: &Wanted<'_>) -> Result<FileList, Failure> {
        let address = format!("{}/api/v1/datasets/{}/files", self.url, wanted.dataset);
        let mut query = vec![("superseded", "false".to_owned())];
        query.extend(wanted.from.map(|from| ("from", from.to_text())));
        query.extend(wanted.to.map(|to| ("to", to.to_text())));
        let licences = wanted.licences.iter();
        query.extend(licences.map(|licence| ("licence", licence.to_string())));
        let request = self.client.get(address).query(&query);
        let answer = sql::answered_of_named(self.url, request).await?;
        answer
            .json()
            .await
            .context("the list of files is not what a meetnet of this version gives")
            .map_err(Failure::Work)
    }

    /// Fetches what the folder of a dataset has not, of a list.
    async fn fetch_missing(
        &self,
        list: &FileList,
        dataset: &str,
        folder: &Path,
        progress: &mut ProgressLine,
    ) -> Result<Present, Failure> {
        let mut present = Present::default();
        for file in &list.files {
            let path = file.path(dataset).ok_or_else(|| {
                let url = &file.url;
                Failure::Work(anyhow!(
                    "the service names a file outside of the dataset: {url}; nothing was written for it, tell whoever \
                     runs the service"
                ))
            })?;
            let target = folder.join(&path);
            if holds(&target, file).map_err(Failure::Work)? {
                present.there += 1;
                progress.amounts.bytes += file.bytes;
                progress.pass().await;
            } else {
                if let Some(parent) = target.parent() {
                    make_folder(parent)?;
                }
                self.fetch(file, &target, progress).await?;
                present.fetched += 1;
            }
            present.paths.insert(path);
        }
        Ok(present)
    }

    /// Fetches a file, or what is missing of it. One that came whole with other bytes than its hash says is fetched once
    /// more: whether the way spoils it, or the service has no others, decides what is to be done.
    async fn fetch(
        &self,
        file: &RemoteFile,
        path: &Path,
        progress: &mut ProgressLine,
    ) -> Result<(), Failure> {
        let first = match self.attempt(file, path, progress).await? {
            Fetched::Right => return Ok(()),
            Fetched::Wrong {
                is_whole: false, ..
            } => return Err(spoiled(file)),
            Fetched::Wrong { sha256, .. } => sha256,
        };
        match self.attempt(file, path, progress).await? {
            Fetched::Right => Ok(()),
            Fetched::Wrong { sha256, .. } if sha256 == first => Err(damaged(file)),
            Fetched::Wrong { .. } => Err(spoiled(file)),
        }
    }

    /// Fetches a file, or what is missing of it, once.
    async fn attempt(
        &self,
        file: &RemoteFile,
        path: &Path,
        progress: &mut ProgressLine,
    ) -> Result<Fetched, Failure> {
        let mut part = PartFile::resume(path).map_err(Failure::Work)?;
        if part.bytes() > file.bytes {
            part = PartFile::create(path).map_err(Failure::Work)?;
        }
        let mut is_whole = part.bytes() == 0;
        if part.bytes() < file.bytes || file.bytes == 0 {
            let address = format!("{}{}", self.url, file.url);
            let mut request = self.client.get(address);
            if part.bytes() > 0 {
                request = request
                    .header(RANGE, format!("bytes={}-", part.bytes()))
                    .header(IF_RANGE, format!("\"{}\"", file.sha256));
            }
            let answer = progress.watch(sql::answered(self.url, request)).await?;
            if answer.status() != StatusCode::PARTIAL_CONTENT && part.bytes() > 0 {
                part = PartFile::create(path).map_err(Failure::Work)?;
                is_whole = true;
            }
            progress.amounts.bytes += part.bytes();
            let mut chunks = answer.bytes_stream();
            while let Some(chunk) = progress.watch(chunks.next()).await {
                let chunk = chunk
                    .with_context(|| {
                        let url = &file.url;
                        format!(
                            "the connection was lost in {url}; the same command goes on from there"
                        )
                    })
                    .map_err(Failure::Work)?;
                part.write(&chunk).map_err(Failure::Work)?;
                progress.amounts.bytes += chunk.len() as u64;
            }
        }
        let mut wrong = None;
        let checked = part.finish_if(|written| {
            if written.bytes == file.bytes && written.sha256 == file.sha256 {
                return Ok(());
            }
            wrong = Some(written.sha256.clone());
            Err(anyhow!("{} is not as its hash says", file.url))
        });
        match wrong {
            Some(sha256) => Ok(Fetched::Wrong { sha256, is_whole }),
            None => checked.map(|_| Fetched::Right).map_err(Failure::Work),
        }
    }
}

/// What came of a file.
enum Fetched {
    Right,
    /// Bytes with another hash; nothing of them is kept.
    Wrong {
        sha256: String,
        /// No part of an earlier attempt is among them.
        is_whole: bool,
    },
}

/// The error of a file whose bytes changed on the way, or in the part that an earlier attempt had left.
fn spoiled(file: &RemoteFile) -> Failure {
    Failure::Work(anyhow!(
        "{} came with other bytes than its hash says; the same command fetches it again",
        file.url
    ))
}

/// The error of a file that comes with the same wrong bytes whenever it is asked for.
fn damaged(file: &RemoteFile) -> Failure {
    Failure::Work(anyhow!(
        "{} came twice with the same bytes, which are other bytes than its hash says: the file is damaged at the service, \
         and fetching it again does not help; whoever runs the service finds what is lost with `meetnet check`, and mends it \
         with `meetnet check --repair` or from a backup",
        file.url
    ))
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot use the folder {}", folder.display()))
        .map_err(Failure::place)
}

/// Returns true where a file is there with the bytes that it should have.
fn holds(path: &Path, file: &RemoteFile) -> anyhow::Result<bool> {
    let failed = || format!("failed to read {}", path.display());
    let mut found = match fs::File::open(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(failed),
    };
    if found.metadata().with_context(failed)?.len() != file.bytes {
        return Ok(false);
    }
    let mut hash = Sha256::new();
    io::copy(&mut found, &mut hash).with_context(failed)?;
    Ok(Hex(&hash.finalize()).to_string() == file.sha256)
}

/// What became of the files that earlier runs have fetched.
#[derive(Debug, Default)]
struct Earlier {
    /// How many were removed.
    removed: usize,
    /// Those that are live, and still there.
    kept: Vec<RemoteFile>,
}

/// Removes what an earlier run has fetched and is live no longer; nothing else in the folder is touched.
fn forget_others(
    folder: &Path,
    dataset: &str,
    live: &BTreeSet<PathBuf>,
) -> anyhow::Result<Earlier> {
    let earlier = read_list(folder)?;
    let mut found = Earlier::default();
    for file in earlier {
        let Some(path) = file.path(dataset) else {
            continue;
        };
        let is_live = live.contains(&path);
        let path = folder.join(path);
        if is_live {
            if path.exists() {
                found.kept.push(file);
            }
            continue;
        }
        match fs::remove_file(&path) {
            Ok(()) => found.removed += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("failed to remove {}", path.display()));
            }
        }
        PartFile::forget(&path)?;
    }
    Ok(found)
}

/// Notes files that are about to be fetched beside those of earlier runs: a run that breaks off leaves some of them, and the next
/// one has to know them as its own where the service has merged them meanwhile.
fn note_coming(folder: &Path, coming: &[RemoteFile]) -> anyhow::Result<()> {
    let mut noted = read_list(folder)?;
    let known: BTreeSet<String> = noted.iter().map(|file| file.url.clone()).collect();
    let before = noted.len();
    let others = coming.iter().filter(|file| !known.contains(&file.url));
    noted.extend(others.cloned());
    if noted.len() == before {
        return Ok(());
    }
    write_list(&folder.join(LIST), &noted)
}

fn read_list(folder: &Path) -> anyhow::Result<Vec<RemoteFile>> {
    let list = folder.join(LIST);
    let text = match fs::read_to_string(&list) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("failed to read {}", list.display()));
        }
    };
    serde_json::from_str(&text).with_context(|| {
        let list = list.display();
        format!("{list} is not what this command wrote; move it away, and old files with it")
    })
}

fn write_list(path: &Path, files: &[RemoteFile]) -> anyhow::Result<()> {
    let mut file = PartFile::create(path)?;
    let text = serde_json::to_string_pretty(files).context("failed to write the list of files")?;
    file.write(text.as_bytes())?;
    file.finish().map(drop)
}
