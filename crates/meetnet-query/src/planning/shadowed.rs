//! A WITH within a query that gives a name again which it has around it.
//!
//! ```text
//! WITH a AS (…) SELECT * FROM (WITH a AS (…) SELECT a.x FROM a) AS q
//! ─▶ WITH a AS (…) SELECT * FROM (WITH "a_1" AS (…) SELECT a.x FROM "a_1" AS a) AS q
//! ```
//!
//! DataFusion 55.2 refuses the second name.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use crate::parse::{meant, parsed_mut};

/// Gives such a query a name that nothing else has, and what means it that name.
pub(super) fn name_shadowing(statement: &mut Statement) {
    let Some(parsed) = parsed_mut(statement) else {
        return;
    };
    let mut names = Names::default();
    // The visitors never break.
    let _ = parsed.visit(&mut names);
    if names.shadows {
        let written = parsed.to_string().to_lowercase();
        let mut shadowing = Shadowing {
            around: Vec::new(),
            written,
            given: 0,
        };
        let _ = parsed.visit(&mut shadowing);
    }
}

/// Returns the names that a query gives to others; none where one of them means two.
fn names_of(query: &Query) -> Vec<String> {
    let Some(with) = query.with.as_ref().filter(|with| !with.recursive) else {
        return Vec::new();
    };
    let names = with.cte_tables.iter().map(|table| meant(&table.alias.name));
    let names: Vec<String> = names.collect();
    let is_again = |(at, name): (usize, &String)| names[..at].contains(name);
    match names.iter().enumerate().any(is_again) {
        true => Vec::new(),
        false => names,
    }
}

/// Whether a name is given again, of those that the queries around have given.
#[derive(Default)]
struct Names {
    around: Vec<Vec<String>>,
    shadows: bool,
}

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let names = names_of(query);
        let is_around = |name: &String| self.around.iter().any(|around| around.contains(name));
        self.shadows = self.shadows || names.iter().any(is_around);
        self.around.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.around.pop();
        ControlFlow::Continue(())
    }
}

/// Names what is given again, the innermost first: what is left of a name then means that of the query itself.
struct Shadowing {
    around: Vec<Vec<String>>,
    /// The statement, which has none of the names that are given.
    written: String,
    given: usize,
}

impl Shadowing {
    /// Returns a name that nothing has.
    fn other_name(&mut self, name: &str) -> Ident {
        loop {
            self.given += 1;
            let other = format!("{name}_{}", self.given);
            if !self.written.contains(&other.to_lowercase()) {
                return Ident::with_quote('"', other);
            }
        }
    }
}

impl VisitorMut for Shadowing {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.around.push(names_of(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let names = self.around.pop().unwrap_or_default();
        for (at, name) in names.into_iter().enumerate() {
            if !self.around.iter().any(|around| around.contains(&name)) {
                continue;
            }
            let other = self.other_name(&name);
            let Some(with) = &mut query.with else {
                continue;
            };
            let Some(table) = with.cte_tables.get_mut(at) else {
                continue;
            };
            table.alias.name = other.clone();
            let mut renaming = Renaming { name, other };
            // Its own definition, and those before it, mean the one around. The visitor never breaks.
            for later in with.cte_tables.iter_mut().skip(at + 1) {
                let _ = later.query.visit(&mut renaming);
            }
            let _ = query.body.visit(&mut renaming);
            let _ = query.order_by.visit(&mut renaming);
            let _ = query.limit_clause.visit(&mut renaming);
            let _ = query.pipe_operators.visit(&mut renaming);
        }
        ControlFlow::Continue(())
    }
}

/// Gives tables of a name another one; they are called as before.
struct Renaming {
    name: String,
    other: Ident,
}

impl VisitorMut for Renaming {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = table
            && let [part] = name.0.as_slice()
            && let Some(written) = part.as_ident().filter(|part| meant(part) == self.name)
        {
            if alias.is_none() {
                *alias = Some(TableAlias {
                    explicit: true,
                    name: written.clone(),
                    columns: Vec::new(),
                    at: None,
                });
            }
            *name = ObjectName::from(vec![self.other.clone()]);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    #[test]
    fn a_name_that_is_given_again_is_another() {
        let check = |written: &str, expect: &str| {
            let mut statements = DFParser::parse_sql(written).expect(written);
            let mut statement = statements.pop_front().expect("a statement");
            name_shadowing(&mut statement);
            assert_eq!(statement.to_string(), expect);
        };
        check(
            "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH a AS (SELECT a.x FROM a) SELECT a.x FROM a JOIN a AS b ON true) AS q, a",
            "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH \"a_1\" AS (SELECT a.x FROM a) SELECT a.x FROM \"a_1\" AS a JOIN \
             \"a_1\" AS b ON true) AS q, a",
        );
        // Each means the innermost around it.
        check(
            "WITH a AS (SELECT 1), b AS (WITH A AS (SELECT 2), c AS (SELECT * FROM a) SELECT (WITH a AS (SELECT * FROM a) SELECT * \
             FROM a) FROM a) SELECT * FROM a, b",
            "WITH a AS (SELECT 1), b AS (WITH \"a_2\" AS (SELECT 2), c AS (SELECT * FROM \"a_2\" AS a) SELECT (WITH \"a_1\" AS (SELECT \
             * FROM \"a_2\" AS a) SELECT * FROM \"a_1\" AS a) FROM \"a_2\" AS a) SELECT * FROM a, b",
        );
        for same in [
            "WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM a, b",
            "WITH a AS (SELECT 1) SELECT * FROM (WITH b AS (SELECT * FROM a) SELECT * FROM b) AS q",
            // Beside each other they hide nothing.
            "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS q, (WITH a AS (SELECT 2) SELECT * FROM a) AS r",
            "WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a",
        ] {
            check(same, same);
        }
        // A name that is there is not given.
        check(
            "WITH a AS (SELECT 1) SELECT a_1.x FROM a AS a_1, (WITH a AS (SELECT 2) SELECT * FROM a) AS q",
            "WITH a AS (SELECT 1) SELECT a_1.x FROM a AS a_1, (WITH \"a_2\" AS (SELECT 2) SELECT * FROM \"a_2\" AS a) AS q",
        );
    }
}
