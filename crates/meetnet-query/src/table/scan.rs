//! From the files of a view to plans that read them: pruning, masks, order, and what the view filters and shows.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use meetnet_lake::snapshot::Mask;
use meetnet_model::common::{LICENCE, SUPERSEDED_AT};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_sql::sizes::usual_bytes;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::MeetnetTable;
use super::masked::{MaskedColumns, MaskedFile, MaskedRowsExec, masked_rows};
use super::prepared::PreparedFile;
use super::reader::ScanReaderFactory;
use super::statistics::{FileBounds, Shown, time_statistics};
use super::time_range::TimeRange;
use super::view::{FileRows, View};

/// Up to this share of the rows of its files, a range of times is asked while they are decoded: a page holds more rows of a
/// series than the range does, and of the others nothing else need be decoded. Where most rows are left, that saves little.
const TIMES_SHARE_MAX: f64 = 0.5;
/// Rows that are fetched of a file at once: those of a group of rows of the lake's files.
const ROW_GROUP_ROWS: f64 = 262_144.0;
/// The part of its query's memory that a scan may hold of files for the sake of its order. One that keeps it reads all its groups
/// of files at once, and there are batches of each; beyond that, a sort that spills takes less memory.
const ORDERED_SHARE: f64 = 0.375;
/// Comparisons that are asked while files are decoded.
const COMPARISONS_MAX: usize = 32;

/// What one scan asks of the table.
pub(super) struct ScanRequest<'a> {
    pub(super) session: &'a dyn Session,
    /// Positions in the table's schema.
    pub(super) projection: &'a [usize],
    pub(super) filters: &'a [Expr],
    /// Whether the key's order is worth keeping.
    pub(super) ordered: bool,
    pub(super) limit: Option<usize>,
}

impl MeetnetTable {
    fn mask(&self, file: &PreparedFile) -> Option<&Arc<Mask>> {
        self.snapshot
            .masks
            .get(&file.live.path)
            .filter(|mask| !mask.rows.is_empty())
    }

    /// Returns the files whose partition values and statistics allow a match.
    fn files_matching<'a>(
        &self,
        request: &ScanRequest<'_>,
        files: Vec<&'a PreparedFile>,
        shown: &Shown<'_>,
    ) -> Result<Vec<&'a PreparedFile>> {
        let Some(filter) = conjunction(request.filters.iter().cloned()) else {
            return Ok(files);
        };
        let files = self.files_within(request.filters, files);
        if files.is_empty() {
            return Ok(files);
        }
        let schema = Arc::clone(self.prepared.scan_schema.table_schema());
        let by_name = DFSchema::try_from(Arc::clone(&schema))?;
        let filter = request.session.create_physical_expr(filter, &by_name)?;
        // A predicate that pruning cannot express skips nothing; the filter above the scan still holds.
        let pruning = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&schema));
        let Some(predicate) = pruning.build(filter) else {
            return Ok(files);
        };
        let keep = predicate.prune(&FileBounds {
            schema: &schema,
            files: &files,
            shown,
        })?;
        Ok(files
            .into_iter()
            .zip(keep)
            .filter_map(|(file, keep)| keep.then_some(file))
            .collect())
    }

    /// Returns the files that may have rows of the times that filters leave. Of years of files these are most often few, and
    /// two numbers are compared sooner than the statistics of all of them are gathered.
    fn files_within<'a>(
        &self,
        filters: &[Expr],
        mut files: Vec<&'a PreparedFile>,
    ) -> Vec<&'a PreparedFile> {
        let time = self.prepared.declaration.time_column();
        let column = self.prepared.scan_schema.table_schema().index_of(time);
        if let (Some(range), Ok(column)) = (TimeRange::of(filters, time), column) {
            files.retain(|file| range.meets(&file.statistics, column));
        }
        files
    }

    /// Returns the files to read for one kind of rows, rows known to be replaced left out.
    pub(super) fn stored_files(
        &self,
        request: &ScanRequest<'_>,
        rows: FileRows,
    ) -> Result<Vec<PartitionedFile>> {
        let files = match rows {
            FileRows::Superseded if self.view == View::CURRENT => return Ok(Vec::new()),
            FileRows::Superseded => &self.prepared.superseded_files,
            _ => &self.prepared.files,
        };
        let files: Vec<&PreparedFile> = files
            .iter()
            .map(AsRef::as_ref)
            .filter(|file| self.view.rows_of(file) == Some(rows))
            .collect();
        let view = self.view;
        let matching = self.files_matching(request, files, &|file, column| {
            view.shown_statistics(file, column)
        })?;
        Ok(matching
            .into_iter()
            .filter_map(|file| self.partitioned(file))
            .collect())
    }

    /// Returns what a scan of one file reads, masked rows left out; None where nothing is left.
    fn partitioned(&self, file: &PreparedFile) -> Option<PartitionedFile> {
        let rows = file.live.rows as usize;
        let selection = self
            .mask(file)
            .and_then(|mask| unmasked_rows(self.view, mask, rows));
        let Some(selection) = selection else {
            return Some(file.partitioned.clone());
        };
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

    /// Plans the scan of `files`, which all hold one kind of rows, as the view shows them.
    pub(super) fn plan_stored(
        &self,
        request: &ScanRequest<'_>,
        rows: FileRows,
        files: Vec<PartitionedFile>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = &self.prepared.schema;
        let names = || {
            request
                .projection
                .iter()
                .map(|index| schema.field(*index).name())
        };
        let condition = self.view.condition(rows);
        let shown = names()
            .map(|name| self.view.shown(rows, name))
            .collect::<Result<Vec<_>>>()?;
        if condition.is_none() && shown.iter().all(Option::is_none) {
            return self.scan_files(request, rows, request.projection, files, request.limit);
        }

        let mut read = request.projection.to_vec();
        for expr in condition.iter().chain(shown.iter().flatten()) {
            for column in expr.column_refs() {
                let index = schema.index_of(column.name())?;
                if !read.contains(&index) {
                    read.push(index);
                }
            }
        }
        // A limit counts rows that meet the condition, not rows that are read.
        let limit = request.limit.filter(|_| condition.is_none());
        let mut plan = self.scan_files(request, rows, &read, files, limit)?;
        let by_name = DFSchema::try_from(plan.schema())?;
        if let Some(condition) = condition {
            let predicate = request.session.create_physical_expr(condition, &by_name)?;
            plan = Arc::new(
                FilterExecBuilder::new(predicate, plan)
                    .with_batch_size(request.session.config().batch_size())
                    .build()?,
            );
        }
        let columns = names()
            .zip(shown)
            .enumerate()
            .map(|(position, (name, shown))| {
                let expr: Arc<dyn PhysicalExpr> = match shown {
                    Some(shown) => request.session.create_physical_expr(shown, &by_name)?,
                    None => Arc::new(Column::new(name, position)),
                };
                Ok(ProjectionExpr::new(expr, name.clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
    }

    /// Plans the rows of committed files that the view knows to be replaced by hot ones; None where there are none, or
    /// the view does not show them.
    pub(super) fn plan_masked(
        &self,
        request: &ScanRequest<'_>,
    ) -> Result<Option<Arc<MaskedRowsExec>>> {
        if !self.view.history || self.snapshot.masks.is_empty() {
            return Ok(None);
        }
        let files: Vec<&PreparedFile> = self
            .prepared
            .files
            .iter()
            .map(AsRef::as_ref)
            .filter(|file| self.mask(file).is_some() && self.view.rows_of(file).is_some())
            .collect();
        let view = self.view;
        let matching = self.files_matching(request, files, &|file, column| match column {
            SUPERSEDED_AT => {
                let mask = self.mask(file)?;
                let at = || view.replaced(mask).map(|(_, at)| at);
                Some(time_statistics(at().min().zip(at().max())))
            }
            _ => view.shown_statistics(file, column),
        })?;
        let columns = MaskedColumns::try_new(&self.prepared.schema, request.projection)?;
        let mut masked = Vec::new();
        for file in matching {
            let Some(mask) = self.mask(file) else {
                continue;
            };
            let (selection, superseded_at) = masked_rows(view, mask, file.live.rows as usize);
            if superseded_at.is_empty() {
                continue;
            }
            let selected = file
                .partitioned
                .clone()
                .with_extension(ParquetRowSelection::new(selection));
            let statistics = with_masked_rows(&file.statistics, superseded_at.len());
            let groups = vec![FileGroup::new(vec![selected])];
            let skips_pages = request.filters.iter().any(chooses_rows);
            let config =
                self.parquet_config(&columns.read, groups, statistics, skips_pages, false)?;
            masked.push(MaskedFile {
                scan: DataSourceExec::from_data_source(config.build()),
                superseded_at,
            });
        }
        if masked.is_empty() {
            return Ok(None);
        }
        let partitions = request.session.config().target_partitions();
        Ok(Some(Arc::new(MaskedRowsExec::new(
            masked, columns, partitions,
        ))))
    }

    /// Returns the statistics of a scan of `files`; cached while all current rows are read.
    fn scan_statistics(&self, rows: FileRows, files: &[PartitionedFile]) -> Result<Statistics> {
        let schema = self.prepared.scan_schema.table_schema();
        let whole = rows == FileRows::AllCurrent
            && files.len() == self.prepared.files.len()
            && self.snapshot.masks.is_empty();
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
        request: &ScanRequest<'_>,
        rows: FileRows,
        projection: &[usize],
        files: Vec<PartitionedFile>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let statistics = self.scan_statistics(rows, &files)?;
        let is_selective = selects_keys(&self.prepared.declaration, request.filters)
            || self.selects_times(request.filters, &files);
        let partitions = request.session.config().target_partitions().max(1);
        let mut ordering = None;
        let mut groups = Vec::new();
        if request.ordered
            && let Some(key) = self.prepared.file_ordering()
        {
            groups = FileScanConfig::split_groups_by_statistics_with_target_partitions(
                self.prepared.scan_schema.table_schema(),
                &[FileGroup::new(files.clone())],
                &key,
                partitions,
            )
            .unwrap_or_default();
            groups.retain(|group| !group.is_empty());
            if !groups.is_empty()
                && groups.len() <= self.ordered_groups_max
                && self.bytes_at_once(projection, &groups) <= self.ordered_bytes_max()
            {
                ordering = Some(key);
            }
        }
        if ordering.is_none() {
            groups = groups_of_equal_size(files, partitions);
        }
        let skips_pages =
            request.filters.iter().any(chooses_rows) || self.view.condition(rows).is_some();
        let config = self
            .parquet_config(projection, groups, statistics, skips_pages, is_selective)?
            .with_output_ordering(ordering.into_iter().collect())
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Returns about how many bytes a row of some columns takes in memory.
    fn row_bytes(&self, projection: &[usize]) -> usize {
        let fields = self.prepared.schema.fields();
        let read = projection.iter().map(|index| &fields[*index]);
        read.map(|field| usual_bytes(field.data_type())).sum()
    }

    /// Returns about how many bytes of files are held where all `groups` are read at once: of each, some columns of a group of
    /// rows.
    fn bytes_at_once(&self, projection: &[usize], groups: &[FileGroup]) -> f64 {
        let all: Vec<usize> = (0..self.prepared.schema.fields().len()).collect();
        let share = self.row_bytes(projection) as f64 / self.row_bytes(&all).max(1) as f64;
        let of_file = |file: &PartitionedFile| {
            let statistics = file.statistics.as_deref();
            let rows = statistics.and_then(|statistics| statistics.num_rows.get_value().copied());
            let groups = rows.unwrap_or(0) as f64 / ROW_GROUP_ROWS;
            file.object_meta.size as f64 / groups.max(1.0)
        };
        let largest = |group: &FileGroup| group.files().iter().map(of_file).fold(0.0, f64::max);
        let bytes: f64 = groups.iter().map(largest).sum();
        bytes * share
    }

    /// Returns how many bytes of files a scan may hold for the sake of its order.
    fn ordered_bytes_max(&self) -> f64 {
        self.readers.memory_bytes_max() as f64 * ORDERED_SHARE
    }

    /// Returns true where filters leave the smaller part of `files` by its times: the rows of a series lie in their order, so
    /// that those that remain lie side by side. Filters that are asked while a file is decoded are asked of a whole row group
    /// at a time, which nobody can stop: what does more than compare a little is asked of what comes out.
    fn selects_times(&self, filters: &[Expr], files: &[PartitionedFile]) -> bool {
        let time = self.prepared.declaration.time_column();
        let schema = self.prepared.scan_schema.table_schema();
        let (Some(range), Ok(column)) = (TimeRange::of(filters, time), schema.index_of(time))
        else {
            return false;
        };
        if !compare_little(filters) {
            return false;
        }
        let (mut wanted, mut all) = (0.0, 0.0);
        for file in files {
            let Some(statistics) = &file.statistics else {
                return false;
            };
            let rows = statistics.num_rows.get_value().copied().unwrap_or(0) as f64;
            wanted += rows * range.share(statistics, column);
            all += rows;
        }
        wanted <= all * TIMES_SHARE_MAX
    }

    /// `skips_pages` has the index of pages read with the footers; `is_selective` has filters applied while files are decoded,
    /// so that only what remains is.
    fn parquet_config(
        &self,
        projection: &[usize],
        groups: Vec<FileGroup>,
        statistics: Statistics,
        skips_pages: bool,
        is_selective: bool,
    ) -> Result<FileScanConfigBuilder> {
        let readers: Arc<dyn ParquetFileReaderFactory> = Arc::new(ScanReaderFactory {
            readers: Arc::clone(&self.readers),
            skips_pages,
            row_bytes: self.row_bytes(projection),
        });
        let source = ParquetSource::new(self.prepared.scan_schema.clone())
            .with_pushdown_filters(is_selective)
            // Files have none, and to look for them opens each a second time.
            .with_bloom_filter_on_read(false)
            .with_parquet_file_reader_factory(readers);
        FileScanConfigBuilder::new(self.prepared.store_url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(
                projection
                    .iter()
                    .map(|index| self.prepared.scan_index[*index])
                    .collect(),
            ))
    }
}

/// Returns true where filters choose by a part of the key other than the time: rows that meet them lie side by side, and
/// to leave the others undecoded pays. Scattered rows would cost more than they save.
fn selects_keys(declaration: &DatasetDeclaration, filters: &[Expr]) -> bool {
    let is_key = |expr: &Expr| match expr {
        Expr::Column(column) => {
            column.name != declaration.time_column() && declaration.key.contains(&column.name)
        }
        _ => false,
    };
    filters.iter().any(|filter| match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => {
            let is_value = |expr: &Expr| matches!(expr, Expr::Literal(..));
            (is_key(left) && is_value(right)) || (is_value(left) && is_key(right))
        }
        Expr::InList(InList { expr, negated, .. }) => !negated && is_key(expr),
        _ => false,
    })
}

/// Returns false for a condition on the licence alone, which all rows of a file have in common: no page is skipped by it.
fn chooses_rows(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    columns.iter().any(|column| column.name != LICENCE)
}

/// Returns true for filters that are some comparisons and nothing else: no call, no pattern. A list of values behind IN is one,
/// since these are looked up.
fn compare_little(filters: &[Expr]) -> bool {
    let mut comparisons = 0_usize;
    let mut does_more = |expr: &Expr| -> Result<bool> {
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => {
                comparisons += 1;
                !matches!(
                    op,
                    Operator::And
                        | Operator::Or
                        | Operator::Eq
                        | Operator::NotEq
                        | Operator::Lt
                        | Operator::LtEq
                        | Operator::Gt
                        | Operator::GtEq
                )
            }
            Expr::InList(InList { list, .. }) => {
                comparisons += 1;
                !list.iter().all(|value| matches!(value, Expr::Literal(..)))
            }
            Expr::Not(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => {
                comparisons += 1;
                false
            }
            Expr::Column(_) | Expr::Literal(..) => false,
            _ => true,
        })
    };
    // The closure never fails, so neither do the walks.
    let does_any = filters
        .iter()
        .any(|filter| filter.exists(&mut does_more).unwrap_or(true));
    !does_any && comparisons <= COMPARISONS_MAX
}

/// Returns the rows of a file that the view does not know to be replaced, in file order; None where these are all.
fn unmasked_rows(view: View, mask: &Mask, rows: usize) -> Option<RowSelection> {
    let mut selectors = Vec::with_capacity(mask.rows.len() * 2 + 1);
    let mut next = 0;
    for masked in view
        .replaced(mask)
        .map(|(row, _)| row as usize)
        .take_while(|row| *row < rows)
    {
        if masked > next {
            selectors.push(RowSelector::select(masked - next));
        }
        selectors.push(RowSelector::skip(1));
        next = masked + 1;
    }
    if selectors.is_empty() {
        return None;
    }
    if next < rows {
        selectors.push(RowSelector::select(rows - next));
    }
    Some(RowSelection::from(selectors))
}

/// Bounds still hold for some of the rows but may no longer be reached; the number of rows is exact.
fn with_masked_rows(statistics: &Statistics, rows: usize) -> Statistics {
    let mut masked = statistics.clone().to_inexact();
    masked.num_rows = Precision::Exact(rows);
    masked
}

/// Returns how many of `files` are enough for `wanted` rows.
pub(super) fn files_for_rows(files: &[PartitionedFile], wanted: usize) -> usize {
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
