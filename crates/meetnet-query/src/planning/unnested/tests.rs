use super::*;
use crate::options::{Dialect, QueryOptions};
use crate::parse;

#[test]
fn the_column_is_one_that_unnest_in_from_is_of() {
    for (sql, expect) in [
        ("SELECT x FROM t, unnest(t.List) AS u(x)", true),
        ("SELECT x FROM t CROSS JOIN unnest(list) AS x", true),
        (
            "EXPLAIN SELECT 1 FROM (SELECT x FROM t, unnest(f(list)) AS x) AS y",
            true,
        ),
        ("SELECT unnest(t.list) FROM t", false),
        ("SELECT x FROM t, unnest(t.other) AS u(x) WHERE list", false),
        ("SELECT list FROM t", false),
    ] {
        for dialect in [Dialect::Generic, Dialect::Postgres] {
            let statement = parse::statement(sql, dialect, &QueryOptions::default());
            assert_eq!(unnests(&statement.expect(sql), "list"), expect, "{sql}");
        }
    }
}
