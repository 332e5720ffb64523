//! The newest row of every series, from memory: what a map of all sensors shows.
//!
//! ```text
//! same state of the table   ─▶ as they are
//! more hot rows             ─▶ merged with the live ones
//! another version           ─▶ merged with what was recorded since, by a query; all of them where rows have been removed
//! nothing kept              ─▶ all of them, by a query
//! ```
//!
//! What asks does so at the place of the request that it is for, among the queries of its client, but by the limits of the
//! service: its answer is for all who ask next. `slot.rs` says who waits meanwhile, and what comes after a failure.
//!
//! A version of a row is stored once, so what a table holds grows by what is recorded. Where it has grown by less, an
//! erasure or the retention has removed rows, and what is kept could hold some of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch, interleave_record_batch};
use arrow::datatypes::{DataType, Int8Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use meetnet_model::licence::Rights;
use meetnet_model::time::format_rfc3339;

use crate::catalog::HISTORY_SUFFIX;
use crate::error::{QueryError, QueryErrorKind};
use crate::options::QueryRequest;
use crate::page::{Page, PageCondition, PageTest, PageValue};
use crate::service::QueryService;
use crate::state::AnswerState;
use crate::table::schema::{UNIT_KEY, public_schema};
use crate::table::view::View;

mod slot;
#[cfg(test)]
mod tests;

pub(crate) use slot::LatestCache;

/// Commits that may come between before the caller is told to ask again.
const ATTEMPTS: usize = 3;
/// Values that rows are compared with, each with every row: an address has room for twenty thousand, and these rows wait
/// for no turn.
const VALUES_MAX: usize = 1_000;

/// The newest row of every series, in the order of their keys.
#[derive(Debug)]
struct Kept {
    state: AnswerState,
    version: u64,
    /// How often files of the lake had been found damaged, or whole again.
    damage: u64,
    declaration: Arc<DatasetDeclaration>,
    /// Versions of rows that the table held: of all rows, replaced ones included.
    versions: u64,
    stable_time: i64,
    rows: RecordBatch,
}

impl Kept {
    /// Returns true where the rows may be of use for those of `table`. Some may be of a file that was found damaged since.
    fn is_of(&self, table: &TableSnapshot) -> bool {
        Arc::ptr_eq(&self.declaration, &table.declaration)
            && self.damage == table.folder.damage_revision()
    }

    /// Returns true where the rows become those of `table` without reading its files.
    fn needs_no_query(&self, table: &TableSnapshot) -> bool {
        self.is_of(table) && self.version == table.version
    }
}

impl QueryService {
    /// Answers the newest row of every series of a dataset that meets the conditions, which are of equality only;
    /// `columns` are those of the answer, all where none is named.
    ///
    /// # Errors
    /// `NotFound` for a dataset that is not there or not public, `BadRequest` for other conditions, too many values, and
    /// columns that it does not have. Where rows must be read: `OverShare` and `Busy` as [`QueryService::query`], and `Busy`
    /// with a time to come again where reading them has failed.
    pub async fn latest(
        &self,
        dataset: &DatasetId,
        columns: &[String],
        conditions: &[PageCondition],
    ) -> Result<Page, QueryError> {
        // Before there is an entry: names are foreign text.
        public_table(&self.snapshot().load(), dataset)?;
        check_values(conditions)?;
        let patience = self.options().queue_time_max;
        let mut held = self.latest_cache().held(dataset, patience).await?;
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot().load_full();
            let table = public_table(&snapshot, dataset)?;
            let kept = held.kept.as_ref();
            if !kept.is_some_and(|kept| kept.needs_no_query(&table)) {
                held.check_pause(dataset, Instant::now())?;
            }
            match self.refresh(&table, &mut held.kept).await {
                Ok(Some(rows)) => {
                    held.succeeded();
                    drop(held);
                    return page(&table, &rows, columns, conditions);
                }
                Ok(None) => {}
                Err(error) if is_of_the_moment(error.kind) => return Err(error),
                Err(error) => return Err(held.failed(dataset, error, Instant::now())),
            }
        }
        Err(QueryError::new(
            QueryErrorKind::SnapshotExpired,
            "the table was reorganised while its newest rows were looked for; ask again",
        ))
    }

    /// Brings the newest rows to the state of `table`; None where the table has changed under the query.
    async fn refresh(
        &self,
        table: &Arc<TableSnapshot>,
        kept: &mut Option<Kept>,
    ) -> Result<Option<RecordBatch>, QueryError> {
        // Before the files are read: what is found meanwhile is not in them.
        let damage = table.folder.damage_revision();
        let state = AnswerState::of([table], false);
        let versions = versions(table);
        let known = kept.as_ref().filter(|kept| kept.is_of(table));
        let schema = public_schema(&table.declaration);
        let rows = match known {
            Some(kept) if kept.state.to_string() == state.to_string() => {
                return Ok(Some(kept.rows.clone()));
            }
            Some(kept) if kept.version == table.version => {
                let mut batches = vec![kept.rows.clone()];
                for hot in table.hot.iter() {
                    let live = View::CURRENT.of_hot(hot).map_err(merging)?;
                    batches.push(conform(&live, &schema).map_err(merging)?);
                }
                newest(&batches, &table.declaration, &schema)?
            }
            Some(kept) => {
                let since = kept.stable_time;
                let Some(recorded) = self.recorded_since(table, since).await? else {
                    return Ok(None);
                };
                let mut batches = vec![kept.rows.clone()];
                let is_grown = kept.versions + recorded == versions;
                if !is_grown {
                    batches.clear();
                }
                let Some(read) = self.read(table, &schema, is_grown.then_some(since)).await? else {
                    return Ok(None);
                };
                batches.extend(read);
                newest(&batches, &table.declaration, &schema)?
            }
            None => match self.read(table, &schema, None).await? {
                Some(read) => newest(&read, &table.declaration, &schema)?,
                None => return Ok(None),
            },
        };
        *kept = Some(Kept {
            state,
            version: table.version,
            damage,
            declaration: Arc::clone(&table.declaration),
            versions,
            stable_time: table.stable_time,
            rows: rows.clone(),
        });
        Ok(Some(rows))
    }

    /// Asks as of the stable time of `table`, whatever has come since; None where the table has another version by now.
    async fn ask(
        &self,
        table: &Arc<TableSnapshot>,
        sql: String,
    ) -> Result<Option<Vec<RecordBatch>>, QueryError> {
        let request = QueryRequest {
            as_of: Some(table.stable_time),
            ..QueryRequest::public(sql)
        };
        let mut answer = self.query_for_all(request).await?;
        let expected = AnswerState::of([table], true).to_string();
        let is_same = answer
            .state
            .as_ref()
            .is_some_and(|state| state.to_string() == expected);
        if !is_same {
            return Ok(None);
        }
        let batches = answer.collect().await?;
        if answer.truncated() {
            return Err(QueryError::new(
                QueryErrorKind::TooLarge,
                format!(
                    "`{}` has more series than one answer may have rows",
                    table.declaration.id
                ),
            ));
        }
        Ok(Some(batches))
    }

    /// Returns how many versions of rows were recorded after a time.
    async fn recorded_since(
        &self,
        table: &Arc<TableSnapshot>,
        since: i64,
    ) -> Result<Option<u64>, QueryError> {
        let sql = format!(
            "SELECT count(*) FROM \"{}{HISTORY_SUFFIX}\" WHERE {RECORDED_AT} > '{}'",
            table.declaration.id,
            format_rfc3339(since)
        );
        let batches = self.ask(table, sql).await?;
        Ok(batches.map(|batches| {
            let counts = batches.iter().filter(|batch| batch.num_rows() > 0);
            counts
                .map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0) as u64)
                .sum()
        }))
    }

    /// Reads the newest rows of those that were recorded after a time, or of all.
    async fn read(
        &self,
        table: &Arc<TableSnapshot>,
        schema: &SchemaRef,
        since: Option<i64>,
    ) -> Result<Option<Vec<RecordBatch>>, QueryError> {
        let sql = statement(&table.declaration, schema, since);
        let Some(batches) = self.ask(table, sql).await? else {
            return Ok(None);
        };
        let conformed = batches.iter().map(|batch| conform(batch, schema));
        let conformed = conformed.collect::<Result<Vec<_>, _>>();
        Ok(Some(conformed.map_err(merging)?))
    }
}

/// Returns true for an error that says nothing of the rows: who asks next may have more luck.
fn is_of_the_moment(kind: QueryErrorKind) -> bool {
    matches!(
        kind,
        QueryErrorKind::OverShare | QueryErrorKind::Busy | QueryErrorKind::SnapshotExpired
    )
}

fn public_table(
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

fn check_values(conditions: &[PageCondition]) -> Result<(), QueryError> {
    let values = conditions.iter().map(|condition| match &condition.test {
        PageTest::AnyOf(values) => values.len(),
        _ => 1,
    });
    let count: usize = values.sum();
    if count <= VALUES_MAX {
        return Ok(());
    }
    let message = format!(
        "the newest rows are compared with {count} values; at most {VALUES_MAX} are read: ask in parts, or for all rows"
    );
    Err(QueryError::new(QueryErrorKind::BadRequest, message))
}

/// Returns how many versions of rows a table holds.
fn versions(table: &TableSnapshot) -> u64 {
    let stored: u64 = table.files.iter().map(|file| file.rows).sum();
    let hot: usize = table.hot.iter().map(|hot| hot.batch.num_rows()).sum();
    stored + hot as u64
}

/// Returns the names of the key columns that say which series a row is of.
fn series(declaration: &DatasetDeclaration) -> impl Iterator<Item = &String> {
    let time = declaration.time_column();
    declaration.key.iter().filter(move |name| *name != time)
}

fn statement(declaration: &DatasetDeclaration, schema: &SchemaRef, since: Option<i64>) -> String {
    let (dataset, time) = (&declaration.id, declaration.time_column());
    let recent = |of: &str| match since {
        None => String::new(),
        Some(since) => {
            let since = format_rfc3339(since);
            format!(
                " WHERE ({of}.{RECORDED_AT} > '{since}' OR ({of}.{RECORDED_AT} IS NULL AND {of}.{RECEIVED_AT} > '{since}'))"
            )
        }
    };
    let names: Vec<String> = series(declaration)
        .map(|name| format!("\"{name}\""))
        .collect();
    let columns = schema.fields().iter();
    let columns: Vec<String> = columns
        .map(|field| format!("held.\"{}\"", field.name()))
        .collect();
    let grouped = if names.is_empty() {
        String::new()
    } else {
        format!(" GROUP BY {}", names.join(", "))
    };
    let listed: String = names.iter().map(|name| format!("{name}, ")).collect();
    let joined: String = names
        .iter()
        .map(|name| format!("newest.{name} = held.{name} AND "))
        .collect();
    format!(
        "SELECT {} FROM \"{dataset}\" AS held JOIN (SELECT {listed}max(\"{time}\") AS latest FROM \"{dataset}\" AS seen{}{grouped}) \
         AS newest ON {joined}newest.latest = held.\"{time}\"{}",
        columns.join(", "),
        recent("seen"),
        recent("held"),
    )
}

/// Puts the columns of a batch under a schema of the same names in the same order.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// A part of the key of a series.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeyPart<'a> {
    None,
    Int(i64),
    Text(&'a str),
}

impl<'a> KeyPart<'a> {
    fn of(column: &'a ArrayRef, row: usize) -> Self {
        if column.is_null(row) {
            return Self::None;
        }
        match column.data_type() {
            DataType::Int64 => Self::Int(column.as_primitive::<Int64Type>().value(row)),
            DataType::Utf8 => Self::Text(column.as_string::<i32>().value(row)),
            _ => Self::None,
        }
    }
}

/// Returns the newest row of every series; of rows of one time the one that comes last.
fn newest(
    batches: &[RecordBatch],
    declaration: &DatasetDeclaration,
    schema: &SchemaRef,
) -> Result<RecordBatch, QueryError> {
    let positions: Vec<usize> = series(declaration)
        .filter_map(|name| schema.index_of(name).ok())
        .collect();
    let time = schema
        .index_of(declaration.time_column())
        .map_err(merging)?;
    let mut newest: BTreeMap<Vec<KeyPart<'_>>, (i64, (usize, usize))> = BTreeMap::new();
    for (index, batch) in batches.iter().enumerate() {
        let times = batch
            .column(time)
            .as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let key = positions
                .iter()
                .map(|at| KeyPart::of(batch.column(*at), row));
            let (at, place) = (times.value(row), (index, row));
            let entry = newest.entry(key.collect()).or_insert((at, place));
            if at >= entry.0 {
                *entry = (at, place);
            }
        }
    }
    let places: Vec<(usize, usize)> = newest.into_values().map(|(_, place)| place).collect();
    if places.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    interleave_record_batch(&batches, &places).map_err(merging)
}

fn merging(error: ArrowError) -> QueryError {
    QueryError::internal("merging newest rows", error)
}

/// Makes the page of the rows that meet the conditions.
fn page(
    table: &TableSnapshot,
    rows: &RecordBatch,
    columns: &[String],
    conditions: &[PageCondition],
) -> Result<Page, QueryError> {
    let mut rows = rows.clone();
    for condition in conditions {
        let met = meets(&rows, condition)?;
        rows = filter_record_batch(&rows, &met).map_err(merging)?;
    }
    if !columns.is_empty() {
        let positions = columns.iter().map(|name| position(&rows, name));
        let positions = positions.collect::<Result<Vec<_>, _>>()?;
        rows = rows.project(&positions).map_err(merging)?;
    }
    let schema = rows.schema();
    let units = schema.fields().iter();
    let units = units
        .map(|field| field.metadata().get(UNIT_KEY).cloned())
        .collect();
    let mut rights = Rights::default();
    let stored = table.files.iter().map(|file| &file.licence);
    rights.add(&table.declaration, stored, None);
    Ok(Page {
        schema,
        units,
        batches: vec![rows],
        through: table.through,
        stable_time: table.stable_time,
        as_of: table.stable_time,
        rights,
        next: None,
    })
}

fn position(rows: &RecordBatch, name: &str) -> Result<usize, QueryError> {
    rows.schema().index_of(name).map_err(|_| {
        let message = format!("there is no column `{name}`");
        QueryError::new(QueryErrorKind::BadRequest, message)
    })
}

fn meets(rows: &RecordBatch, condition: &PageCondition) -> Result<BooleanArray, QueryError> {
    let PageTest::AnyOf(values) = &condition.test else {
        return Err(QueryError::new(
            QueryErrorKind::BadRequest,
            format!(
                "the newest rows are chosen by equality only: {}=…; /rows knows other conditions",
                condition.column
            ),
        ));
    };
    let column = rows.column(position(rows, &condition.column)?);
    let met = (0..rows.num_rows()).map(|row| values.iter().any(|value| equals(column, row, value)));
    Ok(met.collect::<Vec<bool>>().into())
}

fn equals(column: &ArrayRef, row: usize, value: &PageValue) -> bool {
    if column.is_null(row) {
        return false;
    }
    match (column.data_type(), value) {
        (DataType::Utf8, PageValue::Text(text)) => column.as_string::<i32>().value(row) == text,
        (DataType::Int64, PageValue::Int(value)) => {
            column.as_primitive::<Int64Type>().value(row) == *value
        }
        (DataType::Int8, PageValue::Int(value)) => {
            i64::from(column.as_primitive::<Int8Type>().value(row)) == *value
        }
        (DataType::Timestamp(..), PageValue::Time(value)) => {
            column.as_primitive::<TimestampMicrosecondType>().value(row) == *value
        }
        (DataType::Float64, PageValue::Float(value)) => {
            let values = column.as_primitive::<arrow::datatypes::Float64Type>();
            values.value(row) == *value
        }
        (DataType::Boolean, PageValue::Bool(value)) => column.as_boolean().value(row) == *value,
        _ => false,
    }
}
