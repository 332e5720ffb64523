//! Where a page of rows ended, as a text for an address: the time it was read as of, the key of its last row, and the order
//! of the rows.
//!
//! JSON in hexadecimal: nothing in it is secret, and what comes back is checked like any other parameter.

use meetnet_model::column::ColumnType;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::hex::Hex;
use meetnet_query::PageValue;
use serde_json::Value;

use crate::parameters::wrong_value;
use crate::problem::Problem;

#[cfg(test)]
mod tests;

/// The end of a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cursor {
    /// The time all pages are read as of, µs since 1970 UTC.
    pub(crate) as_of: i64,
    /// The key of the page's last row.
    pub(crate) after: Vec<PageValue>,
    /// The order of the rows, as the parameter says it; none: that of the key.
    pub(crate) order: Option<String>,
}

impl Cursor {
    /// Returns the text.
    pub(crate) fn to_text(&self) -> String {
        let key = self.after.iter().map(|value| match value {
            PageValue::Int(value) | PageValue::Time(value) => Value::from(*value),
            PageValue::Float(value) => Value::from(*value),
            PageValue::Bool(value) => Value::from(*value),
            PageValue::Text(value) => Value::from(value.as_str()),
        });
        let parts: Vec<Value> = std::iter::once(Value::from(self.as_of))
            .chain(key)
            .chain(self.order.as_deref().map(Value::from))
            .collect();
        Hex(Value::from(parts).to_string().as_bytes()).to_string()
    }

    /// Reads a text back.
    ///
    /// # Errors
    /// `BadRequest` for anything that [`Cursor::to_text`] does not make for this dataset.
    pub(crate) fn read(text: &str, declaration: &DatasetDeclaration) -> Result<Self, Problem> {
        Self::parse(text, declaration).ok_or_else(|| {
            let accepted = "what the link rel=\"next\" of the page before has, and is left out for the first page of a dataset";
            wrong_value("cursor", text, accepted)
        })
    }

    fn parse(text: &str, declaration: &DatasetDeclaration) -> Option<Self> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let bytes: Vec<u8> = pairs
            .iter()
            .map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok())
            .collect::<Option<_>>()?;
        let parts: Vec<Value> = serde_json::from_slice(&bytes).ok()?;
        let (as_of, key) = parts.split_first()?;
        let columns = declaration.key_indices();
        let (key, order) = key.split_at_checked(columns.len())?;
        let order = match order {
            [] => None,
            [order] => Some(order.as_str()?.to_owned()),
            _ => return None,
        };
        let after = key
            .iter()
            .zip(columns)
            .map(
                |(value, column)| match declaration.columns[column].column_type {
                    ColumnType::Int => value.as_i64().map(PageValue::Int),
                    ColumnType::Timestamp => value.as_i64().map(PageValue::Time),
                    ColumnType::Text => value.as_str().map(|text| PageValue::Text(text.to_owned())),
                    _ => None,
                },
            )
            .collect::<Option<_>>()?;
        Some(Self {
            as_of: as_of.as_i64()?,
            after,
            order,
        })
    }
}
