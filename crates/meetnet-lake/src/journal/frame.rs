//! One journal frame as bytes: encoding, checking, reading. It does no I/O.
//!
//! ```text
//! prefix  magic "mnjf" | length of the body u32 | CRC-32C u32 over (key of the journal, length, body)
//! body    version u8 | kind u8 | flags u8 | 0 u8 | packet id u16 | meta pairs u16 | epoch u32 | decoder version u32
//!         | place in group u32 | source bytes u16 | topic bytes u16 | sequence u64 | recorded_at i64
//!         | only in a replay: received_at i64, original sequence u64
//!         | source | topic | per meta pair: key bytes u16, value bytes u32, key, value | payload: the rest
//! ```
//!
//! Integers are little-endian, times are µs since 1970 UTC, texts are UTF-8. Flags: 1 DUP, 2 retain, 4 truncated, 8 head
//! of a segment, 16 the clock was off (`clock`), 32 erased; others are ignored. An erased frame is a tick that keeps
//! place, time and source of the envelope whose content is gone. The checksum starts from a private random key, so that bytes which somebody sent as a payload are never taken for a frame when a damaged region is searched.
//! The place in the group (0 first) says which frames were synced together: recovery tells a torn write from damage by it.

use meetnet_model::ids::Sequence;

use super::error::AppendError;

/// Bytes before a body.
pub(crate) const PREFIX_BYTES: usize = 12;
/// Largest body, in bytes: more is taken for damage, and refused when appended.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

pub(crate) const MAGIC: [u8; 4] = *b"mnjf";
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 40;
const REPLAY_BYTES: usize = 16;

const FLAG_DUP: u8 = 1;
const FLAG_RETAIN: u8 = 2;
const FLAG_TRUNCATED: u8 = 4;
const FLAG_HEAD: u8 = 8;
/// Frames of versions that did not look for it are without it.
const FLAG_CLOCK_STEP: u8 = 16;
/// To versions that do not know it, the frame is any tick.
const FLAG_ERASED: u8 = 32;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A raw message as received.
    Envelope,
    /// The declarations in force from this sequence on (payload).
    Declarations,
    /// An earlier envelope, to be decoded again by the declarations now in force.
    Replay,
    /// Nothing arrived: only time went on.
    Tick,
    /// A request to erase (payload).
    Erase,
}

impl FrameKind {
    fn code(self) -> u8 {
        match self {
            Self::Envelope => 1,
            Self::Declarations => 2,
            Self::Replay => 3,
            Self::Tick => 4,
            Self::Erase => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Envelope,
            2 => Self::Declarations,
            3 => Self::Replay,
            4 => Self::Tick,
            5 => Self::Erase,
            _ => return None,
        })
    }
}

/// An envelope to be journalled.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewEnvelope<'a> {
    /// The configured source it came from.
    pub source: &'a str,
    /// MQTT topic or HTTP path.
    pub topic: &'a str,
    /// What decoding needs besides the body: headers, query string, poll window.
    pub meta: &'a [(&'a str, &'a str)],
    /// MQTT packet id; 0 where there is none.
    pub packet_id: u16,
    /// MQTT DUP flag.
    pub dup: bool,
    /// MQTT retain flag.
    pub retain: bool,
    /// The payload was longer than the limit; what is here is its start.
    pub truncated: bool,
    /// Connection epoch of the source.
    pub epoch: u32,
    /// The raw bytes.
    pub payload: &'a [u8],
}

/// One frame, borrowed from the group it was read in.
#[derive(Clone, Copy, Debug)]
pub struct FrameRef<'a> {
    /// What it is.
    pub kind: FrameKind,
    /// Its position in the journal.
    pub sequence: Sequence,
    /// When the journal took it, µs since 1970 UTC; strictly increasing.
    pub recorded_at: i64,
    /// When the message arrived, µs since 1970 UTC: `recorded_at`, or what a replay carries.
    pub received_at: i64,
    /// The clock was off when the message arrived, so `received_at` may be wrong.
    pub clock_step: bool,
    /// Where a replayed envelope stood first.
    pub original_sequence: Option<Sequence>,
    /// Version of the decoders that were in use when it was written.
    pub decoder_version: u32,
    /// The configured source; empty for frames that are no envelope.
    pub source: &'a str,
    /// MQTT topic or HTTP path.
    pub topic: &'a str,
    /// What decoding needs besides the body.
    pub meta: Meta<'a>,
    /// MQTT packet id; 0 where there is none.
    pub packet_id: u16,
    /// MQTT DUP flag.
    pub dup: bool,
    /// MQTT retain flag.
    pub retain: bool,
    /// The payload is only the start of what was sent.
    pub truncated: bool,
    /// Connection epoch of the source.
    pub epoch: u32,
    /// The raw bytes.
    pub payload: &'a [u8],
    /// A tick that was an envelope: its content has been erased, and nobody can decode it again.
    pub erased: bool,
    /// How many frames of its group stand before it.
    pub(crate) in_group: u32,
    /// A copy of the declarations in force at the head of a segment: readers never see it.
    pub(crate) head: bool,
}

/// The meta pairs of a frame, in the order they were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta<'a> {
    pairs: u16,
    bytes: &'a [u8],
}

impl<'a> Meta<'a> {
    /// Returns the pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut bytes = self.bytes;
        (0..self.pairs).map_while(move |_| take_pair(&mut bytes))
    }

    /// Returns the first value of `key`.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// Returns the number of pairs.
    pub fn len(&self) -> usize {
        usize::from(self.pairs)
    }

    /// Returns true where there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs == 0
    }
}

/// The start value of a journal's checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameKey(u32);

impl FrameKey {
    pub(crate) fn new(salt: &[u8; 16]) -> Self {
        Self(crc32c::crc32c(salt))
    }

    fn checksum(self, length: [u8; 4], body: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &length), body)
    }
}

/// What a replay keeps of the envelope that it repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// Where it stood first.
    pub sequence: Sequence,
    /// When it was received, µs since 1970 UTC.
    pub received_at: i64,
    /// Whether the clock was off then.
    pub clock_step: bool,
}

/// What stands in a frame besides the envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) kind: FrameKind,
    pub(crate) head: bool,
    pub(crate) sequence: Sequence,
    pub(crate) recorded_at: i64,
    /// The clock is off; in a replay, what the original says counts.
    pub(crate) clock_step: bool,
    /// What remains of an envelope whose content is gone.
    pub(crate) erased: bool,
    pub(crate) decoder_version: u32,
    /// How many frames of its group stand before it.
    pub(crate) in_group: u32,
    /// Only in a replay.
    pub(crate) original: Option<Original>,
}

/// Returns the bytes that the frame will take, prefix included, or the field that is too long.
pub(crate) fn encoded_bytes(
    kind: FrameKind,
    envelope: &NewEnvelope<'_>,
) -> Result<usize, AppendError> {
    let limit = |field: &'static str, bytes: usize, bytes_max: usize| {
        if bytes > bytes_max {
            return Err(AppendError::FieldTooLong {
                field,
                bytes,
                bytes_max,
            });
        }
        Ok(bytes)
    };
    let short = usize::from(u16::MAX);
    let mut bytes = PREFIX_BYTES + FIXED_BYTES;
    if kind == FrameKind::Replay {
        bytes += REPLAY_BYTES;
    }
    bytes += limit("source", envelope.source.len(), short)?;
    bytes += limit("topic", envelope.topic.len(), short)?;
    limit("number of meta pairs", envelope.meta.len(), short)?;
    for (key, value) in envelope.meta {
        bytes += 6 + limit("meta key", key.len(), short)?;
        bytes += limit("meta value", value.len(), FRAME_BYTES_MAX)?;
    }
    bytes += envelope.payload.len();
    limit("frame", bytes - PREFIX_BYTES, FRAME_BYTES_MAX)?;
    Ok(bytes)
}

/// Appends the frame to `buffer`. The caller has checked the lengths with [`encoded_bytes`].
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    key: FrameKey,
    stamp: &Stamp,
    envelope: &NewEnvelope<'_>,
) {
    let start = buffer.len();
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let clock_step = stamp
        .original
        .map_or(stamp.clock_step, |original| original.clock_step);
    let flags = flag(envelope.dup, FLAG_DUP)
        | flag(envelope.retain, FLAG_RETAIN)
        | flag(envelope.truncated, FLAG_TRUNCATED)
        | flag(stamp.head, FLAG_HEAD)
        | flag(clock_step, FLAG_CLOCK_STEP)
        | flag(stamp.erased, FLAG_ERASED);
    // One fixed block instead of a dozen small writes: this runs under the append lock.
    let mut fixed = [0_u8; PREFIX_BYTES + FIXED_BYTES];
    fixed[..4].copy_from_slice(&MAGIC);
    let body = &mut fixed[PREFIX_BYTES..];
    body[0] = VERSION;
    body[1] = stamp.kind.code();
    body[2] = flags;
    body[4..6].copy_from_slice(&envelope.packet_id.to_le_bytes());
    body[6..8].copy_from_slice(&(envelope.meta.len() as u16).to_le_bytes());
    body[8..12].copy_from_slice(&envelope.epoch.to_le_bytes());
    body[12..16].copy_from_slice(&stamp.decoder_version.to_le_bytes());
    body[16..20].copy_from_slice(&stamp.in_group.to_le_bytes());
    body[20..22].copy_from_slice(&(envelope.source.len() as u16).to_le_bytes());
    body[22..24].copy_from_slice(&(envelope.topic.len() as u16).to_le_bytes());
    body[24..32].copy_from_slice(&stamp.sequence.0.to_le_bytes());
    body[32..40].copy_from_slice(&stamp.recorded_at.to_le_bytes());
    buffer.extend_from_slice(&fixed);
    if let Some(original) = stamp.original {
        buffer.extend_from_slice(&original.received_at.to_le_bytes());
        buffer.extend_from_slice(&original.sequence.0.to_le_bytes());
    }
    buffer.extend_from_slice(envelope.source.as_bytes());
    buffer.extend_from_slice(envelope.topic.as_bytes());
    for (name, value) in envelope.meta {
        buffer.extend_from_slice(&(name.len() as u16).to_le_bytes());
        buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
        buffer.extend_from_slice(name.as_bytes());
        buffer.extend_from_slice(value.as_bytes());
    }
    buffer.extend_from_slice(envelope.payload);
    let length = ((buffer.len() - start - PREFIX_BYTES) as u32).to_le_bytes();
    let checksum = key.checksum(length, &buffer[start + PREFIX_BYTES..]);
    buffer[start + 4..start + 8].copy_from_slice(&length);
    buffer[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
}

/// Appends what remains of an envelope when its content is erased: its place in the journal, its time and its source.
pub(crate) fn encode_erased(buffer: &mut Vec<u8>, key: FrameKey, frame: &FrameRef<'_>) {
    let stamp = Stamp {
        kind: FrameKind::Tick,
        head: false,
        sequence: frame.sequence,
        recorded_at: frame.recorded_at,
        clock_step: frame.clock_step,
        erased: true,
        decoder_version: frame.decoder_version,
        in_group: frame.in_group,
        original: None,
    };
    let envelope = NewEnvelope {
        source: frame.source,
        ..NewEnvelope::default()
    };
    encode(buffer, key, &stamp, &envelope);
}

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// A valid frame of so many bytes, prefix included.
    Frame(usize),
    /// Perhaps a frame: so many bytes are needed to tell.
    Incomplete(usize),
    /// No frame.
    Bad,
    /// An intact frame that a newer version wrote.
    Newer(u8),
}

/// Checks the frame at the start of `bytes`.
pub(crate) fn check(bytes: &[u8], key: FrameKey) -> Checked {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        // A cut prefix is worth more bytes only while it looks like one.
        let seen = bytes.len().min(MAGIC.len());
        return if bytes[..seen] == MAGIC[..seen] {
            Checked::Incomplete(PREFIX_BYTES)
        } else {
            Checked::Bad
        };
    };
    let [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3] = *prefix;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if [m0, m1, m2, m3] != MAGIC || !(FIXED_BYTES..=FRAME_BYTES_MAX).contains(&length) {
        return Checked::Bad;
    }
    let Some(body) = rest.get(..length) else {
        return Checked::Incomplete(PREFIX_BYTES + length);
    };
    if key.checksum([l0, l1, l2, l3], body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Checked::Bad;
    }
    // The checksum holds, so somebody wrote this on purpose: skipping it as damage would lose it.
    if body[0] > VERSION {
        return Checked::Newer(body[0]);
    }
    if parse_body(body).is_none() {
        Checked::Bad
    } else {
        Checked::Frame(PREFIX_BYTES + length)
    }
}

/// Reads a body whose checksum has been verified; none where the lengths or texts in it are wrong.
pub(crate) fn parse_body(body: &[u8]) -> Option<FrameRef<'_>> {
    let mut rest = body;
    let [version, code, flags, _] = take(&mut rest)?;
    let kind = FrameKind::from_code(code)?;
    if version != VERSION {
        return None;
    }
    let packet_id = u16::from_le_bytes(take(&mut rest)?);
    let pairs = u16::from_le_bytes(take(&mut rest)?);
    let epoch = u32::from_le_bytes(take(&mut rest)?);
    let decoder_version = u32::from_le_bytes(take(&mut rest)?);
    let in_group = u32::from_le_bytes(take(&mut rest)?);
    let source_bytes = u16::from_le_bytes(take(&mut rest)?);
    let topic_bytes = u16::from_le_bytes(take(&mut rest)?);
    let sequence = Sequence(u64::from_le_bytes(take(&mut rest)?));
    let recorded_at = i64::from_le_bytes(take(&mut rest)?);
    let (received_at, original_sequence) = if kind == FrameKind::Replay {
        let received_at = i64::from_le_bytes(take(&mut rest)?);
        (
            received_at,
            Some(Sequence(u64::from_le_bytes(take(&mut rest)?))),
        )
    } else {
        (recorded_at, None)
    };
    let source = take_text(&mut rest, usize::from(source_bytes))?;
    let topic = take_text(&mut rest, usize::from(topic_bytes))?;
    let meta_start = rest;
    for _ in 0..pairs {
        take_pair(&mut rest)?;
    }
    let meta = Meta {
        pairs,
        bytes: &meta_start[..meta_start.len() - rest.len()],
    };
    Some(FrameRef {
        kind,
        sequence,
        recorded_at,
        received_at,
        clock_step: flags & FLAG_CLOCK_STEP != 0,
        original_sequence,
        decoder_version,
        source,
        topic,
        meta,
        packet_id,
        dup: flags & FLAG_DUP != 0,
        retain: flags & FLAG_RETAIN != 0,
        truncated: flags & FLAG_TRUNCATED != 0,
        epoch,
        payload: rest,
        erased: flags & FLAG_ERASED != 0,
        in_group,
        head: flags & FLAG_HEAD != 0,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn take_text<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a str> {
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

fn take_pair<'a>(bytes: &mut &'a [u8]) -> Option<(&'a str, &'a str)> {
    let key_bytes = usize::from(u16::from_le_bytes(take(bytes)?));
    let value_bytes = u32::from_le_bytes(take(bytes)?) as usize;
    Some((take_text(bytes, key_bytes)?, take_text(bytes, value_bytes)?))
}

/// Entry for fuzzing: reads `bytes` as a frame and as a body whose checksum is taken for granted. Whatever is accepted
/// must encode to the same bytes again.
pub fn fuzz_frame(bytes: &[u8]) {
    let key = FrameKey::new(&[7; 16]);
    let _ = check(bytes, key);
    let Some(frame) = parse_body(bytes) else {
        return;
    };
    let pairs: Vec<(&str, &str)> = frame.meta.iter().collect();
    assert_eq!(pairs.len(), frame.meta.len());
    let envelope = NewEnvelope {
        source: frame.source,
        topic: frame.topic,
        meta: &pairs,
        packet_id: frame.packet_id,
        dup: frame.dup,
        retain: frame.retain,
        truncated: frame.truncated,
        epoch: frame.epoch,
        payload: frame.payload,
    };
    let stamp = Stamp {
        kind: frame.kind,
        head: frame.head,
        sequence: frame.sequence,
        recorded_at: frame.recorded_at,
        clock_step: frame.clock_step,
        erased: frame.erased,
        decoder_version: frame.decoder_version,
        in_group: frame.in_group,
        original: frame.original_sequence.map(|sequence| Original {
            sequence,
            received_at: frame.received_at,
            clock_step: frame.clock_step,
        }),
    };
    if encoded_bytes(frame.kind, &envelope).is_err() {
        return;
    }
    let mut again = Vec::new();
    encode(&mut again, key, &stamp, &envelope);
    assert_eq!(check(&again, key), Checked::Frame(again.len()));
    // Reserved bits and the reserved byte are not carried over; everything else is.
    assert_eq!(again[PREFIX_BYTES + 4..], bytes[4..]);
}

#[cfg(test)]
mod tests;
