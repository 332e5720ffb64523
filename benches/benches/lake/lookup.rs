//! `lookup`: what finding the stored row of a key costs as the table grows. Tables of 1,000,000 rows, ten times that,
//! and so on up to `ROWS_MAX` (10,000,000; 100,000,000 for what is promised): 1,000 stations for ever longer, kept below
//! the target folder.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::figures::{at_most, begin, figure, setting};
use meetnet_benches::station_lake::{STATIONS, StationLake};
use meetnet_benches::table::{Place, Table, arriving, mix};

/// Rows of one group of messages.
const GROUP: usize = 500;
/// Groups that are timed.
const GROUPS: usize = 40;

/// Time per row, µs.
#[derive(Clone, Copy, Debug)]
struct Costs {
    met_again: f64,
    late: f64,
    in_order: f64,
}

pub(crate) fn run() -> Result<()> {
    let rows_max: u64 = setting("ROWS_MAX", 10_000_000)?;
    let mut rows = 1_000_000;
    let mut first = None;
    while rows <= rows_max {
        let costs = measure(rows)?;
        let base = *first.get_or_insert(costs);
        if rows > 1_000_000 {
            let ratio = |what: &str, cost: fn(&Costs) -> f64| {
                let what = format!("{what}: ratio to 1,000,000 rows");
                at_most(&what, cost(&costs) / cost(&base), "x", 1.5);
            };
            ratio("stored row, equal", |costs| costs.met_again);
            ratio("late row, new", |costs| costs.late);
            ratio("row in time order", |costs| costs.in_order);
        }
        rows *= 10;
    }
    Ok(())
}

fn measure(rows: u64) -> Result<Costs> {
    let lake = StationLake::of(rows)?;
    begin(&format!("key look-up in {rows} rows"));
    let copy = lake.copy()?;
    let minutes = lake.minutes;
    // As after a restart: nothing is known of any series.
    let mut table = Table::open(copy.path(), &["heat"], |limits| limits.compaction = false)?;
    let files = table.snapshot("heat")?.files.len();
    figure("rows", lake.rows() as f64, "");
    figure("files", files as f64, "");
    let chance = |number: usize, salt: u64| mix(number as u64 ^ salt << 32);
    let place = |number: usize, salt: u64| Place {
        station: (chance(number, salt) % u64::from(STATIONS)) as u32,
        property: number % 2,
        minute: (chance(number, salt + 1) % u64::from(minutes)) as u32,
    };
    // Not timed: footers and pages that come from the disk.
    for group in 0..5 {
        let places = (0..GROUP).map(|row| place(group * GROUP + row, 1));
        table.apply(&table.heat(places, 0.0)?)?;
    }
    let per_row = |time: Duration| time.as_secs_f64() * 1e6 / (GROUP * GROUPS) as f64;

    let mut time = Duration::ZERO;
    for group in 0..GROUPS {
        let batch = table.heat((0..GROUP).map(|row| place(group * GROUP + row, 3)), 0.0)?;
        let began = Instant::now();
        let counts = table.apply(&batch)?;
        time += began.elapsed();
        ensure!(
            counts.unchanged as usize == GROUP,
            "not met again: {counts:?}"
        );
    }
    let met_again = per_row(time);
    figure("stored row, equal", met_again, "us per row");

    // Stations that nobody has heard of lie between those that are stored.
    let mut time = Duration::ZERO;
    for group in 0..GROUPS {
        let late = (0..GROUP).map(|row| place(group * GROUP + row, 5));
        let mut batch = table.heat(late, 0.0)?;
        batch.batch = half_a_minute_later(&batch.batch)?;
        let began = Instant::now();
        table.apply(&batch)?;
        time += began.elapsed();
    }
    let late = per_row(time);
    figure("late row, new", late, "us per row");

    let mut time = Duration::ZERO;
    // The first minute looks every series up; from then on their newest times are known.
    let steps = (GROUPS * GROUP / (2 * STATIONS as usize)) as u32 + 1;
    for step in 0..steps {
        let minute = minutes + step;
        let batch = table.heat(arriving(STATIONS, minute..minute + 1), 0.0)?;
        let began = Instant::now();
        table.apply(&batch)?;
        if step > 0 {
            time += began.elapsed();
        }
    }
    let in_order = per_row(time);
    figure("row in time order", in_order, "us per row");
    Ok(Costs {
        met_again,
        late,
        in_order,
    })
}

fn half_a_minute_later(rows: &arrow::array::RecordBatch) -> Result<arrow::array::RecordBatch> {
    use arrow::array::{AsArray, TimestampMicrosecondArray};
    let index = rows.schema().index_of("time")?;
    let times = rows
        .column(index)
        .as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    let later: TimestampMicrosecondArray = times.unary(|time| time + 30_000_000);
    let mut columns = rows.columns().to_vec();
    columns[index] = std::sync::Arc::new(later.with_timezone("UTC"));
    Ok(arrow::array::RecordBatch::try_new(rows.schema(), columns)?)
}
