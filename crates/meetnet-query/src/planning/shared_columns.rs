//! Columns that all tables of a FROM share by USING, or by NATURAL.
//!
//! `SELECT id, x, z FROM a JOIN b USING (id) LEFT JOIN c USING (id)` -> `SELECT a.id, x, z FROM …`
//!
//! DataFusion 55.2 knows of two tables that share a column; of three it says that `id` is ambiguous. What is meant is the column of the
//! first one, which each of the rows has: a RIGHT and a FULL JOIN with USING are refused (`unheard.rs`). What a NATURAL JOIN shares
//! nobody has written; the error names one such column after the other.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use crate::parse::{meant, parsed_mut};

/// Writes the first table before such columns; returns true where there were any.
///
/// It is the second choice, for what is refused without.
pub(super) fn name_tables_of_shared(statement: &mut Statement) -> bool {
    name_tables(statement, None)
}

/// Writes the first table before a column of tables that are all joined by NATURAL; returns true where there was any.
pub(super) fn name_table_of_natural(statement: &mut Statement, column: &str) -> bool {
    name_tables(statement, Some(column))
}

fn name_tables(statement: &mut Statement, natural: Option<&str>) -> bool {
    let mut queries = Queries {
        natural,
        found: false,
    };
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut queries);
    }
    queries.found
}

/// Queries whose columns get a table.
struct Queries<'a> {
    /// The column that is looked for where tables are joined by NATURAL; None: those of USING.
    natural: Option<&'a str>,
    /// Whether a column has got a table.
    found: bool,
}

impl Queries<'_> {
    fn columns_of(&self, select: &Select) -> Option<Columns> {
        match self.natural {
            None => Columns::of(select),
            Some(column) => Columns::of_natural(select, column),
        }
    }
}

impl VisitorMut for Queries<'_> {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let Some(mut columns) = self.columns_of(select) else {
            return ControlFlow::Continue(());
        };
        // The visitor never breaks.
        let _ = select.projection.visit(&mut columns);
        let _ = select.distinct.visit(&mut columns);
        let _ = select.selection.visit(&mut columns);
        let _ = select.group_by.visit(&mut columns);
        let _ = select.having.visit(&mut columns);
        let _ = select.qualify.visit(&mut columns);
        self.found |= columns.found;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_ref() else {
            return ControlFlow::Continue(());
        };
        let Some(mut columns) = self.columns_of(select) else {
            return ControlFlow::Continue(());
        };
        // A name that is given among the columns is what ORDER BY means.
        columns.shared.retain(|shared| {
            let is_given = |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if meant(alias) == *shared);
            !select.projection.iter().any(is_given)
        });
        // The visitor never breaks.
        let _ = query.order_by.visit(&mut columns);
        self.found |= columns.found;
        ControlFlow::Continue(())
    }
}

/// Columns that all tables of a FROM share, and the first of these.
struct Columns {
    shared: Vec<String>,
    table: Ident,
    /// How many queries lie around what is visited, which have tables of their own.
    depth: usize,
    found: bool,
}

impl Columns {
    /// Returns what more than two tables share; None: nothing.
    fn of(select: &Select) -> Option<Self> {
        let [TableWithJoins { relation, joins }] = select.from.as_slice() else {
            return None;
        };
        let table = table_of(relation)?;
        let mut using = joins.iter().map(|join| shared_by(&join.join_operator));
        let mut shared = using.next()??;
        if joins.len() < 2 {
            return None;
        }
        for columns in using {
            let columns = columns?;
            shared.retain(|column| columns.contains(column));
        }
        (!shared.is_empty()).then_some(Self {
            shared,
            table,
            depth: 0,
            found: false,
        })
    }

    /// Returns a column that several of more than two tables have; None where these are not all joined by NATURAL, which makes one of
    /// all that have a name.
    fn of_natural(select: &Select, column: &str) -> Option<Self> {
        let [TableWithJoins { relation, joins }] = select.from.as_slice() else {
            return None;
        };
        let table = table_of(relation)?;
        let are_natural = joins.iter().all(|join| is_natural(&join.join_operator));
        (are_natural && joins.len() > 1).then(|| Self {
            shared: vec![column.to_owned()],
            table,
            depth: 0,
            found: false,
        })
    }
}

impl VisitorMut for Columns {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(column) = expr
            && self.depth == 0
            && self.shared.contains(&meant(column))
        {
            *expr = Expr::CompoundIdentifier(vec![self.table.clone(), column.clone()]);
            self.found = true;
        }
        ControlFlow::Continue(())
    }
}

/// Returns what columns of a table are called by; None for what is no table.
fn table_of(relation: &TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        } => Some(alias.name.clone()),
        TableFactor::Table {
            name, args: None, ..
        } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// Returns the columns that a join takes from both sides, where each row has those of its left side.
fn shared_by(join: &JoinOperator) -> Option<Vec<String>> {
    match join {
        JoinOperator::Join(JoinConstraint::Using(columns))
        | JoinOperator::Inner(JoinConstraint::Using(columns))
        | JoinOperator::Left(JoinConstraint::Using(columns))
        | JoinOperator::LeftOuter(JoinConstraint::Using(columns)) => {
            let column = |name: &ObjectName| Some(meant(name.0.last()?.as_ident()?));
            columns.iter().map(column).collect()
        }
        _ => None,
    }
}

/// Returns true for a NATURAL JOIN in which each row has the columns of its left side.
fn is_natural(join: &JoinOperator) -> bool {
    matches!(
        join,
        JoinOperator::Join(JoinConstraint::Natural)
            | JoinOperator::Inner(JoinConstraint::Natural)
            | JoinOperator::Left(JoinConstraint::Natural)
            | JoinOperator::LeftOuter(JoinConstraint::Natural)
    )
}
