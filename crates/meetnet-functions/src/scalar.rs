//! Scalar functions that need nothing but their arguments: a table entry each.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Builder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use meetnet_model::units::canonical_unit;

use crate::UNIT_KEY;
use crate::call::{Call, Parameter, coerce, text_of};
use crate::described::FunctionDescription;

/// A scalar function.
pub(crate) struct ScalarSpec {
    pub(crate) description: &'static FunctionDescription,
    pub(crate) parameters: &'static [Parameter],
    /// How many of the parameters every call has.
    pub(crate) required: usize,
    pub(crate) returns: fn() -> DataType,
    /// The argument that names the unit of what is returned, where that is not the description's.
    pub(crate) unit_argument: Option<usize>,
    /// Checks the arguments that stand in the statement, when it is planned.
    pub(crate) check: fn(&[Option<&ScalarValue>]) -> Result<()>,
    pub(crate) evaluate: fn(&Call<'_>) -> Result<ArrayRef>,
}

/// The check of functions whose arguments are all data.
pub(crate) fn unchecked(_: &[Option<&ScalarValue>]) -> Result<()> {
    Ok(())
}

/// A [`ScalarSpec`] as DataFusion wants it.
pub(crate) struct ScalarFunction {
    spec: &'static ScalarSpec,
    signature: Signature,
}

impl ScalarFunction {
    pub(crate) fn new(spec: &'static ScalarSpec) -> Self {
        Self {
            spec,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn unit(&self, arguments: &[Option<&ScalarValue>]) -> Option<String> {
        match self.spec.unit_argument {
            None => self.spec.description.unit.map(str::to_owned),
            Some(index) => {
                let unit = text_of(arguments.get(index).copied().flatten());
                unit.and_then(canonical_unit).map(str::to_owned)
            }
        }
    }
}

impl fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.description.name)
    }
}

impl PartialEq for ScalarFunction {
    fn eq(&self, other: &Self) -> bool {
        self.spec.description == other.spec.description
    }
}

impl Eq for ScalarFunction {}

impl Hash for ScalarFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.description.name.hash(state);
    }
}

impl ScalarUDFImpl for ScalarFunction {
    fn name(&self) -> &str {
        self.spec.description.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let spec = self.spec;
        coerce(spec.description, spec.parameters, spec.required, arg_types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok((self.spec.returns)())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        (self.spec.check)(args.scalar_arguments)?;
        let field = Field::new(self.name(), (self.spec.returns)(), true);
        Ok(with_unit(field, self.unit(args.scalar_arguments)))
    }

    /// DataFusion 55.2 takes a strict function of what is never NULL for never NULL. These make NULL of what they cannot compute, too.
    fn is_strict(&self) -> bool {
        false
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let call = Call::new(self.spec.description, &args.args, args.number_rows);
        Ok(ColumnarValue::Array((self.spec.evaluate)(&call)?))
    }
}

/// Says the unit of a result.
pub(crate) fn with_unit(field: Field, unit: Option<String>) -> FieldRef {
    Arc::new(match unit {
        None => field,
        Some(unit) => field.with_metadata(HashMap::from([(UNIT_KEY.to_owned(), unit)])),
    })
}

/// Applies a function of numbers to each row; None is NULL.
pub(crate) fn map_numbers<const N: usize>(
    call: &Call<'_>,
    of: impl Fn([f64; N]) -> Option<f64>,
) -> Result<ArrayRef> {
    let columns = (0..N)
        .map(|index| call.numbers(index))
        .collect::<Result<Vec<_>>>()?;
    let nulls = NullBuffer::union_many(columns.iter().map(|column| column.nulls()));
    let mut found = Float64Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let value = if is_null {
            None
        } else {
            of(std::array::from_fn(|index| columns[index].value(row)))
        };
        found.append_option(value);
    }
    Ok(Arc::new(found.finish()))
}
