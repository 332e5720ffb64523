//! Telraam traffic reports, as `POST /v1/reports/traffic` and the advanced API answer: rows of `traffic`. A list of road
//! segments is recognised, too ([`segments`]).
//!
//! The body is the whole answer (`{"status_code": 200, "message": "ok", "report": [row, …]}`), a collected file
//! (`{"device_id": …, "month": …, "data": [row, …]}`), a bare array of rows, or one row.
//!
//! - `date` is the start of the interval, UTC.
//! - Counts are extrapolated for `uptime` already, so `uptime` stays beside them. Where it is 0 and no count is above
//!   0, the counter saw nothing: the row stays, its counts are missing.
//! - `v85` is null or 0 where no car was seen: missing. So is a histogram of nothing but zeros.
//! - Instance-level rows (`segment_id` -1) have no place yet, so they are rejects.
//! - Each other float column of the dataset is a count, filled from the field of its name; what the device or the API
//!   does not report (`night` before S2, `mode_…` in the plain API) is missing.

mod segments;

use meetnet_model::column::ColumnType;
use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::fields::{Fields, Slot};
use crate::format::telraam::segments::Segments;
use crate::format::{Body, Common, reject_time};
use crate::group::{Group, Output, Scratch};
use crate::instant;
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::walk::walk;
use crate::mapping::{MappingFault, dataset_position, filled_column};

/// The dataset of Telraam's rows.
const DATASET: &str = "traffic";
/// Histogram columns, their fields and the number of their bins.
const HISTOGRAMS: [(&str, &str, usize); 2] = [
    ("speed_hist", "car_speed_hist_0to70plus", 8),
    ("speed_hist_fine", "car_speed_hist_0to120plus", 25),
];
/// The first fields of a row as the API writes them: the walk finds fields fastest in the order they are wanted in.
const ROW_ORDER: [&str; 18] = [
    "segment_id",
    "date",
    "interval",
    "uptime",
    "heavy",
    "car",
    "bike",
    "pedestrian",
    "night",
    "heavy_lft",
    "heavy_rgt",
    "car_lft",
    "car_rgt",
    "bike_lft",
    "bike_rgt",
    "pedestrian_lft",
    "pedestrian_rgt",
    "night_lft",
];

/// What a reject says of a snapshot.
const SNAPSHOT: &str = "a snapshot of all segments (`/v1/reports/traffic_snapshot`), which format `telraam` does not read; \
                        send it to a source of format `json` with the map in docs/sources/telraam.md, \"A snapshot of all \
                        segments\"";

/// The decoder of one source of Telraam reports.
#[derive(Clone, Debug)]
pub(crate) struct TelraamDecoder {
    shape: Shape,
    slots: Slots,
    dataset: usize,
    columns: Columns,
    counts: Vec<Count>,
    histograms: Vec<Histogram>,
    date: TimeReader,
    /// None where the dataset of segments is not declared.
    segments: Option<Segments>,
}

#[derive(Clone, Debug)]
struct Slots {
    report: Slot,
    data: Slot,
    features: Slot,
    status_code: Slot,
    message: Slot,
    segment_id: Slot,
    date: Slot,
    interval: Slot,
    period_duration: Slot,
    period: Slot,
    uptime: Slot,
    v85: Slot,
}

#[derive(Clone, Copy, Debug)]
struct Columns {
    segment_id: usize,
    interval_s: usize,
    time: usize,
    uptime: usize,
    v85: Option<usize>,
}

#[derive(Clone, Debug)]
struct Count {
    column: usize,
    name: Box<str>,
    slot: Slot,
}

#[derive(Clone, Debug)]
struct Histogram {
    column: usize,
    field: &'static str,
    slot: Slot,
    bins: usize,
}

impl TelraamDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        if !source.map.is_empty() {
            return Err((None, SetupProblem::MapNotWanted("telraam")));
        }
        if source.valid.is_some() {
            return Err((None, SetupProblem::ValidityNotWanted("telraam")));
        }
        if !source.devices.is_empty() || !source.constants.is_empty() {
            return Err((None, SetupProblem::DevicesNotWanted("telraam")));
        }
        Self::compile_fixed(declarations).map_err(|problem| (None, problem))
    }

    /// Returns the datasets that it fills, by number.
    #[cfg(test)]
    pub(crate) fn datasets(&self) -> Vec<usize> {
        let segments = self.segments.as_ref().map(Segments::dataset);
        std::iter::once(self.dataset).chain(segments).collect()
    }

    fn compile_fixed(declarations: &Declarations) -> Result<Self, SetupProblem> {
        let (number, dataset) = dataset_position(declarations, DATASET)?;
        let optional = |name, column_type| {
            let declared = dataset.column_index(name).is_some();
            declared
                .then(|| filled_column(dataset, name, column_type))
                .transpose()
        };
        let columns = Columns {
            segment_id: filled_column(dataset, "segment_id", ColumnType::Int)?,
            interval_s: filled_column(dataset, "interval_s", ColumnType::Int)?,
            time: filled_column(dataset, "time", ColumnType::Timestamp)?,
            uptime: filled_column(dataset, "uptime", ColumnType::Float)?,
            v85: optional("v85", ColumnType::Float)?,
        };
        let mut shape = Shape::new();
        let mut want = |name: &str| shape.want_member(name);
        for field in ROW_ORDER {
            want(field)?;
        }
        let (segment_id, date) = (want("segment_id")?, want("date")?);
        let (interval, uptime) = (want("interval")?, want("uptime")?);
        let mut counts = Vec::new();
        for (column, declared) in dataset.columns.iter().enumerate() {
            let is_own = column == columns.uptime || Some(column) == columns.v85;
            if declared.column_type == ColumnType::Float && !is_own {
                let name = declared.name.as_str();
                counts.push(Count {
                    column,
                    name: name.into(),
                    slot: want(name)?,
                });
            }
        }
        let mut histograms = Vec::new();
        for (name, field, bins) in HISTOGRAMS {
            if let Some(column) = optional(name, ColumnType::FloatList)? {
                histograms.push(Histogram {
                    column,
                    field,
                    slot: want(field)?,
                    bins,
                });
            }
        }
        let slots = Slots {
            segment_id,
            date,
            interval,
            uptime,
            v85: want("v85")?,
            period_duration: want("period_duration")?,
            period: want("period")?,
            status_code: want("status_code")?,
            message: want("message")?,
            report: want("report")?,
            data: want("data")?,
            features: want("features")?,
        };
        Ok(Self {
            shape,
            slots,
            dataset: number,
            columns,
            counts,
            histograms,
            date: instant::utc_reader()?,
            segments: Segments::compile(declarations)?,
        })
    }

    pub(crate) fn decode(
        &self,
        body: &Body<'_>,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let Group {
            output,
            tape,
            scratch,
            ..
        } = group;
        let text = body.text;
        let document = tape.read(text)?;
        let rows = if document.is_array() {
            document
        } else {
            walk(&self.shape, document, &mut scratch.spans);
            let fields = Fields::json(text, &scratch.spans);
            if let Some(features) = fields.source_text(self.slots.features) {
                if segments::are_snapshot(features) {
                    output.reject(RejectReason::UnexpectedShape, SNAPSHOT, text);
                    return Ok(());
                }
                if let Some(segments) = &self.segments {
                    return segments.decode(features, &body.common.stations, output);
                }
            }
            let listed = |slot| document.at(fields.span(slot));
            let rows = listed(self.slots.report).or_else(|| listed(self.slots.data));
            let Some(rows) = rows else {
                if let Some((reason, message)) = self.no_row(&fields) {
                    output.reject(reason, message, text);
                } else {
                    self.row(body, text, output, scratch);
                }
                return Ok(());
            };
            rows
        };
        let Some(rows) = rows.elements() else {
            output.reject(
                RejectReason::UnexpectedShape,
                "`report` (or `data`) is not a list of rows",
                text,
            );
            return Ok(());
        };
        for row in rows {
            if row.is_object() {
                walk(&self.shape, row, &mut scratch.spans);
                self.row(body, row.text(), output, scratch);
            } else {
                let message = "a row is not an object";
                output.reject(RejectReason::UnexpectedShape, message, row.text());
            }
        }
        Ok(())
    }

    /// Returns why an object without a list of rows is no row either, if it is none.
    fn no_row(&self, fields: &Fields<'_, '_>) -> Option<(RejectReason, &'static str)> {
        let Slots {
            segment_id,
            date,
            status_code,
            message,
            ..
        } = self.slots;
        if fields.has(segment_id) || fields.has(date) {
            return None;
        }
        Some(if fields.has(status_code) || fields.has(message) {
            (
                RejectReason::NoObservation,
                "an answer of the Telraam API without a report; its status and message are in the excerpt",
            )
        } else {
            (
                RejectReason::UnexpectedShape,
                "no Telraam report: it has neither `report`, `data` nor the fields of a row",
            )
        })
    }

    /// Decodes one row, whose wanted values stand in `scratch.spans`.
    fn row(&self, body: &Body<'_>, row: &str, output: &mut Output, scratch: &mut Scratch) {
        let fields = Fields::json(body.text, &scratch.spans);
        let key = self.key(body, &fields);
        let filled = key.and_then(|(segment_id, interval_s, time)| {
            self.fill(body.common, &fields, &mut scratch.row.floats, output)?;
            Ok((segment_id, interval_s, time))
        });
        match filled {
            Ok((segment_id, interval_s, time)) => {
                let draft = output.draft(self.dataset);
                draft.set_int(self.columns.segment_id, segment_id);
                draft.set_int(self.columns.interval_s, interval_s);
                draft.set_int(self.columns.time, time);
                output.finish_row(self.dataset, row);
            }
            Err(_) if self.is_snapshot(&fields) => {
                output.reject(RejectReason::UnexpectedShape, SNAPSHOT, row);
            }
            Err(Fault::Time(fault)) => reject_time(&fault, row, output),
            Err(Fault::Field(reason, message)) => {
                output.draft(self.dataset).discard_row();
                output.reject(reason, message, row);
            }
        }
    }

    /// Returns true for a row without an interval as the API writes it in snapshots, which call it `period`. Such a row always
    /// fails for want of its key.
    fn is_snapshot(&self, fields: &Fields<'_, '_>) -> bool {
        let Slots {
            period,
            interval,
            period_duration,
            ..
        } = self.slots;
        fields.has(period) && !fields.has(interval) && !fields.has(period_duration)
    }

    /// Returns segment, interval in seconds and time of a row.
    fn key(&self, body: &Body<'_>, fields: &Fields<'_, '_>) -> Result<(i64, i64, i64), Fault> {
        let segment_id = match read::integer(fields.raw(self.slots.segment_id)) {
            Reading::Value(segment_id @ 1..) => segment_id,
            Reading::Value(_) => {
                return Err(Fault::Field(
                    RejectReason::UnknownPlace,
                    "an instance-level row: its segment_id is -1 and the segment of its instance is not known; ask \
                     for reports at level `segments`"
                        .to_owned(),
                ));
            }
            Reading::Missing => return Err(Fault::missing("segment_id")),
            Reading::Wrong => return Err(Fault::wrong("segment_id", "a whole number")),
        };
        let time = instant::read(&self.date, fields.raw(self.slots.date), "`date`")?
            .ok_or_else(|| Fault::missing("date"))?;
        let time = body.check_time(time)?;
        let interval_s = match read::text(fields.raw(self.slots.interval)) {
            Reading::Value(interval) => match &*interval {
                "quarterly" => 900,
                "hourly" => 3600,
                "daily" => 86_400,
                _ => return Err(Fault::wrong("interval", "`quarterly`, `hourly` or `daily`")),
            },
            Reading::Missing => match read::integer(fields.raw(self.slots.period_duration)) {
                Reading::Value(seconds @ 1..) => seconds,
                _ => return Err(Fault::missing("interval")),
            },
            Reading::Wrong => return Err(Fault::wrong("interval", "a text")),
        };
        Ok((segment_id, interval_s, time))
    }

    /// Fills the values of a row into the draft.
    fn fill(
        &self,
        common: &Common,
        fields: &Fields<'_, '_>,
        floats: &mut Vec<f64>,
        output: &mut Output,
    ) -> Result<(), Fault> {
        let number = |slot, name: &str| match read::number(fields.raw(slot)) {
            Reading::Value(value) if common.sentinels.has(value) => Ok(None),
            Reading::Value(value) => Ok(Some(value)),
            Reading::Missing => Ok(None),
            Reading::Wrong => Err(Fault::wrong(name, "a number")),
        };
        let uptime = number(self.slots.uptime, "uptime")?;
        // NaN: missing.
        floats.clear();
        for count in &self.counts {
            floats.push(number(count.slot, &count.name)?.unwrap_or(f64::NAN));
        }
        let saw_nothing =
            uptime == Some(0.0) && !floats.iter().any(|count| *count != 0.0 && !count.is_nan());
        let draft = output.draft(self.dataset);
        if let Some(uptime) = uptime {
            draft.set_float(self.columns.uptime, uptime);
        }
        if saw_nothing {
            return Ok(());
        }
        for (count, value) in self.counts.iter().zip(floats.iter()) {
            draft.set_float(count.column, *value);
        }
        if let Some(column) = self.columns.v85
            && let Some(v85) = number(self.slots.v85, "v85")?.filter(|v85| *v85 != 0.0)
        {
            draft.set_float(column, v85);
        }
        for histogram in &self.histograms {
            match read::list(fields.raw(histogram.slot), floats) {
                Reading::Missing => {}
                Reading::Value(()) if floats.len() == histogram.bins => {
                    if floats.iter().any(|share| *share != 0.0) {
                        draft.set_list(histogram.column, floats);
                    }
                }
                Reading::Value(()) | Reading::Wrong => {
                    let wanted = format!("a list of {} numbers", histogram.bins);
                    return Err(Fault::wrong(histogram.field, &wanted));
                }
            }
        }
        Ok(())
    }
}

/// Why an object of a report is no row.
enum Fault {
    Time(instant::TimeFault),
    Field(RejectReason, String),
}

impl Fault {
    fn missing(field: &str) -> Self {
        Self::Field(
            RejectReason::MissingField,
            format!("the row has no `{field}`"),
        )
    }

    fn wrong(field: &str, wanted: &str) -> Self {
        Self::Field(
            RejectReason::WrongType,
            format!("`{field}` is not {wanted}"),
        )
    }
}

impl From<instant::TimeFault> for Fault {
    fn from(fault: instant::TimeFault) -> Self {
        Self::Time(fault)
    }
}

#[cfg(test)]
mod tests;
