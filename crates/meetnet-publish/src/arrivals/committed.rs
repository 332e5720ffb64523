//! The newest observations among committed rows: once per version of a table, so that a page which nobody has looked at for a
//! while, or a service that has just started, does not say that nothing has come in.
//!
//! `table of a new version ─▶ one bounded page of rows ─▶ arrivals, kept until the next version`

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use meetnet_lake::snapshot::{LakeSnapshot, StatisticsValue, TableSnapshot};
use meetnet_model::common;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::ids::DatasetId;
use meetnet_query::{PageCondition, PageRequest, PageTest, PageValue, QueryError, QueryService};
use tracing::debug;

use super::{ARRIVALS_MAX, Arrival, Columns, join, measured_columns};

/// How long before the newest reception the others may lie, µs: files of earlier ones are not opened.
const SPAN_US: i64 = 600_000_000;
/// Most rows that are read of one dataset.
const ROWS_MAX: usize = 300;
/// How long a page waits for them.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Until somebody tries again what was refused or took too long: the service has other work then.
const PAUSE: Duration = Duration::from_secs(2);

/// What was read of the newest versions of tables; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommittedArrivals {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    by_dataset: BTreeMap<DatasetId, Read>,
    /// When somebody began to read, and has not come to an end since.
    begun: Option<Instant>,
}

/// What was read of one version of a table.
#[derive(Debug)]
struct Read {
    version: u64,
    arrivals: Vec<Arrival>,
}

impl CommittedArrivals {
    /// Returns `hot` arrivals filled up with committed ones, newest first. What cannot be read within a second is left out
    /// until the next time; so is what another page is reading now.
    pub(crate) async fn join(
        &self,
        hot: &[Arrival],
        snapshot: &LakeSnapshot,
        query: &QueryService,
    ) -> Vec<Arrival> {
        let unread = self.unread(snapshot);
        if !unread.is_empty() {
            match tokio::time::timeout(WAIT_MAX, self.read(&unread, query)).await {
                Ok(Ok(())) => self.known().begun = None,
                Ok(Err(error)) => debug!(%error, "a page is shown without committed rows"),
                Err(_) => debug!("a page is shown without committed rows: they take too long"),
            }
        }
        let known = self.known();
        let there = known.by_dataset.iter();
        let there = there.filter(|(id, _)| snapshot.tables.contains_key(*id));
        let committed = there.flat_map(|(_, read)| &read.arrivals);
        join(hot.to_vec(), committed)
    }

    /// Returns the tables whose committed rows are to be read, and notes that somebody does.
    fn unread(&self, snapshot: &LakeSnapshot) -> Vec<Arc<TableSnapshot>> {
        let mut known = self.known();
        if known.begun.is_some_and(|begun| begun.elapsed() < PAUSE) {
            return Vec::new();
        }
        let is_known = |table: &TableSnapshot| {
            let read = known.by_dataset.get(&table.declaration.id);
            read.is_some_and(|read| read.version == table.version)
        };
        let tables = snapshot.tables.values();
        let unread: Vec<Arc<TableSnapshot>> = tables
            .filter(|table| table.declaration.is_observed() && !is_known(table))
            .cloned()
            .collect();
        if !unread.is_empty() {
            known.begun = Some(Instant::now());
        }
        unread
    }

    async fn read(
        &self,
        unread: &[Arc<TableSnapshot>],
        query: &QueryService,
    ) -> Result<(), QueryError> {
        for table in unread {
            let arrivals = match request(table) {
                Some(request) => of_page(&table.declaration, &query.page(request).await?.batches),
                // Nothing is committed.
                None => Vec::new(),
            };
            let version = table.version;
            let id = table.declaration.id.clone();
            let read = Read { version, arrivals };
            self.known().by_dataset.insert(id, read);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every value is put there whole, so a panic elsewhere leaves it usable.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what to ask for the rows that came last; none where no row is committed.
fn request(table: &TableSnapshot) -> Option<PageRequest> {
    let declaration = &*table.declaration;
    let files = table.files.iter().filter(|file| !file.superseded);
    let received =
        files.filter_map(
            |file| match file.statistics.get(common::RECEIVED_AT)?.max.as_ref()? {
                StatisticsValue::Int(received_at) => Some(*received_at),
                StatisticsValue::Float(_) | StatisticsValue::Text(_) => None,
            },
        );
    let newest = received.max()?;
    let recent = PageCondition {
        column: common::RECEIVED_AT.to_owned(),
        test: PageTest::AtLeast(PageValue::Time(newest.saturating_sub(SPAN_US))),
    };
    Some(PageRequest {
        dataset: declaration.id.clone(),
        as_of: table.stable_time,
        columns: columns(declaration),
        conditions: vec![recent],
        area: None,
        order: vec![(declaration.time_column().to_owned(), true)],
        buckets: None,
        after: None,
        rows_max: ROWS_MAX,
    })
}

/// Returns the columns that arrivals are made from.
fn columns(declaration: &DatasetDeclaration) -> Vec<String> {
    let measured = match declaration.kind {
        DatasetKind::Long => vec!["property", "value"],
        _ => measured_columns(declaration),
    };
    let key = declaration.key.iter().map(String::as_str);
    let interval = declaration.column_index(common::INTERVAL_S);
    let interval = interval.map(|_| common::INTERVAL_S);
    let mut columns: Vec<String> = Vec::new();
    for name in key
        .chain(interval)
        .chain(measured)
        .chain([common::QUALITY, common::RECEIVED_AT])
    {
        if !columns.iter().any(|known| known == name) {
            columns.push(name.to_owned());
        }
    }
    columns
}

/// Makes arrivals of the rows of a page, whose newest come first; newest reception first.
fn of_page(declaration: &Arc<DatasetDeclaration>, batches: &[RecordBatch]) -> Vec<Arrival> {
    let mut arrivals: Vec<Arrival> = Vec::new();
    // From the last row, as hot rows are: properties of one place and time then stand in their order.
    for batch in batches.iter().rev() {
        let Some(columns) = Columns::of(declaration, batch) else {
            continue;
        };
        for row in (0..batch.num_rows()).rev() {
            let arrival = columns.arrival(declaration, row);
            match arrivals.iter().position(|known| known.is_same(&arrival)) {
                Some(known) => arrivals[known].add(arrival),
                None => arrivals.push(arrival),
            }
        }
    }
    arrivals.sort_by_key(|arrival| std::cmp::Reverse((arrival.received_at, arrival.time)));
    arrivals.truncate(ARRIVALS_MAX);
    arrivals
}

#[cfg(test)]
mod tests;
