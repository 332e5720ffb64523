//! Declared rules to flags: what runs on rows about to be inserted.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_model::calendar::{SECOND_US, month, period_end, period_start};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind, Grain, QualityRule};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::quality::{PropertyTests, Quality, QualityTest};

use crate::names::Names;
use crate::series::{SeriesFlags, SeriesTests};
use crate::settle::WholeTests;
use crate::value::{Climatology, gross_range, location};

/// How far a row's time may lie ahead of its receive time: clocks of devices are this wrong now and then.
const TIME_AHEAD_MAX_US: i64 = 300 * SECOND_US;

/// The declared rules, ready to run.
#[derive(Clone, Debug, Default)]
pub struct QualityRules {
    /// Per long dataset: property name -> its rules.
    properties: HashMap<DatasetId, HashMap<String, PropertyRules>>,
    /// The same for the columns of wide datasets that have tests.
    columns: HashMap<DatasetId, HashMap<String, PropertyRules>>,
    /// Per dataset: the tests of whole series, by property or column.
    whole: HashMap<DatasetId, HashMap<String, WholeTests>>,
}

/// The rules of one property.
#[derive(Clone, Debug)]
pub(crate) struct PropertyRules {
    range: [f64; 2],
    suspect_range: Option<[f64; 2]>,
    climatology: Option<Climatology>,
    /// The tests by earlier rows.
    pub(crate) series: Option<SeriesTests>,
}

/// What is known of rows beside their columns. Each list is by row, or empty where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowFacts<'a> {
    /// Whether the row's time is a receive time that may be wrong.
    pub clock_steps: &'a [bool],
    /// When the row was received, µs since 1970.
    pub received_at: &'a [i64],
    /// What the tests by earlier rows say.
    pub series: &'a [SeriesFlags],
}

/// The flag of one row while its tests run: four bytes, as those of a batch are gone through several times.
#[derive(Clone, Copy)]
struct Verdict {
    quality: Quality,
    tests: u16,
}

const _: () = assert!(QualityTest::ALL.len() <= u16::BITS as usize, "a bit each");

/// The month that the time before lay in: most often the next one's, too, without a calendar.
#[derive(Default)]
struct LastMonth {
    from: i64,
    until: i64,
    month: u8,
}

impl LastMonth {
    /// Returns the month of an instant, 1 to 12, UTC.
    fn of(&mut self, time: i64) -> u8 {
        if !(self.from..self.until).contains(&time) {
            *self = Self {
                from: period_start(time, Grain::Month),
                until: period_end(time, Grain::Month),
                month: month(time),
            };
        }
        self.month
    }
}

impl Verdict {
    const UNTESTED: Self = Self {
        quality: Quality::NotEvaluated,
        tests: 0,
    };

    /// Takes what a test says into account.
    fn take(&mut self, flag: Quality, test: QualityTest) {
        match flag {
            Quality::NotEvaluated => {}
            Quality::Pass => self.pass(),
            Quality::Suspect | Quality::Fail | Quality::Missing => self.raise(flag, test),
        }
    }

    /// Takes into account what the tests that look at other rows say.
    #[inline]
    fn take_series(&mut self, flags: SeriesFlags) {
        // Without a branch per test: almost every row passes. Each flag that one of them has is a bit.
        const fn bit(flag: Quality) -> u16 {
            1 << (flag as u8)
        }
        const RAISED: u16 = bit(Quality::Suspect) | bit(Quality::Fail);
        let codes = bit(flags.rate_of_change)
            | bit(flags.flat_line)
            | bit(flags.attenuated_signal)
            | bit(flags.spike)
            | bit(flags.neighbour);
        if codes & RAISED != 0 {
            *self = self.raised_by(flags);
        }
        if codes & bit(Quality::Pass) != 0 {
            self.pass();
        }
    }

    /// Takes those into account that did not pass. That a value is missing was said by a test of its own. By value: what a
    /// call may change where it lies is in no register, whether it is called or not.
    #[cold]
    fn raised_by(mut self, flags: SeriesFlags) -> Self {
        for (flag, test) in [
            (flags.rate_of_change, QualityTest::RateOfChange),
            (flags.flat_line, QualityTest::FlatLine),
            (flags.attenuated_signal, QualityTest::AttenuatedSignal),
            (flags.spike, QualityTest::Spike),
            (flags.neighbour, QualityTest::Neighbour),
        ] {
            if matches!(flag, Quality::Suspect | Quality::Fail) {
                self.raise(flag, test);
            }
        }
        self
    }

    /// Takes into account when its row was received. The value of a row whose time had not come then may be right, its time is
    /// not.
    #[inline]
    fn take_receive_time(&mut self, time: i64, received_at: i64) {
        if time.saturating_sub(received_at) > TIME_AHEAD_MAX_US {
            self.raise(Quality::Suspect, QualityTest::Time);
        }
    }

    /// Takes into account what is known of a row beside its columns, but for when it was received.
    #[inline]
    fn take_facts(&mut self, row: usize, facts: RowFacts<'_>) {
        if let Some(flags) = facts.series.get(row) {
            self.take_series(*flags);
        }
        if facts.clock_steps.get(row) == Some(&true) {
            self.raise(Quality::Suspect, QualityTest::ClockStep);
        }
    }

    /// Returns what `quality` and `quality_tests` say.
    fn codes(self) -> (i8, i64) {
        (self.quality.code(), i64::from(self.tests))
    }

    /// Takes a passed test into account.
    fn pass(&mut self) {
        if self.quality == Quality::NotEvaluated {
            self.quality = Quality::Pass;
        }
    }

    /// Takes a test that did not pass into account; the worse flag stays, and "missing" is the last word.
    fn raise(&mut self, quality: Quality, test: QualityTest) {
        self.tests |= test.bit() as u16;
        if self.quality == Quality::NotEvaluated || quality > self.quality {
            self.quality = quality;
        }
    }
}

/// Adds what the tests of whole series say of a row to the flag that its other tests gave it, as [`QualityRules::flag`]
/// returns it: `quality` and `quality_tests`.
pub fn with_series_flags((quality, tests): (i8, i64), flags: SeriesFlags) -> (i8, i64) {
    let mut verdict = Verdict {
        quality: Quality::from_code(quality).unwrap_or(Quality::NotEvaluated),
        tests: 0,
    };
    verdict.take_series(flags);
    (verdict.quality.code(), tests | i64::from(verdict.tests))
}

impl PropertyRules {
    fn new(range: [f64; 2], tests: &PropertyTests) -> Self {
        let limits = &tests.climatology;
        Self {
            range,
            suspect_range: tests.suspect_range,
            climatology: (!limits.is_empty()).then(|| Climatology::new(limits)),
            series: SeriesTests::new(tests),
        }
    }

    /// Runs the tests of one value; `time` is its row's, where that is known.
    #[inline]
    fn test(&self, value: f64, time: Option<i64>, months: &mut LastMonth, verdict: &mut Verdict) {
        let flag = gross_range(value, self.range, self.suspect_range);
        verdict.take(flag, QualityTest::GrossRange);
        if let (Some(climatology), Some(time)) = (&self.climatology, time) {
            let flag = climatology.test(value, months.of(time));
            verdict.take(flag, QualityTest::Climatology);
        }
    }
}

impl QualityRules {
    /// Reads the rules of all datasets.
    pub fn new(declarations: &Declarations) -> Self {
        let mut rules = Self::default();
        for declared in &declarations.properties {
            let of_property = PropertyRules::new(declared.range, &declared.tests);
            let properties = rules.properties.entry(declared.dataset.clone());
            properties
                .or_default()
                .insert(declared.name.clone(), of_property);
            rules.add_whole(&declared.dataset, &declared.name, &declared.tests);
        }
        let wide = declarations.datasets.values();
        for dataset in wide.filter(|dataset| dataset.kind == DatasetKind::Wide) {
            let tested = dataset.columns.iter().filter(|c| !c.tests.is_empty());
            for column in tested {
                let range = column.range.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
                let columns = rules.columns.entry(dataset.id.clone()).or_default();
                columns.insert(
                    column.name.clone(),
                    PropertyRules::new(range, &column.tests),
                );
                rules.add_whole(&dataset.id, &column.name, &column.tests);
            }
        }
        rules
    }

    fn add_whole(&mut self, dataset: &DatasetId, name: &str, tests: &PropertyTests) {
        if let Some(tests) = WholeTests::new(tests) {
            let of_dataset = self.whole.entry(dataset.clone()).or_default();
            of_dataset.insert(name.to_owned(), tests);
        }
    }

    /// Returns the tests of whole series of a dataset: by property of a long one, by column of a wide one.
    pub fn whole_tests(&self, dataset: &DatasetId) -> Option<&HashMap<String, WholeTests>> {
        self.whole.get(dataset)
    }

    /// Returns the rules of a dataset by property, where one has tests by earlier rows.
    pub(crate) fn with_series_tests(
        &self,
        dataset: &DatasetId,
    ) -> Option<&HashMap<String, PropertyRules>> {
        let rules = self.properties.get(dataset)?;
        let has_tests = rules.values().any(|rules| rules.series.is_some());
        has_tests.then_some(rules)
    }

    /// Returns the columns `quality` and `quality_tests` of rows that start with the declared columns.
    pub fn flag(
        &self,
        declaration: &DatasetDeclaration,
        rows: &RecordBatch,
        facts: RowFacts<'_>,
    ) -> (Int8Array, Int64Array) {
        if declaration.kind == DatasetKind::Long {
            return self.flag_long(declaration, rows, facts);
        }
        let mut verdicts = vec![Verdict::UNTESTED; rows.num_rows()];
        match declaration.kind {
            DatasetKind::Wide => {
                self.flag_wide(declaration, rows, &mut verdicts);
                flag_times(declaration, rows, facts, &mut verdicts);
            }
            DatasetKind::Places => flag_places(declaration, rows, &mut verdicts),
            DatasetKind::Long | DatasetKind::Private => {}
        }
        let verdicts = verdicts.into_iter().enumerate();
        columns(verdicts.map(|(row, mut verdict)| {
            verdict.take_facts(row, facts);
            verdict
        }))
    }

    /// All tests of a row at once: its flag is nowhere else before it is in the columns. In a loop, and not as what [`columns`]
    /// asks for: what is as long as this is called for each row there.
    fn flag_long(
        &self,
        declaration: &DatasetDeclaration,
        rows: &RecordBatch,
        facts: RowFacts<'_>,
    ) -> (Int8Array, Int64Array) {
        let values = column(declaration, rows, "value")
            .and_then(|array| array.as_primitive_opt::<Float64Type>());
        let properties =
            column(declaration, rows, "property").and_then(|array| array.as_string_opt::<i32>());
        let measured = values.zip(properties);
        let times = times(declaration, rows);
        let of_dataset = self.properties.get(&declaration.id);
        let mut tested = Names::default();
        let mut months = LastMonth::default();
        let mut quality = vec![0_i8; rows.num_rows()];
        let mut tests = vec![0_i64; rows.num_rows()];
        let places = quality.iter_mut().zip(&mut tests);
        for (row, (quality, tests)) in places.enumerate() {
            let mut verdict = Verdict::UNTESTED;
            let time = times.map(|times| times[row]);
            if let Some((values, properties)) = measured {
                let rules = tested.find(properties.value(row), |name| of_dataset?.get(name));
                if values.is_null(row) {
                    verdict.raise(Quality::Missing, QualityTest::Missing);
                } else if let Some(rules) = rules {
                    rules.test(values.value(row), time, &mut months, &mut verdict);
                }
            }
            if let Some((time, received_at)) = time.zip(facts.received_at.get(row)) {
                verdict.take_receive_time(time, *received_at);
            }
            verdict.take_facts(row, facts);
            (*quality, *tests) = verdict.codes();
        }
        (quality.into(), tests.into())
    }

    fn flag_wide(
        &self,
        declaration: &DatasetDeclaration,
        rows: &RecordBatch,
        verdicts: &mut [Verdict],
    ) {
        let times = times(declaration, rows);
        let tested = self.columns.get(&declaration.id);
        let mut months = LastMonth::default();
        for (column, array) in declaration.columns.iter().zip(rows.columns()) {
            let rules = tested.and_then(|tested| tested.get(&column.name));
            let is_tested = rules.is_some() || column.range.is_some();
            if !is_tested || declaration.key.contains(&column.name) {
                continue;
            }
            let Some(values) = as_floats(array) else {
                continue;
            };
            for (row, verdict) in verdicts.iter_mut().enumerate() {
                if values.is_null(row) {
                    continue;
                }
                let value = values.value(row);
                if let Some(rules) = rules {
                    let time = times.map(|times| times[row]);
                    rules.test(value, time, &mut months, verdict);
                } else if let Some(range) = column.range {
                    verdict.take(gross_range(value, range, None), QualityTest::GrossRange);
                }
            }
        }
        flag_by_rules(declaration, rows, verdicts);
    }
}

/// Returns the columns `quality` and `quality_tests`.
fn columns(verdicts: impl Iterator<Item = Verdict>) -> (Int8Array, Int64Array) {
    let (quality, tests): (Vec<i8>, Vec<i64>) = verdicts.map(Verdict::codes).unzip();
    (quality.into(), tests.into())
}

fn flag_times(
    declaration: &DatasetDeclaration,
    rows: &RecordBatch,
    facts: RowFacts<'_>,
    verdicts: &mut [Verdict],
) {
    let Some(times) = times(declaration, rows) else {
        return;
    };
    for ((verdict, time), received_at) in verdicts.iter_mut().zip(times).zip(facts.received_at) {
        verdict.take_receive_time(*time, *received_at);
    }
}

fn flag_places(declaration: &DatasetDeclaration, rows: &RecordBatch, verdicts: &mut [Verdict]) {
    let degrees = |name: &str| column(declaration, rows, name).and_then(as_floats);
    let (Some(lon), Some(lat)) = (degrees("lon"), degrees("lat")) else {
        return;
    };
    let range = |name: &str| declaration.columns[declaration.column_index(name)?].range;
    let bounds = [range("lon"), range("lat")];
    let value = |array: &Float64Array, row: usize| array.is_valid(row).then(|| array.value(row));
    for (row, verdict) in verdicts.iter_mut().enumerate() {
        let place = [value(&lon, row), value(&lat, row)];
        let is_outside = |(degrees, range): (Option<f64>, Option<[f64; 2]>)| {
            let known = degrees.zip(range);
            known.is_some_and(|(degrees, [min, max])| degrees < min || degrees > max)
        };
        match location(place[0], place[1]) {
            // A segment may be known by its number alone.
            Quality::Missing => {}
            Quality::Pass if place.into_iter().zip(bounds).any(is_outside) => {
                verdict.take(Quality::Suspect, QualityTest::Location);
            }
            flag => verdict.take(flag, QualityTest::Location),
        }
    }
}

/// Runs the declared rules of a wide dataset.
fn flag_by_rules(declaration: &DatasetDeclaration, rows: &RecordBatch, verdicts: &mut [Verdict]) {
    for rule in &declaration.rules {
        match rule {
            QualityRule::Uptime {
                column: name,
                suspect_below,
            } => {
                let Some(values) = column(declaration, rows, name).and_then(as_floats) else {
                    continue;
                };
                for (row, verdict) in verdicts.iter_mut().enumerate() {
                    if values.is_null(row) {
                        continue;
                    }
                    if values.value(row) < *suspect_below {
                        verdict.raise(Quality::Suspect, QualityTest::Uptime);
                    } else {
                        verdict.pass();
                    }
                }
            }
            QualityRule::Missing { columns } => {
                let arrays: Vec<&ArrayRef> = columns
                    .iter()
                    .filter_map(|name| column(declaration, rows, name))
                    .collect();
                for (row, verdict) in verdicts.iter_mut().enumerate() {
                    if !arrays.is_empty() && arrays.iter().all(|array| array.is_null(row)) {
                        verdict.raise(Quality::Missing, QualityTest::Missing);
                    }
                }
            }
        }
    }
}

/// Returns a declared column.
fn column<'a>(
    declaration: &DatasetDeclaration,
    rows: &'a RecordBatch,
    name: &str,
) -> Option<&'a ArrayRef> {
    let index = declaration.column_index(name)?;
    Some(rows.column(index))
}

/// Returns the times of rows that each have one, µs since 1970.
fn times<'a>(declaration: &DatasetDeclaration, rows: &'a RecordBatch) -> Option<&'a [i64]> {
    let array = column(declaration, rows, "time")?;
    let times = array.as_primitive_opt::<TimestampMicrosecondType>()?;
    (times.null_count() == 0).then(|| &times.values()[..])
}

/// Returns a numeric column as floats; None for other types.
pub fn as_floats(array: &ArrayRef) -> Option<Arc<Float64Array>> {
    match array.data_type() {
        DataType::Float64 => Some(Arc::new(array.as_primitive::<Float64Type>().clone())),
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            Some(Arc::new(
                values.iter().map(|value| value.map(|v| v as f64)).collect(),
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
