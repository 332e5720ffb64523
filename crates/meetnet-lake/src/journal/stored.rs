//! The segments of a journal and its raw archive as they lie on the disk, for tools that only read: check and repair.
//!
//! `journal folder, archive folder -> segments in order -> Scanner`
//!
//! A daemon may work on the same folders. A segment can move to the archive, be compressed there or go when its time is
//! up, each between two looks; what is not found under one name is looked for under the next.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use meetnet_model::ids::Sequence;
use uuid::Uuid;

use super::archive::ArchiveName;
use super::error::{IoContext, JournalError};
use super::frame::{FrameKey, FrameKind, FrameRef};
use super::scan::{Scanned, Scanner};
use super::segment::{HEADER_BYTES, Header, ReadHeader, SegmentName};
use super::shared::locked;
use crate::files::{FileHandle, Files};

/// Bytes unpacked at once: where the file is damaged, those of one step are lost.
const CHUNK_BYTES: usize = 64 << 10;

/// Where a journal and its raw archive lie.
#[derive(Clone, Debug)]
pub struct JournalPlace {
    /// Folder of the journal.
    pub dir: PathBuf,
    /// Folder of the raw archive.
    pub archive_dir: PathBuf,
    /// The file operations.
    pub files: Arc<dyn Files>,
}

/// A segment, wherever it lies.
#[derive(Clone, Debug)]
pub(crate) struct StoredSegment {
    pub(crate) number: u64,
    /// Its first sequence, as its name says.
    pub(crate) first: Sequence,
    /// Its name in the archive; None: it is in the journal.
    pub(crate) archived: Option<ArchiveName>,
}

/// A segment and which of its frames count.
#[derive(Debug)]
pub(crate) struct LocatedSegment {
    pub(crate) segment: StoredSegment,
    pub(crate) header: ReadHeader,
    /// A later segment begins here: frames after this one are void.
    pub(crate) void_after: Sequence,
}

/// A segment that can be read.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    /// Its file name.
    pub(crate) name: String,
    pub(crate) archived: bool,
    pub(crate) handle: Arc<dyn FileHandle>,
    /// Length, unpacked, when it was opened.
    pub(crate) bytes: u64,
    /// Why it cannot be unpacked further.
    pub(crate) broken: Option<io::Error>,
}

/// Returns all segments, oldest first, each once.
fn list(place: &JournalPlace) -> Result<Vec<StoredSegment>, JournalError> {
    let mut segments = BTreeMap::new();
    // In this order: a segment that moves meanwhile is seen twice rather than never.
    for name in names(place.files.as_ref(), &place.dir)? {
        if let Some(name) = SegmentName::parse(&name) {
            let segment = StoredSegment {
                number: name.number,
                first: name.first,
                archived: None,
            };
            segments.insert(name.number, segment);
        }
    }
    for name in archive_names(place)? {
        let segment = StoredSegment {
            number: name.number,
            first: name.first,
            archived: Some(name),
        };
        segments.insert(name.number, segment);
    }
    Ok(segments.into_values().collect())
}

/// Returns all segments with their headers, oldest first. Those of another journal than `id` make nothing void.
pub(crate) fn locate(
    place: &JournalPlace,
    id: Option<Uuid>,
) -> Result<Vec<LocatedSegment>, JournalError> {
    let mut located = Vec::new();
    for segment in list(place)? {
        if let Some(open) = segment.open(place)? {
            let header = open.header().context("read", &place.dir)?;
            located.push(LocatedSegment {
                segment,
                header,
                void_after: Sequence(u64::MAX),
            });
        }
    }
    let mut void_after = Sequence(u64::MAX);
    for located in located.iter_mut().rev() {
        located.void_after = void_after;
        let is_foreign = match located.header {
            ReadHeader::Valid(header) => id.is_some_and(|id| header.identity.id != id),
            ReadHeader::Damaged | ReadHeader::Newer(_) => false,
        };
        if !is_foreign {
            void_after = void_after.min(located.follows());
        }
    }
    Ok(located)
}

impl LocatedSegment {
    /// Where the journal ended when it was started; where its header is damaged, by its name.
    pub(crate) fn follows(&self) -> Sequence {
        match self.header {
            ReadHeader::Valid(header) => header.follows,
            ReadHeader::Damaged | ReadHeader::Newer(_) => {
                Sequence(self.segment.first.0.saturating_sub(1))
            }
        }
    }
}

fn archive_names(place: &JournalPlace) -> Result<Vec<ArchiveName>, JournalError> {
    let names = names(place.files.as_ref(), &place.archive_dir)?;
    Ok(names
        .iter()
        .filter_map(|name| ArchiveName::parse(name))
        .collect())
}

/// Returns the names of the files in a folder; none where there is no folder.
pub(crate) fn names(files: &dyn Files, dir: &Path) -> Result<Vec<String>, JournalError> {
    match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => {
            let listed = listed.context("list", dir)?;
            Ok(listed.into_iter().map(|file| file.name).collect())
        }
    }
}

impl StoredSegment {
    /// Opens it where it is now; None where it is gone: it was empty when it was trimmed, or its time was up.
    pub(crate) fn open(&self, place: &JournalPlace) -> Result<Option<OpenSegment>, JournalError> {
        let name = match self.archived {
            Some(name) => name.to_string(),
            None => {
                let (number, first) = (self.number, self.first);
                SegmentName { number, first }.to_string()
            }
        };
        let archived = self.archived.is_some();
        if let Some(open) = open(place, name, archived)? {
            return Ok(Some(open));
        }
        for name in archive_names(place)? {
            if name.number == self.number
                && let Some(open) = open(place, name.to_string(), true)?
            {
                return Ok(Some(open));
            }
        }
        Ok(None)
    }
}

fn open(
    place: &JournalPlace,
    name: String,
    archived: bool,
) -> Result<Option<OpenSegment>, JournalError> {
    let dir = if archived {
        &place.archive_dir
    } else {
        &place.dir
    };
    let path = dir.join(&name);
    let handle = match place.files.open_to_read(&path) {
        Ok(handle) => handle,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("open", &path),
    };
    let is_compressed = ArchiveName::parse(&name).is_some_and(|name| name.compressed);
    let (handle, bytes, broken) = if is_compressed {
        let unpacked = Unpacked::new(handle).context("unpack", &path)?;
        let (bytes, broken) = unpacked.measure().context("unpack", &path)?;
        let handle: Arc<dyn FileHandle> = Arc::new(unpacked);
        (handle, bytes, broken)
    } else {
        let bytes = handle.bytes().context("measure", &path)?;
        (handle, bytes, None)
    };
    Ok(Some(OpenSegment {
        name,
        archived,
        handle,
        bytes,
        broken,
    }))
}

impl OpenSegment {
    /// Reads its header.
    pub(crate) fn header(&self) -> io::Result<ReadHeader> {
        let mut bytes = [0; HEADER_BYTES];
        if self.bytes < HEADER_BYTES as u64 {
            return Ok(ReadHeader::Damaged);
        }
        let read = self.handle.read_at(0, &mut bytes)?;
        Ok(Header::decode(&bytes[..read]))
    }

    /// Returns a scanner of its frames, of which those after `void_after` do not count.
    pub(crate) fn scanner(&self, key: FrameKey, void_after: Sequence) -> Scanner {
        let handle = Arc::clone(&self.handle);
        let scanner = Scanner::new(handle, key, HEADER_BYTES as u64, self.bytes);
        // Nothing makes its frames void: it is the last one, which a daemon may be writing.
        if void_after == Sequence(u64::MAX) {
            scanner.over_zeros()
        } else {
            scanner
        }
    }

    /// Gives `visit` the messages in it, envelopes and replays, that count: none after `void_after`. Damaged parts are
    /// passed over; what is lost there is for the check to say.
    ///
    /// # Errors
    /// Where it cannot be read, and what `visit` returns.
    pub(crate) fn visit_messages<E: From<JournalError>>(
        &self,
        place: &JournalPlace,
        key: FrameKey,
        void_after: Sequence,
        mut visit: impl FnMut(&FrameRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut scanner = self.scanner(key, void_after);
        loop {
            match scanner.next().context("read", &place.dir)? {
                Scanned::End | Scanned::Newer(_) => return Ok(()),
                Scanned::Damage { .. } => {}
                Scanned::Frame { frame, .. } if frame.head => {}
                Scanned::Frame { frame, .. } if frame.sequence > void_after => return Ok(()),
                Scanned::Frame { frame, .. } => {
                    if matches!(frame.kind, FrameKind::Envelope | FrameKind::Replay) {
                        visit(&frame)?;
                    }
                }
            }
        }
    }
}

/// A compressed file read as what is in it. Reading on costs what is read; reading back starts anew.
#[derive(Debug)]
struct Unpacked {
    packed: Arc<dyn FileHandle>,
    state: Mutex<Window>,
}

type Decoder = zstd::stream::read::Decoder<'static, BufReader<ReadOn>>;

/// Unpacked bytes that were read last.
struct Window {
    decoder: Decoder,
    bytes: Vec<u8>,
    /// Where they start.
    start: u64,
    is_at_end: bool,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window")
            .field("start", &self.start)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Window {
    fn new(packed: &Arc<dyn FileHandle>) -> io::Result<Self> {
        let packed = ReadOn {
            handle: Arc::clone(packed),
            at: 0,
        };
        Ok(Self {
            decoder: Decoder::new(packed)?,
            bytes: Vec::new(),
            start: 0,
            is_at_end: false,
        })
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Unpacks one chunk more.
    fn read_on(&mut self) -> io::Result<()> {
        let kept = self.bytes.len();
        self.bytes.resize(kept + CHUNK_BYTES, 0);
        let read = self.decoder.read(&mut self.bytes[kept..]);
        let count = read.as_ref().map_or(0, |count| *count);
        self.bytes.truncate(kept + count);
        self.is_at_end = count == 0;
        read.map(drop)
    }

    /// Forgets what lies before `offset`.
    fn forget_before(&mut self, offset: u64) {
        let gone = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let gone = gone.min(self.bytes.len());
        self.bytes.drain(..gone);
        self.start += gone as u64;
    }
}

impl Unpacked {
    fn new(packed: Arc<dyn FileHandle>) -> io::Result<Self> {
        let state = Mutex::new(Window::new(&packed)?);
        Ok(Self { packed, state })
    }

    /// Unpacks everything once: how much there is, and where it is damaged why no more. The checksum of the whole is
    /// verified by it.
    fn measure(&self) -> io::Result<(u64, Option<io::Error>)> {
        let mut window = Window::new(&self.packed)?;
        let mut broken = None;
        while !window.is_at_end && broken.is_none() {
            broken = window.read_on().err();
            window.forget_before(window.end());
        }
        Ok((window.end(), broken))
    }
}

impl FileHandle for Unpacked {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut window = locked(&self.state);
        if offset < window.start {
            *window = Window::new(&self.packed)?;
        }
        let wanted = offset + buffer.len() as u64;
        while window.end() < wanted && !window.is_at_end {
            window.forget_before(offset);
            if let Err(error) = window.read_on() {
                // What came before the damage can be read.
                if window.end() <= offset {
                    return Err(error);
                }
                break;
            }
        }
        window.forget_before(offset);
        if window.start != offset {
            return Ok(0); // behind the end
        }
        let count = buffer.len().min(window.bytes.len());
        buffer[..count].copy_from_slice(&window.bytes[..count]);
        Ok(count)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.measure().map(|(bytes, _)| bytes)
    }

    fn append(&self, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn truncate(&self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reads a file from a place on.
struct ReadOn {
    handle: Arc<dyn FileHandle>,
    at: u64,
}

impl Read for ReadOn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.handle.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
