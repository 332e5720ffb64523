//! Rows of earlier messages that say again what is stored: where rows stand to the tables, and the frames that have a
//! confirmation kept (see [`crate::replay`]).

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use meetnet_lake::journal::{FrameRef, Meta};
use meetnet_lake::{LakeError, Lineage, Standing, row_keys};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, Sequence, SourceId};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::Reject;
use meetnet_model::rows::DatasetRows;

use super::group::GroupDecoder;
use super::run::Runner;
use super::{PipelineCommands, PipelineError};
use crate::import::select_rows;
use crate::replay::CONFIRMS_META;

/// Bytes of messages that are decoded and compared together; one more message may come on top.
const GROUP_BYTES_MAX: usize = 1 << 20;
/// Ranges of rows of one dataset that a frame names; where there are more, one range spans all of them.
const RANGES_MAX: usize = 1_000;

/// The rows of a message that its replay confirms, as the frame's meta says: by dataset, the positions among the rows that the
/// message has there. That other rows than those are meant, where the message is decoded otherwise in the meantime, does no
/// harm: the message says them, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfirmedRows {
    of_dataset: Vec<(DatasetId, Vec<RangeInclusive<u32>>)>,
}

impl ConfirmedRows {
    /// Reads them; none where the frame confirms nothing.
    pub(super) fn read(meta: Meta<'_>) -> Option<Self> {
        Some(Self::from_text(meta.get(CONFIRMS_META)?))
    }

    fn from_text(text: &str) -> Self {
        let range = |range: &str| -> Option<RangeInclusive<u32>> {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let of_dataset = text.split(';').filter_map(|of_dataset| {
            let (id, ranges) = of_dataset.split_once(':')?;
            Some((
                DatasetId::new(id),
                ranges.split(',').filter_map(range).collect(),
            ))
        });
        Self {
            of_dataset: of_dataset.collect(),
        }
    }

    /// Writes them as [`ConfirmedRows::read`] reads them.
    pub(crate) fn to_text(&self) -> String {
        let of_dataset = self.of_dataset.iter().map(|(id, ranges)| {
            let ranges: Vec<String> = match ranges.as_slice() {
                [first, .., last] if ranges.len() > RANGES_MAX => {
                    vec![format!("{}-{}", first.start(), last.end())]
                }
                ranges => {
                    let range =
                        |range: &RangeInclusive<u32>| format!("{}-{}", range.start(), range.end());
                    ranges.iter().map(range).collect()
                }
            };
            format!("{id}:{}", ranges.join(","))
        });
        of_dataset.collect::<Vec<String>>().join(";")
    }

    /// Adds rows of a dataset, in ascending order.
    pub(crate) fn add(&mut self, dataset: &DatasetId, rows: impl IntoIterator<Item = u32>) {
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for row in rows {
            match ranges.last_mut() {
                Some(last) if *last.end() + 1 == row => *last = *last.start()..=row,
                _ => ranges.push(row..=row),
            }
        }
        self.of_dataset.push((dataset.clone(), ranges));
    }

    fn holds(&self, dataset: &DatasetId, row: u32) -> bool {
        let mut of_dataset = self.of_dataset.iter();
        of_dataset
            .any(|(id, ranges)| id == dataset && ranges.iter().any(|range| range.contains(&row)))
    }
}

/// An envelope of a group that is there for what it confirms.
#[derive(Debug)]
pub(super) struct Confirming {
    /// Its position in the group.
    pub(super) envelope: u32,
    pub(super) rows: ConfirmedRows,
}

/// Leaves of envelopes that confirm something those rows alone, and no reject: what else they say has been told.
pub(super) fn settle_confirming(
    confirming: &[Confirming],
    rows: &mut Vec<DatasetRows>,
    rejects: &mut Vec<Reject>,
    unlisted: &mut Vec<(u32, u32)>,
) {
    let of = |envelope: u32| {
        let at = confirming.binary_search_by_key(&envelope, |confirming| confirming.envelope);
        at.ok().map(|at| &confirming[at].rows)
    };
    for rows in rows.iter_mut() {
        let id = &rows.declaration.id;
        let by_row = rows.envelopes.iter().zip(positions(&rows.envelopes));
        let is_kept: Vec<bool> = by_row
            .map(|(envelope, position)| {
                of(*envelope).is_none_or(|confirmed| confirmed.holds(id, position))
            })
            .collect();
        if is_kept.contains(&false) {
            *rows = select_rows(rows, is_kept);
        }
    }
    rows.retain(|rows| !rows.envelopes.is_empty());
    rejects.retain(|reject| of(reject.envelope).is_none());
    unlisted.retain(|(envelope, _)| of(*envelope).is_none());
}

/// Returns per row its position among those of its envelope; rows of one envelope follow each other.
fn positions(envelopes: &[u32]) -> Vec<u32> {
    let mut positions: Vec<u32> = Vec::with_capacity(envelopes.len());
    for (row, envelope) in envelopes.iter().enumerate() {
        let position = match row.checked_sub(1) {
            Some(before) if envelopes[before] == *envelope => positions[before] + 1,
            _ => 0,
        };
        positions.push(position);
    }
    positions
}

impl Runner {
    /// Returns where rows stand to what is stored, by dataset, behind everything that is durable now. The outer error is the
    /// pipeline's; the inner one says why it cannot be told.
    pub(super) fn standing(
        &mut self,
        rows: &[DatasetRows],
        lineage: &[Lineage],
    ) -> Result<Result<Vec<Vec<Standing>>, LakeError>, PipelineError> {
        if let Err(error) = self.drain(self.journal.durable().0)? {
            return Ok(Err(error));
        }
        let mut standing = Vec::with_capacity(rows.len());
        for rows in rows {
            let id = &rows.declaration.id;
            if self.waiting.holds(id) {
                let message = format!(
                    "`{id}` cannot be compared: rows wait for a file that cannot be read; the log names it"
                );
                return Ok(Err(LakeError::Usage(message)));
            }
            self.lake.set_precedences(id, &self.decoder.precedences);
            match self.lake.standing(rows, lineage) {
                Ok(of_rows) => standing.push(of_rows),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(standing))
    }
}

/// Something by dataset and key.
pub(crate) type ByKey<T> = HashMap<DatasetId, HashMap<Box<[u8]>, T>>;

/// A row that confirms what is stored, or would replace it.
#[derive(Debug)]
pub(crate) struct MetRow {
    pub(crate) dataset: DatasetId,
    pub(crate) key: Box<[u8]>,
    /// Frame of its message.
    pub(crate) sequence: Sequence,
    /// When that was received, µs.
    pub(crate) received_at: i64,
    pub(crate) source: SourceId,
    /// Position among the rows of the message in the dataset.
    pub(crate) row: u32,
    pub(crate) standing: Standing,
}

/// Messages that are decoded by the declarations now in force, as a replay decodes them, and compared with the tables.
pub(crate) struct MessageComparer<'a> {
    decoder: GroupDecoder,
    pipeline: &'a PipelineCommands,
    bytes: usize,
}

impl<'a> MessageComparer<'a> {
    pub(crate) fn new(
        declarations: &Arc<Declarations>,
        key: &PrivacyKey,
        pipeline: &'a PipelineCommands,
    ) -> Result<Self, PipelineError> {
        let mut decoder =
            GroupDecoder::new(declarations, key).map_err(|source| PipelineError::Setup {
                sequence: Sequence::ZERO,
                source,
            })?;
        decoder.only_compares = true;
        Ok(Self {
            decoder,
            pipeline,
            bytes: 0,
        })
    }

    /// Decodes a message; true where what has been decoded is to be compared before the next one.
    pub(crate) fn decode(&mut self, frame: &FrameRef<'_>) -> bool {
        self.decoder.decode(frame);
        self.bytes += frame.payload.len() + frame.topic.len() + size_of::<Lineage>();
        self.bytes >= GROUP_BYTES_MAX
    }

    /// Compares what has been decoded, where `keys` are given only rows with those keys, and returns the rows that do not
    /// stand beside what is stored.
    pub(crate) fn compare<T>(
        &mut self,
        keys: Option<&ByKey<T>>,
    ) -> Result<Vec<MetRow>, PipelineError> {
        self.bytes = 0;
        let taken = self.decoder.take();
        let mut compared: Vec<DatasetRows> = Vec::new();
        // By dataset and row: its key, and its position among those of its message.
        let mut names: Vec<Vec<(Box<[u8]>, u32)>> = Vec::new();
        for rows in taken.rows {
            let is_compared = !matches!(
                rows.declaration.kind,
                DatasetKind::Places | DatasetKind::Private
            );
            let wanted = keys.map(|keys| keys.get(&rows.declaration.id));
            if !is_compared || matches!(wanted, Some(None)) {
                continue;
            }
            let of_rows = row_keys(&rows)?;
            let key = |row: usize| of_rows.row(row).data();
            let is_wanted = |row: usize| match wanted {
                Some(Some(wanted)) => wanted.contains_key(key(row)),
                _ => true,
            };
            let is_kept: Vec<bool> = (0..rows.envelopes.len()).map(is_wanted).collect();
            let by_row = positions(&rows.envelopes).into_iter().enumerate();
            let kept: Vec<(Box<[u8]>, u32)> = by_row
                .filter(|(row, _)| is_kept[*row])
                .map(|(row, position)| (key(row).into(), position))
                .collect();
            if kept.is_empty() {
                continue;
            }
            names.push(kept);
            compared.push(select_rows(&rows, is_kept));
        }
        if compared.is_empty() {
            return Ok(Vec::new());
        }
        let origins = compared.iter().map(|rows| {
            let id = rows.declaration.id.clone();
            (id, rows.envelopes.clone())
        });
        let origins: Vec<(DatasetId, Vec<u32>)> = origins.collect();
        let lineage = Arc::clone(&taken.lineage);
        let standing = self.pipeline.standing(compared, Arc::clone(&lineage))?;
        let mut met = Vec::new();
        for (((dataset, envelopes), names), standing) in
            origins.into_iter().zip(names).zip(standing)
        {
            for ((envelope, (key, row)), standing) in envelopes.into_iter().zip(names).zip(standing)
            {
                if standing == Standing::Beside {
                    continue;
                }
                let of_message = &lineage[envelope as usize];
                met.push(MetRow {
                    dataset: dataset.clone(),
                    key,
                    sequence: of_message.sequence,
                    received_at: of_message.received_at,
                    source: of_message.source.clone(),
                    row,
                    standing,
                });
            }
        }
        Ok(met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmed_rows_are_read_as_they_are_written() {
        let check = |of_dataset: &[(&str, &[u32])], expect: &str| {
            let mut confirmed = ConfirmedRows::default();
            for (id, rows) in of_dataset {
                confirmed.add(&DatasetId::new(*id), rows.iter().copied());
            }
            assert_eq!(confirmed.to_text(), expect);
            let read = ConfirmedRows::from_text(expect);
            for (id, rows) in of_dataset {
                let id = DatasetId::new(*id);
                let held: Vec<u32> = (0..4_000).filter(|row| read.holds(&id, *row)).collect();
                assert_eq!(held, *rows, "{expect}");
            }
            assert!(!read.holds(&DatasetId::new("noise"), 3));
        };
        check(&[("heat", &[3])], "heat:3-3");
        check(
            &[("air", &[0, 1, 2, 7]), ("heat", &[3, 4])],
            "air:0-2,7-7;heat:3-4",
        );
        // What somebody else wrote is no reason to fail.
        assert_eq!(ConfirmedRows::from_text(""), ConfirmedRows::default());
        let odd = ConfirmedRows::from_text("heat:x,4-,5-6;air");
        let held: Vec<u32> = (0..10)
            .filter(|row| odd.holds(&DatasetId::new("heat"), *row))
            .collect();
        assert_eq!(held, [5, 6]);
        assert_eq!(ConfirmedRows::read(Meta::default()), None);
    }

    #[test]
    fn a_frame_names_no_more_ranges_than_it_may() {
        let mut confirmed = ConfirmedRows::default();
        let every_other = (0..=RANGES_MAX as u32).map(|n| 2 * n);
        confirmed.add(&DatasetId::new("heat"), every_other);
        assert_eq!(confirmed.to_text(), format!("heat:0-{}", 2 * RANGES_MAX));
    }

    #[test]
    fn rows_are_counted_by_their_message() {
        assert_eq!(positions(&[0, 0, 3, 4, 4, 4]), [0, 1, 0, 0, 1, 2]);
        assert!(positions(&[]).is_empty());
    }
}
