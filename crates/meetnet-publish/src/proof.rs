//! That an answer is complete: its rows, whether the row limit cut it, and the hash of its bytes as they were sent.
//!
//! In headers where the whole answer is known before its head, else in trailers, for clients that read them (`TE: trailers`).

use axum::http::header::TRAILER;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use meetnet_query::Tally;
use sha2::{Digest, Sha256};

/// Number of rows.
pub(crate) const ROWS: HeaderName = HeaderName::from_static("meetnet-rows");
/// Whether rows are left out: `true` or `false`.
pub(crate) const TRUNCATED: HeaderName = HeaderName::from_static("meetnet-truncated");
/// RFC 9530: SHA-256 of the content, coded as it was sent.
pub(crate) const DIGEST: HeaderName = HeaderName::from_static("repr-digest");

const TRAILERS: HeaderValue =
    HeaderValue::from_static("meetnet-rows, meetnet-truncated, repr-digest");

/// What proves one answer complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) rows: u64,
    pub(crate) truncated: bool,
    digest: HeaderValue,
}

impl Proof {
    /// Returns the proof of an answer whose bytes have been hashed.
    pub(crate) fn new(tally: &Tally, hash: Sha256) -> Self {
        let digest = format!("sha-256=:{}:", BASE64.encode(hash.finalize()));
        Self {
            rows: tally.rows(),
            truncated: tally.truncated(),
            digest: HeaderValue::try_from(digest).unwrap_or(HeaderValue::from_static("")),
        }
    }

    /// Returns the proof of an answer in one piece.
    pub(crate) fn of(tally: &Tally, bytes: &[u8]) -> Self {
        Self::new(tally, Sha256::new_with_prefix(bytes))
    }

    /// States it in headers or trailers.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(ROWS, HeaderValue::from(self.rows));
        let truncated = if self.truncated { "true" } else { "false" };
        headers.insert(TRUNCATED, HeaderValue::from_static(truncated));
        headers.insert(DIGEST, self.digest.clone());
    }
}

/// Says that a proof will follow in trailers.
pub(crate) fn announce(headers: &mut HeaderMap) {
    headers.insert(TRAILER, TRAILERS);
}
