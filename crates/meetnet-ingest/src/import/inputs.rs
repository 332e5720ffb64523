//! Files to import: found, hashed, unpacked.
//!
//! Compression and archives are told by their first bytes, not by their names: gzip, zstd, tar, and tar within either.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
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
/// Bytes by which it is known how a file is packed.
pub(super) const HEAD_BYTES: usize = TAR_MAGIC_AT + TAR_MAGIC.len();
/// Bytes of the name that each entry of a tar archive begins with, and where the octal digits behind it end.
const TAR_NAME_BYTES: usize = 100;
const TAR_MODE_END: usize = 108;
/// Ends of names, in lower case, of tar archives, packed or not, and of what zstd packs.
const TAR_NAMES: [&str; 5] = [".tar", ".tgz", ".tar.gz", ".tzst", ".tar.zst"];
const ZSTD_NAMES: [&str; 2] = [".zst", ".tzst"];
/// Archives within archives.
const NESTING_MAX: usize = 3;

/// Files that cannot be read of which each is named; of more, nobody reads the list.
const BROKEN_MAX: usize = 10_000;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    path: PathBuf,
    bytes: u64,
    /// What it is called; None: by its path.
    name: Option<&'static str>,
}

/// A file, or a document in an archive, that cannot be read, or not to its end. The others are read all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What paths lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The files, in order of their paths.
    pub inputs: Vec<Input>,
    /// What is no file, or cannot be looked at.
    pub broken: Vec<Broken>,
}

/// Returns the files that paths, folders (with all below them) and patterns (`*`, `?`, `**`) lead to, each once, in
/// order of their paths.
///
/// # Errors
/// Where one leads to nothing at all.
pub fn find(paths: &[PathBuf]) -> Result<Found, ImportError> {
    let mut found = Found::default();
    for path in paths {
        let before = found.inputs.len() + found.broken.len();
        // A link that leads nowhere is there, too.
        if path.symlink_metadata().is_ok() {
            add(path, &mut Vec::new(), &mut found);
        } else {
            add_pattern(path, &mut found)?;
        }
        if found.inputs.len() + found.broken.len() == before {
            return Err(ImportError::Input {
                path: path.display().to_string(),
                problem: "no file there".to_owned(),
            });
        }
    }
    found.inputs.sort_by(|a, b| a.path.cmp(&b.path));
    found.inputs.dedup();
    found.broken.sort_by(|a, b| a.path.cmp(&b.path));
    found.broken.dedup();
    Ok(found)
}

fn add_pattern(path: &Path, found: &mut Found) -> Result<(), ImportError> {
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
        match matched {
            Ok(matched) => add(&matched, &mut Vec::new(), found),
            Err(error) => {
                let path = error.path().display().to_string();
                let error = ImportError::io("list", path)(error.into());
                note(&mut found.broken, error)?;
            }
        }
    }
    Ok(())
}

/// Adds what lies at a path; `above` are the folders that it lies in, as far as they have been gone through.
fn add(path: &Path, above: &mut Vec<(u64, u64)>, found: &mut Found) {
    let shown = || path.display().to_string();
    let cannot = |operation: &str, error: io::Error| Broken {
        path: shown(),
        problem: format!("failed to {operation}: {error}"),
    };
    let is_no = |problem: &str| Broken {
        path: shown(),
        problem: problem.to_owned(),
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return keep(&mut found.broken, cannot("look at it", error)),
    };
    if metadata.is_file() {
        found.inputs.push(Input {
            path: path.to_path_buf(),
            bytes: metadata.len(),
            name: None,
        });
        return;
    }
    if !metadata.is_dir() {
        return keep(&mut found.broken, is_no("is neither a file nor a folder"));
    }
    let folder = (metadata.dev(), metadata.ino());
    if above.contains(&folder) {
        return keep(
            &mut found.broken,
            is_no("leads back to a folder that it lies in"),
        );
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return keep(&mut found.broken, cannot("list it", error)),
    };
    above.push(folder);
    for entry in entries {
        match entry {
            // Hidden files are what tools leave behind.
            Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
            Ok(entry) => add(&entry.path(), above, found),
            Err(error) => keep(&mut found.broken, cannot("list it", error)),
        }
    }
    above.pop();
}

/// Keeps one that is broken.
fn keep(broken: &mut Vec<Broken>, one: Broken) {
    if broken.len() < BROKEN_MAX {
        broken.push(one);
    }
}

/// Keeps what an error says of one file.
///
/// # Errors
/// The error, where it is of something else.
pub(super) fn note(broken: &mut Vec<Broken>, error: ImportError) -> Result<(), ImportError> {
    let one = match error {
        ImportError::Io {
            operation,
            path,
            source,
        } => {
            let problem = if source.kind() == io::ErrorKind::UnexpectedEof {
                format!("is cut off: {source}")
            } else {
                format!("failed to {operation} it: {source}")
            };
            Broken { path, problem }
        }
        ImportError::Input { path, problem } => Broken { path, problem },
        error => return Err(error),
    };
    keep(broken, one);
    Ok(())
}

/// Told of each document: its name and its bytes; false: no more is wanted.
pub(super) type Visit<'a> = dyn FnMut(&str, &mut dyn BufRead) -> Result<bool, ImportError> + 'a;

impl Input {
    /// What came on stdin and was put into the file at `path`: it is called so, whatever that file is called, and the same
    /// bytes are the same import.
    ///
    /// # Errors
    /// Where there is no such file.
    pub fn of_stdin(path: PathBuf) -> Result<Self, ImportError> {
        let shown = path.display().to_string();
        let metadata = std::fs::metadata(&path).map_err(ImportError::io("look at", shown))?;
        Ok(Self {
            path,
            bytes: metadata.len(),
            name: Some("stdin"),
        })
    }

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
        self.name
            .map_or_else(|| self.path.display().to_string(), str::to_owned)
    }

    /// Returns the SHA-256 of the file as it lies there.
    pub(super) fn hash(&self) -> Result<[u8; 32], ImportError> {
        let shown = || self.shown();
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

    /// Gives `visit` every document of the file; `read` counts the bytes of the file. False: no more is wanted. What of it
    /// cannot be read goes to `broken`.
    ///
    /// # Errors
    /// Those of `visit`, and where the system does not give the bytes that it gave to [`hash`](Self::hash): the next time it
    /// may, and what lies behind them would then have other numbers in an import of the same id.
    pub(super) fn documents(
        &self,
        read: &Arc<AtomicU64>,
        broken: &mut Vec<Broken>,
        visit: &mut Visit<'_>,
    ) -> Result<bool, ImportError> {
        let shown = self.shown();
        let file = File::open(&self.path).map_err(ImportError::io("open", shown.as_str()))?;
        let counted = Counted::new(file, Arc::clone(read));
        let mut bytes = BufReader::with_capacity(BUFFER_BYTES, counted);
        let unpacked = self.unpack(&shown, &mut bytes, NESTING_MAX, broken, visit);
        if let Some(error) = bytes.get_mut().failed.take() {
            return Err(ImportError::io("read", shown)(error));
        }
        go_on(unpacked, broken)
    }

    fn unpack(
        &self,
        name: &str,
        bytes: &mut dyn BufRead,
        depth: usize,
        broken: &mut Vec<Broken>,
        visit: &mut Visit<'_>,
    ) -> Result<bool, ImportError> {
        let mut bytes = Peeked::new(bytes);
        if bytes.head().is_empty()
            && let Some(error) = bytes.failed.take()
        {
            return Err(ImportError::io("read", name)(error));
        }
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
            return self.unpack(name, &mut unpacked, depth - 1, broken, visit);
        }
        if head.starts_with(&ZSTD) {
            let unpacked = zstd::stream::read::Decoder::with_buffer(&mut bytes)
                .map_err(ImportError::io("unpack", name))?;
            let mut unpacked = BufReader::with_capacity(BUFFER_BYTES, unpacked);
            return self.unpack(name, &mut unpacked, depth - 1, broken, visit);
        }
        if !is_tar(head) {
            if let Some(packed) = cut_in_head(name, head) {
                return Err(ImportError::Input {
                    path: name.to_owned(),
                    problem: format!("is cut off: there are {} bytes of {packed}", head.len()),
                });
            }
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
            let whole = Whole {
                left: entry.size(),
                entry,
            };
            let mut whole = BufReader::with_capacity(BUFFER_BYTES, whole);
            let unpacked = self.unpack(&inner, &mut whole, depth - 1, broken, visit);
            // Those behind it may be sound. Where the archive itself is not, the next entry says so.
            if !go_on(unpacked, broken)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Goes on behind a document that cannot be read.
fn go_on(read: Result<bool, ImportError>, broken: &mut Vec<Broken>) -> Result<bool, ImportError> {
    match read {
        Err(error) => note(broken, error).map(|()| true),
        read => read,
    }
}

fn is_tar(head: &[u8]) -> bool {
    head.get(TAR_MAGIC_AT..)
        .is_some_and(|rest| rest.starts_with(TAR_MAGIC))
}

/// Returns what is cut off, of a document that ends before it could say how it is packed; none where it is a short one.
fn cut_in_head(name: &str, head: &[u8]) -> Option<&'static str> {
    if head.is_empty() || head.len() >= HEAD_BYTES {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let is_called = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let begins = |magic: &[u8]| head.len() < magic.len() && magic.starts_with(head);
    // No text begins as gzip does. The first byte of zstd is a parenthesis, the second no character.
    if begins(&GZIP) {
        Some("a file packed by gzip")
    } else if begins(&ZSTD) && (head.len() > 1 || is_called(&ZSTD_NAMES)) {
        Some("a file packed by zstd")
    } else if begins_tar(head) || is_called(&TAR_NAMES) {
        Some("a tar archive")
    } else {
        None
    }
}

/// Returns true for what is the begin of a tar archive: a name that zeros fill up, and octal digits behind it. A name that is
/// cut, or as long as there is room for, looks like any text.
fn begins_tar(head: &[u8]) -> bool {
    let (name, behind) = head.split_at(head.len().min(TAR_NAME_BYTES));
    let Some(end) = name.iter().position(|byte| *byte == 0) else {
        return false;
    };
    let (name, fill) = name.split_at(end);
    // Zeros behind a line or a document are what a crash leaves of a file; single ones are UTF-16.
    let is_name = !name.is_empty()
        && !name
            .iter()
            .any(|byte| byte.is_ascii_control() || matches!(byte, b'"' | b'{' | b'['));
    let is_filled = fill.len() > 1 || !behind.is_empty();
    let mode = &behind[..behind.len().min(TAR_MODE_END - TAR_NAME_BYTES)];
    let is_mode = |byte: &u8| matches!(byte, b'0'..=b'7' | b' ' | 0);
    is_name && is_filled && fill.iter().all(|byte| *byte == 0) && mode.iter().all(is_mode)
}

/// Bytes of which the first have been looked at.
struct Peeked<'a> {
    head: Vec<u8>,
    at: usize,
    /// Why nothing comes behind the head: what stands before that counts.
    failed: Option<io::Error>,
    rest: &'a mut dyn BufRead,
}

impl<'a> Peeked<'a> {
    fn new(rest: &'a mut dyn BufRead) -> Self {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let read = (&mut *rest).take(HEAD_BYTES as u64).read_to_end(&mut head);
        Self {
            head,
            at: 0,
            failed: read.err(),
            rest,
        }
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
        if let Some(failed) = &mut self.failed {
            // Whoever asks again must not take it for the end.
            let again = failed.kind().into();
            return Err(std::mem::replace(failed, again));
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

/// An entry of an archive that is there as a whole: one that the archive's end cuts off would look like a shorter one, with
/// another value in its last line.
struct Whole<R> {
    entry: R,
    /// Bytes that are to come.
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.entry.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            let why = "the archive ends within it";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        Ok(count)
    }
}

/// The system does not give what a file holds.
#[derive(Debug, thiserror::Error)]
#[error("the system does not give it")]
struct NotGiven;

impl NotGiven {
    fn of(kind: io::ErrorKind) -> io::Error {
        io::Error::new(kind, Self)
    }
}

/// Returns false for an error that says nothing of what a file holds.
pub(super) fn is_given(error: &io::Error) -> bool {
    !error.get_ref().is_some_and(|why| why.is::<NotGiven>())
}

/// Counts what is read of a file.
pub(super) struct Counted {
    file: File,
    read: Arc<AtomicU64>,
    /// Why the system gives no more of it: nothing behind that is read, or it would have a wrong number.
    failed: Option<io::Error>,
}

impl Counted {
    pub(super) fn new(file: File, read: Arc<AtomicU64>) -> Self {
        Self {
            file,
            read,
            failed: None,
        }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(failed) = &self.failed {
            return Err(NotGiven::of(failed.kind()));
        }
        match self.file.read(buffer) {
            Ok(count) => {
                self.read.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(NotGiven::of(kind))
            }
        }
    }
}
