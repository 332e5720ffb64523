//! Taking messages out of the raw data for good: out of sealed segments, out of the archive, and out of `aside/`.
//!
//! ```text
//! segments ─▶ find: which frames? (the caller decodes them) ─▶ FoundFrames ─▶ erase: the same segments without them
//! ```
//!
//! An erased frame keeps its place, its time and its source, so that the journal stays whole; what it said is gone. A
//! segment is written again beside itself, synced and renamed into its place: at every instant its name leads to a
//! complete one, and doing it again after a crash changes nothing more. Bytes that are no frame may hold anything, so
//! zeros take their place: the damage is reported as before, and nothing can be read from it.
//!
//! One segment at a time is in memory, where it is a compressed one. The caller sees to it that nothing is trimmed
//! meanwhile, and that what is to go stands in sealed segments ([`Journal::seal`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meetnet_model::ids::Sequence;

use super::archive::{self, Archive, ArchiveName};
use super::aside;
use super::error::{IoContext, JournalError};
use super::frame::{self, FrameKey, FrameKind, FrameRef};
use super::reader::FrameGroup;
use super::scan::{Scanned, Scanner};
use super::segment::{HEADER_BYTES, Segment};
use super::shared::{Shared, locked};
use super::{Appended, Journal};
use crate::files::{self, FileHandle, GradualWriter, UNFINISHED};

/// Bytes of frames that are judged together.
const GROUP_BYTES: usize = 1 << 20;
/// Bytes gathered before they are written.
const COPY_BYTES: usize = 1 << 20;

/// Says which frames of a group go, by their sequences. Groups come segment by segment, oldest first, with the
/// declarations in force at the start of each as a frame of that kind; only envelopes and replays can go.
pub type Judge<'a> = dyn FnMut(&FrameGroup) -> Vec<Sequence> + 'a;

/// Frames that are to go.
#[derive(Clone, Debug, Default)]
pub struct FoundFrames {
    /// By number of the segment: what a crash left void behind its end has sequences that later segments use again.
    frames: BTreeMap<u64, BTreeSet<Sequence>>,
    /// Segments with bytes that are no frame.
    damaged: BTreeSet<u64>,
    /// Files of the archive that cannot be decompressed.
    unreadable: Vec<ArchiveName>,
}

impl FoundFrames {
    /// Returns the sequences of the frames.
    pub fn sequences(&self) -> BTreeSet<Sequence> {
        self.frames.values().flatten().copied().collect()
    }

    fn add(&mut self, number: u64, sequences: Vec<Sequence>) {
        if !sequences.is_empty() {
            self.frames.entry(number).or_default().extend(sequences);
        }
    }

    fn concerns(&self, number: u64) -> bool {
        self.frames.contains_key(&number) || self.damaged.contains(&number)
    }
}

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedFrames {
    /// Frames that lost their content.
    pub frames: u64,
    /// Segments that were written again, those in the archive among them.
    pub segments: u64,
    /// Damaged regions that were overwritten.
    pub damaged_regions: u64,
    /// Files that nobody could read, and that were removed whole: of the archive and in `aside/`.
    pub unreadable_files: u64,
}

impl Journal {
    /// Whether every durable frame up to `through` stands in a segment that nothing is appended to any more.
    pub fn is_sealed(&self, through: Sequence) -> bool {
        let sealed = self.inner.shared.sealed();
        sealed.last().is_some_and(|segment| segment.last >= through)
    }

    /// Takes a tick that begins a new segment: once it is durable, every frame before it is sealed. It is taken above
    /// `journal_bytes_max` too: a full journal must not keep an erasure from making room.
    ///
    /// # Errors
    /// [`JournalError::Seal`] where nothing more is taken now.
    pub fn seal(&self) -> Result<Appended, JournalError> {
        self.inner.shared.begin_segment();
        self.append_tick()
            .map_err(|source| JournalError::Seal { source })
    }

    /// Looks for messages to erase among the envelopes and replays up to `through`, in the archive and in sealed
    /// segments. Changes nothing.
    ///
    /// # Errors
    /// Where a file cannot be read, or is of a newer version.
    pub fn find_frames(
        &self,
        through: Sequence,
        judge: &mut Judge<'_>,
    ) -> Result<FoundFrames, JournalError> {
        find(&self.inner.shared, &self.inner.archive, through, judge)
    }

    /// Takes the content of the frames out of every file for good, together with everything that nobody can read. What
    /// is left of a frame is a tick ([`FrameRef::erased`]). Nothing may be trimmed since they were found.
    ///
    /// # Errors
    /// Where a file cannot be written. Some of the frames may be erased then: find and erase them again.
    pub fn erase_frames(&self, found: &FoundFrames) -> Result<ErasedFrames, JournalError> {
        erase(&self.inner.shared, &self.inner.archive, found)
    }
}

/// Asks `judge` about every envelope and replay up to `through` that is still on the disk.
fn find(
    shared: &Shared,
    archive: &Archive,
    through: Sequence,
    judge: &mut Judge<'_>,
) -> Result<FoundFrames, JournalError> {
    let mut finding = Finding {
        key: shared.key,
        through,
        judge,
        found: FoundFrames::default(),
    };
    let _working = locked(&archive.working);
    for (name, _) in archive.entries()? {
        let path = archive.dir.join(name.to_string());
        match open_archived(archive, &name, &path)? {
            Some(handle) => {
                let end = handle.bytes().context("measure", &path)?;
                finding.segment(name.number, &path, handle, end)?;
            }
            None => finding.found.unreadable.push(name),
        }
    }
    for segment in shared.sealed() {
        let Segment {
            name,
            path,
            handle,
            readable_bytes,
            ..
        } = segment;
        if handle.bytes().context("measure", &path)? > readable_bytes {
            // What a failed write or an override has left behind the end: nobody reads it, so it goes.
            finding.found.damaged.insert(name.number);
        }
        finding.segment(name.number, &path, handle, readable_bytes)?;
    }
    Ok(finding.found)
}

/// Writes the segments that hold something of `found` again without it, and empties `aside/`.
fn erase(
    shared: &Shared,
    archive: &Archive,
    found: &FoundFrames,
) -> Result<ErasedFrames, JournalError> {
    let mut erased = ErasedFrames::default();
    let _working = locked(&archive.working);
    for name in &found.unreadable {
        let path = archive.remove(name)?;
        tracing::warn!(file = %path.display(), "removed raw messages that cannot be decompressed: nobody can say whose they are");
        erased.unreadable_files += 1;
    }
    for (name, _) in archive.entries()? {
        if found.concerns(name.number) {
            rewrite_archived(shared, archive, &name, found, &mut erased)?;
        }
    }
    for segment in shared.sealed() {
        if found.concerns(segment.name.number) {
            rewrite_sealed(shared, segment, found, &mut erased)?;
        }
    }
    let options = &shared.options;
    let copies = aside::clear(options.files.as_ref(), &options.dir)?;
    if copies > 0 {
        tracing::warn!(
            copies,
            "removed the copies of damaged journal bytes: nobody can say whose they are"
        );
        erased.unreadable_files += copies;
    }
    Ok(erased)
}

struct Finding<'a, 'j> {
    key: FrameKey,
    through: Sequence,
    judge: &'a mut Judge<'j>,
    found: FoundFrames,
}

impl Finding<'_, '_> {
    fn segment(
        &mut self,
        number: u64,
        path: &Path,
        handle: Arc<dyn FileHandle>,
        end: u64,
    ) -> Result<(), JournalError> {
        let mut scanner = Scanner::new(Arc::clone(&handle), self.key, HEADER_BYTES as u64, end);
        let mut group = FrameGroup::default();
        loop {
            match scanner.next().context("read", path)? {
                Scanned::End => break,
                Scanned::Newer(version) => return Err(newer(path, version)),
                Scanned::Damage { offset, bytes, .. } => {
                    if !is_zero(handle.as_ref(), offset, bytes).context("read", path)? {
                        self.found.damaged.insert(number);
                    }
                }
                Scanned::Frame { encoded, frame, .. } => {
                    let counts = match frame.kind {
                        FrameKind::Declarations => true,
                        FrameKind::Envelope | FrameKind::Replay => frame.sequence <= self.through,
                        FrameKind::Tick | FrameKind::Erase => false,
                    };
                    if counts {
                        group.push(encoded, frame.sequence, frame.recorded_at);
                    }
                }
            }
            if group.bytes() >= GROUP_BYTES {
                self.found.add(number, (self.judge)(&group));
                group = FrameGroup::default();
            }
        }
        if !group.is_empty() {
            self.found.add(number, (self.judge)(&group));
        }
        Ok(())
    }
}

/// Opens a file of the archive; none where it cannot be decompressed.
fn open_archived(
    archive: &Archive,
    name: &ArchiveName,
    path: &Path,
) -> Result<Option<Arc<dyn FileHandle>>, JournalError> {
    let files = archive.files.as_ref();
    if !name.compressed {
        return files.open_to_read(path).map(Some).context("open", path);
    }
    let compressed = files::read_all(files, path).context("read", path)?;
    let content = zstd::stream::decode_all(compressed.as_slice()).ok();
    Ok(content.map(|content| Arc::new(InMemory(content)) as Arc<dyn FileHandle>))
}

fn rewrite_archived(
    shared: &Shared,
    archive: &Archive,
    name: &ArchiveName,
    found: &FoundFrames,
    erased: &mut ErasedFrames,
) -> Result<(), JournalError> {
    let path = archive.dir.join(name.to_string());
    let Some(from) = open_archived(archive, name, &path)? else {
        return Ok(()); // among the unreadable ones
    };
    let end = from.bytes().context("measure", &path)?;
    let unfinished = archive.dir.join(format!("{name}{UNFINISHED}"));
    let files = archive.files.as_ref();
    let to = files.create(&unfinished).context("create", &unfinished)?;
    let frames = found.frames.get(&name.number);
    let mut copy = Copying::new(shared.key, &path, from, end, frames);
    let mut to = if name.compressed {
        let mut encoder = archive::encoder(to).context("compress", &unfinished)?;
        copy.run(&mut encoder)?;
        encoder.finish().context("compress", &unfinished)?
    } else {
        let mut to = GradualWriter::new(to);
        copy.run(&mut to)?;
        to
    };
    to.finish().context("sync", &unfinished)?;
    files
        .rename(&unfinished, &path)
        .context("rename into place", &path)?;
    files.sync_dir(&archive.dir).context("sync", &archive.dir)?;
    copy.count(erased);
    Ok(())
}

fn rewrite_sealed(
    shared: &Shared,
    segment: Segment,
    found: &FoundFrames,
    erased: &mut ErasedFrames,
) -> Result<(), JournalError> {
    let options = &shared.options;
    let (files, dir) = (options.files.as_ref(), &options.dir);
    let unfinished = dir.join(format!("{}{UNFINISHED}", segment.name));
    let to = files.create(&unfinished).context("create", &unfinished)?;
    let frames = found.frames.get(&segment.name.number);
    let from = Arc::clone(&segment.handle);
    let end = segment.readable_bytes;
    let mut copy = Copying::new(shared.key, &segment.path, from, end, frames);
    let mut writer = GradualWriter::new(Arc::clone(&to));
    copy.run(&mut writer)?;
    writer.finish().context("sync", &unfinished)?;
    files
        .rename(&unfinished, &segment.path)
        .context("rename into place", &segment.path)?;
    files.sync_dir(dir).context("sync", dir)?;
    let bytes = to.bytes().context("measure", &segment.path)?;
    copy.count(erased);
    shared.put_segment(Segment {
        handle: to,
        readable_bytes: bytes,
        stored_bytes: bytes,
        ..segment
    });
    Ok(())
}

/// A segment on its way into another file.
struct Copying<'a> {
    key: FrameKey,
    path: &'a Path,
    from: Arc<dyn FileHandle>,
    end: u64,
    /// Frames that lose their content.
    frames: Option<&'a BTreeSet<Sequence>>,
    erased: u64,
    damaged: u64,
}

impl<'a> Copying<'a> {
    fn new(
        key: FrameKey,
        path: &'a Path,
        from: Arc<dyn FileHandle>,
        end: u64,
        frames: Option<&'a BTreeSet<Sequence>>,
    ) -> Self {
        Self {
            key,
            path,
            from,
            end,
            frames,
            erased: 0,
            damaged: 0,
        }
    }

    fn goes(&self, frame: &FrameRef<'_>) -> bool {
        matches!(frame.kind, FrameKind::Envelope | FrameKind::Replay)
            && self
                .frames
                .is_some_and(|frames| frames.contains(&frame.sequence))
    }

    fn run(&mut self, to: &mut dyn Write) -> Result<(), JournalError> {
        let mut buffer = vec![0; HEADER_BYTES];
        let header = self
            .from
            .read_at(0, &mut buffer)
            .context("read", self.path)?;
        buffer.truncate(header);
        let mut scanner = Scanner::new(
            Arc::clone(&self.from),
            self.key,
            HEADER_BYTES as u64,
            self.end,
        );
        loop {
            match scanner.next().context("read", self.path)? {
                Scanned::End => break,
                Scanned::Newer(version) => return Err(newer(self.path, version)),
                Scanned::Damage { bytes, .. } => {
                    self.damaged += 1;
                    to.write_all(&buffer).context("write again", self.path)?;
                    buffer.clear();
                    io::copy(&mut io::Read::take(io::repeat(0), bytes), to)
                        .context("write again", self.path)?;
                }
                Scanned::Frame { frame, .. } if self.goes(&frame) => {
                    frame::encode_erased(&mut buffer, self.key, &frame);
                    self.erased += 1;
                }
                Scanned::Frame { encoded, .. } => buffer.extend_from_slice(encoded),
            }
            if buffer.len() >= COPY_BYTES {
                to.write_all(&buffer).context("write again", self.path)?;
                buffer.clear();
            }
        }
        to.write_all(&buffer).context("write again", self.path)
    }

    fn count(&self, erased: &mut ErasedFrames) {
        erased.frames += self.erased;
        erased.segments += 1;
        erased.damaged_regions += self.damaged;
    }
}

fn newer(path: &Path, version: u8) -> JournalError {
    JournalError::NewerFormat {
        path: PathBuf::from(path),
        version: version.into(),
    }
}

fn is_zero(handle: &dyn FileHandle, offset: u64, bytes: u64) -> io::Result<bool> {
    let end = offset + bytes;
    let mut at = offset;
    let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(bytes).unwrap_or(COPY_BYTES))];
    while at < end {
        let wanted = buffer
            .len()
            .min(usize::try_from(end - at).unwrap_or(buffer.len()));
        let read = handle.read_at(at, &mut buffer[..wanted])?;
        if read == 0 {
            break;
        }
        if buffer[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += read as u64;
    }
    Ok(true)
}

/// A decompressed segment, for the scanner.
#[derive(Debug)]
struct InMemory(Vec<u8>);

impl FileHandle for InMemory {
    fn append(&self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.0.len());
        let bytes = buffer.len().min(self.0.len() - start);
        buffer[..bytes].copy_from_slice(&self.0[start..start + bytes]);
        Ok(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}
