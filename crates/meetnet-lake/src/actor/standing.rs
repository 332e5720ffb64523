//! Where rows stand to what is stored of their keys, before they are applied or without ever being: for who has to know what
//! a replay would change.

use std::cmp::Ordering;

use arrow::row::Rows;
use meetnet_model::dataset::DatasetKind;
use meetnet_model::rows::DatasetRows;

use super::stored::{Incoming, Stored};
use super::{DatasetActor, Lineage};
use crate::error::LakeError;
use crate::keys::KeyCodec;
use crate::table::read::conform;

/// Where a row stands to the current version of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It would change nothing of what is current: nothing is stored of its key, or it is earlier in the order of versions, or
    /// it says the same and is not later.
    Beside,
    /// It says the same, and is later in the order of versions.
    Confirms,
    /// It says something else, is later in the order of versions, and would take its place.
    Replaces,
    /// It says something else, as late, and would take its place: another row of the same message, or the same one read
    /// otherwise.
    Corrects,
}

/// Returns the keys of decoded rows, as bytes that are equal where the keys are.
///
/// # Errors
/// Where the rows do not fit their declaration.
pub fn row_keys(rows: &DatasetRows) -> Result<Rows, LakeError> {
    let codec = KeyCodec::new(&rows.declaration)?;
    let keys = codec.keys(&rows.batch);
    keys.map_err(LakeError::arrow("encode keys of", &rows.declaration.id))
}

impl DatasetActor {
    /// Returns where rows stand, each by itself. Of places, whose rows become periods first, and of rejects, all stand beside.
    pub(crate) fn standing(
        &mut self,
        rows: &DatasetRows,
        lineage: &[Lineage],
    ) -> Result<Vec<Standing>, LakeError> {
        let mut standing = vec![Standing::Beside; rows.batch.num_rows()];
        let kind = self.declaration.kind;
        if matches!(kind, DatasetKind::Places | DatasetKind::Private) || standing.is_empty() {
            return Ok(standing);
        }
        let declared = conform(&rows.batch, &self.declaration.declared_schema())
            .map_err(self.arrow("read"))?;
        let keys = self
            .codec
            .keys(&declared)
            .map_err(self.arrow("encode keys of"))?;
        // So that the versions are read of which a row says the same.
        let as_confirming = |lineage: &Lineage| Lineage {
            confirms: true,
            ..lineage.clone()
        };
        let lineage: Vec<Lineage> = lineage.iter().map(as_confirming).collect();
        let mut incoming = Incoming {
            declared: &declared,
            keys: &keys,
            envelopes: &rows.envelopes,
            origins: None,
            lineage: &lineage,
            values: None,
        };
        let stored = self.look_up(&incoming, 0)?;
        for (row, standing) in standing.iter_mut().enumerate() {
            let (version, is_equal) = match (self.hot.current(incoming.key(row)), stored.of(row)) {
                (Some(number), _) => {
                    let (version, values) = self.hot_version(number)?;
                    let own = incoming.values(self)?.row(row);
                    (version, values.row(0).data() == own.data())
                }
                (
                    None,
                    Some((
                        Stored {
                            version: Some(version),
                            ..
                        },
                        is_equal,
                    )),
                ) => (*version, is_equal),
                (None, _) => continue,
            };
            *standing = match (is_equal, incoming.place(row).cmp(&version.place())) {
                (true, Ordering::Greater) => Standing::Confirms,
                (false, Ordering::Greater) => Standing::Replaces,
                (false, Ordering::Equal) => Standing::Corrects,
                _ => Standing::Beside,
            };
        }
        Ok(standing)
    }
}
