//! A file in an object store, read in blocks.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Connection, io_error};
use crate::storage::{Access, StoredFile};

/// Bytes fetched at once for a footer or a page.
const PAGES_BLOCK_BYTES: u64 = 256 << 10;
/// Bytes fetched at once by who reads everything.
const WHOLE_BLOCK_BYTES: u64 = 4 << 20;
/// Blocks of one open file that are kept.
const BLOCKS_KEPT: usize = 4;

/// Number of a block, and its bytes; the newest last.
type Blocks = Vec<(u64, Bytes)>;

/// A file in the store, read in blocks: pages are small and lie beside each other, requests are slow.
pub(super) struct RemoteFile {
    on: Arc<Connection>,
    path: Path,
    bytes: u64,
    block_bytes: u64,
    blocks: Mutex<Blocks>,
}

impl RemoteFile {
    /// Returns a file of a known length, without asking for it.
    pub(super) fn new(on: Arc<Connection>, path: Path, bytes: u64, access: Access) -> Self {
        Self {
            on,
            path,
            bytes,
            block_bytes: match access {
                Access::Pages => PAGES_BLOCK_BYTES,
                Access::Whole => WHOLE_BLOCK_BYTES,
            },
            blocks: Mutex::default(),
        }
    }

    fn fetch(&self, range: Range<u64>) -> io::Result<Bytes> {
        let wanted = range.end - range.start;
        let read = self.on.store.get_range(&self.path, range);
        let bytes = self.on.runtime.block_on(read).map_err(io_error)?;
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
