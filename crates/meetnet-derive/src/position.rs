//! How far a dataset is derived, as its table records it.
//!
//! A position is the time that everything is derived through, µs since 1970 UTC, cut to two of them: the odd one says that a
//! pass from the beginning has begun then and not ended. So after rules were changed and changed back, the order of the
//! positions tells by which rules the rows were made last (`Lake::import_position`), whether those passes ended or not.

use meetnet_model::hex::Hex;
use sha2::{Digest, Sha256};

/// Returns a name for rules, given as a text: the beginning of their SHA-256. Twenty digits, for twelve are a MAC address
/// and sixteen an EUI-64 to whoever looks for hardware ids in the table logs.
pub(crate) fn fingerprint(rules: &str) -> String {
    Hex(&Sha256::digest(rules)[..10]).to_string()
}

/// Returns the position of a dataset that is derived through a time.
pub(crate) fn done(through: i64) -> u64 {
    u64::try_from(through).unwrap_or(0) & !1
}

/// Returns the position of a pass from the beginning that has begun, and is to come through a time.
pub(crate) fn begun(through: i64) -> u64 {
    u64::try_from(through).unwrap_or(0) | 1
}

/// Returns through when a dataset is derived; none where it has to be derived from the beginning.
pub(crate) fn through(position: u64) -> Option<i64> {
    let is_done = position > 0 && position & 1 == 0;
    i64::try_from(position).ok().filter(|_| is_done)
}

#[cfg(test)]
mod tests;
