//! Opening, second half: the journal's identity, its folder lock, and the fresh segment that takes over the tail.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use meetnet_model::declarations::DECODER_VERSION;
use meetnet_model::ids::Sequence;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checkpoint::{self, Sealed};
use super::error::{IoContext, JournalError};
use super::options::JournalOptions;
use super::recovery::{self, Recovery, Scan};
use super::room::Room;
use super::scan::{Scanned, Scanner};
use super::segment::{self, Header, Identity, InForce, Segment, SegmentName};
use super::stored;
use crate::files::{self, DiskFiles, Files, LockGuard, UNFINISHED, sync_parents};

pub(crate) const IDENTITY: &str = "identity";
pub(crate) const LOCK: &str = "lock";
/// There while a backup is being restored into the folder: what lies in it is not whole.
pub(crate) const RESTORING: &str = "restoring";
const COPY_BYTES: usize = 1 << 20;

/// Exclusive use of a journal folder until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    _guard: LockGuard,
    /// The folder of the lake, where it is ours as well.
    _lake: Option<File>,
}

impl FolderLock {
    /// Makes the folders of a journal where there are none, and takes the lock of its own: from here on nobody else opens
    /// it, or commits to its lake unless with another journal: see [`with_lake`](Self::with_lake).
    ///
    /// # Errors
    /// Where another process holds it, a restore into it has not ended, or a file operation fails.
    pub fn take(options: &JournalOptions) -> Result<Self, JournalError> {
        let files = options.files.as_ref();
        for dir in [&options.dir, &options.archive_dir] {
            files.create_dir(dir).context("create", dir)?;
            sync_parents(files, dir).context("sync the parents of", dir)?;
        }
        let lock = Self::acquire(files, &options.dir)?;
        check_restored(files, &options.dir)?;
        Ok(lock)
    }

    /// Takes the lock of the journal folder `dir`, or says which process has it.
    pub fn acquire(files: &dyn Files, dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(LOCK);
        match files.lock(&path, &format!("{}\n", std::process::id())) {
            Ok(guard) => Ok(Self {
                _guard: guard,
                _lake: None,
            }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let holder = files::read_all(files, &path)
                    .ok()
                    .and_then(|content| String::from_utf8(content).ok())
                    .map(|text| text.trim().to_owned())
                    .filter(|pid| !pid.is_empty())
                    .unwrap_or_else(|| "unknown".to_owned());
                Err(JournalError::Locked {
                    dir: dir.to_path_buf(),
                    holder,
                })
            }
            Err(error) => Err(error).context("lock", &path),
        }
    }

    /// Takes the lake in the folder `root` as well, which is made where there is none. A second installation may have a
    /// journal of its own and, by mistake, the lake of the first: each would take versions of its tables from the other,
    /// until one stops. The folder itself is locked, so nothing is left in it; where its file system locks no folders, it is
    /// as if it were free.
    ///
    /// # Errors
    /// Where somebody else has it, or it cannot be made or opened.
    pub fn with_lake(self, root: &Path) -> Result<Self, JournalError> {
        DiskFiles::PUBLIC.create_dir(root).context("create", root)?;
        let folder = File::open(root).context("open", root)?;
        match folder.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self {
                _lake: Some(folder),
                ..self
            }),
            Err(TryLockError::WouldBlock) => Err(JournalError::LakeLocked {
                root: root.to_path_buf(),
            }),
        }
    }

    /// Returns the process that holds the journal folder `dir` (`unknown` where the lock file does not say), or none.
    /// For tools that only want to know: nothing is made or written.
    pub fn holder(dir: &Path) -> Option<String> {
        let path = dir.join(LOCK);
        let file = File::open(&path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) | Err(TryLockError::Error(_)) => return None,
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let pid = text.trim();
        Some(if pid.is_empty() {
            "unknown".to_owned()
        } else {
            pid.to_owned()
        })
    }
}

/// Refuses a folder that a restore has not finished: it would open as a journal with less in it.
fn check_restored(files: &dyn Files, dir: &Path) -> Result<(), JournalError> {
    let path = dir.join(RESTORING);
    match files.open_to_read(&path) {
        Ok(_) => Err(JournalError::Restoring {
            dir: dir.to_path_buf(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).context("open", &path),
    }
}

#[derive(Serialize, Deserialize)]
struct IdentityFile {
    format: u32,
    id: String,
    salt: String,
}

/// Reads the identity file of a journal folder.
pub(crate) fn stored_identity(
    files: &dyn Files,
    dir: &Path,
) -> Result<Sealed<Identity>, JournalError> {
    match checkpoint::read_sealed::<IdentityFile>(files, dir, IDENTITY)? {
        Sealed::Valid(file) if file.format > 1 => Err(JournalError::NewerFormat {
            path: dir.join(IDENTITY),
            version: file.format,
        }),
        Sealed::Valid(file) => match (Uuid::parse_str(&file.id), Uuid::parse_str(&file.salt)) {
            (Ok(id), Ok(salt)) => Ok(Sealed::Valid(Identity {
                id,
                salt: salt.into_bytes(),
            })),
            _ => Err(JournalError::NoIdentity {
                dir: dir.to_path_buf(),
            }),
        },
        Sealed::Missing => Ok(Sealed::Missing),
        Sealed::Damaged => Ok(Sealed::Damaged),
    }
}

/// Returns whether a journal has been in the folder `dir`: it has an identity, whole or not, or segments. Nothing is
/// written.
///
/// # Errors
/// Where the folder cannot be read.
pub fn has_journal(files: &dyn Files, dir: &Path) -> Result<bool, JournalError> {
    let identity = checkpoint::read_sealed::<IdentityFile>(files, dir, IDENTITY)?;
    let names = stored::names(files, dir)?;
    let has_segments = names.iter().any(|name| SegmentName::parse(name).is_some());
    Ok(has_segments || !matches!(identity, Sealed::Missing))
}

/// Returns the identity in the folder; makes one where the folder holds no journal yet.
pub(crate) fn identity(
    files: &dyn Files,
    dir: &Path,
    names: &[SegmentName],
) -> Result<Identity, JournalError> {
    match stored_identity(files, dir)? {
        Sealed::Valid(identity) => Ok(identity),
        Sealed::Missing if names.is_empty() => {
            let identity = Identity {
                id: Uuid::new_v4(),
                salt: Uuid::new_v4().into_bytes(),
            };
            write_identity(files, dir, &identity)?;
            Ok(identity)
        }
        // Every segment header repeats it.
        Sealed::Missing | Sealed::Damaged => {
            for name in names {
                let (_, header) = recovery::read_header(files, &dir.join(name.to_string()))?;
                if let Some(header) = header {
                    tracing::warn!(dir = %dir.display(), "restored the journal's identity from a segment");
                    write_identity(files, dir, &header.identity)?;
                    return Ok(header.identity);
                }
            }
            Err(JournalError::NoIdentity {
                dir: dir.to_path_buf(),
            })
        }
    }
}

fn write_identity(files: &dyn Files, dir: &Path, identity: &Identity) -> Result<(), JournalError> {
    let file = IdentityFile {
        format: 1,
        id: identity.id.to_string(),
        salt: Uuid::from_bytes(identity.salt).to_string(),
    };
    checkpoint::write_sealed(files, dir, IDENTITY, &file)
}

/// The segment that appends go to, and what is in force at its end.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) segment: Segment,
    pub(crate) in_force: InForce,
}

/// Writes the fresh segment (complete and synced before its name appears), then frees what it took over.
///
/// It starts with the tail of the last one: those bytes may have been read back from memory that a failed sync never
/// brought to the disk, and only writing them again makes them durable for certain.
///
/// Where there is no room for it, `room` makes some, and it is written once more: the last one has its tail until the fresh
/// one is complete.
pub(crate) fn start_segment(
    room: &mut Room<'_>,
    identity: &Identity,
    number: u64,
    scan: &mut Scan,
    declarations: &[u8],
    now: i64,
) -> Result<Started, JournalError> {
    let options = room.options;
    let (files, dir) = (options.files.as_ref(), options.dir.as_path());
    let next = scan.report.last_sequence.next();
    let first = scan.tail.as_ref().map_or(next, |tail| tail.first);
    let name = SegmentName { number, first };
    let started = room.write(|| {
        write_segment(files, dir, identity, name, scan, declarations, now).inspect_err(|_| {
            // A full disk needs the space.
            let _ = files.remove(&unfinished(dir, name));
        })
    })?;
    // The declarations that it may begin with are the end of the journal now.
    let segment = &started.segment;
    if segment.last > scan.report.last_sequence {
        scan.report.last_sequence = segment.last;
        scan.report.last_recorded_at = segment.last_recorded_at;
    }
    free_taken_over(files, dir, scan, segment.follows)?;
    Ok(started)
}

/// Returns where a segment lies until it is complete.
fn unfinished(dir: &Path, name: SegmentName) -> PathBuf {
    dir.join(format!("{name}{UNFINISHED}"))
}

/// Writes the fresh segment; complete and synced on return, and its name too.
fn write_segment(
    files: &dyn Files,
    dir: &Path,
    identity: &Identity,
    name: SegmentName,
    scan: &Scan,
    declarations: &[u8],
    now: i64,
) -> Result<Started, JournalError> {
    let path = dir.join(name.to_string());
    let unfinished = unfinished(dir, name);
    let before = &scan.before_tail;
    let recorded_after = if scan.tail.is_some() {
        before.recorded_at
    } else {
        scan.report.last_recorded_at
    };
    let handle = files.create(&unfinished).context("create", &unfinished)?;
    let header = Header {
        identity: *identity,
        number: name.number,
        follows: before.sequence,
        first: name.first,
        recorded_after,
    };
    let mut buffer = Vec::new();
    segment::encode_start(&mut buffer, &header, &before.in_force);
    let mut segment = Segment {
        name,
        path: path.clone(),
        handle: handle.clone(),
        follows: before.sequence,
        last: before.sequence,
        first_recorded_at: 0,
        last_recorded_at: 0,
        readable_bytes: 0,
        stored_bytes: 0,
    };
    let mut stored = 0;
    let mut write = |buffer: &mut Vec<u8>| {
        handle.append(buffer).context("write", &unfinished)?;
        stored += buffer.len() as u64;
        buffer.clear();
        Ok::<(), JournalError>(())
    };
    if let Some(tail) = &scan.tail {
        let mut scanner = Scanner::new(tail.handle.clone(), identity.key(), tail.offset, tail.end);
        loop {
            match scanner.next().context("read the tail for", &path)? {
                Scanned::End => break,
                Scanned::Newer(version) => {
                    return Err(JournalError::NewerFormat {
                        path,
                        version: version.into(),
                    });
                }
                Scanned::Damage { .. } => {} // reported by the scan
                Scanned::Frame { encoded, frame, .. } => {
                    if frame.sequence <= segment.last || frame.head {
                        continue;
                    }
                    buffer.extend_from_slice(encoded);
                    segment.extend(frame.sequence, frame.recorded_at);
                }
            }
            if buffer.len() >= COPY_BYTES {
                write(&mut buffer)?;
            }
        }
    }
    let mut in_force = scan.end.in_force.clone();
    if *in_force.declarations != *declarations {
        in_force = declared(&scan.report, declarations, now);
        in_force.encode(&mut buffer, identity.key(), false);
        segment.extend(in_force.sequence, in_force.recorded_at);
    }
    write(&mut buffer)?;
    handle.sync_data().context("sync", &unfinished)?;
    files
        .rename(&unfinished, &path)
        .context("rename into place", &path)?;
    files.sync_dir(dir).context("sync", dir)?;
    segment.readable_bytes = stored;
    segment.stored_bytes = stored;
    Ok(Started { segment, in_force })
}

/// Returns what is in force where new declarations come next.
fn declared(report: &Recovery, declarations: &[u8], now: i64) -> InForce {
    InForce {
        sequence: report.last_sequence.next(),
        recorded_at: now.max(report.last_recorded_at + 1),
        decoder_version: DECODER_VERSION,
        declarations: declarations.into(),
    }
}

/// Cuts the moved tail off the old segment and removes segments that hold nothing.
fn free_taken_over(
    files: &dyn Files,
    dir: &Path,
    scan: &mut Scan,
    follows: Sequence,
) -> Result<(), JournalError> {
    if let Some(last) = scan.segments.last_mut() {
        let segment = &mut last.segment;
        if segment.readable_bytes < segment.stored_bytes {
            segment
                .handle
                .truncate(segment.readable_bytes)
                .and_then(|()| segment.handle.sync_data())
                .context("cut the moved tail off", &segment.path)?;
            segment.stored_bytes = segment.readable_bytes;
        }
    }
    // An empty segment still makes void what earlier ones hold after its start: it goes only where the next one
    // starts at the same place and does the same.
    let successors: Vec<Sequence> = scan
        .segments
        .iter()
        .skip(1)
        .map(|scanned| scanned.segment.follows)
        .chain([follows])
        .collect();
    let mut removed: Vec<PathBuf> = Vec::new();
    let mut successor = successors.into_iter();
    for scanned in &scan.segments {
        let next_follows = successor.next();
        if scanned.removable && next_follows == Some(scanned.segment.follows) {
            let path = &scanned.segment.path;
            files
                .remove(path)
                .context("remove the empty segment", path)?;
            removed.push(path.clone());
        }
    }
    if !removed.is_empty() {
        scan.segments
            .retain(|scanned| !removed.contains(&scanned.segment.path));
        files.sync_dir(dir).context("sync", dir)?;
    }
    Ok(())
}

/// Says in the log what opening has found.
pub(crate) fn report(report: &Recovery) {
    for region in &report.skipped {
        let (segment, offset, bytes) = (region.segment.display(), region.offset, region.bytes);
        let (after, resumes_at) = (region.after.0, region.resumes_at.0);
        if region.last_group {
            tracing::warn!(%segment, offset, bytes, after, resumes_at,
                "skipped a torn write in the last group of the journal: its senders were most likely not acknowledged");
        } else {
            metrics::counter!("meetnet_journal_skipped_regions_total").increment(1);
            if bytes > 0 {
                tracing::error!(%segment, offset, bytes, after, resumes_at,
                    "skipped a damaged region of the journal: acknowledged messages may be lost");
            } else {
                tracing::error!(%segment, after, resumes_at,
                    "a segment of the journal is gone, this one or one before it: acknowledged messages may be lost");
            }
        }
    }
    if let Some(older) = report.older_decoder_tail {
        tracing::warn!(
            from = older.first.0,
            to = older.last.0,
            messages = older.frames,
            decoder_version = older.decoder_version,
            this_version = DECODER_VERSION,
            "uncommitted messages were journalled under an older version, and this one decodes them: \
             stop the old version cleanly before an upgrade to keep each message with its own"
        );
    }
    tracing::info!(
        last_sequence = report.last_sequence.0,
        trimmed_through = report
            .checkpoint
            .as_ref()
            .map_or(0, |c| c.trimmed_through.0),
        cut_bytes = report.cut_bytes,
        skipped = report.skipped.len(),
        "opened the journal"
    );
}
