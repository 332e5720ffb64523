//! A lake in an object store. A put is durable when it is answered, and conditional puts make commits atomic; folders
//! are only prefixes of names, so there is nothing to sync.
//!
//! The lake's threads are ordinary ones: each call here waits for the store on the runtime it was given. So it must not
//! be called from a task of an async runtime.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use tokio::runtime::Handle;

use super::{Access, LakeLocation, LakeStorage, ListedObject, NewFile, Put, StoredFile};

/// Size of the parts of a large upload: S3 takes no smaller ones (5 MiB), and memory holds one.
const PART_BYTES: usize = 8 << 20;
/// Bytes fetched at once for a footer or a page.
const PAGES_BLOCK_BYTES: u64 = 256 << 10;
/// Bytes fetched at once by who reads everything.
const WHOLE_BLOCK_BYTES: u64 = 4 << 20;
/// Blocks of one open file that are kept.
const BLOCKS_KEPT: usize = 4;

/// A lake in an object store.
pub struct ObjectStorage {
    url: Arc<str>,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    runtime: Handle,
}

impl ObjectStorage {
    /// Returns the lake below `prefix`. `url` names it for people; `runtime` is where requests run, with network and
    /// time enabled.
    pub fn new(url: &str, store: Arc<dyn ObjectStore>, prefix: Path, runtime: Handle) -> Self {
        Self {
            url: Arc::from(url.trim_end_matches('/')),
            store,
            prefix,
            runtime,
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
        let put = self.store.put_opts(&path, payload, options);
        self.runtime.block_on(put).map(drop).map_err(io_error)
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
        Ok(Box::new(Upload {
            store: Arc::clone(&self.store),
            runtime: self.runtime.clone(),
            path: self.path(path)?,
            buffer: Vec::new(),
            parts: None,
        }))
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<Put> {
        match self.put(path, bytes, PutMode::Create) {
            Ok(()) => Ok(Put::Done),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Exists),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.put(path, bytes, PutMode::Overwrite)
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path(path)?;
        let meta = self
            .runtime
            .block_on(self.store.head(&path))
            .map_err(io_error)?;
        Ok(Arc::new(RemoteFile {
            store: Arc::clone(&self.store),
            runtime: self.runtime.clone(),
            path,
            bytes: meta.size,
            block_bytes: match access {
                Access::Pages => PAGES_BLOCK_BYTES,
                Access::Whole => WHOLE_BLOCK_BYTES,
            },
            blocks: Mutex::default(),
        }))
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        let path = self.path(path)?;
        let read = async { self.store.get(&path).await?.bytes().await };
        self.runtime.block_on(read).map_err(io_error)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<ListedObject>> {
        let path = self.path(folder)?;
        let listing = self.store.list(Some(&path)).try_collect::<Vec<_>>();
        let mut listed: Vec<ListedObject> = self
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
        let listing = self.store.list_with_delimiter(Some(&path));
        let mut names: Vec<String> = self
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
        let path = self.path(path)?;
        let removal = self.store.delete(&path);
        self.runtime.block_on(removal).map_err(io_error)
    }

    fn sync_names(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn location(&self) -> LakeLocation {
        LakeLocation::Objects {
            url: Arc::clone(&self.url),
            store: Arc::clone(&self.store),
            prefix: self.prefix.clone(),
        }
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
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// A file on its way up: one put where it is small, parts where it is large.
struct Upload {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    path: Path,
    buffer: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    fn send_part(&mut self) -> io::Result<()> {
        if self.parts.is_none() {
            let start = self.store.put_multipart(&self.path);
            self.parts = Some(self.runtime.block_on(start).map_err(io_error)?);
        }
        let part = std::mem::take(&mut self.buffer);
        if let Some(parts) = &mut self.parts {
            let sent = parts.put_part(PutPayload::from(Bytes::from(part)));
            self.runtime.block_on(sent).map_err(io_error)?;
        }
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            self.send_part()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for Upload {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.parts.is_none() {
            let whole = PutPayload::from(Bytes::from(std::mem::take(&mut self.buffer)));
            let put = self.store.put(&self.path, whole);
            return self.runtime.block_on(put).map(drop).map_err(io_error);
        }
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        let Some(mut parts) = self.parts.take() else {
            return Ok(());
        };
        let completed = self.runtime.block_on(parts.complete()).map_err(io_error);
        if completed.is_err() {
            self.parts = Some(parts);
        }
        completed.map(drop)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            // Parts that are never completed cost money until the store's own rules remove them.
            let _ = self.runtime.block_on(parts.abort());
        }
    }
}

/// Number of a block, and its bytes; the newest last.
type Blocks = Vec<(u64, Bytes)>;

/// A file in the store, read in blocks: pages are small and lie beside each other, requests are slow.
struct RemoteFile {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    path: Path,
    bytes: u64,
    block_bytes: u64,
    blocks: Mutex<Blocks>,
}

impl RemoteFile {
    fn fetch(&self, range: Range<u64>) -> io::Result<Bytes> {
        let wanted = range.end - range.start;
        let bytes = self
            .runtime
            .block_on(self.store.get_range(&self.path, range))
            .map_err(io_error)?;
        if bytes.len() as u64 != wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    fn block(&self, number: u64) -> io::Result<Bytes> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = blocks.iter().position(|(held, _)| *held == number) {
            let found = blocks.remove(at);
            let bytes = found.1.clone();
            blocks.push(found);
            return Ok(bytes);
        }
        let start = number * self.block_bytes;
        let bytes = self.fetch(start..(start + self.block_bytes).min(self.bytes))?;
        if blocks.len() >= BLOCKS_KEPT {
            blocks.remove(0);
        }
        blocks.push((number, bytes.clone()));
        Ok(bytes)
    }
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl StoredFile for RemoteFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let end = offset.saturating_add(length as u64);
        if end > self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length == 0 {
            return Ok(Bytes::new());
        }
        let (first, last) = (offset / self.block_bytes, (end - 1) / self.block_bytes);
        if last - first >= BLOCKS_KEPT as u64 {
            return self.fetch(offset..end);
        }
        let cut = |number: u64, block: &Bytes| {
            let start = number * self.block_bytes;
            let from = offset.saturating_sub(start) as usize;
            let to = (end - start).min(block.len() as u64) as usize;
            block.slice(from..to)
        };
        if first == last {
            return Ok(cut(first, &self.block(first)?));
        }
        let mut joined = Vec::with_capacity(length);
        for number in first..=last {
            joined.extend_from_slice(&cut(number, &self.block(number)?));
        }
        Ok(joined.into())
    }
}
