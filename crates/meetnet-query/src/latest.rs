//! The newest row of every series, from memory: what a map of all sensors shows.
//!
//! ```text
//! same state of the table   ─▶ as they are
//! more hot rows             ─▶ merged with the live ones that came
//! another version           ─▶ merged with what was recorded since: hot rows, where it is nothing else, or by a query; all of
//!                              them where rows have been removed
//! nothing kept              ─▶ all of them, by a query
//! ```
//!
//! What asks does so at the place of the request that it is for, among the queries of its client, but by the limits of the
//! service: its answer is for all who ask next. `slot.rs` says who waits meanwhile, and what comes after a failure.
//!
//! While messages arrive, each request meets another state: only what came since the one before is merged.
//!
//! A version of a row is stored once, so what a table holds grows by what is recorded. Where it has grown by less, an
//! erasure or the retention has removed rows, and what is kept could hold some of them.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int8Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use meetnet_lake::snapshot::{HotBatch, TableSnapshot};
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use meetnet_model::licence::Rights;
use meetnet_model::time::format_rfc3339;
use tracing::debug;

use crate::catalog::HISTORY_SUFFIX;
use crate::error::{QueryError, QueryErrorKind, shortened, suggestion};
use crate::licences::add_rights;
use crate::options::QueryRequest;
use crate::page::{
    Page, PageCondition, PageTest, PageValue, is_told, licences_asked, public_table,
};
use crate::service::QueryService;
use crate::state::hot_rows;
use crate::table::schema::{public_schema, units_of};
use crate::table::view::{View, recorded_or_received};

mod newest;
mod places;
mod slot;
#[cfg(test)]
mod tests;

pub(crate) use slot::LatestCache;

use self::newest::newest;
use self::places::Places;

/// Commits that may come between before the caller is told to ask again.
const ATTEMPTS: usize = 3;
/// Values that rows are compared with, each with every row: an address has room for twenty thousand, and these rows wait
/// for no turn.
const VALUES_MAX: usize = 1_000;
/// Hot rows that need not be looked at again after a query: it reads as of the stable time, and nothing here says that each of them
/// was recorded by then. To merge one that is known changes nothing.
const SEEN_BY_QUERY: usize = 0;

/// The newest row of every series, in the order of their keys.
#[derive(Debug)]
struct Kept {
    version: u64,
    /// How many hot rows the table had.
    hot_rows: usize,
    /// How often files of the lake had been found damaged, or whole again.
    damage: u64,
    declaration: Arc<DatasetDeclaration>,
    /// Versions of rows that the table held: of all rows, replaced ones included.
    versions: u64,
    /// So many hot rows, the first ones, need not be looked at again.
    hot_seen: usize,
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

    /// Returns true where hot rows are all that `table`, which holds so many versions of rows, has beyond these rows: as after a
    /// commit of rows that are known already. No file has anything that was recorded since, and nothing has been removed.
    fn lacks_only_hot(&self, table: &TableSnapshot, versions: u64) -> bool {
        let since = self.stable_time;
        hot_recorded_since(table, since)
            .is_some_and(|recorded| self.versions + recorded == versions)
            && table.files.iter().all(|file| {
                let bounds = file.recorded_bounds();
                bounds.is_some_and(|(_, last)| last <= since)
            })
    }
}

impl QueryService {
    /// Answers the newest row of every series of a dataset that meets the conditions, which are of equality only;
    /// `columns` are those of the answer, all of the dataset where none is named; `lon` and `lat` as in [`crate::PageRequest`].
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
                    let declaration = &table.declaration;
                    let places = if columns.iter().any(|name| is_told(name, declaration)) {
                        Some(self.read_places(&snapshot, declaration, conditions).await?)
                    } else {
                        None
                    };
                    return page(&table, &rows, columns, conditions, places.as_ref());
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
        let hot_rows = hot_rows(table);
        let versions = versions(table, hot_rows);
        let known = kept.as_ref().filter(|kept| kept.is_of(table));
        let schema = public_schema(&table.declaration);
        let mut hot_seen = hot_rows;
        let rows = match known {
            // A new version is looked at, also where nothing was added: its stable time is later than that of the reading.
            Some(kept) if kept.version == table.version && kept.hot_rows == hot_rows => {
                return Ok(Some(kept.rows.clone()));
            }
            Some(kept) if kept.version == table.version => {
                let came = live(&hot_behind(table, hot_rows, kept.hot_seen), &schema)?;
                newest(Some(&kept.rows), &came, &table.declaration, &schema).map_err(merging)?
            }
            Some(kept) if kept.lacks_only_hot(table, versions) => {
                let hot = live(&hot_behind(table, hot_rows, 0), &schema)?;
                newest(Some(&kept.rows), &hot, &table.declaration, &schema).map_err(merging)?
            }
            Some(kept) => {
                hot_seen = SEEN_BY_QUERY;
                let since = kept.stable_time;
                let Some(recorded) = self.recorded_since(table, since).await? else {
                    return Ok(None);
                };
                let is_grown = kept.versions + recorded == versions;
                let Some(read) = self.read(table, &schema, is_grown.then_some(since)).await? else {
                    return Ok(None);
                };
                let known = is_grown.then_some(&kept.rows);
                newest(known, &read, &table.declaration, &schema).map_err(merging)?
            }
            None => {
                hot_seen = SEEN_BY_QUERY;
                let Some(read) = self.read(table, &schema, None).await? else {
                    return Ok(None);
                };
                newest(None, &read, &table.declaration, &schema).map_err(merging)?
            }
        };
        *kept = Some(Kept {
            version: table.version,
            hot_rows,
            damage,
            declaration: Arc::clone(&table.declaration),
            versions,
            hot_seen,
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
        let mut answer = self.query_for_all(request).await.map_err(of_reading)?;
        let is_same = answer
            .state
            .as_ref()
            .is_some_and(|state| state.is_version_of(table));
        if !is_same {
            return Ok(None);
        }
        let batches = answer.collect().await.map_err(of_reading)?;
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

/// Returns the error of a statement of ours in words for who asks for newest rows, and can narrow nothing.
fn of_reading(error: QueryError) -> QueryError {
    let needs = match error.kind {
        QueryErrorKind::TooLarge => {
            "more memory or temporary space than one query may use (memory_bytes_max and query_spill_bytes_max of the service)"
        }
        QueryErrorKind::Timeout => {
            "more time than one query may take (query_time_max of the service)"
        }
        _ => return error,
    };
    debug!(
        problem = error.message,
        "a limit ended the reading of newest rows"
    );
    QueryError::new(
        error.kind,
        format!(
            "that takes {needs}; /rows with order=-time answers the newest of one series meanwhile"
        ),
    )
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

/// Returns how many versions of rows a table holds, `hot_rows` of them in no file.
fn versions(table: &TableSnapshot, hot_rows: usize) -> u64 {
    let stored: u64 = table.files.iter().map(|file| file.rows).sum();
    stored + hot_rows as u64
}

/// Returns how many hot rows were recorded after a time; None where they do not say.
fn hot_recorded_since(table: &TableSnapshot, since: i64) -> Option<u64> {
    let mut count = 0;
    for hot in table.hot.iter() {
        let recorded = hot.batch.column_by_name(RECORDED_AT)?;
        let recorded = recorded_or_received(recorded, hot.batch.column_by_name(RECEIVED_AT)?);
        let times = recorded.as_primitive_opt::<TimestampMicrosecondType>()?;
        count += times.iter().flatten().filter(|at| *at > since).count();
    }
    Some(count as u64)
}

/// Returns the hot rows of a table behind the first `known` of its `hot_rows`. Between two versions of it rows only come, each
/// behind those before it; where they are joined to larger batches, they stay in this order. One of the first may have been
/// replaced since: by one of the same key behind them, which takes its place.
fn hot_behind(table: &TableSnapshot, hot_rows: usize, known: usize) -> Vec<HotBatch> {
    // Fewer than are known is another table than was thought.
    let mut left = if known <= hot_rows { known } else { 0 };
    let mut behind = Vec::new();
    for hot in table.hot.iter() {
        let rows = hot.batch.num_rows();
        let skipped = left.min(rows);
        left -= skipped;
        if skipped < rows {
            let marks = hot.superseded.as_ref();
            behind.push(HotBatch {
                batch: hot.batch.slice(skipped, rows - skipped),
                superseded: marks.map(|marks| Arc::new(marks[skipped..].to_vec())),
            });
        }
    }
    behind
}

/// Returns the live ones of hot rows under the schema of an answer.
fn live(hot: &[HotBatch], schema: &SchemaRef) -> Result<Vec<RecordBatch>, QueryError> {
    let live = hot
        .iter()
        .map(|hot| conform(&View::CURRENT.of_hot(hot)?, schema));
    live.collect::<Result<_, _>>().map_err(merging)
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
    let groups = format!(
        "(SELECT {listed}max(\"{time}\") AS latest FROM \"{dataset}\" AS seen{}{grouped}) AS newest",
        recent("seen")
    );
    let rows = format!("\"{dataset}\" AS held");
    // What comes first is held in memory, and the other side passes by: there are as many groups as series, while the rows are the
    // whole table, however wide and long.
    let (kept, passing) = (groups, rows);
    format!(
        "SELECT {} FROM {kept} JOIN {passing} ON {joined}newest.latest = held.\"{time}\"{}",
        columns.join(", "),
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

fn merging(error: ArrowError) -> QueryError {
    QueryError::internal("merging newest rows", error)
}

/// Makes the page of the rows that meet the conditions.
fn page(
    table: &TableSnapshot,
    rows: &RecordBatch,
    columns: &[String],
    conditions: &[PageCondition],
    places: Option<&Places>,
) -> Result<Page, QueryError> {
    let mut rows = rows.clone();
    for condition in conditions {
        let met = meets(&rows, condition)?;
        rows = filter_record_batch(&rows, &met).map_err(merging)?;
    }
    if let Some(places) = places {
        rows = places.add_to(&rows, &table.declaration).map_err(merging)?;
    }
    if !columns.is_empty() {
        let positions = columns.iter().map(|name| position(&rows, name));
        let positions = positions.collect::<Result<Vec<_>, _>>()?;
        rows = rows.project(&positions).map_err(merging)?;
    }
    let schema = rows.schema();
    let units = units_of(&schema);
    let mut rights = Rights::default();
    add_rights(&mut rights, table, None);
    let (mut through, mut stable_time) = (table.through, table.stable_time);
    if let Some(places) = places {
        let only = licences_asked(conditions);
        for table in &places.tables {
            add_rights(&mut rights, table, only.as_ref());
        }
        through = places.through.map_or(through, |least| least.min(through));
        let least = places.stable_time;
        stable_time = least.map_or(stable_time, |least| least.min(stable_time));
    }
    Ok(Page {
        schema,
        units,
        batches: vec![rows],
        through,
        stable_time,
        as_of: stable_time,
        rights,
        hints: Vec::new(),
        next: None,
    })
}

/// How much of a name that is none an answer repeats.
const NAME_BYTES_SHOWN: usize = 100;

fn position(rows: &RecordBatch, name: &str) -> Result<usize, QueryError> {
    rows.schema().index_of(name).map_err(|_| {
        let schema = rows.schema();
        let known = schema.fields().iter().map(|field| field.name().as_str());
        let hint = suggestion(name, known);
        let name = shortened(name.to_owned(), NAME_BYTES_SHOWN);
        let message = format!("there is no column `{name}` for fields{hint}");
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
