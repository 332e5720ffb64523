//! What a statement may be: bounded text, one plan that only reads, no types that allocate by declaration.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::dialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{QueryError, QueryErrorKind};
use crate::options::{Dialect, QueryOptions, QueryRequest};

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
    let parameters = request.parameters.iter().map(parameter_bytes).max();
    check_literal("parameter", parameters, options)?;
    // What the tokenizer refuses the parser refuses with a better message.
    let Ok(tokens) = Tokenizer::new(dialect, sql).tokenize() else {
        return Ok(());
    };
    check_literal(
        "text literal",
        tokens.iter().map(literal_bytes).max(),
        options,
    )
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

fn parameter_bytes(value: &ArrayRef) -> usize {
    let bytes = value.to_data().get_slice_memory_size();
    bytes.unwrap_or(usize::MAX)
}

fn literal_bytes(token: &Token) -> usize {
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
        | Token::HexStringLiteral(text) => text.len(),
        Token::DollarQuotedString(text) => text.value.len(),
        _ => 0,
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
