//! What a statement may be: bounded text, one plan that only reads, no types that allocate by declaration or double with
//! each use, no window that holds or gathers more than it may.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Fields};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Select, Visit, Visitor};
use datafusion::sql::sqlparser::dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use meetnet_sql::{GATHERED_ROWS_MAX, rewrite};

use crate::error::{QueryError, QueryErrorKind};
use crate::options::{Dialect, QueryOptions, QueryRequest};
use crate::parameters::ParameterValue;
use crate::parse::parsed;

mod casts;

use casts::refusal;
pub(crate) use casts::{not_cast, refuses};

/// Operators, joins and the like in a statement. Each can make its plan one level deeper, and nobody bounds the stack on
/// which all levels are copied and dropped.
const OPERATORS_MAX: usize = 2_000;
/// Brackets inside each other. The parser's own limit knows those of expressions and queries only.
const BRACKETS_MAX: usize = 200;
/// Commas: each parts two expressions, columns or values, and planning looks at all of them many times.
const COMMAS_MAX: usize = 20_000;
/// Words of PostgreSQL's dialect that become a comparison with every type, dataset, function or column, and how often they may stand
/// in a statement: its plan grows by a hundred expressions with each.
const LISTING: [&str; 8] = [
    "current_setting",
    "format_type",
    "obj_description",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "regclass",
    "regtype",
];
/// The same of every column, which are ten times as many: each counts as ten of those.
const LISTING_COLUMNS: &str = "col_description";
const LISTINGS_MAX: usize = 100;
/// Columns of any step of a plan; what PostgreSQL takes, about.
const COLUMNS_MAX: usize = 1_600;
/// Types inside a type. `struct(x, x)` doubles them with each use, and planning compares whole types.
const TYPE_PARTS_MAX: usize = 256;
/// Rows of a frame (`ROWS BETWEEN n PRECEDING …`), which are held.
const FRAME_ROWS_MAX: u64 = 1_000_000;
/// Formats that a text is tried to be read in as a time: each row is tried with all of them.
const TIME_FORMATS_MAX: usize = 20;
/// Centroids of an approximate percentile: room for all of them is made for each group.
const CENTROIDS_MAX: u64 = 10_000;
/// Aggregates whose state grows with the rows they see: computed for each row of a window, they are the square of it.
const GATHERING: [&str; 8] = [
    "array_agg",
    "string_agg",
    "median",
    "mode",
    "percentile_cont",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
];

/// Window functions that mean nothing without an order.
const ORDERED: [&str; 2] = ["locf", "interpolate"];

/// What is said of a comparison with a subquery where only its value is asked for: DataFusion plans it as EXISTS, under another name.
const COMPARED_SETS: &str = "a comparison with ANY or ALL of a subquery as a value, in SELECT, CASE, ON, GROUP BY or ORDER BY; in \
    WHERE and HAVING it can stand. Elsewhere compare with the value that decides: x > (SELECT min(y) FROM …) for x > ANY, and \
    x > (SELECT max(y) FROM …) for x > ALL; for = ANY and <> ALL write LEFT JOIN (SELECT DISTINCT y, true AS found FROM …) AS s ON \
    s.y = x, and s.found IS NOT NULL or s.found IS NULL";

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
    // A parameter is a literal once it is in the plan.
    let parameters = request.parameters.values();
    let parameters = parameters.map(ParameterValue::literal_bytes).max();
    check_literal("parameter", parameters, options)?;
    // What the tokenizer refuses the parser refuses with a better message.
    let Some(tokens) = tokens(sql, request.dialect) else {
        return Ok(());
    };
    let longest = tokens.iter().filter_map(literal_bytes).max();
    check_literal("text literal", longest, options)?;
    check_counts(&tokens, request.dialect)
}

/// Refuses a statement with more of something than can be planned.
fn check_counts(tokens: &[Token], written_in: Dialect) -> Result<(), QueryError> {
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
    let commas = tokens.iter().filter(|token| **token == Token::Comma);
    let commas = commas.count();
    if commas > COMMAS_MAX {
        return Err(QueryError::new(
            QueryErrorKind::TooLarge,
            format!(
                "the statement has {commas} commas; at most {COMMAS_MAX} are read: ask for fewer columns or values at a time"
            ),
        ));
    }
    let listings: usize = tokens.iter().map(listings_of).sum();
    if written_in == Dialect::Postgres && listings > LISTINGS_MAX {
        return Err(QueryError::new(
            QueryErrorKind::TooLarge,
            format!(
                "the statement has {} and {LISTING_COLUMNS} {listings} times, the last counted as ten; at most {LISTINGS_MAX} are read",
                LISTING.join(", ")
            ),
        ));
    }
    let depth = bracket_depth(tokens);
    if depth > BRACKETS_MAX {
        return Err(QueryError::new(
            QueryErrorKind::BadRequest,
            format!("brackets stand {depth} deep in each other; at most {BRACKETS_MAX} are read"),
        ));
    }
    Ok(())
}

/// Takes a text apart; None where it cannot be.
pub(crate) fn tokens(sql: &str, written_in: Dialect) -> Option<Vec<Token>> {
    let dialect: &dyn dialect::Dialect = match written_in {
        Dialect::Generic => &dialect::GenericDialect {},
        Dialect::Postgres => &dialect::PostgreSqlDialect {},
    };
    Tokenizer::new(dialect, sql).tokenize().ok()
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
                | Keyword::TABLE
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

/// Returns as how many listings a token counts.
fn listings_of(token: &Token) -> usize {
    let Token::Word(word) = token else {
        return 0;
    };
    if word.value.eq_ignore_ascii_case(LISTING_COLUMNS) {
        return 10;
    }
    let mut listings = LISTING.iter();
    usize::from(listings.any(|listing| word.value.eq_ignore_ascii_case(listing)))
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
pub(crate) fn literal_bytes(token: &Token) -> Option<usize> {
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
        check_columns(node.schema().fields())?;
        let is_condition = matches!(node, LogicalPlan::Filter(_));
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                check_expression(expr)?;
                if !is_condition && matches!(expr, Expr::SetComparison(_)) {
                    return Err(DataFusionError::NotImplemented(COMPARED_SETS.to_owned()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// Refuses casts of what is never a value of the other type, by PostgreSQL's rules: numbers would be taken for days or nanoseconds
/// since 1970, and no error says so.
///
/// # Errors
/// `BadRequest`.
pub(crate) fn check_casts(plan: &LogicalPlan, dialect: Dialect) -> Result<(), DataFusionError> {
    plan.apply_with_subqueries(|node| {
        let mut schema = None;
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Some((value, to, _)) = rewrite::cast_of(expr) {
                    let schema = schema.get_or_insert_with(|| merge_schema(&node.inputs()));
                    if let Ok(from) = value.get_type(&*schema)
                        && let Some(refusal) = refusal(&from, to, dialect)
                    {
                        return Err(refusal.into());
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// Refuses lists of SELECT that are longer than any step may be, before they are planned: the planner compares their names with
/// each other, for seconds.
///
/// # Errors
/// `TooLarge`.
pub(crate) fn check_lists(statement: &Statement) -> Result<(), DataFusionError> {
    struct Lists;

    impl Visitor for Lists {
        type Break = usize;

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<usize> {
            match select.projection.len() {
                columns if columns > COLUMNS_MAX => ControlFlow::Break(columns),
                _ => ControlFlow::Continue(()),
            }
        }
    }

    let found = parsed(statement).and_then(|parsed| parsed.visit(&mut Lists).break_value());
    match found {
        None => Ok(()),
        Some(columns) => Err(too_many_columns(columns)),
    }
}

fn too_many_columns(columns: usize) -> DataFusionError {
    too_large(format!(
        "a step of the statement has {columns} columns; at most {COLUMNS_MAX} are taken"
    ))
}

fn check_columns(columns: &Fields) -> Result<(), DataFusionError> {
    if columns.len() > COLUMNS_MAX {
        return Err(too_many_columns(columns.len()));
    }
    for column in columns {
        let mut left = TYPE_PARTS_MAX;
        if !has_parts(column.data_type(), &mut left) {
            return Err(too_large(format!(
                "the type of a column has more than {TYPE_PARTS_MAX} types inside it; nest less"
            )));
        }
    }
    Ok(())
}

/// Counts the parts of a type down; false where there are more than `left`.
fn has_parts(data_type: &DataType, left: &mut usize) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => has_parts(field.data_type(), left),
        DataType::Struct(fields) => fields
            .iter()
            .all(|field| has_parts(field.data_type(), left)),
        DataType::Union(fields, _) => fields
            .iter()
            .all(|(_, field)| has_parts(field.data_type(), left)),
        DataType::Dictionary(_, values) => has_parts(values, left),
        _ => true,
    }
}

fn check_expression(expr: &Expr) -> Result<(), DataFusionError> {
    match expr {
        Expr::Cast(cast) => check_cast(cast.field.data_type()),
        Expr::TryCast(cast) => check_cast(cast.field.data_type()),
        Expr::HigherOrderFunction(call) => Err(DataFusionError::NotImplemented(format!(
            "`{}`: functions of functions",
            call.func.name()
        ))),
        Expr::ScalarFunction(call) => check_time_formats(call.name(), call.args.len()),
        Expr::AggregateFunction(call) => check_centroids(call.func.name(), &call.params.args),
        Expr::WindowFunction(call) => check_window(call),
        _ => Ok(()),
    }
}

/// Checks the number of formats of a call that reads times; its first argument is the text.
fn check_time_formats(function: &str, args: usize) -> Result<(), DataFusionError> {
    let reads_times = ["to_timestamp", "to_date", "to_unixtime"]
        .iter()
        .any(|reader| function.starts_with(reader));
    if !reads_times || args <= TIME_FORMATS_MAX + 1 {
        return Ok(());
    }
    Err(too_large(format!(
        "`{function}` takes at most {TIME_FORMATS_MAX} formats"
    )))
}

/// Checks the number of centroids of an approximate percentile, which is its last argument where it has one.
fn check_centroids(function: &str, args: &[Expr]) -> Result<(), DataFusionError> {
    let centroids = match function {
        "approx_percentile_cont" => args.get(2),
        "approx_percentile_cont_with_weight" => args.get(3),
        _ => None,
    };
    let is_small = match centroids {
        None => true,
        Some(Expr::Literal(number, _)) => {
            let number = number.to_string().parse::<u64>();
            number.is_ok_and(|number| number <= CENTROIDS_MAX)
        }
        // It would be computed when nobody looks any more.
        Some(_) => false,
    };
    if is_small {
        return Ok(());
    }
    Err(too_large(format!(
        "`{function}` takes at most {CENTROIDS_MAX} centroids, as a plain number"
    )))
}

fn check_cast(target: &DataType) -> Result<(), DataFusionError> {
    if has_fixed_size(target) {
        return Err(DataFusionError::NotImplemented(format!(
            "a cast to a type of fixed size ({target})"
        )));
    }
    Ok(())
}

/// Checks that the frames of a window can be held, and that no function gathers them anew for every row.
fn check_window(call: &WindowFunction) -> Result<(), DataFusionError> {
    let frame = &call.params.window_frame;
    let rows = [&frame.start_bound, &frame.end_bound].map(frame_rows);
    let is_by_rows = frame.units == WindowFrameUnits::Rows;
    let is_over = |most: u64| rows.iter().any(|rows| rows.is_none_or(|rows| rows > most));
    if is_by_rows && rows.iter().flatten().any(|rows| *rows > FRAME_ROWS_MAX) {
        return Err(too_large(format!(
            "the frame of a window has more than {FRAME_ROWS_MAX} rows before or behind a row; take fewer, or UNBOUNDED"
        )));
    }
    if let WindowFunctionDefinition::WindowUDF(function) = &call.fun
        && ORDERED.contains(&function.name())
        && call.params.order_by.is_empty()
    {
        let name = function.name();
        let message = format!(
            "`{name}` needs an order, or chance says which row comes before which: write OVER (PARTITION BY series ORDER BY time)"
        );
        return Err(QueryError::new(QueryErrorKind::BadRequest, message).into());
    }
    let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else {
        return Ok(());
    };
    let name = function.name();
    check_centroids(name, &call.params.args)?;
    let gathers = GATHERING.contains(&name) || call.params.distinct && name != "count";
    if gathers && (!is_by_rows || is_over(GATHERED_ROWS_MAX)) {
        return Err(too_large(format!(
            "`{name}` over a window gathers all its values for every row: give it a frame of at most {GATHERED_ROWS_MAX} \
             rows (ROWS BETWEEN n PRECEDING AND CURRENT ROW), or group"
        )));
    }
    Ok(())
}

/// Returns how far a bound of a frame lies from its row; None: without a limit, or not by rows.
fn frame_rows(bound: &WindowFrameBound) -> Option<u64> {
    match bound {
        WindowFrameBound::CurrentRow => Some(0),
        // A number, perhaps as a text still.
        WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => {
            offset.to_string().parse().ok()
        }
    }
}

fn too_large(message: String) -> DataFusionError {
    QueryError::new(QueryErrorKind::TooLarge, message).into()
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
