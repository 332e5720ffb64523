//! Placeholders among the arguments of table functions: `air_as_of($1)`, `generate_series(1, $n)`.
//!
//! DataFusion calls such a function while it plans a statement, before any other placeholder gets its value. So these get theirs in
//! the syntax tree, each as the constant that it is: a value becomes one leaf there, and cannot become SQL.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, Interval, TableFactor, TimezoneInfo, TypedString,
    Value, VisitMut, VisitorMut,
};

use super::Values;
use super::spelling::is_series;
use crate::parameters::{ParameterValue, Parameters};
use crate::parse::parsed_mut;
use crate::placeholders;

/// A time that every table function takes: as of a later one a dataset may not be settled.
const LONG_AGO: &str = "1970-01-01";
/// A span of time that every series takes as its step.
const STEP: &str = "1 day";

/// Puts values in place of such placeholders, as far as there are any that a constant can be written of; returns the names of
/// those that were used.
pub(super) fn fill(
    statement: &mut Statement,
    values: &Parameters,
    they_are: Values,
) -> BTreeSet<String> {
    let mut filled = BTreeSet::new();
    if values.is_empty() {
        return filled;
    }
    if let Some(parsed) = parsed_mut(statement) {
        let mut tables = Tables {
            values,
            they_are,
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
            // They may be steps, which are not 0.
            Some(data_type) if data_type.is_integer() => ScalarValue::new_one(data_type).ok(),
            Some(DataType::Interval(IntervalUnit::MonthDayNano)) => {
                let day = IntervalMonthDayNano::new(0, 1, 0);
                Some(ScalarValue::IntervalMonthDayNano(Some(day)))
            }
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
    they_are: Values,
    filled: &'a mut BTreeSet<String>,
}

impl VisitorMut for Tables<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        let (name, arguments) = match table {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } => (&*name, &mut args.args),
            TableFactor::Function { name, args, .. } => (&*name, args),
            _ => return ControlFlow::Continue(()),
        };
        let is_series = is_series(name);
        let mut constants = Arguments {
            values: self.values,
            they_are: self.they_are,
            filled: &mut *self.filled,
        };
        if let [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(start)),
            _,
            FunctionArg::Unnamed(FunctionArgExpr::Expr(step)),
        ] = arguments.as_mut_slice()
            && is_series
        {
            constants.fill_step(start, step);
        }
        arguments.visit(&mut constants)
    }
}

/// Writes the constants.
struct Arguments<'a> {
    values: &'a Parameters,
    they_are: Values,
    filled: &'a mut BTreeSet<String>,
}

impl Arguments<'_> {
    /// Writes the step of a series of which nothing is known but that it is one: a span of time, or a number behind a number.
    fn fill_step(&mut self, start: &Expr, step: &mut Expr) {
        let Some(name) = self.unknown(step) else {
            return;
        };
        *step = match self.is_number(start) {
            true => number("1".to_owned()),
            false => literal(Value::SingleQuotedString(STEP.to_owned())),
        };
        self.filled.insert(name);
    }

    /// Returns the name of a placeholder that has a sample for a value, and whose type the client has not named.
    fn unknown(&self, expr: &Expr) -> Option<String> {
        let name = placeholders::name_of(expr)?;
        let is_unknown = matches!(self.values.get(name)?, ParameterValue::Text(_));
        (is_unknown && self.they_are == Values::Samples).then(|| name.to_owned())
    }

    fn is_number(&self, expr: &Expr) -> bool {
        if let Expr::Value(value) = expr
            && let Value::Number(..) = value.value
        {
            return true;
        }
        let value = placeholders::name_of(expr).and_then(|name| self.values.get(name));
        matches!(value, Some(ParameterValue::Array(value)) if value.data_type().is_integer())
    }
}

impl VisitorMut for Arguments<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // What is cast to a span of time has to be one.
        if let Expr::Cast {
            expr: span,
            data_type: ast::DataType::Interval { .. },
            ..
        } = expr
            && let Some(name) = self.unknown(span)
        {
            **span = literal(Value::SingleQuotedString(STEP.to_owned()));
            self.filled.insert(name);
            return ControlFlow::Continue(());
        }
        let Some(name) = placeholders::name_of(expr).map(str::to_owned) else {
            return ControlFlow::Continue(());
        };
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
    if let ScalarValue::IntervalMonthDayNano(Some(span)) = value {
        let IntervalMonthDayNano {
            months,
            days,
            nanoseconds,
        } = span;
        let span = format!("{months} months {days} days {nanoseconds} nanoseconds");
        return Some(Expr::Interval(Interval {
            value: Box::new(literal(Value::SingleQuotedString(span))),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        }));
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
