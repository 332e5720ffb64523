//! Raw messages read again by their sequence, from the journal and its raw archive.
//!
//! `folders, sequences wanted -> [located segments that may hold one] -> frames, in order`
//!
//! For tools beside a running daemon, so by the same rules as `stored`: what is trimmed or compressed meanwhile is looked
//! for under its next name, and a message whose segment was deleted is simply not found.

use std::ops::RangeInclusive;

use meetnet_model::ids::Sequence;

use super::JournalError;
use super::checkpoint::Sealed;
use super::frame::FrameRef;
use super::opening::stored_identity;
use super::segment::ReadHeader;
use super::stored::{self, JournalPlace, LocatedSegment};

/// Sequences that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// Ascending, none touching the next.
    ranges: Vec<RangeInclusive<u64>>,
}

impl Sequences {
    /// Returns true where no sequence is wanted.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn contains(&self, sequence: Sequence) -> bool {
        let at = self
            .ranges
            .partition_point(|range| *range.end() < sequence.0);
        self.ranges
            .get(at)
            .is_some_and(|range| range.contains(&sequence.0))
    }

    /// Whether any of `first..=last` is wanted.
    fn touch(&self, first: Sequence, last: Sequence) -> bool {
        let at = self.ranges.partition_point(|range| *range.end() < first.0);
        self.ranges
            .get(at)
            .is_some_and(|range| *range.start() <= last.0)
    }
}

impl FromIterator<RangeInclusive<Sequence>> for Sequences {
    fn from_iter<T: IntoIterator<Item = RangeInclusive<Sequence>>>(ranges: T) -> Self {
        let mut sorted: Vec<_> = ranges
            .into_iter()
            .map(|range| range.start().0..=range.end().0)
            .filter(|range| !range.is_empty())
            .collect();
        sorted.sort_by_key(|range| *range.start());
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        for range in sorted {
            match ranges.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => ranges.push(range),
            }
        }
        Self { ranges }
    }
}

impl FromIterator<Sequence> for Sequences {
    fn from_iter<T: IntoIterator<Item = Sequence>>(sequences: T) -> Self {
        sequences
            .into_iter()
            .map(|sequence| sequence..=sequence)
            .collect()
    }
}

/// Gives `visit` the wanted messages that journal and raw archive still hold, envelopes and replays, in ascending order
/// of their sequence, each once; it says how to go on.
///
/// # Errors
/// Where the folders cannot be read, and what `visit` returns.
pub fn visit_messages<E: From<JournalError>>(
    place: &JournalPlace,
    wanted: &Sequences,
    mut visit: impl FnMut(&FrameRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if wanted.is_empty() {
        return Ok(());
    }
    let id = match stored_identity(place.files.as_ref(), &place.dir)? {
        Sealed::Valid(identity) => Some(identity.id),
        // The segments say it themselves.
        _ => None,
    };
    let segments = stored::locate(place, id)?;
    let mut key = None;
    for (index, located) in segments.iter().enumerate() {
        if let ReadHeader::Valid(header) = located.header {
            key = Some(header.identity.key());
        }
        let next = segments.get(index + 1);
        if !wanted.touch(located.segment.first, last_of(located, next)) {
            continue;
        }
        let Some(key) = key else { continue };
        let Some(open) = located.segment.open(place)? else {
            continue;
        };
        open.visit_messages::<E>(place, key, located.void_after, |frame| {
            if wanted.contains(frame.sequence) {
                visit(frame)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The last sequence that a segment can hold.
fn last_of(located: &LocatedSegment, next: Option<&LocatedSegment>) -> Sequence {
    if let Some(name) = located.segment.archived {
        return name.last;
    }
    let before_next = next.map(|next| Sequence(next.segment.first.0.saturating_sub(1)));
    before_next
        .unwrap_or(Sequence(u64::MAX))
        .min(located.void_after)
}

#[cfg(test)]
mod tests;
