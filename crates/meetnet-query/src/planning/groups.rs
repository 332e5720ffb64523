//! `GROUP BY 1`, where the first column is an aggregate: an aggregate is computed of groups, and DataFusion says of such a
//! statement that two columns have one name, or that a plan cannot be made.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::AggregateUDF;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, GroupByExpr, ObjectNamePart, Query, Select, SelectItem, Value, Visit, Visitor,
};

use crate::error::{QueryError, QueryErrorKind, shortened};
use crate::parse::parsed;

/// How much of a column is repeated.
const SHOWN_BYTES_MAX: usize = 100;

/// Refuses a GROUP BY with the position of an aggregate.
pub(super) fn check_groups(
    statement: &Statement,
    aggregates: &HashMap<String, Arc<AggregateUDF>>,
) -> Result<()> {
    let mut groups = Groups(aggregates);
    let found = parsed(statement).and_then(|parsed| parsed.visit(&mut groups).break_value());
    match found {
        None => Ok(()),
        Some(message) => Err(QueryError::new(QueryErrorKind::BadRequest, message).into()),
    }
}

/// Breaks at such a position, with what is wrong.
struct Groups<'a>(&'a HashMap<String, Arc<AggregateUDF>>);

impl Visitor for Groups<'_> {
    type Break = String;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let GroupByExpr::Expressions(groups, _) = &select.group_by else {
            return ControlFlow::Continue(());
        };
        for position in groups.iter().filter_map(position) {
            // Behind a `*` nobody knows yet which column is the second one.
            let mut before = select.projection.iter().take(position);
            let is_counted = before.all(|item| {
                matches!(
                    item,
                    SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
                )
            });
            let item = select.projection.get(position.wrapping_sub(1));
            let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) =
                item.filter(|_| is_counted)
            else {
                continue;
            };
            let mut aggregate = Aggregate {
                known: self.0,
                depth: 0,
            };
            if expr.visit(&mut aggregate).is_break() {
                let shown = shortened(expr.to_string(), SHOWN_BYTES_MAX);
                return ControlFlow::Break(format!(
                    "position {position} in GROUP BY is `{shown}`, an aggregate, which is computed of each group: group by the other \
                     columns, or leave GROUP BY away for one row of everything"
                ));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Breaks at an aggregate of the query itself: one in a subquery is computed there.
struct Aggregate<'a> {
    known: &'a HashMap<String, Arc<AggregateUDF>>,
    depth: usize,
}

impl Visitor for Aggregate<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if self.depth == 0 && self.is_known(function) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Aggregate<'_> {
    fn is_known(&self, function: &Function) -> bool {
        let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
        function.over.is_none()
            && name.is_some_and(|name| self.known.contains_key(&name.value.to_lowercase()))
    }
}

/// Returns the number that an expression is.
fn position(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else {
        return None;
    };
    match &value.value {
        Value::Number(number, _) => number.to_string().parse().ok(),
        _ => None,
    }
}
