//! A year of a city in a lake: `air` and `traffic` of 2025, where their devices stand, and all datasets that are made of
//! them. It is kept below cargo's target folder: to make it takes longer than to ask it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::{AsArray, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use meetnet_derive::Deriver;
use meetnet_lake::lake::LakeReader;
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_lake::storage::FolderStorage;
use meetnet_model::calendar::DAY_US;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use tempfile::TempDir;

use crate::table::{MINUTE_US, START_US, Table, mix};
use crate::{derived, kept};

/// Part of the folder's name; another number where the rows are others.
const VERSION: u32 = 3;
/// What devices say, and where they stand.
const OBSERVED: [&str; 4] = ["air", "segments", "stations", "traffic"];
/// What is made of it. `heat_hourly` stays empty, but `neighbourhood_hourly` wants it to be there.
const MADE: [&str; 8] = [
    "air_daily",
    "air_exceedances",
    "air_hourly",
    "air_yearly",
    "data_quality",
    "heat_hourly",
    "neighbourhood_hourly",
    "traffic_daily",
];
/// Devices in one H3 cell.
const PER_CELL: u32 = 5;
/// Number of the first cell: that numbers are those of cells does not matter to what is made of them.
const FIRST_CELL: i64 = 0x0891_f000_0000_0000;
/// 2025-01-01T00:00:00Z, µs.
const YEAR_US: i64 = 1_735_689_600_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const HOURS: u64 = 365 * 24;
/// Between two readings of a sensor, µs.
const AIR_STEP_US: i64 = 10 * MINUTE_US;
const AIR_STEPS: u64 = 365 * 144;
const AIR_PROPERTIES: [&str; 2] = ["pm10", "pm2_5"];
/// One row in so many is revised, forty days later.
const REVISED: u64 = 200;
const REVISED_AFTER_US: i64 = 40 * DAY_US;
/// All has been recorded by then, µs: the year is over and revised, and every interval in it is due.
pub const RECORDED_US: i64 = START_US + 41 * DAY_US;
/// One hour in so many a sensor says nothing.
const SILENT: u64 = 100;
/// Rows of one commit.
const COMMIT_ROWS: u64 = 1_000_000;

/// The lake, and how many devices report to it.
#[derive(Debug)]
pub struct CityYear {
    /// Folder of the lake.
    pub folder: PathBuf,
    /// Sensors of `air`: two properties every ten minutes.
    pub sensors: u32,
    /// Segments of `traffic`: every hour.
    pub segments: u32,
}

impl CityYear {
    /// Returns a year of about `rows` rows, a tenth of them `traffic`, the rest `air`; makes it where it is not there yet.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn of(rows: u64) -> Result<Self> {
        let per_sensor = AIR_STEPS * AIR_PROPERTIES.len() as u64;
        let sensors = u32::try_from((rows * 9 / 10 / per_sensor).max(1))?;
        let segments = u32::try_from((rows / 10 / HOURS).max(1))?;
        let name = format!("city-year-{VERSION}-{rows}");
        Ok(Self {
            folder: kept::lake(&name, |folder| make(folder, sensors, segments))?,
            sensors,
            segments,
        })
    }

    /// Returns what is committed.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn snapshot(&self) -> Result<LakeSnapshot> {
        let mut reader = LakeReader::open(Arc::new(FolderStorage::new(&self.folder)))?;
        Ok(reader.refresh()?)
    }

    /// Returns a copy without what is made.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn copy_observed(&self) -> Result<TempDir> {
        kept::copy(&self.folder, &OBSERVED)
    }

    /// Returns a copy of all of it.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn copy(&self) -> Result<TempDir> {
        kept::copy(&self.folder, &[&OBSERVED[..], &MADE[..]].concat())
    }

    /// Opens the tables of such a lake in a folder, to change them.
    ///
    /// # Errors
    /// Where one of them cannot be opened.
    pub fn open(folder: &Path) -> Result<Table> {
        let datasets = [&OBSERVED[..], &MADE[..]].concat();
        Table::open(folder, &datasets, |limits| limits.compaction = false)
    }

    /// Returns how many rows of `air` and `traffic` there are, without what was replaced.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn observed_rows(&self) -> Result<u64> {
        let snapshot = self.snapshot()?;
        let observed = ["air", "traffic"].map(DatasetId::new);
        let tables = observed.iter().filter_map(|id| snapshot.tables.get(id));
        let files = tables.flat_map(|table| table.files.iter());
        Ok(files
            .filter(|file| !file.superseded)
            .map(|file| file.rows)
            .sum())
    }

    /// Returns the id of a sensor, as long as a pseudonym.
    pub fn sensor_id(number: u32) -> String {
        format!("airrohr-{:016x}", mix(u64::from(number)))
    }
}

fn make(folder: &Path, sensors: u32, segments: u32) -> Result<()> {
    let mut table = CityYear::open(folder)?;
    let stations = table.declaration("stations")?;
    table.apply(&place_rows(&stations, (0..sensors).map(PlaceId::Sensor))?)?;
    let places = table.declaration("segments")?;
    table.apply(&place_rows(&places, (0..segments).map(PlaceId::Segment))?)?;
    table.flags = flags;
    let mut hot = 0;
    let mut commit_some = |table: &mut Table, rows: u64| -> Result<()> {
        hot += rows;
        if hot >= COMMIT_ROWS {
            table.commit()?;
            hot = 0;
        }
        Ok(())
    };
    let air = table.declaration("air")?;
    for sensor in 0..sensors {
        let applied = table.apply(&air_rows(&air, sensor, false)?)?;
        // While they are hot: to look each of them up in files would take longer than all the rest.
        table.delay_min_us = REVISED_AFTER_US;
        table.apply(&air_rows(&air, sensor, true)?)?;
        table.delay_min_us = 0;
        commit_some(&mut table, applied.inserted)?;
    }
    let traffic = table.declaration("traffic")?;
    for segment in 0..segments {
        let applied = table.apply(&traffic_rows(&traffic, segment)?)?;
        commit_some(&mut table, applied.inserted)?;
    }
    table.commit()?;
    // Before anything is made of it: its files are read in the order of the key.
    table.compact()?;
    table.settle(RECORDED_US)?;
    let mut deriver = Deriver::new(Arc::new(FolderStorage::new(folder)));
    derived::all(&mut table, &mut deriver)?;
    table.compact()?;
    Ok(())
}

/// Who stands at a place.
#[derive(Clone, Copy)]
enum PlaceId {
    Sensor(u32),
    Segment(u32),
}

/// Returns where devices stand: some in each cell, all since the year began.
fn place_rows(
    declaration: &Arc<DatasetDeclaration>,
    ids: impl Iterator<Item = PlaceId>,
) -> Result<DatasetRows> {
    let column = |name: &str| declaration.column_index(name).context("a column of places");
    let (id, valid_from, cell) = (column("id")?, column("valid_from")?, column("h3_r9")?);
    let mut builder = RowsBuilder::new(Arc::clone(declaration));
    for (position, of) in ids.enumerate() {
        let number = match of {
            PlaceId::Sensor(number) => {
                builder.set_text(id, &CityYear::sensor_id(number));
                number
            }
            PlaceId::Segment(number) => {
                builder.set_int(id, segment_id(number));
                number
            }
        };
        builder.set_int(valid_from, YEAR_US);
        builder.set_int(cell, FIRST_CELL + i64::from(number / PER_CELL));
        let finished = builder.finish_row(position as u32);
        ensure!(finished.is_ok(), "places require more than the bench fills");
    }
    Ok(builder.take())
}

fn segment_id(number: u32) -> i64 {
    9_000_000_000 + i64::from(number)
}

/// Returns a sensor's year in the order of the key: all its rows, or what some of them are revised to.
fn air_rows(
    declaration: &Arc<DatasetDeclaration>,
    sensor: u32,
    revisions: bool,
) -> Result<DatasetRows> {
    let column = |name: &str| declaration.column_index(name).context("a column of air");
    let (id, property) = (column("sensor_id")?, column("property")?);
    let (time, value) = (column("time")?, column("value")?);
    let name = CityYear::sensor_id(sensor);
    let mut builder = RowsBuilder::new(Arc::clone(declaration));
    let mut envelope = 0;
    for (position, of) in AIR_PROPERTIES.into_iter().enumerate() {
        for step in 0..AIR_STEPS {
            let place = u64::from(sensor) << 33 | (position as u64) << 32 | step;
            let is_silent = mix((u64::from(sensor) << 32) | (step / 6)).is_multiple_of(SILENT);
            let is_revised = mix(!place).is_multiple_of(REVISED);
            if is_silent || (revisions && !is_revised) {
                continue;
            }
            builder.set_text(id, &name);
            builder.set_text(property, of);
            builder.set_int(time, YEAR_US + step as i64 * AIR_STEP_US);
            builder.set_float(value, air_value(place, step) + f64::from(revisions));
            let finished = builder.finish_row(envelope);
            ensure!(finished.is_ok(), "air requires more than the bench fills");
            envelope += 1;
        }
    }
    Ok(builder.take())
}

/// A day's curve on a year's curve, in tenths of µg/m³; some readings are far above.
fn air_value(place: u64, step: u64) -> f64 {
    let day = (step % 144) as f64 / 144.0 * std::f64::consts::TAU;
    let year = step as f64 / AIR_STEPS as f64 * std::f64::consts::TAU;
    let chance = mix(place);
    let noise = (chance % 61) as f64 - 30.0;
    let peak = if (chance >> 32).is_multiple_of(97) {
        400.0
    } else {
        0.0
    };
    let own = ((place >> 33) % 23) as f64;
    let tenths = 220.0 + own + 60.0 * day.sin() + 80.0 * year.cos() + noise + peak;
    tenths.round() / 10.0
}

/// Returns a segment's year in the order of the key. At night, devices are off: there is no count.
fn traffic_rows(declaration: &Arc<DatasetDeclaration>, segment: u32) -> Result<DatasetRows> {
    let column = |name: &str| {
        declaration
            .column_index(name)
            .context("a column of traffic")
    };
    let (id, interval) = (column("segment_id")?, column("interval_s")?);
    let (time, uptime) = (column("time")?, column("uptime")?);
    let modes = ["pedestrian", "bike", "car", "heavy"];
    let modes = modes.map(|mode| {
        let sides = ["", "_lft", "_rgt"];
        sides.map(|side| declaration.column_index(&format!("{mode}{side}")))
    });
    let mut builder = RowsBuilder::new(Arc::clone(declaration));
    for hour in 0..HOURS {
        builder.set_int(id, segment_id(segment));
        builder.set_int(interval, 3_600);
        builder.set_int(time, YEAR_US + hour as i64 * HOUR_US);
        let is_on = (6..20).contains(&(hour % 24));
        builder.set_float(uptime, if is_on { 0.9 } else { 0.0 });
        for (position, columns) in modes.iter().enumerate().filter(|_| is_on) {
            let chance = mix(u64::from(segment) << 34 | hour << 2 | position as u64);
            let left = chance % (60 << position);
            let right = (chance >> 32) % (60 << position);
            for (column, count) in columns.iter().zip([left + right, left, right]) {
                let column = column.context("a count of traffic")?;
                builder.set_float(column, count as f64);
            }
        }
        let finished = builder.finish_row(hour as u32);
        ensure!(
            finished.is_ok(),
            "traffic requires more than the bench fills"
        );
    }
    Ok(builder.take())
}

/// One row in a hundred is suspect, one in five hundred has failed.
fn flags(
    declaration: &DatasetDeclaration,
    rows: &RecordBatch,
    _: &[u32],
) -> (Int8Array, Int64Array) {
    let times = rows
        .column_by_name(declaration.time_column())
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let values = ["value", "car"]
        .into_iter()
        .find_map(|name| rows.column_by_name(name)?.as_primitive_opt::<Float64Type>());
    let quality = |row: usize| -> i8 {
        let time = times.map_or(0, |times| times.value(row));
        let value = values.map_or(0.0, |values| values.value(row));
        match mix(value.to_bits() ^ time as u64) % 1_000 {
            0..10 => 3,
            10..12 => 4,
            _ => 1,
        }
    };
    let tests = |row: usize| i64::from(quality(row) != 1);
    (
        (0..rows.num_rows()).map(|row| Some(quality(row))).collect(),
        (0..rows.num_rows()).map(|row| Some(tests(row))).collect(),
    )
}
