//! Placeholders among the arguments of table functions: `air_as_of($1)`, `generate_series(1, $n)`.
//!
//! DataFusion calls such a function while it plans a statement, before any other placeholder gets its value. So these get theirs in
//! the syntax tree, each as the constant that it is: a value becomes one leaf there, and cannot become SQL.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, Expr, TableFactor, TimezoneInfo, TypedString, Value, VisitMut, VisitorMut,
};

use crate::parameters::{ParameterValue, Parameters};
use crate::parse::parsed_mut;

/// A time that every table function takes: as of a later one a dataset may not be settled.
const LONG_AGO: &str = "1970-01-01";

/// Puts values in place of such placeholders, as far as there are any that a constant can be written of; returns the names of
/// those that were used.
pub(super) fn fill(statement: &mut Statement, values: &Parameters) -> BTreeSet<String> {
    let mut filled = BTreeSet::new();
    if values.is_empty() {
        return filled;
    }
    if let Some(parsed) = parsed_mut(statement) {
        let mut tables = Tables {
            values,
            filled: &mut filled,
        };
        // The visitor never breaks.
        let _ = parsed.visit(&mut tables);
    }
    filled
}

/// Returns values to plan a statement with whose own are not known yet; of what the client has not named the type, a text that is
/// a time.
pub(super) fn samples(known: &[Option<DataType>]) -> Parameters {
    let sample = |data_type: &Option<DataType>| {
        let value = match data_type {
            None | Some(DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) => None,
            Some(data_type) => ScalarValue::new_default(data_type).ok(),
        };
        let value = value.and_then(|value| value.to_array().ok());
        value.map_or_else(
            || ParameterValue::Text(LONG_AGO.to_owned()),
            ParameterValue::Array,
        )
    };
    let positions = (1_usize..).map(|position| position.to_string());
    positions.zip(known.iter().map(sample)).collect()
}

/// Finds the calls.
struct Tables<'a> {
    values: &'a Parameters,
    filled: &'a mut BTreeSet<String>,
}

impl VisitorMut for Tables<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        let arguments = match table {
            TableFactor::Table {
                args: Some(args), ..
            } => &mut args.args,
            TableFactor::Function { args, .. } => args,
            _ => return ControlFlow::Continue(()),
        };
        arguments.visit(&mut Arguments {
            values: self.values,
            filled: &mut *self.filled,
        })
    }
}

/// Writes the constants.
struct Arguments<'a> {
    values: &'a Parameters,
    filled: &'a mut BTreeSet<String>,
}

impl VisitorMut for Arguments<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = &*expr else {
            return ControlFlow::Continue(());
        };
        let Value::Placeholder(placeholder) = &value.value else {
            return ControlFlow::Continue(());
        };
        let name = placeholder.trim_start_matches('$').to_owned();
        if let Some(constant) = self.values.get(&name).and_then(constant) {
            *expr = constant;
            self.filled.insert(name);
        }
        ControlFlow::Continue(())
    }
}

/// Returns a value as a constant; None for what none is written of here.
fn constant(value: &ParameterValue) -> Option<Expr> {
    match value {
        ParameterValue::Null => Some(literal(Value::Null)),
        ParameterValue::Bool(value) => Some(literal(Value::Boolean(*value))),
        ParameterValue::Int(value) => Some(number(value.to_string())),
        ParameterValue::Float(value) => value.is_finite().then(|| number(value.to_string())),
        // Addresses carry nothing but texts.
        ParameterValue::Text(text) => Some(match text.parse::<i64>() {
            Ok(value) => number(value.to_string()),
            Err(_) => literal(Value::SingleQuotedString(text.clone())),
        }),
        ParameterValue::Array(value) if value.len() == 1 => {
            of_scalar(&ScalarValue::try_from_array(value, 0).ok()?)
        }
        ParameterValue::Array(_) => None,
    }
}

fn of_scalar(value: &ScalarValue) -> Option<Expr> {
    if value.is_null() {
        return Some(literal(Value::Null));
    }
    let data_type = value.data_type();
    let text = value.cast_to(&DataType::Utf8).ok()?;
    let text = text.try_as_str()??.to_owned();
    let typed = |data_type| {
        Expr::TypedString(TypedString {
            data_type,
            value: Value::SingleQuotedString(text.clone()).with_empty_span(),
            uses_odbc_syntax: false,
        })
    };
    match data_type {
        data_type if data_type.is_integer() => Some(number(text)),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            Some(literal(Value::SingleQuotedString(text)))
        }
        DataType::Date32 => Some(typed(ast::DataType::Date)),
        DataType::Timestamp(_, None) => {
            Some(typed(ast::DataType::Timestamp(None, TimezoneInfo::None)))
        }
        DataType::Timestamp(_, Some(_)) => {
            Some(typed(ast::DataType::Timestamp(None, TimezoneInfo::Tz)))
        }
        _ => None,
    }
}

fn number(digits: String) -> Expr {
    literal(Value::Number(digits, false))
}

fn literal(value: Value) -> Expr {
    Expr::Value(value.with_empty_span())
}
