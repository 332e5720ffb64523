//! Frames of what imports refused, when they are decoded: at once, when they become rejects, and again when those are
//! replayed.
//!
//! They are decoded as their import decoded them, for which no time is too old. What becomes a row is as old as an imported
//! one: as its own time, so that a row that came live wins, or with `--correct` as the import. A row without a time of its own
//! is none: when the file was read is not when something was observed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_decode::{Decoders, TopicPattern};
use meetnet_lake::Lineage;
use meetnet_lake::journal::Meta;
use meetnet_model::dataset::DatasetKind;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::{Reject, RejectReason};
use meetnet_model::rows::DatasetRows;
use tracing::error;

use crate::import::{IMPORT_META, decoders_of_any_age, path_patterns, select_rows};

/// How the meta pair begins where rows are as old as they say themselves.
const OWN_TIME: &str = "own-time ";
/// How it begins where they are as old as the import.
const CORRECTS: &str = "corrects ";

/// A part of a file that an import refused, as the meta of its frame names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportedPiece {
    /// The same for the same bytes of the same source.
    pub(crate) id: String,
    /// Its rows are as new as the import.
    pub(crate) corrects: bool,
}

impl ImportedPiece {
    /// Reads it; none where the frame is of no import.
    pub(crate) fn read(meta: Meta<'_>) -> Option<Self> {
        let text = meta.get(IMPORT_META)?;
        let (corrects, id) = match text.strip_prefix(OWN_TIME) {
            Some(id) => (false, id),
            None => (true, text.strip_prefix(CORRECTS)?),
        };
        Some(Self {
            id: id.to_owned(),
            corrects,
        })
    }

    /// Writes it as [`ImportedPiece::read`] reads it.
    pub(crate) fn to_text(&self) -> String {
        let begin = if self.corrects { CORRECTS } else { OWN_TIME };
        format!("{begin}{}", self.id)
    }
}

/// An envelope of a group that an import refused.
#[derive(Debug)]
pub(super) struct Imported {
    /// Its position in the group.
    pub(super) envelope: u32,
    pub(super) piece: ImportedPiece,
}

/// The decoders of what imports refused.
#[derive(Debug)]
pub(super) struct ImportDecoders {
    decoders: Decoders,
    /// By source of files: what its paths end in.
    paths: HashMap<Box<str>, Vec<TopicPattern>>,
}

impl ImportDecoders {
    /// Builds them for declarations that decoders have been built for.
    pub(super) fn new(declarations: &Arc<Declarations>, key: &PrivacyKey) -> Option<Self> {
        let decoders = match decoders_of_any_age(declarations, key) {
            Ok(decoders) => decoders,
            Err(error) => {
                // Without them old times are rejects, which can be replayed once more.
                let error: &dyn std::error::Error = &error;
                error!(error, "cannot decode what imports refused");
                return None;
            }
        };
        let sources = declarations.sources.values();
        let paths = sources.map(|source| (source.id.as_str().into(), path_patterns(source)));
        Some(Self {
            decoders,
            paths: paths.collect(),
        })
    }

    pub(super) fn decoders(&self) -> &Decoders {
        &self.decoders
    }

    /// Returns by which topic a document of a source is decoded: the end of its path that a pattern takes, which may have
    /// been declared since.
    pub(super) fn topic<'t>(&self, source: &str, topic: &'t str) -> &'t str {
        let mut patterns = self.paths.get(source).into_iter().flatten();
        let end = patterns.find_map(|pattern| pattern.end_of(topic));
        end.unwrap_or(topic)
    }
}

/// Gives rows of imported envelopes the receive time that imports give: each that differs gets a lineage of its own, behind
/// those of the envelopes. Rows without a time of their own become rejects; places of which nobody knows since when are left
/// out, as an import does.
pub(super) fn settle_imported(
    imported: &[Imported],
    rows: &mut Vec<DatasetRows>,
    rejects: &mut Vec<Reject>,
    lineage: &mut Vec<Lineage>,
) {
    let of = |envelope: u32| {
        let at = imported.binary_search_by_key(&envelope, |imported| imported.envelope);
        at.ok().map(|at| &imported[at].piece)
    };
    let mut timeless: BTreeMap<u32, DatasetId> = BTreeMap::new();
    for rows in rows.iter_mut() {
        if !rows
            .envelopes
            .iter()
            .any(|envelope| of(*envelope).is_some())
        {
            continue;
        }
        let by_row = rows.envelopes.iter().zip(&rows.timeless);
        let is_kept: Vec<bool> = by_row
            .map(|(envelope, timeless)| !timeless || of(*envelope).is_none())
            .collect();
        if is_kept.contains(&false) {
            if rows.declaration.kind != DatasetKind::Places {
                let left_out = rows
                    .envelopes
                    .iter()
                    .zip(&is_kept)
                    .filter(|(_, kept)| !**kept);
                timeless
                    .extend(left_out.map(|(envelope, _)| (*envelope, rows.declaration.id.clone())));
            }
            *rows = select_rows(rows, is_kept);
        }
        give_own_times(rows, of, lineage);
    }
    rows.retain(|rows| !rows.envelopes.is_empty());
    for (envelope, dataset) in timeless {
        let of_envelope = rejects.iter().filter(|reject| reject.envelope == envelope);
        let ordinal = of_envelope.map(|reject| reject.ordinal + 1).max();
        rejects.push(Reject {
            envelope,
            ordinal: ordinal.unwrap_or(0),
            item: None,
            reason: RejectReason::BadTime,
            message: format!(
                "a row of `{dataset}` has no time of its own, and the time of the import is not when it was observed; \
                 declare where the time stands"
            ),
            excerpt: String::new(),
        });
    }
    rejects.sort_by_key(|reject| (reject.envelope, reject.ordinal));
}

fn give_own_times<'p>(
    rows: &mut DatasetRows,
    of: impl Fn(u32) -> Option<&'p ImportedPiece>,
    lineage: &mut Vec<Lineage>,
) {
    let times = rows
        .batch
        .column_by_name(rows.declaration.time_column())
        .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
    // The last row's envelope and receive time, and where its lineage stands: most rows of a message have one time.
    let mut last: Option<(u32, i64, u32)> = None;
    for (row, envelope) in rows.envelopes.iter_mut().enumerate() {
        let Some(piece) = of(*envelope) else {
            continue;
        };
        let of_frame = lineage[*envelope as usize].received_at;
        let received_at = match times {
            Some(times) if !piece.corrects => times.value(row),
            _ => of_frame,
        };
        let at = match last {
            Some((same, time, at)) if (same, time) == (*envelope, received_at) => at,
            _ => {
                let at = lineage.len() as u32;
                lineage.push(Lineage {
                    received_at,
                    ..lineage[*envelope as usize].clone()
                });
                last = Some((*envelope, received_at, at));
                at
            }
        };
        *envelope = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_read_as_it_is_written() {
        for corrects in [false, true] {
            let piece = ImportedPiece {
                id: "0123456789abcdef".to_owned(),
                corrects,
            };
            let text = piece.to_text();
            let id = text.strip_prefix(if corrects { CORRECTS } else { OWN_TIME });
            assert_eq!(id, Some("0123456789abcdef"));
        }
        assert_eq!(ImportedPiece::read(Meta::default()), None);
    }
}
