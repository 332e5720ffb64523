//! Pushes that no source claims: how many, when the last, and at which path.
//!
//! `http -> [unclaimed] -> operations page`
//!
//! No source can count them, and whoever sends them is often known to nobody but the data team: a gateway with a wrong
//! PASSKEY, a source whose name was mistyped. What a path holds is a stranger's text, and may be a credential: only words
//! of it are shown. (A publish always belongs to the source whose connection it comes over, and is a reject where its
//! topic is none of that source's.)

use std::sync::{Arc, Mutex};

use meetnet_model::redact::redact;

use crate::dup_window::lock;

#[cfg(test)]
mod tests;

/// Paths that are told apart at most: who sends pushes can also make up paths.
const PATHS_MAX: usize = 20;
/// Parts of a path that are shown at most.
const PARTS_MAX: usize = 3;
/// Longest part that is shown.
const PART_BYTES_MAX: usize = 32;
/// What stands for a part that is not shown.
const MARK: &str = "…";
/// What the id of a source follows, and that a token.
const OF_SOURCES: &str = "/ingest/v1/";

/// Pushes to one path that no source claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclaimedPushes {
    /// The path without what may be personal or secret; None: all further paths together.
    pub path: Option<String>,
    /// Pushes since the start.
    pub total: u64,
    /// When the last one came, µs since 1970.
    pub last_at: i64,
    /// Why no source took it.
    pub reason: String,
}

/// Every path that unclaimed pushes came to; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Unclaimed(Arc<Mutex<Paths>>);

#[derive(Debug, Default)]
struct Paths {
    known: Vec<UnclaimedPushes>,
    /// Those that others have taken the place of.
    further: Option<UnclaimedPushes>,
}

impl Unclaimed {
    /// Counts one push; `at` is in µs since 1970.
    pub(super) fn note(&self, path: &str, reason: String, at: i64) {
        let path = shown(path);
        let mut paths = lock(&self.0);
        let mut all = paths.known.iter_mut();
        if let Some(known) = all.find(|known| known.path.as_ref() == Some(&path)) {
            known.total += 1;
            known.last_at = at;
            known.reason = reason;
            return;
        }
        if paths.known.len() >= PATHS_MAX {
            paths.give_up_one();
        }
        paths.known.push(UnclaimedPushes {
            path: Some(path),
            total: 1,
            last_at: at,
            reason,
        });
    }

    /// Returns them, those of the last push first, and all further paths at the end.
    pub(super) fn read(&self) -> Vec<UnclaimedPushes> {
        let paths = lock(&self.0);
        let mut read = paths.known.clone();
        read.sort_by_key(|known| std::cmp::Reverse(known.last_at));
        read.extend(paths.further.clone());
        read
    }
}

impl Paths {
    /// Makes room for another path, at the expense of the one with the fewest pushes: a gateway that sends every minute
    /// outlasts whoever tries one path after the other.
    fn give_up_one(&mut self) {
        let known = self.known.iter().enumerate();
        let fewest = known.min_by_key(|(_, known)| (known.total, known.last_at));
        let Some(fewest) = fewest.map(|(position, _)| position) else {
            return;
        };
        let gone = self.known.swap_remove(fewest);
        let further = self.further.get_or_insert(UnclaimedPushes {
            path: None,
            total: 0,
            last_at: gone.last_at,
            reason: String::new(),
        });
        further.total += gone.total;
        if gone.last_at >= further.last_at {
            further.last_at = gone.last_at;
            further.reason = gone.reason;
        }
    }
}

/// Returns what may be shown of a path: what can be the id of a source, and words.
fn shown(path: &str) -> String {
    let (before, rest) = match path.strip_prefix(OF_SOURCES) {
        Some(rest) => (OF_SOURCES, rest),
        None => ("/", path.trim_start_matches('/')),
    };
    let is_of_source = before == OF_SOURCES;
    // Behind a source's id comes nothing but its token.
    let parts_max = if is_of_source { 1 } else { PARTS_MAX };
    let parts = rest.trim_end_matches('/').split('/');
    let mut text = before.to_owned();
    for (position, part) in parts.enumerate() {
        if position > 0 {
            text.push('/');
        }
        if position == parts_max {
            text.push_str(MARK);
            break;
        }
        let may_be_shown = part.len() <= PART_BYTES_MAX
            && if is_of_source {
                is_source_id(part)
            } else {
                is_word(part)
            };
        text.push_str(if may_be_shown { part } else { MARK });
    }
    redact(text.as_bytes())
}

/// Returns true for what a source may be called.
fn is_source_id(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    part.bytes()
        .all(|byte| is_plain(byte) || b"-_".contains(&byte))
}

/// Returns true for words, names of pages among them, and for versions such as `v1.1`: passwords have digits, as a rule.
fn is_word(part: &str) -> bool {
    let version = part.strip_prefix('v').unwrap_or_default();
    let is_version = !version.is_empty()
        && version.len() <= 3
        && version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_version
        || part
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || b"-_.".contains(&byte))
}
