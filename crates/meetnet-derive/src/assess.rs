//! Figures about an observed dataset: which days are to be looked at, and the rows that become of them.
//!
//! ```text
//! due, recorded since ─▶ days ─▶ sorted rows ─▶ figures per day ─▶ with the stored days: months, all ─▶ rows
//!                         ▲──── the days behind, where a series is new ────┘
//! ```
//!
//! A day is made anew whole, with the days before it that say which series were there. So it is a function of stored rows
//! alone, and late rows lead to what a rebuild would. Months are sums of days that are stored or just made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::committed::{CommittedRows, KeyPart, RowRange};
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::assessment::{self, Assessment};
use meetnet_model::calendar::{DAY_US, SECOND_US, period_start};
use meetnet_model::common;
use meetnet_model::dataset::{DatasetDeclaration, Grain};
use meetnet_model::ids::DatasetId;
use meetnet_model::rows::{DatasetRows, RowsBuilder};

use crate::deriver::unreadable;
use crate::error::DeriveError;
use crate::plan::has_interval;

use self::days::{DayFold, OfDay};
use self::figures::{Figures, Value};

mod days;
mod figures;

/// Raised whenever the same rows would become other figures.
const RULES_VERSION: u32 = 1;
/// Days that are read in one go.
const SPAN_DAYS_MAX: i64 = 40;
/// Least time between two passes over a dataset that has grown, µs: it takes a while to bring much into it.
const GROWN_EVERY: i64 = 60 * SECOND_US;
/// `time` of the row about everything.
const OF_ALL: i64 = 0;

/// How the figures about one observed dataset are made.
#[derive(Debug)]
pub(crate) struct AssessPlan {
    declaration: Arc<DatasetDeclaration>,
    input: Arc<DatasetDeclaration>,
    grace: i64,
    /// Least time between two passes, µs.
    every: i64,
    /// Length of a slot, µs.
    slot: i64,
    /// Days that a series is there after its last row.
    lead: i64,
    /// Key columns but the time, of the observed dataset.
    series: Vec<String>,
    has_interval: bool,
    position_id: String,
}

impl AssessPlan {
    /// Returns the plan for one observed dataset.
    pub(crate) fn new(
        declaration: &Arc<DatasetDeclaration>,
        assessment: &Assessment,
        input: &Arc<DatasetDeclaration>,
    ) -> Self {
        let time = input.time_column();
        let series = input.key.iter().filter(|name| *name != time);
        let Assessment {
            grace_s,
            every_s,
            slot_s,
            active_days,
        } = assessment;
        Self {
            declaration: Arc::clone(declaration),
            grace: i64::from(*grace_s) * SECOND_US,
            every: i64::from(*every_s) * SECOND_US,
            slot: i64::from((*slot_s).max(1)) * SECOND_US,
            lead: i64::from(*active_days),
            series: series.cloned().collect(),
            has_interval: has_interval(input),
            // The numbers themselves: another one makes other figures.
            position_id: format!(
                "assess/{}/{RULES_VERSION}-{slot_s}-{active_days}-{grace_s}",
                input.id
            ),
            input: Arc::clone(input),
        }
    }

    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
    }

    pub(crate) fn position_id(&self) -> &str {
        &self.position_id
    }

    /// Returns whether it is time for a pass. `has_grown`: the observed dataset has become so much larger since the last one
    /// that its figures are about something else, as after an import: they need not be wrong until the next is due.
    pub(crate) fn is_due(&self, since: Option<i64>, through: i64, has_grown: bool) -> bool {
        let every = if has_grown {
            self.every.min(GROWN_EVERY)
        } else {
            self.every
        };
        since.is_none_or(|since| through > since && through.saturating_sub(since) >= every)
    }

    fn is_over(&self, day: i64, through: i64) -> bool {
        let end = (day + 1).saturating_mul(DAY_US);
        end.saturating_add(self.grace) <= through
    }

    /// Returns the days that a pass makes anew, whatever is found in them.
    fn touched(
        &self,
        committed: &CommittedRows<'_>,
        since: Option<i64>,
        through: i64,
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<BTreeSet<i64>, DeriveError> {
        let mut days = BTreeSet::new();
        let Some((first, last)) = committed.time_bounds() else {
            return Ok(days);
        };
        let last = last.div_euclid(DAY_US).saturating_add(self.lead);
        let became_due = since.map(|since| since.saturating_sub(self.grace).div_euclid(DAY_US) - 1);
        let mut day = first.div_euclid(DAY_US).max(became_due.unwrap_or(i64::MIN));
        while day <= last && self.is_over(day, through) {
            if since.is_none_or(|since| !self.is_over(day, since)) {
                days.insert(day);
            }
            day += 1;
        }
        let Some(since) = since else {
            return Ok(days);
        };
        let unreadable = unreadable(&self.declaration.id);
        for batch in committed
            .recorded_from(since, &[], &[])
            .map_err(&unreadable)?
        {
            check()?;
            let batch = batch.map_err(&unreadable)?;
            let times = self.times(&batch)?;
            let mut known = None;
            for time in times.values() {
                let day = time.div_euclid(DAY_US);
                if known == Some(day) {
                    continue;
                }
                known = Some(day);
                if self.is_over(day, through) {
                    days.insert(day);
                }
            }
        }
        Ok(days)
    }

    fn times<'a>(
        &self,
        batch: &'a RecordBatch,
    ) -> Result<&'a arrow::array::TimestampMicrosecondArray, DeriveError> {
        let name = self.input.time_column();
        let times = batch.column_by_name(name);
        times
            .and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>())
            .ok_or_else(|| self.no_column(name))
    }

    fn no_column(&self, column: &str) -> DeriveError {
        DeriveError::no_column(&self.declaration.id, column)
    }

    /// Makes the figures of days that follow each other, and says which series are new since the pass before.
    fn figures(
        &self,
        committed: &CommittedRows<'_>,
        days: &Range<i64>,
        since: Option<i64>,
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<Vec<OfDay>, DeriveError> {
        let unreadable = unreadable(&self.declaration.id);
        let mut fold = DayFold::new(self, days, since);
        let mut columns = vec![common::QUALITY, common::RECEIVED_AT, common::REVISION];
        if since.is_some() {
            columns.push(common::RECORDED_AT);
        }
        if self.has_interval {
            columns.push(common::INTERVAL_S);
        }
        let range = RowRange {
            from: (days.start - self.lead).saturating_mul(DAY_US),
            to: days.end.saturating_mul(DAY_US),
            leading: None,
        };
        let mut rows = committed.in_range(&columns, range).map_err(&unreadable)?;
        while let Some(batch) = rows.next_batch().map_err(&unreadable)? {
            check()?;
            fold.push(&batch)?;
        }
        Ok(fold.finish())
    }

    /// Returns the rows of a pass; none where nothing has to be looked at. Figures of days before `dropped_before` (µs since 1970
    /// UTC) stay as they are.
    pub(crate) fn rows(
        &self,
        input: &TableSnapshot,
        (own, dropped_before): (Option<&TableSnapshot>, Option<i64>),
        since: Option<i64>,
        through: i64,
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<Option<DatasetRows>, DeriveError> {
        let committed = CommittedRows::new(input).map_err(unreadable(&self.declaration.id))?;
        let mut touched = self.touched(&committed, since, through, check)?;
        // Of a day that a retention has dropped late rows are not the whole.
        if let Some(before) = dropped_before {
            touched.retain(|day| day.saturating_mul(DAY_US) >= before);
        }
        if touched.is_empty() {
            return Ok(None);
        }
        let mut days = match own {
            Some(own) => stored_days(own, &self.input.id)?,
            None => BTreeMap::new(),
        };
        let mut made = BTreeSet::new();
        let mut behind = BTreeSet::new();
        for span in spans(&touched) {
            let found = self.figures(&committed, &span, since, check)?;
            for (day, found) in span.zip(found) {
                if found.is_new {
                    // The days behind it expect the series.
                    let reached = day..=day.saturating_add(self.lead);
                    behind.extend(reached.take_while(|day| self.is_over(*day, through)));
                }
                keep(day, found.figures, &mut days, &mut made);
            }
        }
        let behind: BTreeSet<i64> = behind.difference(&touched).copied().collect();
        for span in spans(&behind) {
            let found = self.figures(&committed, &span, None, check)?;
            for (day, found) in span.zip(found) {
                keep(day, found.figures, &mut days, &mut made);
            }
        }
        let mut writer = Writer::new(self);
        let mut all = Figures::default();
        let mut months: BTreeMap<i64, Figures> = BTreeMap::new();
        let month = |day: i64| period_start(day.saturating_mul(DAY_US), Grain::Month);
        let of_months: BTreeSet<i64> = made.iter().map(|day| month(*day)).collect();
        for (day, figures) in &days {
            all.add_day(figures);
            let month = month(*day);
            if of_months.contains(&month) {
                months.entry(month).or_default().add_day(figures);
            }
        }
        if made.is_empty() {
            return Ok(None);
        }
        let [of_day, of_month, of_all] = assessment::PERIODS;
        writer.add(of_all, OF_ALL, &all)?;
        for day in &made {
            if let Some(figures) = days.get(day) {
                writer.add(of_day, day.saturating_mul(DAY_US), figures)?;
            }
        }
        for (month, figures) in &months {
            writer.add(of_month, *month, figures)?;
        }
        Ok(Some(writer.builder.take()))
    }
}

/// Keeps the figures of a day that were made. A day without anything is said only where something was said of it before.
fn keep(day: i64, figures: Figures, days: &mut BTreeMap<i64, Figures>, made: &mut BTreeSet<i64>) {
    if !figures.is_empty() || days.contains_key(&day) {
        days.insert(day, figures);
        made.insert(day);
    }
}

/// Returns days that follow each other as ranges, none too long to read in one go.
fn spans(days: &BTreeSet<i64>) -> Vec<Range<i64>> {
    let mut spans: Vec<Range<i64>> = Vec::new();
    for &day in days {
        match spans.last_mut() {
            Some(span) if span.end == day && day - span.start < SPAN_DAYS_MAX => span.end += 1,
            _ => spans.push(day..day + 1),
        }
    }
    spans
}

/// Reads the stored days of an observed dataset, by their number since 1970.
fn stored_days(
    own: &TableSnapshot,
    input: &DatasetId,
) -> Result<BTreeMap<i64, Figures>, DeriveError> {
    let id = &own.declaration.id;
    let unreadable = unreadable(id);
    let committed = CommittedRows::new(own).map_err(&unreadable)?;
    let columns: Vec<&str> = assessment::COLUMNS.iter().map(|(name, _)| *name).collect();
    let range = RowRange {
        from: i64::MIN,
        to: i64::MAX,
        leading: Some(vec![KeyPart::Text(input.as_str().into())]),
    };
    let mut rows = committed.in_range(&columns, range).map_err(&unreadable)?;
    let [_, period, time] = assessment::KEY;
    let [of_day, ..] = assessment::PERIODS;
    let mut days = BTreeMap::new();
    while let Some(batch) = rows.next_batch().map_err(&unreadable)? {
        let no_column = |column: &str| DeriveError::no_column(id, column);
        let periods = batch
            .column_by_name(period)
            .and_then(|periods| periods.as_string_opt::<i32>())
            .ok_or_else(|| no_column(period))?;
        let times = batch
            .column_by_name(time)
            .and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>())
            .ok_or_else(|| no_column(time))?;
        for row in 0..batch.num_rows() {
            if periods.value(row) == of_day {
                let day = times.value(row).div_euclid(DAY_US);
                days.insert(day, Figures::read(&batch, row));
            }
        }
    }
    Ok(days)
}

/// Writes rows of figures.
struct Writer<'p> {
    plan: &'p AssessPlan,
    builder: RowsBuilder,
}

impl<'p> Writer<'p> {
    fn new(plan: &'p AssessPlan) -> Self {
        Self {
            plan,
            builder: RowsBuilder::new(Arc::clone(&plan.declaration)),
        }
    }

    fn position(&self, column: &str) -> Result<usize, DeriveError> {
        let position = self.plan.declaration.column_index(column);
        position.ok_or_else(|| self.plan.no_column(column))
    }

    fn add(&mut self, period: &str, time: i64, figures: &Figures) -> Result<(), DeriveError> {
        let [of_dataset, of_period, of_time] = assessment::KEY;
        let [of_dataset, of_period, of_time] = [
            self.position(of_dataset)?,
            self.position(of_period)?,
            self.position(of_time)?,
        ];
        self.builder
            .set_text(of_dataset, self.plan.input.id.as_str());
        self.builder.set_text(of_period, period);
        self.builder.set_int(of_time, time);
        for (column, value) in figures.values() {
            let at = self.position(column)?;
            match value {
                Value::Int(value) => self.builder.set_int(at, value),
                Value::Float(Some(value)) => self.builder.set_float(at, value),
                Value::Float(None) => {}
                Value::List(values) => self.builder.set_list(at, &values),
            }
        }
        if let Err(column) = self.builder.finish_row(0) {
            return Err(DeriveError::incomplete(&self.plan.declaration.id, column));
        }
        Ok(())
    }
}
