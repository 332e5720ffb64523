//! The days of a dataset: with what and by which rules each was settled, and which have changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::snapshot::{LakeSnapshot, StatisticsValue, TableSnapshot};
use meetnet_model::calendar::DAY_US;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId, SourceId};
use meetnet_model::quality::QualityTest;
use meetnet_model::rows::RowsBuilder;
use meetnet_quality::settle::LOOK_AHEAD_US;
use serde_json::{Map, Value, json};

use super::{SettleError, Settling, day_of};
use crate::pipeline::{ImportChunk, PipelineCommands};

/// The private dataset that says by which rules a day was flagged.
const QUALITY_RULES: &str = "quality_rules";
/// Source of its rows: ourselves.
const SOURCE: &str = "meetnet";
/// Nobody owns a list of rules.
const LICENCE: &str = "CC0-1.0";
/// Stands for the id of an import.
const IMPORT_ID: &str = "quality-rules";

/// What a pass found on one day.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) changed: u64,
    /// By bit of the test: rows that it finds fault with and did not before, and the other way round.
    pub(super) by_test: [(u64, u64); QualityTest::ALL.len()],
}

/// Which days a pass goes through.
#[derive(Debug)]
pub(super) enum Wanted {
    All,
    /// The begins of days, µs.
    Only(BTreeSet<i64>),
}

impl Wanted {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Only(days) if days.is_empty())
    }

    pub(super) fn holds(&self, day: i64) -> bool {
        match self {
            Self::All => true,
            Self::Only(days) => days.contains(&day),
        }
    }
}

/// The days of a span that were settled: their begin, and until when what was recorded was seen, both µs.
#[derive(Debug, Default)]
pub(super) struct Days(BTreeMap<i64, i64>);

impl Days {
    /// Reads which days of `span` were settled.
    pub(super) fn read(
        snapshot: &LakeSnapshot,
        dataset: &DatasetId,
        span: Range<i64>,
    ) -> Result<Self, SettleError> {
        let mut days = BTreeMap::new();
        let Some(table) = snapshot.tables.get(&DatasetId::new(QUALITY_RULES)) else {
            return Ok(Self(days));
        };
        let columns = ["dataset", "time", "settled_through"];
        table.visit_sorted::<SettleError>(&columns, span.clone(), &mut |rows| {
            let datasets = rows.column_by_name("dataset");
            let datasets = datasets.and_then(|array| array.as_string_opt::<i32>());
            let [times, through] = ["time", "settled_through"].map(|name| micros(rows, name));
            let (Some(datasets), Some(times), Some(through)) = (datasets, times, through) else {
                return Ok(());
            };
            for row in 0..rows.num_rows() {
                let day = times.value(row);
                if datasets.value(row) == dataset.as_str() && span.contains(&day) {
                    days.insert(day, through.value(row));
                }
            }
            Ok(())
        })?;
        Ok(Self(days))
    }

    /// Returns until when what was recorded was seen when a day was settled, µs; none where it never was.
    pub(super) fn through(&self, day: i64) -> Option<i64> {
        self.0.get(&day).copied()
    }

    /// Returns the days of `span` whose flags may be other ones, since rows in or around them were recorded after they were
    /// settled; `reach` is how far before a day its series begin.
    pub(super) fn changed(
        &self,
        table: &TableSnapshot,
        span: Range<i64>,
        reach: i64,
    ) -> Result<Wanted, SettleError> {
        let around = span.start.saturating_sub(reach)..span.end.saturating_add(LOOK_AHEAD_US);
        let through = self.0.values().max();
        let (recorded_at, last) = newest(table, &around);
        let last = day_of(last.min(span.end - 1));
        let is_complete = last < span.start || self.0.contains_key(&last);
        if is_complete && through.is_some_and(|through| recorded_at <= *through) {
            return Ok(Wanted::Only(BTreeSet::new()));
        }
        let name = table.declaration.time_column();
        let columns = [name, common::RECEIVED_AT, common::RECORDED_AT];
        let mut newest: BTreeMap<i64, i64> = BTreeMap::new();
        table.visit_sorted::<SettleError>(&columns, around, &mut |rows| {
            let Some(times) = micros(rows, name) else {
                return Ok(());
            };
            let mut last = (i64::MIN, i64::MIN);
            for (row, recorded_at) in recorded(rows).into_iter().enumerate() {
                let day = day_of(times.value(row));
                // Rows in key order stay in one day for a while.
                if day == last.0 && recorded_at <= last.1 {
                    continue;
                }
                let known = newest.entry(day).or_insert(i64::MIN);
                *known = recorded_at.max(*known);
                last = (day, *known);
            }
            Ok(())
        })?;
        let is_changed = |day: i64| {
            let begin = day_of(day.saturating_sub(reach));
            let end = day.saturating_add(DAY_US + LOOK_AHEAD_US);
            let around = newest.range(begin..end).map(|(_, at)| *at).max();
            match self.0.get(&day) {
                Some(through) => around.is_some_and(|at| at > *through),
                None => true,
            }
        };
        let has_rows = newest.range(span).map(|(day, _)| *day);
        Ok(Wanted::Only(
            has_rows.filter(|day| is_changed(*day)).collect(),
        ))
    }
}

/// Records the days that were settled; `settled_through` says of each until when what was recorded was seen, µs.
pub(super) fn record(
    tallies: &BTreeMap<i64, Tally>,
    settled_through: impl Fn(i64) -> i64,
    rules: &str,
    settling: &Settling,
    commands: &PipelineCommands,
) -> Result<(), SettleError> {
    let declared = settling.declarations.dataset(QUALITY_RULES);
    let Some(declaration) = declared.filter(|_| !tallies.is_empty()) else {
        return Ok(());
    };
    let mut builder = RowsBuilder::new(Arc::clone(declaration));
    for (day, tally) in tallies {
        let texts = [("dataset", settling.dataset.as_str()), ("rules", rules)];
        let numbers = [
            ("time", *day),
            ("settled_through", settled_through(*day)),
            ("tested", tally.rows as i64),
            ("revised", tally.changed as i64),
        ];
        for (name, value) in texts {
            if let Some(column) = declaration.column_index(name) {
                builder.set_text(column, value);
            }
        }
        for (name, value) in numbers {
            if let Some(column) = declaration.column_index(name) {
                builder.set_int(column, value);
            }
        }
        builder.finish_row(0).map_err(|column| {
            let message = format!("`{QUALITY_RULES}` has no value for `{column}`");
            SettleError::Usage(message)
        })?;
    }
    commands.import(ImportChunk {
        import_id: IMPORT_ID.to_owned(),
        consumed: settling.now.unsigned_abs(),
        rows: builder.take(),
        source: SourceId::new(SOURCE),
        licence: LicenceId::new(LICENCE),
        received_at: Some(vec![settling.now; tallies.len()]),
    })?;
    Ok(())
}

/// Returns everything that decides the flags of a dataset, as JSON.
pub(super) fn rules_text(declarations: &Declarations, declaration: &DatasetDeclaration) -> String {
    let properties: Map<String, Value> = declarations
        .properties
        .iter()
        .filter(|property| property.dataset == declaration.id)
        .map(|property| {
            let rules = json!({ "range": property.range, "tests": property.tests });
            (property.name.clone(), rules)
        })
        .collect();
    let tested = declaration.columns.iter();
    let columns: Map<String, Value> = tested
        .filter(|column| column.range.is_some() || !column.tests.is_empty())
        .map(|column| {
            let rules = json!({ "range": column.range, "tests": column.tests });
            (column.name.clone(), rules)
        })
        .collect();
    let rules = &declaration.rules;
    json!({ "properties": properties, "columns": columns, "rules": rules }).to_string()
}

/// Everything that was recorded until then is in the files of a table, µs.
pub(super) fn committed_time(table: &TableSnapshot) -> i64 {
    let hot = table.hot.iter().flat_map(|hot| recorded(&hot.batch));
    hot.min()
        .map_or(table.stable_time, |first| first.saturating_sub(1))
}

/// When the newest row in the files that may hold a time of `span` was recorded, and the greatest time in them, µs; what is
/// unknown counts as the latest that can be.
fn newest(table: &TableSnapshot, span: &Range<i64>) -> (i64, i64) {
    let name = table.declaration.time_column();
    let (mut recorded_at, mut last) = (i64::MIN, i64::MIN);
    for file in table.files.iter().filter(|file| !file.superseded) {
        let times = file.statistics.get(name);
        let number = |bound: &Option<StatisticsValue>| match bound {
            Some(StatisticsValue::Int(number)) => Some(*number),
            _ => None,
        };
        let least = times.and_then(|times| number(&times.min));
        let greatest_time = times.and_then(|times| number(&times.max));
        let greatest_time = greatest_time.unwrap_or(i64::MAX);
        if least.unwrap_or(i64::MIN) >= span.end || greatest_time < span.start {
            continue;
        }
        last = last.max(greatest_time);
        let newest = file.recorded_bounds().map(|(_, newest)| newest);
        recorded_at = recorded_at.max(newest.unwrap_or(i64::MAX));
    }
    (recorded_at, last)
}

/// Returns when each row was recorded, µs.
fn recorded(rows: &RecordBatch) -> Vec<i64> {
    let received_at = micros(rows, common::RECEIVED_AT);
    let recorded_at = micros(rows, common::RECORDED_AT);
    let at = |row: usize| {
        let recorded_at = recorded_at.filter(|times| times.is_valid(row));
        recorded_at
            .or(received_at)
            .map_or(i64::MAX, |times| times.value(row))
    };
    (0..rows.num_rows()).map(at).collect()
}

fn micros<'a>(rows: &'a RecordBatch, name: &str) -> Option<&'a TimestampMicrosecondArray> {
    rows.column_by_name(name)?
        .as_primitive_opt::<TimestampMicrosecondType>()
}
