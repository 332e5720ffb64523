//! What derived datasets cost: one new hour as the input grows, and everything from the beginning.
//!
//! `cargo bench -p meetnet -p meetnet-benches --bench derive`; `ROWS` (10 million; 100 million for what is promised) is how
//! many rows the larger input has. Input is `heat`, merged; rows of `heat_hourly` are computed and thrown away.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::cell::Cell;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meetnet_benches::figures::{Latencies, at_least, at_most, begin, figure, setting};
use meetnet_benches::table::{MINUTE_US, PROPERTIES, START_US, Table, arriving};
use meetnet_derive::{DerivedChunk, DerivedTables, Deriver};
use meetnet_lake::storage::FolderStorage;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STATIONS: u32 = 500;
const ROWS_SMALL: u64 = 1_000_000;
/// New hours that are taken together: one says little.
const HOURS: u32 = 12;

static NO_STOP: AtomicBool = AtomicBool::new(false);

/// Takes rows and forgets them.
#[derive(Default)]
struct Forget {
    rows: Cell<u64>,
}

impl DerivedTables for Forget {
    type Error = Infallible;

    fn erasures(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn position(&self, _: &DatasetId, _: &str) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }

    fn take(&self, chunk: DerivedChunk) -> Result<(), Infallible> {
        let rows = chunk.rows.batch.num_rows() as u64;
        self.rows.set(self.rows.get() + rows);
        Ok(())
    }
}

fn main() -> Result<()> {
    let large: u64 = setting("ROWS", 10_000_000)?;
    ensure!(large >= ROWS_SMALL, "ROWS={large} are too few");
    let (small_hour, _) = measure(ROWS_SMALL)?;
    let (large_hour, rebuilt) = measure(large)?;
    let ratio = large_hour.p50_ms() / small_hour.p50_ms();
    at_most(
        "one new hour: ratio of p50, large to small",
        ratio,
        "x",
        1.5,
    );
    at_least("rebuilt, input rows", rebuilt, "/s", 2e6);
    Ok(())
}

/// Measures an input of so many rows; returns what new hours took, and how many input rows a rebuild read per second.
fn measure(rows: u64) -> Result<(Latencies, f64)> {
    // Whole hours.
    let minutes = rows / u64::from(STATIONS) / PROPERTIES.len() as u64 / 60 * 60;
    let minutes = u32::try_from(minutes)?;
    begin(&format!(
        "heat_hourly from {rows} rows of {STATIONS} stations"
    ));
    let folder = tempfile::tempdir()?;
    let mut table = Table::open(folder.path(), &["heat"], |limits| limits.compaction = false)?;
    table.fill(STATIONS, minutes)?;
    table.compact()?;
    let hourly = hourly()?;
    let mut deriver = new_deriver(folder.path());
    commit_through(&mut table, minutes)?;
    derive(&mut deriver, &hourly)?;
    let mut took = Vec::new();
    for hour in 0..HOURS {
        let first = minutes + hour * 60;
        let batch = table.heat(arriving(STATIONS, first..first + 60), 0.0)?;
        table.apply(&batch)?;
        commit_through(&mut table, first + 60)?;
        let (time, derived) = derive(&mut deriver, &hourly)?;
        ensure!(
            derived >= u64::from(STATIONS),
            "hour {hour}: {derived} rows are too few"
        );
        took.push(time);
    }
    let took = Latencies::new(took);
    took.print("one new hour of 60,000 rows");
    let input = u64::from(minutes + HOURS * 60) * u64::from(STATIONS) * PROPERTIES.len() as u64;
    let (time, derived) = derive(&mut new_deriver(folder.path()), &hourly)?;
    let speed = input as f64 / time.as_secs_f64();
    figure("rebuilt, derived rows", derived as f64, "");
    figure("rebuilt, input rows", speed, "/s");
    Ok((took, speed))
}

fn hourly() -> Result<Arc<DatasetDeclaration>> {
    let schemas = meetnet_model::schemas::builtin();
    let hourly = schemas.datasets.get(&DatasetId::new("heat_hourly"));
    Ok(Arc::clone(hourly.context("it is built in")?))
}

fn new_deriver(folder: &Path) -> Deriver {
    Deriver::new(Arc::new(FolderStorage::new(folder)))
}

/// Commits everything, recorded up to a minute.
fn commit_through(table: &mut Table, minute: u32) -> Result<()> {
    // An idle table commits only what is new.
    let through = table.lake.through().next();
    let recorded = START_US + i64::from(minute) * MINUTE_US;
    table.lake.advance(through, recorded);
    table.lake.commit_all()?;
    Ok(())
}

/// Brings the hours up to what is committed; returns how long that took, and how many rows were computed.
fn derive(deriver: &mut Deriver, hourly: &Arc<DatasetDeclaration>) -> Result<(Duration, u64)> {
    let tables = Forget::default();
    let began = Instant::now();
    let round = deriver.round(std::slice::from_ref(hourly), &tables, i64::MAX, &NO_STOP)?;
    let took = began.elapsed();
    if let Some(error) = round.failed.into_iter().next() {
        return Err(error.into());
    }
    Ok((took, tables.rows.get()))
}
