//! `/api/v1/datasets/{id}/files` and `/files/{id}/…`: the Parquet files that the tables consist of, for download.
//!
//! ```text
//! list      snapshot ─▶ one entry per live file: address, hash, rows, times, licence
//! download  snapshot ─▶ live file, or a replaced one that is still kept ─▶ its bytes, or a range of them
//! ```
//!
//! A file never changes: one address, one content, whose SHA-256 is the ETag. So a download that broke off goes on with
//! `Range` and `If-Range`, also when the file has been replaced since. When it is removed or erased, the address
//! answers 410 for ever. One that is known to be damaged is not sent: the bytes would contradict its hash.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, LINK, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{TryStreamExt, stream};
use meetnet_lake::LakeError;
use meetnet_lake::snapshot::{
    ColumnStatistics, DataFile, LiveFile, StatisticsValue, TableSnapshot,
};
use meetnet_lake::storage::{LakeLocation, StoredFile};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::hex::Hex;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::licence::{Licence, Rights};
use meetnet_model::time::{format_rfc3339, period_in};
use meetnet_query::SessionKind;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tracing::{error, warn};

use crate::conditional;
use crate::datasets::pretty;
use crate::head::stated_rights;
use crate::parameters::{InPath, form, licences, set_once, time_in, wrong_value};
use crate::problem::{Problem, ProblemKind};
use crate::rows;
use crate::state::PublishState;
use crate::telemetry;

#[cfg(test)]
mod tests;

/// Bytes that are read and sent at once.
const CHUNK_BYTES: u64 = 1 << 20;
/// Hashes of replaced files that are kept.
const HASHES_MAX: usize = 256;
/// The bytes never change, but a file may be erased on request: caches forget it within the hour.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=3600, immutable");

/// SHA-256 of files that the snapshot knows no more, by dataset and path.
#[derive(Debug, Default)]
pub(crate) struct FileHashes(Mutex<HashMap<String, Slot>>);

/// Held while a file is read, so that it is read once for all who wait.
type Slot = Arc<Mutex<Option<Arc<str>>>>;

impl FileHashes {
    /// Returns the hash of a file, reading all of it where it is not known.
    fn of(&self, address: &str, file: &dyn StoredFile) -> io::Result<Arc<str>> {
        let slot = {
            let mut slots = lock(&self.0);
            if slots.len() >= HASHES_MAX && !slots.contains_key(address) {
                // Those that somebody reads or waits for stay.
                slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            }
            Arc::clone(slots.entry(address.to_owned()).or_default())
        };
        let mut known = lock(&slot);
        if let Some(hash) = &*known {
            return Ok(Arc::clone(hash));
        }
        let hash = hash_of(file)?;
        *known = Some(Arc::clone(&hash));
        Ok(hash)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a file and returns its SHA-256, lower-case hexadecimal.
fn hash_of(file: &dyn StoredFile) -> io::Result<Arc<str>> {
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < file.bytes() {
        let length = (file.bytes() - at).min(CHUNK_BYTES);
        hash.update(&file.read_at(at, length as usize)?);
        at += length;
    }
    Ok(Hex(&hash.finalize()).to_string().into())
}

#[derive(Serialize)]
struct FileList<'a> {
    dataset: &'a DatasetId,
    /// Version of the table that these files are.
    version: u64,
    through: u64,
    stable_time: String,
    /// Rows that stand in no file yet.
    hot_rows: usize,
    files: Vec<FileDocument<'a>>,
}

/// One file. The order of the fields is the order in the answer.
#[derive(Serialize)]
struct FileDocument<'a> {
    url: String,
    bytes: u64,
    sha256: &'a str,
    rows: u64,
    /// Of those, rows that have been replaced since the file was written, by rows that stand in no file yet.
    masked_rows: usize,
    time_min: Option<String>,
    time_max: Option<String>,
    /// Of its rows, by the clocks of the dataset's zone.
    period: String,
    licence: &'a LicenceId,
    /// Whom to name.
    attributions: Vec<&'a str>,
    /// True: earlier versions of rows, with the time at which they were replaced.
    superseded: bool,
    committed_at: String,
}

/// Which files are listed.
#[derive(Debug, Default)]
struct FilesParameters {
    /// Files with rows from this time on, µs.
    from: Option<i64>,
    /// Files with rows before this time, µs.
    to: Option<i64>,
    /// None: files of any.
    licences: Option<BTreeSet<LicenceId>>,
    superseded: Option<bool>,
}

/// Answers the list of the live files.
pub(crate) async fn list(
    State(state): State<PublishState>,
    InPath(id): InPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let table = table(&state, &id)?;
    let zone = table.declaration.zone();
    let parameters = FilesParameters::read(query.as_deref().unwrap_or_default(), zone)?;
    let licences = parameters.licences.iter().flatten();
    state.query.check_licences(SessionKind::Public, licences)?;
    let files = table.files.iter();
    let list = FileList {
        dataset: &table.declaration.id,
        version: table.version,
        through: table.through.0,
        stable_time: format_rfc3339(table.stable_time),
        hot_rows: table.hot.iter().map(|hot| hot.batch.num_rows()).sum(),
        files: files
            .filter(|file| parameters.takes(&table, file))
            .map(|file| document(&table, file))
            .collect(),
    };
    pretty(&list, &headers)
}

/// Answers the bytes of one file.
pub(crate) async fn download(
    State(state): State<PublishState>,
    method: Method,
    InPath((id, path)): InPath<(String, String)>,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    if method != Method::GET {
        // Ranges are of GET alone (RFC 9110, section 14.2).
        headers.remove(RANGE);
    }
    let table = table(&state, &id)?;
    let declaration = Arc::clone(&table.declaration);
    let address = format!("{id}/{path}");
    let is_object_store = matches!(table.folder.location(), LakeLocation::Objects { .. });
    let found = {
        let path = path.clone();
        let address = address.clone();
        blocking(move || {
            Ok(match table.data_file(&path).map_err(io::Error::other)? {
                DataFile::Live(live, file) => Found::File {
                    sha256: Arc::clone(&live.sha256),
                    file,
                },
                DataFile::Replaced(file) => Found::File {
                    sha256: state.hashes.of(&address, &*file)?,
                    file,
                },
                DataFile::Gone => Found::Gone,
                DataFile::Unknown => Found::Unknown,
            })
        })
        .await
    };
    match found {
        Ok(Found::File { file, sha256 }) => {
            let rights = rights(&declaration, &path);
            Ok(send(file, &sha256, (&id, &path), &rights, &headers))
        }
        Ok(Found::Gone) => Err(Problem::new(
            ProblemKind::Gone,
            format!(
                "the file was replaced by newer ones, or erased; /api/v1/datasets/{id}/files lists those there are"
            ),
        )),
        Ok(Found::Unknown) => Err(Problem::new(
            ProblemKind::NotFound,
            format!("there is no such file; /api/v1/datasets/{id}/files lists those there are"),
        )),
        Err(error) => {
            let detail = broken(&error, &address);
            if detail.is_none() && is_object_store && is_of_store(&error) {
                warn!(%error, file = address, "the store did not give a file for download");
                let detail =
                    "the store that the file lies in cannot be read at the moment; ask again later";
                return Err(Problem::new(ProblemKind::StoreUnavailable, detail));
            }
            error!(%error, file = address, "failed to open a file for download");
            let detail = detail.unwrap_or_else(|| "the file could not be read".to_owned());
            Err(Problem::new(ProblemKind::Internal, detail))
        }
    }
}

/// Says what is wrong with a file that is known to be damaged; None for other errors.
fn broken(error: &io::Error, address: &str) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<LakeError>()?;
    let LakeError::BrokenFile { damage, .. } = error else {
        return None;
    };
    Some(format!(
        "the file cannot be sent: `{address}` {damage}; whoever runs this service finds what is lost, and what to do, with \
         `meetnet check`"
    ))
}

/// Returns false for what is wrong with a table, such as its log: asking again later does not help then.
fn is_of_store(error: &io::Error) -> bool {
    let of_table = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<LakeError>());
    of_table.is_none_or(LakeError::is_of_object_store)
}

enum Found {
    File {
        file: Arc<dyn StoredFile>,
        sha256: Arc<str>,
    },
    Gone,
    Unknown,
}

/// Returns a public table, which a download may hold for longer than its snapshot.
fn table(state: &PublishState, id: &str) -> Result<Arc<TableSnapshot>, Problem> {
    let snapshot = state.query.snapshot().load_full();
    rows::public_table(&snapshot, id).cloned()
}

impl FilesParameters {
    fn read(query: &str, zone: Option<&str>) -> Result<Self, Problem> {
        let (mut from, mut to, mut superseded) = (None, None, None);
        let mut texts = Vec::new();
        for (name, value) in form(query.as_bytes())? {
            let slot = match &*name {
                "from" => &mut from,
                "to" => &mut to,
                "licence" => {
                    texts.push(value.into_owned());
                    continue;
                }
                "superseded" => &mut superseded,
                _ => {
                    let detail = format!(
                        "there is no parameter `{name}`; there are from, to, licence, superseded"
                    );
                    return Err(Problem::new(ProblemKind::BadRequest, detail));
                }
            };
            set_once(slot, &name, &value)?;
        }
        let time = |name: &str, text: Option<String>| {
            text.map(|text| time_in(name, &text, zone)).transpose()
        };
        let (from, to) = (time("from", from)?, time("to", to)?);
        if let Some((from, to)) = from.zip(to)
            && from > to
        {
            let detail = "from lies behind to; files have rows from the one to before the other";
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        }
        Ok(Self {
            from,
            to,
            licences: licences(&texts)?,
            superseded: superseded
                .map(|text| {
                    text.parse()
                        .map_err(|_| wrong_value("superseded", &text, "true or false"))
                })
                .transpose()?,
        })
    }

    /// Returns true for a file that may hold rows that are asked for.
    fn takes(&self, table: &TableSnapshot, file: &LiveFile) -> bool {
        let (min, max) = times(table, file);
        self.from
            .is_none_or(|from| max.is_none_or(|max| max >= from))
            && self.to.is_none_or(|to| min.is_none_or(|min| min < to))
            && self
                .licences
                .as_ref()
                .is_none_or(|licences| licences.contains(&file.licence))
            && self
                .superseded
                .is_none_or(|superseded| file.superseded == superseded)
    }
}

/// Returns the least and the greatest time of the rows of a file, µs; none where it is not known.
fn times(table: &TableSnapshot, file: &LiveFile) -> (Option<i64>, Option<i64>) {
    let statistics = file.statistics.get(table.declaration.time_column());
    let bound = |of: fn(&ColumnStatistics) -> &Option<StatisticsValue>| match of(statistics?) {
        Some(StatisticsValue::Int(time)) => Some(*time),
        _ => None,
    };
    (
        bound(|statistics| &statistics.min),
        bound(|statistics| &statistics.max),
    )
}

/// Returns the period of the rows of a file, as people name it: that of its folder, which is by UTC, or, where rows are local days,
/// months or years, the local one; `2026-06/2026-07` where they lie in two.
pub(crate) fn period(table: &TableSnapshot, file: &LiveFile) -> String {
    let declaration = &table.declaration;
    let local = declaration.zone().and_then(|zone| {
        let (min, max) = times(table, file);
        let of = |time: i64| period_in(time, declaration.grain, Some(zone));
        let (first, last) = (of(min?)?, of(max?)?);
        Some(if first == last {
            first
        } else {
            format!("{first}/{last}")
        })
    });
    local.unwrap_or_else(|| file.period.to_string())
}

/// Returns the path from the root of the service that answers the bytes of a file.
pub(crate) fn path(id: &DatasetId, file: &LiveFile) -> String {
    format!("/files/{id}/{}", file.path)
}

fn document<'a>(table: &'a TableSnapshot, file: &'a LiveFile) -> FileDocument<'a> {
    let (min, max) = times(table, file);
    let masked = table.masks.get(&file.path);
    FileDocument {
        url: path(&table.declaration.id, file),
        bytes: file.bytes,
        sha256: &file.sha256,
        rows: file.rows,
        masked_rows: masked.map_or(0, |mask| mask.rows.len()),
        time_min: min.map(format_rfc3339),
        time_max: max.map(format_rfc3339),
        period: period(table, file),
        licence: &file.licence,
        attributions: table.declaration.attributions(&file.licence).collect(),
        superseded: file.superseded,
        committed_at: format_rfc3339(file.committed_at_ms.saturating_mul(1000)),
    }
}

/// What a request wants of a file of some length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From one offset to before another.
    Part(u64, u64),
    /// Nothing that the file has.
    Nothing,
}

impl Wanted {
    /// Reads the header `Range`. What cannot be read, and several ranges at once, are answered with the whole file, as
    /// RFC 9110 (section 14.2) allows.
    fn read(range: Option<&str>, bytes: u64) -> Self {
        let number = |text: &str| match text {
            "" => Some(None),
            text if !text.bytes().all(|byte| byte.is_ascii_digit()) => None,
            // Behind the end of every file.
            text => Some(Some(text.parse().unwrap_or(u64::MAX))),
        };
        let Some((first, last)) = range
            .and_then(|range| range.strip_prefix("bytes="))
            .and_then(|range| range.trim().split_once('-'))
            .and_then(|(first, last)| Some((number(first)?, number(last)?)))
        else {
            return Self::Whole;
        };
        match (first, last) {
            (None, None) => Self::Whole,
            // The last so many bytes.
            (None, Some(count)) if count == 0 || bytes == 0 => Self::Nothing,
            (None, Some(count)) => Self::Part(bytes.saturating_sub(count), bytes),
            (Some(first), Some(last)) if last < first => Self::Whole,
            (Some(first), _) if first >= bytes => Self::Nothing,
            (Some(first), Some(last)) => Self::Part(first, bytes.min(last.saturating_add(1))),
            (Some(first), None) => Self::Part(first, bytes),
        }
    }
}

/// Returns what may be done with a file: its path begins with its one licence.
fn rights(declaration: &DatasetDeclaration, path: &str) -> Rights {
    let partition = path.split('/').next().and_then(|part| part.split_once('='));
    let licences = partition.map(|(_, licence)| LicenceId::new(licence));
    let licences: BTreeSet<LicenceId> = licences.into_iter().collect();
    let mut rights = Rights::default();
    rights.add(declaration, &licences, Some(&licences));
    rights
}

fn send(
    file: Arc<dyn StoredFile>,
    sha256: &str,
    (id, path): (&str, &str),
    rights: &Rights,
    request: &HeaderMap,
) -> Response {
    let tag = format!("\"{sha256}\"");
    if !conditional::wants(request, &tag) {
        let detail = format!("the file is {tag}, and If-Match names another content");
        return Problem::new(ProblemKind::PreconditionFailed, detail).into_response();
    }
    let is_known = conditional::knows(request, &tag);
    let range = request.get(RANGE).and_then(|value| value.to_str().ok());
    let range = range.filter(|_| conditional::continues(request, &tag));
    let bytes = file.bytes();
    let wanted = Wanted::read(range, bytes);
    let mut response = match wanted {
        _ if is_known => conditional::not_modified(),
        Wanted::Nothing => {
            let detail = format!("the file has {bytes} bytes, and the range begins behind them");
            let mut response =
                Problem::new(ProblemKind::RangeNotSatisfiable, detail).into_response();
            insert(&mut response, CONTENT_RANGE, &format!("bytes */{bytes}"));
            return response;
        }
        Wanted::Whole => body(file, 0, bytes),
        Wanted::Part(from, to) => {
            let mut response = body(file, from, to);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {from}-{}/{bytes}", to.saturating_sub(1));
            insert(&mut response, CONTENT_RANGE, &range);
            response
        }
    };
    insert(&mut response, ETAG, &tag);
    response.headers_mut().insert(CACHE_CONTROL, KEEP);
    if is_known {
        return response;
    }
    insert(&mut response, ACCEPT_RANGES, "bytes");
    insert(
        &mut response,
        CONTENT_TYPE,
        "application/vnd.apache.parquet",
    );
    for licence in &rights.licences {
        if let Some(licence) = Licence::find(licence.as_str()) {
            let link = format!("<{}>; rel=\"license\"", licence.url);
            insert(&mut response, LINK, &link);
        }
    }
    for (name, value) in stated_rights(rights) {
        if let Some(value) = value {
            insert(&mut response, name, &value);
        }
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let disposition = format!("attachment; filename=\"{id}-{name}\"");
    insert(&mut response, CONTENT_DISPOSITION, &disposition);
    response
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Returns an answer that streams bytes `from` to before `to`; an error on the way cuts the connection.
fn body(file: Arc<dyn StoredFile>, from: u64, to: u64) -> Response {
    let chunks = stream::try_unfold(from, move |at| {
        let file = Arc::clone(&file);
        async move {
            if at >= to {
                return Ok(None);
            }
            let length = (to - at).min(CHUNK_BYTES);
            let bytes = blocking(move || file.read_at(at, length as usize)).await?;
            Ok::<_, io::Error>(Some((bytes, at + length)))
        }
    });
    let chunks = chunks.inspect_err(|error| {
        warn!(%error, "failed to read a file during its download; cut the connection");
        telemetry::body_aborted();
    });
    let mut response = Body::from_stream(chunks).into_response();
    let length = HeaderValue::from(to - from);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Runs what waits for a disk or a store beside the tasks that answer.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(error)),
    }
}
