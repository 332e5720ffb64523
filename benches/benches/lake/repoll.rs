//! `repoll`: 72 hours are asked for again and again, and nothing in them is new. Of `heat`, a station's minutes; of
//! `traffic`, a counter's hours with all their columns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow::compute::concat_batches;
use meetnet_benches::figures::{at_most, begin, figure};
use meetnet_benches::table::{Table, station_rows};
use meetnet_demo::{City, DEFAULT_SEED, DemoSource, History};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::rows::DatasetRows;

/// 72 hours, minutes.
const MINUTES: u32 = 72 * 60;
/// Stations, for about a million rows.
const STATIONS: u32 = 116;
/// 72 hours, hours.
const HOURS: usize = 72;
/// Bodies of 72 hourly reports in one MiB of frames: what the pipeline takes at once.
const BODIES: usize = 17;
/// 2026-11-01T00:00:00Z, µs.
const END_US: i64 = 1_793_491_200_000_000;

pub(crate) fn run() -> Result<()> {
    begin("72 hours of `heat` again, all equal");
    let folder = tempfile::tempdir()?;
    let mut table = Table::open(folder.path(), &["heat"], |_| {})?;
    table.fill(STATIONS, MINUTES)?;
    table.compact()?;
    let polls = (0..STATIONS)
        .map(|station| table.heat(station_rows(station, 0..MINUTES), 0.0))
        .collect::<Result<Vec<_>>>()?;
    again(&mut table, "heat", &polls)?;

    begin("72 hours of `traffic` again, all equal");
    let folder = tempfile::tempdir()?;
    let mut table = Table::open(folder.path(), &["traffic"], |_| {})?;
    let polls = traffic(&mut table)?;
    again(&mut table, "traffic", &polls)
}

fn again(table: &mut Table, dataset: &str, polls: &[DatasetRows]) -> Result<()> {
    let before = table.snapshot(dataset)?;
    let (mut rows, mut time) = (0, Duration::ZERO);
    for poll in polls {
        let began = Instant::now();
        let counts = table.apply(poll)?;
        table.commit()?;
        time += began.elapsed();
        ensure!(
            counts.unchanged as usize == poll.batch.num_rows(),
            "not all equal: {counts:?}"
        );
        rows += counts.unchanged;
    }
    let after = table.snapshot(dataset)?;
    ensure!(
        before.version == after.version && Arc::ptr_eq(&before.files, &after.files),
        "files were written for rows that are stored"
    );
    figure("rows in a group", (rows / polls.len() as u64) as f64, "");
    let per_million = time.as_secs_f64() * 1e6 / rows as f64;
    at_most("time per million rows", per_million, "s", 1.0);
    figure("files written", 0.0, "");
    Ok(())
}

/// Fills `traffic` with a year of 60 counters; returns the same rows as polls bring them.
fn traffic(table: &mut Table) -> Result<Vec<DatasetRows>> {
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let key = PrivacyKey::new("bench");
    let city = Arc::new(City::new(DEFAULT_SEED));
    let history = History::new(city, &declarations, &key, END_US, 365)?;
    let declaration = table.declaration("traffic")?;
    let rows = |batch: arrow::array::RecordBatch| DatasetRows {
        declaration: Arc::clone(&declaration),
        envelopes: (0..batch.num_rows() as u32).collect(),
        timeless: Vec::new(),
        batch,
    };
    let mut polls = Vec::new();
    for chunk in history.chunks_of(DemoSource::Telraam) {
        let batch = chunk.batch;
        let ids = batch.column_by_name("segment_id").context("segments")?;
        let same = arrow::compute::partition(std::slice::from_ref(ids))?;
        let mut windows = Vec::new();
        for segment in same.ranges() {
            for start in segment.clone().step_by(HOURS) {
                windows.push(batch.slice(start, HOURS.min(segment.end - start)));
            }
        }
        for bodies in windows.chunks(BODIES) {
            polls.push(rows(concat_batches(&batch.schema(), bodies)?));
        }
        table.apply(&rows(batch))?;
        table.commit()?;
    }
    table.compact()?;
    Ok(polls)
}
