//! From text to a statement, in bounded time.
//!
//! `sqlparser` reads `floor(…)` as syntax first and, where that fails, once more as the call of a function. So does it
//! with a dozen other words, with names that have dots, and with parentheses after FROM: each level of nesting doubles the
//! work, the fifty levels that it allows never end, and no time limit stops a parser. It also follows `INTERVAL INTERVAL …`
//! until the stack ends. So a dialect that reads as another one does counts what the parser does, and stops it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::parser::{CopyToSource, DFParserBuilder, ParserInput, Statement};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    GroupByWithModifier, Ident, ObjectName, ObjectNamePart, Query, Select, TableFactor,
    TableWithJoins, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::{GenericDialect, PostgreSqlDialect};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use crate::error::{QueryError, QueryErrorKind};
use crate::options::{Dialect, QueryOptions};
use crate::placeholders::numbered;
use crate::postgres::syntax::readable;

mod counting;
mod tokens;

use counting::CountingDialect;

/// Steps for each byte of a statement: an expression that is read once takes at most one.
const STEPS_PER_BYTE: usize = 4;
/// Steps besides, for short statements that nest words such as `convert`, whose calls are all read twice.
const STEPS_FREE: usize = 20_000;
/// Tables and queries that one statement reads, each name in WITH counted with all that it reads: its plan is made anew
/// wherever it is used, so names that use each other twice double the work of every step of planning.
const SOURCES_MAX: usize = 200;
/// Tables in one FROM, with those joined to them: each join looks at all columns of those before it, at every step of
/// planning.
const JOINED_MAX: usize = 40;
/// What planning a statement may take: for each expression in another one, the weights of all that it stands in. Every step
/// of planning names and types all of an expression anew for each of its levels, so that a chain of operators takes the
/// square of its length, and a thousand of them seconds in which nothing can stop it.
const PLANNING_WEIGHT_MAX: usize = 1_000_000;
/// Weight of AND and OR: a condition has no name, and its type is known.
const WEIGHT_OF_LOGIC: usize = 2;
/// Weight of `||`: each becomes a call, whose type is asked for at every level: the cube of the length.
const WEIGHT_OF_CONCATENATION: usize = 150;
/// Weight of everything else that has parts.
const WEIGHT: usize = 4;
/// Types that the structs of a statement have inside them if each is put into the next, as names in WITH allow: planning
/// compares whole types, at every step.
const STRUCT_PARTS_MAX: usize = 10_000;
/// Ways in which one GROUP BY groups: every row is grouped once for each, and CUBE doubles them with each column.
const GROUPINGS_MAX: usize = 128;

/// Parses the one statement of a text.
///
/// # Errors
/// `BadRequest` for what is no statement, or several; `TooLarge` where reading it takes too many steps, or it reads too
/// many tables.
pub(crate) fn statement(
    sql: &str,
    written_in: Dialect,
    options: &QueryOptions,
) -> Result<Statement> {
    let nesting_max = options.nesting_max.max(1);
    let steps = sql.len().saturating_mul(STEPS_PER_BYTE) + STEPS_FREE;
    let dialect = match written_in {
        Dialect::Generic => CountingDialect::new(&GenericDialect, steps, nesting_max),
        Dialect::Postgres => CountingDialect::new(&PostgreSqlDialect {}, steps, nesting_max),
    };
    let written = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let read = tokens::respelled(written.map_err(ParserError::from)?, written_in)?;
    let read = match written_in {
        Dialect::Generic => read,
        Dialect::Postgres => readable(read)?,
    };
    let parsed = DFParserBuilder::new(ParserInput::Tokens(read))
        .with_dialect(&dialect)
        .with_recursion_limit(nesting_max)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    if !dialect.has_steps_left() {
        let message = "the statement takes too many steps to read: calls are nested too deep in each other, or the \
                       innermost cannot be read; nest less, for example with WITH";
        return Err(refused(QueryErrorKind::TooLarge, message));
    }
    let mut statements = parsed?;
    match (statements.pop_front(), statements.pop_front()) {
        (Some(mut statement), None) => {
            if let Some(message) = reads_too_much(&statement) {
                return Err(refused(QueryErrorKind::TooLarge, &message));
            }
            // In PostgreSQL `?` is an operator.
            if written_in == Dialect::Generic {
                numbered(&mut statement)?;
            }
            Ok(statement)
        }
        (Some(_), Some(_)) => Err(refused(
            QueryErrorKind::BadRequest,
            "a request takes a single SQL statement",
        )),
        (None, _) => Err(refused(
            QueryErrorKind::BadRequest,
            "the text has no statement",
        )),
    }
}

/// Returns the statement itself, or the one that is to be explained. None for what is no SQL of its parser: it does more than
/// read, and is refused when it has been planned.
pub(crate) fn parsed(statement: &Statement) -> Option<&ast::Statement> {
    match statement {
        Statement::Statement(parsed) => Some(parsed.as_ref()),
        Statement::Explain(explain) => parsed(&explain.statement),
        Statement::CopyTo(_) | Statement::CreateExternalTable(_) | Statement::Reset(_) => None,
    }
}

/// As [`parsed`], to be changed.
pub(crate) fn parsed_mut(statement: &mut Statement) -> Option<&mut ast::Statement> {
    match statement {
        Statement::Statement(parsed) => Some(parsed.as_mut()),
        Statement::Explain(explain) => parsed_mut(&mut explain.statement),
        Statement::CopyTo(_) | Statement::CreateExternalTable(_) | Statement::Reset(_) => None,
    }
}

/// Returns what a name means: without quotes, capitals are as good as small letters.
pub(crate) fn meant(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// Says what a query of a statement reads more of than it may; None: nothing.
fn reads_too_much(statement: &Statement) -> Option<String> {
    let mut sources = Sources::default();
    let counted = match statement {
        Statement::Statement(statement) => statement.visit(&mut sources),
        Statement::Explain(explain) => return reads_too_much(&explain.statement),
        // What does more than read is refused when it has been planned.
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => query.visit(&mut sources),
            CopyToSource::Relation(_) => return None,
        },
        Statement::CreateExternalTable(_) | Statement::Reset(_) => return None,
    };
    counted.break_value()
}

/// Returns in how many ways an expression of a GROUP BY groups.
fn groupings_of(expr: &Expr) -> usize {
    match expr {
        Expr::Cube(columns) => doubled(columns.len()),
        Expr::Rollup(columns) => columns.len().saturating_add(1),
        Expr::GroupingSets(sets) => sets.len(),
        _ => 1,
    }
}

/// Returns how many values other than constants an expression puts into a struct.
fn struct_parts(expr: &Expr) -> usize {
    let is_part = |expr: &Expr| !matches!(expr, Expr::Value(_));
    let count = |values: &[Expr]| values.iter().filter(|value| is_part(value)).count();
    match expr {
        Expr::Tuple(values) | Expr::Struct { values, .. } => count(values),
        Expr::Dictionary(fields) => fields.iter().filter(|field| is_part(&field.value)).count(),
        Expr::Function(call) => {
            let name = call.name.0.last().and_then(ObjectNamePart::as_ident);
            let makes_struct = name.is_some_and(|name| {
                ["struct", "named_struct", "row"]
                    .iter()
                    .any(|maker| name.value.eq_ignore_ascii_case(maker))
            });
            let FunctionArguments::List(list) = &call.args else {
                return 1;
            };
            let args = list.args.iter().filter(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => is_part(value),
                _ => true,
            });
            if makes_struct { args.count() } else { 1 }
        }
        _ => 1,
    }
}

/// Returns two to the power of `times`.
fn doubled(times: usize) -> usize {
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    1_usize.checked_shl(times).unwrap_or(usize::MAX)
}

/// Returns in how many ways a GROUP BY groups: each of one expression with each of the others.
fn groupings(group_by: &GroupByExpr) -> usize {
    let (expressions, modifiers) = match group_by {
        GroupByExpr::All(modifiers) => (&[][..], modifiers),
        GroupByExpr::Expressions(expressions, modifiers) => (expressions.as_slice(), modifiers),
    };
    let written = expressions
        .iter()
        .map(groupings_of)
        .fold(1, usize::saturating_mul);
    let modified = modifiers.iter().map(|modifier| match modifier {
        GroupByWithModifier::Cube => doubled(expressions.len()),
        GroupByWithModifier::Rollup => expressions.len().saturating_add(1),
        GroupByWithModifier::Totals => 2,
        GroupByWithModifier::GroupingSets(expr) => groupings_of(expr),
    });
    modified.fold(written, usize::saturating_mul)
}

/// Stops where there are too many ways to group.
fn check_groupings(count: usize) -> ControlFlow<String> {
    if count > GROUPINGS_MAX {
        return ControlFlow::Break(format!(
            "a GROUP BY groups in more than {GROUPINGS_MAX} ways; CUBE of n columns does so in 2 to the power of n"
        ));
    }
    ControlFlow::Continue(())
}

/// Returns how many tables stand in a FROM, those in parentheses too.
fn joined(from: &[TableWithJoins]) -> usize {
    let of_factor = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => joined(std::slice::from_ref(table_with_joins.as_ref())),
        _ => 1,
    };
    from.iter()
        .map(|table| {
            let joins = table.joins.iter().map(|join| of_factor(&join.relation));
            of_factor(&table.relation) + joins.sum::<usize>()
        })
        .sum()
}

/// Returns what an expression weighs for each that stands in it; 0 where none can.
fn weight(expr: &Expr) -> usize {
    match expr {
        Expr::BinaryOp { op, .. } => match op {
            BinaryOperator::And | BinaryOperator::Or => WEIGHT_OF_LOGIC,
            BinaryOperator::StringConcat => WEIGHT_OF_CONCATENATION,
            _ => WEIGHT,
        },
        // A negative number is a number; brackets are gone in the plan.
        Expr::UnaryOp { expr, .. } if matches!(**expr, Expr::Value(_)) => 0,
        Expr::Value(_)
        | Expr::TypedString(_)
        | Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Nested(_) => 0,
        _ => WEIGHT,
    }
}

/// Counts what queries read, from the innermost on; breaks where one reads too much.
#[derive(Default)]
struct Sources {
    /// Weights of the expressions that the next one stands in, all together.
    above: usize,
    /// What planning takes so far: see [`PLANNING_WEIGHT_MAX`].
    planning: usize,
    /// What the queries that are open read so far, themselves counted; the innermost last.
    open: Vec<usize>,
    /// Names of queries in WITH.
    names: HashMap<*const Query, String>,
    /// What these read. Of names that stand for several queries, the most.
    named: HashMap<String, usize>,
    /// Logarithm of the types inside the structs so far, each put into the next.
    struct_parts: f64,
}

impl Sources {
    fn add(&mut self, count: usize) {
        if let Some(open) = self.open.last_mut() {
            *open = open.saturating_add(count);
        }
    }
}

impl Visitor for Sources {
    /// What there is too much of.
    type Break = String;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let count = joined(&select.from);
        if count > JOINED_MAX {
            return ControlFlow::Break(format!(
                "one FROM joins {count} tables; at most {JOINED_MAX} are joined"
            ));
        }
        check_groupings(groupings(&select.group_by))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        let weight = weight(expr);
        if weight > 0 {
            self.planning = self.planning.saturating_add(self.above);
            self.above += weight;
        }
        if self.planning > PLANNING_WEIGHT_MAX {
            return ControlFlow::Break(
                "the operators of the statement stand in chains that are too long: some 700 of one kind (200 of `||`) may \
                 follow each other; a list of values takes none, x IN (1, 2, 3), and concat(a, b, c) takes many texts"
                    .to_owned(),
            );
        }
        // Wherever it stands: what is no GROUP BY may be made one.
        check_groupings(groupings_of(expr))?;
        self.struct_parts += (struct_parts(expr).max(1) as f64).ln();
        if self.struct_parts > (STRUCT_PARTS_MAX as f64).ln() {
            return ControlFlow::Break(format!(
                "the structs of the statement, put into each other, would have more than {STRUCT_PARTS_MAX} types inside \
                 them; nest less"
            ));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        self.above = self.above.saturating_sub(weight(expr));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = cte.alias.name.value.to_lowercase();
            self.names.insert(std::ptr::from_ref(&*cte.query), name);
        }
        self.open.push(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let name = relation.0.last().and_then(ObjectNamePart::as_ident);
        let named = name.and_then(|name| self.named.get(&name.value.to_lowercase()));
        let count = named.copied().unwrap_or(1);
        self.add(count);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let count = self.open.pop().unwrap_or(0);
        if count > SOURCES_MAX {
            return ControlFlow::Break(format!(
                "the statement reads more than {SOURCES_MAX} tables and subqueries; a name in WITH counts for all that it \
                 reads, wherever it is used"
            ));
        }
        match self.names.get(&std::ptr::from_ref(query)) {
            // It counts where its name stands.
            Some(name) => {
                let known = self.named.entry(name.clone()).or_default();
                *known = count.max(*known);
            }
            None => self.add(count),
        }
        ControlFlow::Continue(())
    }
}

fn refused(kind: QueryErrorKind, message: &str) -> DataFusionError {
    QueryError::new(kind, message).into()
}

#[cfg(test)]
mod tests;
