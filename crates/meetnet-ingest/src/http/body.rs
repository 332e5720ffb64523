//! Reads the body of a push request within its limits, and inflates it.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::limits::PushLimits;

#[cfg(test)]
mod tests;

/// How long a body may take before its rate counts: a radio that wakes up, a packet that is sent again, and once more.
/// Small devices begin with three seconds, and wait twice as long each time.
const SLOW_START: Duration = Duration::from_secs(10);

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than allowed, as sent or inflated.
    TooLarge {
        what: &'static str,
        bytes_max: usize,
    },
    /// All requests together hold too much.
    NoRoom,
    /// It is encoded in a way that is not supported.
    UnknownEncoding(String),
    /// It says gzip and is not.
    BadGzip,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke.
    Broken,
    /// There are no fields where a message of fields is expected.
    Empty,
}

/// Memory that request bodies hold, over all requests.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyMemory(Arc<AtomicUsize>);

/// One request's share; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: BodyMemory,
    bytes: usize,
    bytes_max: usize,
}

/// A body with its share, which go together: whoever is given it drops both.
#[derive(Debug)]
pub(super) struct HeldBody {
    pub(super) bytes: Vec<u8>,
    pub(super) _share: Share,
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl BodyMemory {
    /// Bytes that all bodies hold now.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn share(&self, bytes_max: usize) -> Share {
        Share {
            memory: self.clone(),
            bytes: 0,
            bytes_max,
        }
    }
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        let before = self.memory.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before + bytes > self.bytes_max {
            Err(BodyError::NoRoom)
        } else {
            Ok(())
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The encodings that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

/// Reads the `Content-Encoding` header.
pub(super) fn encoding_of(headers: &HeaderMap) -> Result<Encoding, BodyError> {
    let mut found = Encoding::Identity;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = value.to_str().unwrap_or("(not text)");
        for name in text.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" if found == Encoding::Identity => found = Encoding::Gzip,
                _ => return Err(BodyError::UnknownEncoding(text.to_owned())),
            }
        }
    }
    Ok(found)
}

/// Returns how long a body may have taken of which so many bytes have come, until the next ones do.
fn time_for(bytes: usize, limits: &PushLimits) -> Duration {
    let rate = limits.body_bytes_per_second_min.max(1);
    let seconds = u64::try_from(bytes / rate).unwrap_or(u64::MAX);
    SLOW_START
        .saturating_add(Duration::from_secs(seconds))
        .min(limits.body_wait)
}

/// Reads and inflates a body.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: &PushLimits,
    share: &mut Share,
) -> Result<Vec<u8>, BodyError> {
    let encoding = encoding_of(headers)?;
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let too_large = BodyError::TooLarge {
        what: "body",
        bytes_max: limits.body_bytes_max,
    };
    // Said before a byte is read: the sender need not send it.
    if declared.is_some_and(|bytes: usize| bytes > limits.body_bytes_max) {
        return Err(too_large);
    }
    let begun = Instant::now();
    let mut collected = Vec::with_capacity(declared.unwrap_or(0));
    let mut chunks = body.into_data_stream();
    loop {
        // What has come is taken first, however late it is looked at: only who sends slowly is too slow.
        let next = timeout_at(begun + time_for(collected.len(), limits), chunks.next());
        let Some(chunk) = next.await.map_err(|_| BodyError::TooSlow)? else {
            break;
        };
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if collected.len() + chunk.len() > limits.body_bytes_max {
            return Err(too_large);
        }
        share.grow(chunk.len())?;
        collected.extend_from_slice(&chunk);
    }
    match encoding {
        Encoding::Identity => Ok(collected),
        Encoding::Gzip => inflate(&collected, limits.inflated_bytes_max, share),
    }
}

/// Inflates gzip, in steps that are charged before the next one is taken.
fn inflate(compressed: &[u8], bytes_max: usize, share: &mut Share) -> Result<Vec<u8>, BodyError> {
    const STEP: usize = 64 * 1024;
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut inflated = Vec::new();
    loop {
        let mut step = decoder.by_ref().take(STEP as u64);
        let count = step
            .read_to_end(&mut inflated)
            .map_err(|_| BodyError::BadGzip)?;
        if count == 0 {
            return Ok(inflated);
        }
        if inflated.len() > bytes_max {
            return Err(BodyError::TooLarge {
                what: "inflated body",
                bytes_max,
            });
        }
        share.grow(count)?;
    }
}
