//! Pages of one dataset's rows, or of its buckets of time: by conditions and place, in an order of the key, from a key on,
//! as of one time.
//!
//! ```text
//! PageRequest ─▶ one SQL statement ─▶ QueryService ─▶ Page: rows in memory, and the key to go on from
//! ```
//!
//! The statement is made from the dataset's own column names and from typed values, never from foreign text as it is.
//! The time stays the same from page to page, so that no row is missed or met twice while others arrive.

mod area;
mod buckets;
mod condition;
mod place;
mod statement;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence};
use meetnet_model::licence::Rights;

use crate::error::{QueryError, QueryErrorKind, shortened, suggestion};
use crate::licences::add_rights;
use crate::options::{QueryRequest, SessionKind};
use crate::service::QueryService;
use crate::table::schema::{public_schema, units_of};

pub use area::{PlaceBounds, bounds_of};
pub use buckets::{BucketAggregate, Every, PageBuckets};
pub use condition::{PageCondition, PageTest, PageValue};
pub(crate) use place::{LAT, LON, is_told, nowhere};
pub use place::{PageArea, places_of};
use statement::Statement;

/// Conditions of one request: each is a comparison for every row that is read.
const CONDITIONS_MAX: usize = 64;
/// How much of a name that is none an answer repeats.
const NAME_BYTES_SHOWN: usize = 100;

/// Which rows to answer, as anybody asks.
#[derive(Clone, Debug, PartialEq)]
pub struct PageRequest {
    /// The dataset.
    pub dataset: DatasetId,
    /// The time it is read as of, µs since 1970 UTC.
    pub as_of: i64,
    /// Columns of the answer, in order; empty: all. Beside those of the dataset `lon` and `lat` where others tell where its rows are:
    /// [`places_of`].
    pub columns: Vec<String>,
    /// Conditions that all hold.
    pub conditions: Vec<PageCondition>,
    /// Where the rows are; None: anywhere.
    pub area: Option<PageArea>,
    /// Key columns that order the rows, and whether from the greatest down; the others of the key follow, from the least
    /// up.
    pub order: Vec<(String, bool)>,
    /// Makes one row of the rows of a bucket of time.
    pub buckets: Option<PageBuckets>,
    /// The key after which the page begins: one value per key column, in the key's order.
    pub after: Option<Vec<PageValue>>,
    /// Rows of the page at most.
    pub rows_max: usize,
}

/// One page, in its order.
#[derive(Clone, Debug)]
pub struct Page {
    /// Columns of every batch.
    pub schema: SchemaRef,
    /// UCUM unit per column.
    pub units: Vec<Option<String>>,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// As in [`crate::QueryAnswer`].
    pub through: Sequence,
    /// As in [`crate::QueryAnswer`].
    pub stable_time: i64,
    /// The time it was read as of.
    pub as_of: i64,
    /// As in [`crate::QueryAnswer`].
    pub rights: Rights,
    /// What to tell whoever asked for an area where nothing can be: sentences.
    pub hints: Vec<String>,
    /// The key of the last row where more follow.
    pub next: Option<Vec<PageValue>>,
}

impl QueryService {
    /// Answers one page.
    ///
    /// # Errors
    /// `NotFound` for a dataset that is not there or not public, `BadRequest` for columns it does not have and too many
    /// conditions, else as [`QueryService::query`].
    pub async fn page(&self, request: PageRequest) -> Result<Page, QueryError> {
        let snapshot = self.snapshot().load_full();
        let table = public_table(&snapshot, &request.dataset)?;
        let declaration = &*table.declaration;
        let schema = public_schema(declaration);
        check(&request, declaration, &schema)?;
        let licences = licences_asked(&request.conditions);
        self.check_licences(SessionKind::Public, licences.iter().flatten())?;
        let statement = Statement::of(&request, &table, &snapshot, licences.as_ref())?;
        let mut answer = self
            .query(QueryRequest {
                as_of: Some(request.as_of),
                row_limit: Some(request.rows_max.saturating_add(1)),
                ..QueryRequest::public(statement.sql)
            })
            .await?;
        let batches = answer.collect().await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let has_more = rows > request.rows_max || answer.truncated();
        let batches = first_rows(batches, request.rows_max);
        let next = match batches.last() {
            Some(last) if has_more => Some(last_key(last, declaration)?),
            _ => None,
        };
        // Key columns that only the next page needs stand behind those asked for.
        let columns: Vec<usize> = (0..statement.shown).collect();
        let failed = |error| QueryError::internal("selecting columns", error);
        let schema = Arc::new(answer.schema.project(&columns).map_err(failed)?);
        let units = units_of(&schema);
        let batches = batches
            .iter()
            .map(|batch| batch.project(&columns).map_err(failed))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rights = Rights::default();
        add_rights(&mut rights, &table, licences.as_ref());
        let mut columns_asked = request.columns.iter();
        if columns_asked.any(|name| place::is_told(name, declaration)) {
            for places in places_of(&snapshot, declaration) {
                add_rights(&mut rights, &places, licences.as_ref());
            }
        }
        Ok(Page {
            schema,
            units,
            batches,
            through: answer.through,
            stable_time: answer.stable_time,
            as_of: request.as_of,
            rights,
            hints: area::hint(&request, declaration, &snapshot)
                .into_iter()
                .collect(),
            next,
        })
    }
}

/// Returns the table of a dataset that anybody may read.
pub(crate) fn public_table(
    snapshot: &LakeSnapshot,
    dataset: &DatasetId,
) -> Result<Arc<TableSnapshot>, QueryError> {
    let table = snapshot.tables.get(dataset);
    let table = table.filter(|table| table.declaration.is_public());
    table.cloned().ok_or_else(|| {
        let message = format!("there is no dataset `{dataset}`");
        QueryError::new(QueryErrorKind::NotFound, message)
    })
}

/// Returns the licences that the conditions ask for; None: any.
pub(crate) fn licences_asked(conditions: &[PageCondition]) -> Option<BTreeSet<LicenceId>> {
    let mut asked = conditions.iter().filter_map(|condition| {
        let PageTest::AnyOf(values) = &condition.test else {
            return None;
        };
        (condition.column == LICENCE).then(|| {
            let texts = values.iter().filter_map(|value| match value {
                PageValue::Text(text) => Some(LicenceId::new(text)),
                _ => None,
            });
            texts.collect()
        })
    });
    asked.next()
}

fn check(
    request: &PageRequest,
    declaration: &DatasetDeclaration,
    schema: &SchemaRef,
) -> Result<(), QueryError> {
    let wrong = |message| Err(QueryError::new(QueryErrorKind::BadRequest, message));
    if request.conditions.len() > CONDITIONS_MAX {
        let count = request.conditions.len();
        return wrong(format!(
            "the request has {count} conditions; at most {CONDITIONS_MAX} are read"
        ));
    }
    let conditions = request.conditions.iter().map(|condition| &condition.column);
    let is_told = |name: &String| request.buckets.is_none() && place::is_told(name, declaration);
    let columns = request.columns.iter().filter(|name| !is_told(name));
    for column in columns.chain(conditions) {
        if schema.index_of(column).is_err() {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            let hint = suggestion(column, known);
            let column = shortened(column.clone(), NAME_BYTES_SHOWN);
            return wrong(format!("there is no column `{column}` for fields{hint}"));
        }
    }
    for (position, (column, _)) in request.order.iter().enumerate() {
        if !declaration.key.contains(column) {
            return wrong(format!(
                "order takes columns of the key, which are {}, such as -{}; `{}` is none of them",
                declaration.key.join(", "),
                declaration.time_column(),
                shortened(column.clone(), NAME_BYTES_SHOWN)
            ));
        }
        if request.order[..position]
            .iter()
            .any(|(known, _)| known == column)
        {
            return wrong(format!("the order names `{column}` twice; name it once"));
        }
    }
    if let Some(after) = &request.after
        && after.len() != declaration.key.len()
    {
        let count = declaration.key.len();
        return wrong(format!("a page begins after a key of {count} values"));
    }
    Ok(())
}

/// Returns the first `rows_max` rows.
fn first_rows(batches: Vec<RecordBatch>, rows_max: usize) -> Vec<RecordBatch> {
    let mut left = rows_max;
    batches
        .into_iter()
        .map(|batch| {
            let rows = batch.num_rows().min(left);
            left -= rows;
            batch.slice(0, rows)
        })
        .filter(|batch| batch.num_rows() > 0)
        .collect()
}

/// Returns the key of the last row.
fn last_key(
    batch: &RecordBatch,
    declaration: &DatasetDeclaration,
) -> Result<Vec<PageValue>, QueryError> {
    let row = batch.num_rows() - 1;
    declaration
        .key
        .iter()
        .map(|name| {
            let column = batch.column_by_name(name)?;
            if column.is_null(row) {
                return None;
            }
            Some(match column.data_type() {
                DataType::Int64 => PageValue::Int(column.as_primitive::<Int64Type>().value(row)),
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    PageValue::Time(column.as_primitive::<TimestampMicrosecondType>().value(row))
                }
                DataType::Utf8 => PageValue::Text(column.as_string::<i32>().value(row).to_owned()),
                _ => return None,
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            QueryError::new(
                QueryErrorKind::Internal,
                format!(
                    "the key of `{}` holds a value that cannot be a page's end",
                    declaration.id
                ),
            )
        })
}

#[cfg(test)]
mod tests;
