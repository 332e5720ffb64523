//! `NOT IN` a subquery where NULL is looked for, or is among what is looked through: nobody knows then, as in PostgreSQL.
//!
//! ```text
//! WHERE x NOT IN (SELECT y …) OR z
//! ─▶ WHERE (x NOT IN (SELECT y …) AND NOT (x IS NULL AND EXISTS (SELECT y …) OR EXISTS (SELECT y … WHERE y IS NULL))) OR z
//! ```
//!
//! DataFusion 55.2 makes a join of it that knows of NULL where it stands alone in WHERE, compares columns, and has none of the query
//! around it. Elsewhere NULL was among nothing, so that rows were there which PostgreSQL leaves out, and no error says so; with
//! columns of the query around it, it was an error, or left out rows.
//!
//! IN does no harm where what is NULL is left out, as in WHERE beside AND and OR: only below NOT, and in what asks for more than
//! that, such as `(x IN (SELECT …)) IS NULL`.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, disjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator,
    exists, lit, not,
};
use datafusion::optimizer::AnalyzerRule;

/// Says in conditions where such a value is unknown. It goes behind the step that makes types equal.
#[derive(Debug)]
pub struct UnknownMembers;

impl AnalyzerRule for UnknownMembers {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Filter(filter) if has_members(&filter.predicate)? => of_filter(filter),
            plan => Ok(Transformed::no(plan)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "unknown_members"
    }
}

fn has_members(expr: &Expr) -> Result<bool> {
    expr.exists(|part| Ok(matches!(part, Expr::InSubquery(_))))
}

fn of_filter(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let schema = filter.input.schema();
    let mut is_other = false;
    let mut terms = Vec::new();
    for term in split_conjunction_owned(filter.predicate) {
        let term = match has_members(&term)? {
            true => with_unknown(term, Unknown::False, true, schema)?,
            false => Transformed::no(term),
        };
        is_other |= term.transformed;
        terms.push(term.data);
    }
    let predicate = conjunction(terms).unwrap_or_else(|| lit(true));
    let filter = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
    Ok(match is_other {
        true => Transformed::yes(filter),
        false => Transformed::no(filter),
    })
}

/// What NULL may be taken for where a part of a condition stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// False, as where only rows of which it is true are asked for.
    False,
    /// True, as below a NOT there.
    True,
    /// Nothing but itself.
    Itself,
}

impl Unknown {
    /// Returns the same of what stands below a NOT.
    pub fn negated(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Itself => Self::Itself,
        }
    }
}

/// Rewrites what is looked for in subqueries; `is_alone` where the whole term of a WHERE is given.
fn with_unknown(
    expr: Expr,
    unknown: Unknown,
    is_alone: bool,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    match expr {
        Expr::InSubquery(member) => match other_member(&member, unknown, is_alone, schema)? {
            Some(other) => Ok(Transformed::yes(other)),
            None => Ok(Transformed::no(Expr::InSubquery(member))),
        },
        Expr::Not(negated) => match *negated {
            Expr::InSubquery(mut member) => {
                member.negated = !member.negated;
                with_unknown(Expr::InSubquery(member), unknown, is_alone, schema)
            }
            negated => {
                let negated = with_unknown(negated, unknown.negated(), false, schema)?;
                Ok(negated.update_data(not))
            }
        },
        expr @ Expr::BinaryExpr(BinaryExpr {
            op: Operator::And | Operator::Or,
            ..
        }) => expr.map_children(|part| with_unknown(part, unknown, false, schema)),
        expr => expr.map_children(|part| with_unknown(part, Unknown::Itself, false, schema)),
    }
}

/// Returns the condition with what makes it unknown; None where DataFusion's is right, or nobody knows better.
fn other_member(
    member: &InSubquery,
    unknown: Unknown,
    is_alone: bool,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    // Of these NULL is as good as what a join without NULL answers.
    let is_harmless = match unknown {
        Unknown::False => !member.negated,
        Unknown::True => member.negated,
        Unknown::Itself => false,
    };
    let value = member.expr.as_ref();
    // Columns of two queries around it are those of none here.
    if is_harmless || value.contains_outer() {
        return Ok(None);
    }
    let of_subquery = member.subquery.subquery.schema().fields().first();
    let has_nulls = of_subquery.is_some_and(|field| field.is_nullable());
    let is_nullable = value.nullable(schema)?;
    // With columns of the query around it that may be NULL, DataFusion would ask for NULL though none is looked for, and fail.
    let is_correlated = !member.subquery.outer_ref_columns.is_empty();
    if !has_nulls && !is_nullable && !is_correlated {
        return Ok(None);
    }
    // Its join knows of NULL where a column is looked for: a constant is no key of a join.
    let columns = value.column_refs();
    let knows_of_nulls = columns.into_iter().any(|column| {
        let field = schema.field_from_column(column);
        has_nulls || field.is_ok_and(|field| field.is_nullable())
    });
    if is_alone && member.negated && !is_correlated && knows_of_nulls {
        return Ok(None);
    }
    let column = Expr::Column(Column::from(
        member.subquery.subquery.schema().qualified_field(0),
    ));
    let (rows, mut among) = rows_of(&member.subquery.subquery, vec![column])?;
    let Some(among) = among.pop() else {
        return Ok(None);
    };
    // Their groups and their first rows are others where a condition is put below them.
    if is_correlated && !is_plain(&rows)? {
        return Ok(None);
    }
    let found = match is_correlated {
        true => {
            let value = as_outer(value.clone(), schema)?;
            any_of(filtered(&rows, among.clone().eq(value))?, true)?
        }
        false => Expr::InSubquery(InSubquery {
            negated: false,
            ..member.clone()
        }),
    };
    let mut reasons = Vec::new();
    if is_nullable {
        let has_rows = any_of(rows.clone(), is_correlated)?;
        reasons.push(value.clone().is_null().and(has_rows));
    }
    if has_nulls {
        let nulls = filtered(&rows, among.is_null())?;
        reasons.push(any_of(nulls, is_correlated)?);
    }
    let is_unknown = disjunction(reasons).unwrap_or_else(|| lit(false));
    Ok(Some(match (unknown, member.negated) {
        (Unknown::False, _) => not(found).and(not(is_unknown)),
        (Unknown::True, _) => found.or(is_unknown),
        (Unknown::Itself, negated) => {
            let found = found.or(is_unknown.and(lit(ScalarValue::Boolean(None))));
            if negated { not(found) } else { found }
        }
    }))
}

/// Returns the condition that there is a row; one is enough to look for where all rows around it ask for the same.
pub fn any_of(rows: LogicalPlan, is_correlated: bool) -> Result<Expr> {
    let rows = LogicalPlanBuilder::from(rows).project([lit(1_i64)])?;
    let rows = match is_correlated {
        true => rows,
        false => rows.limit(0, Some(1))?,
    };
    Ok(exists(Arc::new(rows.build()?)))
}

/// Returns the rows that a subquery answers, whatever their order is and how often they come, and of what they hold the same as
/// `columns` of what it answers.
pub fn rows_of(subquery: &LogicalPlan, mut columns: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
    let mut rows = subquery;
    loop {
        rows = match rows {
            LogicalPlan::Projection(projection) => {
                let of_column = |part: Expr| {
                    let Expr::Column(column) = &part else {
                        return Ok(Transformed::no(part));
                    };
                    let position = projection.schema.maybe_index_of_column(column);
                    let computed = position.and_then(|position| projection.expr.get(position));
                    Ok(match computed {
                        Some(computed) => {
                            let computed = computed.clone().unalias();
                            Transformed::new(computed, true, TreeNodeRecursion::Jump)
                        }
                        None => Transformed::no(part),
                    })
                };
                let beneath = columns.into_iter();
                let beneath = beneath.map(|column| column.transform_down(of_column).data());
                columns = beneath.collect::<Result<Vec<Expr>>>()?;
                projection.input.as_ref()
            }
            LogicalPlan::Distinct(Distinct::All(input)) => input.as_ref(),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => sort.input.as_ref(),
            rows => return Ok((rows.clone(), columns)),
        };
    }
}

/// Returns true for rows of tables, joined and filtered, and of subqueries in FROM.
pub fn is_plain(rows: &LogicalPlan) -> Result<bool> {
    let is_other = rows.exists(|plan| {
        Ok(!matches!(
            plan,
            LogicalPlan::Filter(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Join(_)
        ))
    })?;
    Ok(!is_other)
}

/// Returns those rows for which a condition is true, too: one filter, which columns of the query around it are looked for in.
pub fn filtered(rows: &LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    let filter = match rows {
        LogicalPlan::Filter(filter) => Filter::try_new(
            filter.predicate.clone().and(condition),
            Arc::clone(&filter.input),
        )?,
        rows => Filter::try_new(condition, Arc::new(rows.clone()))?,
    };
    Ok(LogicalPlan::Filter(filter))
}

/// Returns an expression of the query around a subquery as it stands in the subquery.
pub fn as_outer(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let outer = expr.transform_up(|part| {
        let Expr::Column(column) = &part else {
            return Ok(Transformed::no(part));
        };
        let field = Arc::clone(schema.field_from_column(column)?);
        let outer = Expr::OuterReferenceColumn(field, column.clone());
        Ok(Transformed::yes(outer))
    });
    outer.data()
}
