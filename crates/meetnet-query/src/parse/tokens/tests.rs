use datafusion::sql::sqlparser::dialect::{GenericDialect, PostgreSqlDialect};
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::*;

fn read(sql: &str, written_in: Dialect) -> Result<String, QueryError> {
    let tokens = match written_in {
        Dialect::Generic => Tokenizer::new(&GenericDialect, sql).tokenize_with_location(),
        Dialect::Postgres => Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location(),
    };
    let tokens = respelled(tokens.expect("tokens"), written_in)?;
    // One space between any two.
    let words = tokens.iter().map(|token| token.token.to_string());
    let words = words.filter(|word| !word.trim().is_empty());
    Ok(words.collect::<Vec<_>>().join(" "))
}

fn check(sql: &str, expected: &str) {
    for dialect in [Dialect::Generic, Dialect::Postgres] {
        assert_eq!(read(sql, dialect).expect(sql), expected, "{sql}");
    }
}

fn check_refused(sql: &str, fault: StatementFault, expected: &str) {
    for dialect in [Dialect::Generic, Dialect::Postgres] {
        let error = read(sql, dialect).expect_err(sql);
        assert_eq!(error.fault, Some(fault), "{sql}: {error}");
        assert!(error.message.contains(expected), "{sql}: {error}");
    }
}

fn check_from(sql: &str, expected: &str) {
    assert_eq!(read(sql, Dialect::Generic).expect(sql), expected, "{sql}");
    let words: Vec<&str> = sql.split_whitespace().collect();
    let same = read(sql, Dialect::Postgres).expect(sql);
    assert_eq!(same, words.join(" "), "{sql}");
}

#[test]
fn texts_are_one_where_a_line_ends_between_them() {
    check("SELECT 'ab'\n'cd'", "SELECT 'abcd'");
    check("SELECT 'a' \n\t \n 'b'\n'c' , 'd'", "SELECT 'abc' , 'd'");
    check("SELECT 'a' -- why\n'b'", "SELECT 'ab'");
    check("SELECT E'a\\n'\n'b'", "SELECT E'a\nb'");
    check("SELECT 'a'\n, 'b'\n|| 'c'", "SELECT 'a' , 'b' || 'c'");
    for sql in [
        "SELECT 'ab' 'cd'",
        "SELECT 1 WHERE x IN ('ab' 'cd')",
        // Ends with no line.
        "SELECT 'ab' /* \n */ 'cd'",
        "SELECT 'ab' -- why\n /* why not */ 'cd'",
        // What a backslash means there is read before.
        "SELECT E'ab'\n'c\\nd'",
    ] {
        check_refused(
            sql,
            StatementFault::Syntax,
            "stands behind another one at Line: ",
        );
    }
}

#[test]
fn numbers_that_no_float_can_be_are_refused() {
    let long = "9".repeat(400);
    for (sql, expected) in [
        (
            "SELECT 1e400",
            "out of range: 1e400 is no double precision at Line: 1, Column: 8;",
        ),
        ("SELECT -1.5E309", "1.5E309"),
        ("SELECT 1 +\n1e-400 FROM counts", "Line: 2, Column: 1"),
        ("SELECT 0.001e-400", "0.001e-400"),
        (format!("SELECT {long}").as_str(), "999…"),
    ] {
        check_refused(sql, StatementFault::OutOfRange, expected);
    }
    let kept = "SELECT 1e308 , 5e-324 , 0e400 , 0.0 , 1000 , 12345678901234567890";
    check(kept, kept);
}

#[test]
fn what_begins_as_a_number_is_one() {
    for (sql, expected) in [
        ("SELECT 0b101", "`0b101` at Line: 1, Column: 8"),
        ("SELECT 0o17", "`0o17`"),
        ("SELECT 0x1F + 1", "`0x1F`"),
        ("SELECT 1_000_", "`1_000_`"),
        ("SELECT 2a", "`2a`"),
        ("SELECT 1.5e", "`1.5e`"),
        ("SELECT\n 1x FROM counts", "`1x` at Line: 2, Column: 2"),
    ] {
        let expected = format!("trailing junk after numeric literal: {expected}");
        check_refused(sql, StatementFault::Syntax, &expected);
    }
    check(
        "SELECT 1 a, 1e5, .5, 1.e3, X'1F', a1, 1\"b\", 1::int, x[1], '0x1F'",
        "SELECT 1 a , 1e5 , .5 , 1.e3 , X'1F' , a1 , 1 \"b\" , 1 :: int , x [ 1 ] , '0x1F'",
    );
    // These are no names.
    check(
        "SELECT 1FROM t WHERE a=1and b IN (2)OR c=3or d LIMIT 1offset 2",
        "SELECT 1 FROM t WHERE a = 1 and b IN ( 2 ) OR c = 3 or d LIMIT 1 offset 2",
    );
}

#[test]
fn fetch_is_a_limit_where_the_parser_does_not_read_it() {
    check(
        "SELECT a FROM t FETCH FIRST (1 + (2)) ROWS ONLY",
        "SELECT a FROM t LIMIT ( 1 + ( 2 ) )",
    );
    check(
        "SELECT a FROM t OFFSET 2 ROWS FETCH NEXT (3) ROW ONLY",
        "SELECT a FROM t OFFSET 2 ROWS LIMIT ( 3 )",
    );
    check(
        "SELECT a FROM (SELECT 1 FETCH FIRST ROW ONLY OFFSET 2) t FETCH NEXT 5 ROWS ONLY OFFSET 1",
        "SELECT a FROM ( SELECT 1 LIMIT 1 OFFSET 2 ) t LIMIT 5 OFFSET 1",
    );
    for same in [
        "SELECT a FROM t FETCH FIRST 3 ROWS ONLY",
        "SELECT a FROM t OFFSET 2 ROWS FETCH FIRST ROW ONLY",
        "SELECT fetch , first FROM t",
        "SELECT a FROM t FETCH FIRST ( 3 ROWS ONLY",
        "FETCH FIRST",
    ] {
        check(same, same);
    }
    for sql in [
        "SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES",
        "SELECT a FROM t ORDER BY a FETCH FIRST ROW WITH TIES",
        "SELECT a FROM t ORDER BY a FETCH NEXT (3) ROWS WITH TIES",
    ] {
        check_refused(sql, StatementFault::Unsupported, "WITH TIES");
    }
}

#[test]
fn a_part_that_is_similar_is_one_from_a_pattern() {
    check(
        "SELECT substring(a SIMILAR '%#\"b#\"' ESCAPE '#'), substring (lower(a) similar (b) escape c)",
        "SELECT substring ( a FROM '%#\"b#\"' FOR '#' ) , substring ( lower ( a ) FROM ( b ) FOR c )",
    );
    for same in [
        "SELECT substring ( a FROM 2 FOR 3 ) , a SIMILAR TO 'b' ESCAPE '#'",
        "SELECT substring ( ( a SIMILAR TO 'b' ESCAPE '#' ) FROM 1 )",
        "SELECT substring ( a SIMILAR TO 'b' ESCAPE '#' )",
        "SELECT similar , escape FROM t WHERE f ( a LIKE 'b' ESCAPE '#' )",
        "SELECT substring ( similar FROM 2 ) , substring ( t . similar , 2 )",
    ] {
        check(same, same);
    }
}

#[test]
fn a_query_that_begins_with_from_has_all_columns() {
    check_from("FROM t WHERE a", "SELECT * FROM t WHERE a");
    check_from(
        "EXPLAIN FROM t UNION ALL FROM u WHERE a",
        "EXPLAIN SELECT * FROM t UNION ALL SELECT * FROM u WHERE a",
    );
    check_from(
        "WITH a AS ( FROM t WHERE b ) FROM a WHERE c",
        "WITH a AS ( SELECT * FROM t WHERE b ) SELECT * FROM a WHERE c",
    );
    check_from(
        "SELECT a FROM ( FROM t WHERE b ) WHERE c IN ( FROM u )",
        "SELECT a FROM ( SELECT * FROM t WHERE b ) WHERE c IN ( SELECT * FROM u )",
    );
    for same in [
        "FROM t SELECT a WHERE b",
        "SELECT a FROM t",
        "SELECT ( SELECT a FROM t ) FROM u",
        "SELECT trim ( FROM a ) , f ( FROM a ) , extract ( day FROM b ) FROM t",
        "SELECT a IS DISTINCT FROM b",
        "WITH t AS ( SELECT 1 ) SELECT * EXCEPT ( a ) FROM t",
        "SELECT substring ( lower ( a ) FROM 2 ) , a > ALL ( SELECT 1 ) FROM t",
        "VALUES ( extract ( day FROM b ) )",
        "DELETE FROM t",
    ] {
        check_from(same, same);
    }
}

#[test]
fn a_set_that_begins_with_a_bracket_is_whole() {
    for (sql, expected) in [
        ("ROLLUP ( ( a ) :: date )", "ROLLUP ( ( ( a ) :: date ) )"),
        (
            "rollup ( ( a + 1 ) % 2 , b , ( c ) [ 1 ] )",
            "rollup ( ( ( a + 1 ) % 2 ) , b , ( ( c ) [ 1 ] ) )",
        ),
        (
            "GROUPING SETS ( ( a ) :: text , ( ) , ( a , b ) )",
            "GROUPING SETS ( ( ( a ) :: text ) , ( ) , ( a , b ) )",
        ),
        (
            "CUBE ( ( f ( a , b ) ) + ( c ) )",
            "CUBE ( ( ( f ( a , b ) ) + ( c ) ) )",
        ),
        (
            "ROLLUP ( ( ROLLUP ( ( a ) + 1 ) ) + 1 )",
            "ROLLUP ( ( ( ROLLUP ( ( ( a ) + 1 ) ) ) + 1 ) )",
        ),
    ] {
        check(sql, expected);
    }
    for same in [
        "ROLLUP ( a , b )",
        "ROLLUP ( ( a ) , ( b , c ) )",
        "ROLLUP ( ( a , b ) , f ( ( a ) + 1 ) )",
        "GROUPING SETS ( ( ( a ) :: date ) , ( ) )",
        "f ( ( a ) + 1 ) , \"rollup\" ( ( a ) + 1 )",
        "ROLLUP ( ( a ) + 1",
        ") ROLLUP",
    ] {
        check(same, same);
    }
}

#[test]
fn blanks_are_trimmed_where_nothing_else_is_said() {
    check(
        "trim ( LEADING FROM a ) , trim ( both from b )",
        "trim ( LEADING ' ' FROM a ) , trim ( both ' ' from b )",
    );
    for same in [
        "trim ( LEADING 'x' FROM a )",
        "trim ( a )",
        "f ( leading from a )",
        "trim ( LEADING",
    ] {
        check(same, same);
    }
}
