//! The table provider: one dataset of one snapshot as DataFusion sees it.
//!
//! ```text
//! current view = (files with superseded=false − masked rows) ∪ live hot rows
//! other views  = (files of both partitions − masked rows) ∪ masked rows ∪ hot rows, filtered
//! ```
//!
//! A filter, never a merge: the lake has already decided which row is current, and since when. Statistics, sort order
//! and pruning of the files survive the union, so that a count reads nothing and a time range opens only its files.

pub(crate) mod fetched;
pub(crate) mod hot;
pub(crate) mod masked;
pub(crate) mod order;
pub(crate) mod prepared;
pub(crate) mod reader;
mod scan;
pub(crate) mod schema;
pub(crate) mod statistics;
mod time_range;
pub(crate) mod view;
mod whole_ranges;

use std::future::ready;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use futures::future::BoxFuture;
use meetnet_lake::snapshot::TableSnapshot;

use hot::{HotRowsExec, hot_rows};
use masked::MaskedRowsExec;
use order::WantedOrder;
use prepared::PreparedTable;
use reader::WatchedReaderFactory;
use scan::{ScanRequest, files_for_rows};
use time_range::TimeRange;
use view::{FileRows, View};

/// One view of one dataset.
#[derive(Debug)]
pub(crate) struct MeetnetTable {
    view: View,
    snapshot: Arc<TableSnapshot>,
    prepared: Arc<PreparedTable>,
    readers: Arc<WatchedReaderFactory>,
    ordered_groups_max: usize,
}

impl MeetnetTable {
    /// Joins what changes with every group of messages (masks, hot rows) and what only changes with a commit.
    pub(crate) fn new(
        view: View,
        snapshot: Arc<TableSnapshot>,
        prepared: Arc<PreparedTable>,
        readers: Arc<WatchedReaderFactory>,
        ordered_groups_max: usize,
    ) -> Self {
        Self {
            view,
            snapshot,
            prepared,
            readers,
            ordered_groups_max,
        }
    }

    /// Returns which versions it shows.
    pub(crate) fn view(&self) -> View {
        self.view
    }

    /// Returns the table it shows.
    pub(crate) fn snapshot(&self) -> &Arc<TableSnapshot> {
        &self.snapshot
    }

    /// Returns about how many rows a scan with these filters reads, as far as bounds of times tell before files are chosen.
    pub(crate) fn rows_to_read(&self, filters: &[Expr]) -> usize {
        let time = self.prepared.declaration.time_column();
        let range = TimeRange::of(filters, time);
        let column = self.prepared.scan_schema.table_schema().index_of(time).ok();
        let within = range.zip(column);
        let superseded = self.prepared.superseded_files.iter();
        let superseded = superseded.filter(|_| self.view != View::CURRENT);
        let files = self.prepared.files.iter().chain(superseded);
        let stored: f64 = files
            .map(|file| {
                let share =
                    within.map_or(1.0, |(range, column)| range.share(&file.statistics, column));
                file.live.rows as f64 * share
            })
            .sum();
        let hot = self.snapshot.hot.iter();
        let hot: usize = hot.map(|hot| hot.batch.num_rows()).sum();
        hot.saturating_add(stored as usize)
    }

    /// Plans what a query reads: one input for each kind of rows that can have some.
    fn plan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let everything: Vec<usize>;
        let projection = match projection {
            Some(projection) => projection.as_slice(),
            None => {
                everything = (0..self.prepared.schema.fields().len()).collect();
                &everything
            }
        };
        let ordered = WantedOrder::of(session)
            .is_some_and(|wanted| wanted.helps(&self.prepared.declaration.key, filters));
        let request = ScanRequest {
            session,
            projection,
            filters,
            ordered,
            limit,
        };
        let hot_rows = hot_rows(self.view, &self.snapshot.hot);
        let masked = self.plan_masked(&request)?;
        let in_memory = hot_rows + masked.as_deref().map_or(0, MaskedRowsExec::rows);

        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(2);
        for rows in FileRows::ALL {
            let mut files = self.stored_files(&request, rows)?;
            if let (Some(limit), true) = (limit, filters.is_empty())
                && self.view.condition(rows).is_none()
            {
                let wanted = limit.saturating_sub(in_memory);
                files.truncate(files_for_rows(&files, wanted));
            }
            if !files.is_empty() {
                inputs.push(self.plan_stored(&request, rows, files)?);
            }
        }
        if let Some(masked) = masked {
            inputs.push(masked);
        }
        if hot_rows > 0 {
            let ordering = ordered.then(|| self.prepared.row_ordering()).flatten();
            inputs.push(Arc::new(HotRowsExec::try_new(
                self.view,
                Arc::clone(&self.prepared.schema),
                Arc::clone(&self.snapshot.hot),
                projection.to_vec(),
                hot_rows,
                ordering,
            )?));
        }
        match inputs.len() {
            0 => Ok(Arc::new(EmptyExec::new(Arc::new(
                self.prepared.schema.project(projection)?,
            )))),
            1 => Ok(inputs.remove(0)),
            _ => UnionExec::try_new(inputs),
        }
    }
}

impl TableProvider for MeetnetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.prepared.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Nothing is waited for: [`MeetnetTable::plan`].
    ///
    /// Written as `#[async_trait]` would, but around a result. A future of our own would hold `filters`, and to prove that
    /// it may be sent, rustc would walk through every type below `Expr`, the syntax tree of SQL among them, without
    /// remembering what it has seen: many seconds in each compilation of this crate (apache/datafusion#13814).
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        session: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        filters: &'life3 [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'async_trait, Result<Arc<dyn ExecutionPlan>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(ready(self.plan(session, projection, filters, limit)))
    }

    /// Every filter prunes, none replaces the filter above the scan.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// Sort order of a table's key over the columns of `schema`; None where a key column is not in it.
pub(crate) fn key_ordering(
    key: &[String],
    schema: &arrow::datatypes::Schema,
) -> Option<LexOrdering> {
    use arrow::compute::SortOptions;
    use datafusion::physical_expr::PhysicalSortExpr;
    use datafusion::physical_expr::expressions::Column;
    let columns = key
        .iter()
        .map(|name| {
            let column = Column::new(name, schema.index_of(name).ok()?);
            let ascending_nulls_last = SortOptions {
                descending: false,
                nulls_first: false,
            };
            Some(PhysicalSortExpr::new(
                Arc::new(column),
                ascending_nulls_last,
            ))
        })
        .collect::<Option<Vec<_>>>()?;
    LexOrdering::new(columns)
}

#[cfg(test)]
mod tests;
