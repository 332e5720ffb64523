//! Sensor ids that are published as a source's messages have them, and look like ids of hardware: a device that nobody has
//! named is called by its address. Looked at where rows are applied, for who operates this to be told once per source.
//!
//! Rows are what they are whatever is found here: what a source declares decides that (`hardware_id`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use meetnet_lake::Lineage;
use meetnet_model::ids::SourceId;
use meetnet_model::redact::{PersonalKind, find};
use meetnet_model::rows::DatasetRows;
use meetnet_model::source::SourceDeclaration;

/// Ids that are remembered as harmless; then it starts afresh.
const HARMLESS_MAX: usize = 16_384;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct BareIds {
    /// Sources that have been told of.
    told: BTreeSet<SourceId>,
    /// Sensor ids that were looked at: a sensor has many rows.
    harmless: HashSet<Box<str>>,
}

impl BareIds {
    /// Looks at the sensors of the rows of one dataset, whose envelopes are those of `lineage`; returns the sources of which
    /// there is an id of hardware for the first time, and of which kind it is. A comparison per row, and a look per sensor.
    pub(super) fn note(
        &mut self,
        rows: &DatasetRows,
        lineage: &[Lineage],
        declared: &BTreeMap<SourceId, Arc<SourceDeclaration>>,
    ) -> Vec<(SourceId, PersonalKind)> {
        let mut found = Vec::new();
        if !rows.declaration.is_public() {
            return found;
        }
        let ids = rows.batch.column_by_name("sensor_id");
        let Some(ids) = ids.and_then(|array| array.as_string_opt::<i32>()) else {
            return found;
        };
        let mut first = 0;
        // Rows of an envelope lie side by side.
        for of_envelope in rows.envelopes.chunk_by(|a, b| a == b) {
            let of_rows = first..first + of_envelope.len();
            first = of_rows.end;
            let lineage = lineage.get(of_envelope[0] as usize);
            let source = lineage.and_then(|lineage| declared.get(&lineage.source));
            let Some(source) = source.filter(|source| self.looks_at(source)) else {
                continue;
            };
            let mut last = "";
            for row in of_rows.filter(|row| ids.is_valid(*row)) {
                let id = ids.value(row);
                if id == last {
                    continue;
                }
                last = id;
                if let Some(kind) = self.hardware_kind(id, &source.namespace) {
                    self.told.insert(source.id.clone());
                    found.push((source.id.clone(), kind));
                    break;
                }
            }
        }
        found
    }

    /// Returns true for a source whose ids nothing replaces, and that has not been told of.
    fn looks_at(&self, source: &SourceDeclaration) -> bool {
        source.hardware_kinds().is_empty() && !self.told.contains(&source.id)
    }

    /// Returns what an id is, where it looks like one of hardware.
    fn hardware_kind(&mut self, id: &str, namespace: &str) -> Option<PersonalKind> {
        if self.harmless.contains(id) {
            return None;
        }
        // What hangs on the namespace looks like a pseudonym.
        let own = id.strip_prefix(namespace).unwrap_or(id);
        let own = own.strip_prefix('-').unwrap_or(own);
        let kind = find(own)
            .into_iter()
            .map(|finding| finding.kind)
            .find(|kind| {
                matches!(
                    kind,
                    PersonalKind::Mac
                        | PersonalKind::Eui
                        | PersonalKind::ChipId
                        | PersonalKind::Passkey
                )
            });
        if kind.is_none() {
            if self.harmless.len() >= HARMLESS_MAX {
                self.harmless.clear();
            }
            self.harmless.insert(id.into());
        }
        kind
    }
}
