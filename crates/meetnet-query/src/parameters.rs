//! Values for the placeholders of a statement: `$1`, `$from`.
//!
//! Values are put into the plan, never into the text, so no value can become SQL. A text takes the type that the
//! statement gives its placeholder: addresses carry nothing but texts.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};
use meetnet_model::time::with_seconds;

use crate::encode::type_name;
use crate::error::{QueryError, QueryErrorKind};

#[cfg(test)]
mod tests;

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

    /// Returns the value in the one type that its placeholder is used as, where there is one.
    fn typed(&self, name: &str, types: &[DataType]) -> Result<ScalarValue> {
        let text = match self {
            Self::Null => return Ok(ScalarValue::Null),
            Self::Bool(value) => return Ok(ScalarValue::Boolean(Some(*value))),
            Self::Int(value) => return Ok(ScalarValue::Int64(Some(*value))),
            Self::Float(value) => return Ok(ScalarValue::Float64(Some(*value))),
            Self::Text(text) => text,
            Self::Array(value) if value.len() == 1 => {
                return ScalarValue::try_from_array(value, 0);
            }
            Self::Array(_) => return Err(wrong(format!("the value of ${name} is not one value"))),
        };
        let plain = ScalarValue::Utf8(Some(text.clone()));
        let Some(first) = types
            .first()
            .filter(|first| types.iter().all(|of| of == *first))
        else {
            return Ok(plain);
        };
        let whole = match first {
            DataType::Timestamp(..) => with_seconds(text),
            _ => None,
        };
        let plain = whole.map_or(plain, ScalarValue::from);
        plain.cast_to(first).map_err(|_| {
            wrong(format!(
                "the value of ${name} is no {}: `{}`",
                type_name(first),
                text.chars().take(40).collect::<String>()
            ))
        })
    }
}

/// Puts values in place of placeholders.
///
/// # Errors
/// `BadRequest` for a placeholder without a value, a value without a placeholder, and a text that is none of its type.
pub(crate) fn bind(plan: LogicalPlan, values: &Parameters) -> Result<LogicalPlan> {
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
        !used.contains_key(*name) && !matches!(value, ParameterValue::Array(_))
    });
    if let Some((name, _)) = left_over {
        return Err(wrong(format!(
            "there is a value for ${name}, which the statement does not have"
        )));
    }
    let values = values
        .iter()
        .map(|(name, value)| {
            let types = used.get(name).map_or(&[][..], Vec::as_slice);
            Ok((name.clone(), value.typed(name, types)?))
        })
        .collect::<Result<Vec<_>>>()?;
    plan.replace_params_with_values(&ParamValues::from(values))
}

/// Returns the placeholders of a plan by name, each with the types that it is used as.
fn placeholders(plan: &LogicalPlan) -> Result<HashMap<String, Vec<DataType>>> {
    let mut found: HashMap<String, Vec<DataType>> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let is_limit = matches!(node, LogicalPlan::Limit(_));
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(placeholder) = expr {
                    let name = placeholder.id.trim_start_matches('$').to_owned();
                    let types = found.entry(name).or_default();
                    if let Some(field) = &placeholder.field {
                        types.push(field.data_type().clone());
                    } else if is_limit {
                        types.push(DataType::Int64);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

fn wrong(message: String) -> DataFusionError {
    QueryError::new(QueryErrorKind::BadRequest, message).into()
}
