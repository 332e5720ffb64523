//! One bucket of one series: what its rows have added up to, and the values that become of that.

use std::collections::VecDeque;

use meetnet_model::calendar::SECOND_US;
use meetnet_model::ids::LicenceId;

use crate::input::Input;
use crate::plan::{Made, Plan};
use crate::reference::Reference;

const HOUR_US: i64 = 3_600 * SECOND_US;

/// A value of a derived row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// What a row says that lies around its bucket.
pub(super) struct Around<'a> {
    /// Per column of the plan: the values that its mean may need, by time or by start of their bucket.
    pub(super) recent: &'a [VecDeque<(i64, f64)>],
    /// What the series measures.
    pub(super) property: Option<&'a str>,
    /// The row that it is compared with.
    pub(super) reference: Option<&'a Reference>,
}

/// What has been met of a bucket.
#[derive(Debug)]
pub(super) struct OpenBucket {
    pub(super) start: i64,
    pub(super) end: i64,
    count: i64,
    covered: Stretches,
    /// End of the last row, whether it counts or not, µs from the start; nothing where there is none.
    reach: i64,
    /// Of all input rows, whether they count or not.
    pub(super) licences: Vec<LicenceId>,
    /// Per column of the plan.
    sums: Vec<Sum>,
}

/// What a column has added up to.
#[derive(Clone, Debug, Default)]
struct Sum {
    /// Rows with a value.
    rows: u64,
    /// The limit that they are held against.
    limit: Option<f64>,
    /// Sum of whole numbers, or how many rows were above the limit.
    number: i64,
    /// Sum or extreme; of shares the part.
    value: f64,
    /// Of shares the whole.
    whole: f64,
    /// Of histograms: how many in each class.
    classes: Vec<f64>,
}

impl OpenBucket {
    /// Returns a bucket that has met no row. `limits` are those of each column that rows are held against.
    pub(super) fn new(plan: &Plan, limits: &[Option<f64>], start: i64, end: i64) -> Self {
        let sums = (0..plan.columns.len()).map(|column| Sum {
            limit: limits.get(column).copied().flatten(),
            ..Sum::default()
        });
        Self {
            start,
            end,
            count: 0,
            covered: Stretches::new(end.saturating_sub(start), plan.expected),
            reach: 0,
            licences: Vec::new(),
            sums: sums.collect(),
        }
    }

    /// Adds a row of the bucket.
    pub(super) fn add(&mut self, plan: &Plan, input: &Input<'_>, row: usize, counts: bool) {
        let licence = input.licence(row);
        if !self.licences.iter().any(|known| known.as_str() == licence) {
            self.licences.push(LicenceId::new(licence));
        }
        let from = input.keys.time(row).saturating_sub(self.start);
        let (from, to) = match input.interval(row).filter(|length| *length > 0) {
            Some(length) => (from, from.saturating_add(length)),
            // An instant lies in one stretch.
            None => {
                let at = from.saturating_add(plan.within);
                (at, at.saturating_add(1))
            }
        };
        self.reach = self.reach.max(to);
        if !plan.ints.is_empty() && input.is_good(row) {
            for ((_, made), sum) in plan.columns.iter().zip(&mut self.sums) {
                sum.add_int(made, input, row);
            }
        }
        if !counts {
            return;
        }
        self.count += 1;
        self.covered.cover(from, to);
        for ((_, made), sum) in plan.columns.iter().zip(&mut self.sums) {
            sum.add(made, input, row);
        }
    }

    /// Returns the values of the row, by position in the declaration; those of the key and of runs are left out.
    pub(super) fn cells(&self, plan: &Plan, around: &Around<'_>) -> Vec<Cell> {
        let property = around.property;
        let mut cells = vec![Cell::Null; plan.declaration.columns.len()];
        for (((column, made), sum), recent) in
            plan.columns.iter().zip(&self.sums).zip(around.recent)
        {
            let of_row = |of: usize| match cells[of] {
                Cell::Float(value) => Some(value),
                _ => None,
            };
            let number_of_row = |of: usize| match cells[of] {
                Cell::Float(value) => Some(value),
                Cell::Int(value) => Some(value as f64),
                _ => None,
            };
            let cell = match made {
                Made::Count => Cell::Int(self.count),
                Made::Coverage => Cell::Float(self.covered.share()),
                Made::CoverageSoFar => Cell::Float(self.covered.share_until(self.reach)),
                Made::Total(_) | Made::CountAbove { .. } => (sum.rows > 0)
                    .then_some(sum.number)
                    .map_or(Cell::Null, Cell::Int),
                Made::CountAboveMean {
                    reach, rows_min, ..
                } => {
                    let reach = if made.looks_back(property) { *reach } else { 0 };
                    let mean = sum
                        .limit
                        .and_then(|limit| self.count_above_mean(recent, limit, reach, *rows_min));
                    float(mean)
                }
                Made::Mean(_) => float((sum.rows > 0).then(|| sum.value / sum.rows as f64)),
                Made::Min(_) | Made::Max(_) | Made::Sum(_) => {
                    float((sum.rows > 0).then_some(sum.value))
                }
                Made::Share { .. } => float((sum.whole > 0.0).then(|| sum.value / sum.whole)),
                Made::Percentile { class, percent, .. } => {
                    float(percentile(&sum.classes, *class, *percent))
                }
                Made::RunningMeanMax {
                    hours, hours_min, ..
                } => float(self.running_mean_max(recent, *hours, *hours_min)),
                Made::Run(_) => Cell::Null,
                Made::Difference(of) => {
                    let reference = around.reference.and_then(|reference| reference.value(*of));
                    let values = of_row(*of).zip(reference);
                    float(values.map(|(value, reference)| value - reference))
                }
                Made::Index { index, of } => {
                    let scale = property.and_then(|property| index.scale(property));
                    let class = scale
                        .zip(of_row(*of))
                        .and_then(|(scale, value)| scale.class(value));
                    class.map_or(Cell::Null, Cell::Int)
                }
                Made::AtLeast { of, limit } => {
                    of_row(*of).map_or(Cell::Null, |value| Cell::Bool(value >= *limit))
                }
                Made::Above { of, limits } => {
                    let limit = property.and_then(|property| limits.get(property));
                    let above = limit.zip(of_row(*of)).map(|(limit, value)| value > *limit);
                    above.map_or(Cell::Null, Cell::Bool)
                }
                Made::ByProperty(numbers) => {
                    let number = property.and_then(|property| numbers.get(property));
                    number.map_or(Cell::Null, |number| Cell::Int(*number))
                }
                Made::MoreThan { of, than } => {
                    let both = number_of_row(*of).zip(number_of_row(*than));
                    both.map_or(Cell::Null, |(value, bound)| Cell::Bool(value > bound))
                }
            };
            cells[*column] = cell;
        }
        cells
    }

    /// Returns the greatest mean of `hours` hours that ends with an hour of the bucket; `recent` is by time.
    fn running_mean_max(
        &self,
        recent: &VecDeque<(i64, f64)>,
        hours: i64,
        hours_min: usize,
    ) -> Option<f64> {
        let mut greatest: Option<f64> = None;
        let mut end = self.start.saturating_add(HOUR_US);
        while end <= self.end {
            let from = end.saturating_sub(hours * HOUR_US);
            let (mut sum, mut values) = (0.0, 0);
            for (_, value) in recent.iter().filter(|(time, _)| (from..end).contains(time)) {
                sum += value;
                values += 1;
            }
            if values >= hours_min {
                let mean = sum / values as f64;
                greatest = Some(greatest.map_or(mean, |greatest| greatest.max(mean)));
            }
            end = end.saturating_add(HOUR_US);
        }
        greatest
    }

    /// Returns how many values are above a limit: the mean of that number over the bucket and those before it that begin within
    /// `reach` (µs) and have enough values. None where the bucket has no value. `recent` is by start of the bucket.
    fn count_above_mean(
        &self,
        recent: &VecDeque<(i64, f64)>,
        limit: f64,
        reach: i64,
        rows_min: usize,
    ) -> Option<f64> {
        let earliest = self.start.saturating_sub(reach);
        let mut counted: Vec<Counted> = Vec::new();
        for (start, value) in recent.iter().filter(|(start, _)| *start >= earliest) {
            let above = usize::from(*value > limit);
            match counted.last_mut() {
                Some(last) if last.start == *start => {
                    last.rows += 1;
                    last.above += above;
                }
                _ => counted.push(Counted {
                    start: *start,
                    rows: 1,
                    above,
                }),
            }
        }
        counted.last().filter(|last| last.start == self.start)?;
        counted.retain(|bucket| bucket.start == self.start || bucket.rows >= rows_min);
        let above: usize = counted.iter().map(|bucket| bucket.above).sum();
        Some(above as f64 / counted.len() as f64)
    }
}

/// What one bucket has for a mean over several.
struct Counted {
    start: i64,
    rows: usize,
    above: usize,
}

fn float(value: Option<f64>) -> Cell {
    value.map_or(Cell::Null, Cell::Float)
}

impl Sum {
    fn add(&mut self, made: &Made, input: &Input<'_>, row: usize) {
        match made {
            Made::Mean(of) | Made::Sum(of) => {
                self.fold(input.value(row, *of), |sum, value| sum + value)
            }
            Made::Min(of) => self.fold(input.value(row, *of), f64::min),
            Made::Max(of) => self.fold(input.value(row, *of), f64::max),
            Made::Share { of, among } => {
                let sum = |columns: &[usize]| -> Option<f64> {
                    columns.iter().map(|column| input.value(row, *column)).sum()
                };
                if let (Some(part), Some(whole)) = (sum(of), sum(among)) {
                    self.value += part;
                    self.whole += whole;
                }
            }
            Made::Percentile { list, weight, .. } => {
                if let Some(weight) = input.value(row, *weight) {
                    input.add_list(row, *list, weight, &mut self.classes);
                }
            }
            Made::CountAbove { of, .. } => {
                if let (Some(limit), Some(value)) = (self.limit, input.value(row, *of)) {
                    self.rows += 1;
                    self.number += i64::from(value > limit);
                }
            }
            // Made of the bucket, of others around it, of other columns, or of rows that do not count as well.
            Made::Count
            | Made::Coverage
            | Made::CoverageSoFar
            | Made::Total(_)
            | Made::CountAboveMean { .. }
            | Made::RunningMeanMax { .. }
            | Made::Run(_)
            | Made::Difference(_)
            | Made::Index { .. }
            | Made::AtLeast { .. }
            | Made::Above { .. }
            | Made::ByProperty(_)
            | Made::MoreThan { .. } => {}
        }
    }

    /// Adds what a row has counted, whether it counts itself or not.
    fn add_int(&mut self, made: &Made, input: &Input<'_>, row: usize) {
        if let Made::Total(of) = made
            && let Some(number) = input.int(row, *of)
        {
            self.rows += 1;
            self.number = self.number.saturating_add(number);
        }
    }

    fn fold(&mut self, value: Option<f64>, join: impl Fn(f64, f64) -> f64) {
        let Some(value) = value else {
            return;
        };
        self.value = if self.rows == 0 {
            value
        } else {
            join(self.value, value)
        };
        self.rows += 1;
    }
}

/// Returns a percentile of what lies in classes of a width, the first from zero, the last open. Null where nothing lies in
/// any, or where it would be in the last.
fn percentile(classes: &[f64], width: f64, percent: f64) -> Option<f64> {
    let total: f64 = classes.iter().sum();
    let (_, closed) = classes.split_last()?;
    if total.is_nan() || total <= 0.0 {
        return None;
    }
    let wanted = total * percent / 100.0;
    let mut below = 0.0;
    for (class, count) in closed.iter().enumerate() {
        if *count > 0.0 && below + count >= wanted {
            return Some((class as f64 + (wanted - below) / count) * width);
        }
        below += count;
    }
    None
}

/// Which stretches of a bucket an observation covers, a bit each.
#[derive(Debug)]
struct Stretches {
    length: i64,
    width: i64,
    count: usize,
    bits: Vec<u64>,
}

impl Stretches {
    fn new(length: i64, width: i64) -> Self {
        let count =
            usize::try_from(length.max(1).div_euclid(width) + i64::from(length % width != 0));
        let count = count.unwrap_or(1).max(1);
        Self {
            length,
            width,
            count,
            bits: vec![0; count.div_ceil(64)],
        }
    }

    /// Covers what lies from `from` to before `to`, µs from the start of the bucket.
    fn cover(&mut self, from: i64, to: i64) {
        let (from, to) = (from.max(0), to.min(self.length));
        if from >= to {
            return;
        }
        let stretch = |at: i64| {
            usize::try_from(at / self.width)
                .unwrap_or(0)
                .min(self.count - 1)
        };
        for at in stretch(from)..=stretch(to - 1) {
            self.bits[at / 64] |= 1 << (at % 64);
        }
    }

    fn share(&self) -> f64 {
        f64::from(self.covered()) / self.count as f64
    }

    /// Returns the share up to the stretch that ends at `reach` (µs from the start) or holds it, which nothing is covered behind.
    fn share_until(&self, reach: i64) -> f64 {
        if reach <= 0 {
            return 0.0;
        }
        let last = usize::try_from((reach - 1) / self.width).unwrap_or(usize::MAX);
        let count = last.saturating_add(1).min(self.count);
        f64::from(self.covered()) / count as f64
    }

    fn covered(&self) -> u32 {
        self.bits.iter().map(|bits| bits.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests;
