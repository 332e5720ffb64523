//! What a statement may be: bounded text, one plan that only reads, no types that allocate by declaration.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{QueryError, QueryErrorKind};
use crate::options::{Dialect, QueryOptions, QueryRequest};
use crate::parameters::ParameterValue;

/// Operators, joins and the like in a statement. Each can make its plan one level deeper, and nobody bounds the stack on
/// which all levels are copied and dropped.
const OPERATORS_MAX: usize = 2_000;
/// Brackets inside each other. The parser's own limit knows those of expressions and queries only.
const BRACKETS_MAX: usize = 200;

/// Checks the text before anything parses it, and the values that go into it.
pub(crate) fn check_request(
    request: &QueryRequest,
    options: &QueryOptions,
) -> Result<(), QueryError> {
    let sql = request.sql.as_str();
    if sql.len() > options.sql_bytes_max {
        return Err(QueryError::new(
            QueryErrorKind::TooLarge,
            format!(
                "the statement has {} bytes; at most {} are read",
                sql.len(),
                options.sql_bytes_max
            ),
        ));
    }
    if sql.trim().is_empty() {
        return Err(QueryError::new(
            QueryErrorKind::BadRequest,
            "the statement is empty",
        ));
    }
    let dialect: &dyn dialect::Dialect = match request.dialect {
        Dialect::Generic => &dialect::GenericDialect {},
        Dialect::Postgres => &dialect::PostgreSqlDialect {},
    };
    // A parameter is a literal once it is in the plan.
    let parameters = request.parameters.values();
    let parameters = parameters.map(ParameterValue::literal_bytes).max();
    check_literal("parameter", parameters, options)?;
    // What the tokenizer refuses the parser refuses with a better message.
    let Ok(tokens) = Tokenizer::new(dialect, sql).tokenize() else {
        return Ok(());
    };
    let longest = tokens.iter().filter_map(literal_bytes).max();
    check_literal("text literal", longest, options)?;
    let operators = tokens.iter().filter(|token| is_operator(token)).count();
    if operators > OPERATORS_MAX {
        return Err(QueryError::new(
            QueryErrorKind::TooLarge,
            format!(
                "the statement has {operators} operators, subqueries and joins; at most {OPERATORS_MAX} are read, and \
                 a list of values takes none: x IN (1, 2, 3)"
            ),
        ));
    }
    let depth = bracket_depth(&tokens);
    if depth > BRACKETS_MAX {
        return Err(QueryError::new(
            QueryErrorKind::BadRequest,
            format!("brackets stand {depth} deep in each other; at most {BRACKETS_MAX} are read"),
        ));
    }
    Ok(())
}

fn check_literal(
    what: &str,
    longest: Option<usize>,
    options: &QueryOptions,
) -> Result<(), QueryError> {
    let longest = longest.unwrap_or(0);
    if longest <= options.literal_bytes_max {
        return Ok(());
    }
    Err(QueryError::new(
        QueryErrorKind::TooLarge,
        format!(
            "a {what} has {longest} bytes; at most {} are read",
            options.literal_bytes_max
        ),
    ))
}

/// Returns true for what can make a plan deeper; for symbols in doubt.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::MATCH
                | Keyword::MEMBER
                | Keyword::BETWEEN
                | Keyword::OVERLAPS
                | Keyword::NOTNULL
                | Keyword::DIV
                | Keyword::AT
                | Keyword::COLLATE
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::MINUS
                | Keyword::SELECT
                | Keyword::FROM
                | Keyword::JOIN
                | Keyword::UNNEST
                | Keyword::EXPLAIN
        ),
        Token::Whitespace(_)
        | Token::EOF
        | Token::SemiColon
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::LBrace
        | Token::RBrace
        | Token::Number(..)
        | Token::Placeholder(_) => false,
        token => literal_bytes(token).is_none(),
    }
}

/// Returns how many brackets stand inside each other.
fn bracket_depth(tokens: &[Token]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Returns the length of a literal; None for any other token.
fn literal_bytes(token: &Token) -> Option<usize> {
    match token {
        Token::SingleQuotedString(text)
        | Token::DoubleQuotedString(text)
        | Token::TripleSingleQuotedString(text)
        | Token::TripleDoubleQuotedString(text)
        | Token::EscapedStringLiteral(text)
        | Token::UnicodeStringLiteral(text)
        | Token::NationalStringLiteral(text)
        | Token::SingleQuotedByteStringLiteral(text)
        | Token::DoubleQuotedByteStringLiteral(text)
        | Token::SingleQuotedRawStringLiteral(text)
        | Token::DoubleQuotedRawStringLiteral(text)
        | Token::HexStringLiteral(text) => Some(text.len()),
        Token::DollarQuotedString(text) => Some(text.value.len()),
        _ => None,
    }
}

/// Checks that a plan only reads.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)?;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let target = match expr {
                    Expr::Cast(cast) => cast.field.data_type(),
                    Expr::TryCast(cast) => cast.field.data_type(),
                    _ => return Ok(TreeNodeRecursion::Continue),
                };
                if has_fixed_size(target) {
                    return Err(DataFusionError::NotImplemented(format!(
                        "a cast to a type of fixed size ({target})"
                    )));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// One value of such a type takes as much memory as its declaration says, null or not.
fn has_fixed_size(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(..) | DataType::FixedSizeBinary(_) => true,
        DataType::List(field) | DataType::LargeList(field) => has_fixed_size(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_fixed_size(field.data_type())),
        _ => false,
    }
}
