//! A lake in an object store. A put is durable when it is answered, and conditional puts make commits atomic; folders
//! are only prefixes of names, so there is nothing to sync.
//!
//! The lake's threads are ordinary ones: each call here waits for the store on the runtime it was given. So it must not
//! be called from a task of an async runtime.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload,
};
use tokio::runtime::Handle;

use self::remote_file::RemoteFile;
use self::upload::Upload;
use super::{Access, LakeLocation, LakeStorage, ListedObject, NewFile, Put, StoredFile};
use crate::damage::DamagedFiles;

mod remote_file;
mod upload;

/// A lake in an object store.
pub struct ObjectStorage {
    url: Arc<str>,
    prefix: Path,
    on: Arc<Connection>,
    damaged: DamagedFiles,
}

/// The store, and where requests to it run.
struct Connection {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl ObjectStorage {
    /// Returns the lake below `prefix`. `url` names it for people; `runtime` is where requests run, with network and
    /// time enabled.
    pub fn new(url: &str, store: Arc<dyn ObjectStore>, prefix: Path, runtime: Handle) -> Self {
        Self {
            url: Arc::from(url.trim_end_matches('/')),
            prefix,
            on: Arc::new(Connection { store, runtime }),
            damaged: DamagedFiles::default(),
        }
    }

    fn path(&self, path: &str) -> io::Result<Path> {
        let full = match (self.prefix.as_ref(), path) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}/{path}"),
        };
        Path::parse(full).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// Returns a path of the store relative to the lake.
    fn relative(&self, path: &Path) -> String {
        let prefix = self.prefix.as_ref();
        let path = path.as_ref();
        path.strip_prefix(prefix)
            .unwrap_or(path)
            .trim_start_matches('/')
            .to_owned()
    }

    fn put(&self, path: &str, bytes: &[u8], mode: PutMode) -> io::Result<()> {
        let path = self.path(path)?;
        let payload = PutPayload::from(Bytes::copy_from_slice(bytes));
        let options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        let put = self.on.store.put_opts(&path, payload, options);
        self.on.runtime.block_on(put).map(drop).map_err(io_error)
    }
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A store's own form may hold credentials.
        f.debug_struct("ObjectStorage")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl LakeStorage for ObjectStorage {
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>> {
        let path = self.path(path)?;
        Ok(Box::new(Upload::new(Arc::clone(&self.on), path)))
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<Put> {
        match self.put(path, bytes, PutMode::Create) {
            Ok(()) => Ok(Put::Done),
            // The client sends a request again whose answer got lost, and then meets what the first one wrote: whoever
            // must know whose file it is reads it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Exists),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.put(path, bytes, PutMode::Overwrite)
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn StoredFile>> {
        let full = self.path(path)?;
        let found = look_up(&*self.on.store, &full);
        let found = self.on.runtime.block_on(found).map_err(io_error)?;
        self.open_known(path, found.size, access)
    }

    fn open_known(
        &self,
        path: &str,
        bytes: u64,
        access: Access,
    ) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path(path)?;
        let file = RemoteFile::new(Arc::clone(&self.on), path, bytes, access);
        Ok(Arc::new(file))
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        let path = self.path(path)?;
        let read = async { self.on.store.get(&path).await?.bytes().await };
        self.on.runtime.block_on(read).map_err(io_error)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<ListedObject>> {
        let path = self.path(folder)?;
        let listing = self.on.store.list(Some(&path)).try_collect::<Vec<_>>();
        let mut listed: Vec<ListedObject> = self
            .on
            .runtime
            .block_on(listing)
            .map_err(io_error)?
            .into_iter()
            .map(|meta| ListedObject {
                path: self.relative(&meta.location),
                bytes: meta.size,
            })
            .collect();
        listed.sort();
        Ok(listed)
    }

    fn folders(&self, folder: &str) -> io::Result<Vec<String>> {
        let path = self.path(folder)?;
        let listing = self.on.store.list_with_delimiter(Some(&path));
        let mut names: Vec<String> = self
            .on
            .runtime
            .block_on(listing)
            .map_err(io_error)?
            .common_prefixes
            .iter()
            .filter_map(|prefix| Some(prefix.filename()?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.remove_all(&[path.to_owned()])
    }

    fn remove_all(&self, paths: &[String]) -> io::Result<()> {
        let paths = paths
            .iter()
            .map(|path| self.path(path))
            .collect::<io::Result<Vec<_>>>()?;
        let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        // A thousand names per request where the store can.
        let removal =
            self.on
                .store
                .delete_stream(paths)
                .filter_map(async |removed| match removed {
                    Ok(_) | Err(Error::NotFound { .. }) => None,
                    Err(error) => Some(Err(error)),
                });
        let removal = removal.try_collect::<()>();
        self.on.runtime.block_on(removal).map_err(io_error)
    }

    fn sync_names(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn location(&self) -> LakeLocation {
        LakeLocation::Objects {
            url: Arc::clone(&self.url),
            store: Arc::clone(&self.on.store),
            prefix: self.prefix.clone(),
        }
    }

    fn damaged(&self) -> Option<&DamagedFiles> {
        Some(&self.damaged)
    }
}

/// Asks a store whether an object is there.
///
/// # Errors
/// `NotFound` where its bucket is there and the object is not; others where that cannot be said.
pub async fn look_up(
    store: &dyn ObjectStore,
    path: &Path,
) -> Result<ObjectMeta, object_store::Error> {
    match store.head(path).await {
        // The answer has no body, so it does not say whether the object or its bucket is missing: this one does, and is of an
        // object that is there after all where the bucket has come back in between.
        Err(Error::NotFound { .. }) => {
            let options = GetOptions {
                range: Some(GetRange::Bounded(0..1)),
                ..GetOptions::default()
            };
            store.get_opts(path, options).await.map(|found| found.meta)
        }
        found => found,
    }
}

/// Keeps what callers branch on.
fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => io::ErrorKind::AlreadyExists,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        // The client's own error type is private. A range behind the end: the object is shorter than the log says. A list is
        // refused without saying so otherwise.
        Error::Generic { .. } => match error.to_string() {
            said if said.contains("status code: 416") => io::ErrorKind::UnexpectedEof,
            said if said.contains("status code: 403") || said.contains("status code: 401") => {
                io::ErrorKind::PermissionDenied
            }
            _ => io::ErrorKind::Other,
        },
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
