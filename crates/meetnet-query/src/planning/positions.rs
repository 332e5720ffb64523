//! `ORDER BY 2`, where the second column is computed of aggregates and has no name.
//!
//! DataFusion looks for such a column by the name that it gives it itself, and does not find it behind the grouping: of
//! `SELECT place, round(avg(car)) … GROUP BY 1 ORDER BY 2` it says that the column must stand in GROUP BY. With a name it is
//! found. A copy of the expression in ORDER BY would be found, too, but may mean something else there: names given in SELECT
//! hide columns.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

use crate::parse::parsed_mut;

/// Gives columns that an ORDER BY means by their position, and that have no name, one: what is written. Returns true where
/// there were any.
pub(super) fn name_positions(statement: &mut Statement) -> bool {
    let mut named = Named(false);
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut named);
    }
    named.0
}

/// Whether a column has got a name.
struct Named(bool);

impl VisitorMut for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        // Behind a `*` nobody knows yet which column is the second one.
        let is_counted = select.projection.iter().all(|item| {
            matches!(
                item,
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
            )
        });
        let order_by = query.order_by.iter().filter(|_| is_counted);
        for position in order_by.flat_map(|order_by| positions(&order_by.kind)) {
            // There is no column 0, as there is none behind the last one.
            let Some(item) = select.projection.get_mut(position.wrapping_sub(1)) else {
                continue;
            };
            let SelectItem::UnnamedExpr(expr) = item else {
                continue;
            };
            if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                continue;
            }
            let alias = Ident::with_quote('"', expr.to_string());
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
            self.0 = true;
        }
        ControlFlow::Continue(())
    }
}

/// Returns the numbers in an ORDER BY.
fn positions(order_by: &OrderByKind) -> Vec<usize> {
    let OrderByKind::Expressions(expressions) = order_by else {
        return Vec::new();
    };
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.to_string().parse::<usize>().ok(),
            _ => None,
        },
        _ => None,
    };
    let numbers = expressions.iter().map(|by| number(&by.expr));
    numbers.flatten().collect()
}
