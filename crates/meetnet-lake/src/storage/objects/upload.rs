//! A file on its way into an object store.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use super::{Connection, io_error};
use crate::storage::NewFile;

/// Size of the parts of a large upload: S3 takes no smaller ones (5 MiB), and memory holds one.
const PART_BYTES: usize = 8 << 20;

/// A file on its way up: one put where it is small, parts where it is large.
pub(super) struct Upload {
    on: Arc<Connection>,
    path: Path,
    buffer: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    /// Starts a file; nothing is sent yet.
    pub(super) fn new(on: Arc<Connection>, path: Path) -> Self {
        Self {
            on,
            path,
            buffer: Vec::new(),
            parts: None,
        }
    }

    fn send_part(&mut self) -> io::Result<()> {
        if self.parts.is_none() {
            let start = self.on.store.put_multipart(&self.path);
            self.parts = Some(self.on.runtime.block_on(start).map_err(io_error)?);
        }
        let part = std::mem::take(&mut self.buffer);
        if let Some(parts) = &mut self.parts {
            let sent = parts.put_part(PutPayload::from(Bytes::from(part)));
            self.on.runtime.block_on(sent).map_err(io_error)?;
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
            let put = self.on.store.put(&self.path, whole);
            return self.on.runtime.block_on(put).map(drop).map_err(io_error);
        }
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        let Some(mut parts) = self.parts.take() else {
            return Ok(());
        };
        let completed = self.on.runtime.block_on(parts.complete()).map_err(io_error);
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
            let _ = self.on.runtime.block_on(parts.abort());
        }
    }
}
