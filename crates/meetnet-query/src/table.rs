//! The table provider: one dataset of one snapshot as DataFusion sees it.
//!
//! ```text
//! current view = (files with superseded=false − masked rows) ∪ live hot rows
//! ```
//!
//! A filter, never a merge: the lake has already decided which row is current. Statistics, sort order and pruning of
//! the files survive the union, so that a count reads nothing and a time range opens only its files.
//!
//! Views over history (`AS OF`) belong beside [`MeetnetTable`], over the same [`prepared::PreparedTable`].

pub(crate) mod hot;
pub(crate) mod order;
pub(crate) mod prepared;
pub(crate) mod reader;
pub(crate) mod schema;
pub(crate) mod statistics;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use meetnet_lake::snapshot::{Mask, TableSnapshot};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use hot::HotRowsExec;
use order::WantedOrder;
use prepared::{PreparedFile, PreparedTable};
use reader::WatchedReaderFactory;
use statistics::FileBounds;

/// The current view of one dataset.
#[derive(Debug)]
pub(crate) struct MeetnetTable {
    snapshot: Arc<TableSnapshot>,
    prepared: Arc<PreparedTable>,
    readers: Arc<WatchedReaderFactory>,
    ordered_groups_max: usize,
}

impl MeetnetTable {
    /// Joins what changes with every group of messages (masks, hot rows) and what only changes with a commit.
    pub(crate) fn new(
        snapshot: Arc<TableSnapshot>,
        prepared: Arc<PreparedTable>,
        readers: Arc<WatchedReaderFactory>,
        ordered_groups_max: usize,
    ) -> Self {
        Self {
            snapshot,
            prepared,
            readers,
            ordered_groups_max,
        }
    }

    fn mask(&self, file: &PreparedFile) -> Option<&Arc<Mask>> {
        self.snapshot
            .masks
            .get(&file.live.path)
            .filter(|mask| !mask.rows.is_empty())
    }

    /// Returns the files whose partition values and statistics allow a match.
    fn files_matching(
        &self,
        session: &dyn Session,
        filters: &[Expr],
    ) -> Result<Vec<&PreparedFile>> {
        let files: Vec<&PreparedFile> = self.prepared.files.iter().map(AsRef::as_ref).collect();
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(files);
        };
        let schema = Arc::clone(self.prepared.scan_schema.table_schema());
        let by_name = DFSchema::try_from(Arc::clone(&schema))?;
        let filter = session.create_physical_expr(filter, &by_name)?;
        // A predicate that pruning cannot express skips nothing; the filter above the scan still holds.
        let pruning = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&schema));
        let Some(predicate) = pruning.build(filter) else {
            return Ok(files);
        };
        let keep = predicate.prune(&FileBounds {
            schema: &schema,
            files: &files,
        })?;
        Ok(files
            .into_iter()
            .zip(keep)
            .filter_map(|(file, keep)| keep.then_some(file))
            .collect())
    }

    /// Returns what a scan of one file reads, masked rows left out; None where nothing is left.
    fn partitioned(&self, file: &PreparedFile) -> Option<PartitionedFile> {
        let Some(mask) = self.mask(file) else {
            return Some(file.partitioned.clone());
        };
        let rows = file.live.rows as usize;
        let selection = unmasked_rows(mask, rows);
        let left = selection.row_count();
        if left == 0 {
            return None;
        }
        let mut partitioned = file
            .partitioned
            .clone()
            .with_extension(ParquetRowSelection::new(selection));
        partitioned.statistics = Some(Arc::new(with_masked_rows(&file.statistics, left)));
        Some(partitioned)
    }

    /// Returns the statistics of a scan of `files`; cached while all files are read.
    fn scan_statistics(&self, files: &[PartitionedFile]) -> Result<Statistics> {
        let schema = self.prepared.scan_schema.table_schema();
        let whole = files.len() == self.prepared.files.len() && self.snapshot.masks.is_empty();
        if whole {
            return Ok(self.prepared.total_statistics().clone());
        }
        Statistics::try_merge_iter(
            files.iter().filter_map(|file| file.statistics.as_deref()),
            schema.as_ref(),
        )
    }

    fn scan_files(
        &self,
        session: &dyn Session,
        projection: &[usize],
        files: Vec<PartitionedFile>,
        ordered: bool,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let statistics = self.scan_statistics(&files)?;
        let partitions = session.config().target_partitions().max(1);
        let mut ordering = None;
        let mut groups = Vec::new();
        if ordered && let Some(key) = self.prepared.file_ordering() {
            groups = FileScanConfig::split_groups_by_statistics_with_target_partitions(
                self.prepared.scan_schema.table_schema(),
                &[FileGroup::new(files.clone())],
                &key,
                partitions,
            )
            .unwrap_or_default();
            groups.retain(|group| !group.is_empty());
            if !groups.is_empty() && groups.len() <= self.ordered_groups_max {
                ordering = Some(key);
            }
        }
        if ordering.is_none() {
            groups = groups_of_equal_size(files, partitions);
        }
        let source = ParquetSource::new(self.prepared.scan_schema.clone())
            .with_parquet_file_reader_factory(Arc::clone(&self.readers) as _);
        let config = FileScanConfigBuilder::new(self.prepared.store_url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_output_ordering(ordering.into_iter().collect())
            .with_limit(limit)
            .with_projection_indices(Some(
                projection
                    .iter()
                    .map(|index| self.prepared.scan_index[*index])
                    .collect(),
            ))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[async_trait]
impl TableProvider for MeetnetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.prepared.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
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
        let hot_rows = hot::live_rows(&self.snapshot.hot);

        let mut files: Vec<PartitionedFile> = self
            .files_matching(session, filters)?
            .into_iter()
            .filter_map(|file| self.partitioned(file))
            .collect();
        if let (Some(limit), true) = (limit, filters.is_empty()) {
            let wanted = limit.saturating_sub(hot_rows);
            files.truncate(files_for_rows(&files, wanted));
        }

        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(2);
        if !files.is_empty() {
            inputs.push(self.scan_files(session, projection, files, ordered, limit)?);
        }
        if hot_rows > 0 {
            let ordering = ordered.then(|| self.prepared.row_ordering()).flatten();
            inputs.push(Arc::new(HotRowsExec::try_new(
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

    /// Every filter prunes, none replaces the filter above the scan.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// Returns the rows of a file that are not masked, in file order.
fn unmasked_rows(mask: &Mask, rows: usize) -> RowSelection {
    let mut selectors = Vec::with_capacity(mask.rows.len() * 2 + 1);
    let mut next = 0;
    for masked in mask
        .rows
        .keys()
        .map(|row| *row as usize)
        .take_while(|row| *row < rows)
    {
        if masked > next {
            selectors.push(RowSelector::select(masked - next));
        }
        selectors.push(RowSelector::skip(1));
        next = masked + 1;
    }
    if next < rows {
        selectors.push(RowSelector::select(rows - next));
    }
    RowSelection::from(selectors)
}

/// Bounds still hold without the masked rows but may no longer be reached; the number of rows is exact.
fn with_masked_rows(statistics: &Statistics, rows: usize) -> Statistics {
    let mut masked = statistics.clone().to_inexact();
    masked.num_rows = Precision::Exact(rows);
    masked
}

/// Returns how many of `files` are enough for `wanted` rows.
fn files_for_rows(files: &[PartitionedFile], wanted: usize) -> usize {
    let mut rows = 0usize;
    for (position, file) in files.iter().enumerate() {
        if rows >= wanted {
            return position;
        }
        if let Some(Precision::Exact(count)) = file.statistics.as_ref().map(|s| s.num_rows) {
            rows = rows.saturating_add(count);
        }
    }
    files.len()
}

/// Spreads files over at most `partitions` groups of about the same number of bytes.
fn groups_of_equal_size(mut files: Vec<PartitionedFile>, partitions: usize) -> Vec<FileGroup> {
    files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = (0..partitions.min(files.len()))
        .map(|_| (0, Vec::new()))
        .collect();
    for file in files {
        if let Some(least) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            least.0 += file.object_meta.size;
            least.1.push(file);
        }
    }
    groups
        .into_iter()
        .map(|(_, files)| FileGroup::new(files))
        .collect()
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
