//! Figures about the rows of a day, or of several days together.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use meetnet_model::quality::Quality;

/// Classes of lateness: the bound of class k is 2^(k/4) seconds; the last class has none. That reaches 194 days.
const CLASSES: usize = 98;

/// What is said of a day, a month, or everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// Rows by flag, in the order of [`FLAGS`].
    pub(super) flags: [i64; 5],
    pub(super) revisions: i64,
    pub(super) slots: i64,
    pub(super) slots_expected: i64,
    /// Rows per class of lateness; shorter where the last classes are empty.
    pub(super) lateness: Vec<i64>,
    pub(super) sensors: i64,
    pub(super) silent: i64,
    pub(super) days: i64,
}

/// The flags, in the order of the columns.
pub(super) const FLAGS: [Quality; 5] = [
    Quality::Pass,
    Quality::NotEvaluated,
    Quality::Suspect,
    Quality::Fail,
    Quality::Missing,
];

/// The columns of [`FLAGS`].
const FLAG_COLUMNS: [&str; 5] = ["passed", "not_evaluated", "suspect", "failed", "missing"];

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Float(Option<f64>),
    List(Vec<f64>),
}

impl Figures {
    /// Counts a flag; what is no flag is nothing.
    pub(super) fn count_flag(&mut self, code: i8) {
        if let Some(at) = FLAGS.iter().position(|flag| flag.code() == code) {
            self.flags[at] += 1;
        }
    }

    /// Counts a row that came so long after its observation, s; `bounds` are those of [`bounds`].
    pub(super) fn count_lateness(&mut self, bounds: &[f64], seconds: f64) {
        let class = bounds.partition_point(|bound| *bound < seconds);
        if self.lateness.len() <= class {
            self.lateness.resize(class + 1, 0);
        }
        self.lateness[class] += 1;
    }

    /// Returns whether there is nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.rows() == 0 && self.silent == 0
    }

    fn rows(&self) -> i64 {
        self.flags.iter().sum()
    }

    /// Adds a later day.
    pub(super) fn add_day(&mut self, day: &Self) {
        for (sum, more) in self.flags.iter_mut().zip(day.flags) {
            *sum += more;
        }
        self.revisions += day.revisions;
        self.slots += day.slots;
        self.slots_expected += day.slots_expected;
        if self.lateness.len() < day.lateness.len() {
            self.lateness.resize(day.lateness.len(), 0);
        }
        for (sum, more) in self.lateness.iter_mut().zip(&day.lateness) {
            *sum += more;
        }
        self.sensors = self.sensors.max(day.sensors);
        self.silent = day.silent;
        self.days += day.days;
    }

    /// Returns the bound, s, that so many percent of the rows do not exceed; none without rows, or where that is in the open
    /// class.
    fn lateness_at(&self, percent: i64) -> Option<f64> {
        let total: i64 = self.lateness.iter().sum();
        let wanted = (total * percent + 99) / 100;
        let mut below = 0;
        for (class, rows) in self.lateness.iter().enumerate() {
            below += rows;
            if *rows > 0 && below >= wanted {
                return (class < CLASSES - 1).then(|| bound(class));
            }
        }
        None
    }

    /// Returns the values of a row, by column.
    pub(super) fn values(&self) -> Vec<(&'static str, Value)> {
        let completeness =
            (self.slots_expected > 0).then(|| self.slots as f64 / self.slots_expected as f64);
        let classes = self.lateness.iter().map(|rows| *rows as f64).collect();
        let mut values = vec![("rows", Value::Int(self.rows()))];
        values.extend(
            FLAG_COLUMNS
                .into_iter()
                .zip(self.flags)
                .map(|(column, rows)| (column, Value::Int(rows))),
        );
        values.extend([
            ("revisions", Value::Int(self.revisions)),
            ("slots", Value::Int(self.slots)),
            ("slots_expected", Value::Int(self.slots_expected)),
            ("completeness", Value::Float(completeness)),
            ("timed", Value::Int(self.lateness.iter().sum())),
            ("lateness_p50_s", Value::Float(self.lateness_at(50))),
            ("lateness_p90_s", Value::Float(self.lateness_at(90))),
            ("lateness_p99_s", Value::Float(self.lateness_at(99))),
            ("lateness_classes", Value::List(classes)),
            ("sensors", Value::Int(self.sensors)),
            ("silent", Value::Int(self.silent)),
            ("days", Value::Int(self.days)),
        ]);
        values
    }

    /// Reads a stored row again: what [`Figures::add_day`] needs of it.
    pub(super) fn read(batch: &RecordBatch, row: usize) -> Self {
        let int = |name: &str| {
            let column = batch.column_by_name(name)?;
            let column = column.as_primitive_opt::<Int64Type>()?;
            column.is_valid(row).then(|| column.value(row))
        };
        let list = |name: &str| -> Option<Vec<i64>> {
            let column = batch.column_by_name(name)?.as_list_opt::<i32>()?;
            let elements = column.is_valid(row).then(|| column.value(row))?;
            let elements = elements.as_primitive_opt::<Float64Type>()?;
            Some(elements.iter().flatten().map(|rows| rows as i64).collect())
        };
        Self {
            flags: FLAG_COLUMNS.map(|name| int(name).unwrap_or(0)),
            revisions: int("revisions").unwrap_or(0),
            slots: int("slots").unwrap_or(0),
            slots_expected: int("slots_expected").unwrap_or(0),
            lateness: list("lateness_classes").unwrap_or_default(),
            sensors: int("sensors").unwrap_or(0),
            silent: int("silent").unwrap_or(0),
            days: int("days").unwrap_or(0),
        }
    }
}

/// Returns the bounds of all classes but the last, s.
pub(super) fn bounds() -> Vec<f64> {
    (0..CLASSES - 1).map(bound).collect()
}

/// Returns the bound of a class, s.
fn bound(class: usize) -> f64 {
    (class as f64 / 4.0).exp2()
}

#[cfg(test)]
mod tests;
