//! Walks the frames of one segment, over damage if need be: the one reading path of recovery and live readers.

use std::io;
use std::sync::Arc;

use super::frame::{self, Checked, FrameKey, FrameRef, MAGIC, PREFIX_BYTES};
use crate::files::FileHandle;

/// Bytes read at once: large enough that the system call does not count, small enough to stay in the cache.
const CHUNK_BYTES: usize = 1 << 20;

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Scanned<'a> {
    /// A valid frame.
    Frame {
        /// Where it starts in the file.
        offset: u64,
        /// It with its prefix.
        encoded: &'a [u8],
        /// It, read.
        frame: FrameRef<'a>,
    },
    /// Bytes that are no frame.
    Damage {
        /// Where they start.
        offset: u64,
        /// How many up to the next valid frame, or to the end.
        bytes: u64,
        /// Whether a valid frame follows.
        followed: bool,
    },
    /// An intact frame of a newer version.
    Newer(u8),
    /// Nothing more up to the end.
    End,
}

/// Reads one segment from an offset to an end that may grow.
#[derive(Debug)]
pub(crate) struct Scanner {
    handle: Arc<dyn FileHandle>,
    key: FrameKey,
    end: u64,
    /// Zeros up to the end are what nothing has been written over.
    over_zeros: bool,
    /// Up to here, at least, something had been written when it was looked for last.
    written: u64,
    /// File offset of `buffer[0]`.
    base: u64,
    /// What has been given out of `buffer`.
    taken: usize,
    buffer: Vec<u8>,
}

enum Next {
    Frame(usize),
    Damage,
    Newer(u8),
    End,
}

impl Scanner {
    pub(crate) fn new(handle: Arc<dyn FileHandle>, key: FrameKey, offset: u64, end: u64) -> Self {
        Self {
            handle,
            key,
            end,
            over_zeros: false,
            written: 0,
            base: offset,
            taken: 0,
            buffer: Vec::new(),
        }
    }

    /// Takes zeros up to the end for the rest of a spare: that segment was written last, and its end is nowhere else.
    pub(crate) fn over_zeros(self) -> Self {
        Self {
            over_zeros: true,
            ..self
        }
    }

    /// Returns the file offset of what comes next.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.taken as u64
    }

    /// Returns whether there is a frame in what is left to be read. None: nothing that was ever acknowledged is there.
    pub(crate) fn holds_frames(mut self) -> io::Result<bool> {
        Ok(match self.next()? {
            Scanned::Frame { .. } | Scanned::Newer(_) => true,
            Scanned::Damage { followed, .. } => followed,
            Scanned::End => false,
        })
    }

    /// Lets the scan go on to a later end.
    pub(crate) fn extend_to(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Goes back by the frame that was returned last, of `bytes` bytes.
    pub(crate) fn step_back(&mut self, bytes: usize) {
        self.taken -= bytes;
    }

    /// Returns the next frame or damaged region and moves behind it.
    pub(crate) fn next(&mut self) -> io::Result<Scanned<'_>> {
        let mut found = self.look()?;
        let mut until = self.end;
        if self.over_zeros && matches!(found, Next::Damage) {
            let offset = self.offset();
            if self.written <= offset {
                self.written = written_end(self.handle.as_ref(), offset, self.end)?;
            }
            if self.written <= offset {
                return Ok(Scanned::End);
            }
            until = self.written;
            // Its writer may be at work and have come on since the buffer was read: what begins before `until` is
            // whole now, unless it is the last group.
            self.go_to(offset);
            found = self.look()?;
        }
        match found {
            Next::End => Ok(Scanned::End),
            Next::Newer(version) => Ok(Scanned::Newer(version)),
            Next::Frame(bytes) => {
                let offset = self.offset();
                let encoded = &self.buffer[self.taken..self.taken + bytes];
                self.taken += bytes;
                let frame = frame::parse_body(&encoded[PREFIX_BYTES..])
                    .expect("a checked frame can be parsed");
                Ok(Scanned::Frame {
                    offset,
                    encoded,
                    frame,
                })
            }
            Next::Damage => {
                let offset = self.offset();
                let found = self.find_frame(offset + 1, until)?;
                self.go_to(found.unwrap_or(self.end));
                Ok(Scanned::Damage {
                    offset,
                    bytes: found.unwrap_or(until) - offset,
                    followed: found.is_some(),
                })
            }
        }
    }

    /// Goes on from an offset with what is in the file now.
    fn go_to(&mut self, offset: u64) {
        self.base = offset;
        self.taken = 0;
        self.buffer.clear();
    }

    fn look(&mut self) -> io::Result<Next> {
        let mut needs = PREFIX_BYTES;
        loop {
            let left =
                usize::try_from(self.end.saturating_sub(self.offset())).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(Next::End);
            }
            if self.buffer.len() - self.taken < needs.min(left) {
                self.fill(needs)?;
            }
            let bytes = &self.buffer[self.taken..];
            match frame::check(bytes, self.key) {
                Checked::Frame(length) => return Ok(Next::Frame(length)),
                Checked::Newer(version) => return Ok(Next::Newer(version)),
                Checked::Bad => return Ok(Next::Damage),
                // It would reach over the end: a torn frame.
                Checked::Incomplete(total) if total > left => return Ok(Next::Damage),
                // The file is shorter than its end says.
                Checked::Incomplete(total) if total <= needs && bytes.len() < total => {
                    return Ok(Next::Damage);
                }
                Checked::Incomplete(total) => needs = total,
            }
        }
    }

    /// Reads on until at least `needs` bytes are there, or the end.
    fn fill(&mut self, needs: usize) -> io::Result<()> {
        self.base += self.taken as u64;
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let kept = self.buffer.len();
        let left = usize::try_from(self.end - self.base).unwrap_or(usize::MAX);
        let wanted = needs.max(CHUNK_BYTES);
        // What one large frame took is not kept for small ones: a live reader is never dropped.
        if self.buffer.capacity() > 4 * wanted {
            self.buffer.shrink_to(wanted);
        }
        self.buffer.resize(wanted.min(left), 0);
        let read = self
            .handle
            .read_at(self.base + kept as u64, &mut self.buffer[kept..]);
        self.buffer
            .truncate(kept + read.as_ref().map_or(0, |&bytes| bytes));
        read.map(|_| ())
    }

    /// Returns the offset of the first valid frame that begins at or after `from` and before `until`.
    fn find_frame(&self, from: u64, until: u64) -> io::Result<Option<u64>> {
        let mut chunk = Vec::new();
        let mut candidate = Vec::new();
        let mut start = from;
        while start < until {
            let left = usize::try_from(until - start).unwrap_or(usize::MAX);
            chunk.resize(left.min(CHUNK_BYTES), 0);
            let read = self.handle.read_at(start, &mut chunk)?;
            if read < MAGIC.len() {
                return Ok(None);
            }
            for (at, window) in chunk[..read].windows(MAGIC.len()).enumerate() {
                let offset = start + at as u64;
                if window == MAGIC && self.is_frame_at(offset, &mut candidate)? {
                    return Ok(Some(offset));
                }
            }
            // A magic may lie across two chunks.
            start += (read - (MAGIC.len() - 1)) as u64;
        }
        Ok(None)
    }

    fn is_frame_at(&self, offset: u64, candidate: &mut Vec<u8>) -> io::Result<bool> {
        let mut needs = PREFIX_BYTES;
        loop {
            if needs as u64 > self.end - offset {
                return Ok(false);
            }
            candidate.resize(needs, 0);
            let read = self.handle.read_at(offset, candidate)?;
            match frame::check(&candidate[..read], self.key) {
                // A newer frame is found here so that the caller stops at it.
                Checked::Frame(_) | Checked::Newer(_) => return Ok(true),
                Checked::Incomplete(total) if total > needs => needs = total,
                Checked::Incomplete(_) | Checked::Bad => return Ok(false),
            }
        }
    }
}

/// Returns where the last byte before `end` ends that is no zero; `from` where there is none from there on.
pub(crate) fn written_end(handle: &dyn FileHandle, from: u64, end: u64) -> io::Result<u64> {
    let mut chunk = Vec::new();
    let (mut start, mut written) = (from, from);
    while start < end {
        let left = usize::try_from(end - start).unwrap_or(usize::MAX);
        chunk.resize(left.min(CHUNK_BYTES), 0);
        let read = handle.read_at(start, &mut chunk)?;
        if read == 0 {
            // The file is shorter than it is said to be: that is damage, not a rest.
            return Ok(end);
        }
        if let Some(at) = chunk[..read].iter().rposition(|&byte| byte != 0) {
            written = start + at as u64 + 1;
        }
        start += read as u64;
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
