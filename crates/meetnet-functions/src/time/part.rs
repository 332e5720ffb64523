//! `year(time)`, `hour(time)` and the like: `date_part` as other databases call it; and the parts of times that PostgreSQL has
//! and DataFusion 55.2 has not: decades, centuries, millennia and Julian days.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Int32Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast, lit,
};
use meetnet_model::calendar_unit::CalendarUnit;
use meetnet_model::common::timestamp_type;

use crate::call::text_of;

pub(super) const DATE_PART: &str = "date_part";
/// 1970-01-01 as a Julian day.
const EPOCH_JULIAN: i32 = 2_440_588;

/// What `date_part` calls what these functions answer.
pub(crate) const PARTS: [&str; 8] = [
    "year", "quarter", "month", "week", "day", "hour", "minute", "second",
];

/// The function of one of [`PARTS`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimePart {
    part: &'static str,
    signature: Signature,
}

impl TimePart {
    pub(crate) fn new(part: &'static str) -> Self {
        Self {
            part,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TimePart {
    fn name(&self) -> &str {
        self.part
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let taken = match arg_types {
            [
                given @ (DataType::Timestamp(..)
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Interval(_)
                | DataType::Duration(_)),
            ] => Some(given.clone()),
            [given] if given.is_null() || given.is_string() => Some(timestamp_type()),
            _ => None,
        };
        let taken = taken.map(|taken| vec![taken]);
        taken.ok_or_else(|| {
            let part = self.part;
            let message = format!(
                "`{part}`: it takes one time; it is called as {part}(time), which is date_part('{part}', time)"
            );
            DataFusionError::Plan(message)
        })
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.part, DataType::Int32, is_nullable);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// As `date_part`, of whose comparisons the planner makes ranges of time.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let call = datetime::date_part().call([lit(self.part)].into_iter().chain(args).collect());
        Ok(ExprSimplifyResult::Simplified(call))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = ScalarValue::Utf8(Some(self.part.to_owned()));
        args.args.insert(0, ColumnarValue::Scalar(part));
        datetime::date_part().invoke_with_args(args)
    }
}

/// Puts a function that knows more parts in the place of DataFusion's.
#[derive(Debug)]
pub(crate) struct LongParts {
    part: Arc<ScalarUDF>,
}

impl LongParts {
    pub(crate) fn new() -> Self {
        let part = LongPartOf {
            signature: Signature::any(2, Volatility::Immutable),
        };
        Self {
            part: Arc::new(ScalarUDF::new_from_impl(part)),
        }
    }
}

impl FunctionRewrite for LongParts {
    fn name(&self) -> &str {
        "long_parts"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Some((name, time)) = long_part(&expr) else {
            return Ok(Transformed::no(expr));
        };
        let time = match time.get_type(schema) {
            Ok(DataType::Timestamp(..)) if LongPart::named(name) == Some(LongPart::Julian) => {
                let message = "`date_part`: the Julian day is one of a date; write date_part('julian', time::date)";
                return Err(DataFusionError::Plan(message.to_owned()));
            }
            Ok(DataType::Timestamp(..) | DataType::Date32) => time.clone(),
            // As DataFusion reads a text of which a part is taken.
            Ok(given) if given.is_null() || given.is_string() => match LongPart::named(name) {
                Some(LongPart::Julian) => cast(time.clone(), DataType::Date32),
                _ => cast(time.clone(), timestamp_type()),
            },
            _ => return Ok(Transformed::no(expr)),
        };
        let args = vec![lit(name), time];
        let call = ScalarFunction::new_udf(Arc::clone(&self.part), args);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}

/// Returns which part is taken of what, where it is one of [`LongPart`]; None for every other expression.
fn long_part(expr: &Expr) -> Option<(&str, &Expr)> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let (DATE_PART, [Expr::Literal(part, _), time]) = (call.func.name(), call.args.as_slice())
    else {
        return None;
    };
    let name = text_of(Some(part))?;
    LongPart::named(name)?;
    // What was put there stays: it is called as what it takes the place of.
    let is_ours = call.func.inner().is::<LongPartOf>();
    (!is_ours).then_some((name, time))
}

/// A part of a time that DataFusion has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LongPart {
    Decade,
    Century,
    Millennium,
    /// So many days since the year -4713.
    Julian,
}

impl LongPart {
    fn named(name: &str) -> Option<Self> {
        let name = name.trim_matches(['\'', '"']);
        if name.eq_ignore_ascii_case("julian") {
            return Some(Self::Julian);
        }
        match CalendarUnit::named(name)? {
            CalendarUnit::Decade => Some(Self::Decade),
            CalendarUnit::Century => Some(Self::Century),
            CalendarUnit::Millennium => Some(Self::Millennium),
            _ => None,
        }
    }

    /// Returns the part of a year, of which 0 is 1 BC. Decades begin with years whose last digit is 0; the first century and the
    /// first millennium begin with the year 1, and those before are -1.
    fn of_year(self, year: i32) -> i32 {
        let of_years = |years: i32| match year {
            1.. => (year - 1) / years + 1,
            _ => year / years - 1,
        };
        match self {
            Self::Decade | Self::Julian => year.div_euclid(10),
            Self::Century => of_years(100),
            Self::Millennium => of_years(1_000),
        }
    }
}

/// `date_part` of one of these parts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LongPartOf {
    signature: Signature,
}

impl ScalarUDFImpl for LongPartOf {
    fn name(&self) -> &str {
        DATE_PART
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(DATE_PART, DataType::Int32, is_nullable);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = match args.args.first() {
            Some(ColumnarValue::Scalar(part)) => text_of(Some(part)).and_then(LongPart::named),
            _ => None,
        };
        let (Some(part), Some(time)) = (part, args.args.get(1)) else {
            let message = "`date_part` takes the name of a part and a time".to_owned();
            return Err(DataFusionError::Plan(message));
        };
        if part == LongPart::Julian {
            return each(time, julian_days);
        }
        args.args[0] = ColumnarValue::Scalar(ScalarValue::from("year"));
        let years = datetime::date_part().invoke_with_args(args)?;
        each(&years, |years| {
            let years = years.as_primitive_opt::<Int32Type>().ok_or_else(untimely)?;
            Ok(years.unary(|year| part.of_year(year)))
        })
    }
}

fn julian_days(dates: &ArrayRef) -> Result<Int32Array> {
    let dates = dates
        .as_primitive_opt::<Date32Type>()
        .ok_or_else(untimely)?;
    Ok(dates.unary(|day| day.saturating_add(EPOCH_JULIAN)))
}

/// Returns what is made of the values of a column, or of a constant.
fn each(
    values: &ColumnarValue,
    make: impl FnOnce(&ArrayRef) -> Result<Int32Array>,
) -> Result<ColumnarValue> {
    match values {
        ColumnarValue::Array(values) => Ok(ColumnarValue::Array(Arc::new(make(values)?))),
        ColumnarValue::Scalar(value) => {
            let made = make(&value.to_array()?)?;
            let made = ScalarValue::try_from_array(&made, 0)?;
            Ok(ColumnarValue::Scalar(made))
        }
    }
}

/// The error of a call that no plan makes.
fn untimely() -> DataFusionError {
    DataFusionError::Internal("`date_part` was called with what is no time".to_owned())
}

#[cfg(test)]
mod tests;
