//! Calls that gather values as JSON, made of functions of lists: so they have order or DISTINCT, FILTER, OVER and the limits that lists
//! have.
//!
//! | written | planned |
//! |---|---|
//! | `json_agg(x ORDER BY y)` | `json_of_elements(array_agg(json_element(x) ORDER BY y), ', ')` |
//! | `json_agg(DISTINCT x)` | `json_of_values(array_agg(DISTINCT json_value(x)), false)` |
//! | `json_object_agg(k, v)` | `json_of_pairs(array_agg(json_pair(k, v)))` |
//! | `array_to_json(array_agg(x))` | `json_of_elements(array_agg(coalesce(to_json(x), 'null')), ',')`: a list does not say that its values are JSON |
//! | `row_to_json(row(a, b))` | `row_to_json(row_of(a, b))`, whose parts are called as PostgreSQL calls them |
//! | `json_build_object()`, `json_build_array()` | `'{}'::json`, `'[]'::json` |
//! | `x::json`, `json '{}'` | `json_text(x)` |
//! | `jsonb_agg(x)`, `x::jsonb`, … | `jsonb_of_json(json_agg(x))`, … |

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, ObjectName, Value,
};
use meetnet_sql::json::{
    ARRAY_TO_JSON, BUILD_ARRAY, BUILD_OBJECT, ELEMENT, OF_ELEMENTS, OF_PAIRS, OF_VALUES, ORDERED,
    PAIR, ROW_OF, ROW_TO_JSON, TEXT, TO_JSON, VALUE,
};

use super::call;

const JSON_AGG: &str = "json_agg";
const JSON_OBJECT_AGG: &str = "json_object_agg";
const ARRAY_AGG: &str = "array_agg";
/// The schema that may stand before the name of a function.
const SCHEMA: &str = "pg_catalog";

/// The calls that make JSON in an order, and what makes it in none.
const ORDERED_CALLS: [(&str, &str); 5] = [
    ("to_jsonb", TO_JSON),
    ("jsonb_agg", JSON_AGG),
    ("jsonb_object_agg", JSON_OBJECT_AGG),
    ("jsonb_build_object", BUILD_OBJECT),
    ("jsonb_build_array", BUILD_ARRAY),
];
/// The calls that make JSON.
pub(super) const JSON_CALLS: [&str; 12] = [
    ORDERED_CALLS[0].0,
    ORDERED_CALLS[1].0,
    ORDERED_CALLS[2].0,
    ORDERED_CALLS[3].0,
    ORDERED_CALLS[4].0,
    JSON_AGG,
    JSON_OBJECT_AGG,
    TO_JSON,
    ROW_TO_JSON,
    ARRAY_TO_JSON,
    BUILD_OBJECT,
    BUILD_ARRAY,
];

/// Returns what an expression that makes JSON is planned as; changes the rows among its arguments. None where it stays, and for every
/// other expression.
pub(super) fn json_of(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Function(function) => of_call(function),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type: data_type @ (DataType::JSON | DataType::JSONB),
            array: false,
            format: None,
        } => Some(of_text(expr.as_ref().clone(), data_type)),
        Expr::TypedString(typed) if matches!(typed.data_type, DataType::JSON | DataType::JSONB) => {
            let written = Expr::Value(typed.value.clone());
            Some(of_text(written, &typed.data_type))
        }
        _ => None,
    }
}

/// Returns the JSON that a text is.
fn of_text(written: Expr, data_type: &DataType) -> Expr {
    let json = of(TEXT, vec![written]);
    match data_type {
        DataType::JSONB => of(ORDERED, vec![json]),
        _ => json,
    }
}

fn of_call(function: &mut Function) -> Option<Expr> {
    let name = name_of(function)?;
    let mut ordered = ORDERED_CALLS.iter();
    if let Some((_, json)) = ordered.find(|(ordered, _)| *ordered == name) {
        let mut json = Function {
            name: ObjectName::from(vec![Ident::new(*json)]),
            ..function.clone()
        };
        let made = of_call(&mut json);
        let made = made.unwrap_or_else(|| Expr::Function(json));
        return Some(of(ORDERED, vec![made]));
    }
    if !JSON_CALLS.contains(&name.as_str()) {
        return None;
    }
    name_parts(function);
    match (name.as_str(), arguments(function)?.as_slice()) {
        (JSON_AGG, [value]) => Some(gathered(function, value)),
        (JSON_OBJECT_AGG, [key, value]) => {
            let pair = of(PAIR, vec![key.clone(), value.clone()]);
            let pairs = array_agg(function, pair);
            Some(of(OF_PAIRS, vec![pairs]))
        }
        (BUILD_OBJECT, []) => Some(of(TEXT, vec![text("{}")])),
        (BUILD_ARRAY, []) => Some(of(TEXT, vec![text("[]")])),
        (TO_JSON | ARRAY_TO_JSON, [Expr::Function(list)]) => {
            let is_all = duplicates(list) != Some(DuplicateTreatment::Distinct);
            let is_list = is_all && name_of(list).as_deref() == Some(ARRAY_AGG);
            let [value]: [Expr; 1] = arguments(list).filter(|_| is_list)?.try_into().ok()?;
            let json = of(TO_JSON, vec![value]);
            let json = of("coalesce", vec![json, text("null")]);
            let elements = array_agg(list, json);
            Some(of(OF_ELEMENTS, vec![elements, text(",")]))
        }
        _ => None,
    }
}

/// Returns the list of values that `json_agg` gathers.
fn gathered(function: &Function, value: &Expr) -> Expr {
    if duplicates(function) != Some(DuplicateTreatment::Distinct) {
        let elements = array_agg(function, of(ELEMENT, vec![value.clone()]));
        return of(OF_ELEMENTS, vec![elements, text(", ")]);
    }
    let single = of(VALUE, vec![value.clone()]);
    let mut function = function.clone();
    let mut is_sorted = false;
    if let FunctionArguments::List(list) = &mut function.args {
        for clause in &mut list.clauses {
            if let FunctionArgumentClause::OrderBy(keys) = clause {
                is_sorted = true;
                // The one key that there can be is what is gathered.
                for key in keys.iter_mut().filter(|key| key.expr == *value) {
                    key.expr = single.clone();
                }
            }
        }
    }
    let values = array_agg(&function, single);
    let is_sorted = Expr::Value(Value::Boolean(is_sorted).with_empty_span());
    of(OF_VALUES, vec![values, is_sorted])
}

/// Returns the list that gathers other values as a call gathers its own.
fn array_agg(function: &Function, value: Expr) -> Expr {
    let mut gathered = function.clone();
    gathered.name = ObjectName::from(vec![Ident::new(ARRAY_AGG)]);
    if let FunctionArguments::List(list) = &mut gathered.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))];
    }
    Expr::Function(gathered)
}

/// Calls the parts of rows that are written `row(a, b)`, or `(a, b)`, as PostgreSQL does.
fn name_parts(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    for argument in &mut list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
            continue;
        };
        if let Some(row) = with_named_parts(argument) {
            *argument = row;
        }
    }
}

/// Returns a row whose parts are called so, and the rows among its parts; None for what is written as no row.
fn with_named_parts(expr: &Expr) -> Option<Expr> {
    let parts = match expr {
        Expr::Nested(expr) => return with_named_parts(expr),
        Expr::Tuple(parts) => parts.clone(),
        Expr::Function(function) if name_of(function).as_deref() == Some("row") => {
            arguments(function)?
        }
        _ => return None,
    };
    if parts.is_empty() {
        return None;
    }
    let parts = parts.into_iter();
    let parts = parts.map(|part| with_named_parts(&part).unwrap_or(part));
    Some(of(ROW_OF, parts.collect()))
}

/// Returns the name of a call in small letters; None where it has another schema than that of PostgreSQL's own functions.
pub(super) fn name_of(function: &Function) -> Option<String> {
    let name = match function.name.0.as_slice() {
        [name] => name,
        [schema, name] => {
            let schema = schema.as_ident()?;
            schema.value.eq_ignore_ascii_case(SCHEMA).then_some(name)?
        }
        _ => return None,
    };
    name.as_ident().map(|name| name.value.to_lowercase())
}

/// Returns the arguments of a call; None where one is no expression.
pub(super) fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let expression = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(expression).collect()
}

fn duplicates(function: &Function) -> Option<DuplicateTreatment> {
    match &function.args {
        FunctionArguments::List(list) => list.duplicate_treatment,
        _ => None,
    }
}

fn of(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(call(name, arguments))
}

fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).with_empty_span())
}
