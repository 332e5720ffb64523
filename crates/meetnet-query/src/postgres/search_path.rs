//! How Grafana asks for the schemas that names are looked up in: it takes a setting apart with functions that are not here.
//! The query is known by its syntax tree, whole: what else a statement does with the setting, or a text that is called the
//! same, means what it says.

use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// What Grafana asks, at the right of IN.
const ASKED: &str = r#"
    SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
    FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
                         array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i,
         string_to_array(current_setting('search_path'), ',') s"#;

static QUERY: LazyLock<Option<Query>> = LazyLock::new(|| {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, ASKED).ok()?;
    match statements.pop() {
        Some(Statement::Query(query)) => Some(*query),
        _ => None,
    }
});

/// Returns true for the query that answers the schemas of the search path.
pub(super) fn is_search_path(query: &Query) -> bool {
    QUERY.as_ref() == Some(query)
}
