//! What ROLLUP, CUBE and GROUPING SETS group by, computed before anything is grouped.
//!
//! `GROUP BY ROLLUP (a * 2)` -> `GROUP BY ROLLUP (x)` of `SELECT *, a * 2 AS x`, and above it `SELECT x AS "a * 2"`
//!
//! An expression in such a set is one of several columns that a single expression of the plan makes, so that no rule could
//! write it anew under the name that it had: numbers in it wrapped around, where they are an error everywhere else. As columns
//! of a query beneath they are expressions like all others.
//!
//! That is done as soon as a statement is planned: the steps that put functions in and make types equal come before all rules, and
//! write `date + 1` anew, too. Then `grouping(a * 2)` is a call still, and asks for the column instead, `grouping(x)`. What is
//! planned later, if anything is, goes through the rule.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;

/// The function that says which columns the set of a row leaves out.
const GROUPING: &str = "grouping";

/// Makes what such sets compute columns, of a plan that no rule has seen.
///
/// # Errors
/// Where the sets go with no plan.
pub fn computed_beneath(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut has_any = false;
    let computed = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) if asks_for_others(&aggregate) => {
            Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)))
        }
        // It has the columns of the groups beneath it, of which one is left out.
        window @ LogicalPlan::Window(_) if has_any => {
            window.recompute_schema().map(Transformed::yes)
        }
        plan => {
            let computed = of_plan(plan, SetOfRow::Unasked)?;
            has_any = has_any || computed.transformed;
            Ok(computed)
        }
    });
    computed.data()
}

/// Makes what such sets compute columns. It goes before all rules that write expressions anew.
#[derive(Debug)]
pub(crate) struct GroupingColumns;

impl AnalyzerRule for GroupingColumns {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| of_plan(plan, SetOfRow::Asked))
            .data()
    }

    fn name(&self) -> &str {
        "grouping_columns"
    }
}

/// Whether the column that says which set a row is of may be asked for above the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetOfRow {
    /// It may: that has become of `grouping()`.
    Asked,
    /// It is not: `grouping()` is a call among the aggregates. What DataFusion makes of it answers that column no more.
    Unasked,
}

fn of_plan(plan: LogicalPlan, set: SetOfRow) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.iter().any(has_computed) => {
            Ok(Transformed::yes(over_columns(aggregate, set)?))
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// Returns true where a call of `grouping` asks for what nothing is grouped by: the error is about what was written.
fn asks_for_others(aggregate: &Aggregate) -> bool {
    let mut grouped: Vec<&Expr> = Vec::new();
    for expr in &aggregate.group_expr {
        match expr {
            Expr::GroupingSet(sets) => grouped.extend(sets.distinct_expr()),
            expr => grouped.push(expr),
        }
    }
    let is_other = |arg: &Expr| !grouped.contains(&arg);
    let mut calls = aggregate.aggr_expr.iter().filter_map(grouping_call);
    calls.any(|call| call.params.args.iter().any(is_other))
}

/// Returns the call of `grouping` that an aggregate is; None for every other.
fn grouping_call(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::AggregateFunction(call) if call.func.name() == GROUPING => Some(call),
        Expr::Alias(alias) => grouping_call(&alias.expr),
        _ => None,
    }
}

/// Returns true for sets that group by more than columns.
fn has_computed(expr: &Expr) -> bool {
    match expr {
        Expr::GroupingSet(sets) => sets.distinct_expr().into_iter().any(is_computed),
        _ => false,
    }
}

fn is_computed(expr: &Expr) -> bool {
    !matches!(expr, Expr::Column(_) | Expr::Literal(..))
}

/// Returns the same groups of columns, and above them the names that the expressions had.
///
/// Beneath they have names of their own: casts are left out of names, so that `x::int` would be a second column `x`.
fn over_columns(aggregate: Aggregate, set: SetOfRow) -> Result<LogicalPlan> {
    let Aggregate {
        input,
        group_expr,
        aggr_expr,
        schema: written,
        ..
    } = aggregate;
    let mut computed: Vec<Expr> = Vec::new();
    let mut groups: Vec<Expr> = Vec::with_capacity(group_expr.len());
    for expr in group_expr {
        groups.push(match expr {
            Expr::GroupingSet(sets) => Expr::GroupingSet(of_columns(sets, &mut computed)),
            expr => expr,
        });
    }
    let aggr_expr = aggr_expr.into_iter();
    let aggr_expr = aggr_expr.map(|expr| of_grouping(expr, &computed));
    let aggr_expr = aggr_expr.collect::<Result<Vec<_>>>()?;
    let columns = input.schema().columns().into_iter();
    let mut columns: Vec<Expr> = columns.map(Expr::Column).collect();
    for (position, expr) in computed.into_iter().enumerate() {
        columns.push(expr.alias(name(position)));
    }
    let beneath = LogicalPlan::Projection(Projection::try_new(columns, input)?);
    let grouped = Aggregate::try_new(Arc::new(beneath), groups, aggr_expr)?;
    let mut named: Vec<Expr> = Vec::with_capacity(written.fields().len());
    for (found, written) in grouped.schema.iter().zip(written.iter()) {
        let (found, written) = (Column::from(found), Column::from(written));
        if set == SetOfRow::Unasked && found.name == Aggregate::INTERNAL_GROUPING_ID {
            continue;
        }
        named.push(match found == written {
            true => Expr::Column(found),
            false => Expr::Column(found).alias_qualified(written.relation, written.name),
        });
    }
    let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
    Ok(LogicalPlan::Projection(Projection::try_new(
        named, grouped,
    )?))
}

/// Returns sets of columns; what those are that are computed goes to `computed`, each once.
fn of_columns(sets: GroupingSet, computed: &mut Vec<Expr>) -> GroupingSet {
    match sets {
        GroupingSet::Rollup(exprs) => GroupingSet::Rollup(columns(exprs, computed)),
        GroupingSet::Cube(exprs) => GroupingSet::Cube(columns(exprs, computed)),
        GroupingSet::GroupingSets(sets) => {
            let sets = sets.into_iter().map(|exprs| columns(exprs, computed));
            GroupingSet::GroupingSets(sets.collect())
        }
    }
}

fn columns(exprs: Vec<Expr>, computed: &mut Vec<Expr>) -> Vec<Expr> {
    let exprs = exprs.into_iter();
    exprs.map(|expr| column(expr, computed)).collect()
}

fn column(expr: Expr, computed: &mut Vec<Expr>) -> Expr {
    if !is_computed(&expr) {
        return expr;
    }
    let known = computed.iter().position(|known| *known == expr);
    let position = known.unwrap_or_else(|| {
        computed.push(expr);
        computed.len() - 1
    });
    Expr::Column(Column::from_name(name(position)))
}

/// Returns an aggregate with the columns in it that `grouping` asks for; every other as it is.
fn of_grouping(expr: Expr, computed: &[Expr]) -> Result<Expr> {
    if grouping_call(&expr).is_none() {
        return Ok(expr);
    }
    let of_columns = expr.transform_up(|part| {
        let Expr::AggregateFunction(mut call) = part else {
            return Ok(Transformed::no(part));
        };
        for arg in &mut call.params.args {
            let position = computed.iter().position(|known| *known == *arg);
            if let Some(position) = position {
                *arg = Expr::Column(Column::from_name(name(position)));
            }
        }
        Ok(Transformed::yes(Expr::AggregateFunction(call)))
    });
    of_columns.data()
}

/// Returns what a computed column is called, as no column of a statement is by chance.
fn name(position: usize) -> String {
    format!("__grouped_by_{position}")
}
