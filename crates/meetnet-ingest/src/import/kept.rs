//! What an import refuses, kept as messages of the journal: after a mapping was mended its rows are made as those of any
//! message that was refused.
//!
//! `piece with rejects ─▶ [parts, each decoded by itself] ─▶ known? ─▶ frames of the journal ─▶ rejects ─▶ replay`
//!
//! A frame is as little as says the same by itself: a row under its header, a line, an element of a list. Where the parts
//! are not refused for what the piece is refused for (a header that is wrong, values that lean on those before them), it is
//! the piece.
//!
//! **Once.** A frame is known by an HMAC of its bytes, which stands in its rejects. Whoever imports a file again, in whatever
//! company, after a crash or a year, finds there what is kept, replayed or dropped already. **Bounded.** One import keeps so
//! much; what is beyond is counted, and the next import of the same files keeps more of it. **Without secrets.** Credentials
//! and personal data that listeners and pollers take out before the journal are taken out here, too.

use std::borrow::Cow;
use std::collections::HashSet;

use meetnet_decode::{Decoded, Decoders, EnvelopeRef, Group};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::hex::Hex;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{SourceDeclaration, WireFormat};
use sha2::{Digest, Sha256};

use super::pieces::{Pieces, Split};
use crate::{http, poll};

/// Name of the meta pair of frames that an import refused.
pub(crate) const IMPORT_META: &str = "meetnet-import";
/// Name of the column of `rejects` that tells such frames apart.
pub const IMPORT_PIECE: &str = "import_piece";

/// Bytes of one frame at most. A list is cut into its elements to stay below.
const FRAME_BYTES_MAX: usize = 8 << 20;

/// How much of what is refused an import keeps.
#[derive(Clone, Debug)]
pub struct Keep {
    /// What is kept already, as the column [`IMPORT_PIECE`] names it.
    pub known: HashSet<String>,
    /// Frames of one import, at most.
    pub frames_max: u64,
    /// Bytes of them, at most.
    pub bytes_max: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            frames_max: 50_000,
            bytes_max: 64 << 20,
        }
    }
}

/// A frame to be journalled.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// The pseudonym of the station whose message it is, where it had a hardware id in it.
    pub(super) station: Option<String>,
}

/// What became of what was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptTally {
    /// Frames that were kept before.
    pub(super) known: u64,
    /// Rejects that nobody can replay.
    pub(super) left_out: u64,
}

/// How a document is decoded, and how it is kept.
#[derive(Clone, Copy)]
pub(super) struct Topics<'a> {
    /// By this topic it was decoded.
    pub(super) decoded: &'a str,
    /// By this one it can be decoded again.
    pub(super) kept: &'a str,
    /// Whether the same bytes by another topic are other rows.
    pub(super) tell: bool,
}

/// Decides what is kept.
pub(super) struct Keeper<'a> {
    decoders: &'a Decoders,
    source: &'a SourceDeclaration,
    key: &'a PrivacyKey,
    correct: bool,
    now: i64,
    known: HashSet<String>,
    frames_left: u64,
    bytes_left: u64,
    group: Group,
    pub(super) tally: KeptTally,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        keep: Keep,
        decoders: &'a Decoders,
        source: &'a SourceDeclaration,
        key: &'a PrivacyKey,
        correct: bool,
        now: i64,
    ) -> Self {
        Self {
            decoders,
            source,
            key,
            correct,
            now,
            known: keep.known,
            frames_left: keep.frames_max,
            bytes_left: keep.bytes_max,
            group: decoders.group(),
            tally: KeptTally::default(),
        }
    }

    /// Takes a piece of which `rejects` parts were refused; what is to be journalled is appended to `kept`. Returns its bytes.
    pub(super) fn take(
        &mut self,
        pieces: &Pieces<'_>,
        topics: Topics<'_>,
        rejects: u64,
        kept: &mut Vec<Kept>,
    ) -> usize {
        if self.frames_left == 0 || self.bytes_left == 0 {
            // Nobody has to look into what is not kept anyway.
            self.tally.left_out += rejects;
            return 0;
        }
        let whole = self.decode(pieces.piece(), topics);
        let parts = self.refused_parts(pieces, topics, &whole);
        let before = kept.len();
        match parts {
            Some(parts) => {
                for (part, rejects) in parts {
                    self.keep(part, topics, rejects, kept);
                }
            }
            // Secrets are found in single forms only.
            None if self.is_of_stations() => self.tally.left_out += reject_count(&whole),
            None => {
                let rejects = reject_count(&whole);
                self.keep(pieces.piece().to_vec(), topics, rejects, kept);
            }
        }
        kept[before..].iter().map(|kept| kept.payload.len()).sum()
    }

    /// Takes a part that was refused by itself, for so many reasons. Returns the bytes that were appended to `kept`.
    pub(super) fn take_part(
        &mut self,
        part: &[u8],
        topics: Topics<'_>,
        rejects: u64,
        kept: &mut Vec<Kept>,
    ) -> usize {
        let before = kept.len();
        self.keep(part.to_vec(), topics, rejects, kept);
        kept[before..].iter().map(|kept| kept.payload.len()).sum()
    }

    /// Returns the parts that are refused by themselves, each with the number of its rejects; none where only the piece as
    /// a whole says what it says.
    fn refused_parts(
        &mut self,
        pieces: &Pieces<'_>,
        topics: Topics<'_>,
        whole: &Decoded,
    ) -> Option<Vec<(Vec<u8>, u64)>> {
        let is_listed = whole.unlisted.is_empty();
        let is_about_all = match pieces.split() {
            Split::Table => !is_listed,
            Split::Lines => !is_listed && !self.is_of_stations(),
            Split::Json => !is_listed && pieces.piece().len() <= FRAME_BYTES_MAX,
        };
        if is_about_all {
            return None;
        }
        let mut refused = Vec::new();
        let mut reasons: Vec<RejectReason> = Vec::new();
        let (mut count, mut rows) = (0, 0);
        pieces.parts(self.source.format, &mut |part| {
            let alone = self.decode(part, topics);
            rows += observations(&alone);
            let rejects = reject_count(&alone);
            if rejects > 0 {
                count += rejects;
                reasons.extend(alone.rejects.iter().map(|reject| reject.reason));
                refused.push((part.to_vec(), rejects));
            }
        });
        // A header that is wrong is one reject of all rows, and one of each by itself.
        let of_whole = whole.rejects.iter().map(|reject| reject.reason);
        let is_same = if is_listed {
            of_whole.eq(reasons)
        } else {
            count == reject_count(whole)
        };
        // Where a part took others with it, such as a line that is not UTF-8, they are rows by themselves.
        let is_same = is_same && rows == observations(whole);
        is_same.then_some(refused)
    }

    fn is_of_stations(&self) -> bool {
        matches!(
            self.source.format,
            WireFormat::Ecowitt | WireFormat::Wunderground
        )
    }

    /// Takes out of a message what no journal holds; returns what is left, and the station's pseudonym. None where it cannot
    /// be told what is what.
    fn without_secrets(&self, payload: Vec<u8>) -> Option<(Vec<u8>, Option<String>)> {
        let format = self.source.format;
        if self.is_of_stations() {
            let form = std::str::from_utf8(&payload).ok()?;
            let (form, station) = http::without_secrets(format, form, self.key)?;
            return Some((form.into_bytes(), station));
        }
        let body = match poll::without_personal(format, &payload).ok()? {
            Cow::Borrowed(_) => None,
            Cow::Owned(body) => Some(body),
        };
        Some((body.unwrap_or(payload), None))
    }

    fn decode(&mut self, payload: &[u8], topics: Topics<'_>) -> Decoded {
        let envelope = EnvelopeRef {
            sequence: 1,
            source: self.source.id.as_str(),
            topic: topics.decoded,
            meta: &[],
            payload,
            received_at: self.now,
            truncated: false,
        };
        self.decoders.decode(0, &envelope, &mut self.group);
        self.group.take()
    }

    fn keep(&mut self, payload: Vec<u8>, topics: Topics<'_>, rejects: u64, kept: &mut Vec<Kept>) {
        let Some((payload, station)) = self.without_secrets(payload) else {
            self.tally.left_out += rejects;
            return;
        };
        let id = self.id_of(&payload, station.as_deref(), topics);
        if self.known.contains(&id) {
            self.tally.known += 1;
            return;
        }
        let bytes = payload.len() as u64;
        let is_too_much = self.frames_left == 0 || bytes > self.bytes_left;
        if is_too_much || payload.len() > FRAME_BYTES_MAX {
            self.tally.left_out += rejects;
            if is_too_much {
                // From here on nobody looks for parts that may be short enough.
                self.bytes_left = 0;
            }
            return;
        }
        self.frames_left -= 1;
        self.bytes_left -= bytes;
        self.known.insert(id.clone());
        kept.push(Kept {
            id,
            topic: topics.kept.to_owned(),
            payload,
            station,
        });
    }

    /// Returns what a frame is known by: an HMAC, for a row of a table is soon guessed.
    fn id_of(&self, payload: &[u8], station: Option<&str>, topics: Topics<'_>) -> String {
        let mut hash = Sha256::new();
        let topic = if topics.tell { topics.kept } else { "" };
        for part in [self.source.id.as_str(), topic, station.unwrap_or_default()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update([u8::from(self.correct)]);
        hash.update(payload);
        let digest = hash.finalize();
        let digits = self
            .key
            .pseudonym(IMPORT_PIECE, &Hex(&digest[..]).to_string());
        in_letters(&digits)
    }
}

/// Writes hexadecimal digits with the letters from `g` on: so many hexadecimal digits look like the key of a device to whoever
/// searches tables for personal data.
fn in_letters(digits: &str) -> String {
    let letter = |digit: char| char::from(b'g' + digit.to_digit(16).unwrap_or(0) as u8);
    digits.chars().map(letter).collect()
}

/// Returns the number of rows, but for those of places: of what stands where it stood nothing is told again.
fn observations(decoded: &Decoded) -> usize {
    let rows = decoded.rows.iter();
    rows.filter(|rows| rows.declaration.kind != DatasetKind::Places)
        .map(|rows| rows.envelopes.len())
        .sum()
}

fn reject_count(decoded: &Decoded) -> u64 {
    let unlisted = decoded.unlisted.iter().map(|(_, count)| u64::from(*count));
    decoded.rejects.len() as u64 + unlisted.sum::<u64>()
}

#[cfg(test)]
mod tests;
