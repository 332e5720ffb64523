//! One segment: its name, its header, and what the journal remembers of it while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use meetnet_model::ids::Sequence;
use uuid::Uuid;

use super::frame::{self, FrameKey, FrameKind, NewEnvelope, Stamp};
use crate::files::FileHandle;

/// Ending of segment names.
pub(crate) const EXTENSION: &str = ".journal";
/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 88;

const MAGIC: [u8; 8] = *b"meetnetJ";
const VERSION: u32 = 1;

/// Which journal this is. The salt keys the checksums of frames and never leaves the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    pub(crate) salt: [u8; 16],
}

impl Identity {
    pub(crate) fn key(&self) -> FrameKey {
        FrameKey::new(&self.salt)
    }
}

/// The name of a segment: `<number>-<first sequence>.journal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// Order of creation; a later segment overrides the tails of earlier ones.
    pub(crate) number: u64,
    /// Sequence of its first frame.
    pub(crate) first: Sequence,
}

impl SegmentName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (number, first) = name.strip_suffix(EXTENSION)?.split_once('-')?;
        let name = Self {
            number: number.parse().ok()?,
            first: Sequence(first.parse().ok()?),
        };
        Some(name)
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:010}-{:020}{EXTENSION}", self.number, self.first.0)
    }
}

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    pub(crate) number: u64,
    /// The journal ended here when the segment was started: frames of earlier segments after it are void.
    pub(crate) follows: Sequence,
    /// Sequence of its first frame: after `follows`, with a gap where the floor was raised.
    pub(crate) first: Sequence,
    /// Every frame in it has a later `recorded_at`.
    pub(crate) recorded_after: i64,
}

/// What the first bytes of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadHeader {
    Valid(Header),
    Damaged,
    Newer(u32),
}

impl Header {
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        buffer.extend_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        buffer.extend_from_slice(self.identity.id.as_bytes());
        buffer.extend_from_slice(&self.identity.salt);
        buffer.extend_from_slice(&self.number.to_le_bytes());
        buffer.extend_from_slice(&self.follows.0.to_le_bytes());
        buffer.extend_from_slice(&self.first.0.to_le_bytes());
        buffer.extend_from_slice(&self.recorded_after.to_le_bytes());
        buffer.extend_from_slice(&[0; 4]);
        let checksum = crc32c::crc32c(&buffer[start..]);
        buffer.extend_from_slice(&checksum.to_le_bytes());
        debug_assert_eq!(buffer.len() - start, HEADER_BYTES);
    }

    pub(crate) fn decode(bytes: &[u8]) -> ReadHeader {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return ReadHeader::Damaged;
        };
        let checksum = u32::from_le_bytes(array(header, 84));
        if header[..8] != MAGIC || crc32c::crc32c(&header[..84]) != checksum {
            return ReadHeader::Damaged;
        }
        let version = u32::from_le_bytes(array(header, 8));
        if version > VERSION {
            return ReadHeader::Newer(version);
        }
        ReadHeader::Valid(Self {
            identity: Identity {
                id: Uuid::from_bytes(array(header, 16)),
                salt: array(header, 32),
            },
            number: u64::from_le_bytes(array(header, 48)),
            follows: Sequence(u64::from_le_bytes(array(header, 56))),
            first: Sequence(u64::from_le_bytes(array(header, 64))),
            recorded_after: i64::from_le_bytes(array(header, 72)),
        })
    }
}

fn array<const N: usize>(bytes: &[u8; HEADER_BYTES], start: usize) -> [u8; N] {
    std::array::from_fn(|at| bytes[start + at])
}

/// The declarations in force at some point, and the sequence from which they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) sequence: Sequence,
    pub(crate) recorded_at: i64,
    pub(crate) decoder_version: u32,
    /// Empty: nothing has been declared yet.
    pub(crate) declarations: Arc<[u8]>,
}

impl InForce {
    /// Appends the frame that says so: the one at the head of a segment, or one that comes into force by itself.
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>, key: FrameKey, head: bool) {
        let stamp = Stamp {
            kind: FrameKind::Declarations,
            head,
            sequence: self.sequence,
            recorded_at: self.recorded_at,
            clock_step: false,
            erased: false,
            decoder_version: self.decoder_version,
            in_group: 0,
            original: None,
        };
        let envelope = NewEnvelope {
            payload: &self.declarations,
            ..NewEnvelope::default()
        };
        frame::encode(buffer, key, &stamp, &envelope);
    }

    /// Takes what a declarations frame says.
    pub(crate) fn apply(&mut self, frame: &frame::FrameRef<'_>) {
        debug_assert_eq!(frame.kind, FrameKind::Declarations);
        *self = Self {
            sequence: frame.sequence,
            recorded_at: frame.recorded_at,
            decoder_version: frame.decoder_version,
            declarations: Arc::from(frame.payload),
        };
    }
}

/// Appends header and head frame: everything of a segment before its first own frame.
pub(crate) fn encode_start(buffer: &mut Vec<u8>, header: &Header, in_force: &InForce) {
    header.encode(buffer);
    in_force.encode(buffer, header.identity.key(), true);
}

/// A segment of the running journal.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) path: PathBuf,
    pub(crate) handle: Arc<dyn FileHandle>,
    /// Frames after this one and through `last` stand in this segment.
    pub(crate) follows: Sequence,
    /// Last durable frame in force; `follows` where there is none.
    pub(crate) last: Sequence,
    /// `recorded_at` of its first frame, µs; meaningless where there is none.
    pub(crate) first_recorded_at: i64,
    /// `recorded_at` of `last`, µs.
    pub(crate) last_recorded_at: i64,
    /// Readers go no further: where the last durable frame in force ends.
    pub(crate) readable_bytes: u64,
    /// What the file takes on the disk.
    pub(crate) stored_bytes: u64,
}

impl Segment {
    pub(crate) fn is_empty(&self) -> bool {
        self.last == self.follows
    }

    /// Counts a durable frame.
    pub(crate) fn extend(&mut self, sequence: Sequence, recorded_at: i64) {
        if self.is_empty() {
            self.first_recorded_at = recorded_at;
        }
        self.last = sequence;
        self.last_recorded_at = recorded_at;
    }
}

#[cfg(test)]
mod tests;
