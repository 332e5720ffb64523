//! Quality flags of rows about to be inserted: the IOOS QARTOD primary level and the tests that did not pass.
//!
//! `decoded rows -> key look-up -> [quality] -> hot rows`. Values are never changed here, and nothing is dropped.
//! Tests of rows look backwards only; [`batch`] and [`neighbour`] are for the settle pass. docs/quality.md says what each
//! test does and where it differs from `ioos_qc`. It knows no wire format and does no I/O.

pub mod backward;
pub mod batch;
pub mod neighbour;
pub mod series;
pub mod value;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind, QualityRule};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::property::PropertyDeclaration;
use meetnet_model::quality::{Quality, QualityTest};

/// The declared rules, ready to run.
#[derive(Clone, Debug, Default)]
pub struct QualityRules {
    /// Per long dataset: property name -> plausible range.
    ranges: HashMap<DatasetId, HashMap<String, [f64; 2]>>,
}

/// The flag of one row while its tests run.
#[derive(Clone, Copy)]
struct Verdict {
    quality: Quality,
    tests: i64,
}

impl Verdict {
    const UNTESTED: Self = Self {
        quality: Quality::NotEvaluated,
        tests: 0,
    };

    /// Takes a passed test into account.
    fn pass(&mut self) {
        if self.quality == Quality::NotEvaluated {
            self.quality = Quality::Pass;
        }
    }

    /// Takes a test that did not pass into account; the worse flag stays, and "missing" is the last word.
    fn raise(&mut self, quality: Quality, test: QualityTest) {
        self.tests |= test.bit();
        if self.quality == Quality::NotEvaluated || quality > self.quality {
            self.quality = quality;
        }
    }
}

impl QualityRules {
    /// Reads the rules of all datasets.
    pub fn new(declarations: &Declarations) -> Self {
        let mut ranges: HashMap<DatasetId, HashMap<String, [f64; 2]>> = HashMap::new();
        for property in &declarations.properties {
            let PropertyDeclaration {
                dataset,
                name,
                range,
                ..
            } = &**property;
            ranges
                .entry(dataset.clone())
                .or_default()
                .insert(name.clone(), *range);
        }
        Self { ranges }
    }

    /// Returns the columns `quality` and `quality_tests` of rows that start with the declared columns. `clock_step` says
    /// per row whether its time is a receive time that may be wrong; empty: none is.
    pub fn flag(
        &self,
        declaration: &DatasetDeclaration,
        rows: &RecordBatch,
        clock_step: &[bool],
    ) -> (Int8Array, Int64Array) {
        let mut verdicts = vec![Verdict::UNTESTED; rows.num_rows()];
        match declaration.kind {
            DatasetKind::Long => self.flag_long(declaration, rows, &mut verdicts),
            DatasetKind::Wide => flag_wide(declaration, rows, &mut verdicts),
            DatasetKind::Places | DatasetKind::Private => {}
        }
        for (verdict, _) in verdicts
            .iter_mut()
            .zip(clock_step)
            .filter(|(_, step)| **step)
        {
            verdict.raise(Quality::Suspect, QualityTest::ClockStep);
        }
        (
            Int8Array::from_iter_values(verdicts.iter().map(|verdict| verdict.quality.code())),
            Int64Array::from_iter_values(verdicts.iter().map(|verdict| verdict.tests)),
        )
    }

    fn flag_long(
        &self,
        declaration: &DatasetDeclaration,
        rows: &RecordBatch,
        verdicts: &mut [Verdict],
    ) {
        let column = |name: &str| {
            declaration
                .column_index(name)
                .map(|index| rows.column(index))
        };
        let Some(values) = column("value").and_then(|a| a.as_primitive_opt::<Float64Type>()) else {
            return;
        };
        let Some(properties) = column("property").and_then(|a| a.as_string_opt::<i32>()) else {
            return;
        };
        let ranges = self.ranges.get(&declaration.id);
        // Rows of one message name the same few properties again and again.
        let mut last: Option<(&str, Option<[f64; 2]>)> = None;
        for (row, verdict) in verdicts.iter_mut().enumerate() {
            let property = properties.value(row);
            let range = match last {
                Some((name, range)) if name == property => range,
                _ => ranges.and_then(|ranges| ranges.get(property)).copied(),
            };
            last = Some((property, range));
            if values.is_null(row) {
                verdict.raise(Quality::Missing, QualityTest::Missing);
            } else if let Some(range) = range {
                check_range(values.value(row), range, verdict);
            }
        }
    }
}

fn flag_wide(declaration: &DatasetDeclaration, rows: &RecordBatch, verdicts: &mut [Verdict]) {
    for (column, array) in declaration.columns.iter().zip(rows.columns()) {
        if declaration.key.contains(&column.name) {
            continue;
        }
        let Some(range) = column.range else { continue };
        let Some(values) = as_floats(array) else {
            continue;
        };
        for (row, verdict) in verdicts.iter_mut().enumerate() {
            if !values.is_null(row) {
                check_range(values.value(row), range, verdict);
            }
        }
    }
    for rule in &declaration.rules {
        match rule {
            QualityRule::Uptime {
                column,
                suspect_below,
            } => {
                let Some(index) = declaration.column_index(column) else {
                    continue;
                };
                let Some(values) = as_floats(rows.column(index)) else {
                    continue;
                };
                for (row, verdict) in verdicts.iter_mut().enumerate() {
                    if values.is_null(row) {
                        continue;
                    }
                    if values.value(row) < *suspect_below {
                        verdict.raise(Quality::Suspect, QualityTest::Uptime);
                    } else {
                        verdict.pass();
                    }
                }
            }
            QualityRule::Missing { columns } => {
                let arrays: Vec<&ArrayRef> = columns
                    .iter()
                    .filter_map(|name| declaration.column_index(name))
                    .map(|index| rows.column(index))
                    .collect();
                for (row, verdict) in verdicts.iter_mut().enumerate() {
                    if !arrays.is_empty() && arrays.iter().all(|array| array.is_null(row)) {
                        verdict.raise(Quality::Missing, QualityTest::Missing);
                    }
                }
            }
        }
    }
}

/// The gross range test: outside the plausible range is a failed value, and it stays in the table.
fn check_range(value: f64, [min, max]: [f64; 2], verdict: &mut Verdict) {
    if value < min || value > max {
        verdict.raise(Quality::Fail, QualityTest::GrossRange);
    } else {
        verdict.pass();
    }
}

/// Returns a numeric column as floats; None for other types.
fn as_floats(array: &ArrayRef) -> Option<Arc<Float64Array>> {
    match array.data_type() {
        DataType::Float64 => Some(Arc::new(array.as_primitive::<Float64Type>().clone())),
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            Some(Arc::new(
                values.iter().map(|value| value.map(|v| v as f64)).collect(),
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
