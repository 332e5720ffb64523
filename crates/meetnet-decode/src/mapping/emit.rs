//! From one message to rows, by a compiled mapping.

use meetnet_model::column::ColumnType;
use meetnet_model::reject::RejectReason;
use meetnet_model::rows::{LongRow, LongSeries, RowsBuilder};
use meetnet_model::time::parse_rfc3339;
use meetnet_model::units::Conversion;

use crate::comma::{self, DecimalComma};
use crate::fields::{Fields, Raw, Slot};
use crate::group::Output;
use crate::instant::ObservedAt;
use crate::json::read::{self, Reading};
use crate::mapping::stated::UnitFault;
use crate::mapping::{
    ConstantCell, ConstantValue, LongValue, Mapping, Origin, Stated, WideCell, WideRow,
};
use crate::quantity::UnitInValue;
use crate::validity::Validity;

/// What rejects call values.
const NUMBER: &str = "a number";
const WHOLE_NUMBER: &str = "a whole number";

/// One message (or one element of its body) with everything that is not in the mapping resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation<'a> {
    pub(crate) fields: Fields<'a, 'a>,
    pub(crate) time: ObservedAt,
    /// Empty where no row needs one.
    pub(crate) sensor_id: &'a str,
    pub(crate) stated: Stated<'a>,
    /// The part of the body that a reject shows.
    pub(crate) excerpt: &'a str,
}

/// What a message became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Emitted {
    pub(crate) rows: usize,
    pub(crate) rejects: usize,
}

impl Emitted {
    /// Returns true where the message held none of the mapped values.
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    fn count(&mut self, is_row: bool) {
        if is_row {
            self.rows += 1;
        } else {
            self.rejects += 1;
        }
    }
}

impl Observation<'_> {
    #[inline(always)]
    fn number(&self, origin: &Origin) -> Reading<f64> {
        origin.number(&self.fields, &self.stated)
    }

    fn reject_invalid(&self, origin: &Origin, valid: &Validity, output: &mut Output) {
        let what = format!("the value at `{}`", origin.name);
        output.reject(RejectReason::NotValid, valid.fault(&what), self.excerpt);
    }

    #[cold]
    fn reject_wrong(&self, origin: &Origin, wanted: &str, output: &mut Output) {
        let name = &origin.name;
        // Said here and not where it was found: only rejects need it.
        let raw = self.fields.raw(origin.slot);
        let unit_fault = match origin.plain(raw) {
            Reading::Value(value) => origin.converted(value, &self.stated).err(),
            _ => None,
        };
        let quantity_fault = || {
            let Reading::Value(text) = read::text(raw) else {
                return None;
            };
            wants_number(wanted)
                .then(|| origin.unit_in_value.fault(name, &text, origin.comma))
                .flatten()
        };
        let message = match unit_fault {
            Some(UnitFault { canonical }) => format!(
                "the message states a unit for the value at `{name}` that is not known or does not become `{canonical}`"
            ),
            None => match origin.comma {
                DecimalComma::Declared if wants_number(wanted) && read::may_group_digits(raw) => {
                    comma::grouped(name, "decimal_comma")
                }
                DecimalComma::Declarable(key) if wants_number(wanted) && read::needs_comma(raw) => {
                    format!(
                        "the value at `{name}` is not {wanted}; if its comma is a decimal comma, declare `{key}` for the source"
                    )
                }
                _ => quantity_fault()
                    .unwrap_or_else(|| format!("the value at `{name}` is not {wanted}")),
            },
        };
        output.reject(RejectReason::WrongType, message, self.excerpt);
    }
}

impl Origin {
    /// Returns what says of a value that a message has that it is no reading; none where it is one, or nothing is asked.
    fn invalid(&self, fields: &Fields<'_, '_>) -> Option<&Validity> {
        self.valid.as_ref().filter(|valid| !valid.holds(fields))
    }

    /// Reads the number that a message has, as it is sent.
    fn plain(&self, raw: Option<Raw<'_>>) -> Reading<f64> {
        if self.comma == DecimalComma::Declared {
            read::number_with_comma(raw)
        } else {
            read::number(raw)
        }
    }

    /// Does the same for a whole number.
    fn plain_integer(&self, raw: Option<Raw<'_>>) -> Reading<i64> {
        if self.comma == DecimalComma::Declared {
            read::integer_with_comma(raw)
        } else {
            read::integer(raw)
        }
    }

    /// Reads the canonical value of a message.
    #[inline(always)]
    fn number(&self, fields: &Fields<'_, '_>, stated: &Stated<'_>) -> Reading<f64> {
        let read = if self.comma == DecimalComma::Declared {
            read::number_with_comma(fields.raw(self.slot))
        } else {
            read::number_at(fields, self.slot)
        };
        match read {
            Reading::Value(value) if self.sentinels.has(value) => Reading::Missing,
            Reading::Value(value) => match self.converted(value, stated) {
                Ok(value) => Reading::Value(value),
                Err(UnitFault { .. }) => Reading::Wrong,
            },
            Reading::Wrong if self.is_text_sentinel(fields.raw(self.slot)) => Reading::Missing,
            Reading::Wrong => self.quantity(fields.raw(self.slot)),
            Reading::Missing => Reading::Missing,
        }
    }

    /// Reads the canonical value of a number that has its unit behind it.
    #[cold]
    fn quantity(&self, raw: Option<Raw<'_>>) -> Reading<f64> {
        let UnitInValue::Declared(_) = self.unit_in_value else {
            return Reading::Wrong;
        };
        let Reading::Value(text) = read::text(raw) else {
            return Reading::Wrong;
        };
        match self.unit_in_value.read(&text) {
            Some((value, _)) if self.sentinels.has(value) => Reading::Missing,
            Some((value, unit)) => Reading::Value(self.steps.apply_from(unit, value)),
            None => Reading::Wrong,
        }
    }

    /// Returns true where a value that is not of the wanted kind is one of the texts that mean "no value".
    fn is_text_sentinel(&self, raw: Option<Raw<'_>>) -> bool {
        if self.sentinels.has_no_texts() {
            return false;
        }
        matches!(read::text(raw), Reading::Value(text) if self.sentinels.has_text(&text))
    }
}

impl Mapping {
    /// Appends the rows of one message. Values that are missing make no row, values of another kind and such as are no
    /// readings a reject.
    pub(crate) fn emit(
        &self,
        observation: &Observation<'_>,
        floats: &mut Vec<f64>,
        output: &mut Output,
    ) -> Emitted {
        let mut emitted = Emitted::default();
        if let Some(valid) = &self.valid
            && !valid.holds(&observation.fields)
        {
            output.reject(
                RejectReason::NotValid,
                valid.fault("the message"),
                observation.excerpt,
            );
            emitted.count(false);
            return emitted;
        }
        for value in &self.values {
            value.emit(observation, output, &mut emitted);
        }
        for row in &self.rows {
            row.emit(observation, floats, output, &mut emitted);
        }
        emitted
    }

    /// Does the same for a message that has no field but the one in slot `field`: of a hundred properties of a source
    /// it is one, and the others need not be looked for.
    pub(crate) fn emit_field(
        &self,
        observation: &Observation<'_>,
        field: Slot,
        floats: &mut Vec<f64>,
        output: &mut Output,
    ) -> Emitted {
        let numbers = self.by_field.get(usize::from(field.0));
        let Some(numbers) = numbers.filter(|_| self.valid.is_none()) else {
            return self.emit(observation, floats, output);
        };
        let mut emitted = Emitted::default();
        for number in numbers {
            self.values[*number].emit(observation, output, &mut emitted);
        }
        for row in &self.rows {
            row.emit(observation, floats, output, &mut emitted);
        }
        emitted
    }

    /// Makes the reject of a message without any of the mapped values, which it calls `what`.
    pub(crate) fn reject_nothing(&self, what: &str, excerpt: &str, output: &mut Output) {
        output.reject(
            RejectReason::NoMappedValue,
            format_args!("{what} has no value at {}", self.wanted()),
            excerpt,
        );
    }
}

/// One property of a sensor whose messages have nothing else, so that their rows differ by time and value only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'m> {
    value: &'m LongValue,
    origin: &'m Origin,
    /// How its unit is converted; none where it is that of the map.
    unit: Option<Conversion>,
}

impl Mapping {
    /// Returns the series that messages with the one field in slot `field` belong to, where they are of one.
    pub(crate) fn series(&self, field: Slot, output: &Output) -> Option<Series<'_>> {
        let [number] = self.by_field.get(usize::from(field.0))?[..] else {
            return None;
        };
        let value = &self.values[number];
        let [origin] = &value.origins[..] else {
            return None;
        };
        if self.valid.is_some() || origin.valid.is_some() || !self.rows.is_empty() {
            return None;
        }
        let takes_series = output.takes_series(value.dataset, &value.columns);
        takes_series.then_some(Series {
            value,
            origin,
            unit: None,
        })
    }
}

impl Series<'_> {
    /// Returns the series where messages state the unit of its values; none where the unit is not known or measures
    /// something else.
    pub(crate) fn in_unit(self, unit: &str) -> Option<Self> {
        let unit = match &self.origin.stated {
            Some(units) => Some(units.conversion(unit)?),
            None => None,
        };
        Some(Self { unit, ..self })
    }

    /// Returns the point that a message with a time of its own and this value is; none where it is another row, or no row.
    #[inline]
    pub(crate) fn point(&self, value: Option<Raw<'_>>, time: i64) -> Option<(i64, f64)> {
        let Origin {
            steps,
            sentinels,
            ends,
            ..
        } = self.origin;
        let Reading::Value(value) = read::number(value) else {
            return None;
        };
        if *ends || sentinels.has(value) {
            return None;
        }
        let value = match self.unit {
            Some(unit) => steps.apply_from(unit, value),
            None => steps.apply(value),
        };
        value.is_finite().then_some((time, value))
    }

    /// Makes rows of points.
    pub(crate) fn emit(&self, sensor_id: &str, points: &mut Vec<(i64, f64)>, output: &mut Output) {
        let LongValue {
            dataset,
            columns,
            property,
            ..
        } = self.value;
        let series = LongSeries {
            sensor_id,
            property,
            interval_s: self.origin.interval_s,
        };
        output.push_series(*dataset, columns, &series, points);
    }
}

impl LongValue {
    fn emit(&self, observation: &Observation<'_>, output: &mut Output, emitted: &mut Emitted) {
        for origin in &self.origins {
            let value = match observation.number(origin) {
                Reading::Value(value) => match origin.invalid(&observation.fields) {
                    None => value,
                    Some(valid) => {
                        observation.reject_invalid(origin, valid, output);
                        emitted.count(false);
                        continue;
                    }
                },
                Reading::Missing => continue,
                Reading::Wrong => {
                    observation.reject_wrong(origin, NUMBER, output);
                    emitted.count(false);
                    continue;
                }
            };
            let interval_s = observation.stated.interval_s.or(origin.interval_s);
            // An interval that the message states has its start as the message's time, whatever the map says.
            let ends = origin.ends && observation.stated.interval_s.is_none();
            let before_s = if ends { interval_s } else { None };
            let start = match before_s {
                Some(seconds) => observation.time.before(seconds),
                None => observation.time,
            };
            let row = LongRow {
                sensor_id: observation.sensor_id,
                property: &self.property,
                time: start.micros(),
                is_receive_time: matches!(start, ObservedAt::Received(_)),
                value,
                interval_s,
            };
            emitted.count(output.push_long(self.dataset, &self.columns, &row, observation.excerpt));
            return;
        }
    }
}

impl WideRow {
    fn emit(
        &self,
        observation: &Observation<'_>,
        floats: &mut Vec<f64>,
        output: &mut Output,
        emitted: &mut Emitted,
    ) {
        let mut has_value = false;
        let row = output.draft(self.dataset);
        for constant in &self.constants {
            constant.set(row);
        }
        if let (Some(column), Some(interval_s)) = (self.interval, observation.stated.interval_s) {
            row.set_int(column, interval_s);
        }
        for cell in &self.cells {
            let invalid = cell.origin.invalid(&observation.fields);
            if let Some(valid) = invalid.filter(|_| cell.has_value(observation)) {
                observation.reject_invalid(&cell.origin, valid, output);
                emitted.count(false);
                // The rest of the row is what it is, unless nobody knows which row it would be.
                if cell.in_key {
                    output.draft(self.dataset).discard_row();
                    return;
                }
                continue;
            }
            match cell.set(observation, floats, output, self.dataset) {
                Reading::Value(()) => has_value |= !cell.in_key,
                Reading::Missing => {}
                Reading::Wrong => {
                    output.draft(self.dataset).discard_row();
                    observation.reject_wrong(&cell.origin, cell.wanted(), output);
                    emitted.count(false);
                    return;
                }
            }
        }
        let row = output.draft(self.dataset);
        if !has_value {
            row.discard_row();
            return;
        }
        // Without an interval the row has no key, so that it becomes a reject below.
        let ends = self.ends && observation.stated.interval_s.is_none();
        let ended = self.interval.filter(|_| ends);
        let interval_s = ended.and_then(|column| row.draft_int(column));
        let start = observation.time.before(interval_s.unwrap_or(0));
        start.set(self.time, row);
        if let Some(column) = self.sensor_id {
            row.set_text(column, observation.sensor_id);
        }
        emitted.count(output.finish_row(self.dataset, observation.excerpt));
    }
}

/// Returns true for what a reject calls a single number.
fn wants_number(wanted: &str) -> bool {
    matches!(wanted, NUMBER | WHOLE_NUMBER)
}

impl ConstantCell {
    fn set(&self, row: &mut RowsBuilder) {
        match &self.value {
            ConstantValue::Int(value) => row.set_int(self.column, *value),
            ConstantValue::Float(value) => row.set_float(self.column, *value),
            ConstantValue::Bool(value) => row.set_bool(self.column, *value),
            ConstantValue::Text(value) => row.set_text(self.column, value),
        }
    }
}

impl WideCell {
    fn wanted(&self) -> &'static str {
        match self.column_type {
            ColumnType::Text => "a text",
            ColumnType::Int => WHOLE_NUMBER,
            ColumnType::Float => NUMBER,
            ColumnType::Bool => "true or false",
            ColumnType::Timestamp => "an RFC 3339 time with an offset",
            ColumnType::FloatList => "a list of numbers",
        }
    }

    /// Returns true where a message has a value for the column; it may be of another kind.
    fn has_value(&self, observation: &Observation<'_>) -> bool {
        let raw = observation.fields.raw(self.origin.slot);
        if self.origin.is_text_sentinel(raw) {
            return false;
        }
        match self.origin.plain(raw) {
            Reading::Value(number) => !self.origin.sentinels.has(number),
            Reading::Missing => false,
            Reading::Wrong => self.origin.quantity(raw) != Reading::Missing,
        }
    }

    fn set(
        &self,
        observation: &Observation<'_>,
        floats: &mut Vec<f64>,
        output: &mut Output,
        dataset: usize,
    ) -> Reading<()> {
        let raw = observation.fields.raw(self.origin.slot);
        let row = output.draft(dataset);
        let reading = match self.column_type {
            ColumnType::Float => set(observation.number(&self.origin), |value| {
                row.set_float(self.column, value);
            }),
            ColumnType::Int if self.origin.steps.is_identity() => {
                match self.origin.plain_integer(raw) {
                    Reading::Value(value) if self.origin.sentinels.has(value as f64) => {
                        Reading::Missing
                    }
                    Reading::Wrong => self.set_whole(self.origin.quantity(raw), row),
                    reading => set(reading, |value| row.set_int(self.column, value)),
                }
            }
            ColumnType::Int => self.set_whole(observation.number(&self.origin), row),
            ColumnType::Text => match read::text(raw) {
                Reading::Value(value) if self.origin.sentinels.has_text(&value) => Reading::Missing,
                reading => set(reading, |value| row.set_text(self.column, &value)),
            },
            ColumnType::Bool => set(read::boolean(raw), |value| row.set_bool(self.column, value)),
            ColumnType::Timestamp => match read::text(raw) {
                Reading::Value(text) => match parse_rfc3339(&text) {
                    Ok(time) => {
                        row.set_int(self.column, time);
                        Reading::Value(())
                    }
                    Err(_) => Reading::Wrong,
                },
                Reading::Missing => Reading::Missing,
                Reading::Wrong => Reading::Wrong,
            },
            ColumnType::FloatList => set(read::list(raw, floats), |()| {
                for value in floats.iter_mut() {
                    *value = self.origin.steps.apply(*value);
                }
                row.set_list(self.column, floats);
            }),
        };
        match reading {
            Reading::Wrong if self.origin.is_text_sentinel(raw) => Reading::Missing,
            reading => reading,
        }
    }

    /// Sets a whole number. A converted one is one up to the error of the arithmetic.
    fn set_whole(&self, reading: Reading<f64>, row: &mut RowsBuilder) -> Reading<()> {
        match reading {
            Reading::Value(value) if (value - value.round()).abs() < 1e-6 => {
                row.set_int(self.column, value.round() as i64);
                Reading::Value(())
            }
            Reading::Missing => Reading::Missing,
            Reading::Value(_) | Reading::Wrong => Reading::Wrong,
        }
    }
}

fn set<T>(reading: Reading<T>, set: impl FnOnce(T)) -> Reading<()> {
    match reading {
        Reading::Value(value) => {
            set(value);
            Reading::Value(())
        }
        Reading::Missing => Reading::Missing,
        Reading::Wrong => Reading::Wrong,
    }
}
