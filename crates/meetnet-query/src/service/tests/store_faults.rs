//! An object store that does not give a query its files: that is no defect, and later the same query may succeed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use meetnet_lake::snapshot::{LiveFile, TableSnapshot};
use meetnet_lake::storage::{ObjectStorage, TableFolder};
use meetnet_model::hex::Hex;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use sha2::{Digest, Sha256};

use super::{service, text};
use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::QueryRequest;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// No request is answered.
    All,
    /// Whether a file is there is answered, and no bytes of it are given.
    Bytes,
    /// Ranges come without their end.
    Short,
}

/// The files of a lake, in a store that fails.
#[derive(Debug)]
struct Failing {
    files: LocalFileSystem,
    fault: Arc<Mutex<Fault>>,
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
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
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let mut options = options;
        let is_refused = match fault {
            Fault::None => false,
            Fault::All => true,
            Fault::Bytes => !options.head,
            Fault::Short => {
                if let Some(GetRange::Bounded(range)) = &mut options.range {
                    range.end -= (range.end - range.start) / 2;
                }
                false
            }
        };
        if is_refused {
            return Err(Error::Generic {
                store: "S3",
                source: "503 Service Unavailable: SlowDown".into(),
            });
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

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_no_defect_and_no_broken_file() {
    let sums = "SELECT sum(car) FROM counts";
    for fault in [Fault::All, Fault::Bytes, Fault::Short] {
        // Nothing is kept of the files yet, or their footers are.
        for is_first in [true, false] {
            let lake = fixture::lake();
            let service = service(&lake);
            let expected = text(&service, QueryRequest::public(sums)).await;
            let expected = expected.expect("an answer from the folder");
            let met = Arc::new(Mutex::new(Fault::None));
            let store = Failing {
                files: LocalFileSystem::new_with_prefix(lake.folder.path()).expect("a folder"),
                fault: Arc::clone(&met),
            };
            let handle = tokio::runtime::Handle::current();
            let storage =
                ObjectStorage::new("memory://lake", Arc::new(store), Path::default(), handle);
            let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
            lake.publish(TableSnapshot {
                folder: TableFolder::new(Arc::new(storage), "counts"),
                ..TableSnapshot::clone(&before)
            });
            let service = super::service(&lake);
            let ask = async |sql: &str| text(&service, QueryRequest::public(sql)).await;
            let set = |fault| *met.lock().unwrap_or_else(PoisonError::into_inner) = fault;
            if !is_first {
                let counted = "SELECT count(*) FROM counts WHERE car > 1";
                ask(counted).await.expect("an answer from the store");
            }
            set(fault);
            let error = ask(sums).await.expect_err("no bytes are given");
            assert_eq!(
                error.kind,
                QueryErrorKind::StoreUnavailable,
                "{fault:?}, first {is_first}: {error}"
            );
            for part in ["the store", "ask again later"] {
                assert!(error.message.contains(part), "{error} should say {part}");
            }
            set(Fault::None);
            assert_eq!(ask(sums).await.expect("an answer"), expected);
        }
    }
}

/// Where the file itself is cut off, it is named.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_cut_off_is_a_broken_file() {
    let lake = fixture::lake();
    let store = Failing {
        files: LocalFileSystem::new_with_prefix(lake.folder.path()).expect("a folder"),
        fault: Arc::new(Mutex::new(Fault::None)),
    };
    let handle = tokio::runtime::Handle::current();
    let storage = ObjectStorage::new("memory://lake", Arc::new(store), Path::default(), handle);
    let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    lake.publish(TableSnapshot {
        folder: TableFolder::new(Arc::new(storage), "counts"),
        ..TableSnapshot::clone(&before)
    });
    let service = service(&lake);
    let path = lake
        .folder
        .path()
        .join("counts")
        .join(&*before.files[1].path);
    // Of the last eight bytes of the footer, four are left.
    let whole = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &whole[..whole.len() - 4]).expect("written");
    let error = text(
        &service,
        QueryRequest::public("SELECT sum(car) FROM counts"),
    )
    .await;
    let error = error.expect_err("the file is cut off");
    assert_eq!(error.kind, QueryErrorKind::Internal, "{error}");
    for part in [&*before.files[1].path, "bytes instead of", "meetnet check"] {
        assert!(error.message.contains(part), "{error} should say {part}");
    }
}

/// The store gives all of it, as it was committed: who asks again gets the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_footer_that_cannot_be_understood_is_no_outage() {
    let lake = fixture::lake();
    let store = Failing {
        files: LocalFileSystem::new_with_prefix(lake.folder.path()).expect("a folder"),
        fault: Arc::new(Mutex::new(Fault::None)),
    };
    let handle = tokio::runtime::Handle::current();
    let storage = ObjectStorage::new("memory://lake", Arc::new(store), Path::default(), handle);
    let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let mut files = Vec::new();
    for (position, file) in before.files.iter().enumerate() {
        let path = lake.folder.path().join("counts").join(&*file.path);
        let mut bytes = std::fs::read(&path).expect("a file");
        if position == 1 {
            // What Parquet ends with.
            let end = bytes.len() - 4;
            bytes[end..].copy_from_slice(b"None");
            std::fs::write(&path, &bytes).expect("written");
        }
        files.push(Arc::new(LiveFile {
            sha256: Hex(&Sha256::digest(&bytes)).to_string().into(),
            ..LiveFile::clone(file)
        }));
    }
    lake.publish(TableSnapshot {
        folder: TableFolder::new(Arc::new(storage), "counts"),
        files: Arc::new(files),
        ..TableSnapshot::clone(&before)
    });
    let service = service(&lake);
    let sum = QueryRequest::public("SELECT sum(car) FROM counts");
    let error = text(&service, sum).await.expect_err("no footer");
    assert_eq!(error.kind, QueryErrorKind::Internal, "{error}");
}
