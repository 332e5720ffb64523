//! Reading in order, live and after a restart alike: durable frames only, each once.

use std::sync::Arc;

use meetnet_model::ids::Sequence;

use super::error::{IoContext, JournalError};
use super::frame::{FrameRef, PREFIX_BYTES, parse_body};
use super::scan::{Scanned, Scanner};
use super::segment::{HEADER_BYTES, Segment};
use super::shared::Shared;

/// Room that a group reserves at first, so that a small backlog does not cost the whole of `bytes_max`.
const GROUP_BYTES: usize = 1 << 16;

/// Reads frames after a position. It never sees a frame that is not durable.
#[derive(Debug)]
pub struct JournalReader {
    shared: Arc<Shared>,
    /// Last sequence that was returned, or that is known not to exist.
    after: Sequence,
    at: Option<At>,
}

#[derive(Debug)]
struct At {
    segment: Segment,
    scanner: Scanner,
}

/// Frames that were read together, in ascending sequence; it owns their bytes.
#[derive(Clone, Debug, Default)]
pub struct FrameGroup {
    bytes: Vec<u8>,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
    last_sequence: Sequence,
    last_recorded_at: i64,
}

impl FrameGroup {
    /// Returns the frames in order.
    ///
    /// ```
    /// use meetnet_lake::journal::{FrameKind, Journal, JournalOptions, NewEnvelope};
    /// use meetnet_model::ids::Sequence;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let options = JournalOptions::new(folder.path().join("journal"), folder.path().join("archive"));
    /// let (journal, _recovery) = Journal::open(options, b"declarations")?;
    /// let envelope = NewEnvelope { source: "balcony", topic: "t/1", payload: b"21.5", ..Default::default() };
    /// let appended = journal.append(&envelope)?;
    /// journal.wait_durable(appended.sequence)?; // now the sender may be acknowledged
    ///
    /// let group = journal.reader(Sequence::ZERO).read_group(1 << 20)?.expect("two frames are durable");
    /// let kinds: Vec<FrameKind> = group.frames().map(|frame| frame.kind).collect();
    /// assert_eq!(kinds, [FrameKind::Declarations, FrameKind::Envelope]);
    /// let frame = group.frames().last().expect("two frames");
    /// assert_eq!((frame.source, frame.payload), ("balcony", b"21.5".as_slice()));
    /// assert_eq!((frame.sequence, frame.recorded_at), (appended.sequence, appended.recorded_at));
    /// journal.shutdown()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn frames(&self) -> impl ExactSizeIterator<Item = FrameRef<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let frame = &self.bytes[start + PREFIX_BYTES..end];
            start = end;
            parse_body(frame).expect("the frame was checked when it was read")
        })
    }

    /// Returns the number of frames.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns true where there is no frame; a group that was read has at least one.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the sequence of the last frame.
    pub fn last_sequence(&self) -> Sequence {
        self.last_sequence
    }

    /// Returns the `recorded_at` of the last frame, µs since 1970 UTC.
    pub fn last_recorded_at(&self) -> i64 {
        self.last_recorded_at
    }

    /// Returns the bytes of all frames as stored.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push(&mut self, encoded: &[u8], frame_sequence: Sequence, recorded_at: i64) {
        self.bytes.extend_from_slice(encoded);
        self.ends.push(self.bytes.len());
        self.last_sequence = frame_sequence;
        self.last_recorded_at = recorded_at;
    }
}

impl JournalReader {
    pub(crate) fn new(shared: Arc<Shared>, after: Sequence) -> Self {
        Self {
            shared,
            after,
            at: None,
        }
    }

    /// Returns the position up to which everything has been returned.
    pub fn position(&self) -> Sequence {
        self.after
    }

    /// Returns the next durable frames, at most `bytes_max` bytes of them but at least one; none where nothing more is
    /// durable yet. Damage is skipped, counted and logged.
    ///
    /// # Errors
    /// [`JournalError::Trimmed`] where frames after the position have left the journal, [`JournalError::Io`] where
    /// reading fails (the next call tries again), [`JournalError::NewerFormat`] for frames of a newer version.
    pub fn read_group(&mut self, bytes_max: usize) -> Result<Option<FrameGroup>, JournalError> {
        self.read_group_through(Sequence(u64::MAX), bytes_max)
    }

    /// The same, but no frame after `through`.
    ///
    /// # Errors
    /// As [`JournalReader::read_group`].
    pub fn read_group_through(
        &mut self,
        through: Sequence,
        bytes_max: usize,
    ) -> Result<Option<FrameGroup>, JournalError> {
        let mut group = FrameGroup::default();
        loop {
            let mut at = match self.at.take() {
                Some(at) => at,
                None => match self.shared.locate(self.after)? {
                    Some(segment) => self.enter(segment),
                    None => return Ok(None),
                },
            };
            let position = self.shared.position(at.segment.name.number);
            // A segment that was trimmed while it is being read stays open: its last known end is final.
            match position.segment {
                // Written again meanwhile: its frames stand elsewhere.
                Some(segment) if !Arc::ptr_eq(&segment.handle, &at.segment.handle) => {
                    at = self.enter(segment);
                }
                Some(segment) => {
                    at.scanner.extend_to(segment.readable_bytes);
                    at.segment = segment;
                }
                None => {}
            }
            let finished = match self.read_segment(&mut at, through, bytes_max, &mut group) {
                Ok(finished) => finished,
                // What had been read before the failure is returned first; the failure comes again.
                Err(_) if !group.is_empty() => return Ok(Some(group)),
                Err(error) => return Err(error),
            };
            if !group.is_empty() {
                self.at = Some(at);
                return Ok(Some(group));
            }
            if !finished {
                self.at = Some(at);
                return Ok(None);
            }
            let Some(next) = position.next else {
                self.at = Some(at);
                return Ok(None);
            };
            self.after = self.after.max(at.segment.last);
            if self.after < position.trimmed {
                let (after, first) = (self.after, position.trimmed);
                return Err(JournalError::Trimmed { after, first });
            }
            self.at = Some(self.enter(next));
        }
    }

    fn enter(&self, segment: Segment) -> At {
        let handle = Arc::clone(&segment.handle);
        let (start, end) = (HEADER_BYTES as u64, segment.readable_bytes);
        At {
            scanner: Scanner::new(handle, self.shared.key, start, end),
            segment,
        }
    }

    /// Adds frames of one segment to the group. Returns true at its end, false where the group is full or the next frame
    /// comes after `through`.
    fn read_segment(
        &mut self,
        at: &mut At,
        through: Sequence,
        bytes_max: usize,
        group: &mut FrameGroup,
    ) -> Result<bool, JournalError> {
        loop {
            match at.scanner.next().context("read", &at.segment.path)? {
                Scanned::End => return Ok(true),
                Scanned::Newer(version) => {
                    let path = at.segment.path.clone();
                    return Err(JournalError::NewerFormat {
                        path,
                        version: version.into(),
                    });
                }
                Scanned::Damage { offset, bytes, .. } => {
                    metrics::counter!("meetnet_journal_read_damage_total").increment(1);
                    let segment = at.segment.path.display();
                    tracing::error!(%segment, offset, bytes, "skipped damaged bytes of the journal");
                }
                Scanned::Frame { frame, .. } if frame.head || frame.sequence <= self.after => {}
                Scanned::Frame { encoded, frame, .. } => {
                    let full = !group.is_empty() && group.bytes.len() + encoded.len() > bytes_max;
                    if full || frame.sequence > through {
                        let bytes = encoded.len();
                        at.scanner.step_back(bytes);
                        return Ok(false);
                    }
                    if group.is_empty() {
                        group.bytes.reserve(bytes_max.min(GROUP_BYTES));
                    }
                    self.after = frame.sequence;
                    group.push(encoded, frame.sequence, frame.recorded_at);
                }
            }
        }
    }
}
