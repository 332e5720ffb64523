//! The SQL of a page.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::LicenceId;

use super::condition::PageCondition;
use super::{PageRequest, PageValue, place};
use crate::error::QueryError;
use crate::table::schema::public_schema;

/// A statement, and how many of its columns are asked for: those behind them are for the next page.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) shown: usize,
}

impl Statement {
    /// Writes the statement of a request that has been checked.
    ///
    /// # Errors
    /// `BadRequest` for a place of rows that have none, and for buckets of what is no number.
    pub(super) fn of(
        request: &PageRequest,
        table: &TableSnapshot,
        snapshot: &LakeSnapshot,
        licences: Option<&BTreeSet<LicenceId>>,
    ) -> Result<Self, QueryError> {
        let declaration = &*table.declaration;
        let mut conditions: Vec<String> = request
            .conditions
            .iter()
            .map(PageCondition::to_sql)
            .collect();
        if let Some(area) = &request.area {
            conditions.push(place::condition(area, declaration, snapshot)?);
        }
        let order = order(request, declaration);
        let follows = request
            .after
            .as_ref()
            .and_then(|after| follows(&order, after));
        let (mut columns, from) = match &request.buckets {
            None => {
                conditions.extend(follows);
                let from = format!("{}{}", quoted(declaration.id.as_str()), filter(&conditions));
                (columns(request, &public_schema(declaration)), from)
            }
            Some(of) => {
                let columns = of.columns(request, declaration)?;
                let from = of.table(request, declaration, &filter(&conditions))?;
                let behind: Vec<String> = follows.into_iter().collect();
                (columns, format!("({from}) AS buckets{}", filter(&behind)))
            }
        };
        let shown = columns.len();
        for name in &declaration.key {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let ordered = |table: &str| {
            let columns = order.iter().map(|of| {
                format!(
                    "{table}{} {}",
                    quoted(of.column),
                    if of.down { "DESC" } else { "ASC" }
                )
            });
            columns.collect::<Vec<_>>().join(", ")
        };
        let held: Vec<String> = columns
            .iter()
            .filter(|name| request.buckets.is_some() || !place::is_told(name, declaration))
            .cloned()
            .collect();
        let mut sql = format!(
            "SELECT {} FROM {from} ORDER BY {} LIMIT {}",
            list(&held),
            ordered(""),
            request.rows_max.saturating_add(1),
        );
        if held.len() < columns.len() {
            sql = place::told(&sql, &columns, declaration, snapshot, licences)?;
            sql.push_str(&format!(" ORDER BY {}", ordered("held.")));
        }
        Ok(Self { sql, shown })
    }
}

fn columns(request: &PageRequest, schema: &SchemaRef) -> Vec<String> {
    if request.columns.is_empty() {
        schema.fields().iter().map(|f| f.name().clone()).collect()
    } else {
        request.columns.clone()
    }
}

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OrderBy<'a> {
    column: &'a str,
    /// Its place in the key.
    position: usize,
    down: bool,
}

/// Returns the order of a request: all columns of the key, those asked for first.
fn order<'a>(request: &PageRequest, declaration: &'a DatasetDeclaration) -> Vec<OrderBy<'a>> {
    let key = || declaration.key.iter().enumerate();
    let asked = request.order.iter().filter_map(|(name, down)| {
        let (position, column) = key().find(|(_, column)| *column == name)?;
        Some(OrderBy {
            column,
            position,
            down: *down,
        })
    });
    let mut order: Vec<OrderBy<'a>> = asked.collect();
    for (position, column) in key() {
        if !order.iter().any(|of| of.position == position) {
            order.push(OrderBy {
                column,
                position,
                down: false,
            });
        }
    }
    order
}

/// Returns what keys that come after `after` in the order meet. The first condition says nothing new; pruning understands
/// it best.
fn follows(order: &[OrderBy<'_>], after: &[PageValue]) -> Option<String> {
    let mut follows: Option<String> = None;
    for of in order.iter().rev() {
        let (name, value) = (quoted(of.column), after.get(of.position)?.to_sql());
        let beyond = if of.down { "<" } else { ">" };
        follows = Some(match follows {
            None => format!("{name} {beyond} {value}"),
            Some(follows) => {
                format!("({name} {beyond} {value} OR ({name} = {value} AND {follows}))")
            }
        });
    }
    let first = order.first()?;
    let (name, value) = (quoted(first.column), after.get(first.position)?.to_sql());
    let from = if first.down { "<=" } else { ">=" };
    Some(format!("{name} {from} {value} AND {}", follows?))
}

/// Returns ` WHERE …`, or nothing.
fn filter(conditions: &[String]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    format!(" WHERE {}", conditions.join(" AND "))
}

/// Returns names with commas between them.
pub(super) fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    quoted.join(", ")
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use meetnet_model::dataset::DatasetKind;

    use super::*;
    use crate::fixture::{START, declaration};

    #[test]
    fn the_key_of_a_page_is_a_range_that_pruning_understands() {
        let counts = declaration("counts", DatasetKind::Wide);
        let after = [PageValue::Int(3), PageValue::Time(START)];
        let check = |order: &[(&str, bool)], expect: &str| {
            let request = PageRequest {
                dataset: counts.id.clone(),
                as_of: START,
                columns: Vec::new(),
                conditions: Vec::new(),
                area: None,
                order: order
                    .iter()
                    .map(|(name, down)| ((*name).to_owned(), *down))
                    .collect(),
                buckets: None,
                after: None,
                rows_max: 1,
            };
            let order = super::order(&request, &counts);
            assert_eq!(follows(&order, &after).as_deref(), Some(expect));
        };
        let time = "'2026-01-01T00:00:00Z'";
        check(
            &[],
            &format!(
                "\"segment_id\" >= 3 AND (\"segment_id\" > 3 OR (\"segment_id\" = 3 AND \"time\" > {time}))"
            ),
        );
        check(
            &[("time", true)],
            &format!(
                "\"time\" <= {time} AND (\"time\" < {time} OR (\"time\" = {time} AND \"segment_id\" > 3))"
            ),
        );
    }
}
