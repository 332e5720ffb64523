//! Searching all texts of one place (a column, a field) for personal data, and counting it by kind.
//!
//! Beside what each text says alone, this sees what many ids say together: a pseudonym is an HMAC, and looks like a
//! DevEUI that was not made one. But HMACs are spread evenly; ids of devices begin alike, with the number of their maker,
//! or have `fffe` in the middle.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::find::{find, of_field};
use super::keys::telling;
use super::{MARK, PersonalKind, shapes};

/// Ids that begin with the same 24 bits, from which they are no HMACs. Three of 10,000 HMACs do so in one of 1,700 cities.
const SAME_START_MIN: usize = 3;
/// Ids with `fffe` in the middle, from which they are made of MAC addresses. Two of 1,000 HMACs: one of 8,600 cities.
const MADE_OF_MAC_MIN: usize = 2;
/// Beginnings that are remembered; a city has fewer sensors.
const STARTS_MAX: usize = 200_000;

/// What is public on purpose: texts, such as the address of the data team, and places of sources with exact locations.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    texts: Arc<[String]>,
    /// Bits of longitudes and latitudes.
    coordinates: Arc<HashSet<u64>>,
}

impl Allowed {
    /// Allows these texts, wherever they stand.
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        Self {
            texts: texts.into_iter().filter(|text| !text.is_empty()).collect(),
            coordinates: Arc::default(),
        }
    }

    /// Allows these longitudes and latitudes, too: whole numbers of theirs, no beginnings of finer ones.
    #[must_use]
    pub fn with_coordinates(self, coordinates: impl IntoIterator<Item = f64>) -> Self {
        let coordinates = coordinates.into_iter().map(f64::to_bits).collect();
        Self {
            coordinates: Arc::new(coordinates),
            ..self
        }
    }

    /// Returns true for a text with coordinates of which each is allowed.
    fn takes_place(&self, text: &str) -> bool {
        if self.coordinates.is_empty() {
            return false;
        }
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
        let numbers = text
            .split(|c: char| !is_part(c))
            .filter(|part| !part.is_empty());
        let mut numbers = numbers.peekable();
        let is_known = |number: &str| {
            let number = number.parse::<f64>();
            number.is_ok_and(|number| self.coordinates.contains(&number.to_bits()))
        };
        numbers.peek().is_some() && numbers.all(is_known)
    }

    /// Returns true for a finding that is public on purpose.
    fn takes(&self, kind: PersonalKind, text: &str) -> bool {
        kind == PersonalKind::Coordinates && self.takes_place(text)
    }

    /// Returns a text without those that are allowed.
    fn without<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let stands_there = |allowed: &&String| text.contains(allowed.as_str());
        let stand_there = self.texts.iter().filter(stands_there);
        stand_there.fold(Cow::Borrowed(text), |text, allowed| {
            Cow::Owned(text.replace(allowed, ""))
        })
    }
}

/// Personal data of one kind in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// What it is.
    pub kind: PersonalKind,
    /// Rows that have it.
    pub rows: u64,
    /// The beginning of one, so that it is recognised: a third of it, three characters at most.
    pub hint: String,
}

#[derive(Debug, Default)]
struct Counted {
    rows: u64,
    hint: String,
}

/// Different ids with something in common, and the rows that have one.
#[derive(Debug, Default)]
struct Alike {
    /// As many as are needed to tell.
    ids: Vec<u64>,
    rows: u64,
}

impl Alike {
    fn add(&mut self, id: u64, rows: u64, enough: usize) {
        self.rows += rows;
        if self.ids.len() < enough && !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }
}

/// The search through one place.
#[derive(Debug, Default)]
pub struct Search {
    /// Name of the column or field.
    name: String,
    /// What its name says, where that is telling.
    says: Option<PersonalKind>,
    allowed: Allowed,
    counted: BTreeMap<PersonalKind, Counted>,
    starts: HashMap<u32, Alike>,
    made_of_mac: Alike,
    /// The text before, and what it holds: columns are sorted, so equal texts come in runs.
    last: String,
    last_kinds: Vec<(PersonalKind, String)>,
    last_id: Option<u64>,
}

impl Search {
    /// Starts the search through the column or field of this name: a column `lat` holds latitudes, a field `token` tokens.
    pub fn new(name: &str, allowed: &Allowed) -> Self {
        Self {
            name: name.to_owned(),
            allowed: allowed.clone(),
            says: telling(name).and_then(|telling| telling.kind),
            ..Self::default()
        }
    }

    /// Returns true where numbers of this place can be coordinates. Others say nothing, and need not be read.
    pub fn holds_coordinates(&self) -> bool {
        self.says == Some(PersonalKind::Coordinates)
    }

    /// Looks at the number of one row.
    pub fn number(&mut self, number: f64) {
        if self.holds_coordinates() {
            self.text(&number.to_string());
        }
    }

    /// Looks at the text of one row.
    pub fn text(&mut self, text: &str) {
        self.text_in(text, 1);
    }

    /// Looks at a text that so many rows have.
    pub fn text_in(&mut self, text: &str, rows: u64) {
        if text != self.last || self.last.is_empty() {
            self.last.clear();
            self.last.push_str(text);
            self.last_kinds.clear();
            let cleaned = self.allowed.without(text);
            let text = &*cleaned;
            for finding in find(text) {
                if self
                    .allowed
                    .takes(finding.kind, &text[finding.range.clone()])
                {
                    continue;
                }
                if !self
                    .last_kinds
                    .iter()
                    .any(|(kind, _)| *kind == finding.kind)
                {
                    let hint = hint(&text[finding.range]);
                    self.last_kinds.push((finding.kind, hint));
                }
            }
            if self.last_kinds.is_empty()
                && self.says.is_some()
                && let Some(kind) = of_field(&self.name, text)
                && !self.allowed.takes(kind, text)
            {
                self.last_kinds.push((kind, hint(text)));
            }
            // One that says what it is by itself is counted already.
            self.last_id = shapes::pseudonym_at_end(text).filter(|_| self.last_kinds.is_empty());
        }
        let kinds = std::mem::take(&mut self.last_kinds);
        for (kind, hint) in &kinds {
            self.count(*kind, rows, hint);
        }
        self.last_kinds = kinds;
        if let Some(id) = self.last_id {
            self.id(id, rows);
        }
    }

    fn count(&mut self, kind: PersonalKind, rows: u64, hint: &str) {
        let counted = self.counted.entry(kind).or_default();
        counted.rows += rows;
        if counted.hint.is_empty() {
            hint.clone_into(&mut counted.hint);
        }
    }

    fn id(&mut self, id: u64, rows: u64) {
        let start = (id >> 40) as u32;
        if self.starts.len() < STARTS_MAX || self.starts.contains_key(&start) {
            self.starts
                .entry(start)
                .or_default()
                .add(id, rows, SAME_START_MIN);
        }
        if (id >> 24) & 0xffff == 0xfffe {
            self.made_of_mac.add(id, rows, MADE_OF_MAC_MIN);
        }
    }

    /// Returns what was found, by kind.
    pub fn finish(mut self) -> Vec<Leak> {
        let starts = std::mem::take(&mut self.starts);
        let of_maker = starts
            .into_values()
            .filter(|alike| alike.ids.len() >= SAME_START_MIN);
        let of_maker = of_maker.fold(Alike::default(), |mut sum, alike| {
            sum.rows += alike.rows;
            sum.ids = alike.ids;
            sum
        });
        let made_of_mac = std::mem::take(&mut self.made_of_mac);
        let made_of_mac = Some(made_of_mac).filter(|alike| alike.ids.len() >= MADE_OF_MAC_MIN);
        // Ids may be both: the larger number is right at least.
        let together = made_of_mac
            .into_iter()
            .chain([of_maker])
            .max_by_key(|alike| alike.rows);
        if let Some(alike) = together
            && let Some(id) = alike.ids.first()
        {
            let hint = hint(&format!("{id:016x}"));
            self.count(PersonalKind::Eui, alike.rows, &hint);
        }
        let counted = self.counted.into_iter();
        counted
            .map(|(kind, Counted { rows, hint })| Leak { kind, rows, hint })
            .collect()
    }
}

/// Returns so much of a finding that who has the data recognises it, and nobody else learns it.
fn hint(value: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 3;
    let shown = (value.chars().count() / 3).min(SHOWN_CHARS_MAX);
    let mut hint: String = value
        .chars()
        .take(shown)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    hint.push(MARK);
    hint
}

#[cfg(test)]
mod tests;
