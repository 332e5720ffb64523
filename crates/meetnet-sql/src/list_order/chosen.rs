//! The greatest or the least of several lists. NULL is none, as in PostgreSQL.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::{comparator, uncalled};
use crate::rewrite;

/// Returns whether a function of this name answers the greatest of its arguments, or the least; None for every other one.
pub(super) fn is_greatest(function: &str) -> Option<bool> {
    match function {
        "greatest" => Some(true),
        "least" => Some(false),
        _ => None,
    }
}

/// Returns the call that chooses among lists.
pub(super) fn call(is_greatest: bool, among: Vec<Expr>) -> Expr {
    let function = ScalarUDF::new_from_impl(ChosenList {
        is_greatest,
        signature: Signature::variadic_any(Volatility::Immutable),
    });
    function.call(among)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ChosenList {
    is_greatest: bool,
    signature: Signature,
}

impl ScalarUDFImpl for ChosenList {
    fn name(&self) -> &str {
        match self.is_greatest {
            true => "greatest",
            false => "least",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(uncalled)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let first = args.arg_fields.first().ok_or_else(uncalled)?;
        let is_nullable = args.arg_fields.iter().all(|field| field.is_nullable());
        let field = Field::new(self.name(), first.data_type().clone(), is_nullable);
        Ok(Arc::new(field))
    }

    /// Any list: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        let first = inputs.first().ok_or_else(uncalled)?;
        Interval::make_unbounded(&first.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let columns = columns
            .iter()
            .map(|column| Ok(cast(column, args.return_type())?));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        rewrite::column_or_constant(&args.args, chosen(self.is_greatest, &columns)?)
    }
}

/// Returns the list of each row that is chosen: of equal ones the first, NULL where all are.
pub(super) fn chosen(is_greatest: bool, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let rows = columns.first().map_or(0, |first| first.len());
    // The column whose list is chosen.
    let mut chosen: Vec<Option<usize>> = vec![None; rows];
    let wanted = match is_greatest {
        true => Ordering::Less,
        false => Ordering::Greater,
    };
    for (at, column) in columns.iter().enumerate() {
        let before = columns[..at].iter().map(|other| comparator(other, column));
        let before = before.collect::<Result<Vec<_>>>()?;
        for (row, chosen) in chosen.iter_mut().enumerate() {
            let is_wanted = match *chosen {
                _ if column.is_null(row) => false,
                Some(other) => before[other](row, row) == wanted,
                None => true,
            };
            if is_wanted {
                *chosen = Some(at);
            }
        }
    }
    // Where none is chosen, that of the first column is NULL, too.
    let places = chosen.iter().enumerate();
    let places: Vec<(usize, usize)> = places.map(|(row, at)| (at.unwrap_or(0), row)).collect();
    let columns: Vec<&dyn Array> = columns.iter().map(|column| column.as_ref()).collect();
    Ok(interleave(&columns, &places)?)
}
