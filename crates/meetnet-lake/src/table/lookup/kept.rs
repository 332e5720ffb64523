//! What is kept in memory of files: up to a number of bytes, and what was used longest ago goes first.

use std::collections::HashMap;
use std::sync::Arc;

/// Values by path of their file.
#[derive(Debug)]
pub(super) struct Kept<T> {
    values: HashMap<Arc<str>, Value<T>>,
    bytes: usize,
    bytes_max: usize,
    uses: u64,
}

#[derive(Debug)]
struct Value<T> {
    value: Arc<T>,
    bytes: usize,
    last_use: u64,
}

impl<T> Kept<T> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            values: HashMap::new(),
            bytes: 0,
            bytes_max,
            uses: 0,
        }
    }

    pub(super) fn get(&mut self, path: &str) -> Option<Arc<T>> {
        let kept = self.values.get_mut(path)?;
        self.uses += 1;
        kept.last_use = self.uses;
        Some(Arc::clone(&kept.value))
    }

    /// Whether a value is kept; this is no use of it.
    #[cfg(test)]
    pub(super) fn contains(&self, path: &str) -> bool {
        self.values.contains_key(path)
    }

    /// Keeps a value, of which there is none yet; one that is larger than all may be is kept alone.
    pub(super) fn insert(&mut self, path: &Arc<str>, value: Arc<T>, bytes: usize) {
        while self.bytes + bytes > self.bytes_max {
            // Few values are kept, and each costs far more to make than to look at.
            let oldest = self.values.iter().min_by_key(|(_, kept)| kept.last_use);
            let Some(path) = oldest.map(|(path, _)| Arc::clone(path)) else {
                break;
            };
            self.remove(&path);
        }
        self.uses += 1;
        self.bytes += bytes;
        let kept = Value {
            value,
            bytes,
            last_use: self.uses,
        };
        self.values.insert(Arc::clone(path), kept);
    }

    pub(super) fn remove(&mut self, path: &str) {
        if let Some(kept) = self.values.remove(path) {
            self.bytes -= kept.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_where_there_is_no_room() {
        let path = |number: usize| -> Arc<str> { number.to_string().into() };
        let mut kept = Kept::new(100);
        for number in 0..4 {
            kept.insert(&path(number), Arc::new(number), 25);
        }
        assert_eq!(kept.get("0").as_deref(), Some(&0));
        kept.insert(&path(4), Arc::new(4), 30);
        let there = |kept: &Kept<usize>| {
            let mut numbers: Vec<usize> = kept.values.values().map(|kept| *kept.value).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!((there(&kept), kept.bytes), (vec![0, 3, 4], 80));
        kept.remove("3");
        kept.remove("3");
        assert_eq!((there(&kept), kept.bytes), (vec![0, 4], 55));
        // Larger than the room of all.
        kept.insert(&path(5), Arc::new(5), 1_000);
        assert_eq!((there(&kept), kept.bytes), (vec![5], 1_000));
        kept.insert(&path(6), Arc::new(6), 1);
        assert_eq!((there(&kept), kept.bytes), (vec![6], 1));
    }
}
