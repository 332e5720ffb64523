//! What must be in the answers: the effects of messages, folded as they are acknowledged.
//!
//! ```text
//! Effects (rows, rejects) + deliveries ──▶ Tally: per source and series a Fold of what must be, one of what may be
//! ```
//!
//! A message counts as "must" once one of its copies was acknowledged (PUBACK, 2xx). One that was sent and neither
//! acknowledged nor turned away "may" be there. Memory depends on the number of series only.

use std::collections::BTreeMap;

use meetnet_model::reject::RejectReason;
use serde::{Deserialize, Serialize};

use super::lane::LoadFormat;
use super::{Load, Reading};

/// Version of the written expectation.
const VERSION: u32 = 1;
/// Parts of the canonical unit that values are counted in: [`Row::value`], and the figures of a [`Fold`].
pub const SCALE: i64 = 10_000;
/// The one dataset here that has a column per quantity.
const TRAFFIC: &str = "traffic";

/// One quantity of a dataset: a property, or in wide datasets a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The dataset.
    pub dataset: &'static str,
    /// The property or column.
    pub name: &'static str,
}

const fn series(dataset: &'static str, name: &'static str) -> Series {
    Series { dataset, name }
}

const CAR: Series = series(TRAFFIC, "car");
const BIKE: Series = series(TRAFFIC, "bike");
const PM2_5: Series = series("air", "pm2_5");
const PM10: Series = series("air", "pm10");
const TEMPERATURE: Series = series("heat", "air_temperature");
const HUMIDITY: Series = series("heat", "relative_humidity");
const PRESSURE: Series = series("heat", "air_pressure");

/// One value that a message makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is of.
    pub series: Series,
    /// In parts of [`SCALE`] of the canonical unit.
    pub value: i64,
}

/// What becomes of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Its values.
    pub rows: Vec<Row>,
    /// Parts of it that cannot be read: rejects `malformed`.
    pub malformed: u64,
    /// Whether its second copy makes the same keys again; else every copy has keys of its own.
    pub has_own_time: bool,
}

impl Effects {
    /// Returns what the readings of a message become; of a truncated one what its cut leaves.
    pub(super) fn of(format: LoadFormat, readings: &[Reading], is_truncated: bool) -> Self {
        let mut effects = Self {
            has_own_time: format.has_own_time(),
            ..Self::default()
        };
        let is_station = matches!(format, LoadFormat::Ecowitt | LoadFormat::Wunderground);
        let whole = match readings.split_last() {
            Some((_, before)) if is_truncated => before,
            _ => readings,
        };
        for reading in whole {
            reading.rows(format, &mut effects.rows);
        }
        match readings.last() {
            // The form ends within the field behind the temperature; a missing field is no fault.
            Some(last) if is_truncated && is_station => effects.rows.push(last.temperature()),
            Some(_) if is_truncated => effects.malformed = 1,
            _ => {}
        }
        effects
    }
}

impl Reading {
    fn temperature(&self) -> Row {
        row(TEMPERATURE, self.half_degrees * (SCALE / 2))
    }

    fn rows(&self, format: LoadFormat, rows: &mut Vec<Row>) {
        let count = |[left, right]: [u32; 2]| (i64::from(left) + i64::from(right)) * SCALE;
        let humidity = row(HUMIDITY, self.percent * SCALE);
        let pm2_5 = row(PM2_5, self.pm2_5 * (SCALE / 100));
        let pm10 = row(PM10, self.pm10 * (SCALE / 100));
        match format {
            LoadFormat::Telraam => {
                rows.extend([row(CAR, count(self.cars)), row(BIKE, count(self.bikes))]);
            }
            LoadFormat::Airrohr => rows.extend([
                pm2_5,
                pm10,
                self.temperature(),
                humidity,
                // Sent in Pa, kept in hPa.
                row(PRESSURE, self.pascals * (SCALE / 100)),
            ]),
            LoadFormat::SensorCommunity => rows.extend([pm2_5, pm10]),
            LoadFormat::SensorThings => rows.push(self.temperature()),
            LoadFormat::Ngsi | LoadFormat::NgsiKeyValues => {
                rows.extend([pm2_5, self.temperature()])
            }
            LoadFormat::Tts
            | LoadFormat::Json
            | LoadFormat::Ecowitt
            | LoadFormat::Wunderground
            | LoadFormat::Influx
            | LoadFormat::InfluxV2
            | LoadFormat::Chirpstack
            | LoadFormat::ChirpstackV3
            | LoadFormat::NgsiLd
            | LoadFormat::Senml
            | LoadFormat::Csv
            | LoadFormat::Ndjson => rows.extend([self.temperature(), humidity]),
        }
    }
}

fn row(series: Series, value: i64) -> Row {
    Row { series, value }
}

/// Count, sum and extremes of values, in parts of [`SCALE`] of the canonical unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// How many.
    pub rows: u64,
    /// Their sum.
    pub sum: i64,
    /// The smallest; none where there are none.
    pub lowest: Option<i64>,
    /// The largest.
    pub highest: Option<i64>,
}

impl Fold {
    /// Adds a value.
    pub fn add(&mut self, value: i64) {
        *self = self.with(&Self {
            rows: 1,
            sum: value,
            lowest: Some(value),
            highest: Some(value),
        });
    }

    /// Returns both together.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let pick = |mine: Option<i64>, theirs: Option<i64>, better: fn(i64, i64) -> i64| {
            mine.into_iter().chain(theirs).reduce(better)
        };
        Self {
            rows: self.rows + other.rows,
            sum: self.sum.saturating_add(other.sum),
            lowest: pick(self.lowest, other.lowest, i64::min),
            highest: pick(self.highest, other.highest, i64::max),
        }
    }
}

/// What became of the copies of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Copies that were acknowledged.
    pub acknowledged: u64,
    /// Copies that were sent, and nobody knows.
    pub in_doubt: u64,
    /// Copies that were not taken, or never sent.
    pub refused: u64,
}

/// Messages by what became of them; copies count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    /// Acknowledged: what they hold must be there.
    pub acknowledged: u64,
    /// Of those, second copies: they change nothing where messages have a time of their own.
    pub duplicates: u64,
    /// Sent and not acknowledged: what they hold may be there.
    pub in_doubt: u64,
    /// Turned away.
    pub refused: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Folds {
    must: Fold,
    may: Fold,
}

type SeriesFolds = BTreeMap<Series, Folds>;

/// Folds the effects of messages as they are settled.
#[derive(Clone, Debug)]
pub struct Tally {
    messages: MessageCounts,
    /// Per lane.
    series: Vec<SeriesFolds>,
    /// Per lane: rejects that must and that may be there.
    malformed: Vec<(u64, u64)>,
}

impl Tally {
    /// Returns the tally of a run that has sent nothing yet.
    pub fn new(load: &Load) -> Self {
        let lanes = load.lanes().len();
        Self {
            messages: MessageCounts::default(),
            series: vec![SeriesFolds::new(); lanes],
            malformed: vec![(0, 0); lanes],
        }
    }

    /// Counts a message of a lane.
    pub fn settle(&mut self, lane: usize, effects: &Effects, deliveries: Deliveries) {
        let Deliveries {
            acknowledged,
            in_doubt,
            refused,
        } = deliveries;
        self.messages.acknowledged += acknowledged;
        self.messages.duplicates += acknowledged.saturating_sub(1);
        self.messages.in_doubt += in_doubt;
        self.messages.refused += refused;
        self.malformed[lane].0 += effects.malformed * acknowledged;
        self.malformed[lane].1 += effects.malformed * in_doubt;
        let (must, may) = if effects.has_own_time {
            let is_there = acknowledged > 0;
            (u64::from(is_there), u64::from(!is_there && in_doubt > 0))
        } else {
            (acknowledged, in_doubt)
        };
        if must + may == 0 {
            return;
        }
        for row in &effects.rows {
            let folds = self.series[lane].entry(row.series).or_default();
            for _ in 0..must {
                folds.must.add(row.value);
            }
            for _ in 0..may {
                folds.may.add(row.value);
            }
        }
    }

    /// Returns how many messages became what.
    pub fn messages(&self) -> MessageCounts {
        self.messages
    }

    /// Returns what must be in the answers; `sent` is the time of the run as [`Load::selection`] takes it.
    pub fn expectation(&self, load: &Load, sent: &[String; 2]) -> Expectation {
        let mut parts: BTreeMap<(String, &'static str), (Selection, SeriesFolds)> = BTreeMap::new();
        let mut rejects: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (position, lane) in load.lanes().iter().enumerate() {
            let source = lane.source_id(&load.plan().prefix);
            for (series, folds) in &self.series[position] {
                let part = parts
                    .entry((source.clone(), series.dataset))
                    .or_insert_with(|| (load.selection(*lane, sent), SeriesFolds::new()));
                let whole = part.1.entry(*series).or_default();
                whole.must = whole.must.with(&folds.must);
                whole.may = whole.may.with(&folds.may);
            }
            let (must, may) = self.malformed[position];
            let whole = rejects.entry(source).or_default();
            whole.0 += must;
            whole.1 += may;
        }
        let parts = parts
            .into_iter()
            .map(|((source, dataset), (selection, series))| {
                let series = series.into_iter().map(|(series, folds)| ExpectedSeries {
                    name: series.name.to_owned(),
                    must: folds.must,
                    may: folds.may,
                });
                Part {
                    source,
                    dataset: dataset.to_owned(),
                    is_wide: dataset == TRAFFIC,
                    selection,
                    series: series.collect(),
                }
            });
        let rejects = rejects
            .into_iter()
            .filter(|(_, counts)| *counts != (0, 0))
            .map(|(source, (must, may))| ExpectedRejects {
                source,
                reason: RejectReason::Malformed.as_str().to_owned(),
                must,
                may,
            });
        Expectation {
            version: VERSION,
            seed: load.plan().seed,
            run: load.tag().to_owned(),
            sent: sent.clone(),
            messages: self.messages,
            parts: parts.collect(),
            rejects: rejects.collect(),
        }
    }
}

/// What must be in the answers after a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Version of this form.
    pub version: u32,
    /// The run's seed.
    pub seed: u64,
    /// What the ids of its devices begin with.
    pub run: String,
    /// When it sent, RFC 3339, with some allowance.
    pub sent: [String; 2],
    /// What became of its messages.
    pub messages: MessageCounts,
    /// Rows, per source and dataset.
    pub parts: Vec<Part>,
    /// Rejects, per source and reason. They are private, so no public answer shows them.
    pub rejects: Vec<ExpectedRejects>,
}

impl Expectation {
    /// Returns true where this version of the form is understood.
    pub fn is_known(&self) -> bool {
        self.version == VERSION
    }
}

/// Rows of one source in one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The source.
    pub source: String,
    /// The dataset.
    pub dataset: String,
    /// Whether each series is a column, all of them in the same rows; else a property, with rows of its own.
    pub is_wide: bool,
    /// Which of the source's rows are the run's.
    pub selection: Selection,
    /// What they hold.
    pub series: Vec<ExpectedSeries>,
}

impl Part {
    /// Returns how many rows there must and may be.
    pub fn rows(&self) -> (u64, u64) {
        let each = self
            .series
            .iter()
            .map(|series| (series.must.rows, series.may.rows));
        if self.is_wide {
            each.max().unwrap_or_default()
        } else {
            each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        }
    }
}

/// How rows of a run are told from others of their source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Selection {
    /// By the beginning of `sensor_id`.
    SensorsBeginning(String),
    /// By `segment_id`, both ends included.
    Segments {
        /// The first.
        first: i64,
        /// The last.
        last: i64,
    },
    /// By `received_at`, RFC 3339, both ends included: where devices are pseudonyms and nothing else tells them apart.
    ReceivedBetween {
        /// The earliest.
        from: String,
        /// The latest.
        to: String,
    },
}

/// One property or column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedSeries {
    /// Its name.
    pub name: String,
    /// What must be there.
    pub must: Fold,
    /// What may be there, too.
    pub may: Fold,
}

/// Rejects of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRejects {
    /// The source.
    pub source: String,
    /// The reason.
    pub reason: String,
    /// How many there must be.
    pub must: u64,
    /// How many more there may be.
    pub may: u64,
}
