//! Pages of one dataset's rows: conditions on columns, in key order, from a key on, as of one time.
//!
//! ```text
//! PageRequest ─▶ one SQL statement ─▶ QueryService ─▶ Page: rows in memory, and the key to go on from
//! ```
//!
//! The statement is made from the dataset's own column names and from typed values, never from foreign text as it is.
//! The time stays the same from page to page, so that no row is missed or met twice while others arrive.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence};
use meetnet_model::licence::Rights;
use meetnet_model::time::{format_rfc3339, parse_rfc3339};

use crate::error::{QueryError, QueryErrorKind, suggestion};
use crate::options::QueryRequest;
use crate::service::QueryService;
use crate::table::schema::{UNIT_KEY, public_schema};

/// Conditions of one request: each is a comparison for every row that is read.
const CONDITIONS_MAX: usize = 64;

/// A value to compare a column with.
#[derive(Clone, Debug, PartialEq)]
pub enum PageValue {
    /// An integer.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Microseconds since 1970 UTC.
    Time(i64),
    /// A text.
    Text(String),
}

impl PageValue {
    /// Reads a value of a type as answers show it.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(data_type: &DataType, text: &str) -> Result<Self, &'static str> {
        match data_type {
            DataType::Utf8 => Ok(Self::Text(text.to_owned())),
            DataType::Int64 => text
                .parse()
                .map(Self::Int)
                .map_err(|_| "a whole number such as 42"),
            DataType::Int8 => text
                .parse::<i8>()
                .map(|value| Self::Int(value.into()))
                .map_err(|_| "a whole number from -128 to 127"),
            DataType::Float64 => text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .map(Self::Float)
                .ok_or("a number such as 1.5"),
            DataType::Boolean => text
                .parse()
                .map(Self::Bool)
                .map_err(|_| "true or false"),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                parse_rfc3339(text).map(Self::Time).map_err(|_| {
                    "an RFC 3339 time such as 2026-01-31T12:00:00Z (in an address + is written %2B)"
                })
            }
            _ => Err("no value: a list cannot be compared"),
        }
    }

    /// Returns the value as a SQL literal.
    fn to_sql(&self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Float(value) => format!("CAST('{value:e}' AS DOUBLE)"),
            Self::Bool(value) => value.to_string(),
            // As text it takes the column's type; a TIMESTAMP literal counts nanoseconds, which end in 2262.
            Self::Time(value) => format!("'{}'", format_rfc3339(*value)),
            Self::Text(value) => format!("'{}'", value.replace('\'', "''")),
        }
    }
}

/// What a column must meet.
#[derive(Clone, Debug, PartialEq)]
pub enum PageTest {
    /// Equal to one of these.
    AnyOf(Vec<PageValue>),
    /// Less than.
    Less(PageValue),
    /// At most.
    AtMost(PageValue),
    /// Greater than.
    Greater(PageValue),
    /// At least.
    AtLeast(PageValue),
    /// Whether there is no value.
    IsNull(bool),
}

/// One condition on one column. Rows without a value meet none but `IsNull(true)`.
#[derive(Clone, Debug, PartialEq)]
pub struct PageCondition {
    /// Name of the column.
    pub column: String,
    /// What it must meet.
    pub test: PageTest,
}

impl PageCondition {
    fn to_sql(&self) -> String {
        let column = quoted(&self.column);
        match &self.test {
            PageTest::AnyOf(values) => {
                let values: Vec<String> = values.iter().map(PageValue::to_sql).collect();
                format!("{column} IN ({})", values.join(", "))
            }
            PageTest::Less(value) => format!("{column} < {}", value.to_sql()),
            PageTest::AtMost(value) => format!("{column} <= {}", value.to_sql()),
            PageTest::Greater(value) => format!("{column} > {}", value.to_sql()),
            PageTest::AtLeast(value) => format!("{column} >= {}", value.to_sql()),
            PageTest::IsNull(true) => format!("{column} IS NULL"),
            PageTest::IsNull(false) => format!("{column} IS NOT NULL"),
        }
    }
}

/// Which rows to answer, as anybody asks.
#[derive(Clone, Debug, PartialEq)]
pub struct PageRequest {
    /// The dataset.
    pub dataset: DatasetId,
    /// The time it is read as of, µs since 1970 UTC.
    pub as_of: i64,
    /// Columns of the answer, in order; empty: all.
    pub columns: Vec<String>,
    /// Conditions that all hold.
    pub conditions: Vec<PageCondition>,
    /// The key after which the page begins: one value per key column, in the key's order.
    pub after: Option<Vec<PageValue>>,
    /// Rows of the page at most.
    pub rows_max: usize,
}

/// One page, in key order.
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
        let table = snapshot
            .tables
            .get(&request.dataset)
            .filter(|table| table.declaration.is_public())
            .ok_or_else(|| {
                let message = format!("there is no dataset `{}`", request.dataset);
                QueryError::new(QueryErrorKind::NotFound, message)
            })?;
        let declaration = &*table.declaration;
        let schema = public_schema(declaration);
        check(&request, declaration, &schema)?;
        let shown = if request.columns.is_empty() {
            schema.fields().len()
        } else {
            request.columns.len()
        };
        let mut answer = self
            .query(QueryRequest {
                as_of: Some(request.as_of),
                row_limit: Some(request.rows_max.saturating_add(1)),
                ..QueryRequest::public(statement(&request, declaration, &schema))
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
        let columns: Vec<usize> = (0..shown).collect();
        let failed = |error| QueryError::internal("selecting columns", error);
        let schema = Arc::new(answer.schema.project(&columns).map_err(failed)?);
        let units = schema
            .fields()
            .iter()
            .map(|field| field.metadata().get(UNIT_KEY).cloned())
            .collect();
        let batches = batches
            .iter()
            .map(|batch| batch.project(&columns).map_err(failed))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rights = Rights::default();
        let stored = table.files.iter().map(|file| &file.licence);
        rights.add(declaration, stored, licences_asked(&request).as_ref());
        Ok(Page {
            schema,
            units,
            batches,
            through: answer.through,
            stable_time: answer.stable_time,
            as_of: request.as_of,
            rights,
            next,
        })
    }
}

/// Returns the licences that the conditions ask for; None: any.
fn licences_asked(request: &PageRequest) -> Option<BTreeSet<LicenceId>> {
    let mut asked = request.conditions.iter().filter_map(|condition| {
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
    for column in request.columns.iter().chain(conditions) {
        if schema.index_of(column).is_err() {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            let hint = suggestion(column, known);
            return wrong(format!("there is no column `{column}`{hint}"));
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

fn statement(
    request: &PageRequest,
    declaration: &DatasetDeclaration,
    schema: &SchemaRef,
) -> String {
    let mut columns: Vec<&str> = if request.columns.is_empty() {
        schema.fields().iter().map(|f| f.name().as_str()).collect()
    } else {
        request.columns.iter().map(String::as_str).collect()
    };
    for name in &declaration.key {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let list =
        |names: &mut dyn Iterator<Item = &str>| names.map(quoted).collect::<Vec<_>>().join(", ");
    let mut conditions: Vec<String> = request
        .conditions
        .iter()
        .map(PageCondition::to_sql)
        .collect();
    if let Some(after) = &request.after {
        conditions.extend(follows(&declaration.key, after));
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    format!(
        "SELECT {} FROM {}{filter} ORDER BY {} LIMIT {}",
        list(&mut columns.iter().copied()),
        quoted(declaration.id.as_str()),
        list(&mut declaration.key.iter().map(String::as_str)),
        request.rows_max.saturating_add(1),
    )
}

/// Returns what keys after `after` meet. The first condition says nothing new; pruning understands it best.
fn follows(key: &[String], after: &[PageValue]) -> Option<String> {
    let mut pairs = key.iter().map(|name| quoted(name)).zip(after).rev();
    let (name, value) = pairs.next()?;
    let mut follows = format!("{name} > {}", value.to_sql());
    for (name, value) in pairs {
        let value = value.to_sql();
        follows = format!("({name} > {value} OR ({name} = {value} AND {follows}))");
    }
    let (name, value) = (quoted(key.first()?), after.first()?.to_sql());
    Some(format!("{name} >= {value} AND {follows}"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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
