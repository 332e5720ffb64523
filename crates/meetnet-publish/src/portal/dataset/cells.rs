//! Values of a dataset's rows as people read them: times by the clocks of the page, days as days, numbers as exact as they are.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use jiff::tz::TimeZone;
use meetnet_model::assessment;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;
use meetnet_model::derivation::Bucket;

use crate::portal::Reader;
use crate::readable;

#[cfg(test)]
mod tests;

/// Decimals of values whose resolution is not declared, at most.
const DECIMALS: usize = 2;

/// How values are written for people.
pub(super) struct Cells<'a> {
    pub(super) declaration: &'a DatasetDeclaration,
    pub(super) declarations: &'a Declarations,
    pub(super) reader: &'a Reader<'a>,
}

impl Cells<'_> {
    /// Returns a value as people read it, a dash for none.
    pub(super) fn text(
        &self,
        batch: &RecordBatch,
        name: &str,
        values: &dyn Array,
        row: usize,
    ) -> String {
        let none = || "–".to_owned();
        if values.is_null(row) {
            return none();
        }
        let beside = |name: &str| {
            let column = batch.column_by_name(name)?;
            Some(column.as_string_opt::<i32>()?.value(row))
        };
        match values.data_type() {
            DataType::Timestamp(..) => {
                let times = values.as_primitive_opt::<TimestampMicrosecondType>();
                let time = times.map(|times| times.value(row));
                let [_, period, _] = assessment::KEY;
                let text = time.and_then(|time| self.time(name, time, beside(period)));
                text.unwrap_or_else(none)
            }
            DataType::Float64 => {
                let value = values.as_primitive_opt::<Float64Type>();
                let decimals = self.decimals(name, beside("property"));
                value.map_or_else(none, |values| {
                    readable::rounded(values.value(row), decimals, self.reader.language)
                })
            }
            _ => array_value_to_string(values, row).unwrap_or_default(),
        }
    }

    /// Returns a time in the zone of the page; of rows about days, months and years the day, month or year, by the clocks that they
    /// begin by. `period` says what a row about the quality of data is about.
    fn time(&self, name: &str, micros: i64, period: Option<&str>) -> Option<String> {
        let Reader {
            language, settings, ..
        } = *self.reader;
        let declaration = self.declaration;
        if name != declaration.time_column() {
            return readable::exact_time(micros, &settings.zone, language);
        }
        if declaration.assess.is_some() {
            let [of_day, of_month, _] = assessment::PERIODS;
            return match period {
                Some(period) if period == of_day => {
                    readable::date(micros, &TimeZone::UTC, language)
                }
                Some(period) if period == of_month => {
                    readable::month(micros, &TimeZone::UTC, language)
                }
                // About everything: the time stands for none.
                _ => None,
            };
        }
        let derived = declaration.derive.as_ref();
        let derived = derived.map(|derivation| (derivation.bucket, derivation.zone.as_deref()));
        let gathered = declaration.gather.as_ref();
        let gathered = gathered.map(|gathering| (gathering.bucket, gathering.zone.as_deref()));
        let (bucket, zone) = derived.or(gathered).unwrap_or((Bucket::Hour, None));
        // A declared zone has been found in the same database before.
        let zone = zone.and_then(|name| TimeZone::get(name).ok());
        let zone = zone.unwrap_or(TimeZone::UTC);
        match bucket {
            Bucket::Hour => readable::exact_time(micros, &settings.zone, language),
            Bucket::Day => readable::date(micros, &zone, language),
            Bucket::Month => readable::month(micros, &zone, language),
            Bucket::Year => readable::year(micros, &zone),
        }
    }

    /// Returns how many decimals say something: as many as the declared resolution of a column or property has. `property` is
    /// that of the row.
    fn decimals(&self, name: &str, property: Option<&str>) -> usize {
        let mut columns = self.declaration.columns.iter();
        let column = columns.find(|column| column.name == name);
        // About a metre; published places lie on a coarser grid.
        let is_place = self.declaration.kind == DatasetKind::Places;
        if is_place && column.is_some_and(|column| column.unit.as_deref() == Some("deg")) {
            return 5;
        }
        let property = property.filter(|_| name == "value").and_then(|name| {
            let mut properties = self.declarations.properties_of(&self.declaration.id);
            properties.find(|property| property.name == name)
        });
        let tests = property
            .map(|property| &property.tests)
            .or(column.map(|column| &column.tests));
        let resolution = tests.and_then(|tests| tests.flat_line.as_ref());
        resolution.map_or(DECIMALS, |flat| decimals_of(flat.tolerance))
    }
}

/// Returns the decimals of a resolution: 2 of 0.05.
fn decimals_of(resolution: f64) -> usize {
    const DECIMALS_MAX: usize = 6;
    let mut decimals = 0;
    let mut step = resolution;
    while step < 1.0 && decimals < DECIMALS_MAX {
        step *= 10.0;
        decimals += 1;
    }
    decimals
}
