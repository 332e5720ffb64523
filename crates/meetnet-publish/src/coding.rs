//! Content codings (RFC 9110, section 8.4): zstd and gzip by `Accept-Encoding`, piece by piece while an answer streams.
//!
//! Not tower-http's layer: it needs async-compression, a second set of codecs, and it would hide from the layers inside
//! it, which count and hash them, the bytes that leave.

use std::io::{self, Write};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use meetnet_query::Format;

use crate::negotiate::weighted;

#[cfg(test)]
mod tests;

/// The fastest levels: an answer is made once and read once, and a slow one is slow to come.
const ZSTD_LEVEL: i32 = 1;
const GZIP_LEVEL: Compression = Compression::fast();
/// Fewer bytes than this are sent as they are: they fit one packet either way.
const CODED_BYTES_MIN: usize = 1024;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Returns the coding that the client likes best, zstd where it likes both the same. Parquet is never coded: its pages
    /// are compressed already.
    pub(crate) fn choose(format: Format, headers: &HeaderMap) -> Self {
        if format == Format::Parquet {
            return Self::Identity;
        }
        let entries = weighted(headers, &ACCEPT_ENCODING);
        let named = |name: &str| {
            let mut entries = entries.iter();
            entries.find_map(|(entry, weight)| (entry == name).then_some(*weight))
        };
        let weight = |coding: Self| named(coding.as_str()).or_else(|| named("*")).unwrap_or(0);
        let best = if weight(Self::Gzip) > weight(Self::Zstd) {
            Self::Gzip
        } else {
            Self::Zstd
        };
        let plain = named(Self::Identity.as_str()).unwrap_or(0);
        if weight(best) == 0 || plain > weight(best) {
            Self::Identity
        } else {
            best
        }
    }

    /// Returns the name in headers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Codes a whole answer; returns how it is coded.
    ///
    /// # Errors
    /// Where the coder fails, which is a defect.
    pub(crate) fn encode(self, bytes: Bytes) -> io::Result<(Bytes, Self)> {
        if self == Self::Identity || bytes.len() < CODED_BYTES_MIN {
            return Ok((bytes, Self::Identity));
        }
        let mut coder = Coder::new(self)?;
        let first = coder.push(bytes)?;
        let last = coder.finish()?;
        Ok(([first, last].concat().into(), self))
    }
}

/// Codes an answer piece by piece.
pub(crate) enum Coder {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Coder {
    /// Makes a coder.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub(crate) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), GZIP_LEVEL)),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    /// Takes a piece; returns the bytes that are ready, perhaps none.
    pub(crate) fn push(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        let ready = match self {
            Self::Identity => return Ok(bytes),
            Self::Gzip(encoder) => {
                encoder.write_all(&bytes)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(&bytes)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(ready).into())
    }

    /// Returns the last bytes.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Identity => Bytes::new(),
            Self::Gzip(encoder) => encoder.finish()?.into(),
            Self::Zstd(encoder) => encoder.finish()?.into(),
        })
    }
}
