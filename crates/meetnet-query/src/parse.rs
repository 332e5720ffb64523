//! From text to a statement, in bounded time.
//!
//! `sqlparser` reads `floor(…)` as syntax first and, where that fails, once more as the call of a function. So does it
//! with a dozen other words, with names that have dots, and with parentheses after FROM: each level of nesting doubles the
//! work, the fifty levels that it allows never end, and no time limit stops a parser. It also follows `INTERVAL INTERVAL …`
//! until the stack ends. So a dialect that reads as another one does counts what the parser does, and stops it.

use std::any::TypeId;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::parser::{CopyToSource, DFParserBuilder, ParserInput, Statement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    GroupByWithModifier, ObjectName, ObjectNamePart, Query, Select, TableFactor, TableWithJoins,
    Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::{self, GenericDialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{QueryError, QueryErrorKind};
use crate::options::{Dialect, QueryOptions};
use crate::placeholders::numbered;
use crate::postgres::syntax::readable;

mod tokens;

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
/// How much of a statement BETWEEN SYMMETRIC writes twice: all that it compares, and such may stand in each other.
const REPEATED_BYTES_MAX: usize = 65_536;

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
    let dialect = CountingDialect {
        of: match written_in {
            Dialect::Generic => &GenericDialect,
            Dialect::Postgres => &PostgreSqlDialect {},
        },
        steps_left: Cell::new(sql.len().saturating_mul(STEPS_PER_BYTE) + STEPS_FREE),
        depth_left: Cell::new(nesting_max),
        is_inner: Cell::new(false),
        is_compared: Cell::new(false),
        repeated_bytes_left: Cell::new(REPEATED_BYTES_MAX),
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
    if dialect.steps_left.get() == 0 {
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

/// A dialect whose parser takes a bounded number of steps.
#[derive(Debug)]
struct CountingDialect {
    /// What it reads as.
    of: &'static dyn dialect::Dialect,
    steps_left: Cell<usize>,
    /// Expressions that may still begin inside each other.
    depth_left: Cell<usize>,
    /// Set for the call of `parse_prefix` that does what it would do without this dialect.
    is_inner: Cell<bool>,
    /// Set where the expression that begins next is what IS DISTINCT FROM compares with.
    is_compared: Cell<bool>,
    /// How much BETWEEN SYMMETRIC may still write twice.
    repeated_bytes_left: Cell<usize>,
}

impl CountingDialect {
    /// Takes a step; false where none is left.
    fn step(&self) -> bool {
        let left = self.steps_left.get();
        self.steps_left.set(left.saturating_sub(1));
        left > 0
    }

    /// Returns `x BETWEEN SYMMETRIC a AND b`, of which `between` is all but SYMMETRIC: one of both orders of the bounds. Where a
    /// bound is NULL this is NULL, as it is in PostgreSQL, and the least of both would not be.
    fn in_either_order(&self, between: Expr) -> Result<Expr, ParserError> {
        let (expr, negated, low, high) = match between {
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => (expr, negated, low, high),
            other => return Ok(other),
        };
        let parts = [&expr, &low, &high].map(|part| part.to_string().len());
        let bytes: usize = parts.iter().sum();
        let Some(left) = self.repeated_bytes_left.get().checked_sub(bytes) else {
            return Err(ParserError::ParserError(format!(
                "the statement compares more than {REPEATED_BYTES_MAX} bytes of itself by BETWEEN SYMMETRIC; nest less, for example \
                 with WITH"
            )));
        };
        self.repeated_bytes_left.set(left);
        let other = Expr::Between {
            expr: expr.clone(),
            negated,
            low: high.clone(),
            high: low.clone(),
        };
        let op = match negated {
            true => BinaryOperator::And,
            false => BinaryOperator::Or,
        };
        let both = Expr::BinaryOp {
            left: Box::new(Expr::Between {
                expr,
                negated,
                low,
                high,
            }),
            op,
            right: Box::new(other),
        };
        Ok(Expr::Nested(Box::new(both)))
    }
}

/// Answers as the dialect that it reads as: every flag that one of them sets itself.
macro_rules! as_read {
    ($($flag:ident)*) => {
        $(fn $flag(&self) -> bool {
            self.of.$flag()
        })*
    };
}

impl dialect::Dialect for CountingDialect {
    fn dialect(&self) -> TypeId {
        self.of.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.of.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.of.is_delimited_identifier_start(ch)
    }

    /// Of `SELECT 5#3` a name would be made, `#3`, and 5 be called so.
    fn is_identifier_start(&self, ch: char) -> bool {
        ch != '#' && self.of.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch != '#' && self.of.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.of.is_custom_operator_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.of.is_reserved_for_identifier(keyword)
    }

    /// As in PostgreSQL whatever is read, so that a text is one question on every protocol: the generic dialect reads
    /// `tests >> 3 & 1` as `tests >> (3 & 1)`.
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            // In PostgreSQL it is no operator.
            Token::Colon => self.of.get_next_precedence(parser),
            _ => PostgreSqlDialect {}.get_next_precedence(parser),
        }
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        PostgreSqlDialect {}.prec_value(precedence)
    }

    /// The parser takes all that follows IS DISTINCT FROM for what is compared with, also what stands behind AND and OR. So the
    /// expression that it begins there ends where it would behind any other operator of that rank. And it does not know BETWEEN
    /// SYMMETRIC.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        _: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let keyword = |position| match &parser.peek_nth_token_ref(position).token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        let distinct = if keyword(1) == Keyword::NOT { 2 } else { 1 };
        let is_compared = keyword(0) == Keyword::IS
            && keyword(distinct) == Keyword::DISTINCT
            && keyword(distinct + 1) == Keyword::FROM;
        self.is_compared.set(is_compared);
        let is_negated = keyword(0) == Keyword::NOT;
        let between = usize::from(is_negated);
        let order = keyword(between + 1);
        // A column may be called so.
        let is_word = keyword(between) == Keyword::BETWEEN && keyword(between + 2) != Keyword::AND;
        if !is_word || !matches!(order, Keyword::SYMMETRIC | Keyword::ASYMMETRIC) {
            return None;
        }
        for _ in 0..between + 2 {
            parser.advance_token();
        }
        let parsed = parser.parse_between(expr.clone(), is_negated);
        Some(match order {
            Keyword::SYMMETRIC => parsed.and_then(|between| self.in_either_order(between)),
            _ => parsed,
        })
    }

    /// Asked where an expression begins that may end anywhere.
    fn prec_unknown(&self) -> u8 {
        if self.is_compared.take() {
            self.prec_value(Precedence::Is)
        } else {
            self.of.prec_unknown()
        }
    }

    /// Every expression begins here.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if self.is_inner.take() {
            return None;
        }
        let depth = self.depth_left.get();
        // Of all errors, this one is not followed by another attempt.
        if !self.step() || depth == 0 {
            return Some(Err(ParserError::RecursionLimitExceeded));
        }
        self.depth_left.set(depth - 1);
        self.is_inner.set(true);
        let parsed = parser.parse_prefix();
        self.depth_left.set(depth);
        Some(parsed)
    }

    /// `lag(x IGNORE NULLS)`, which no dialect means anything else by.
    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    /// `1_000`, as newer versions of PostgreSQL and DuckDB take it: otherwise it is a one that is called `_000`.
    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    /// Asked for each SELECT: one without columns begins no expression.
    fn supports_empty_projections(&self) -> bool {
        self.step() && self.of.supports_empty_projections()
    }

    /// Asked for each query that begins with FROM.
    fn supports_from_first_select(&self) -> bool {
        self.step() && self.of.supports_from_first_select()
    }

    as_read! {
        allow_extract_custom
        allow_extract_single_quotes
        support_map_literal_syntax
        supports_alter_column_type_using
        supports_array_join_syntax
        supports_array_typedef_with_brackets
        supports_asc_desc_in_column_definition
        supports_bitwise_shift_operators
        supports_comma_separated_set_assignments
        supports_comma_separated_trim
        supports_comment_on
        supports_comment_optimizer_hint
        supports_connect_by
        supports_constraint_keyword_without_name
        supports_create_index_with_clause
        supports_create_table_like_parenthesized
        supports_create_view_comment_syntax
        supports_cte_without_as
        supports_data_type_signed_suffix
        supports_detach
        supports_dictionary_syntax
        supports_explain_with_utility_options
        supports_extract_comma_syntax
        supports_factorial_operator
        supports_filter_during_aggregation
        supports_geometric_types
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_insert_table_alias
        supports_install
        supports_interpolate
        supports_interval_options
        supports_key_column_option
        supports_left_associative_joins_without_parens
        supports_limit_by
        supports_limit_comma
        supports_listen_notify
        supports_load_extension
        supports_match_against
        supports_match_recognize
        supports_multiline_comment_hints
        supports_named_fn_args_with_assignment_operator
        supports_named_fn_args_with_colon_operator
        supports_named_fn_args_with_expr_name
        supports_nested_comments
        supports_notnull_operator
        supports_optimize_table
        supports_parens_around_table_factor
        supports_parenthesized_set_variables
        supports_partition_by_after_order_by
        supports_pipe_operator
        supports_prewhere
        supports_projection_trailing_commas
        supports_quote_delimited_string
        supports_select_format
        supports_select_item_multi_column_alias
        supports_select_wildcard_except
        supports_select_wildcard_exclude
        supports_select_wildcard_ilike
        supports_select_wildcard_rename
        supports_select_wildcard_replace
        supports_select_wildcard_with_alias
        supports_set_names
        supports_settings
        supports_start_transaction_modifier
        supports_string_escape_constant
        supports_struct_literal
        supports_try_convert
        supports_unicode_string_literal
        supports_update_order_by
        supports_user_host_grantee
        supports_values_as_table_factor
        supports_window_clause_named_window_reference
        supports_with_fill
        supports_xml_expressions
    }
}

#[cfg(test)]
mod tests;
