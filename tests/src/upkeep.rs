//! Looking after the tables of an installation while no daemon runs, also as if some time ago.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_lake::journal::{system_clock, system_monotonic_clock};
use meetnet_lake::lake::{DeclaredTables, Lake, LakeClock, LakeOptions, UpkeepRequest};
use meetnet_lake::storage::FolderStorage;
use meetnet_model::ids::Sequence;
use uuid::Uuid;

/// Carries out a request on the tables in the folder `lake`, by a clock that is `ago` behind. A vacuum removes files at
/// once that were replaced.
///
/// # Errors
/// Where a table cannot be opened, or the upkeep takes more than a minute.
pub fn tend(lake: &Path, request: UpkeepRequest, ago: Duration) -> Result<()> {
    let storage = Arc::new(FolderStorage::new(lake));
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let tables = DeclaredTables::read(storage, Arc::new(declarations))?;
    let mut options = LakeOptions::new(Uuid::nil());
    let (now, ago_us) = (system_clock(), ago.as_micros() as i64);
    options.clock = LakeClock::new(Arc::new(move || now() - ago_us), system_monotonic_clock());
    options.limits.compaction = false;
    options.limits.vacuum_after = Duration::ZERO;
    let mut lake = Lake::open(options, tables, Sequence::ZERO)?;
    lake.request(request)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while lake.is_tending() {
        ensure!(Instant::now() < deadline, "the upkeep comes to no end");
        lake.tick()?;
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
