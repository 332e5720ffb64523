//! The rows: recordings, where there are some, and years of the simulated city. Each becomes a table of ours, merged
//! into few files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use meetnet_benches::bodies;
use meetnet_benches::table::{MINUTE_US, START_US, Table, mix};
use meetnet_decode::{Decoders, EnvelopeRef};
use meetnet_demo::{City, DEFAULT_SEED, DemoSource, History};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use meetnet_model::source::WireFormat;
use meetnet_model::time;

/// 2026-11-01T00:00:00Z, µs: where generated years end.
const END_US: i64 = 1_793_491_200_000_000;
/// Minutes in a month.
const MONTH_MINUTES: u32 = 31 * 1_440;
/// Between two readings of an airRohr, µs.
const AIR_PERIOD_US: i64 = 145_000_000;
/// airRohrs whose readings are not rounded to a second: a million rows a month.
const AIR_SENSORS: usize = 30;
/// Stations that report each minute: 4.5 million rows a month.
const MINUTE_STATIONS: u32 = 50;

/// One set of rows.
pub(crate) struct Data {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) dataset: &'static str,
    /// Fills a table in a folder; false where its recordings are not there.
    pub(crate) fill: fn(&Path) -> Result<bool>,
}

/// All sets.
pub(crate) const DATA: [Data; 7] = [
    Data {
        name: "traffic-real",
        what: "a year of hours of five Telraam counters, recorded",
        dataset: "traffic",
        fill: |folder| match recordings("telraam/karlsruhe")? {
            Some(files) => traffic_real(folder, &files),
            None => Ok(false),
        },
    },
    Data {
        name: "air-real",
        what: "days of SDS011 sensors every 147 s, recorded",
        dataset: "air",
        fill: |folder| match recordings("sensor_community/archive_csv")? {
            Some(files) => air_real(folder, &files),
            None => Ok(false),
        },
    },
    Data {
        name: "traffic-year",
        what: "a year of hours of 60 simulated counters",
        dataset: "traffic",
        fill: |folder| year(folder, "traffic", &[DemoSource::Telraam]),
    },
    Data {
        name: "air-year",
        what: "a year of hours of 80 simulated sensors",
        dataset: "air",
        fill: |folder| year(folder, "air", &[DemoSource::Airrohr]),
    },
    Data {
        name: "air-live",
        what: "a month of 30 simulated airRohrs, whose time is that of their reception",
        dataset: "air",
        fill: air_live,
    },
    Data {
        name: "heat-year",
        what: "a year of hours of 60 simulated stations",
        dataset: "heat",
        fill: |folder| year(folder, "heat", &[DemoSource::Lora, DemoSource::Balcony]),
    },
    Data {
        name: "heat-minutes",
        what: "a month of minutes of 50 simulated stations",
        dataset: "heat",
        fill: |folder| {
            let mut table = Table::open(folder, &["heat"], |limits| limits.compaction = false)?;
            table.fill(MINUTE_STATIONS, MONTH_MINUTES)?;
            table.compact()?;
            Ok(true)
        },
    },
];

/// Returns the files of a folder of recordings, sorted; None where none are at hand.
fn recordings(folder: &str) -> Result<Option<Vec<PathBuf>>> {
    let Some(root) = std::env::var_os("MEETNET_REAL_DATA") else {
        return Ok(None);
    };
    let folder = Path::new(&root).join(folder);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(Some(files))
}

fn rows_of(declaration: &Arc<DatasetDeclaration>, batch: RecordBatch) -> DatasetRows {
    DatasetRows {
        declaration: Arc::clone(declaration),
        envelopes: vec![0; batch.num_rows()],
        timeless: Vec::new(),
        batch,
    }
}

fn year(folder: &Path, dataset: &str, sources: &[DemoSource]) -> Result<bool> {
    let mut table = Table::open(folder, &[dataset], |limits| limits.compaction = false)?;
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let city = Arc::new(City::new(DEFAULT_SEED));
    let history = History::new(city, &declarations, &PrivacyKey::new("bench"), END_US, 365)?;
    for chunk in sources.iter().flat_map(|source| history.chunks_of(*source)) {
        let declaration = table.declaration(dataset)?;
        table.apply(&rows_of(&declaration, chunk.batch))?;
        table.commit()?;
    }
    table.compact()?;
    Ok(true)
}

/// Readings about every 145 s, at instants that no clock has rounded.
fn air_live(folder: &Path) -> Result<bool> {
    let mut table = Table::open(folder, &["air"], |limits| limits.compaction = false)?;
    table.delay_max_us = 0;
    let declaration = table.declaration("air")?;
    let column = |name: &str| declaration.column_index(name).context("a column of air");
    let (sensor, property) = (column("sensor_id")?, column("property")?);
    let (time, value) = (column("time")?, column("value")?);
    let city = City::new(DEFAULT_SEED);
    let month_us = i64::from(MONTH_MINUTES) * MINUTE_US;
    let rounds = month_us / AIR_PERIOD_US;
    let skies: Vec<_> = (0..rounds)
        .map(|round| city.sky((START_US + round * AIR_PERIOD_US) / 1_000_000))
        .collect();
    for (number, device) in city.air_sensors.iter().take(AIR_SENSORS).enumerate() {
        let mut builder = RowsBuilder::new(Arc::clone(&declaration));
        for name in ["pm10", "pm2_5"] {
            for (round, sky) in skies.iter().enumerate() {
                let reading = device.read(sky);
                let chance = mix((number as u64) << 32 | round as u64) % 1_500_000;
                let micros = START_US + round as i64 * AIR_PERIOD_US + chance as i64;
                builder.set_text(sensor, &format!("airrohr-{:016x}", mix(number as u64)));
                builder.set_text(property, name);
                builder.set_int(time, micros);
                let pm10 = name == "pm10";
                builder.set_float(value, if pm10 { reading.pm10 } else { reading.pm2_5 });
                let finished = builder.finish_row(0);
                ensure!(finished.is_ok(), "air requires more than the bench fills");
            }
        }
        table.apply(&builder.take())?;
    }
    table.commit()?;
    table.compact()?;
    Ok(true)
}

/// Decodes collected Telraam reports as the daemon does.
fn traffic_real(folder: &Path, files: &[PathBuf]) -> Result<bool> {
    let mut declarations = bodies::declarations(WireFormat::Telraam);
    for source in declarations.sources.values_mut() {
        // Recordings are older than a live message may be.
        Arc::make_mut(source).time_window.back_us *= 10;
    }
    let decoders = Decoders::new(&Arc::new(declarations), &PrivacyKey::new("bench"))?;
    let mut group = decoders.group();
    for (index, file) in files.iter().enumerate() {
        let payload = fs::read(file)?;
        let envelope = EnvelopeRef {
            sequence: index as u64 + 1,
            source: "bench",
            topic: "telraam/bench/report",
            meta: &[],
            payload: &payload,
            received_at: END_US,
            truncated: false,
        };
        decoders.decode(index as u32, &envelope, &mut group);
    }
    let decoded = group.take();
    ensure!(
        decoded.rejects.is_empty(),
        "{} rejects",
        decoded.rejects.len()
    );
    let mut table = Table::open(folder, &["traffic"], |limits| limits.compaction = false)?;
    for rows in &decoded.rows {
        table.apply(rows)?;
    }
    table.commit()?;
    table.compact()?;
    Ok(true)
}

/// Reads daily files of sensor.community's archive: `sensor_id;…;timestamp;P1;durP1;ratioP1;P2;…`.
fn air_real(folder: &Path, files: &[PathBuf]) -> Result<bool> {
    let mut table = Table::open(folder, &["air"], |limits| limits.compaction = false)?;
    let declaration = table.declaration("air")?;
    let column = |name: &str| declaration.column_index(name).context("a column of air");
    let (sensor, property) = (column("sensor_id")?, column("property")?);
    let (time, value) = (column("time")?, column("value")?);
    let mut builder = RowsBuilder::new(Arc::clone(&declaration));
    for file in files {
        for line in fs::read_to_string(file)?.lines().skip(1) {
            let fields: Vec<&str> = line.split(';').collect();
            // One recording ends in the middle of a line.
            let [id, _, _, _, _, taken, pm10, _, _, pm2_5, ..] = fields[..] else {
                continue;
            };
            let Ok(micros) = time::parse_rfc3339(&format!("{taken}Z")) else {
                continue;
            };
            for (name, text) in [("pm10", pm10), ("pm2_5", pm2_5)] {
                let Ok(number) = text.parse() else { continue };
                builder.set_text(sensor, &format!("sensor.community-{id}"));
                builder.set_text(property, name);
                builder.set_int(time, micros);
                builder.set_float(value, number);
                let finished = builder.finish_row(0);
                ensure!(
                    finished.is_ok(),
                    "air requires more than the recordings have"
                );
            }
        }
    }
    table.apply(&builder.take())?;
    table.commit()?;
    table.compact()?;
    Ok(true)
}
