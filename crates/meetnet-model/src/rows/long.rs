//! Rows of long datasets, which nearly all rows are: one value of one property, appended at once.

use crate::rows::values::{Values, offset};
use crate::rows::{RowsBuilder, unsigned_zero};

/// Where the columns of a long dataset stand in its declaration.
#[derive(Clone, Copy, Debug)]
pub struct LongColumns {
    sensor_id: usize,
    property: usize,
    time: usize,
    value: usize,
    interval_s: Option<usize>,
    /// A bit for each of them but the interval.
    bits: u64,
    /// Whether they are the first columns, in the order in which the built-in datasets have them.
    is_usual: bool,
}

/// The position of the interval in that order.
const USUAL_INTERVAL: usize = 3;

/// One row of a long dataset.
#[derive(Clone, Copy, Debug)]
pub struct LongRow<'a> {
    /// The sensor.
    pub sensor_id: &'a str,
    /// What was measured.
    pub property: &'a str,
    /// When, µs since 1970 UTC.
    pub time: i64,
    /// Whether that is the receive time of its envelope: the row has none of its own.
    pub is_receive_time: bool,
    /// The value; a NaN or an infinity is a missing one, and a zero has no sign.
    pub value: f64,
    /// The length of the interval that the value is of, in seconds; not kept where the dataset has no column for it.
    pub interval_s: Option<i64>,
}

/// What the rows of a series have in common; each has a time of its own and a value.
#[derive(Clone, Copy, Debug)]
pub struct LongSeries<'a> {
    /// The sensor.
    pub sensor_id: &'a str,
    /// What was measured.
    pub property: &'a str,
    /// The length of the interval that each value is of, in seconds; not kept where the dataset has no column for it.
    pub interval_s: Option<i64>,
}

impl LongColumns {
    /// Returns the columns at these positions.
    pub fn new(
        sensor_id: usize,
        property: usize,
        time: usize,
        value: usize,
        interval_s: Option<usize>,
    ) -> Self {
        let bits = [sensor_id, property, time, value].map(bit);
        Self {
            sensor_id,
            property,
            time,
            value,
            interval_s,
            bits: bits.into_iter().fold(0, |bits, bit| bits | bit),
            is_usual: (sensor_id, property, time, interval_s, value)
                == (0, 1, 2, Some(USUAL_INTERVAL), 4),
        }
    }
}

/// Appends a text so many times; each time it is appended, what is there is appended once more.
fn repeat(text: &str, times: usize, bytes: &mut Vec<u8>, offsets: &mut Vec<i32>) {
    let start = bytes.len();
    let end = start + text.len() * times;
    offset(end);
    offsets.extend((1..=times).map(|time| (start + text.len() * time) as i32));
    if times > 0 {
        bytes.extend_from_slice(text.as_bytes());
    }
    while bytes.len() < end {
        let more = (bytes.len() - start).min(end - bytes.len());
        bytes.extend_from_within(start..start + more);
    }
}

/// Returns the bit of a column among the first 64.
fn bit(column: usize) -> u64 {
    u32::try_from(column)
        .ok()
        .and_then(|column| 1_u64.checked_shl(column))
        .unwrap_or(0)
}

impl RowsBuilder {
    /// Appends a row of the envelope at position `envelope`; nothing may be set in the draft. It is what the values set one
    /// by one and [`RowsBuilder::finish_row`] make, in one step, and fails as they do.
    pub fn push_long(
        &mut self,
        columns: &LongColumns,
        row: &LongRow<'_>,
        envelope: u32,
    ) -> Result<(), &str> {
        let taken = self.set_usual(columns, row).unwrap_or_else(|| {
            self.set_text(columns.sensor_id, row.sensor_id);
            self.set_text(columns.property, row.property);
            self.set_int(columns.time, row.time);
            self.set_float(columns.value, row.value);
            if let (Some(column), Some(interval_s)) = (columns.interval_s, row.interval_s) {
                self.set_int(column, interval_s);
            }
            0
        });
        self.draft_is_timeless = row.is_receive_time;
        match self.finish(envelope, taken) {
            None => Ok(()),
            Some(column) => {
                self.discard_row();
                Err(&self.declaration.columns[column].name)
            }
        }
    }

    /// Returns true where [`RowsBuilder::push_series`] takes rows: the dataset requires no other column.
    pub fn takes_series(&self, columns: &LongColumns) -> bool {
        let at = |column: usize| self.columns.get(column);
        let usual = [
            matches!(at(columns.sensor_id), Some(Values::Text { .. })),
            matches!(at(columns.property), Some(Values::Text { .. })),
            matches!(at(columns.time), Some(Values::Timestamp(_))),
            matches!(at(columns.value), Some(Values::Float(_))),
            columns
                .interval_s
                .is_none_or(|column| matches!(at(column), Some(Values::Int(_)))),
        ];
        usual == [true; 5] && matches!(&*self.draft, [draft] if draft.required & !columns.bits == 0)
    }

    /// Appends the rows of a series, of the envelope at position `envelope`: what [`RowsBuilder::push_long`] makes of each
    /// point (time in µs UTC, finite value), column by column. Does nothing where the builder does not take series.
    pub fn push_series(
        &mut self,
        columns: &LongColumns,
        series: &LongSeries<'_>,
        points: &[(i64, f64)],
        envelope: u32,
    ) {
        if !self.takes_series(columns) {
            return;
        }
        self.discard_row();
        let mut set = columns.bits;
        if columns.interval_s.is_some() && series.interval_s.is_some() {
            set |= columns.interval_s.map_or(0, bit);
        }
        for (column, values) in self.columns.iter_mut().enumerate() {
            match values {
                Values::Text { bytes, offsets } if set & bit(column) != 0 => {
                    let text = if column == columns.sensor_id {
                        series.sensor_id
                    } else {
                        series.property
                    };
                    repeat(text, points.len(), bytes, offsets);
                }
                Values::Int(values) if set & bit(column) != 0 => {
                    let interval_s = series.interval_s.unwrap_or_default();
                    values.extend(points.iter().map(|_| interval_s));
                }
                Values::Timestamp(values) if set & bit(column) != 0 => {
                    values.extend(points.iter().map(|(time, _)| *time));
                }
                Values::Float(values) if set & bit(column) != 0 => {
                    values.extend(points.iter().map(|(_, value)| unsigned_zero(*value)));
                }
                values => points.iter().for_each(|_| values.fill()),
            }
        }
        for draft in &mut self.draft {
            draft.set = set;
            draft.finish(points.len());
        }
        let rows = self.envelopes.len() + points.len();
        self.envelopes.resize(rows, envelope);
        self.timeless.resize(rows, false);
    }

    /// Appends the values of a row where the columns stand in their usual order and the draft is empty; none where they do
    /// not, and then nothing is appended. Returns the columns whose places are taken.
    #[inline(always)]
    fn set_usual(&mut self, columns: &LongColumns, row: &LongRow<'_>) -> Option<u64> {
        let [draft] = &mut *self.draft else {
            return None;
        };
        let [
            Values::Text {
                bytes: sensors,
                offsets: sensor_ends,
            },
            Values::Text {
                bytes: properties,
                offsets: property_ends,
            },
            Values::Timestamp(times),
            Values::Int(intervals),
            Values::Float(values),
            ..,
        ] = &mut *self.columns
        else {
            return None;
        };
        if !columns.is_usual || draft.set | draft.wrong != 0 || !row.value.is_finite() {
            return None;
        }
        sensors.extend_from_slice(row.sensor_id.as_bytes());
        sensor_ends.push(offset(sensors.len()));
        properties.extend_from_slice(row.property.as_bytes());
        property_ends.push(offset(properties.len()));
        times.push(row.time);
        intervals.push(row.interval_s.unwrap_or_default());
        values.push(unsigned_zero(row.value));
        draft.set = columns.bits;
        let interval = bit(USUAL_INTERVAL);
        if row.interval_s.is_some() {
            draft.set |= interval;
        }
        Some(columns.bits | interval)
    }
}
