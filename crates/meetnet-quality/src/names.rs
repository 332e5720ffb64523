//! Names that are looked up in the same order again and again, as the properties of one message after another, and what it
//! costs to compare them: that is done several times per row.

use hashbrown::Equivalent;

/// Names that are remembered at most: more than a dataset has properties.
const NAMES_MAX: usize = 64;

/// What was found for names; most often the next name is the one that came next before.
pub(crate) struct Names<'a, T> {
    found: Vec<(&'a str, T)>,
    next: usize,
}

impl<T> Default for Names<'_, T> {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            next: 0,
        }
    }
}

impl<'a, T: Copy> Names<'a, T> {
    /// Returns what `look_up` says of a name; it is asked again only where there are more than [`NAMES_MAX`].
    #[inline]
    pub(crate) fn find(&mut self, name: &'a str, look_up: impl FnOnce(&str) -> T) -> T {
        if let Some((known, found)) = self.found.get(self.next)
            && is_same(known, name)
        {
            let found = *found;
            self.go_behind(self.next);
            return found;
        }
        self.search(name, look_up)
    }

    /// Finds a name that is not the next one. Out of the way of those that are.
    #[inline(never)]
    fn search(&mut self, name: &'a str, look_up: impl FnOnce(&str) -> T) -> T {
        let known = self
            .found
            .iter()
            .position(|(known, _)| is_same(known, name));
        let Some(at) = known else {
            let found = look_up(name);
            if self.found.len() < NAMES_MAX {
                self.found.push((name, found));
                self.next = 0;
            }
            return found;
        };
        self.go_behind(at);
        self.found[at].1
    }

    /// The next name is the one behind this position. Not a remainder: the next look-up would wait for the division.
    #[inline]
    fn go_behind(&mut self, at: usize) {
        self.next = if at + 1 < self.found.len() { at + 1 } else { 0 };
    }
}

/// A name that is looked up in a hash table, and compared there by [`is_same`].
#[derive(Hash)]
pub(crate) struct Name<'a>(pub(crate) &'a str);

impl Equivalent<Box<str>> for Name<'_> {
    #[inline]
    fn equivalent(&self, key: &Box<str>) -> bool {
        is_same(self.0, key)
    }
}

/// Returns true for the same name. Most are short, and are compared by two words that overlap: to call for it costs more.
#[inline]
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    /// Compares the first and the last `N` bytes of two names of one length, which is `N` to twice `N`.
    #[inline]
    fn have_same_ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        let last = a.len() - N;
        a[..N] == b[..N] && a[last..] == b[last..]
    }
    let (a, b) = (a.as_bytes(), b.as_bytes());
    a.len() == b.len()
        && match a.len() {
            8..=16 => have_same_ends::<8>(a, b),
            17..=32 => have_same_ends::<16>(a, b),
            _ => a == b,
        }
}

#[cfg(test)]
mod tests {
    use hashbrown::HashMap;

    use super::*;

    #[test]
    fn names_differ_by_any_byte_and_by_length() {
        for length in 0..50 {
            let name = "a".repeat(length);
            assert!(is_same(&name, &"a".repeat(length)), "{length}");
            assert!(!is_same(&name, &"a".repeat(length + 1)), "{length}");
            for at in 0..length {
                let mut other = name.clone();
                other.replace_range(at..=at, "b");
                assert!(!is_same(&name, &other), "{length}, {at}");
            }
        }
    }

    #[test]
    fn a_table_finds_what_was_put_in_whatever_its_length() {
        let names: Vec<String> = (0..50).map(|length| "a".repeat(length)).collect();
        let of = |(number, name): (usize, &String)| (name.clone().into_boxed_str(), number);
        let table: HashMap<Box<str>, usize> = names.iter().enumerate().map(of).collect();
        for (number, name) in names.iter().enumerate() {
            assert_eq!(table.get(&Name(name)), Some(&number));
            assert_eq!(table.get(&Name(&format!("{name}b"))), None);
        }
    }

    #[test]
    fn each_name_gets_its_own() {
        let count = 2 * NAMES_MAX;
        let names: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        // In order, in another order, and each twice.
        let orders = [1, 3, 5].map(|step| (0..count).map(move |at| at * step % count));
        let mut found = Names::default();
        let mut asked = 0;
        for at in orders.into_iter().flatten().flat_map(|at| [at, at]) {
            let number = found.find(&names[at], |name| {
                asked += 1;
                name.parse::<usize>().ok()
            });
            assert_eq!(number, Some(at));
        }
        // Those that there was room for once.
        assert_eq!(asked, NAMES_MAX + 6 * NAMES_MAX);
    }
}
