//! Reads Parquet files through DataFusion's metadata cache and notices files that are gone, and which were opened. One that
//! is known to be damaged is not opened.
//!
//! Files are immutable and their paths unique, so a cached footer is valid for ever; the cache is bounded in bytes, and
//! loses the footers of files that are live no longer (`prepared`). With the footer it keeps the index of the file's pages,
//! where a scan may skip some: DataFusion asks for the footer alone, and would read and parse the index in each query.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use meetnet_lake::damage::Damage;
use meetnet_lake::storage::{LakeLocation, TableFolder, look_up};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::fetched::{Charged, ScanRoom, counted};

/// Bytes between two parts of a file up to which these are read as one: to copy so many takes as long as to ask the system once
/// more. A short range of times is some kilobytes here and there, of each column.
const GAP_BYTES_MAX: u64 = 8 << 10;
/// Bytes that are read as one, at the most. A part that is larger is read alone.
const JOINED_BYTES_MAX: u64 = 128 << 10;

/// Files that are examined after a query could not read one: as many as may have been open at once, and a few more.
const OPENED_MAX: usize = 16;
/// Rows of a batch that is decoded, at the most.
const BATCH_ROWS: usize = 8_192;

/// How an object store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreFailure {
    /// It did not give the bytes of a file, and says that the file is there.
    OfFile,
    /// Nor does it say whether the file is there.
    OfAll,
}

/// What was noticed of the files that one query reads, and what they are charged to. Paths start at the lake.
#[derive(Debug, Default)]
pub(crate) struct NoticedFiles {
    /// One that was not there, or must not be opened.
    unusable: Mutex<Option<(Path, Damage)>>,
    /// Those opened last, the newest last.
    opened: Mutex<VecDeque<Path>>,
    /// How the object store failed last; None in a folder, and while it gives what it is asked for.
    store_failure: Mutex<Option<StoreFailure>>,
    /// Counts what is held of them; None before the query runs.
    room: Mutex<Option<Arc<ScanRoom>>>,
    /// What the query may have; None where it is only planned.
    memory_bytes_max: Option<usize>,
}

impl NoticedFiles {
    /// Begins with none, for a query that may have so many bytes.
    pub(crate) fn within(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes_max: Some(memory_bytes_max),
            ..Self::default()
        }
    }

    /// Returns a file that was not there, or was not opened because it is damaged, once.
    pub(crate) fn take_unusable(&self) -> Option<(Path, Damage)> {
        let mut unusable = self.unusable.lock().unwrap_or_else(PoisonError::into_inner);
        unusable.take()
    }

    /// Returns how the object store failed last, once.
    pub(crate) fn take_store_failure(&self) -> Option<StoreFailure> {
        let mut failure = self
            .store_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    fn note_store_failure(&self, noticed: StoreFailure) {
        let mut failure = self
            .store_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *failure = Some(noticed);
    }

    /// Returns the files opened last, the newest first.
    pub(crate) fn opened(&self) -> Vec<Path> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().rev().cloned().collect()
    }

    /// Has everything that is read from now on counted.
    pub(crate) fn charge_to(&self, counts: ScanRoom) {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        *room = Some(Arc::new(counts));
    }

    /// Charges for bytes that are about to be held; None where nobody counts.
    fn charge(&self, bytes: usize) -> Result<Option<Charged>> {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = room.clone();
        drop(room);
        counts.map(|room| room.charge(bytes)).transpose()
    }

    fn note_unusable(&self, location: Path, damage: Damage) {
        let mut unusable = self.unusable.lock().unwrap_or_else(PoisonError::into_inner);
        *unusable = Some((location, damage));
    }

    fn note_opened(&self, location: Path) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= OPENED_MAX {
            opened.pop_front();
        }
        opened.push_back(location);
    }
}

/// Makes readers for one query and one table.
#[derive(Debug)]
pub(crate) struct WatchedReaderFactory {
    store: Arc<dyn ObjectStore>,
    cached: CachedParquetFileReaderFactory,
    /// Of the table.
    folder: TableFolder,
    /// Not a folder, whose failures are those of a disk.
    is_object_store: bool,
    noticed: Arc<NoticedFiles>,
}

impl WatchedReaderFactory {
    pub(crate) fn try_new(
        registry: &Arc<dyn ObjectStoreRegistry>,
        url: &ObjectStoreUrl,
        cache: Arc<FileMetadataCache>,
        folder: TableFolder,
        noticed: Arc<NoticedFiles>,
    ) -> Result<Self> {
        let store = registry.get_store(url.as_ref())?;
        let cached = CachedParquetFileReaderFactory::new(Arc::clone(&store), cache);
        Ok(Self {
            store,
            cached,
            is_object_store: matches!(folder.location(), LakeLocation::Objects { .. }),
            folder,
            noticed,
        })
    }

    /// Returns how many bytes the query may have.
    pub(super) fn memory_bytes_max(&self) -> usize {
        self.noticed.memory_bytes_max.unwrap_or(usize::MAX)
    }

    /// Returns what is known to be wrong with a file, whose path starts at the lake.
    fn damage_of(&self, location: &Path) -> Option<Damage> {
        let whole: &str = location.as_ref();
        let path = whole.strip_prefix(self.folder.name())?;
        self.folder.damage_of(path.strip_prefix('/')?)
    }

    /// `has_pages`: with the footer comes the index of the pages. `row_bytes`: of a row that has been decoded.
    fn reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
        has_pages: bool,
        row_bytes: usize,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let location = file.object_meta.location.clone();
        if let Some(damage) = self.damage_of(&location) {
            let error = DataFusionError::Execution(format!("`{location}` {damage}"));
            self.noticed.note_unusable(location, damage);
            return Err(error);
        }
        self.noticed.note_opened(location.clone());
        let statistics = file.statistics.as_deref();
        let rows = statistics.and_then(|statistics| statistics.num_rows.get_value().copied());
        let rows = rows.unwrap_or(BATCH_ROWS).min(BATCH_ROWS);
        let batch_bytes = rows.saturating_mul(row_bytes);
        let inner =
            self.cached
                .create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(WatchedReader {
            inner,
            location,
            store: Arc::clone(&self.store),
            is_object_store: self.is_object_store,
            noticed: Arc::clone(&self.noticed),
            has_pages,
            batch_bytes,
            batch: None,
        }))
    }
}

/// Makes the readers of one scan.
#[derive(Debug)]
pub(crate) struct ScanReaderFactory {
    pub(crate) readers: Arc<WatchedReaderFactory>,
    /// It skips pages by their index.
    pub(crate) skips_pages: bool,
    /// What a row of it takes once it has been decoded, about.
    pub(crate) row_bytes: usize,
}

impl ParquetFileReaderFactory for ScanReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        self.readers.reader(
            partition_index,
            file,
            metadata_size_hint,
            metrics,
            self.skips_pages,
            self.row_bytes,
        )
    }
}

struct WatchedReader {
    inner: Box<dyn AsyncFileReader + Send>,
    location: Path,
    store: Arc<dyn ObjectStore>,
    is_object_store: bool,
    noticed: Arc<NoticedFiles>,
    has_pages: bool,
    /// What a batch that is decoded takes, about.
    batch_bytes: usize,
    /// Counts one, from the first fetch until the file is closed: a file is opened while the one before is still read.
    batch: Option<Charged>,
}

/// What stands before an error that came while a footer was read.
const OF_FOOTER: &str = "Failed to fetch metadata";
/// What stands in it before an error of the store: of the footer itself, and of the index of pages.
const OF_STORE: [&str; 2] = ["Object Store error: ", "External: "];

/// Where a reader asks after a failure, and tells of it.
struct Watch {
    store: Arc<dyn ObjectStore>,
    is_object_store: bool,
    location: Path,
    noticed: Arc<NoticedFiles>,
}

impl Watch {
    /// Asks the store after a failure: the errors on the way do not keep their kind. `is_of_store`: this one did.
    async fn note_failure(self, is_of_store: bool) {
        let failure = match look_up(&*self.store, &self.location).await {
            Err(object_store::Error::NotFound { .. }) => {
                self.noticed.note_unusable(self.location, Damage::Missing);
                return;
            }
            Err(_) => StoreFailure::OfAll,
            Ok(_) if is_of_store => StoreFailure::OfFile,
            Ok(_) => return,
        };
        if self.is_object_store {
            self.noticed.note_store_failure(failure);
        }
    }
}

/// Returns true for an error of the store. Those of a footer are texts when they come here; one that is there and cannot be
/// understood is none of the store, which would be asked for it again for ever.
fn is_of_store(error: &ParquetError) -> bool {
    match error {
        ParquetError::External(source) => source.is::<object_store::Error>(),
        ParquetError::General(text) => {
            text.starts_with(OF_FOOTER) && OF_STORE.iter().any(|cause| text.contains(cause))
        }
        _ => false,
    }
}

impl WatchedReader {
    fn watched(&self) -> Watch {
        Watch {
            store: Arc::clone(&self.store),
            is_object_store: self.is_object_store,
            location: self.location.clone(),
            noticed: Arc::clone(&self.noticed),
        }
    }
}

fn watch<'a, T: Send + 'a>(
    read: BoxFuture<'a, parquet::errors::Result<T>>,
    watch: Watch,
) -> BoxFuture<'a, parquet::errors::Result<T>> {
    read.or_else(move |error: ParquetError| async move {
        watch.note_failure(is_of_store(&error)).await;
        Err(error)
    })
    .boxed()
}

impl AsyncFileReader for WatchedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let watched = self.watched();
        watch(self.inner.get_bytes(range), watched)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let joined = joined(&ranges);
        let watched = self.watched();
        let (inner, batch, batch_bytes) = (&mut self.inner, &mut self.batch, self.batch_bytes);
        let noticed = Arc::clone(&self.noticed);
        let read = async move {
            let refused = |error: DataFusionError| ParquetError::External(Box::new(error));
            if batch.is_none() {
                *batch = noticed.charge(batch_bytes).map_err(refused)?;
            }
            let bytes: u64 = joined.iter().map(|range| range.end - range.start).sum();
            // No file has more bytes than memory has addresses.
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX / 2);
            let charged = noticed.charge(bytes).map_err(refused)?;
            let read = inner.get_byte_ranges(joined.clone()).await?;
            let read = match charged {
                Some(charged) => counted(read, charged),
                None => read,
            };
            let parts = ranges.iter().map(|range| part(range, &joined, &read));
            let parts: Option<Vec<Bytes>> = parts.collect();
            parts.ok_or_else(|| ParquetError::EOF("a part of the file was not read".to_owned()))
        };
        watch(read.boxed(), watched)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let watched = self.watched();
        let inner = &mut self.inner;
        let read = if self.has_pages {
            let options = options.cloned().unwrap_or_default();
            let options = options.with_page_index_policy(PageIndexPolicy::Optional);
            async move { inner.get_metadata(Some(&options)).await }.boxed()
        } else {
            inner.get_metadata(options)
        };
        watch(read, watched)
    }
}

/// Returns what to read of a file for all of `ranges`, in the file's order: those that lie close together become one.
fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(last) if goes_with(last, &range) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Returns true where a range is read with what begins before it, or at the same place.
fn goes_with(last: &Range<u64>, range: &Range<u64>) -> bool {
    let is_within = range.end <= last.end;
    let is_close = range.start <= last.end.saturating_add(GAP_BYTES_MAX)
        && range.end.saturating_sub(last.start) <= JOINED_BYTES_MAX;
    is_within || is_close
}

/// Returns the bytes of a range out of what was read for [`joined`]; None where that is too short.
fn part(range: &Range<u64>, joined: &[Range<u64>], read: &[Bytes]) -> Option<Bytes> {
    let after = joined.partition_point(|whole| whole.start <= range.start);
    let mut before = joined.get(..after)?.iter().zip(read.get(..after)?).rev();
    let (whole, bytes) = before.find(|(whole, _)| range.end <= whole.end)?;
    let start = usize::try_from(range.start - whole.start).ok()?;
    let end = usize::try_from(range.end.checked_sub(whole.start)?).ok()?;
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

#[cfg(test)]
mod tests;
