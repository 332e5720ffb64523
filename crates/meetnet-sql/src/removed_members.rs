//! `array_remove(list, NULL)`, which takes NULL out of a list, as in PostgreSQL.
//!
//! DataFusion 55.2 answers NULL, as where the list is NULL.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericListArray, OffsetSizeTrait, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{filter, is_null};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use crate::functions::{Wrapped, Wrapper};
use crate::rewrite;

/// What `array_remove` is written as.
const ARRAY_REMOVE_ALL: &str = "array_remove_all";

/// Puts the function in the place of that of a session.
///
/// # Errors
/// Where the session takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    if let Some(inner) = state.deregister_udf(ARRAY_REMOVE_ALL)? {
        state.register_udf(function(inner))?;
    }
    Ok(())
}

/// Returns the function that takes the place of DataFusion's.
pub(crate) fn function(inner: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    Wrapped::function(inner, RemovedMembers)
}

/// Removes values as the function within does, and NULL, too.
#[derive(Debug)]
struct RemovedMembers;

impl Wrapper for RemovedMembers {
    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [lists, members] = args.args.as_slice() else {
            return inner.invoke_with_args(args);
        };
        let rows = args.number_rows;
        let is_removed = match members {
            ColumnarValue::Scalar(member) if !member.is_null() => None,
            members => Some(is_null(members.to_array(rows)?.as_ref())?),
        };
        let Some(is_removed) = is_removed.filter(|is_removed| is_removed.has_true()) else {
            return inner.invoke_with_args(args);
        };
        let without = without_nulls(&lists.to_array(rows)?)?;
        let arguments = args.args.clone();
        let others = inner.invoke_with_args(args)?.into_array(rows)?;
        let made = zip(&is_removed, &without, &others)?;
        rewrite::column_or_constant(&arguments, made)
    }
}

/// Returns lists without the NULLs in them; a list that is NULL stays it.
///
/// # Errors
/// Where they are no lists.
fn without_nulls(lists: &ArrayRef) -> Result<ArrayRef> {
    match lists.data_type() {
        DataType::List(_) => of_lists(lists.as_list::<i32>()),
        DataType::LargeList(_) => of_lists(lists.as_list::<i64>()),
        DataType::Null => Ok(new_null_array(lists.data_type(), lists.len())),
        other => Err(DataFusionError::Plan(format!(
            "`array_remove` takes a list, and not {other}"
        ))),
    }
}

fn of_lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<ArrayRef> {
    let (field, offsets, values, nulls) = lists.clone().into_parts();
    let are_null = values.logical_nulls();
    let is_value = |at: usize| are_null.as_ref().is_none_or(|nulls| nulls.is_valid(at));
    // Behind a list that is NULL there may be values, too.
    let mut is_kept = vec![false; values.len()];
    let mut lengths = Vec::with_capacity(lists.len());
    for (row, ends) in offsets.windows(2).enumerate() {
        let mut length = 0;
        if lists.is_valid(row) {
            for at in (ends[0].as_usize()..ends[1].as_usize()).filter(|at| is_value(*at)) {
                is_kept[at] = true;
                length += 1;
            }
        }
        lengths.push(length);
    }
    let values = filter(values.as_ref(), &BooleanArray::from(is_kept))?;
    let offsets = OffsetBuffer::<O>::from_lengths(lengths);
    let lists = GenericListArray::<O>::try_new(field, offsets, values, nulls)?;
    Ok(Arc::new(lists))
}

#[cfg(test)]
mod tests {
    use arrow::array::ListArray;
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn lists_lose_their_nulls() {
        let lists = |rows: Vec<Option<Vec<Option<i64>>>>| -> ArrayRef {
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
        };
        let rows = lists(vec![
            Some(vec![Some(7), None]),
            Some(vec![Some(1), None, Some(2), None]),
            None,
            Some(vec![None]),
            Some(vec![]),
            Some(vec![Some(3)]),
        ]);
        let expect = lists(vec![
            Some(vec![Some(1), Some(2)]),
            None,
            Some(vec![]),
            Some(vec![]),
            Some(vec![Some(3)]),
        ]);
        // A part of a column, whose values are those of the whole.
        let found = without_nulls(&rows.slice(1, 5)).expect("lists");
        assert_eq!(&found, &expect);
    }
}
