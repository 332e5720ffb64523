//! `array_agg` and `string_agg` in an order, or of distinct values, and `nth_value`, which know how much they have gathered.
//!
//! DataFusion asks an aggregate for its size behind each batch, for each group in it, and these walk through all that they have
//! gathered so far to tell: of a million values in a hundred groups that is a hundred times the work of gathering them, most of
//! it within single steps that cannot be stopped. So what comes in is added up here, and counted anew when it has doubled.
//!
//! `string_agg` in two orders beside each other is answered, as `array_agg` is.

use arrow::array::{Array, ArrayRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl};

use crate::aggregates::{Overrides, override_function};
use crate::functions::sizes::array_bytes;

#[cfg(test)]
mod tests;

/// One that keeps values one by one, in an order or not.
const NTH_VALUE: &str = "nth_value";
/// One that puts into order what it has gathered, and is taken for one that needs rows in order, of which a plan has one.
const STRING_AGG: &str = "string_agg";
/// Functions that keep values one by one.
const FUNCTIONS: [&str; 3] = ["array_agg", STRING_AGG, NTH_VALUE];

/// Puts them in the place of those of a session.
///
/// # Errors
/// Where the session has not one of them.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for name in FUNCTIONS {
        override_function(state, name, Gathering)?;
    }
    Ok(())
}

/// Knows how much it has gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Gathering;

impl Overrides for Gathering {
    fn accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        let walks = args.is_distinct || !args.order_bys.is_empty() || inner.name() == NTH_VALUE;
        let accumulator = inner.accumulator(args)?;
        if walks {
            return Ok(Box::new(Gathered::new(accumulator)));
        }
        Ok(accumulator)
    }

    /// Of two `string_agg` in two orders one would be refused.
    fn order_sensitivity(self, inner: &dyn AggregateUDFImpl) -> AggregateOrderSensitivity {
        match inner.name() {
            STRING_AGG => AggregateOrderSensitivity::SoftRequirement,
            _ => inner.order_sensitivity(),
        }
    }
}

/// Values of one group, with their size.
#[derive(Debug)]
struct Gathered {
    values: Box<dyn Accumulator>,
    /// Bytes when they were counted last.
    counted: usize,
    /// Bytes that may have come since.
    added: usize,
}

impl Gathered {
    fn new(values: Box<dyn Accumulator>) -> Self {
        let counted = values.size();
        Self {
            values,
            counted,
            added: 0,
        }
    }

    fn count(&mut self) {
        self.counted = self.values.size();
        self.added = 0;
    }
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.update_batch(values)?;
        self.added = self.added.saturating_add(gathered_bytes(values));
        if self.added >= self.counted {
            self.count();
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.values.evaluate()
    }

    fn size(&self) -> usize {
        self.counted.saturating_add(self.added)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values.state()
    }

    /// To merge sorts all that was gathered, and comes once for each thread: to count it costs less.
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.values.merge_batch(states)?;
        self.count();
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.values.supports_retract_batch()
    }
}

/// Returns how many bytes rows take once they have been gathered: each value of its own, in a list of each row.
fn gathered_bytes(columns: &[ArrayRef]) -> usize {
    let rows = columns.first().map_or(0, |column| column.len());
    let of_rows = rows.saturating_mul(size_of::<Vec<ScalarValue>>());
    let of_columns = columns.iter().map(|column| {
        let values = column.len().saturating_mul(size_of::<ScalarValue>());
        // A number lies within its value.
        let outside = match column.data_type().primitive_width() {
            Some(_) => 0,
            None => array_bytes(column.as_ref()),
        };
        values.saturating_add(usize::try_from(outside).unwrap_or(usize::MAX))
    });
    of_columns.fold(of_rows, usize::saturating_add)
}
