//! What derived datasets cost, computed, looked up, flagged and committed as the daemon does it: one new hour as the input
//! grows, and all of them from the beginning.
//!
//! `cargo bench -p meetnet -p meetnet-benches --bench derive [-- hour rebuild]`; `ROWS` (10 million; 100 million for what is
//! promised) is how many rows the larger input has. The lakes are kept below the target folder: that of stations is the
//! one of `lake -- lookup`, that of a city's year the one of `queries`.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::city_year::{CityYear, RECORDED_US};
use meetnet_benches::derived::{self, Derived};
use meetnet_benches::figures::{Latencies, at_least, at_most, begin, figure, is_wanted, setting};
use meetnet_benches::station_lake::{STATIONS, StationLake};
use meetnet_benches::table::{MINUTE_US, START_US, Table, arriving};
use meetnet_derive::Deriver;
use meetnet_lake::storage::FolderStorage;
use meetnet_model::ids::DatasetId;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS_SMALL: u64 = 1_000_000;
/// New hours that are taken together: one says little. More would make the small input a larger one.
const HOURS: u32 = 6;
/// `heat`, and what is made of it.
const HEAT: [&str; 4] = ["heat", "heat_daily", "heat_hourly", "heat_waves"];

fn main() -> Result<()> {
    let rows: u64 = setting("ROWS", 10_000_000)?;
    ensure!(rows >= ROWS_SMALL, "ROWS={rows} are too few");
    let (is_hour, is_rebuild) = (is_wanted("hour"), is_wanted("rebuild"));
    let (mut input, mut time) = (0, Duration::ZERO);
    let mut rebuilt = |rows: u64, derived: &BTreeMap<DatasetId, Derived>| {
        let took: Duration = derived.values().map(|derived| derived.time).sum();
        for (dataset, derived) in derived {
            let what = format!("{dataset}: {} rows", derived.rows);
            figure(&what, derived.time.as_secs_f64(), "s");
        }
        figure("input rows", rows as f64 / took.as_secs_f64(), "/s");
        input += rows;
        time += took;
    };
    if is_hour || is_rebuild {
        let large = Stations::rebuild(rows)?;
        rebuilt(large.rows, &large.rebuilt);
        if is_hour {
            let small = Stations::rebuild(ROWS_SMALL)?.new_hours()?;
            let large = large.new_hours()?;
            let ratio = large.p50_ms() / small.p50_ms();
            at_most(
                "one new hour: ratio of p50, large to small",
                ratio,
                "x",
                1.5,
            );
        }
    }
    if is_rebuild {
        begin(&format!("all that is made of a city's year of {rows} rows"));
        let year = CityYear::of(rows)?;
        let copy = year.copy_observed()?;
        let mut table = CityYear::open(copy.path())?;
        // Those that were not copied have recorded nothing yet.
        table.settle(RECORDED_US)?;
        let derived = derived::all(&mut table, &mut new_deriver(copy.path()))?;
        for dataset in ["air_yearly", "neighbourhood_hourly", "traffic_daily"] {
            let made = derived.get(&DatasetId::new(dataset));
            ensure!(made.is_some_and(|made| made.rows > 0), "{dataset} is empty");
        }
        rebuilt(year.observed_rows()?, &derived);
        let speed = input as f64 / time.as_secs_f64();
        at_least("all rebuilt, input rows", speed, "/s", 2e6);
    }
    Ok(())
}

/// Stations whose derived datasets have been made from the beginning.
struct Stations {
    table: Table,
    deriver: Deriver,
    minutes: u32,
    rows: u64,
    rebuilt: BTreeMap<DatasetId, Derived>,
    /// Goes with what is in it.
    _copy: tempfile::TempDir,
}

impl Stations {
    fn rebuild(rows: u64) -> Result<Self> {
        begin(&format!("all that is made of {rows} rows of stations"));
        let lake = StationLake::of(rows)?;
        let copy = lake.copy()?;
        let mut table = Table::open(copy.path(), &HEAT, |limits| limits.compaction = false)?;
        table.settle(time_of(lake.minutes))?;
        let mut deriver = new_deriver(copy.path());
        let rebuilt = derived::all(&mut table, &mut deriver)?;
        Ok(Self {
            table,
            deriver,
            minutes: lake.minutes,
            rows: lake.rows(),
            rebuilt,
            _copy: copy,
        })
    }

    /// Returns how long it takes until a new hour of input is derived, of some hours.
    fn new_hours(mut self) -> Result<Latencies> {
        begin(&format!("new hours after {} rows", self.rows));
        let mut took = Vec::new();
        for hour in 0..HOURS {
            let first = self.minutes + hour * 60;
            let batch = self
                .table
                .heat(arriving(STATIONS, first..first + 60), 0.0)?;
            self.table.apply(&batch)?;
            self.table.settle(time_of(first + 60))?;
            let began = Instant::now();
            let derived = derived::all(&mut self.table, &mut self.deriver)?;
            took.push(began.elapsed());
            let rows: u64 = derived.values().map(|derived| derived.rows).sum();
            ensure!(
                rows >= u64::from(STATIONS),
                "hour {hour}: {rows} rows are too few"
            );
        }
        let took = Latencies::new(took);
        let rows = 60 * StationLake::rows_per_minute();
        took.print(&format!("one new hour of {rows} rows"));
        Ok(took)
    }
}

fn time_of(minute: u32) -> i64 {
    START_US + i64::from(minute) * MINUTE_US
}

fn new_deriver(folder: &Path) -> Deriver {
    Deriver::new(Arc::new(FolderStorage::new(folder)))
}
