//! Opening: finds what is in force in the segments, reports damage, and moves the tail into a fresh segment.
//!
//! The rules stand in the documentation of the journal itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meetnet_model::declarations::DECODER_VERSION;
use meetnet_model::ids::Sequence;

use super::aside;
use super::checkpoint::{CHECKPOINT, Checkpoint};
use super::error::{IoContext, JournalError};
use super::frame::{FrameKind, FrameRef};
use super::scan::{Scanned, Scanner, written_end};
use super::segment::{HEADER_BYTES, Header, Identity, InForce, ReadHeader, Segment, SegmentName};
use crate::files::{FileHandle, Files, UNFINISHED};

/// What opening a journal found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The last checkpoint; none in a new journal, or where it is damaged (see `checkpoint_damaged`).
    pub checkpoint: Option<Checkpoint>,
    /// The checkpoint could not be read and was moved here: everything still in the journal is replayed, and the DUP
    /// windows are lost.
    pub checkpoint_damaged: Option<PathBuf>,
    /// End of the journal: the last sequence ever in force, the new declarations frame included.
    pub last_sequence: Sequence,
    /// Its `recorded_at`, µs since 1970 UTC.
    pub last_recorded_at: i64,
    /// Damage with valid frames behind it; see [`SkippedRegion::last_group`] for which of it is an alarm.
    pub skipped: Vec<SkippedRegion>,
    /// Bytes cut from the end: groups that were being written when the process ended, never acknowledged. Zeros behind
    /// them do not count: they may be what a group was to be written over.
    pub cut_bytes: u64,
    /// Messages after T journalled under older decoders: they are decoded by this version's.
    pub older_decoder_tail: Option<OlderDecoderTail>,
    /// The declarations in force at T: what a replay starts with. Empty: none yet.
    pub declarations: Vec<u8>,
}

/// A damaged region of a segment, or frames that are missing altogether (0 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRegion {
    /// The segment.
    pub segment: PathBuf,
    /// Where the region starts in it.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// The last intact frame before it.
    pub after: Sequence,
    /// The first intact frame behind it (or the start of the next segment).
    pub resumes_at: Sequence,
    /// It lies in the group that was written last: most likely a power loss tore a write that nobody was acknowledged
    /// for. False: acknowledged messages may be lost, a human is needed.
    pub last_group: bool,
    /// Where the bytes are kept for a repair by hand; none where there are none, they could not be copied, or
    /// `aside_bytes_max` leaves no room for them.
    pub kept_aside: Option<PathBuf>,
}

/// Uncommitted messages of an older version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderDecoderTail {
    /// The oldest decoder version among them.
    pub decoder_version: u32,
    /// The first such frame.
    pub first: Sequence,
    /// The last such frame.
    pub last: Sequence,
    /// How many there are.
    pub frames: u64,
}

/// What the scan hands to `open`.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) report: Recovery,
    pub(crate) segments: Vec<ScannedSegment>,
    /// The frames after T in the last segment: to be moved.
    pub(crate) tail: Option<Tail>,
    /// State before the tail.
    pub(crate) before_tail: End,
    /// State at the end of the journal.
    pub(crate) end: End,
}

/// The journal at some point of the walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) sequence: Sequence,
    pub(crate) recorded_at: i64,
    pub(crate) in_force: InForce,
}

/// Frames of the last segment that are not known to be behind a durable commit.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) handle: Arc<dyn FileHandle>,
    pub(crate) offset: u64,
    pub(crate) end: u64,
    pub(crate) first: Sequence,
}

/// A segment found on the disk.
#[derive(Debug)]
pub(crate) struct ScannedSegment {
    pub(crate) segment: Segment,
    /// Valid header, empty, and no damage in it: it can be removed once its successor starts where it does.
    pub(crate) removable: bool,
}

#[derive(Debug)]
struct Found {
    name: SegmentName,
    path: PathBuf,
    handle: Arc<dyn FileHandle>,
    header: Option<Header>,
    bytes: u64,
}

impl Found {
    /// Where the journal ended when it was started; by its name where the header is damaged, which is later where the
    /// floor was raised: then fewer frames are void, never more.
    fn follows_at_most(&self) -> Sequence {
        self.header
            .map_or(Sequence(self.name.first.0.saturating_sub(1)), |header| {
                header.follows
            })
    }
}

/// Removes what was never completed and returns the names of the segments, oldest first.
pub(crate) fn segment_names(
    files: &dyn Files,
    dir: &Path,
) -> Result<Vec<SegmentName>, JournalError> {
    let mut names = Vec::new();
    for listed in files.list(dir).context("list", dir)? {
        if listed.name.ends_with(UNFINISHED) {
            let path = dir.join(&listed.name);
            files.remove(&path).context("remove unfinished", &path)?;
        } else if let Some(name) = SegmentName::parse(&listed.name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Reads the header of a segment.
pub(crate) fn read_header(
    files: &dyn Files,
    path: &Path,
) -> Result<(Arc<dyn FileHandle>, Option<Header>), JournalError> {
    let handle = files.open(path).context("open", path)?;
    let mut bytes = [0; HEADER_BYTES];
    let read = handle.read_at(0, &mut bytes).context("read", path)?;
    match Header::decode(&bytes[..read]) {
        ReadHeader::Valid(header) => Ok((handle, Some(header))),
        ReadHeader::Damaged => Ok((handle, None)),
        ReadHeader::Newer(version) => Err(JournalError::NewerFormat {
            path: path.to_path_buf(),
            version,
        }),
    }
}

/// Walks all segments. Changes nothing but copying damaged bytes aside and removing segments that were torn when they
/// were created.
pub(crate) fn scan(
    files: &dyn Files,
    dir: &Path,
    identity: &Identity,
    names: &[SegmentName],
    checkpoint: Option<Checkpoint>,
    aside_bytes_max: u64,
) -> Result<Scan, JournalError> {
    let mut found = find(files, dir, identity, names)?;
    let mut cut_bytes = remove_torn(files, identity, &mut found)?;
    let trimmed_through = checkpoint
        .as_ref()
        .map(|checkpoint| checkpoint.trimmed_through);
    let mut walk = Walk {
        files,
        dir,
        aside_bytes_max,
        trimmed_through: trimmed_through.unwrap_or_default(),
        // Without a checkpoint nobody knows what had been trimmed.
        gap_checked: trimmed_through.is_some(),
        end: End::default(),
        at_checkpoint: None,
        before_tail: None,
        pending: Vec::new(),
        skipped: Vec::new(),
        older: None,
        last_group: Sequence::ZERO,
    };
    let mut segments = Vec::with_capacity(found.len());
    let mut tail = None;
    for (index, segment) in found.iter().enumerate() {
        let void_after = found[index + 1..].iter().map(Found::follows_at_most).min();
        let is_last = index + 1 == found.len();
        let (scanned, segment_tail) = walk.segment(segment, identity, void_after, is_last)?;
        if is_last {
            tail = segment_tail;
            // What is left pending has no valid frame behind it.
            cut_bytes += scanned.written_end - scanned.valid_end;
        }
        segments.push(ScannedSegment {
            segment: scanned.segment,
            removable: scanned.removable,
        });
    }

    for region in &mut walk.skipped {
        // Every frame that it can have held belongs to the group of the last frame.
        let in_last_segment = found.last().is_some_and(|last| last.path == region.segment);
        region.last_group = in_last_segment && region.after.next() >= walk.last_group;
    }
    let end = walk.end;
    let mut report = Recovery {
        last_sequence: end.sequence,
        last_recorded_at: end.recorded_at,
        skipped: walk.skipped,
        cut_bytes,
        older_decoder_tail: walk.older,
        declarations: walk
            .at_checkpoint
            .unwrap_or_else(|| end.in_force.clone())
            .declarations
            .to_vec(),
        ..Recovery::default()
    };
    if let Some(checkpoint) = checkpoint {
        report.last_sequence = report
            .last_sequence
            .max(checkpoint.last_sequence)
            .max(checkpoint.trimmed_through);
        report.last_recorded_at = report.last_recorded_at.max(checkpoint.last_recorded_at);
        report.checkpoint = Some(checkpoint);
    }
    Ok(Scan {
        report,
        segments,
        tail,
        before_tail: walk.before_tail.unwrap_or_else(|| end.clone()),
        end,
    })
}

/// Opens the segments and reads their headers: all are of this journal, and have the names that they began with.
fn find(
    files: &dyn Files,
    dir: &Path,
    identity: &Identity,
    names: &[SegmentName],
) -> Result<Vec<Found>, JournalError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let path = dir.join(name.to_string());
        let (handle, header) = read_header(files, &path)?;
        if let Some(header) = header.filter(|header| header.identity.id != identity.id) {
            let (found, expected) = (header.identity.id, identity.id);
            return Err(JournalError::Foreign {
                path,
                found,
                expected,
            });
        }
        let is_misnamed =
            |header: &Header| (header.number, header.first) != (name.number, name.first);
        if let Some(Header { number, first, .. }) = header.filter(is_misnamed) {
            let name = SegmentName { number, first }.to_string();
            return Err(JournalError::Misnamed { path, name });
        }
        let bytes = handle.bytes().context("measure", &path)?;
        found.push(Found {
            name: *name,
            path,
            handle,
            header,
            bytes,
        });
    }
    Ok(found)
}

/// Removes the last segments where they were torn while they were created: they hold nothing that was ever acknowledged.
/// Returns how many bytes had been written to them.
fn remove_torn(
    files: &dyn Files,
    identity: &Identity,
    found: &mut Vec<Found>,
) -> Result<u64, JournalError> {
    let mut cut_bytes = 0;
    while let Some(last) = found.last().filter(|last| last.header.is_none()) {
        let scanner = Scanner::new(
            Arc::clone(&last.handle),
            identity.key(),
            HEADER_BYTES as u64,
            last.bytes,
        );
        let holds_frames = scanner.over_zeros().holds_frames();
        if holds_frames.context("read", &last.path)? {
            break;
        }
        let written = written_end(last.handle.as_ref(), 0, last.bytes);
        cut_bytes += written.context("read", &last.path)?;
        files
            .remove(&last.path)
            .context("remove torn", &last.path)?;
        found.pop();
    }
    Ok(cut_bytes)
}

/// Moves a damaged checkpoint aside.
pub(crate) fn keep_damaged_checkpoint(
    files: &dyn Files,
    dir: &Path,
) -> Result<PathBuf, JournalError> {
    let aside = aside::folder(files, dir)?;
    let kept = aside.join(format!("{CHECKPOINT}{}", aside::DAMAGED));
    let path = dir.join(CHECKPOINT);
    files.rename(&path, &kept).context("move aside", &path)?;
    Ok(kept)
}

struct Walk<'a> {
    files: &'a dyn Files,
    dir: &'a Path,
    aside_bytes_max: u64,
    trimmed_through: Sequence,
    gap_checked: bool,
    end: End,
    at_checkpoint: Option<InForce>,
    before_tail: Option<End>,
    /// Damage of which it is not yet known whether frames in force were in it.
    pending: Vec<SkippedRegion>,
    skipped: Vec<SkippedRegion>,
    older: Option<OlderDecoderTail>,
    /// First sequence of the group of the last frame.
    last_group: Sequence,
}

struct WalkedSegment {
    segment: Segment,
    removable: bool,
    /// Where the last valid frame in force ends.
    valid_end: u64,
    /// Where the last byte ends that was written.
    written_end: u64,
}

impl Walk<'_> {
    fn segment(
        &mut self,
        found: &Found,
        identity: &Identity,
        void_after: Option<Sequence>,
        is_last: bool,
    ) -> Result<(WalkedSegment, Option<Tail>), JournalError> {
        self.start_segment(found);
        let void_after = void_after.unwrap_or(Sequence(u64::MAX));
        let mut segment = Segment {
            name: found.name,
            path: found.path.clone(),
            handle: Arc::clone(&found.handle),
            // What the header says, or all that is known without it.
            follows: self.end.sequence,
            last: self.end.sequence,
            first_recorded_at: 0,
            last_recorded_at: 0,
            readable_bytes: HEADER_BYTES as u64,
            stored_bytes: found.bytes,
        };
        let mut removable = found.header.is_some();
        let mut tail: Option<Tail> = None;
        let mut valid_end = (HEADER_BYTES as u64).min(found.bytes);
        let mut written_end = valid_end;
        let handle = Arc::clone(&found.handle);
        let mut scanner = Scanner::new(handle, identity.key(), HEADER_BYTES as u64, found.bytes);
        if is_last {
            scanner = scanner.over_zeros();
        }
        loop {
            match scanner.next().context("read", &found.path)? {
                Scanned::End => break,
                Scanned::Newer(version) => {
                    let path = found.path.clone();
                    return Err(JournalError::NewerFormat {
                        path,
                        version: version.into(),
                    });
                }
                Scanned::Damage { offset, bytes, .. } => {
                    removable = false;
                    written_end = offset + bytes;
                    self.damage(&found.path, offset, bytes);
                }
                Scanned::Frame { frame, .. } if !frame.head && frame.sequence > void_after => break,
                Scanned::Frame {
                    offset,
                    encoded,
                    frame,
                } => {
                    valid_end = offset + encoded.len() as u64;
                    if frame.head {
                        if tail.is_none() {
                            segment.readable_bytes = valid_end;
                        }
                        self.end.in_force.apply(&frame);
                        continue; // no frame of its own: it judges nothing
                    }
                    self.report_pending(frame.sequence);
                    if frame.sequence <= self.end.sequence {
                        continue; // cannot be: sequences only rise
                    }
                    if frame.sequence > self.trimmed_through {
                        if self.at_checkpoint.is_none() {
                            self.at_checkpoint = Some(self.end.in_force.clone());
                        }
                        self.count_older(&frame);
                        if is_last && tail.is_none() {
                            let (handle, end) = (Arc::clone(&found.handle), found.bytes);
                            tail = Some(Tail {
                                handle,
                                offset,
                                end,
                                first: frame.sequence,
                            });
                            self.before_tail = Some(self.end.clone());
                        }
                    }
                    if tail.is_none() {
                        segment.extend(frame.sequence, frame.recorded_at);
                        segment.readable_bytes = valid_end;
                    }
                    self.end.sequence = frame.sequence;
                    self.last_group =
                        Sequence(frame.sequence.0.saturating_sub(frame.in_group.into()));
                    self.end.recorded_at = self.end.recorded_at.max(frame.recorded_at);
                    if frame.kind == FrameKind::Declarations {
                        self.end.in_force.apply(&frame);
                    }
                }
            }
        }
        removable &= segment.is_empty();
        written_end = written_end.max(valid_end);
        if let Some(tail) = &mut tail {
            tail.end = written_end;
        }
        Ok((
            WalkedSegment {
                segment,
                removable,
                valid_end,
                written_end,
            },
            tail,
        ))
    }

    /// Judges what is pending from earlier segments by where this one starts.
    fn start_segment(&mut self, found: &Found) {
        let known = self.end.sequence.max(self.trimmed_through);
        let Some(header) = found.header else {
            // Its name says where it begins. Where nothing is missing before that, what is damaged in earlier segments is
            // no loss: a group whose write failed, and which stands here. Else nothing is known of them, and perhaps this one
            // was torn when it was created.
            if found.follows_at_most() <= known {
                self.pending.clear();
            }
            self.damage(&found.path, 0, (HEADER_BYTES as u64).min(found.bytes));
            self.gap_checked = true;
            return;
        };
        if self.gap_checked && header.follows > known {
            if self.pending.is_empty() {
                self.damage(&found.path, 0, 0);
            }
            self.report_pending(header.follows.next());
        }
        self.pending.clear();
        self.gap_checked = true;
        self.end.sequence = self.end.sequence.max(header.follows);
        self.end.recorded_at = self.end.recorded_at.max(header.recorded_after);
    }

    fn damage(&mut self, segment: &Path, offset: u64, bytes: u64) {
        if let Some(last) = self.pending.last_mut()
            && last.segment == segment
            && last.offset + last.bytes == offset
        {
            // A damaged header and a damaged head frame are one region.
            last.bytes += bytes;
            return;
        }
        self.pending.push(SkippedRegion {
            segment: segment.to_path_buf(),
            offset,
            bytes,
            after: self.end.sequence,
            resumes_at: Sequence::ZERO,
            last_group: false,
            kept_aside: None,
        });
    }

    fn report_pending(&mut self, resumes_at: Sequence) {
        if resumes_at <= self.trimmed_through {
            // Whatever stood there is committed; it may also be a remnant whose override has been archived already.
            for SkippedRegion {
                segment,
                offset,
                bytes,
                ..
            } in self.pending.drain(..)
            {
                let segment = segment.display();
                tracing::warn!(%segment, offset, bytes, "damaged bytes in a trimmed part of the journal");
            }
            return;
        }
        for mut region in std::mem::take(&mut self.pending) {
            region.resumes_at = resumes_at;
            if region.bytes > 0 {
                self.keep_aside(&mut region);
            }
            self.skipped.push(region);
        }
    }

    /// Copies a region aside, for which copies of earlier ones may have to go.
    fn keep_aside(&mut self, region: &mut SkippedRegion) {
        match aside::keep(self.files, self.dir, region, self.aside_bytes_max) {
            Ok(kept) => {
                for earlier in &mut self.skipped {
                    earlier
                        .kept_aside
                        .take_if(|path| kept.dropped.contains(path));
                }
                region.kept_aside = kept.path;
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "failed to keep damaged journal bytes aside");
            }
        }
    }

    fn count_older(&mut self, frame: &FrameRef<'_>) {
        // Nothing else is decoded.
        let is_message = matches!(frame.kind, FrameKind::Envelope | FrameKind::Replay);
        if !is_message || frame.decoder_version >= DECODER_VERSION {
            return;
        }
        let older = self.older.get_or_insert(OlderDecoderTail {
            decoder_version: frame.decoder_version,
            first: frame.sequence,
            last: frame.sequence,
            frames: 0,
        });
        older.decoder_version = older.decoder_version.min(frame.decoder_version);
        older.last = frame.sequence;
        older.frames += 1;
    }
}

#[cfg(test)]
mod tests;
