//! Rows of the reference series of a span: what rows of the others are compared with.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use meetnet_lake::committed::KeyPart;
use meetnet_model::ids::LicenceId;

use crate::fold::Finished;
use crate::plan::{Plan, Series};

/// The rows of the reference, by start of the bucket and by what of the series comes behind its first part.
#[derive(Debug, Default)]
pub(crate) struct References {
    rows: BTreeMap<(i64, Series), Reference>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) licence: LicenceId,
    /// Per column of the declaration, where it has a number.
    values: Vec<Option<f64>>,
}

impl Reference {
    /// Returns the value of a column, by its position in the declaration.
    pub(crate) fn value(&self, column: usize) -> Option<f64> {
        self.values.get(column).copied().flatten()
    }
}

impl References {
    /// Takes rows that a fold has made of the reference.
    pub(crate) fn add(&mut self, plan: &Plan, finished: Vec<Finished>) {
        for Finished { rows, licence } in finished {
            let batch = &rows.batch;
            let times = batch
                .column(plan.time)
                .as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                let rest = plan.series.iter().skip(1);
                let rest = rest.filter_map(|(_, column)| KeyPart::of(batch.column(*column), row));
                let values = batch.columns().iter().map(|column| {
                    let column = column.as_primitive_opt::<Float64Type>()?;
                    column.is_valid(row).then(|| column.value(row))
                });
                let reference = Reference {
                    licence: licence.clone(),
                    values: values.collect(),
                };
                self.rows
                    .insert((times.value(row), rest.collect()), reference);
            }
        }
    }

    /// Returns what the row of a bucket and series is compared with.
    pub(crate) fn of(&self, start: i64, series: &[KeyPart]) -> Option<&Reference> {
        let rest = series.get(1..).unwrap_or_default().to_vec();
        self.rows.get(&(start, rest))
    }
}
