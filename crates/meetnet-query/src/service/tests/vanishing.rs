//! A file that goes while a query reads it: a vacuum was faster than the reader.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use meetnet_lake::snapshot::{LakeSnapshot, SharedSnapshot, TableSnapshot};
use meetnet_lake::storage::{ObjectStorage, TableFolder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::{service, text};
use crate::fixture;
use crate::options::QueryRequest;

/// The files of a lake. Who asks for one of them makes a newer snapshot the one that is answered from.
#[derive(Debug)]
struct Vanishing {
    files: LocalFileSystem,
    gone: Path,
    snapshot: SharedSnapshot,
    newer: Arc<LakeSnapshot>,
}

impl fmt::Display for Vanishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vanishing")
    }
}

#[async_trait]
impl ObjectStore for Vanishing {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.files.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if *location == self.gone {
            self.snapshot.store(Arc::clone(&self.newer));
        }
        self.files.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_file_that_goes_while_it_is_read_costs_one_more_attempt() {
    let lake = fixture::lake();
    let service = service(&lake);
    let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let february = Arc::clone(&before.files[1]);
    let kept = before
        .files
        .iter()
        .filter(|file| file.path != february.path)
        .cloned()
        .collect();
    lake.publish(TableSnapshot {
        files: Arc::new(kept),
        ..TableSnapshot::clone(&before)
    });
    let store = Vanishing {
        files: LocalFileSystem::new_with_prefix(lake.folder.path()).expect("a folder"),
        gone: Path::parse(format!("counts/{}", february.path)).expect("a path"),
        snapshot: Arc::clone(&lake.snapshot),
        newer: lake.snapshot.load_full(),
    };
    let handle = tokio::runtime::Handle::current();
    let storage = ObjectStorage::new("memory://lake", Arc::new(store), Path::default(), handle);
    lake.publish(TableSnapshot {
        folder: TableFolder::new(Arc::new(storage), "counts"),
        ..TableSnapshot::clone(&before)
    });
    let path = lake.folder.path().join("counts").join(&*february.path);
    std::fs::remove_file(path).expect("removed");

    let sql = "SELECT sum(car) FROM counts WHERE segment_id = 2";
    let answer = text(&service, QueryRequest::public(sql)).await;
    let answer = answer.expect("the newer snapshot");
    assert!(answer.contains("2000.0"), "{answer}");
}
