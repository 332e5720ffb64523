//! Spans of time, compared by how long they are.
//!
//! `now() - time < INTERVAL '7 days'` -> `justify_interval(now() - time) < justify_interval(INTERVAL '7 days')`
//!
//! An interval has months, days and nanoseconds. DataFusion 55.2 compares the months first and the nanoseconds last: 90 hours
//! would be less than a day, and a day another span than 24 hours. No error says so. PostgreSQL counts a day as 24 hours and a
//! month as 30 days. So wherever intervals are compared, sorted, grouped or told apart, each is written anew with as many months
//! and then as many days as there are in it, all of one sign: of these, comparing the parts one after the other is right.
//! `least` and its like answer what they choose as it is: [`chosen`].
//!
//! What stays outside: lists of intervals. Times less an interval (`time > now() - INTERVAL '7 days'`) compare times.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{
    Between, BinaryExpr, Case, InList, InSubquery, SetComparison, Sort,
};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Distinct, DistinctOn, Expr, ExprSchemable, LogicalPlan, Projection,
    ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Subquery, Volatility,
    WindowFrameUnits, cast,
};
use datafusion::optimizer::AnalyzerRule;
use meetnet_functions::justified as justified_interval;

use chosen::Choice;

use crate::error::QueryError;
use crate::rewrite;

mod chosen;
#[cfg(test)]
mod tests;

/// Puts in its place what refuses before types are made equal. [`ComparedIntervals`] goes behind it.
///
/// # Errors
/// Where the session takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    state.register_function_rewrite(Arc::new(RangesOfIntervals))
}

/// Refuses windows whose frames are ranges of spans or times of day, as they are without ROWS: types cannot be made equal there,
/// and the error would be one of the server.
#[derive(Debug)]
struct RangesOfIntervals;

impl FunctionRewrite for RangesOfIntervals {
    fn name(&self) -> &str {
        "ranges_of_intervals"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::WindowFunction(call) = &expr else {
            return Ok(Transformed::no(expr));
        };
        if call.params.window_frame.units != WindowFrameUnits::Range {
            return Ok(Transformed::no(expr));
        }
        // The others are compared as everywhere.
        let first = call.params.order_by.first();
        let number = match first.map(|first| first.expr.get_type(schema)) {
            Some(Ok(DataType::Interval(_))) => "date_part('epoch', x)",
            Some(Ok(DataType::Duration(_) | DataType::Time32(_) | DataType::Time64(_))) => {
                "CAST(x AS BIGINT)"
            }
            _ => return Ok(Transformed::no(expr)),
        };
        Err(refused(&format!(
            "a window in order of spans of time or times of day; write OVER (ORDER BY {number})"
        )))
    }
}

/// Makes intervals comparable wherever they are compared.
#[derive(Debug)]
pub(crate) struct ComparedIntervals;

impl AnalyzerRule for ComparedIntervals {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).data()
    }

    fn name(&self) -> &str {
        "compared_intervals"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !may_have_intervals(&plan)? {
        return Ok(Transformed::no(plan));
    }
    // What the rows of these are sorted, joined or grouped by are their expressions themselves.
    let has_keys = matches!(
        plan,
        LogicalPlan::Sort(_) | LogicalPlan::Join(_) | LogicalPlan::Aggregate(_)
    );
    match plan {
        LogicalPlan::Distinct(Distinct::All(input)) => distinct(input),
        LogicalPlan::Distinct(Distinct::On(on)) => {
            check_distinct_on(&on)?;
            let plan = LogicalPlan::Distinct(Distinct::On(on));
            rewrite::of_plan(plan, &|_| true, &|expr, schema| {
                Compared { schema }.whole(expr)
            })
        }
        plan => rewrite::of_plan(plan, &|_| true, &|expr, schema| {
            let compared = Compared { schema };
            let rewritten = compared.whole(expr)?;
            match has_keys {
                true => rewritten.transform_data(|expr| Ok(compared.key(expr))),
                false => Ok(rewritten),
            }
        }),
    }
}

/// Returns false for a plan that has to do with no interval, as nearly all do, without a look at types of expressions.
fn may_have_intervals(plan: &LogicalPlan) -> Result<bool> {
    let inputs = plan.inputs();
    let mut columns = inputs.iter().flat_map(|input| input.schema().fields());
    if columns.any(|column| is_interval(column.data_type())) {
        return Ok(true);
    }
    let mut found = false;
    plan.apply_expressions(|expr| {
        found = found || expr.exists(|expr| Ok(may_be_interval(expr)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Returns true for what may be an interval though none of the columns is one.
fn may_be_interval(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => matches!(value, ScalarValue::IntervalMonthDayNano(_)),
        Expr::Cast(cast) => is_interval(cast.field.data_type()),
        Expr::TryCast(cast) => is_interval(cast.field.data_type()),
        Expr::ScalarFunction(_) | Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(..) => true,
        _ => false,
    }
}

fn is_interval(data_type: &DataType) -> bool {
    *data_type == DataType::Interval(IntervalUnit::MonthDayNano)
}

/// Puts the intervals of rows that are told apart in the form that tells them apart.
fn distinct(input: Arc<LogicalPlan>) -> Result<Transformed<LogicalPlan>> {
    let columns = input.schema().iter().map(|(relation, field)| {
        let column = Expr::Column(Column::from((relation, field)));
        match is_interval(field.data_type()) {
            true => justified(column).alias_qualified(relation.cloned(), field.name()),
            false => column,
        }
    });
    let columns = columns.collect();
    let told = LogicalPlan::Projection(Projection::try_new(columns, input)?);
    let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(told)));
    Ok(Transformed::yes(plan))
}

fn check_distinct_on(on: &DistinctOn) -> Result<()> {
    let schema = on.input.schema();
    let compared = Compared { schema };
    let order = on.sort_expr.as_deref().unwrap_or_default();
    match compared.has_span(&on.on_expr) || compared.is_sorted(order) {
        true => Err(refused(
            "DISTINCT ON with an interval in it, or in its ORDER BY; write date_part('epoch', x) for the interval",
        )),
        false => Ok(()),
    }
}

/// Expressions over columns of a schema, with the intervals in them made comparable.
struct Compared<'a> {
    schema: &'a DFSchema,
}

impl Compared<'_> {
    fn is_span(&self, expr: &Expr) -> bool {
        let data_type = expr.get_type(self.schema);
        data_type.is_ok_and(|data_type| is_interval(&data_type))
    }

    fn has_span(&self, of: &[Expr]) -> bool {
        of.iter().any(|expr| self.is_span(expr))
    }

    /// Returns true for an order by an interval.
    fn is_sorted(&self, by: &[Sort]) -> bool {
        by.iter().any(|sort| self.is_span(&sort.expr))
    }

    /// Rewrites all comparisons in an expression.
    fn whole(&self, expr: Expr) -> Result<Transformed<Expr>> {
        match expr {
            // Each of its parts is a column of its own, and would need its own name back.
            Expr::GroupingSet(sets) => {
                let parts = sets.distinct_expr();
                let has_span = parts.into_iter().any(|part| self.is_span(part));
                match has_span {
                    true => Err(refused(
                        "ROLLUP, CUBE and GROUPING SETS of an interval; group by date_part('epoch', x)",
                    )),
                    false => Ok(Transformed::no(Expr::GroupingSet(sets))),
                }
            }
            expr => expr.transform_up(|expr| self.comparison(expr)),
        }
    }

    /// Rewrites what rows are sorted, joined or grouped by; aggregates among the expressions of a plan are none of that.
    fn key(&self, expr: Expr) -> Transformed<Expr> {
        let is_aggregate = match &expr {
            Expr::Alias(alias) => matches!(*alias.expr, Expr::AggregateFunction(_)),
            expr => matches!(expr, Expr::AggregateFunction(_)),
        };
        match is_aggregate || !self.is_span(&expr) {
            true => Transformed::no(expr),
            false => Transformed::yes(justified(expr.unalias())),
        }
    }

    /// Rewrites one comparison, of whatever kind.
    fn comparison(&self, expr: Expr) -> Result<Transformed<Expr>> {
        Ok(Transformed::yes(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if rewrite::compares(op) && self.is_span(&right) && self.is_span(&left) =>
            {
                let [left, right] = [left, right].map(|side| Box::new(justified(*side)));
                Expr::BinaryExpr(BinaryExpr { left, op, right })
            }
            Expr::Between(between) if self.is_span(&between.expr) => Expr::Between(Between {
                expr: Box::new(justified(*between.expr)),
                negated: between.negated,
                low: Box::new(self.span(*between.low).data),
                high: Box::new(self.span(*between.high).data),
            }),
            Expr::InList(list) if self.is_span(&list.expr) => Expr::InList(InList {
                expr: Box::new(justified(*list.expr)),
                list: self.spans(list.list),
                negated: list.negated,
            }),
            Expr::Case(Case {
                expr: Some(base),
                when_then_expr,
                else_expr,
            }) if self.is_span(&base) => {
                let branches = when_then_expr.into_iter();
                let branches = branches.map(|(when, then)| (Box::new(self.span(*when).data), then));
                Expr::Case(Case {
                    expr: Some(Box::new(justified(*base))),
                    when_then_expr: branches.collect(),
                    else_expr,
                })
            }
            Expr::InSubquery(InSubquery { expr, subquery, .. })
            | Expr::SetComparison(SetComparison { expr, subquery, .. })
                if self.is_span(&expr) || is_of_intervals(&subquery) =>
            {
                return Err(refused(
                    "intervals compared with those of a subquery by IN, ANY or ALL; compare seconds: \
                     date_part('epoch', x) IN (SELECT date_part('epoch', y) FROM …)",
                ));
            }
            Expr::ScalarFunction(call) => match Choice::of(call.name()) {
                Some(choice) if self.has_span(&call.args) => {
                    // NULL alone is none yet.
                    let among = call.args.into_iter().map(|arg| match self.is_span(&arg) {
                        true => arg,
                        false => cast(arg, DataType::Interval(IntervalUnit::MonthDayNano)),
                    });
                    choice.call(among.collect())
                }
                _ => return Ok(Transformed::no(Expr::ScalarFunction(call))),
            },
            call @ (Expr::AggregateFunction(_) | Expr::WindowFunction(_)) => {
                return match tells_apart(&call) {
                    // Arguments and keys; a condition is no interval.
                    true => call.map_children(|part| Ok(self.span(part))),
                    false => {
                        rewrite::keys_of_call(call, |keys| keys.each(|key| Ok(self.span(key))))
                    }
                };
            }
            expr => return Ok(Transformed::no(expr)),
        }))
    }

    /// Returns an interval in the form that can be compared, everything else as it is.
    fn span(&self, expr: Expr) -> Transformed<Expr> {
        match self.is_span(&expr) {
            true => Transformed::yes(justified(expr)),
            false => Transformed::no(expr),
        }
    }

    fn spans(&self, of: Vec<Expr>) -> Vec<Expr> {
        of.into_iter().map(|expr| self.span(expr).data).collect()
    }
}

/// Returns true for a call of an aggregate that compares the values it sees.
fn tells_apart(call: &Expr) -> bool {
    let (aggregate, is_distinct) = match call {
        Expr::AggregateFunction(call) => (call.func.name(), call.params.distinct),
        Expr::WindowFunction(call) => (call.fun.name(), call.params.distinct),
        _ => return false,
    };
    is_distinct || ["min", "max", "mode"].contains(&aggregate)
}

fn is_of_intervals(subquery: &Subquery) -> bool {
    let mut columns = subquery.subquery.schema().fields().iter();
    columns.any(|column| is_interval(column.data_type()))
}

fn refused(what: &str) -> DataFusionError {
    QueryError::not_supported(what).into()
}

fn justified(expr: Expr) -> Expr {
    let function = ScalarUDF::new_from_impl(JustifyInterval {
        signature: Signature::any(1, Volatility::Immutable),
    });
    function.call(vec![expr])
}

/// The same span with as many months of 30 days, then days of 24 hours, as there are in it, all of one sign.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JustifyInterval {
    signature: Signature,
}

impl ScalarUDFImpl for JustifyInterval {
    fn name(&self) -> &str {
        "justify_interval"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let data_type = DataType::Interval(IntervalUnit::MonthDayNano);
        Ok(Arc::new(Field::new(self.name(), data_type, is_nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// Any interval: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [spans] = args.args.as_slice() else {
            return Err(uncalled());
        };
        rewrite::each_value(spans, all_justified)
    }
}

fn all_justified(spans: &ArrayRef) -> Result<ArrayRef> {
    let spans = spans.as_primitive_opt::<IntervalMonthDayNanoType>();
    let spans = spans.ok_or_else(uncalled)?;
    let spans = spans.try_unary::<_, IntervalMonthDayNanoType, _>(as_justified)?;
    Ok(Arc::new(spans))
}

fn as_justified(span: IntervalMonthDayNano) -> Result<IntervalMonthDayNano, ArrowError> {
    justified_interval(span)
        .map_err(|months| ArrowError::ArithmeticOverflow(format!("an interval of {months} months")))
}

/// The error of a call that no plan makes.
fn uncalled() -> DataFusionError {
    DataFusionError::Plan("`justify_interval` was called with something else".to_owned())
}
