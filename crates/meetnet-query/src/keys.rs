//! API keys: who holds one is known by it on every protocol, and has limits of its own.
//!
//! The configuration holds digests only, so a copy of it lets nobody in. A key is random (`openssl rand -hex 32`): a plain
//! SHA-256 of it cannot be searched, as that of a password could.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

#[cfg(test)]
mod tests;

/// What is longer is no key; it is not even hashed.
const KEY_BYTES_MAX: usize = 512;
const DIGEST_BYTES: usize = 32;

/// The SHA-256 of a key.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; DIGEST_BYTES]);

impl KeyDigest {
    /// Returns the digest of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Compares in a time that does not depend on where two digests differ.
    pub fn is(&self, other: &Self) -> bool {
        bool::from(self.0.as_slice().ct_eq(other.0.as_slice()))
    }
}

/// Not even a digest is shown.
impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

/// A text that is no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDigest;

impl fmt::Display for NoDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 has 64 hexadecimal digits")
    }
}

impl std::error::Error for NoDigest {}

impl FromStr for KeyDigest {
    type Err = NoDigest;

    /// Reads 64 hexadecimal digits, as `sha256sum` writes them.
    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.as_bytes();
        if digits.len() != 2 * DIGEST_BYTES {
            return Err(NoDigest);
        }
        let mut digest = [0; DIGEST_BYTES];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or(NoDigest);
            // Two hexadecimal digits are a byte.
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Ok(Self(digest))
    }
}

/// Limits of one key. What is None is as for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Its queries that run at a time.
    pub running_max: Option<usize>,
    /// Its queries that wait for their turn.
    pub queued_max: Option<usize>,
    /// Work time of one query.
    pub query_time_max: Option<Duration>,
    /// Rows of one answer.
    pub row_limit: Option<usize>,
    /// Bytes of one answer.
    pub answer_bytes_max: Option<u64>,
    /// Memory of one query in bytes.
    pub memory_bytes_max: Option<usize>,
    /// Memory of all its queries and unread answers together in bytes.
    pub memory_total_bytes_max: Option<usize>,
    /// Temporary files of one query in bytes.
    pub query_spill_bytes_max: Option<u64>,
    /// Temporary files of all its queries together in bytes.
    pub spill_bytes_max: Option<u64>,
}

/// One key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// What the city calls its holder; it stands in the audit log.
    pub name: Arc<str>,
    /// Its digest.
    pub digest: KeyDigest,
    /// Its limits.
    pub limits: KeyLimits,
}

/// All keys; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Arc<[Arc<ApiKey>]>);

impl ApiKeys {
    /// Takes the keys of the configuration.
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        Self(keys.into_iter().map(Arc::new).collect())
    }

    /// Returns the key that somebody presents. Every key is compared, whichever it is: how long it takes says nothing.
    pub fn find(&self, presented: &str) -> Option<Arc<ApiKey>> {
        if presented.is_empty() || presented.len() > KEY_BYTES_MAX {
            return None;
        }
        let digest = KeyDigest::of(presented);
        let mut found = None;
        for key in self.0.iter() {
            if key.digest.is(&digest) {
                found = Some(Arc::clone(key));
            }
        }
        found
    }

    /// Returns the key of a name, for protocols whose clients name themselves before they present it.
    pub fn named(&self, name: &str) -> Option<&Arc<ApiKey>> {
        self.0.iter().find(|key| &*key.name == name)
    }
}
