//! Rows that are looked for in a subquery, `(a, b) IN (SELECT x, y …)`, as SQL says.
//!
//! ```text
//! WHERE (a, b) IN (SELECT x, y …)      ─▶  WHERE EXISTS (SELECT 1 FROM (SELECT x, y …) WHERE x = a AND y = b)
//! WHERE (a, b) NOT IN (SELECT x, y …)  ─▶  WHERE NOT EXISTS (… x = a AND y = b) AND NOT EXISTS (… x = a AND y IS NULL) AND …
//! ```
//!
//! DataFusion 55.2 looks for one value, and compares rows as values of structs, for which NULL is a part like others. Each EXISTS is
//! a join by the parts that are compared; where a part is NULL on either side it is one by the others, so that no pairs of all rows
//! are made. A row is among others for certain where all parts are equal, and nobody knows it where some are and the others NULL.
//!
//! It takes two steps. The planner knows what the columns behind IN are, and of which query each name is: it is given one value to
//! look for, a struct, in a subquery whose table has a name that nobody writes. In its plan that is found again.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr as Planned, ExprSchemable, Filter, LogicalPlan, Operator, Projection,
    SubqueryAlias, lit, not,
};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectFlavor, SelectItem, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins,
};
use meetnet_sql::{
    has_outer_columns, rewrite,
    unknown_members::{Unknown, any_of, as_outer, filtered, is_plain, rows_of},
};

use super::rows::parts;
use super::spelling::call;
use crate::error::QueryError;
use crate::postgres::apart;

#[cfg(test)]
mod tests;

/// What the rows behind IN are called. Nobody writes such a name.
const ROWS: &str = "rows behind IN";
/// Ways in which nobody knows whether a row is among others, or it is: each is a subquery of its own. Three parts that may be NULL
/// on both sides have so many.
const WAYS_MAX: usize = 27;

/// Returns a row that is looked for in a subquery as one value; None for every other expression.
pub(super) fn as_one_value(expr: &Expr) -> Option<Expr> {
    let (row, rows, negated) = match expr {
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => (expr, subquery.as_ref(), *negated),
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => (left, queried(right)?, false),
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => (left, queried(right)?, true),
        _ => return None,
    };
    let row = parts(row)?;
    // Rows in rows are refused.
    if row.len() < 2 || row.iter().any(|part| parts(part).is_some()) {
        return None;
    }
    let value = call("struct", row.iter().map(|part| (*part).clone()).collect());
    Some(Expr::InSubquery {
        expr: Box::new(Expr::Function(value)),
        subquery: Box::new(each_as_one_value(rows.clone(), row.len())),
        negated,
    })
}

/// Returns the query that an expression is.
fn queried(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Subquery(query) => Some(query.as_ref()),
        Expr::Nested(expr) => queried(expr),
        _ => None,
    }
}

/// Returns the query that answers each row of another one as one value.
fn each_as_one_value(mut rows: Query, columns: usize) -> Query {
    // An ORDER BY may mean a column by its name.
    if rows.order_by.is_none() {
        apart(&mut rows);
    }
    let names = (0..columns).map(|position| Ident::new(format!("c{position}")));
    let names: Vec<Ident> = names.collect();
    let values = names.iter().cloned().map(Expr::Identifier).collect();
    let columns = names.into_iter().map(|name| TableAliasColumnDef {
        name,
        data_type: None,
    });
    let alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', ROWS),
        columns: columns.collect(),
        at: None,
    };
    let table = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(rows),
        alias: Some(alias),
        sample: None,
    };
    let values = Expr::Function(call("struct", values));
    query_of(vec![SelectItem::UnnamedExpr(values)], table)
}

/// Returns the query that answers so much of what a table has.
pub(super) fn query_of(projection: Vec<SelectItem>, table: TableFactor) -> Query {
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from: vec![TableWithJoins {
            relation: table,
            joins: Vec::new(),
        }],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// Compares the rows of a plan that are looked for in subqueries part by part. It goes before all rules, which make the types of both
/// sides equal.
///
/// # Errors
/// `BadRequest` where such a row stands in something else than a condition or what a query answers, or the subquery cannot become
/// a join.
pub(super) fn by_parts(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(of_node).data()
}

fn of_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut has_any = false;
    plan.apply_expressions(|expr| {
        has_any = has_any || expr.exists(|part| Ok(is_member(part)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !has_any {
        return Ok(Transformed::no(plan));
    }
    let (input, unknown) = match &plan {
        LogicalPlan::Filter(Filter { input, .. }) => (input, Unknown::False),
        LogicalPlan::Projection(Projection { input, .. }) => (input, Unknown::Itself),
        _ => return Err(refused("in ON, FILTER, GROUP BY or ORDER BY")),
    };
    let around = Around {
        schema: Arc::clone(input.schema()),
        is_certain: !has_values_of_subqueries(input)?,
    };
    let of_expr = |expr: Planned, _: &DFSchema| compared_within(expr, unknown, &around);
    rewrite::of_plan(plan, &is_member, &of_expr)
}

/// The rows around a subquery.
struct Around {
    schema: DFSchemaRef,
    /// Whether the schema tells what may be NULL.
    is_certain: bool,
}

/// Compares rows in an expression; `unknown` says what NULL may be taken for where it stands.
fn compared_within(
    expr: Planned,
    unknown: Unknown,
    around: &Around,
) -> Result<Transformed<Planned>> {
    if let Some(member) = Member::of(&expr) {
        return compared(&member, unknown, around).map(Transformed::yes);
    }
    match expr {
        Planned::Not(negated) => {
            let negated = compared_within(*negated, unknown.negated(), around)?;
            Ok(negated.update_data(not))
        }
        expr @ Planned::BinaryExpr(BinaryExpr {
            op: Operator::And | Operator::Or,
            ..
        }) => expr.map_children(|part| compared_within(part, unknown, around)),
        expr => expr.map_children(|part| compared_within(part, Unknown::Itself, around)),
    }
}

/// A row that is looked for in a subquery.
struct Member<'a> {
    row: &'a [Planned],
    rows: &'a SubqueryAlias,
    /// The subquery has columns of the query around it.
    is_correlated: bool,
    negated: bool,
}

impl<'a> Member<'a> {
    /// Returns what [`as_one_value`] has made one value of; None for every other expression.
    fn of(expr: &'a Planned) -> Option<Self> {
        let Planned::InSubquery(member) = expr else {
            return None;
        };
        let Planned::ScalarFunction(row) = member.expr.as_ref() else {
            return None;
        };
        let LogicalPlan::Projection(projection) = member.subquery.subquery.as_ref() else {
            return None;
        };
        let LogicalPlan::SubqueryAlias(rows) = projection.input.as_ref() else {
            return None;
        };
        (rows.alias.table() == ROWS).then_some(Self {
            row: row.args.as_slice(),
            rows,
            is_correlated: !member.subquery.outer_ref_columns.is_empty(),
            negated: member.negated,
        })
    }
}

fn is_member(expr: &Planned) -> bool {
    Member::of(expr).is_some()
}

/// Returns the conditions that a row looked for in a subquery means.
fn compared(member: &Member, unknown: Unknown, around: &Around) -> Result<Planned> {
    for part in member.row {
        // Columns of two queries around it are those of none here.
        if part.contains_outer() || part.exists(|part| Ok(is_subquery(part)))? {
            return Err(refused(
                "of a row with a subquery in it, or with columns of a query further out",
            ));
        }
    }
    let (rows, columns) = match member.is_correlated {
        true => correlated_rows(member)?,
        false => {
            let columns = member.rows.schema.columns().into_iter();
            let rows = LogicalPlan::SubqueryAlias(member.rows.clone());
            (rows, columns.map(Planned::Column).collect())
        }
    };
    if columns.len() != member.row.len() {
        return Err(refused("of another number of columns"));
    }
    let row = member.row.iter().zip(&columns);
    let row = row.map(|(part, column)| with_type_of(part, column, rows.schema()));
    let row = row.collect::<Result<Vec<_>>>()?;
    let looked_up = LookedUp {
        pairs: row.iter().zip(&columns).collect(),
        rows: &rows,
        around,
    };
    let equal = vec![Met::Equal; columns.len()];
    // Of these NULL is as good as where no row is equal.
    match (unknown, member.negated) {
        (Unknown::False, false) => return looked_up.met(&equal),
        (Unknown::True, true) => return looked_up.met(&equal).map(not),
        _ => {}
    }
    let mut ways = looked_up.ways()?.into_iter();
    let equal = ways.next().unwrap_or(equal);
    let found = looked_up.met(&equal)?;
    let others = ways.map(|way| looked_up.met(&way));
    let others = others.collect::<Result<Vec<_>>>()?;
    Ok(match (unknown, member.negated) {
        // Each is a join of its own.
        (Unknown::False, _) => others
            .into_iter()
            .fold(not(found), |none, other| none.and(not(other))),
        (Unknown::True, _) => others.into_iter().fold(found, Planned::or),
        (Unknown::Itself, negated) => {
            let found = match disjunction(others) {
                Some(is_unknown) => found.or(is_unknown.and(lit(ScalarValue::Boolean(None)))),
                None => found,
            };
            if negated { not(found) } else { found }
        }
    })
}

/// Returns the rows of a subquery with columns of the query around it, and what it answers of each: what is compared has to stand in
/// the one filter that such columns are looked for in.
fn correlated_rows(member: &Member) -> Result<(LogicalPlan, Vec<Planned>)> {
    let is_other = || {
        refused(
            "of a subquery with columns of the query around it, and more than FROM and WHERE, or columns of the same names",
        )
    };
    // The names of its columns are given by a query of their own.
    let LogicalPlan::Projection(named) = member.rows.input.as_ref() else {
        return Err(is_other());
    };
    let columns = named.input.schema().columns().into_iter();
    let (rows, columns) = rows_of(&named.input, columns.map(Planned::Column).collect())?;
    let unfiltered = match &rows {
        LogicalPlan::Filter(filter) => filter.input.as_ref(),
        rows => rows,
    };
    // Their groups and their first rows are others where a condition is put below them.
    if !is_plain(&rows)? || has_outer_columns(unfiltered)? {
        return Err(is_other());
    }
    for column in &columns {
        if column.contains_outer() || column.exists(|part| Ok(is_subquery(part)))? {
            return Err(is_other());
        }
    }
    // As conditions of a join they would be columns of one side.
    let mut of_row = member.row.iter().flat_map(Planned::column_refs);
    if of_row.any(|column| rows.schema().has_column(column)) {
        return Err(is_other());
    }
    Ok((rows, columns))
}

/// Returns a part of a row; a parameter is of the type of the column that it is compared with.
fn with_type_of(part: &Planned, column: &Planned, schema: &DFSchema) -> Result<Planned> {
    let equal = part.clone().eq(column.clone());
    Ok(match equal.infer_placeholder_types(schema)? {
        (Planned::BinaryExpr(BinaryExpr { left, .. }), _) => *left,
        _ => part.clone(),
    })
}

/// How a part of a row meets that of another one, for certain or as far as anybody knows.
#[derive(Clone, Copy)]
enum Met {
    Equal,
    /// The part that is looked for is NULL.
    IsNull,
    /// The part of the row that is looked through is NULL.
    ByNull,
}

/// A row, and the rows that it is looked for among.
struct LookedUp<'a> {
    /// Parts of the row, each with the column it is compared with.
    pairs: Vec<(&'a Planned, &'a Planned)>,
    rows: &'a LogicalPlan,
    around: &'a Around,
}

impl LookedUp<'_> {
    /// Returns the ways in which nobody can say that the row is not among the others: that all parts are equal first.
    fn ways(&self) -> Result<Vec<Vec<Met>>> {
        let is_certain = !has_values_of_subqueries(self.rows)?;
        let mut ways: Vec<Vec<Met>> = vec![Vec::new()];
        for (part, column) in &self.pairs {
            let mut of_part = vec![Met::Equal];
            if may_be_null(part, &self.around.schema, self.around.is_certain) {
                of_part.push(Met::IsNull);
            }
            if may_be_null(column, self.rows.schema(), is_certain) {
                of_part.push(Met::ByNull);
            }
            if ways.len() * of_part.len() > WAYS_MAX {
                return Err(refused(
                    "with more than three parts that may be NULL on both sides, below NOT or as a value",
                ));
            }
            let longer = ways.iter().flat_map(|way| {
                of_part.iter().map(move |met| {
                    let mut way = way.clone();
                    way.push(*met);
                    way
                })
            });
            ways = longer.collect();
        }
        Ok(ways)
    }

    /// Returns the condition that there is a row whose parts meet so.
    fn met(&self, way: &[Met]) -> Result<Planned> {
        let mut of_row = Vec::new();
        let mut of_rows = Vec::new();
        for ((part, column), met) in self.pairs.iter().copied().zip(way) {
            match met {
                Met::Equal => {
                    let value = as_outer(part.clone(), &self.around.schema)?;
                    of_rows.push(column.clone().eq(value));
                }
                Met::IsNull => of_row.push(part.clone().is_null()),
                Met::ByNull => of_rows.push(column.clone().is_null()),
            }
        }
        let rows = match conjunction(of_rows) {
            Some(condition) => filtered(self.rows, condition)?,
            None => self.rows.clone(),
        };
        let is_correlated = !rows.all_out_ref_exprs().is_empty();
        let is_there = any_of(rows, is_correlated)?;
        Ok(match conjunction(of_row) {
            Some(condition) => condition.and(is_there),
            None => is_there,
        })
    }
}

/// Returns true for what may be NULL; for what nobody knows, too.
fn may_be_null(expr: &Planned, schema: &DFSchema, is_certain: bool) -> bool {
    match expr {
        Planned::Literal(value, _) => value.is_null(),
        expr => !is_certain || expr.nullable(schema).unwrap_or(true),
    }
}

fn is_subquery(expr: &Planned) -> bool {
    matches!(
        expr,
        Planned::ScalarSubquery(_)
            | Planned::InSubquery(_)
            | Planned::Exists(_)
            | Planned::SetComparison(_)
    )
}

/// Returns true where a plan has the value of a subquery somewhere: of no row it is NULL, also where its column never is, and no
/// schema says so yet.
fn has_values_of_subqueries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| {
        let mut has_any = false;
        plan.apply_expressions(|expr| {
            let is_value = |part: &Planned| Ok(matches!(part, Planned::ScalarSubquery(_)));
            has_any = has_any || expr.exists(is_value)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(has_any)
    })
}

fn refused(what: &str) -> DataFusionError {
    let what = format!(
        "(a, b) IN (SELECT x, y FROM t) {what}; write WHERE EXISTS (SELECT 1 FROM t WHERE t.x = outer.a AND t.y = \
         outer.b), or JOIN (SELECT DISTINCT x, y FROM t) AS t ON …"
    );
    QueryError::not_supported(what).into()
}
