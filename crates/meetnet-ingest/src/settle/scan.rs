//! Rows in the order of series and time become the flags of whole days.
//!
//! `batch -> flags by the row alone -> series -> a day and what is around it -> flags -> those that differ`

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{partition, take};
use arrow::datatypes::{Int8Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use meetnet_lake::{LakeError, NewFlags};
use meetnet_model::calendar::DAY_US;
use meetnet_model::common;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::quality::QualityTest;
use meetnet_quality::backward::Observation;
use meetnet_quality::series::SeriesFlags;
use meetnet_quality::settle::{LOOK_AHEAD_US, WholeTests};
use meetnet_quality::{QualityRules, RowFacts, as_floats, with_series_flags};

use super::changes::{Changes, SeriesKey};
use super::days::{Tally, Wanted};
use super::neighbours::Neighbours;
use super::{SettleError, day_of};

/// Rows of a chunk of new flags, about: while it is committed, nothing else of its dataset is. Each chunk writes the files
/// again that hold its rows, so few large ones are written faster than many small ones.
const CHUNK_ROWS: usize = 400_000;

/// One row of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// µs since 1970 UTC.
    pub(super) time: i64,
    pub(super) revision: i64,
    /// µs since 1970 UTC.
    pub(super) recorded_at: i64,
    /// `quality` and `quality_tests` as they are stored.
    stored: (i8, i64),
    /// The same by the tests that look at the row alone.
    own: (i8, i64),
}

/// The rows of the series under way that days still need.
struct Series {
    /// Numbers count up from series to series.
    number: u64,
    key: SeriesKey,
    /// Of a long dataset.
    sensor: String,
    property: String,
    tests: Vec<WholeTests>,
    rows: Vec<Row>,
    /// Per test: the values of the rows.
    values: Vec<Vec<Observation>>,
    /// The first row that is not settled.
    next: usize,
}

/// The arrays of one batch.
struct Batch<'a> {
    times: &'a TimestampMicrosecondArray,
    received_at: &'a TimestampMicrosecondArray,
    recorded_at: &'a TimestampMicrosecondArray,
    revisions: &'a [i64],
    stored_quality: &'a [i8],
    stored_tests: &'a [i64],
    own_quality: &'a [i8],
    own_tests: &'a [i64],
}

/// Takes rows in key order.
pub(super) struct Scan<'a> {
    declaration: &'a Arc<DatasetDeclaration>,
    rules: &'a QualityRules,
    tests: Option<&'a HashMap<String, WholeTests>>,
    neighbours: &'a Neighbours,
    /// The days that are settled, µs.
    span: Range<i64>,
    reach: i64,
    wanted: &'a Wanted,
    tallies: &'a mut BTreeMap<i64, Tally>,
    send: &'a mut dyn FnMut(NewFlags) -> Result<(), SettleError>,
    series: Option<Series>,
    numbers: u64,
    changes: Changes,
}

impl<'a> Scan<'a> {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one thing that a scan works with"
    )]
    pub(super) fn new(
        declaration: &'a Arc<DatasetDeclaration>,
        rules: &'a QualityRules,
        neighbours: &'a Neighbours,
        span: Range<i64>,
        reach: i64,
        wanted: &'a Wanted,
        tallies: &'a mut BTreeMap<i64, Tally>,
        send: &'a mut dyn FnMut(NewFlags) -> Result<(), SettleError>,
    ) -> Self {
        Self {
            declaration,
            rules,
            tests: rules.whole_tests(&declaration.id),
            neighbours,
            span,
            reach,
            wanted,
            tallies,
            send,
            series: None,
            numbers: 0,
            changes: Changes::default(),
        }
    }

    /// The columns that it wants.
    pub(super) fn columns(&self) -> Vec<String> {
        let declared = self.declaration.columns.iter().map(|c| c.name.clone());
        let common = [
            common::QUALITY,
            common::QUALITY_TESTS,
            common::RECEIVED_AT,
            common::RECORDED_AT,
            common::REVISION,
        ];
        declared.chain(common.map(str::to_owned)).collect()
    }

    /// Takes the next rows.
    pub(super) fn take(&mut self, rows: &RecordBatch) -> Result<(), SettleError> {
        let column = |name: &str| rows.column_by_name(name);
        let micros = |name: &str| {
            column(name).and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
        };
        let numbers =
            |name: &str| column(name).and_then(|array| array.as_primitive_opt::<Int64Type>());
        let quality = column(common::QUALITY).and_then(|a| a.as_primitive_opt::<Int8Type>());
        let (Some(times), Some(received_at), Some(recorded_at)) = (
            micros(self.declaration.time_column()),
            micros(common::RECEIVED_AT),
            micros(common::RECORDED_AT),
        ) else {
            return Ok(());
        };
        let (Some(quality), Some(tests), Some(revisions)) = (
            quality,
            numbers(common::QUALITY_TESTS),
            numbers(common::REVISION),
        ) else {
            return Ok(());
        };
        // That a clock was off is known of the message, not of the row: what was said then stays.
        let clock_step = QualityTest::ClockStep.bit();
        let clock_steps = tests.values().iter().map(|bits| bits & clock_step != 0);
        let clock_steps: Vec<bool> = clock_steps.collect();
        let facts = RowFacts {
            clock_steps: &clock_steps,
            received_at: received_at.values(),
            series: &[],
        };
        let (own_quality, own_tests) = self.rules.flag(self.declaration, rows, facts);
        let batch = Batch {
            times,
            received_at,
            recorded_at,
            revisions: revisions.values(),
            stored_quality: quality.values(),
            stored_tests: tests.values(),
            own_quality: own_quality.values(),
            own_tests: own_tests.values(),
        };
        let key: Vec<ArrayRef> = self
            .declaration
            .key
            .iter()
            .filter(|name| *name != self.declaration.time_column())
            .filter_map(|name| column(name.as_str()).cloned())
            .collect();
        let ranges = if key.is_empty() {
            std::iter::once(0..rows.num_rows()).collect()
        } else {
            partition(&key).map_err(self.arrow())?.ranges()
        };
        let columns = self.tested_columns(rows);
        for range in ranges {
            self.enter(rows, &key, range.start)?;
            self.take_series(&batch, &columns, range)?;
        }
        Ok(())
    }

    /// Settles what is left.
    pub(super) fn finish(&mut self) -> Result<(), SettleError> {
        self.leave()?;
        self.send_changes(1)
    }

    /// The values that tests look at. The tests of a long dataset, whose values are in one column, are those of a series.
    fn tested_columns(&self, rows: &RecordBatch) -> Vec<(WholeTests, Arc<Float64Array>)> {
        let Some(tests) = self.tests else {
            return Vec::new();
        };
        let floats = |name: &str| rows.column_by_name(name).and_then(as_floats);
        if self.declaration.kind == DatasetKind::Long {
            let value = floats("value");
            return value
                .map(|values| (WholeTests::default(), values))
                .into_iter()
                .collect();
        }
        let columns = self.declaration.columns.iter();
        columns
            .filter_map(|column| Some((*tests.get(&column.name)?, floats(column.name.as_str())?)))
            .collect()
    }

    /// Makes the series of a row the one under way.
    fn enter(
        &mut self,
        rows: &RecordBatch,
        key: &[ArrayRef],
        row: usize,
    ) -> Result<(), SettleError> {
        let at = UInt32Array::from(vec![row as u32]);
        let key = key.iter().map(|column| take(column.as_ref(), &at, None));
        let key: SeriesKey = key.collect::<Result<_, _>>().map_err(self.arrow())?;
        if self.series.as_ref().is_some_and(|series| series.key == key) {
            return Ok(());
        }
        self.leave()?;
        let text = |name: &str| {
            let array = rows.column_by_name(name)?.as_string_opt::<i32>()?;
            Some(array.value(row).to_owned())
        };
        let (mut sensor, mut property) = (String::new(), String::new());
        let tests: Vec<WholeTests> = match (self.tests, self.declaration.kind) {
            (None, _) => Vec::new(),
            (Some(tests), DatasetKind::Long) => {
                sensor = text("sensor_id").unwrap_or_default();
                property = text("property").unwrap_or_default();
                tests.get(&property).copied().into_iter().collect()
            }
            (Some(_), _) => {
                let columns = self.tested_columns(rows).into_iter();
                columns.map(|(tests, _)| tests).collect()
            }
        };
        self.numbers += 1;
        self.series = Some(Series {
            number: self.numbers,
            key,
            sensor,
            property,
            values: vec![Vec::new(); tests.len()],
            tests,
            rows: Vec::new(),
            next: 0,
        });
        Ok(())
    }

    /// Takes rows of the series under way.
    fn take_series(
        &mut self,
        batch: &Batch<'_>,
        columns: &[(WholeTests, Arc<Float64Array>)],
        range: Range<usize>,
    ) -> Result<(), SettleError> {
        let first = self.span.start.saturating_sub(self.reach);
        let end = self.span.end.saturating_add(LOOK_AHEAD_US);
        for row in range {
            let time = batch.times.value(row);
            if time < first || time >= end {
                continue;
            }
            self.settle_until(time)?;
            let Some(series) = &mut self.series else {
                continue;
            };
            let recorded_at = if batch.recorded_at.is_valid(row) {
                batch.recorded_at.value(row)
            } else {
                batch.received_at.value(row)
            };
            series.rows.push(Row {
                time,
                revision: batch.revisions[row],
                recorded_at,
                stored: (batch.stored_quality[row], batch.stored_tests[row]),
                own: (batch.own_quality[row], batch.own_tests[row]),
            });
            for (values, (_, column)) in series.values.iter_mut().zip(columns) {
                let value = column.is_valid(row).then(|| column.value(row));
                let value = value.unwrap_or(f64::NAN);
                values.push(Observation { time, value });
            }
            if time < self.span.start {
                series.next = series.rows.len();
            }
        }
        Ok(())
    }

    /// Settles the series under way, and leaves it.
    fn leave(&mut self) -> Result<(), SettleError> {
        self.settle_until(i64::MAX)?;
        self.series = None;
        Ok(())
    }

    /// Settles the days of the series under way that no row at or after `time` belongs to.
    fn settle_until(&mut self, time: i64) -> Result<(), SettleError> {
        while let Some(series) = &mut self.series
            && let Some(next) = series.rows.get(series.next)
        {
            let day = day_of(next.time);
            let is_over = day.saturating_add(DAY_US + LOOK_AHEAD_US) <= time;
            if day >= self.span.end || !is_over {
                break;
            }
            let end = day.saturating_add(DAY_US);
            let stop = series.rows.partition_point(|row| row.time < end);
            if self.wanted.holds(day) {
                let tested = series.next..stop;
                let flags = series.flags(day, tested.clone(), self.neighbours);
                let tally = self.tallies.entry(day).or_default();
                for (row, flags) in series.rows[tested].iter().zip(flags) {
                    let flags = with_series_flags(row.own, flags);
                    tally.note(row, flags);
                    if flags != row.stored {
                        self.changes.push(series.number, &series.key, row, flags);
                    }
                }
            }
            series.forget(end.saturating_sub(self.reach), stop);
            self.send_changes(CHUNK_ROWS)?;
        }
        Ok(())
    }

    /// Sends what was gathered where there is so much of it.
    fn send_changes(&mut self, rows: usize) -> Result<(), SettleError> {
        if self.changes.len() < rows {
            return Ok(());
        }
        let flags = self.changes.take(self.declaration)?;
        (self.send)(flags)
    }

    fn arrow(&self) -> impl FnOnce(ArrowError) -> LakeError + use<> {
        let dataset = self.declaration.id.clone();
        move |source| LakeError::Arrow {
            operation: "go through",
            dataset,
            source,
        }
    }
}

impl Series {
    /// Returns the flags of the rows `tested`, which are those of a day, by the tests that look at other rows.
    fn flags(&self, day: i64, tested: Range<usize>, neighbours: &Neighbours) -> Vec<SeriesFlags> {
        let end = day.saturating_add(DAY_US + LOOK_AHEAD_US);
        let to = self.rows.partition_point(|row| row.time < end);
        let mut flags = vec![SeriesFlags::NOT_EVALUATED; tested.len()];
        for (tests, values) in self.tests.iter().zip(&self.values) {
            // Its own reach, not the longest of the dataset: another property's tests must not change its flags.
            let begin = day.saturating_sub(tests.reach_us());
            let from = self.rows.partition_point(|row| row.time < begin);
            let window = &values[from..to];
            let of_window = tests.flags(window, tested.start - from..tested.end - from);
            for (flags, own) in flags.iter_mut().zip(of_window) {
                flags.take_in(own);
            }
            if let Some(limits) = tests.neighbour {
                let near = neighbours.of(&self.property, &self.sensor);
                for (flags, now) in flags.iter_mut().zip(&values[tested.clone()]) {
                    flags.neighbour = near.test(*now, limits);
                }
            }
        }
        flags
    }

    /// Says that the rows before `settled` are settled; those before `time` are needed no more.
    fn forget(&mut self, time: i64, settled: usize) {
        let gone = self
            .rows
            .partition_point(|row| row.time < time)
            .min(settled);
        self.rows.drain(..gone);
        for values in &mut self.values {
            values.drain(..gone);
        }
        self.next = settled - gone;
    }
}

impl Tally {
    /// Counts a row, and what is different in its new flags.
    fn note(&mut self, row: &Row, flags: (i8, i64)) {
        self.rows += 1;
        self.changed += u64::from(flags != row.stored);
        for test in QualityTest::ALL {
            let counts = &mut self.by_test[test as usize];
            match (row.stored.1 & test.bit() != 0, flags.1 & test.bit() != 0) {
                (false, true) => counts.0 += 1,
                (true, false) => counts.1 += 1,
                _ => {}
            }
        }
    }
}
