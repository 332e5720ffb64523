//! `mode`: the most frequent value. Each different value is held once, as the bytes that order it among the others.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, Int64Array, LargeBinaryArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use crate::call::{Parameter, coerce, uncoerced};
use crate::described::{FunctionDescription, FunctionKind};

/// `mode`.
pub(crate) static MODE: FunctionDescription = FunctionDescription {
    name: "mode",
    kind: FunctionKind::Aggregate,
    signature: "mode(value) → type of value",
    description: "The most frequent value; of several that come as often, the least. Rows without a value are left out. Also \
                  written mode() WITHIN GROUP (ORDER BY value).",
    unit: None,
    example: "SELECT mode(value) FROM (VALUES (3), (1), (3)) AS t(value)",
};

const PARAMETERS: [Parameter; 1] = [Parameter::Any];

/// The function of [`MODE`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mode {
    signature: Signature,
}

impl Mode {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        MODE.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(&MODE, &PARAMETERS, PARAMETERS.len(), arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let value = arg_types.first().cloned();
        value.ok_or_else(|| uncoerced(&MODE))
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let value = arg_fields.first().ok_or_else(|| uncoerced(&MODE))?;
        let field = Field::new(self.name(), value.data_type().clone(), true);
        Ok(Arc::new(field.with_metadata(value.metadata().clone())))
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }

    /// The order in WITHIN GROUP says which value is meant, and nothing of the rows.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |state: &str, of: DataType| {
            let list = DataType::List(Arc::new(Field::new_list_field(of, true)));
            Arc::new(Field::new(format_state_name(args.name, state), list, true))
        };
        Ok(vec![
            list("values", DataType::LargeBinary),
            list("counts", DataType::Int64),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(Counts {
            converter: RowConverter::new(vec![SortField::new(data_type.clone())])?,
            data_type,
            is_distinct: args.is_distinct,
            counts: HashMap::new(),
            bytes: 0,
        }))
    }
}

/// Returns values in which -0.0 is 0.0: GROUP BY takes them for the same, and bytes do not.
fn with_one_zero(values: &ArrayRef) -> ArrayRef {
    if let Some(values) = values.as_primitive_opt::<Float64Type>() {
        let values: Float64Array =
            values.unary(|value: f64| if value == 0.0 { 0.0 } else { value });
        return Arc::new(values);
    }
    if let Some(values) = values.as_primitive_opt::<Float32Type>() {
        let values: Float32Array =
            values.unary(|value: f32| if value == 0.0 { 0.0 } else { value });
        return Arc::new(values);
    }
    Arc::clone(values)
}

/// How often each value has come so far.
#[derive(Debug)]
struct Counts {
    data_type: DataType,
    converter: RowConverter,
    /// With DISTINCT each comes once.
    is_distinct: bool,
    counts: HashMap<Box<[u8]>, i64>,
    /// Bytes of all keys.
    bytes: usize,
}

impl Counts {
    fn add(&mut self, value: &[u8], count: i64) {
        match self.counts.get_mut(value) {
            Some(_) if self.is_distinct => {}
            Some(known) => *known += count,
            None => {
                self.bytes += value.len();
                self.counts.insert(Box::from(value), count);
            }
        }
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else {
            return Err(uncoerced(&MODE));
        };
        let nulls = values.logical_nulls();
        let rows = self.converter.convert_columns(&[with_one_zero(values)])?;
        for (position, row) in rows.iter().enumerate() {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(position)) {
                self.add(row.as_ref(), 1);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else {
            return Err(uncoerced(&MODE));
        };
        let lists = values.as_list_opt::<i32>().zip(counts.as_list_opt::<i32>());
        let (values, counts) = lists.ok_or_else(|| uncoerced(&MODE))?;
        for (values, counts) in values.iter().zip(counts.iter()) {
            let Some((values, counts)) = values.zip(counts) else {
                continue;
            };
            let parts = values
                .as_binary_opt::<i64>()
                .zip(counts.as_primitive_opt::<Int64Type>());
            let (values, counts) = parts.ok_or_else(|| uncoerced(&MODE))?;
            for (value, count) in values.iter().zip(counts.iter()) {
                if let Some((value, count)) = value.zip(count) {
                    self.add(value, count);
                }
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = LargeBinaryArray::from_iter_values(self.counts.keys());
        let counts = Int64Array::from_iter_values(self.counts.values().copied());
        let list = |array: ArrayRef| SingleRowListArrayBuilder::new(array).build_list_scalar();
        Ok(vec![list(Arc::new(values)), list(Arc::new(counts))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let best = self
            .counts
            .iter()
            .reduce(|best, other| match best.1.cmp(other.1) {
                std::cmp::Ordering::Less => other,
                std::cmp::Ordering::Equal if other.0 < best.0 => other,
                _ => best,
            });
        let Some((value, _)) = best else {
            return ScalarValue::try_from(&self.data_type);
        };
        let parser = self.converter.parser();
        let column = self.converter.convert_rows([parser.parse(value)])?;
        let column = column.first().ok_or_else(|| uncoerced(&MODE))?;
        let value = ScalarValue::try_from_array(column, 0)?;
        // Of a dictionary come its values.
        match value.data_type() == self.data_type {
            true => Ok(value),
            false => value.cast_to(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        let entry = size_of::<(Box<[u8]>, i64)>() + 1;
        size_of_val(self) - size_of_val(&self.converter)
            + self.converter.size()
            + self.counts.capacity() * entry
            + self.bytes
    }
}
