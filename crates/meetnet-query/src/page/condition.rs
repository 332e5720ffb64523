//! Conditions on columns of a page: typed values, and SQL of them.

use arrow::datatypes::{DataType, Field, TimeUnit};
use meetnet_model::common::RECEIVED_AT;
use meetnet_model::time::{day_or_time_in, format_rfc3339};
use meetnet_sql::literals::{CELLS, cell};

use super::statement::quoted;

/// A value to compare a column with.
#[derive(Clone, Debug, PartialEq)]
pub enum PageValue {
    /// An integer.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Microseconds since 1970 UTC.
    Time(i64),
    /// A text.
    Text(String),
}

impl PageValue {
    /// Reads a value of a column, as [`Self::parse`] does; of a column of H3 cells their usual text, too.
    ///
    /// # Errors
    /// What is accepted.
    pub fn of_column(field: &Field, text: &str, zone: Option<&str>) -> Result<Self, &'static str> {
        if !field.name().starts_with(CELLS) || *field.data_type() != DataType::Int64 {
            return Self::parse(field.data_type(), text, zone);
        }
        let value = text.parse().ok().or_else(|| cell(text));
        value
            .map(Self::Int)
            .ok_or("an H3 cell, such as 891fa47a103ffff or as a number")
    }

    /// Reads a value of a type as answers show it; a day begins by the clocks of `zone`, as
    /// [`meetnet_model::dataset::DatasetDeclaration::zone`] gives it.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(
        data_type: &DataType,
        text: &str,
        zone: Option<&str>,
    ) -> Result<Self, &'static str> {
        match data_type {
            DataType::Utf8 => Ok(Self::Text(text.to_owned())),
            DataType::Int64 => text
                .parse()
                .map(Self::Int)
                .map_err(|_| "a whole number such as 42"),
            DataType::Int8 => text
                .parse::<i8>()
                .map(|value| Self::Int(value.into()))
                .map_err(|_| "a whole number from -128 to 127, such as 1"),
            DataType::Float64 => text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .map(Self::Float)
                .ok_or("a number such as 1.5"),
            DataType::Boolean => text
                .parse()
                .map(Self::Bool)
                .map_err(|_| "true or false"),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                day_or_time_in(text, zone).map(Self::Time).ok_or(
                    "an RFC 3339 time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31, which begins at 00:00 UTC, or by the \
                     clocks of the zone that the dataset states (in an address + is written %2B)",
                )
            }
            _ => Err("no value: a list cannot be compared"),
        }
    }

    /// Returns the value as a SQL literal.
    pub(super) fn to_sql(&self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Float(value) => format!("CAST('{value:e}' AS DOUBLE)"),
            Self::Bool(value) => value.to_string(),
            // As text it takes the column's type; a TIMESTAMP literal counts nanoseconds, which end in 2262.
            Self::Time(value) => format!("'{}'", format_rfc3339(*value)),
            Self::Text(value) => format!("'{}'", value.replace('\'', "''")),
        }
    }
}

/// What a column must meet.
#[derive(Clone, Debug, PartialEq)]
pub enum PageTest {
    /// Equal to one of these.
    AnyOf(Vec<PageValue>),
    /// Less than.
    Less(PageValue),
    /// At most.
    AtMost(PageValue),
    /// Greater than.
    Greater(PageValue),
    /// At least.
    AtLeast(PageValue),
    /// Whether there is no value.
    IsNull(bool),
    /// The version of the row was recorded after this time, µs since 1970 UTC: of `recorded_at`, which is null in rows that were
    /// recorded as they were received.
    RecordedAfter(i64),
}

/// One condition on one column. Rows without a value meet none but `IsNull(true)`.
#[derive(Clone, Debug, PartialEq)]
pub struct PageCondition {
    /// Name of the column.
    pub column: String,
    /// What it must meet.
    pub test: PageTest,
}

impl PageCondition {
    pub(super) fn to_sql(&self) -> String {
        let column = quoted(&self.column);
        match &self.test {
            PageTest::AnyOf(values) => {
                let values: Vec<String> = values.iter().map(PageValue::to_sql).collect();
                format!("{column} IN ({})", values.join(", "))
            }
            PageTest::Less(value) => format!("{column} < {}", value.to_sql()),
            PageTest::AtMost(value) => format!("{column} <= {}", value.to_sql()),
            PageTest::Greater(value) => format!("{column} > {}", value.to_sql()),
            PageTest::AtLeast(value) => format!("{column} >= {}", value.to_sql()),
            PageTest::IsNull(true) => format!("{column} IS NULL"),
            PageTest::IsNull(false) => format!("{column} IS NOT NULL"),
            // Written so that pruning understands it, which it does not for `coalesce`.
            PageTest::RecordedAfter(time) => {
                let time = PageValue::Time(*time).to_sql();
                let received = quoted(RECEIVED_AT);
                format!("({column} > {time} OR ({column} IS NULL AND {received} > {time}))")
            }
        }
    }
}
