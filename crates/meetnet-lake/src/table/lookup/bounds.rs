//! Which files and pages can hold a key: the bounds of their keys, as bytes.
//!
//! The least value of each column makes bytes that no key is less than, whatever rows the values are of; so does the
//! greatest. Times have bounds of their own: those of a page of many series lie close together.

use std::ops::Range;

use arrow::error::ArrowError;
use arrow::row::Rows;
use meetnet_model::dataset::DatasetDeclaration;
use parquet::file::metadata::ParquetMetaData;

use super::WantedKey;
use crate::keys::{KeyCodec, partition_point};
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::table::read::{Bounds, key_pages};

/// How a file's statistics lie to a key.
pub(super) enum Relation {
    /// The file cannot hold the key, nor a later row of its series.
    Apart,
    /// The file may hold the key.
    Within,
    /// The file may hold only later rows of the key's series.
    Later,
}

/// Bounds of the keys of a file.
#[derive(Debug)]
pub(super) struct FileBounds {
    least: Box<[u8]>,
    greatest: Box<[u8]>,
    times: TimeBounds,
}

/// First and last time, µs, where known.
#[derive(Clone, Copy, Debug, Default)]
struct TimeBounds {
    first: Option<i64>,
    last: Option<i64>,
}

impl TimeBounds {
    fn new(first: Option<&StatisticsValue>, last: Option<&StatisticsValue>) -> Self {
        Self {
            first: first.and_then(StatisticsValue::int),
            last: last.and_then(StatisticsValue::int),
        }
    }

    /// Returns true where the last time is before `time`.
    fn ends_before(&self, time: i64) -> bool {
        self.last.is_some_and(|last| last < time)
    }

    /// Returns true where the first time is after `time`.
    fn begins_after(&self, time: i64) -> bool {
        self.first.is_some_and(|first| first > time)
    }
}

impl FileBounds {
    pub(super) fn new(
        codec: &KeyCodec,
        declaration: &DatasetDeclaration,
        file: &LiveFile,
    ) -> Result<Self, ArrowError> {
        let statistics = |name: &str| match file.statistics.get(name) {
            Some(column) => (column.min.as_ref(), column.max.as_ref()),
            None => (None, None),
        };
        let (least, greatest) =
            codec.bounds(1, |column, _| statistics(&declaration.key[column]))?;
        let (first, last) = statistics(declaration.time_column());
        Ok(Self {
            least: least.row(0).data().into(),
            greatest: greatest.row(0).data().into(),
            times: TimeBounds::new(first, last),
        })
    }

    /// Returns the positions of the keys that the file can hold, or later rows of their series, but for their times.
    pub(super) fn near(&self, codec: &KeyCodec, wanted: &[WantedKey<'_>]) -> Range<usize> {
        let key = |index: usize| wanted[index].key;
        near(codec, wanted.len(), key, &self.least, &self.greatest)
    }

    /// Returns true where every row of the file is before a time.
    pub(super) fn ends_before(&self, time: i64) -> bool {
        self.times.ends_before(time)
    }

    /// How the file lies to one of those keys, by its time.
    pub(super) fn relation(&self, time: i64) -> Relation {
        if self.times.ends_before(time) {
            Relation::Apart
        } else if self.times.begins_after(time) {
            Relation::Later
        } else {
            Relation::Within
        }
    }
}

/// The pages of a file's key columns.
///
/// Bounds of sorted pages need not be sorted: `least` of a page that ends one sensor and begins the next takes its property from
/// the second one. What is least of a page and all behind it is sorted, in whatever order the pages are, and so is what is
/// greatest of a page and all before it.
#[derive(Debug)]
pub(super) struct KeyPages {
    pages: Vec<KeyPage>,
    /// By page: no key is less.
    least: Rows,
    /// By page: no key is greater.
    greatest: Rows,
    /// By page: which page has the least `least`, among it and those behind it.
    least_from: Vec<u32>,
    /// By page: which page has the greatest `greatest`, among it and those before it.
    greatest_to: Vec<u32>,
}

#[derive(Debug)]
struct KeyPage {
    rows: Range<usize>,
    /// Where the key ends in the time.
    times: TimeBounds,
    /// The page holds one series, whose newest time is that of the page.
    is_one_series: bool,
}

impl KeyPages {
    pub(super) fn new(codec: &KeyCodec, metadata: &ParquetMetaData) -> Result<Self, ArrowError> {
        let mut pages = Vec::new();
        let mut bounds: Vec<Vec<Bounds>> = Vec::new();
        let mut start = 0;
        for (group, row_group) in metadata.row_groups().iter().enumerate() {
            let group_rows = row_group.num_rows() as usize;
            for (rows, of_page) in key_pages(&codec.key_columns, metadata, group, group_rows) {
                pages.push(KeyPage::new(
                    codec,
                    start + rows.start..start + rows.end,
                    &of_page,
                ));
                bounds.push(of_page);
            }
            start += group_rows;
        }
        let bound_of = |column: usize, page: usize| match bounds[page].get(column) {
            Some((min, max)) => (min.as_ref(), max.as_ref()),
            None => (None, None),
        };
        let (least, greatest) = codec.bounds(pages.len(), bound_of)?;
        let mut least_from: Vec<u32> = (0..pages.len() as u32).collect();
        for page in (0..pages.len().saturating_sub(1)).rev() {
            let behind = least_from[page + 1];
            if least.row(behind as usize) < least.row(page) {
                least_from[page] = behind;
            }
        }
        let mut greatest_to: Vec<u32> = (0..pages.len() as u32).collect();
        for page in 1..pages.len() {
            let before = greatest_to[page - 1];
            if greatest.row(before as usize).data() > greatest.row(page).data() {
                greatest_to[page] = before;
            }
        }
        Ok(Self {
            pages,
            least,
            greatest,
            least_from,
            greatest_to,
        })
    }

    /// Memory, bytes.
    pub(super) fn bytes(&self) -> usize {
        let per_page = size_of::<KeyPage>() + 2 * size_of::<u32>();
        self.least.size() + self.greatest.size() + self.pages.len() * per_page
    }

    /// Returns the row ranges, ascending, of pages that can hold one of the keys at `here`, or a later row of its series
    /// where its newest time is sought. What pages say of newest times by their bounds is noted.
    pub(super) fn to_read(
        &self,
        codec: &KeyCodec,
        wanted: &[WantedKey<'_>],
        here: &[usize],
        newest: &mut [Option<i64>],
    ) -> Vec<Range<usize>> {
        let (Some(first), Some(last)) = (here.first(), here.last()) else {
            return Vec::new();
        };
        // Ascending keys: no page before the first of the first one's, none behind the last of the last one's.
        let start = self.first_page(wanted[*first].key);
        let end = self.end_of_series(codec, wanted[*last].key);
        let pages = if end.saturating_sub(start) > here.len() {
            self.by_key(codec, wanted, here, newest)
        } else {
            self.by_page(start..end, codec, wanted, here, newest)
        };
        self.rows_of(pages)
    }

    /// Returns those of `span` that must be read. Cost: its pages, each times the logarithm of the keys.
    fn by_page(
        &self,
        span: Range<usize>,
        codec: &KeyCodec,
        wanted: &[WantedKey<'_>],
        here: &[usize],
        newest: &mut [Option<i64>],
    ) -> Vec<usize> {
        let mut pages = Vec::new();
        for page in span {
            let (least, greatest) = self.bounds_of(page);
            let key = |at: usize| wanted[here[at]].key;
            let near = near(codec, here.len(), key, least, greatest);
            // Once a page is read, its rows say what its bounds do.
            let is_read = here[near].iter().any(|index| {
                let wanted = &wanted[*index];
                self.pages[page].must_be_read(codec, wanted, least, &mut newest[*index])
            });
            if is_read {
                pages.push(page);
            }
        }
        pages
    }

    /// Returns the pages that must be read, ascending. Cost: the keys, each times the logarithm of all pages.
    fn by_key(
        &self,
        codec: &KeyCodec,
        wanted: &[WantedKey<'_>],
        here: &[usize],
        newest: &mut [Option<i64>],
    ) -> Vec<usize> {
        let mut pages = Vec::new();
        for index in here {
            let (wanted, newest) = (&wanted[*index], &mut newest[*index]);
            let end = match newest {
                Some(_) => self.end_of_series(codec, wanted.key),
                None => self.end_of_key(wanted.key),
            };
            for page in self.first_page(wanted.key)..end {
                let (least, greatest) = self.bounds_of(page);
                let is_near = wanted.key <= greatest && !is_before_series(codec, wanted.key, least);
                if is_near && self.pages[page].must_be_read(codec, wanted, least, newest) {
                    pages.push(page);
                }
            }
        }
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    /// Returns the first page that may hold the key, or a greater one.
    fn first_page(&self, key: &[u8]) -> usize {
        let greatest = |page: usize| self.bounds_of(self.greatest_to[page] as usize).1;
        partition_point(self.pages.len(), |page| greatest(page) < key)
    }

    /// Returns the page behind the last one that may hold the key, or a lesser one.
    fn end_of_key(&self, key: &[u8]) -> usize {
        let least = |page: usize| self.bounds_of(self.least_from[page] as usize).0;
        partition_point(self.pages.len(), |page| least(page) <= key)
    }

    /// The same for the key and all greater ones of its series.
    fn end_of_series(&self, codec: &KeyCodec, key: &[u8]) -> usize {
        let least = |page: usize| self.bounds_of(self.least_from[page] as usize).0;
        partition_point(self.pages.len(), |page| {
            !is_before_series(codec, key, least(page))
        })
    }

    fn bounds_of(&self, page: usize) -> (&[u8], &[u8]) {
        (self.least.row(page).data(), self.greatest.row(page).data())
    }

    /// Returns the rows of pages, ascending; pages that follow each other are one range.
    fn rows_of(&self, pages: Vec<usize>) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for page in pages {
            let rows = &self.pages[page].rows;
            match ranges.last_mut() {
                Some(last) if last.end == rows.start => last.end = rows.end,
                _ => ranges.push(rows.clone()),
            }
        }
        ranges
    }
}

impl KeyPage {
    fn new(codec: &KeyCodec, rows: Range<usize>, bounds: &[Bounds]) -> Self {
        let is_whole_key = codec.has_series && bounds.len() == codec.key_columns.len();
        let Some(((first, last), series)) = bounds.split_last().filter(|_| is_whole_key) else {
            return Self {
                rows,
                times: TimeBounds::default(),
                is_one_series: false,
            };
        };
        let times = TimeBounds::new(first.as_ref(), last.as_ref());
        // A long text is cut to less as a least value and to more as a greatest: both are equal only where both are whole.
        let is_one = |(min, max): &Bounds| min.is_some() && min == max;
        Self {
            rows,
            times,
            is_one_series: times.first.is_some()
                && times.last.is_some()
                && series.iter().all(is_one),
        }
    }

    /// Returns true where the page has to be read for a key near it; `least` is its bound.
    fn must_be_read(
        &self,
        codec: &KeyCodec,
        wanted: &WantedKey<'_>,
        least: &[u8],
        newest: &mut Option<i64>,
    ) -> bool {
        let is_past = self.times.ends_before(wanted.time);
        if let Some(newest) = newest
            && !is_past
        {
            if !self.is_one_series {
                return true;
            }
            if let Some(last) = self.times.last
                && least.starts_with(codec.series(wanted.key))
            {
                *newest = last.max(*newest);
            }
        }
        wanted.key >= least && !is_past && !self.times.begins_after(wanted.time)
    }
}

/// Returns the positions of those of `count` keys, sorted, that rows between two bounds can hold, or of whose series they can
/// hold later rows.
fn near<'a>(
    codec: &KeyCodec,
    count: usize,
    key: impl Fn(usize) -> &'a [u8],
    least: &[u8],
    greatest: &[u8],
) -> Range<usize> {
    let start = partition_point(count, |index| is_before_series(codec, key(index), least));
    let end = partition_point(count, |index| key(index) <= greatest);
    start..end.max(start)
}

/// Returns true where a key and all later ones of its series are before a bound. What lies between a key and a later one of its
/// series begins with the series, and so does a bound between them.
fn is_before_series(codec: &KeyCodec, key: &[u8], least: &[u8]) -> bool {
    key < least && !least.starts_with(codec.series(key))
}

#[cfg(test)]
mod tests;
