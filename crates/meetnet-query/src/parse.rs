//! From text to a statement, in bounded time.
//!
//! `sqlparser` reads `floor(…)` as syntax first and, where that fails, once more as the call of a function. So does it
//! with a dozen other words, with names that have dots, and with parentheses after FROM: each level of nesting doubles the
//! work, the fifty levels that it allows never end, and no time limit stops a parser. It also follows `INTERVAL INTERVAL …`
//! until the stack ends. So a dialect that reads as the generic one does counts what the parser does, and stops it.

use std::any::TypeId;
use std::cell::Cell;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Expr, visit_relations};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use crate::error::{QueryError, QueryErrorKind};
use crate::options::QueryOptions;

/// Steps for each byte of a statement: an expression that is read once takes at most one.
const STEPS_PER_BYTE: usize = 4;
/// Steps besides, for short statements that nest words such as `convert`, whose calls are all read twice.
const STEPS_FREE: usize = 20_000;
/// Names of tables in one statement: the columns of all are copied for each join.
const RELATIONS_MAX: usize = 200;

/// Parses the one statement of a text.
///
/// # Errors
/// `BadRequest` for what is no statement, or several; `TooLarge` where reading it takes too many steps, or it names too
/// many tables.
pub(crate) fn statement(sql: &str, options: &QueryOptions) -> Result<Statement> {
    let nesting_max = options.nesting_max.max(1);
    let dialect = CountingDialect {
        steps_left: Cell::new(sql.len().saturating_mul(STEPS_PER_BYTE) + STEPS_FREE),
        depth_left: Cell::new(nesting_max),
        is_inner: Cell::new(false),
    };
    let parsed = DFParserBuilder::new(sql)
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
        (Some(statement), None) if relations(&statement) <= RELATIONS_MAX => Ok(statement),
        (Some(_), None) => Err(refused(
            QueryErrorKind::TooLarge,
            &format!("the statement names more than {RELATIONS_MAX} tables"),
        )),
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

/// Returns how often a statement that reads names a table.
fn relations(statement: &Statement) -> usize {
    match statement {
        Statement::Statement(statement) => {
            let mut count = 0;
            let _: ControlFlow<()> = visit_relations(&**statement, |_| {
                count += 1;
                ControlFlow::Continue(())
            });
            count
        }
        Statement::Explain(explain) => relations(&explain.statement),
        // Refused later: they do not only read.
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => 0,
    }
}

fn refused(kind: QueryErrorKind, message: &str) -> DataFusionError {
    QueryError::new(kind, message).into()
}

/// The generic dialect, whose parser takes a bounded number of steps.
#[derive(Debug)]
struct CountingDialect {
    steps_left: Cell<usize>,
    /// Expressions that may still begin inside each other.
    depth_left: Cell<usize>,
    /// Set for the call of `parse_prefix` that does what it would do without this dialect.
    is_inner: Cell<bool>,
}

impl CountingDialect {
    /// Takes a step; false where none is left.
    fn step(&self) -> bool {
        let left = self.steps_left.get();
        self.steps_left.set(left.saturating_sub(1));
        left > 0
    }
}

/// Answers as the generic dialect does: every flag that it sets itself.
macro_rules! as_generic {
    ($($flag:ident)*) => {
        $(fn $flag(&self) -> bool {
            GenericDialect.$flag()
        })*
    };
}

impl Dialect for CountingDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
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

    /// Asked for each SELECT: one without columns begins no expression.
    fn supports_empty_projections(&self) -> bool {
        self.step()
    }

    /// Asked for each query that begins with FROM.
    fn supports_from_first_select(&self) -> bool {
        self.step()
    }

    as_generic! {
        allow_extract_custom
        allow_extract_single_quotes
        support_map_literal_syntax
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
        supports_create_view_comment_syntax
        supports_cte_without_as
        supports_data_type_signed_suffix
        supports_detach
        supports_dictionary_syntax
        supports_explain_with_utility_options
        supports_extract_comma_syntax
        supports_filter_during_aggregation
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_install
        supports_interpolate
        supports_interval_options
        supports_key_column_option
        supports_left_associative_joins_without_parens
        supports_limit_by
        supports_limit_comma
        supports_load_extension
        supports_match_against
        supports_match_recognize
        supports_multiline_comment_hints
        supports_named_fn_args_with_assignment_operator
        supports_nested_comments
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
        supports_window_function_null_treatment_arg
        supports_with_fill
        supports_xml_expressions
    }
}

#[cfg(test)]
mod tests;
