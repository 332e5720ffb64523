//! Turns a statement of PostgreSQL's dialect into one that DataFusion plans: the syntax tree is changed, never the text.
//!
//! | written | planned |
//! |---|---|
//! | `pg_class` | `pg_catalog.pg_class` |
//! | `pg_catalog.array_to_string(…)` | `array_to_string(…)` |
//! | `format_type(…)`, `current_schema()`, … | what they stand for here: `functions.rs` |
//! | `a OPERATOR(pg_catalog.~) b COLLATE "default"` | `a ~ b` |
//! | `'traffic'::regclass`, `c.oid::regclass`, `x::name` | the number, the name, a text |
//! | `'{a,b}'::text[]` | `ARRAY['a', 'b']` |
//! | `'\x00ff'::bytea`, `bytea 'a\\b'` | `X'00ff'`, … |
//! | `x = ANY('{a,b}')`, `x <> ALL('{a,b}')` | `x IN ('a', 'b')`, `x NOT IN ('a', 'b')` |
//! | `x = ANY('{int,text}'::regtype[])`, `x = 'int'::regtype`, `'int'::regtype::oid` | `x IN (23, 25)`, `x = 23`, `23` |
//! | `'int'::regtype`, `pg_typeof(x) = 'int'::regtype`, `'{int}'::regtype[]` | `'integer'`, `pg_typeof(x) = 'integer'`, `ARRAY['integer']` |
//! | `t.typreceive <> 0` | `t.typreceive <> '0'`: a function is its name here |
//! | `a.attnotnull = 't'`, `CASE a.attnotnull WHEN 't' THEN …` | `a.attnotnull = true`, `CASE a.attnotnull WHEN true THEN …` |
//! | `geom && st_makeenvelope(…)`, `st_intersects(geom, …)`, `st_extent(geom)` | calls of `geometry.rs` |
//! | `geom && st_setsrid('BOX3D(…)'::box3d, 4326)`, `geom::geometry` | `geom && st_makeenvelope(…)`, `geom` |
//! | `to_char(time, 'YYYY-MM-DD')`, `to_date('2026-01-31', 'YYYY-MM-DD')` | `to_char(time, '%Y-%m-%d')`, … |
//! | `to_char(time, 'HH24:MI TZ')` | `CASE … THEN to_char(time, '%H:%M UTC') ELSE to_char(time, '%H:%M ') END`, by whether it is in a zone |
//! | `time AT TIME ZONE zone`, `timezone(zone, time)` | `at_time_zone(time, zone)`, whose type follows from that of the time |
//! | `9223372036854775808`, which no `bigint` can be | `CAST('9223372036854775808' AS DECIMAL(20, 0))` |
//! | `-2 ^ 2`, `2 ^ -1 ^ 2` | `(-2) ^ 2`, `(2 ^ -1) ^ 2`: `powers.rs` |
//! | `FROM pg_get_keywords()` | a table of the catalogue |
//! | `JOIN pg_proc AS p ON p.oid = t.typinput`: `type_functions.rs` | the names of such functions |
//! | `WITH RECURSIVE typeinfo_tree …`, as asyncpg asks for types: `type_tree.rs` | a query that does not recur |
//! | a subquery that reads an empty table: `emptiness.rs` | NULL, false, or no rows |
//! | `IN` what Grafana makes of the search path: `search_path.rs` | `IN ('public')` |
//! | a correlated subquery over the catalogue | its greatest value: DataFusion wants to know that there is one |

use std::ops::ControlFlow;

use datafusion::common::format::ExplainFormat;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DataType, ExactNumberInfo, Expr, Function,
    FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor,
    UnaryOperator, Value, VisitMut, VisitorMut,
};
use meetnet_model::hex::Hex;
use meetnet_sql::AT_TIME_ZONE;

use super::aliases;
use super::arrays::array_elements;
use super::bytea::bytea;
use super::catalog::{self, INFORMATION_SCHEMA, KEYWORDS, PG_CATALOG, Relation};
use super::emptiness::{is_empty, last_part};
use super::functions::{
    arguments, array, boolean, call, case, cast, described, literal, meeting, nothing, null,
    null_texts, number, number_of_type, number_or_null, oid, oid_of_parameter, oid_of_type,
    own_name, replaced, second_of_two, shown_with_zone, sql_name_of, sql_name_of_type, text,
    written_box,
};
use super::powers::signed_power;
use super::search_path::is_search_path;
use super::time_format::{format_of, formats_with_zone, reading_format_of};
use super::type_functions;
use super::type_tree;
use crate::catalog::SnapshotTables;
use crate::error::{QueryError, QueryErrorKind, StatementFault, shortened};
use crate::parse::parsed_mut;
use crate::placeholders;
use crate::planning::{ShownNames, among, respell_parsed};

/// A statement that DataFusion can plan.
pub(crate) struct Rewritten {
    pub(crate) statement: Statement,
    pub(crate) names: ShownNames,
}

/// Rewrites a statement that was read in PostgreSQL's dialect.
///
/// # Errors
/// Where a text that stands for an array is none, or has too many elements.
pub(crate) fn rewritten(
    mut statement: Statement,
    tables: &SnapshotTables,
) -> Result<Rewritten, QueryError> {
    let mut names = ShownNames::AsPlanned;
    if let Some(parsed) = parsed_mut(&mut statement) {
        let mut rewriter = Rewriter {
            tables,
            relations: catalog::relations(tables),
            elements_left: ELEMENTS_MAX,
            has_type_lists: false,
            refused: None,
        };
        if let ast::Statement::Query(query) = &mut *parsed {
            type_tree::flatten(query);
            names = match aliases::names(query) {
                Some(names) if is_empty(query) => {
                    *query = no_rows(query, &names);
                    ShownNames::InOrder(names)
                }
                Some(names) => {
                    aliases::make_distinct(query);
                    ShownNames::InOrder(names)
                }
                // A `*` stands for columns that nobody has counted yet.
                None => ShownNames::ByPlanned(aliases::make_distinct(query)),
            };
        }
        // Behind the names: `mod(a, b)` is a column `mod`, whatever becomes of it.
        respell_parsed(parsed);
        // The visitors never break.
        let _ = parsed.visit(&mut rewriter);
        if rewriter.has_type_lists {
            let _ = parsed.visit(&mut TypeLists);
        }
        if let Some(refused) = rewriter.refused {
            return Err(refused);
        }
    }
    if let Statement::Explain(explain) = &statement {
        // Its columns are those of every plan.
        names = match explain.options.format {
            Some(ExplainFormat::PostgresJSON) => ShownNames::PlanAsJson,
            _ => ShownNames::PlanAsText,
        };
    }
    Ok(Rewritten { statement, names })
}

/// Returns the query that answers no rows, in columns of text.
fn no_rows(query: &Query, names: &[String]) -> Box<Query> {
    let mut query = query.clone();
    query.with = None;
    query.order_by = None;
    query.limit_clause = None;
    query.fetch = None;
    query.locks = Vec::new();
    let mut body = std::mem::replace(&mut query.body, Box::new(SetExpr::Values(no_values())));
    let select = loop {
        body = match *body {
            SetExpr::Select(select) => break Some(select),
            SetExpr::Query(inner) => inner.body,
            SetExpr::SetOperation { left, .. } => left,
            _ => break None,
        };
    };
    if let Some(mut select) = select {
        select.distinct = None;
        select.from = Vec::new();
        select.selection = Some(boolean(false));
        select.having = None;
        select.qualify = None;
        select.named_window = Vec::new();
        select.group_by = ast::GroupByExpr::Expressions(Vec::new(), Vec::new());
        select.projection = names
            .iter()
            .enumerate()
            .map(|(position, _)| SelectItem::ExprWithAlias {
                expr: null(),
                alias: Ident::with_quote('"', format!("c{position}")),
            })
            .collect();
        query.body = Box::new(SetExpr::Select(select));
    }
    Box::new(query)
}

pub(super) fn no_values() -> ast::Values {
    ast::Values {
        explicit_row: false,
        value_keyword: false,
        rows: Vec::new(),
    }
}

/// Types of the catalogue that are text here.
const TEXTS: [&str; 16] = [
    "bpchar",
    "char",
    "character_data",
    "int2vector",
    "name",
    "oidvector",
    "pg_node_tree",
    "regnamespace",
    "regoper",
    "regproc",
    "regprocedure",
    "regrole",
    "sql_identifier",
    "text",
    "varchar",
    "yes_or_no",
];

/// The type of what a trigger calls.
const TRIGGER_OID: i64 = 2279;
/// Columns of the catalogue that name functions.
pub(super) const FUNCTIONS: [&str; 4] = ["typinput", "typoutput", "typreceive", "typsend"];
/// Columns of the catalogue that are true or false, and that clients compare with texts.
const BOOLEANS: [&str; 8] = [
    "atthasdef",
    "attisdropped",
    "attnotnull",
    "relhasindex",
    "relhasrules",
    "relhastriggers",
    "relispartition",
    "typnotnull",
];
/// Elements of arrays that are written as texts, of a whole statement: each becomes an expression, and no comma counts them.
const ELEMENTS_MAX: usize = 2_000;
/// What stands behind the sign of the least `bigint`.
const BEHIND_THE_LEAST: &str = "9223372036854775808";
/// How much of a text is shown that is no array.
const SHOWN_BYTES_MAX: usize = 60;
/// How long an expression may be written that is written several times: such may stand in each other.
const REPEATED_BYTES_MAX: usize = 1_000;

struct Rewriter<'a> {
    tables: &'a SnapshotTables,
    relations: Vec<Relation>,
    elements_left: usize,
    /// Whether there are lists of types, which are numbers where they are searched, and names elsewhere.
    has_type_lists: bool,
    /// Why the statement cannot be rewritten.
    refused: Option<QueryError>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if let [part] = relation.0.as_slice()
            && let Some(ident) = part.as_ident()
            && catalog::is_of_pg_catalog(&ident.value.to_lowercase())
        {
            let name = Ident::new(ident.value.to_lowercase());
            *relation = ObjectName::from(vec![Ident::new(PG_CATALOG), name]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        type_functions::join_names(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            args: args @ Some(_),
            ..
        } = table
            && own_name(name).as_deref() == Some(KEYWORDS)
        {
            *args = None;
            *name = ObjectName::from(vec![Ident::new(PG_CATALOG), Ident::new(KEYWORDS)]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        number_types(expr);
        let constant = match expr {
            Expr::Subquery(query) if is_empty(query) => Some(null()),
            Expr::Exists { subquery, negated } if is_empty(subquery) => Some(boolean(*negated)),
            Expr::InSubquery {
                subquery, negated, ..
            } if is_empty(subquery) => Some(boolean(*negated)),
            // ARRAY(SELECT …) is read as the call of a function.
            Expr::Function(Function {
                name,
                args: FunctionArguments::Subquery(query),
                ..
            }) if is_empty(query) => Some(match last_part(name).as_str() {
                "array" => null_texts(),
                _ => null(),
            }),
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } if is_search_path(subquery) => Some(Expr::InList {
                expr: expr.clone(),
                list: vec![text(crate::catalog::SCHEMA)],
                negated: *negated,
            }),
            // Before the number is looked at, which is too large without its sign.
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: behind,
            } if is_number(behind, BEHIND_THE_LEAST) => Some(number(i64::MIN)),
            _ => None,
        };
        if let Some(constant) = constant {
            *expr = constant;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(other) = self.rewrite(expr) {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// What makes the format of DataFusion of one of PostgreSQL, or says what it cannot.
type OtherFormat = fn(&str) -> Result<String, String>;

impl Rewriter<'_> {
    /// Returns what an expression stands for; one that stays is written as DataFusion has it.
    fn rewrite(&mut self, expr: &mut Expr) -> Option<Expr> {
        if let Some(power) = signed_power(expr) {
            return Some(power);
        }
        // DataFusion's is an instant whatever it is of, which nobody knows before it has a type.
        if let Expr::AtTimeZone {
            timestamp,
            time_zone,
        } = &*expr
        {
            let arguments = vec![timestamp.as_ref().clone(), time_zone.as_ref().clone()];
            return Some(call(AT_TIME_ZONE, arguments));
        }
        match expr {
            Expr::Function(function) => self.rewrite_call(function),
            // It may be written without parentheses.
            Expr::Identifier(ident)
                if ident.quote_style.is_none()
                    && ident.value.eq_ignore_ascii_case("current_schema") =>
            {
                Some(text(crate::catalog::SCHEMA))
            }
            Expr::Collate { expr, .. } => Some(expr.as_ref().clone()),
            Expr::Value(value) => large_number(&value.value),
            Expr::BinaryOp { left, op, right } => rewrite_operator(left, op, right),
            Expr::AnyOp {
                left,
                compare_op: BinaryOperator::Eq,
                right,
                ..
            } => self
                .rewrite_membership(left, right, false)
                .or_else(|| among(expr)),
            Expr::AllOp {
                left,
                compare_op: BinaryOperator::NotEq,
                right,
            } => self
                .rewrite_membership(left, right, true)
                .or_else(|| among(expr)),
            Expr::Cast {
                expr, data_type, ..
            } => self.rewrite_cast(expr, data_type),
            Expr::TypedString(typed) if typed.data_type == DataType::Bytea => {
                let written = match &typed.value.value {
                    Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text,
                    _ => return None,
                };
                self.bytes(written)
            }
            Expr::Subquery(query) => {
                pick_one(query);
                None
            }
            Expr::Case {
                operand: Some(operand),
                conditions,
                ..
            } if is_column_of(operand, &BOOLEANS) => {
                for when in conditions {
                    make_boolean(&mut when.condition);
                }
                None
            }
            _ => None,
        }
    }

    /// Returns what the call of a function stands for; one that stays is written as DataFusion has it.
    fn rewrite_call(&mut self, function: &mut Function) -> Option<Expr> {
        let name = own_name(&function.name)?;
        if name == "to_char"
            && let [time, template] = arguments(function).as_slice()
            && let Some(Ok(formats)) = literal(template).and_then(formats_with_zone)
            && time.to_string().len() <= REPEATED_BYTES_MAX
        {
            return Some(shown_with_zone(time, formats));
        }
        let other_format: Option<OtherFormat> = match name.as_str() {
            "to_char" => Some(format_of),
            "to_timestamp" | "to_date" => Some(reading_format_of),
            _ => None,
        };
        if let Some(other_format) = other_format
            && let Some(template) = second_of_two(function)
            && let Some(written) = literal(template)
        {
            match other_format(written) {
                Ok(format) => *template = text(&format),
                Err(message) => {
                    let fault = StatementFault::Unsupported;
                    let message = format!("`{name}`: {message}");
                    self.refused = Some(QueryError::of_statement(fault, message));
                }
            }
        }
        if let Some(other) = replaced(&name, function, &self.relations) {
            return Some(other);
        }
        let descriptions = || catalog::descriptions(self.tables);
        if let Some(text) = described(&name, function, descriptions) {
            return Some(text);
        }
        let name = match name.as_str() {
            "array_upper" => "array_length",
            name => name,
        };
        if function.name.0.len() > 1 || name == "array_length" {
            function.name = ObjectName::from(vec![Ident::new(name)]);
        }
        None
    }

    /// Returns what a cast stands for; one that stays has a type that DataFusion knows.
    fn rewrite_cast(&mut self, expr: &Expr, data_type: &mut DataType) -> Option<Expr> {
        let name = match data_type {
            DataType::Array(element) => {
                // Numbers without a sign: drivers send a list of them as one of a type of its own.
                if let ArrayElemTypeDef::SquareBracket(of, None) = element
                    && matches!(of.as_ref(), DataType::Custom(name, _) if last_part(name) == "oid")
                {
                    **of = DataType::IntUnsigned(None);
                }
                return self.rewrite_array(expr, element);
            }
            DataType::Bytea => return self.bytes(literal(expr)?),
            DataType::Regclass => "regclass".to_owned(),
            DataType::Custom(name, _) => last_part(name),
            _ => return None,
        };
        match name.as_str() {
            "regclass" => {
                if let Some(name) = literal(expr) {
                    // A number as text stays that number.
                    let found = name.parse().ok().or_else(|| oid(name, &self.relations));
                    return Some(number_or_null(found));
                }
                if is_parameter(expr) || is_text(expr) {
                    return Some(oid_of_parameter(expr, &self.relations));
                }
                let names = self.relations.iter();
                let names = names.map(|relation| (relation.oid, relation.name.clone()));
                Some(case(expr, names))
            }
            "regtype" => match literal(expr) {
                // No function here is one of triggers, for whose type psql asks.
                Some("pg_catalog.trigger" | "trigger") => Some(number_or_null(Some(TRIGGER_OID))),
                // A number as text is the type of that number.
                Some(name) if name.trim().parse::<i64>().is_err() => {
                    let Some(name) = sql_name_of_type(name) else {
                        let name = shortened(name.to_owned(), SHOWN_BYTES_MAX);
                        self.refused = Some(QueryError::of_statement(
                            StatementFault::Type,
                            format!(
                                "type \"{name}\" does not exist; SELECT typname FROM pg_type lists those that columns have"
                            ),
                        ));
                        return None;
                    };
                    Some(text(&name))
                }
                _ => Some(sql_name_of(expr)),
            },
            "oid" if is_call_of(expr, "pg_typeof") => Some(oid_of_type(expr)),
            // What psql asks for `\sf name`; names of relations are numbers by now.
            "oid" if literal(expr).is_some_and(|text| text.trim().parse::<i64>().is_err()) => {
                let name = shortened(literal(expr)?.to_owned(), SHOWN_BYTES_MAX);
                let message = format!(
                    "there is no source of `{name}` to look at; SELECT name, signature, description FROM functions, or \\df, lists \
                     the functions for sensor data"
                );
                self.refused = Some(QueryError::of_statement(StatementFault::Function, message));
                None
            }
            "oid" | "xid" | "cid" | "int2" | "int4" | "int8" | "cardinal_number" => {
                *data_type = DataType::BigInt(None);
                None
            }
            "bool" => {
                *data_type = DataType::Boolean;
                None
            }
            // What has this type has it already, but for texts; the one without a place is what GDAL asks PostGIS about.
            "geometry" => match literal(expr) {
                Some(written) if written.trim_end().to_lowercase().ends_with(" empty") => {
                    Some(nothing())
                }
                Some(_) => None,
                None => match expr {
                    Expr::Value(value)
                        if matches!(value.value, Value::Number(..) | Value::Boolean(_)) =>
                    {
                        None
                    }
                    _ => Some(expr.clone()),
                },
            },
            "box2d" | "box3d" => written_box(literal(expr)?),
            // A function is its name here, without its schema.
            "regproc" if literal(expr).is_some() => {
                let name = literal(expr)?;
                let schema = format!("{PG_CATALOG}.");
                Some(text(name.strip_prefix(&schema).unwrap_or(name)))
            }
            name if TEXTS.contains(&name) => Some(cast(expr.clone(), DataType::Text)),
            _ => None,
        }
    }

    /// Returns the bytes that a text means. A cast of DataFusion's would answer those of its letters.
    fn bytes(&mut self, written: &str) -> Option<Expr> {
        let Some(bytes) = bytea(written) else {
            let written = shortened(written.to_owned(), SHOWN_BYTES_MAX);
            let message = format!(
                "`{written}` is no bytea; bytes are written as \\x00ff, or as they are with \\\\ and \\377"
            );
            self.refused = Some(QueryError::of_statement(
                StatementFault::InvalidText,
                message,
            ));
            return None;
        };
        let digits = Value::HexStringLiteral(Hex(&bytes).to_string());
        Some(Expr::Value(digits.with_empty_span()))
    }

    /// Returns the array that a text means, such as `'{a,b}'::text[]`.
    fn rewrite_array(&mut self, expr: &Expr, element: &ArrayElemTypeDef) -> Option<Expr> {
        let ArrayElemTypeDef::SquareBracket(element, None) = element else {
            return None;
        };
        let mut elements = self.elements(literal(expr)?)?;
        if is_regtype(element) {
            self.has_type_lists = true;
            for name in elements.iter_mut().flatten() {
                if let Some(known) = sql_name_of_type(name) {
                    *name = known;
                }
            }
        }
        let are_texts = elements.iter().any(Option::is_some)
            && matches!(element.as_ref(), DataType::Text | DataType::Varchar(_));
        let array = array(elements.iter().map(element_text));
        if are_texts {
            return Some(array);
        }
        let of = ArrayElemTypeDef::SquareBracket(element.clone(), None);
        Some(cast(array, DataType::Array(of)))
    }

    /// Returns whether a value is among the elements of an array that is written as a text. They are of the type that the value is
    /// of, as behind IN: an array of texts holds no number 1.0 where `1` is written.
    fn rewrite_membership(&mut self, value: &Expr, written: &Expr, negated: bool) -> Option<Expr> {
        let list = match numbers_of_types(written) {
            Some(numbers) => numbers,
            None => {
                let elements = self.elements(literal(written)?)?;
                elements.iter().map(element_text).collect()
            }
        };
        Some(Expr::InList {
            expr: Box::new(value.clone()),
            list,
            negated,
        })
    }

    /// Returns the elements of an array that is written as a text; None where it is none, or there are too many.
    fn elements(&mut self, written: &str) -> Option<Vec<Option<String>>> {
        let Some(elements) = array_elements(written) else {
            let written = shortened(written.to_owned(), SHOWN_BYTES_MAX);
            let message = format!("`{written}` is no array; one is written as {{1,2,NULL}}");
            self.refused = Some(QueryError::of_statement(
                StatementFault::InvalidText,
                message,
            ));
            return None;
        };
        let Some(left) = self.elements_left.checked_sub(elements.len()) else {
            let message = format!(
                "the arrays that the statement writes as texts have more than {ELEMENTS_MAX} elements, which is the most"
            );
            self.refused = Some(QueryError::new(QueryErrorKind::TooLarge, message));
            return None;
        };
        self.elements_left = left;
        Some(elements)
    }
}

/// Returns what two operands stand for; those that stay are written as DataFusion has them.
fn rewrite_operator(left: &Expr, op: &mut BinaryOperator, right: &mut Expr) -> Option<Expr> {
    if *op == BinaryOperator::PGOverlap
        && let Some(met) = meeting("wkb_bounds_meet", left, right)
    {
        return Some(met);
    }
    if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) && is_column_of(left, &BOOLEANS) {
        make_boolean(right);
    }
    if is_column_of(left, &FUNCTIONS)
        && let Expr::Value(value) = &*right
        && let ast::Value::Number(number, _) = &value.value
    {
        *right = text(number);
    }
    if let BinaryOperator::PGCustomBinaryOperator(parts) = op
        && let Some(known) = parts.last().and_then(|sign| operator(sign))
    {
        *op = known;
    }
    None
}

/// Returns the numbers of the types that an array of `regtype` names; None for every other expression.
fn numbers_of_types(array: &Expr) -> Option<Vec<Expr>> {
    match array {
        Expr::Nested(array) => numbers_of_types(array),
        Expr::Cast {
            expr,
            data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(of, None)),
            ..
        } if is_regtype(of) => match expr.as_ref() {
            Expr::Array(names) => Some(names.elem.iter().map(oid_of_type).collect()),
            _ => None,
        },
        _ => None,
    }
}

/// Makes names of lists of types that nothing is searched in.
struct TypeLists;

impl VisitorMut for TypeLists {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let names = match &*expr {
            Expr::Cast {
                expr: names,
                data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(of, None)),
                ..
            } if is_regtype(of) && matches!(names.as_ref(), Expr::Array(_)) => {
                names.as_ref().clone()
            }
            _ => return ControlFlow::Continue(()),
        };
        *expr = names;
        ControlFlow::Continue(())
    }
}

/// Makes numbers of types that are compared with numbers, or cast to such. Elsewhere a type is its name.
fn number_types(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq | BinaryOperator::NotEq,
            right,
        } => match (oid_of_named_type(left), oid_of_named_type(right)) {
            (Some(oid), None) if !names_type(right) => **left = oid,
            (None, Some(oid)) if !names_type(left) => **right = oid,
            _ => {}
        },
        Expr::InList { expr, list, .. } if !names_type(expr) => {
            for member in list {
                if let Some(oid) = oid_of_named_type(member) {
                    *member = oid;
                }
            }
        }
        Expr::Cast {
            expr, data_type, ..
        } if is_number_type(data_type) => {
            if let Some(oid) = oid_of_named_type(expr) {
                **expr = oid;
            }
        }
        _ => {}
    }
}

/// Returns the number of the type that `'int4'::regtype` or `$1::regtype` names; None for every other expression.
fn oid_of_named_type(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Nested(expr) => oid_of_named_type(expr),
        Expr::Cast {
            expr: name,
            data_type,
            ..
        } if is_regtype(data_type) => {
            match literal(name) {
                // A number as text is the type of that number; that of triggers is made one elsewhere.
                Some(name) => {
                    let oid = name.trim().parse().ok();
                    oid.or_else(|| number_of_type(name)).map(number)
                }
                None => is_parameter(name).then(|| oid_of_type(name)),
            }
        }
        _ => None,
    }
}

/// Returns true for what is the name of a type, and no number of one.
fn names_type(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(expr) => names_type(expr),
        Expr::Cast { data_type, .. } => is_regtype(data_type),
        expr => literal(expr).is_some() || is_call_of(expr, "pg_typeof"),
    }
}

/// Returns true for the call of a function.
fn is_call_of(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Nested(expr) => is_call_of(expr, name),
        Expr::Function(function) => own_name(&function.name).as_deref() == Some(name),
        _ => false,
    }
}

/// Returns true for the type of types.
fn is_regtype(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Custom(name, _) if last_part(name) == "regtype")
}

/// Returns true for a type that numbers of types have.
fn is_number_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::BigInt(_)
        | DataType::Int(_)
        | DataType::Int4(_)
        | DataType::Int8(_)
        | DataType::Integer(_) => true,
        DataType::Custom(name, _) => last_part(name) == "oid",
        _ => false,
    }
}

/// Returns the text that an element of an array is written as.
fn element_text(element: &Option<String>) -> Expr {
    element.as_deref().map_or_else(nothing, text)
}

/// Returns the decimal number that a whole number is in PostgreSQL if no `bigint` can be it; None for any other value. It is one
/// without a sign otherwise, which is taken for a `bigint`.
fn large_number(value: &Value) -> Option<Expr> {
    let Value::Number(digits, _) = value else {
        return None;
    };
    let size = digits.parse::<u64>().ok()?;
    let decimal = DataType::Decimal(ExactNumberInfo::PrecisionAndScale(20, 0));
    i64::try_from(size)
        .is_err()
        .then(|| cast(text(digits), decimal))
}

/// Returns true for a number that is written with these digits.
fn is_number(expr: &Expr, written: &str) -> bool {
    match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits == written),
        _ => false,
    }
}

/// Makes a text that stands for true or false what it stands for; any other stays, and is refused where it is compared.
fn make_boolean(expr: &mut Expr) {
    let Some(written) = literal(expr) else {
        return;
    };
    let value = match written.trim().to_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => true,
        "f" | "false" | "n" | "no" | "off" | "0" => false,
        _ => return,
    };
    *expr = boolean(value);
}

/// Returns true for a column that has one of these names.
pub(super) fn is_column_of(expr: &Expr, names: &[&str]) -> bool {
    let column = match expr {
        Expr::Identifier(column) => Some(column),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    column.is_some_and(|column| names.contains(&column.value.to_lowercase().as_str()))
}

fn is_parameter(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(expr) | Expr::Cast { expr, .. } => is_parameter(expr),
        expr => placeholders::name_of(expr).is_some(),
    }
}

/// Returns true for what is a text whatever it is made of, such as `format('%I.%I', …)`.
fn is_text(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { data_type, .. } => *data_type == DataType::Text,
        Expr::Function(function) => last_part(&function.name) == "concat",
        Expr::Nested(expr) => is_text(expr),
        _ => false,
    }
}

fn operator(sign: &str) -> Option<BinaryOperator> {
    Some(match sign {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        _ => return None,
    })
}

/// Makes a subquery over the catalogue one of at most one row for the planner, too.
fn pick_one(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let reads_catalog = select.from.iter().any(
        |from| matches!(&from.relation, TableFactor::Table { name, .. } if is_catalog_name(name)),
    );
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    else {
        return;
    };
    if !reads_catalog || !is_plain(expr) {
        return;
    }
    query.order_by = None;
    query.limit_clause = None;
    query.fetch = None;
    *expr = call("max", vec![expr.clone()]);
}

/// Returns true for a column, a constant, what compares such, and CASE of them.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => true,
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq | BinaryOperator::NotEq,
            right,
        } => is_plain(left) && is_plain(right),
        Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } => {
            let mut cases = conditions.iter();
            operand.as_deref().is_none_or(is_plain)
                && cases.all(|when| is_plain(&when.condition) && is_plain(&when.result))
                && else_result.as_deref().is_none_or(is_plain)
        }
        _ => false,
    }
}

fn is_catalog_name(name: &ObjectName) -> bool {
    let first = name.0.first().and_then(|part| part.as_ident());
    name.0.len() == 2
        && first.is_some_and(|ident| ident.value == PG_CATALOG || ident.value == INFORMATION_SCHEMA)
}
