//! Which raw messages the rows of a broken file can have come from: found by source and by when they were recorded.

use std::collections::BTreeMap;

use meetnet_model::ids::Sequence;
use serde::{Deserialize, Serialize};

use super::QuarantinedFile;
use super::held::{SourceRange, TimeRange};
use crate::journal::checkpoint::Sealed;
use crate::journal::frame::FrameRef;
use crate::journal::opening::stored_identity;
use crate::journal::segment::ReadHeader;
use crate::journal::stored::{self, LocatedSegment};
use crate::journal::{JournalError, JournalPlace};

/// Raw messages that are still there for rows that are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawFrames {
    /// Sources of the rows.
    pub sources: SourceRange,
    /// When the rows were recorded; their messages were recorded then.
    pub wanted: TimeRange,
    /// Messages of these sources and this time that archive and journal hold. A replay of them gives the rows back that
    /// did not come from an import.
    pub frames: u64,
    /// Sequences of the first and the last of them.
    pub sequences: Option<(Sequence, Sequence)>,
    /// When the first and the last of them were recorded.
    pub found: Option<TimeRange>,
    /// Segments that hold them, by file name.
    pub files: Vec<String>,
    /// True: archive and journal do not reach back to the beginning of that time.
    pub begins_later: bool,
}

/// Fills in the raw messages of each file.
pub(super) fn find(
    place: &JournalPlace,
    files: &mut [QuarantinedFile],
) -> Result<(), JournalError> {
    for file in files.iter_mut() {
        let mut wanted: BTreeMap<&SourceRange, TimeRange> = BTreeMap::new();
        for part in &file.held {
            let span = wanted.entry(&part.sources).or_insert(part.recorded_at);
            *span = span.union(part.recorded_at);
        }
        let wanted = wanted.into_iter().map(|(sources, wanted)| RawFrames {
            sources: sources.clone(),
            wanted,
            frames: 0,
            sequences: None,
            found: None,
            files: Vec::new(),
            begins_later: true,
        });
        file.raw = wanted.collect();
    }
    let mut raw: Vec<&mut RawFrames> = files.iter_mut().flat_map(|file| &mut file.raw).collect();
    if raw.is_empty() {
        return Ok(());
    }
    let id = match stored_identity(place.files.as_ref(), &place.dir) {
        Ok(Sealed::Valid(identity)) => Some(identity.id),
        // The segments say it themselves.
        _ => None,
    };
    let segments = stored::locate(place, id)?;
    let mut key = None;
    for (index, located) in segments.iter().enumerate() {
        if let ReadHeader::Valid(header) = located.header {
            key = Some(header.identity.key());
        }
        if index == 0 {
            let begins_at = begins_at(located);
            for raw in &mut raw {
                raw.begins_later = begins_at.is_none_or(|begins_at| begins_at > raw.wanted.first);
            }
        }
        let may_hold = |raw: &RawFrames| {
            located.segment.archived.is_none_or(|name| {
                name.first_recorded_at <= raw.wanted.last
                    && raw.wanted.first <= name.last_recorded_at
            })
        };
        if let Some(key) = key
            && raw.iter().any(|raw| may_hold(raw))
            && let Some(open) = located.segment.open(place)?
        {
            open.visit_messages::<JournalError>(place, key, located.void_after, |frame| {
                raw.iter_mut().for_each(|raw| raw.count(frame, &open.name));
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// When the first frame of a segment was recorded, at the earliest.
fn begins_at(located: &LocatedSegment) -> Option<i64> {
    match (located.segment.archived, located.header) {
        (Some(name), _) => Some(name.first_recorded_at),
        (None, ReadHeader::Valid(header)) => Some(header.recorded_after.saturating_add(1)),
        (None, ReadHeader::Damaged | ReadHeader::Newer(_)) => None,
    }
}

impl RawFrames {
    fn count(&mut self, frame: &FrameRef<'_>, file: &str) {
        let (at, sequence) = (frame.recorded_at, frame.sequence);
        let is_wanted = (self.wanted.first..=self.wanted.last).contains(&at)
            && *self.sources.least <= *frame.source
            && *frame.source <= *self.sources.greatest;
        if !is_wanted {
            return;
        }
        self.frames += 1;
        let instant = TimeRange {
            first: at,
            last: at,
        };
        self.found = Some(self.found.map_or(instant, |found| found.union(instant)));
        let first = self.sequences.map_or(sequence, |(first, _)| first);
        self.sequences = Some((first, sequence));
        if self.files.last().is_none_or(|last| last != file) {
            self.files.push(file.to_owned());
        }
    }
}
