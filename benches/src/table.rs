//! A lake of few datasets, driven as the pipeline drives it, and rows for its `heat`: weather stations that report
//! once a minute.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use meetnet_derive::DerivedChunk;
use meetnet_lake::lake::{DeclaredTables, Lake, LakeLimits, LakeOptions, UpkeepRequest};
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_lake::storage::FolderStorage;
use meetnet_lake::{Applied, LakeError, Lineage};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence, SourceId};
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use meetnet_quality::{QualityRules, RowFacts};
use uuid::Uuid;

/// Time of minute 0: 2026-01-01T00:00:00Z, µs.
pub const START_US: i64 = 1_767_225_600_000_000;
/// One minute, µs.
pub const MINUTE_US: i64 = 60_000_000;
/// Properties of a station, in key order.
pub const PROPERTIES: [&str; 2] = ["air_temperature", "relative_humidity"];
/// Licence of every row.
const LICENCE: &str = "CC0-1.0";
/// Rows applied at once where a table is filled.
const CHUNK_ROWS: usize = 250_000;
/// Rows of one commit where a table is filled.
const COMMIT_ROWS: usize = 1_000_000;
/// How often a commit under way is looked at.
const POLL: Duration = Duration::from_micros(100);

/// Returns `quality` and `quality_tests` of rows.
pub type Flags = fn(&DatasetDeclaration, &RecordBatch, &[u32]) -> (Int8Array, Int64Array);

/// A lake with the tables of some datasets.
#[derive(Debug)]
pub struct Table {
    /// The lake.
    pub lake: Lake,
    /// Rows are received at most this long after their time, µs; 0: at their time, as where a device has no clock.
    pub delay_max_us: i64,
    /// Rows are received at least this long after their time, µs: those that revise others.
    pub delay_min_us: i64,
    /// Gives rows their flags. Every row is good where nothing else is said: the rules are not what is measured.
    pub flags: Flags,
    declarations: Arc<Declarations>,
    rules: QualityRules,
    sequence: u64,
    /// Everything recorded until then has been applied, µs.
    recorded_at: i64,
}

/// Where one row of `heat` stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Number of the station.
    pub station: u32,
    /// Position in [`PROPERTIES`].
    pub property: usize,
    /// Minutes since [`START_US`].
    pub minute: u32,
}

impl Table {
    /// Opens (or makes) the tables of `datasets` in `folder`. A commit is due at once; `change` sets other limits.
    ///
    /// # Errors
    /// Where a table cannot be opened.
    pub fn open(
        folder: &Path,
        datasets: &[&str],
        change: impl FnOnce(&mut LakeLimits),
    ) -> Result<Self> {
        let mut declarations = meetnet_model::schemas::builtin().into_declarations([]);
        declarations
            .datasets
            .retain(|id, _| datasets.contains(&id.as_str()));
        let declarations = Arc::new(declarations);
        let storage = Arc::new(FolderStorage::new(folder));
        let tables = DeclaredTables::read(storage, Arc::clone(&declarations))?;
        let mut options = LakeOptions::new(Uuid::nil());
        options.limits.commit_age_max = Duration::ZERO;
        options.limits.hot_bytes_max = 1 << 40;
        change(&mut options.limits);
        let lake = Lake::open(options, tables, Sequence::ZERO)?;
        Ok(Self {
            sequence: lake.sequence_floor().0,
            lake,
            delay_max_us: 5_000_000,
            delay_min_us: 0,
            flags: all_good,
            rules: QualityRules::new(&declarations),
            declarations,
            recorded_at: START_US,
        })
    }

    /// Returns a declared dataset.
    ///
    /// # Errors
    /// Where the table was opened without it.
    pub fn declaration(&self, dataset: &str) -> Result<Arc<DatasetDeclaration>> {
        let declaration = self.declarations.dataset(dataset);
        Ok(Arc::clone(
            declaration.context("the dataset is not declared")?,
        ))
    }

    /// Returns rows of `heat` at `places`; `change` is added to every value.
    ///
    /// # Errors
    /// Where `heat` is not among the datasets.
    pub fn heat(
        &self,
        places: impl IntoIterator<Item = Place>,
        change: f64,
    ) -> Result<DatasetRows> {
        let declaration = self.declaration("heat")?;
        let column = |name: &str| declaration.column_index(name).context("a column of heat");
        let (sensor, property) = (column("sensor_id")?, column("property")?);
        let (time, value) = (column("time")?, column("value")?);
        let mut builder = RowsBuilder::new(Arc::clone(&declaration));
        for (index, place) in places.into_iter().enumerate() {
            builder.set_text(sensor, &format!("bench-station-{:05}", place.station));
            builder.set_text(property, PROPERTIES[place.property]);
            builder.set_int(time, START_US + i64::from(place.minute) * MINUTE_US);
            builder.set_float(value, reading(place) + change);
            let finished = builder.finish_row(index as u32);
            ensure!(finished.is_ok(), "heat requires more than the bench fills");
        }
        Ok(builder.take())
    }

    /// Applies rows as one frame: received some time after their time, and recorded then. What one station says at one
    /// time has been received at one time.
    ///
    /// # Errors
    /// Where the lake does not take them.
    pub fn apply(&mut self, rows: &DatasetRows) -> Result<Applied> {
        self.sequence += 1;
        let time = rows.declaration.time_column();
        let index = rows.declaration.column_index(time).context("a time")?;
        let times = rows
            .batch
            .column(index)
            .as_primitive::<TimestampMicrosecondType>();
        let station = rows.batch.column(rows.declaration.key_indices()[0]);
        let source = SourceId::new("bench");
        let licence = LicenceId::new(LICENCE);
        let lineage: Vec<Lineage> = (0..rows.batch.num_rows())
            .map(|row| {
                let time = times.value(row);
                let chance = mix(station_number(station, row) ^ time as u64);
                let delay = (chance % self.delay_max_us.max(1) as u64) as i64;
                let received_at = time + self.delay_min_us + delay;
                Lineage {
                    sequence: Sequence(self.sequence),
                    received_at,
                    recorded_at: received_at,
                    source: source.clone(),
                    licence: licence.clone(),
                    precedence: 0,
                    confirms: false,
                }
            })
            .collect();
        // Each row comes in a message of its own.
        let rows = DatasetRows {
            declaration: Arc::clone(&rows.declaration),
            batch: rows.batch.clone(),
            envelopes: (0..rows.batch.num_rows() as u32).collect(),
            timeless: rows.timeless.clone(),
        };
        let mut flags = self.flags;
        let applied = self.lake.apply(&rows, &lineage, &mut flags)?;
        self.lake.advance(Sequence(self.sequence), START_US);
        Ok(applied)
    }

    /// Returns the datasets that are made of others' rows.
    pub fn made(&self) -> Vec<Arc<DatasetDeclaration>> {
        let datasets = self.declarations.datasets.values();
        datasets
            .filter(|declaration| declaration.is_made())
            .cloned()
            .collect()
    }

    /// Takes rows that were made of others past the journal, as the pipeline does: flagged by the rules of their dataset,
    /// and committed together with how far that is derived.
    ///
    /// # Errors
    /// Where the lake does not take them.
    pub fn take_derived(&mut self, chunk: DerivedChunk) -> Result<Applied, LakeError> {
        let DerivedChunk {
            mut rows,
            input,
            licence,
            through,
            position_id,
            position,
            ..
        } = chunk;
        self.sequence += 1;
        self.recorded_at = self.recorded_at.max(through) + 1;
        let sequence = Sequence(self.sequence);
        self.lake.advance(sequence, self.recorded_at);
        let count = rows.batch.num_rows();
        rows.envelopes = (0..count as u32).collect();
        let lineage = Lineage {
            sequence,
            received_at: through,
            recorded_at: self.recorded_at,
            source: SourceId::new(format!("derived:{input}")),
            licence,
            precedence: 0,
            confirms: false,
        };
        let lineage = vec![lineage; count];
        let rules = &self.rules;
        let flag = &mut |declaration: &_, batch: &_, positions: &[u32]| {
            let received_at = vec![through; positions.len()];
            let facts = RowFacts {
                received_at: &received_at,
                ..RowFacts::default()
            };
            rules.flag(declaration, batch, facts)
        };
        self.lake
            .import(&position_id, position, &rows, &lineage, flag)
    }

    /// Says that everything recorded until a time has been applied, and commits that; `recorded_at`: µs.
    ///
    /// # Errors
    /// Where a commit fails.
    pub fn settle(&mut self, recorded_at: i64) -> Result<()> {
        // An idle table commits only what is new.
        self.sequence += 1;
        self.recorded_at = self.recorded_at.max(recorded_at);
        self.lake.advance(Sequence(self.sequence), self.recorded_at);
        self.lake.commit_all()?;
        Ok(())
    }

    /// Commits what is hot and waits until it is admitted; returns how long that took.
    ///
    /// # Errors
    /// Where the commit fails.
    pub fn commit(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.lake.tick()?;
        while self.lake.trim_point() < self.lake.through() {
            ensure!(began.elapsed() < Duration::from_secs(300), "no commit came");
            thread::sleep(POLL);
            self.lake.tick()?;
        }
        let took = began.elapsed();
        self.lake.publish();
        Ok(took)
    }

    /// Fills `heat` with every minute of `minutes` minutes for some stations, in key order.
    ///
    /// # Errors
    /// Where a commit fails.
    pub fn fill(&mut self, stations: u32, minutes: u32) -> Result<u64> {
        let (mut rows, mut hot) = (0, 0);
        let per_station = minutes as usize * PROPERTIES.len();
        let at_once = (CHUNK_ROWS / per_station).max(1) as u32;
        for first in (0..stations).step_by(at_once as usize) {
            let chunk = first..stations.min(first + at_once);
            let chunk = self.heat(chunk.flat_map(|s| station_rows(s, 0..minutes)), 0.0)?;
            let applied = self.apply(&chunk)?;
            rows += applied.inserted;
            hot += applied.inserted as usize;
            if hot >= COMMIT_ROWS {
                self.commit()?;
                hot = 0;
            }
        }
        self.commit()?;
        // Who asks as of the stable time finds them all.
        let last = i64::from(minutes) * MINUTE_US + self.delay_min_us + self.delay_max_us;
        self.settle(START_US + last)?;
        Ok(rows)
    }

    /// Makes every partition one run; returns how long that took.
    ///
    /// # Errors
    /// Where a merge fails.
    pub fn compact(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.lake.request(UpkeepRequest::Compact(None))?;
        while self.lake.is_tending() {
            self.lake.tick()?;
            thread::sleep(POLL);
        }
        let took = began.elapsed();
        self.lake.publish();
        Ok(took)
    }

    /// Returns what readers of a dataset see.
    ///
    /// # Errors
    /// Where there is no such table.
    pub fn snapshot(&mut self, dataset: &str) -> Result<Arc<TableSnapshot>> {
        self.lake.publish();
        let snapshot = self.lake.shared().load_full();
        let table = snapshot.tables.get(&DatasetId::new(dataset));
        Ok(Arc::clone(table.context("no such table")?))
    }
}

/// Returns the places of one station's rows, in key order.
pub fn station_rows(station: u32, minutes: std::ops::Range<u32>) -> impl Iterator<Item = Place> {
    (0..PROPERTIES.len()).flat_map(move |property| {
        minutes.clone().map(move |minute| Place {
            station,
            property,
            minute,
        })
    })
}

/// Returns the places of all stations' rows in some minutes, as they arrive.
pub fn arriving(stations: u32, minutes: std::ops::Range<u32>) -> impl Iterator<Item = Place> {
    minutes.flat_map(move |minute| {
        (0..stations).flat_map(move |station| {
            (0..PROPERTIES.len()).map(move |property| Place {
                station,
                property,
                minute,
            })
        })
    })
}

/// What a station reads: a day's curve with some noise, in tenths.
fn reading(place: Place) -> f64 {
    let day = f64::from(place.minute % 1_440) / 1_440.0 * std::f64::consts::TAU;
    let number = u64::from(place.station) << 33 | (place.property as u64) << 32;
    let noise = (mix(number | u64::from(place.minute)) % 7) as f64 - 3.0;
    let own = f64::from(place.station % 31);
    let tenths = match place.property {
        0 => 120.0 + own - 70.0 * day.cos() + noise,
        _ => 700.0 - own + 180.0 * day.cos() + 2.0 * noise,
    };
    tenths.round() / 10.0
}

/// Returns a number for the first column of the key.
fn station_number(column: &ArrayRef, row: usize) -> u64 {
    match column.as_string_opt::<i32>() {
        Some(texts) => (texts.value(row).bytes()).fold(0, |sum, byte| mix(sum ^ u64::from(byte))),
        None => column
            .as_primitive_opt::<Int64Type>()
            .map_or(0, |numbers| mix(numbers.value(row) as u64)),
    }
}

/// Returns bits that look like chance.
pub fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Flags every row as good.
fn all_good(_: &DatasetDeclaration, rows: &RecordBatch, _: &[u32]) -> (Int8Array, Int64Array) {
    let all = |count| std::iter::repeat_n(1, count);
    (
        Int8Array::from_iter_values(all(rows.num_rows())),
        Int64Array::from_iter_values(std::iter::repeat_n(0, rows.num_rows())),
    )
}
