//! Times of microseconds, as those of columns are, also where a statement writes them.
//!
//! | written | planned |
//! |---|---|
//! | `TIMESTAMP '9999-12-31'`, `CAST(x AS TIMESTAMP)` | of microseconds |
//! | `time < '9999-12-31'`, `time > now()`, `time < DATE '3000-01-01'` | compared as microseconds |
//! | `to_timestamp(1767225600.25)` | of microseconds; DataFusion answered the last nanosecond of 2262 for all that is later |
//! | `coalesce(superseded_at, '2100-01-01')` | a text beside times is one |
//!
//! DataFusion 55.2 makes nanoseconds of all of these, which end in 2262: what is valid until the year 9999 could neither be
//! written nor compared. Of `TIMESTAMP(9)` they stay.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::functions::core::coalesce::CoalesceFunc;
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, cast, lit,
};
use datafusion::prelude::{round, to_timestamp_micros};
use datafusion::sql::sqlparser::ast;

use crate::functions::json::{is_json, json_field};
use crate::functions::literal_text;
use crate::rewrite;

/// Compares times so, and reads texts beside times.
///
/// # Errors
/// None.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let coalesce = Coalesce(CoalesceFunc::new());
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(coalesce)))?;
    state.register_function_rewrite(Arc::new(ComparedTimes))
}

/// What TIMESTAMP means without a precision.
#[derive(Debug)]
pub(crate) struct Microseconds;

impl TypePlanner for Microseconds {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let ast::DataType::Timestamp(None, zone) = sql_type else {
            return Ok(None);
        };
        let has_zone = matches!(
            zone,
            ast::TimezoneInfo::Tz | ast::TimezoneInfo::WithTimeZone
        );
        let zone = has_zone.then(|| Arc::from("UTC"));
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone);
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

/// Makes what is compared with times microseconds. It goes before the step that makes types equal, which would take nanoseconds.
#[derive(Debug)]
struct ComparedTimes;

impl FunctionRewrite for ComparedTimes {
    fn name(&self) -> &str {
        "compared_times"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let other = compared(&expr, schema).or_else(|| of_number(&expr, schema));
        Ok(match other {
            Some(other) => Transformed::yes(other),
            None => Transformed::no(expr),
        })
    }
}

/// Returns a comparison of microseconds; None where nothing in it has to become such, and for every other expression.
fn compared(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if rewrite::compares(*op) => {
            let operands = [left.as_ref(), right.as_ref()];
            let [left, right]: [Expr; 2] = in_micros(&operands, schema)?.try_into().ok()?;
            let binary = BinaryExpr::new(Box::new(left), *op, Box::new(right));
            Some(Expr::BinaryExpr(binary))
        }
        Expr::Between(between) => {
            let operands = [
                between.expr.as_ref(),
                between.low.as_ref(),
                between.high.as_ref(),
            ];
            let [expr, low, high]: [Expr; 3] = in_micros(&operands, schema)?.try_into().ok()?;
            let negated = between.negated;
            let between = Between::new(Box::new(expr), negated, Box::new(low), Box::new(high));
            Some(Expr::Between(between))
        }
        Expr::InList(list) => {
            let first = [list.expr.as_ref()];
            let operands: Vec<&Expr> = first.into_iter().chain(&list.list).collect();
            let mut operands = in_micros(&operands, schema)?.into_iter();
            let expr = Box::new(operands.next()?);
            let list = InList::new(expr, operands.collect(), list.negated);
            Some(Expr::InList(list))
        }
        _ => None,
    }
}

/// Returns the time of microseconds that `to_timestamp` makes of a number of seconds; None for every other expression.
fn of_number(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let [seconds] = call.args.as_slice() else {
        return None;
    };
    if call.name() != "to_timestamp" {
        return None;
    }
    let data_type = seconds.get_type(schema).ok()?;
    let Ok(DataType::Timestamp(_, zone)) = expr.get_type(schema) else {
        return None;
    };
    let to = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let seconds = seconds.clone();
    if data_type.is_integer() {
        let seconds = cast(seconds, DataType::Int64);
        let seconds = cast(seconds, DataType::Timestamp(TimeUnit::Second, zone));
        return Some(cast(seconds, to));
    }
    let micros = cast(seconds, DataType::Float64) * lit(1e6);
    let micros = cast(round(vec![micros]), DataType::Int64);
    let time = to_timestamp_micros(vec![micros]);
    data_type.is_numeric().then(|| cast(time, to))
}

/// Returns what is compared as microseconds; None where no time is among it, or nothing has to be cast.
fn in_micros(operands: &[&Expr], schema: &DFSchema) -> Option<Vec<Expr>> {
    // Whole plans are looked at: most comparisons have no time.
    let types = operands.iter().map(|operand| operand.get_type(schema).ok());
    let types: Vec<DataType> = types.collect::<Option<_>>()?;
    let mut zones = types.iter().filter_map(|data_type| match data_type {
        DataType::Timestamp(_, zone) => Some(zone),
        _ => None,
    });
    let first = zones.next()?;
    let zone = first
        .as_ref()
        .or_else(|| zones.find_map(|zone| zone.as_ref()));
    let is_of_nanos =
        |data_type: &DataType| matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, _));
    if types.iter().all(is_of_nanos) {
        return None;
    }
    let has_own_clock = zone.is_some_and(|zone| !matches!(&**zone, "UTC" | "+00:00" | "Z"));
    let mut has_changed = false;
    let operands = operands.iter().zip(&types).map(|(operand, data_type)| {
        let to = match data_type {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => zone.clone(),
            // Midnight of which zone, is a question that is answered elsewhere.
            DataType::Date32 if !has_own_clock => None,
            _ if literal_text(operand).is_some_and(|text| text.is_some()) => zone.cloned(),
            _ => return (*operand).clone(),
        };
        has_changed = true;
        let to = DataType::Timestamp(TimeUnit::Microsecond, to);
        cast((*operand).clone(), to)
    });
    let operands: Vec<Expr> = operands.collect();
    has_changed.then_some(operands)
}

/// `coalesce`, to which a text beside times is one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Coalesce(CoalesceFunc);

impl ScalarUDFImpl for Coalesce {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    /// JSON stays JSON beside constants: `coalesce(json_agg(x), '[]')`.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let mut arguments = args.arg_fields.iter().zip(args.scalar_arguments);
        let are_json = args.arg_fields.iter().any(|field| is_json(field))
            && arguments.all(|(field, constant)| is_json(field) || constant.is_some());
        let field = self.0.return_field_from_args(args)?;
        Ok(match are_json {
            true => {
                let json = json_field(field.name()).with_nullable(field.is_nullable());
                Arc::new(json.with_data_type(field.data_type().clone()))
            }
            false => field,
        })
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |data_type: &DataType| {
            matches!(
                data_type,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            )
        };
        let is_time =
            |data_type: &DataType| matches!(data_type, DataType::Timestamp(..) | DataType::Date32);
        if types.iter().any(is_text) && types.iter().any(is_time) {
            let others = types.iter().filter(|data_type| !is_text(data_type));
            let others: Vec<DataType> = others.cloned().collect();
            let coerced = self.0.coerce_types(&others)?;
            if let Some(time) = coerced.into_iter().find(is_time) {
                return Ok(vec![time; types.len()]);
            }
        }
        self.0.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.0.simplify(args, context)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.0.invoke_with_args(args)
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.0.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.0.short_circuits()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;
    use datafusion::prelude::{col, lit};

    use super::*;

    fn time(unit: TimeUnit, zone: Option<&str>) -> DataType {
        DataType::Timestamp(unit, zone.map(Arc::from))
    }

    #[test]
    fn times_are_compared_as_microseconds() {
        let fields = vec![
            Field::new("time", time(TimeUnit::Microsecond, Some("UTC")), false),
            Field::new("nanos", time(TimeUnit::Nanosecond, Some("UTC")), false),
            Field::new("day", DataType::Date32, false),
            Field::new("text", DataType::Utf8, false),
        ];
        let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
        let utc = || time(TimeUnit::Microsecond, Some("UTC"));
        let clock = || time(TimeUnit::Microsecond, None);
        let text = || lit("9999-12-31");
        for (written, expect) in [
            (
                col("time").lt(text()),
                Some(col("time").lt(cast(text(), utc()))),
            ),
            (
                col("time").gt(col("nanos")),
                Some(col("time").gt(cast(col("nanos"), utc()))),
            ),
            (
                col("day").eq(col("nanos")),
                Some(cast(col("day"), clock()).eq(cast(col("nanos"), utc()))),
            ),
            (
                col("nanos").between(col("time"), text()),
                Some(cast(col("nanos"), utc()).between(col("time"), cast(text(), utc()))),
            ),
            (
                col("time").in_list(vec![text(), col("time")], true),
                Some(col("time").in_list(vec![cast(text(), utc()), col("time")], true)),
            ),
            (col("time").eq(col("time")), None),
            (col("nanos").eq(col("nanos")), None),
            (col("time").eq(col("text")), None),
            (col("text").eq(text()), None),
            (col("day").eq(text()), None),
        ] {
            assert_eq!(compared(&written, &schema), expect, "{written}");
        }
    }

    #[test]
    fn a_text_beside_times_is_one() {
        let coalesce = Coalesce(CoalesceFunc::new());
        let utc = || time(TimeUnit::Microsecond, Some("UTC"));
        for (types, expect) in [
            (vec![utc(), DataType::Utf8], vec![utc(); 2]),
            (
                vec![DataType::Utf8, DataType::Date32],
                vec![DataType::Date32; 2],
            ),
            (
                vec![DataType::Utf8, DataType::Utf8],
                vec![DataType::Utf8; 2],
            ),
        ] {
            assert_eq!(coalesce.coerce_types(&types).unwrap(), expect, "{types:?}");
        }
    }
}
