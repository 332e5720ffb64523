//! Datasets made of others, as the daemon makes them: computed from what is committed, looked up, flagged and committed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Result;
use meetnet_derive::{DerivedChunk, DerivedTables, Deriver};
use meetnet_lake::LakeError;
use meetnet_model::ids::DatasetId;

use crate::table::Table;

static NO_STOP: AtomicBool = AtomicBool::new(false);

/// What one dataset came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Derived {
    /// Rows that were made; those that were stored already among them.
    pub rows: u64,
    /// How long that took.
    pub time: Duration,
}

/// Whoever makes rows has the lake to itself.
struct Tables<'t>(RefCell<&'t mut Table>);

impl DerivedTables for Tables<'_> {
    type Error = LakeError;

    fn erasures(&self) -> Result<u64, LakeError> {
        Ok(0)
    }

    fn position(&self, dataset: &DatasetId, position_id: &str) -> Result<Option<u64>, LakeError> {
        Ok(self.0.borrow().lake.import_position(dataset, position_id))
    }

    fn take(&self, chunk: DerivedChunk) -> Result<(), LakeError> {
        self.0.borrow_mut().take_derived(chunk).map(drop)
    }
}

/// Brings every dataset that is made of others to what is committed of those; returns what each came to. They take turns
/// until nothing is left to make, for some are made of made ones.
///
/// # Errors
/// Where one of them cannot be made.
pub fn all(table: &mut Table, deriver: &mut Deriver) -> Result<BTreeMap<DatasetId, Derived>> {
    let made = table.made();
    let tables = Tables(RefCell::new(table));
    let mut all: BTreeMap<DatasetId, Derived> = BTreeMap::new();
    loop {
        let mut rows = 0;
        for declaration in &made {
            let began = Instant::now();
            let round = deriver.round(
                std::slice::from_ref(declaration),
                &tables,
                i64::MAX,
                &NO_STOP,
            )?;
            if let Some(error) = round.failed.into_iter().next() {
                return Err(error.into());
            }
            let handed: u64 = round.rows.values().sum();
            let derived = all.entry(declaration.id.clone()).or_default();
            derived.rows += handed;
            derived.time += began.elapsed();
            rows += handed;
        }
        if rows == 0 {
            return Ok(all);
        }
    }
}
