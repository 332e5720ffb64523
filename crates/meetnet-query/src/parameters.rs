//! Values for the placeholders of a statement: `$1`, `$from`.
//!
//! Values are put into the plan, never into the text, so no value can become SQL. A text takes the type that the
//! statement gives its placeholder: addresses carry nothing but texts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{BinaryExpr, Cast, Placeholder, TryCast};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use meetnet_model::time::with_seconds;

use crate::encode::type_name;
use crate::error::{QueryError, QueryErrorKind, StatementFault};
use crate::planning::in_units;
use crate::postgres::array_elements;

mod lists;
mod said;
#[cfg(test)]
mod tests;

pub(crate) use lists::{digit_lists, list_types};
pub(crate) use said::said_types;

/// Elements of lists, each counted once for every place that its placeholder has: behind `= ANY` each becomes an expression, and
/// neither commas nor operators count them.
const ELEMENTS_MAX: usize = 200_000;

/// A value for a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text, or what a text of the placeholder's type says: a number, an RFC 3339 time.
    Text(String),
    /// An array of one value, of the type that the client has agreed on. Such values may be left over: of statements in
    /// PostgreSQL's dialect parts are taken out that read an empty table of its catalogue.
    Array(ArrayRef),
}

/// Values by the names of their placeholders, without `$`.
pub type Parameters = BTreeMap<String, ParameterValue>;

/// Returns the values of `$1`, `$2` and so on; each is an array of one value.
pub fn positional(values: impl IntoIterator<Item = ArrayRef>) -> Parameters {
    let positions = (1_usize..).map(|position| position.to_string());
    let values = values.into_iter().map(ParameterValue::Array);
    positions.zip(values).collect()
}

impl ParameterValue {
    /// Returns its size as a literal, in bytes.
    pub(crate) fn literal_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
            Self::Text(text) => text.len(),
            Self::Array(value) => {
                let bytes = value.to_data().get_slice_memory_size();
                bytes.unwrap_or(usize::MAX)
            }
        }
    }

    /// Returns the numbers that the value is, as they are written, or those in it where it is a list; none of a value that is something
    /// else.
    pub(crate) fn numbers(&self, is_list: bool) -> Vec<String> {
        let texts = match self {
            Self::Float(number) if number.is_finite() => vec![number.to_string()],
            Self::Text(text) => vec![text.clone()],
            Self::Array(value) => texts_of(value),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => Vec::new(),
        };
        // A list that a client sends as a text.
        let lists = texts.iter().filter(|_| is_list);
        let lists = lists.filter_map(|text| array_elements(text));
        let elements: Vec<String> = lists.flatten().flatten().collect();
        match elements.is_empty() {
            true => texts,
            false => elements,
        }
    }

    /// Returns the value in the one type that its placeholder is used as, where there is one.
    fn typed(&self, name: &str, uses: &Uses) -> Result<ScalarValue> {
        let first = uses.types.first();
        let only = first.filter(|first| uses.types.iter().all(|of| of == *first));
        let list = only.filter(|only| lists::is_list(only));
        let text = match self {
            Self::Null => return list.map_or(Ok(ScalarValue::Null), ScalarValue::try_from),
            Self::Bool(value) => return Ok(ScalarValue::Boolean(Some(*value))),
            Self::Int(value) => return Ok(ScalarValue::Int64(Some(*value))),
            Self::Float(value) => return Ok(ScalarValue::Float64(Some(*value))),
            Self::Text(text) => text,
            Self::Array(value) if value.len() == 1 => {
                let value = ScalarValue::try_from_array(value, 0)?;
                return match (value.try_as_str(), list) {
                    // What a client sends as a text, and the statement takes as a list.
                    (Some(Some(text)), Some(list)) => listed(name, text, list),
                    (Some(None), Some(list)) => ScalarValue::try_from(list),
                    _ => Ok(value),
                };
            }
            Self::Array(_) => return Err(wrong(format!("the value of ${name} is not one value"))),
        };
        if let Some(list) = list {
            return listed(name, text, list);
        }
        let plain = ScalarValue::Utf8(Some(text.clone()));
        let Some(first) = only else {
            return Ok(plain);
        };
        let read = match first {
            DataType::Timestamp(..) => {
                let whole = with_seconds(text).map_or(plain, ScalarValue::from);
                let time = whole.cast_to(first).ok();
                // `now() - $1` is planned as a difference of times.
                time.or_else(|| span(text).filter(|_| uses.is_only_summed()))
            }
            DataType::Interval(_) | DataType::Duration(_) => span(text),
            first => plain.cast_to(first).ok(),
        };
        read.ok_or_else(|| {
            let hint = match first {
                DataType::Interval(_) | DataType::Duration(_) => {
                    "; a span of time is written as 7 days or 90 minutes"
                }
                _ => "",
            };
            let fault = match first {
                DataType::Interval(_) | DataType::Duration(_) => StatementFault::InvalidTime,
                first if first.is_temporal() => StatementFault::of_time(text),
                _ => StatementFault::InvalidText,
            };
            let message = format!(
                "the value of ${name} is no {}: `{}`{hint}",
                type_name(first),
                text.chars().take(40).collect::<String>()
            );
            QueryError::of_statement(fault, message).into()
        })
    }
}

/// Returns the texts of an array, or of the lists in it, and its numbers as texts, but whole ones; none where there are others.
fn texts_of(values: &ArrayRef) -> Vec<String> {
    match values.data_type() {
        DataType::List(_) => texts_of(values.as_list::<i32>().values()),
        of if of.is_string() || of.is_decimal() || of.is_floating() => {
            match cast(values, &DataType::Utf8) {
                Ok(texts) => {
                    let texts = texts.as_string::<i32>().iter();
                    texts.flatten().map(str::to_owned).collect()
                }
                Err(_) => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// Returns the span of time that a text says, `7 days` or `INTERVAL '7 days'`. A number without a unit is none: it would be one of
/// months.
fn span(text: &str) -> Option<ScalarValue> {
    const WORD: &str = "interval";
    let text = text.trim();
    let text = match text.split_at_checked(WORD.len()) {
        Some((word, span)) if word.eq_ignore_ascii_case(WORD) => span.trim().trim_matches('\''),
        _ => text,
    };
    if text.parse::<f64>().is_ok() {
        return None;
    }
    let of_sql = DataType::Interval(IntervalUnit::MonthDayNano);
    let text = in_units(text).unwrap_or_else(|| text.to_owned());
    ScalarValue::from(text).cast_to(&of_sql).ok()
}

/// Returns the list that a text says.
fn listed(name: &str, text: &str, list: &DataType) -> Result<ScalarValue> {
    lists::read(text, list).ok_or_else(|| {
        let message = format!(
            "the value of ${name} is no {}, which is written as {{1,2,NULL}}: `{}`",
            type_name(list),
            text.chars().take(40).collect::<String>()
        );
        QueryError::of_statement(StatementFault::InvalidText, message).into()
    })
}

/// Puts values in place of placeholders. Those that are `filled` may stand there no more.
///
/// # Errors
/// `BadRequest` for a placeholder without a value, a value without a placeholder, and a text that is none of its type.
pub(crate) fn bind(
    plan: LogicalPlan,
    values: &Parameters,
    filled: &BTreeSet<String>,
) -> Result<LogicalPlan> {
    let used = placeholders(&plan)?;
    if used.is_empty() && values.is_empty() {
        return Ok(plan);
    }
    let mut missing: Vec<&str> = used
        .keys()
        .map(String::as_str)
        .filter(|name| !values.contains_key(*name))
        .collect();
    missing.sort_unstable();
    if let Some(name) = missing.first() {
        return Err(wrong(format!(
            "the statement has ${name}, and there is no value for it; give one as a parameter: param_{name}=…"
        )));
    }
    let left_over = values.iter().find(|(name, value)| {
        let is_used = used.contains_key(*name) || filled.contains(*name);
        !is_used && !matches!(value, ParameterValue::Array(_))
    });
    if let Some((name, _)) = left_over {
        return Err(wrong(format!(
            "there is a value for ${name}, which the statement does not have"
        )));
    }
    let mut elements = 0_usize;
    let mut bound = Vec::with_capacity(values.len());
    let unused = Uses::default();
    for (name, value) in values {
        let uses = used.get(name).unwrap_or(&unused);
        let value = of_the_day(value.typed(name, uses)?)?;
        if let ScalarValue::List(list) = &value {
            elements = elements.saturating_add(list.values().len().saturating_mul(uses.places));
        }
        bound.push((name.clone(), value));
    }
    if elements > ELEMENTS_MAX {
        let message = format!(
            "the lists that stand for the placeholders of the statement have {elements} elements, counted once for each place; \
             at most {ELEMENTS_MAX} are read"
        );
        return Err(QueryError::new(QueryErrorKind::TooLarge, message).into());
    }
    plan.replace_params_with_values(&ParamValues::from(bound))
}

/// Returns a value with times of the day in nanoseconds, as SQL has them: clients send microseconds, and the two are not compared.
pub(crate) fn of_the_day(value: ScalarValue) -> Result<ScalarValue> {
    let of_sql = DataType::Time64(TimeUnit::Nanosecond);
    match value.data_type() {
        DataType::Time32(_) | DataType::Time64(TimeUnit::Microsecond) => value.cast_to(&of_sql),
        DataType::List(field)
            if matches!(
                field.data_type(),
                DataType::Time32(_) | DataType::Time64(TimeUnit::Microsecond)
            ) =>
        {
            let field = field.as_ref().clone().with_data_type(of_sql);
            value.cast_to(&DataType::List(Arc::new(field)))
        }
        _ => Ok(value),
    }
}

/// What a statement does with a placeholder.
#[derive(Default)]
struct Uses {
    /// How often it stands there.
    places: usize,
    /// In how many of them it is added to something, or taken from it.
    sums: usize,
    /// What it is used as.
    types: Vec<DataType>,
}

impl Uses {
    fn is_only_summed(&self) -> bool {
        self.sums == self.places
    }
}

/// Returns the placeholders of a plan by name.
fn placeholders(plan: &LogicalPlan) -> Result<HashMap<String, Uses>> {
    let mut found: HashMap<String, Uses> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let is_limit = matches!(node, LogicalPlan::Limit(_));
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::Placeholder(placeholder) => {
                        let uses = found.entry(name_of(placeholder)).or_default();
                        uses.places += 1;
                        if let Some(field) = &placeholder.field {
                            uses.types.push(field.data_type().clone());
                        } else if is_limit {
                            uses.types.push(DataType::Int64);
                        }
                    }
                    Expr::BinaryExpr(BinaryExpr {
                        left,
                        op: Operator::Plus | Operator::Minus,
                        right,
                    }) => {
                        for side in [left, right] {
                            if let Expr::Placeholder(placeholder) = side.as_ref() {
                                found.entry(name_of(placeholder)).or_default().sums += 1;
                            }
                        }
                    }
                    Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                        if let Expr::Placeholder(placeholder) = expr.as_ref()
                            && matches!(field.data_type(), DataType::Interval(_))
                        {
                            let uses = found.entry(name_of(placeholder)).or_default();
                            uses.types.push(field.data_type().clone());
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if !found.is_empty() {
        for (name, list) in list_types(plan)? {
            found.entry(name).or_default().types.push(list);
        }
    }
    Ok(found)
}

/// Returns the name of a placeholder, without `$`.
fn name_of(placeholder: &Placeholder) -> String {
    placeholder.id.trim_start_matches('$').to_owned()
}

fn wrong(message: String) -> DataFusionError {
    QueryError::new(QueryErrorKind::BadRequest, message).into()
}
