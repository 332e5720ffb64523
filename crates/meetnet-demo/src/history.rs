//! A year of the city's past as rows, for the lake's bulk path.
//!
//! ```text
//! City + declarations + PrivacyKey + end ──▶ History ──chunks──▶ HistoryChunk { dataset, source, sorted batch }
//!                                                    (one per source and UTC month: one file per partition)
//! ```
//!
//! - Traffic: hourly reports, the sum of the quarters that the live feed sends.
//! - Air and heat: one reading at each full hour, exactly the one that the live feed would have sent then.
//!
//! Rows carry the ids that decoding gives live messages, and end before `end`, where the live feed goes on. Places of
//! the sensors come from here too. Faults are not part of the past, and neither files nor commits are this module's.

use std::sync::Arc;

use arrow::array::RecordBatch;
use jiff::Timestamp;
use jiff::ToSpan;
use jiff::tz::TimeZone;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId, SourceId};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::rows::RowsBuilder;

use crate::city::City;
use crate::sensors::Uplink;
use crate::sources::DemoSource;
use crate::traffic::QUARTER_S;
use crate::weather::Sky;

pub(crate) mod columns;
mod rows;

use columns::{LongColumns, TrafficColumns};

/// Most rows in one chunk: what one commit of the bulk path takes.
pub const CHUNK_ROWS_MAX: usize = 250_000;
/// Days of history that the demo makes.
pub const DEFAULT_DAYS: u32 = 365;
/// Longest history, days.
pub const DAYS_MAX: u32 = 3_660;

pub(crate) const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
pub(crate) const US_PER_S: i64 = 1_000_000;

/// Why a history cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A dataset of the demo is not declared.
    #[error(
        "the demo needs the dataset `{dataset}`; declare it again, or start the demo without history"
    )]
    MissingDataset {
        /// Its id.
        dataset: &'static str,
    },
    /// A column that the demo fills is not declared, or has another type.
    #[error(
        "the demo fills column `{column}` of dataset `{dataset}`, which is not declared or has another type"
    )]
    MissingColumn {
        /// The dataset.
        dataset: DatasetId,
        /// The column.
        column: &'static str,
    },
    /// A column is required and the demo has no value for it.
    #[error(
        "dataset `{dataset}` requires column `{column}`, for which the demo has no value; make it optional"
    )]
    UnknownRequired {
        /// The dataset.
        dataset: DatasetId,
        /// The column.
        column: String,
    },
    /// The span is empty, too long, or lies outside the calendar.
    #[error(
        "no history of {days} days can end at {end_us} us since 1970; between 1 and {DAYS_MAX} days are possible"
    )]
    Span {
        /// The wanted end.
        end_us: i64,
        /// The wanted length.
        days: u32,
    },
}

/// Some rows of one dataset from one source.
#[derive(Clone, Debug)]
pub struct HistoryChunk {
    /// The dataset.
    pub declaration: Arc<DatasetDeclaration>,
    /// The source.
    pub source: SourceId,
    /// The licence of the rows.
    pub licence: LicenceId,
    /// The declared columns in declared order, sorted by the dataset's key, at most [`CHUNK_ROWS_MAX`] rows.
    pub batch: RecordBatch,
}

impl HistoryChunk {
    pub(crate) fn new(source: DemoSource, mut rows: RowsBuilder) -> Self {
        let rows = rows.take();
        Self {
            declaration: rows.declaration,
            source: SourceId::new(source.id()),
            licence: LicenceId::new(source.licence()),
            batch: rows.batch,
        }
    }
}

/// The past of a city.
#[derive(Clone, Debug)]
pub struct History {
    city: Arc<City>,
    traffic: TrafficColumns,
    air: LongColumns,
    heat: LongColumns,
    pub(crate) names: SensorNames,
    /// First second, a full hour.
    start_s: i64,
    /// Second after the last, a full hour.
    end_s: i64,
    /// The sky at each quarter-hour of the span: shared by all sensors.
    skies: Arc<Vec<Sky>>,
}

/// The published ids of the sensors, with their positions in the city; sorted, as keys are.
#[derive(Clone, Debug)]
pub(crate) struct SensorNames {
    pub(crate) air: Vec<(String, usize)>,
    pub(crate) lora: Vec<(String, usize)>,
    pub(crate) balcony: Vec<(String, usize)>,
}

impl SensorNames {
    /// Returns the ids that decoding gives the sensors' messages.
    pub(crate) fn new(city: &City, key: &PrivacyKey) -> Self {
        let hardware = |source: DemoSource, kind: &str, raw: &str| {
            let id = key.hardware_id(kind, raw);
            format!("{}-{id}", source.namespace())
        };
        let mut air: Vec<_> = (city.air_sensors.iter().enumerate())
            .map(|(at, sensor)| {
                let chip = format!("esp8266-{}", sensor.chip_id);
                (hardware(DemoSource::Airrohr, "chip", &chip), at)
            })
            .collect();
        let (mut lora, mut balcony) = (Vec::new(), Vec::new());
        for (at, station) in city.stations.iter().enumerate() {
            match &station.uplink {
                Uplink::Lora { dev_eui, .. } => {
                    lora.push((hardware(DemoSource::Lora, "dev_eui", dev_eui), at));
                }
                Uplink::Zigbee { device } => {
                    balcony.push((format!("{}-{device}", DemoSource::Balcony.namespace()), at));
                }
            }
        }
        for names in [&mut air, &mut lora, &mut balcony] {
            names.sort_unstable();
        }
        Self { air, lora, balcony }
    }
}

impl History {
    /// Returns the history of `days` days before the last full hour at or before `end_us` (µs since 1970 UTC).
    /// `key` is the one that live messages are decoded with. The same arguments make the same rows.
    pub fn new(
        city: Arc<City>,
        declarations: &Declarations,
        key: &PrivacyKey,
        end_us: i64,
        days: u32,
    ) -> Result<Self, HistoryError> {
        let end_s = end_us.div_euclid(HOUR_S * US_PER_S) * HOUR_S;
        let start_s = end_s - i64::from(days) * DAY_S;
        let in_calendar =
            Timestamp::from_second(start_s).is_ok() && Timestamp::from_second(end_s).is_ok();
        if !(1..=DAYS_MAX).contains(&days) || !in_calendar {
            return Err(HistoryError::Span { end_us, days });
        }
        let dataset = |dataset: &'static str| {
            declarations
                .dataset(dataset)
                .ok_or(HistoryError::MissingDataset { dataset })
        };
        let skies = (start_s..end_s)
            .step_by(QUARTER_S as usize)
            .map(|second| city.sky(second))
            .collect();
        Ok(Self {
            traffic: TrafficColumns::find(dataset("traffic")?)?,
            air: LongColumns::find(dataset("air")?)?,
            heat: LongColumns::find(dataset("heat")?)?,
            names: SensorNames::new(&city, key),
            city,
            start_s,
            end_s,
            skies: Arc::new(skies),
        })
    }

    /// Returns where the history ends and the live feed begins, µs since 1970 UTC: a full hour.
    pub fn end_us(&self) -> i64 {
        self.end_s * US_PER_S
    }

    /// Returns all rows, source after source and month after month.
    pub fn chunks(&self) -> impl Iterator<Item = HistoryChunk> + Send + '_ {
        DemoSource::ALL
            .into_iter()
            .flat_map(|source| self.chunks_of(source))
    }

    /// Returns the rows of one source, month after month; different sources may be asked from different threads.
    pub fn chunks_of(&self, source: DemoSource) -> impl Iterator<Item = HistoryChunk> + Send + '_ {
        self.months().map(move |(from_s, to_s)| match source {
            DemoSource::Telraam => self.traffic_chunk(from_s, to_s),
            DemoSource::Airrohr => self.air_chunk(from_s, to_s),
            DemoSource::Lora => self.heat_chunk(source, &self.names.lora, from_s, to_s),
            DemoSource::Balcony => self.heat_chunk(source, &self.names.balcony, from_s, to_s),
        })
    }

    /// Returns when a sensor was installed, seconds since 1970 (a full hour); `joined` is its share of the span.
    pub(crate) fn installed_s(&self, joined: f64) -> i64 {
        let hours = (self.end_s - self.start_s) / HOUR_S;
        self.start_s + (joined * hours as f64) as i64 * HOUR_S
    }

    pub(crate) fn city(&self) -> &City {
        &self.city
    }

    /// The sky at a quarter-hour of the span.
    fn sky(&self, second: i64) -> &Sky {
        &self.skies[((second - self.start_s) / QUARTER_S) as usize]
    }

    /// Returns the parts of the span that lie in one UTC month each: first second, second after the last.
    fn months(&self) -> impl Iterator<Item = (i64, i64)> + Send + use<> {
        let (mut from_s, end_s) = (self.start_s, self.end_s);
        std::iter::from_fn(move || {
            (from_s < end_s).then(|| {
                let to_s = next_month(from_s).unwrap_or(end_s).min(end_s);
                let month = (from_s, to_s);
                from_s = to_s;
                month
            })
        })
    }
}

/// Returns the first second of the UTC month after the one of `second`.
fn next_month(second: i64) -> Option<i64> {
    let date = Timestamp::from_second(second)
        .ok()?
        .to_zoned(TimeZone::UTC)
        .date();
    let next = date.first_of_month().checked_add(1.month()).ok()?;
    Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests;
