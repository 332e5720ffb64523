//! Reads Parquet files through DataFusion's metadata cache and notices files that are gone.
//!
//! Files are immutable and their paths unique, so a cached footer is valid for ever; the cache is bounded in bytes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

/// Set once a file of the snapshot was gone under the query: vacuum was faster than the reader.
pub(crate) type FileGone = Arc<AtomicBool>;

/// Makes readers for one query and one table.
#[derive(Debug)]
pub(crate) struct WatchedReaderFactory {
    store: Arc<dyn ObjectStore>,
    cached: CachedParquetFileReaderFactory,
    gone: FileGone,
}

impl WatchedReaderFactory {
    pub(crate) fn try_new(
        registry: &Arc<dyn ObjectStoreRegistry>,
        url: &ObjectStoreUrl,
        cache: Arc<FileMetadataCache>,
        gone: FileGone,
    ) -> Result<Self> {
        let store = registry.get_store(url.as_ref())?;
        let cached = CachedParquetFileReaderFactory::new(Arc::clone(&store), cache);
        Ok(Self {
            store,
            cached,
            gone,
        })
    }
}

impl ParquetFileReaderFactory for WatchedReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let location = file.object_meta.location.clone();
        let inner =
            self.cached
                .create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(WatchedReader {
            inner,
            location,
            store: Arc::clone(&self.store),
            gone: Arc::clone(&self.gone),
        }))
    }
}

struct WatchedReader {
    inner: Box<dyn AsyncFileReader + Send>,
    location: Path,
    store: Arc<dyn ObjectStore>,
    gone: FileGone,
}

/// Asks the store after a failure: the errors on the way do not keep their kind.
async fn note_gone(store: Arc<dyn ObjectStore>, location: Path, gone: FileGone) {
    if matches!(
        store.head(&location).await,
        Err(object_store::Error::NotFound { .. })
    ) {
        gone.store(true, Ordering::Release);
    }
}

impl WatchedReader {
    fn watch<'a, T: Send + 'a>(
        read: BoxFuture<'a, parquet::errors::Result<T>>,
        store: &Arc<dyn ObjectStore>,
        location: &Path,
        gone: &FileGone,
    ) -> BoxFuture<'a, parquet::errors::Result<T>> {
        let (store, location, gone) = (Arc::clone(store), location.clone(), Arc::clone(gone));
        read.or_else(move |error: ParquetError| async move {
            note_gone(store, location, gone).await;
            Err(error)
        })
        .boxed()
    }
}

impl AsyncFileReader for WatchedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        Self::watch(
            self.inner.get_bytes(range),
            &self.store,
            &self.location,
            &self.gone,
        )
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        Self::watch(
            self.inner.get_byte_ranges(ranges),
            &self.store,
            &self.location,
            &self.gone,
        )
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        Self::watch(
            self.inner.get_metadata(options),
            &self.store,
            &self.location,
            &self.gone,
        )
    }
}
