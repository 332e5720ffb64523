//! A dialect that reads as another one, counts what the parser does, and stops it.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{self, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// How much of a statement BETWEEN SYMMETRIC writes twice: all that it compares, and such may stand in each other.
const REPEATED_BYTES_MAX: usize = 65_536;

/// A dialect whose parser takes a bounded number of steps.
#[derive(Debug)]
pub(super) struct CountingDialect {
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
    /// Makes a dialect that reads as another one, in so many steps, and so many expressions inside each other.
    pub(super) fn new(of: &'static dyn dialect::Dialect, steps: usize, nesting_max: usize) -> Self {
        Self {
            of,
            steps_left: Cell::new(steps),
            depth_left: Cell::new(nesting_max),
            is_inner: Cell::new(false),
            is_compared: Cell::new(false),
            repeated_bytes_left: Cell::new(REPEATED_BYTES_MAX),
        }
    }

    /// Returns false where all steps have been taken, and reading may have been stopped.
    pub(super) fn has_steps_left(&self) -> bool {
        self.steps_left.get() > 0
    }

    /// Returns the operator that an expression begins with, but for signs and NOT.
    fn sign(&self, parser: &Parser<'_>) -> Option<UnaryOperator> {
        let is_postgres = self.of.dialect() == TypeId::of::<PostgreSqlDialect>();
        match parser.peek_token_ref().token {
            Token::Tilde => Some(UnaryOperator::BitwiseNot),
            Token::PGSquareRoot if is_postgres => Some(UnaryOperator::PGSquareRoot),
            Token::PGCubeRoot if is_postgres => Some(UnaryOperator::PGCubeRoot),
            Token::AtSign if is_postgres => Some(UnaryOperator::PGAbs),
            _ => None,
        }
    }

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

    /// CASE and NOT are no names, as in PostgreSQL. Read as such where they could not be read as what they are, they hid why not: an
    /// END that is missing, a nesting that is too deep.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        matches!(keyword, Keyword::CASE | Keyword::NOT)
            || self.of.is_reserved_for_identifier(keyword)
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
        let parsed = match self.sign(parser) {
            // As in PostgreSQL it is of a lower rank than `+`: `~ 5 + 1` is that of 6.
            Some(op) => {
                parser.advance_token();
                let operand = parser.parse_subexpr(self.prec_value(Precedence::Pipe));
                operand.map(|operand| Expr::UnaryOp {
                    op,
                    expr: Box::new(operand),
                })
            }
            None => {
                self.is_inner.set(true);
                parser.parse_prefix()
            }
        };
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
