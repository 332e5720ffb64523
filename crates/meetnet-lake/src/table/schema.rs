//! Delta's form of a schema and of file statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use meetnet_model::{calendar, time};
use serde_json::{Map, Value, json};

use crate::snapshot::{ColumnStatistics, StatisticsValue};

/// Returns the `schemaString` of a table.
pub(crate) fn schema_string(schema: &Schema) -> String {
    let fields: Vec<Value> = schema
        .fields()
        .iter()
        .map(|field| {
            json!({
                "name": field.name(),
                "type": delta_type(field.data_type()),
                "nullable": field.is_nullable(),
                "metadata": {},
            })
        })
        .collect();
    json!({ "type": "struct", "fields": fields }).to_string()
}

fn delta_type(data_type: &DataType) -> Value {
    match data_type {
        DataType::Int8 => json!("byte"),
        DataType::Int64 => json!("long"),
        DataType::Float64 => json!("double"),
        DataType::Boolean => json!("boolean"),
        DataType::Timestamp(..) => json!("timestamp"),
        DataType::List(element) => json!({
            "type": "array",
            "elementType": delta_type(element.data_type()),
            "containsNull": element.is_nullable(),
        }),
        _ => json!("string"),
    }
}

/// Returns the `stats` text of a file. Bounds of timestamps are RFC 3339 with microseconds.
pub(crate) fn stats_text(
    rows: u64,
    statistics: &BTreeMap<Arc<str>, ColumnStatistics>,
    schema: &Schema,
) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (name, column) in statistics {
        let is_time = schema
            .field_with_name(name)
            .is_ok_and(|field| matches!(field.data_type(), DataType::Timestamp(..)));
        let value = |bound: &StatisticsValue| match bound {
            StatisticsValue::Int(v) if is_time => json!(calendar::format_rfc3339(*v)),
            StatisticsValue::Int(v) => json!(v),
            StatisticsValue::Float(v) => json!(v),
            StatisticsValue::Text(v) => json!(&**v),
        };
        if let Some(bound) = &column.min {
            min.insert(name.to_string(), value(bound));
        }
        if let Some(bound) = &column.max {
            max.insert(name.to_string(), value(bound));
        }
        if let Some(count) = column.nulls {
            nulls.insert(name.to_string(), json!(count));
        }
    }
    json!({ "numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls })
        .to_string()
}

/// Reads a `stats` text back: number of rows and statistics per column of `schema`.
pub(crate) fn read_stats(
    text: &str,
    schema: &Schema,
) -> Option<(u64, BTreeMap<Arc<str>, ColumnStatistics>)> {
    let stats: Value = serde_json::from_str(text).ok()?;
    let rows = stats.get("numRecords")?.as_u64()?;
    let mut columns: BTreeMap<Arc<str>, ColumnStatistics> = BTreeMap::new();
    for field in schema.fields() {
        let name = field.name().as_str();
        let bound = |side: &str| {
            let value = stats.get(side)?.get(name)?;
            match field.data_type() {
                DataType::Timestamp(..) => time::parse_rfc3339(value.as_str()?)
                    .ok()
                    .map(StatisticsValue::Int),
                DataType::Int8 | DataType::Int64 => value.as_i64().map(StatisticsValue::Int),
                DataType::Float64 => value.as_f64().map(StatisticsValue::Float),
                DataType::Utf8 => value.as_str().map(|t| StatisticsValue::Text(Arc::from(t))),
                _ => None,
            }
        };
        let column = ColumnStatistics {
            min: bound("minValues"),
            max: bound("maxValues"),
            nulls: stats
                .get("nullCount")
                .and_then(|n| n.get(name))
                .and_then(Value::as_u64),
        };
        if column != ColumnStatistics::default() {
            columns.insert(Arc::from(name), column);
        }
    }
    Some((rows, columns))
}
