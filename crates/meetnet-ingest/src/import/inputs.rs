//! Files to import: found, hashed, unpacked.
//!
//! Compression and archives are told by their first bytes, not by their names: gzip, zstd, tar, and tar within either.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::ImportError;

const BUFFER_BYTES: usize = 1 << 18;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Where a tar archive says so.
const TAR_MAGIC_AT: usize = 257;
const TAR_MAGIC: &[u8] = b"ustar";
/// Archives within archives.
const NESTING_MAX: usize = 3;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    path: PathBuf,
    bytes: u64,
}

/// Returns the files that paths, folders (with all below them) and patterns (`*`, `?`, `**`) lead to, each once, in
/// order of their paths.
///
/// # Errors
/// Where one leads to no file.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Input>, ImportError> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        if path.exists() {
            add(path, &mut found)?;
        } else {
            add_pattern(path, &mut found)?;
        }
        if found.len() == before {
            return Err(ImportError::Input {
                path: path.display().to_string(),
                problem: "no file there".to_owned(),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup();
    Ok(found)
}

fn add_pattern(path: &Path, found: &mut Vec<Input>) -> Result<(), ImportError> {
    let shown = || path.display().to_string();
    let problem = |problem: String| ImportError::Input {
        path: shown(),
        problem,
    };
    let pattern = path
        .to_str()
        .ok_or_else(|| problem("no such file".to_owned()))?;
    let matches = glob::glob(pattern)
        .map_err(|error| problem(format!("is neither a file nor a pattern: {error}")))?;
    for matched in matches {
        let matched = matched.map_err(|error| {
            let path = error.path().display().to_string();
            ImportError::io("list", path)(error.into())
        })?;
        add(&matched, found)?;
    }
    Ok(())
}

fn add(path: &Path, found: &mut Vec<Input>) -> Result<(), ImportError> {
    let shown = || path.display().to_string();
    let metadata = std::fs::metadata(path).map_err(ImportError::io("look at", shown()))?;
    if metadata.is_file() {
        found.push(Input {
            path: path.to_path_buf(),
            bytes: metadata.len(),
        });
        return Ok(());
    }
    if !metadata.is_dir() {
        return Err(ImportError::Input {
            path: shown(),
            problem: "is neither a file nor a folder".to_owned(),
        });
    }
    for entry in std::fs::read_dir(path).map_err(ImportError::io("list", shown()))? {
        let entry = entry.map_err(ImportError::io("list", shown()))?;
        // Hidden files are what tools leave behind.
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            add(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// Told of each document: its name and its bytes; false: no more is wanted.
pub(super) type Visit<'a> = dyn FnMut(&str, &mut dyn BufRead) -> Result<bool, ImportError> + 'a;

impl Input {
    /// Length of the file, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the path of a document: in its archive where it is in one, else the file's.
    pub(super) fn path_of<'n>(&self, document: &'n str) -> &'n str {
        let inner = document.strip_prefix(self.shown().as_str());
        inner
            .and_then(|inner| inner.strip_prefix(':'))
            .unwrap_or(document)
    }

    /// Returns the path of the file, for people.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns the SHA-256 of the file as it lies there.
    pub(super) fn hash(&self) -> Result<[u8; 32], ImportError> {
        let shown = || self.path.display().to_string();
        let mut file = File::open(&self.path).map_err(ImportError::io("open", shown()))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match file
                .read(&mut buffer)
                .map_err(ImportError::io("read", shown()))?
            {
                0 => return Ok(hash.finalize().into()),
                count => hash.update(&buffer[..count]),
            }
        }
    }

    /// Gives `visit` every document of the file; `read` counts the bytes of the file. False: no more is wanted.
    pub(super) fn documents(
        &self,
        read: &Arc<AtomicU64>,
        visit: &mut Visit<'_>,
    ) -> Result<bool, ImportError> {
        let shown = self.path.display().to_string();
        let file = File::open(&self.path).map_err(ImportError::io("open", shown.as_str()))?;
        let counted = Counted {
            file,
            read: Arc::clone(read),
        };
        let mut bytes = BufReader::with_capacity(BUFFER_BYTES, counted);
        self.unpack(&shown, &mut bytes, NESTING_MAX, visit)
    }

    fn unpack(
        &self,
        name: &str,
        bytes: &mut dyn BufRead,
        depth: usize,
        visit: &mut Visit<'_>,
    ) -> Result<bool, ImportError> {
        let mut bytes = Peeked::new(bytes).map_err(ImportError::io("read", name))?;
        let head = bytes.head();
        let is_packed = head.starts_with(&GZIP) || head.starts_with(&ZSTD) || is_tar(head);
        if is_packed && depth == 0 {
            return Err(ImportError::Input {
                path: name.to_owned(),
                problem: format!("is packed more than {NESTING_MAX} times"),
            });
        }
        if head.starts_with(&GZIP) {
            let unpacked = flate2::bufread::MultiGzDecoder::new(&mut bytes);
            let mut unpacked = BufReader::with_capacity(BUFFER_BYTES, unpacked);
            return self.unpack(name, &mut unpacked, depth - 1, visit);
        }
        if head.starts_with(&ZSTD) {
            let unpacked = zstd::stream::read::Decoder::with_buffer(&mut bytes)
                .map_err(ImportError::io("unpack", name))?;
            let mut unpacked = BufReader::with_capacity(BUFFER_BYTES, unpacked);
            return self.unpack(name, &mut unpacked, depth - 1, visit);
        }
        if !is_tar(head) {
            return visit(name, &mut bytes);
        }
        let mut archive = tar::Archive::new(&mut bytes);
        let entries = archive.entries().map_err(ImportError::io("unpack", name))?;
        for entry in entries {
            let entry = entry.map_err(ImportError::io("unpack", name))?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let inner = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let is_hidden = inner.rsplit('/').next().is_some_and(|n| n.starts_with('.'));
            if is_hidden {
                continue;
            }
            let inner = format!("{name}:{inner}");
            let mut entry = BufReader::with_capacity(BUFFER_BYTES, entry);
            if !self.unpack(&inner, &mut entry, depth - 1, visit)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_tar(head: &[u8]) -> bool {
    head.get(TAR_MAGIC_AT..)
        .is_some_and(|rest| rest.starts_with(TAR_MAGIC))
}

/// Bytes of which the first have been looked at.
struct Peeked<'a> {
    head: Vec<u8>,
    at: usize,
    rest: &'a mut dyn BufRead,
}

impl<'a> Peeked<'a> {
    fn new(rest: &'a mut dyn BufRead) -> io::Result<Self> {
        let wanted = (TAR_MAGIC_AT + TAR_MAGIC.len()) as u64;
        let mut head = Vec::with_capacity(wanted as usize);
        (&mut *rest).take(wanted).read_to_end(&mut head)?;
        Ok(Self { head, at: 0, rest })
    }

    fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.fill_buf()?).read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Peeked<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.head.len() {
            return Ok(&self.head[self.at..]);
        }
        self.rest.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.head.len() {
            self.at += count;
        } else {
            self.rest.consume(count);
        }
    }
}

/// Counts what is read of a file.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
