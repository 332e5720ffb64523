//! Walking the segments, from the oldest in the raw archive to the end of the journal, frame by frame.
//!
//! What is in force where is decided as in recovery (documentation of the journal); what recovery would skip, or never
//! looks at, is found here.

use std::sync::Arc;

use meetnet_model::ids::Sequence;
use meetnet_model::readable::counted;

use super::Depth;
use super::report::{FindingKind, Place, Report};
use crate::journal::error::IoContext;
use crate::journal::frame::{FrameKind, FrameRef};
use crate::journal::opening::FolderLock;
use crate::journal::scan::{self, Scanned};
use crate::journal::segment::{HEADER_BYTES, Header, Identity, ReadHeader};
use crate::journal::stored::{LocatedSegment, OpenSegment, StoredSegment};
use crate::journal::{JournalError, JournalPlace};

const RESTORE_HEAD: &str =
    "restore the segment from a backup: its messages may be decoded by the wrong declarations";

/// A damaged region of which it is not yet known whether frames in force were in it.
struct Damage {
    place: Place,
    bytes: u64,
    /// The last frame before it.
    after: Sequence,
    /// It begins where the declarations at the head of the segment do.
    at_head: bool,
}

/// The journal at some point of the walk.
pub(super) struct Walk<'a> {
    place: &'a JournalPlace,
    identity: Identity,
    depth: Depth,
    report: &'a mut Report,
    /// T; zero where it is not known.
    trimmed_through: Sequence,
    /// Last frame in force; None before the first segment.
    end: Option<Sequence>,
    recorded_at: i64,
    /// The declarations in force, where they are known.
    declarations: Option<Arc<[u8]>>,
    pending: Vec<Damage>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        place: &'a JournalPlace,
        identity: Identity,
        depth: Depth,
        trimmed_through: Option<Sequence>,
        report: &'a mut Report,
    ) -> Self {
        Self {
            place,
            identity,
            depth,
            report,
            trimmed_through: trimmed_through.unwrap_or_default(),
            end: None,
            recorded_at: i64::MIN,
            declarations: None,
            pending: Vec::new(),
        }
    }

    /// Walks one segment. Returns false where a newer version wrote it.
    pub(super) fn segment(&mut self, located: &LocatedSegment) -> Result<bool, JournalError> {
        let LocatedSegment {
            segment,
            header,
            void_after,
        } = located;
        let Some(open) = segment.open(self.place)? else {
            return Ok(true);
        };
        self.report.counts.segments += 1;
        let header = match header {
            ReadHeader::Damaged => {
                if self.is_unbegun(&open, *void_after)? {
                    return Ok(true);
                }
                // A daemon may have been creating it when the segments were listed.
                open.header().context("read", &self.place.dir)?
            }
            header => *header,
        };
        match header {
            ReadHeader::Newer(version) => {
                self.report_newer(&open, version);
                return Ok(false);
            }
            ReadHeader::Valid(header) if header.identity.id != self.identity.id => {
                self.report.add(
                    FindingKind::SegmentForeign,
                    place_of(&open, None),
                    format!("it belongs to journal {}", header.identity.id),
                    "move it away: the daemon does not start with it",
                );
                return Ok(true);
            }
            ReadHeader::Valid(header) => self.start(segment, &header, &open),
            ReadHeader::Damaged => {
                // Where a file cannot be unpacked, that is said below.
                if open.broken.is_none() {
                    self.report.add(
                        FindingKind::SegmentHeader,
                        place_of(&open, Some(0)),
                        "its header does not match its checksum",
                        "nothing: what it says is also known from elsewhere; look after the disk",
                    );
                }
                let before = Sequence(segment.first.0.saturating_sub(1));
                let end = *self.end.get_or_insert(before);
                // Nothing is missing before it: what is damaged there is a group that was written again, here.
                if before <= end {
                    self.pending.clear();
                }
            }
        }
        if let Some(error) = &open.broken {
            self.report.add(
                FindingKind::ArchiveDamage,
                place_of(&open, Some(open.bytes)),
                format!("it cannot be unpacked any further: {error}"),
                "restore it from a backup if raw messages of that time may be needed; the tables have their rows",
            );
        }
        let is_read = self.depth == Depth::Full || segment.archived.is_none();
        let mut is_ours = true;
        if is_read {
            self.report.counts.bytes += open.bytes;
            is_ours = self.frames(segment, &open, *void_after)?;
        }
        if let Some(name) = segment
            .archived
            .filter(|_| !is_read || open.broken.is_some())
        {
            // The name says where it ends.
            self.end = self.end.max(Some(name.last));
            self.recorded_at = self.recorded_at.max(name.last_recorded_at);
            self.declarations = None;
            self.pending.clear();
        }
        Ok(is_ours)
    }

    /// Returns whether a segment without a valid header is the one that is being created, or that a crash left so: the last
    /// one, without a frame. What of it is written is judged at the end.
    fn is_unbegun(
        &mut self,
        open: &OpenSegment,
        void_after: Sequence,
    ) -> Result<bool, JournalError> {
        let is_last = void_after == Sequence(u64::MAX) && !open.archived;
        let read = |result: std::io::Result<bool>| result.context("read", &self.place.dir);
        if !is_last || read(open.scanner(self.identity.key(), void_after).holds_frames())? {
            return Ok(false);
        }
        let written = scan::written_end(open.handle.as_ref(), 0, open.bytes);
        let bytes = written.context("read", &self.place.dir)?;
        if bytes > 0 {
            self.pending.push(Damage {
                place: place_of(open, Some(0)),
                bytes,
                after: self.end.unwrap_or_default(),
                at_head: false,
            });
        }
        Ok(true)
    }

    /// Judges what came before by where a segment starts.
    fn start(&mut self, segment: &StoredSegment, header: &Header, open: &OpenSegment) {
        if (header.number, header.first) != (segment.number, segment.first) {
            self.report.add(
                FindingKind::SegmentHeader,
                place_of(open, Some(0)),
                format!(
                    "by its header it is segment {} from sequence {}",
                    header.number, header.first
                ),
                "give it the name that its header says",
            );
        }
        let before = match self.end {
            Some(end) => end,
            // Of the time before the oldest segment nothing is known but T.
            None if segment.archived.is_none() && self.trimmed_through > Sequence::ZERO => {
                self.trimmed_through
            }
            None => header.follows,
        };
        if header.follows > before {
            if self.pending.is_empty() {
                self.declarations = None;
                self.report.add(
                    FindingKind::FramesMissing,
                    place_of(open, Some(0)),
                    format!(
                        "frames {} to {} are missing before it",
                        before.next(),
                        header.follows
                    ),
                    self.what_to_do(header.follows),
                );
            }
            self.report_pending(header.follows.next());
        }
        self.pending.clear();
        self.end = self.end.max(Some(header.follows));
        self.recorded_at = self.recorded_at.max(header.recorded_after);
    }

    /// Walks the frames of a segment; false where a newer version wrote one.
    fn frames(
        &mut self,
        segment: &StoredSegment,
        open: &OpenSegment,
        void_after: Sequence,
    ) -> Result<bool, JournalError> {
        let mut scanner = open.scanner(self.identity.key(), void_after);
        let mut expected = segment.first;
        let mut has_head = false;
        let mut disordered = 0_u64;
        loop {
            match scanner.next().context("read", &self.place.dir)? {
                Scanned::End => break,
                Scanned::Newer(version) => {
                    self.report_newer(open, version.into());
                    return Ok(false);
                }
                Scanned::Damage { offset, bytes, .. } => {
                    let at_head = offset == HEADER_BYTES as u64;
                    has_head |= at_head;
                    self.pending.push(Damage {
                        place: place_of(open, Some(offset)),
                        bytes,
                        after: self.end.unwrap_or_default(),
                        at_head,
                    });
                }
                Scanned::Frame { frame, offset, .. } if frame.head => {
                    let known = self.declarations.take();
                    if has_head || known.is_some_and(|known| *known != *frame.payload) {
                        self.report.add(
                            FindingKind::SegmentHead,
                            place_of(open, Some(offset)),
                            "the declarations at its head are not those in force at its start",
                            RESTORE_HEAD,
                        );
                    }
                    has_head = true;
                    self.declarations = Some(Arc::from(frame.payload));
                }
                Scanned::Frame { frame, .. } if frame.sequence > void_after => break,
                Scanned::Frame { frame, offset, .. } => {
                    if !has_head {
                        has_head = true;
                        self.report.add(
                            FindingKind::SegmentHead,
                            place_of(open, Some(offset)),
                            "it does not start with the declarations in force",
                            RESTORE_HEAD,
                        );
                    }
                    let place = place_of(open, Some(offset));
                    disordered += u64::from(!self.frame(&frame, expected, place));
                    expected = frame.sequence.next();
                }
            }
        }
        if disordered > 0 {
            self.report.add(
                FindingKind::SequenceOrder,
                place_of(open, None),
                format!(
                    "{} without a later sequence and time than the one before",
                    counted(disordered, "frame")
                ),
                "report it with the segment: no meetnet writes that; answers as of those times may be wrong",
            );
        }
        Ok(true)
    }

    /// Takes one frame in force; false where it does not come after the one before.
    fn frame(&mut self, frame: &FrameRef<'_>, expected: Sequence, place: Place) -> bool {
        let end = self.end.unwrap_or_default();
        if !self.pending.is_empty() {
            self.report_pending(frame.sequence);
        } else if frame.sequence > expected.max(end.next()) {
            self.declarations = None;
            self.report.add(
                FindingKind::SequenceSkipped,
                place,
                format!(
                    "no frame has a sequence between {end} and {}, but no bytes are missing",
                    frame.sequence
                ),
                "an earlier start skipped damaged frames there, or numbered on behind what the tables had taken: its \
                 log says which",
            );
        }
        if frame.kind == FrameKind::Declarations {
            self.declarations = Some(Arc::from(frame.payload));
        }
        self.report.counts.frames += 1;
        let is_later = frame.sequence > end && frame.recorded_at > self.recorded_at;
        self.end = Some(end.max(frame.sequence));
        self.recorded_at = self.recorded_at.max(frame.recorded_at);
        is_later
    }

    /// What is pending held frames up to the one before `resumes_at`.
    fn report_pending(&mut self, resumes_at: Sequence) {
        let to_do = self.what_to_do(Sequence(resumes_at.0.saturating_sub(1)));
        for damage in std::mem::take(&mut self.pending) {
            // It may have held declarations.
            self.declarations = None;
            if damage.at_head && damage.after.next() >= resumes_at {
                self.report.add(
                    FindingKind::SegmentHead,
                    damage.place,
                    format!("{} bytes with the declarations in force are damaged", damage.bytes),
                    "restore the segment from a backup: once the segments before it have gone, nobody knows what its \
                     messages are decoded by",
                );
                continue;
            }
            let what = format!(
                "{} bytes are damaged: frames after {} and before {resumes_at} cannot be read",
                damage.bytes, damage.after
            );
            self.report
                .add(FindingKind::FrameDamage, damage.place, what, to_do);
        }
    }

    /// What to do about frames up to `last` that cannot be read.
    fn what_to_do(&self, last: Sequence) -> &'static str {
        if last <= self.trimmed_through {
            "the tables are further than that: only the raw messages are lost, unless the log of a start says that \
             acknowledged messages may be; restore the segment from a backup if they may be needed, and look after the \
             disk"
        } else {
            "acknowledged messages are lost unless a backup has them: ask those who sent them again, and look after the \
             disk"
        }
    }

    fn report_newer(&mut self, open: &OpenSegment, version: u32) {
        self.report.add(
            FindingKind::SegmentForeign,
            place_of(open, None),
            format!("it has format version {version}, which this version cannot read"),
            "check it with the meetnet that wrote it",
        );
    }

    /// Judges the end. Frames through `durable` had been synced before the walk began: checkpoint, tables or the note of the
    /// newest segment say so.
    pub(super) fn finish(mut self, durable: Sequence) {
        let end = self.end.unwrap_or_default();
        if end < durable && self.pending.is_empty() {
            self.report.add(
                FindingKind::FramesMissing,
                Place::JOURNAL,
                format!(
                    "it ends at {end}, but checkpoint, tables or the note of the newest segment have known it to go to {durable}"
                ),
                self.what_to_do(durable),
            );
        }
        if end < durable {
            self.report_pending(durable.next());
        }
        let is_in_use = FolderLock::holder(&self.place.dir).is_some();
        for damage in std::mem::take(&mut self.pending) {
            // While somebody writes, the end is what is being written.
            if !is_in_use {
                self.report.add(
                    FindingKind::TornTail,
                    damage.place,
                    format!("{} bytes behind the last frame, {end}, are no frame", damage.bytes),
                    "nothing, if the process was killed or the power failed: nobody was acknowledged for them, and the \
                     next start removes them; else look after the disk",
                );
            }
        }
    }
}

fn place_of(open: &OpenSegment, offset: Option<u64>) -> Place {
    let file = open.name.clone();
    if open.archived {
        return Place::Archive { file, offset };
    }
    Place::Journal {
        file: Some(file),
        offset,
    }
}
