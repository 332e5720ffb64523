//! Where the newest rows are, of those that do not say it themselves: where the sensor or road segment that a row is about was at
//! its time, as datasets of places say it. It is what pages of rows answer by a join (`page/place.rs`).
//!
//! Places are few beside rows, and rows of all of a sensor's times are among the newest ones: all periods are read, each time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::Sequence;

use super::{conform, merging};
use crate::error::{QueryError, QueryErrorKind};
use crate::options::QueryRequest;
use crate::page::{LAT, LON, PageCondition, licences_asked, nowhere, places_of};
use crate::service::QueryService;
use crate::table::schema::public_schema;

/// From when to when something was at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Period {
    from: i64,
    to: Option<i64>,
    lon: Option<f64>,
    lat: Option<f64>,
}

/// Where things were, by their ids.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Of each dataset of places, in order of time.
    periods: Vec<HashMap<String, Vec<Period>>>,
    pub(super) tables: Vec<Arc<TableSnapshot>>,
    /// As of which state of the tables: the least of each.
    pub(super) through: Option<Sequence>,
    pub(super) stable_time: Option<i64>,
}

impl QueryService {
    /// Reads the places of what the rows of a dataset are about, under the licences that conditions ask for.
    ///
    /// # Errors
    /// `BadRequest` where nothing says where such rows are, `TooLarge` where there are more periods than one answer may have rows,
    /// else as [`QueryService::query`].
    pub(super) async fn read_places(
        &self,
        snapshot: &LakeSnapshot,
        declaration: &DatasetDeclaration,
        conditions: &[PageCondition],
    ) -> Result<Places, QueryError> {
        let mut places = Places {
            tables: places_of(snapshot, declaration),
            ..Places::default()
        };
        if places.tables.is_empty() {
            return Err(nowhere(declaration));
        }
        let only = licences_asked(conditions);
        for table in &places.tables {
            let id = &table.declaration.id;
            let sql = format!("SELECT id, valid_from, valid_to, lon, lat FROM \"{id}\"");
            let request = QueryRequest {
                licences: only.clone(),
                ..QueryRequest::public(sql)
            };
            let mut answer = self.query(request).await?;
            let batches = answer.collect().await?;
            if answer.truncated() {
                let message = format!(
                    "`{id}` has more periods of places than one answer may have rows; /rows takes lon and lat of fewer rows"
                );
                return Err(QueryError::new(QueryErrorKind::TooLarge, message));
            }
            let mut periods = HashMap::new();
            for batch in &batches {
                add_periods(&mut periods, batch, &table.declaration).map_err(merging)?;
            }
            for of_one in periods.values_mut() {
                of_one.sort_by_key(|period| period.from);
            }
            places.periods.push(periods);
            let through = places
                .through
                .map_or(answer.through, |least| least.min(answer.through));
            places.through = Some(through);
            let stable = places.stable_time;
            let stable = stable.map_or(answer.stable_time, |least| least.min(answer.stable_time));
            places.stable_time = Some(stable);
        }
        Ok(places)
    }
}

/// Adds the periods of an answer, whose columns are the id, from when, to when, and the place.
fn add_periods(
    periods: &mut HashMap<String, Vec<Period>>,
    batch: &RecordBatch,
    places: &DatasetDeclaration,
) -> Result<(), ArrowError> {
    let schema = public_schema(places);
    let names = ["id", "valid_from", "valid_to", LON, LAT];
    let fields = names.map(|name| schema.field_with_name(name).cloned());
    let fields = fields.into_iter().collect::<Result<Vec<Field>, _>>()?;
    let batch = conform(batch, &Arc::new(Schema::new(fields)))?;
    let [from, to] = [1, 2].map(|at| batch.column(at).as_primitive::<TimestampMicrosecondType>());
    let [lon, lat] = [3, 4].map(|at| batch.column(at).as_primitive::<Float64Type>());
    for row in 0..batch.num_rows() {
        let Some(id) = id_of(batch.column(0), row) else {
            continue;
        };
        let degrees = |of: &Float64Array| of.is_valid(row).then(|| of.value(row));
        periods.entry(id).or_default().push(Period {
            from: from.value(row),
            to: to.is_valid(row).then(|| to.value(row)),
            lon: degrees(lon),
            lat: degrees(lat),
        });
    }
    Ok(())
}

/// Returns what a row is about, as text.
fn id_of(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row).to_owned()),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row).to_string()),
        _ => None,
    }
}

/// Returns the period that holds a time: the first one from the beginning, each until the next.
fn period_at(periods: &[Period], time: i64) -> Option<&Period> {
    let behind = periods.partition_point(|period| period.from <= time);
    let period = periods.get(behind.saturating_sub(1))?;
    period.to.is_none_or(|to| to > time).then_some(period)
}

impl Places {
    /// Adds the columns `lon` and `lat` to rows of a dataset.
    pub(super) fn add_to(
        &self,
        rows: &RecordBatch,
        declaration: &DatasetDeclaration,
    ) -> Result<RecordBatch, ArrowError> {
        let subject = declaration.subject_column();
        let subject = subject.and_then(|subject| rows.column_by_name(&subject.name));
        let times = rows.column_by_name(declaration.time_column());
        let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let (mut lons, mut lats) = (Vec::new(), Vec::new());
        for row in 0..rows.num_rows() {
            let id = subject.and_then(|subject| id_of(subject, row));
            let time = times.map(|times| times.value(row));
            let known = id.zip(time).map(|(id, time)| {
                let of_tables = self.periods.iter().filter_map(|of| of.get(&id));
                let held = of_tables.filter_map(|periods| period_at(periods, time));
                held.fold((None, None), |(lon, lat), period| {
                    (lon.or(period.lon), lat.or(period.lat))
                })
            });
            let (lon, lat) = known.unwrap_or_default();
            lons.push(lon);
            lats.push(lat);
        }
        let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
        let mut columns = rows.columns().to_vec();
        for (name, values) in [(LON, lons), (LAT, lats)] {
            fields.push(Arc::new(self.field(name)));
            columns.push(Arc::new(Float64Array::from(values)));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }

    /// Returns the field of a column, with its unit, as the datasets of places declare it.
    fn field(&self, name: &str) -> Field {
        let declared = self.tables.iter().find_map(|table| {
            let schema = public_schema(&table.declaration);
            schema.field_with_name(name).ok().cloned()
        });
        let field = declared.unwrap_or_else(|| Field::new(name, DataType::Float64, true));
        field.with_nullable(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_holds_until_the_next_and_the_first_from_the_beginning() {
        let period = |from, to| Period {
            from,
            to,
            lon: None,
            lat: None,
        };
        let periods = [period(10, Some(20)), period(20, Some(30)), period(40, None)];
        let check = |time, expect: Option<i64>| {
            let held = period_at(&periods, time).map(|period| period.from);
            assert_eq!(held, expect, "{time}");
        };
        check(0, Some(10));
        check(10, Some(10));
        check(19, Some(10));
        check(20, Some(20));
        check(29, Some(20));
        check(30, None);
        check(39, None);
        check(40, Some(40));
        check(i64::MAX, Some(40));
        // Without its own end it lasts until the next begins.
        let open = [period(10, None), period(20, None)];
        assert_eq!(period_at(&open, 25), Some(&open[1]));
        assert_eq!(period_at(&open, 15), Some(&open[0]));
        assert_eq!(period_at(&[], 15), None);
    }
}
