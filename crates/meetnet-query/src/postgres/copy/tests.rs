use super::CopyArgument::{AllColumns, Columns, On};
use super::*;
use crate::error::StatementFault;
use crate::postgres::statements;

fn copied(sql: &str) -> Result<CopyOut, QueryError> {
    let statements = statements(sql).expect("a statement");
    copy_out(&statements[0])
}

fn value(text: &str) -> CopyArgument {
    CopyArgument::Value(text.to_owned())
}

#[test]
fn what_is_copied_is_a_query() {
    let check = |sql: &str, query: &str| {
        let found = copied(sql).map(|copy| copy.query);
        assert_eq!(found.expect(sql), query, "{sql}");
    };
    check("COPY traffic TO STDOUT", "SELECT * FROM traffic");
    check("COPY BINARY traffic TO STDOUT", "SELECT * FROM traffic");
    check("copy traffic to stdin", "SELECT * FROM traffic");
    check(
        "COPY public.\"Odd \"\"name\"\"\" (car, /* not , */ \"Heavy\") TO STDOUT",
        "SELECT car, \"Heavy\" FROM public.\"Odd \"\"name\"\"\"",
    );
    check(
        "COPY (SELECT ')', count(*) FROM (SELECT 1) AS a) TO STDOUT",
        "SELECT ')', count(*) FROM (SELECT 1) AS a",
    );
    // What stands in it is not touched.
    check(
        "COPY ( SELECT E'a\\'b\\\\', 'é',\n U&'\\00e9' -- (\n) TO STDOUT;",
        "SELECT E'a\\'b\\\\', 'é',\n U&'\\00e9' -- (",
    );
}

#[test]
fn options_are_read_in_both_forms() {
    let check = |options: &str, expected: &[(&str, CopyArgument)]| {
        let sql = format!("COPY traffic TO STDOUT {options}");
        let found = copied(&sql).map(|copy| copy.options);
        let expected = expected.iter();
        let expected = expected.map(|(name, argument)| ((*name).to_owned(), argument.clone()));
        assert_eq!(
            found.expect(&sql),
            expected.collect::<Vec<_>>(),
            "{options}"
        );
    };
    let columns = |names: &[&str]| Columns(names.iter().map(|name| (*name).to_owned()).collect());
    check("", &[]);
    check(
        "(FORMAT CSV, HEADER, Delimiter ';')",
        &[
            ("format", value("csv")),
            ("header", On),
            ("delimiter", value(";")),
        ],
    );
    check(
        "WITH (FORMAT \"binary\", header 0)",
        &[("format", value("binary")), ("header", value("0"))],
    );
    check(
        "(DELIMITER E'\\t', QUOTE '''', ESCAPE E'\\\\', NULL '')",
        &[
            ("delimiter", value("\t")),
            ("quote", value("'")),
            ("escape", value("\\")),
            ("null", value("")),
        ],
    );
    check(
        "(FORCE_QUOTE (car, \"Heavy\"))",
        &[("force_quote", columns(&["car", "Heavy"]))],
    );
    check("(FORCE_QUOTE *)", &[("force_quote", AllColumns)]);
    check(
        "CSV HEADER DELIMITER AS ';' NULL 'none' FORCE QUOTE Car, \"Heavy\"",
        &[
            ("format", value("csv")),
            ("header", On),
            ("delimiter", value(";")),
            ("null", value("none")),
            ("force_quote", columns(&["car", "Heavy"])),
        ],
    );
    check(
        "WITH BINARY FORCE NOT NULL car FORCE NULL car FORCE QUOTE *",
        &[
            ("format", value("binary")),
            ("force_not_null", columns(&["car"])),
            ("force_null", columns(&["car"])),
            ("force_quote", AllColumns),
        ],
    );
}

#[test]
fn what_writes_is_told_from_what_cannot_be_read() {
    let refused = |sql: &str| {
        let refused = copied(sql).expect_err(sql);
        (refused.kind, refused.fault)
    };
    for sql in [
        "COPY traffic FROM STDIN",
        "COPY traffic (car) FROM '/etc/passwd' WITH (FORMAT csv)",
        "COPY traffic FROM PROGRAM 'id'",
        "COPY traffic TO '/tmp/traffic.csv' CSV",
        "COPY traffic TO E'/tmp/traffic.csv'",
        "COPY (SELECT 1) TO PROGRAM 'sh'",
    ] {
        assert_eq!(refused(sql), (QueryErrorKind::Forbidden, None), "{sql}");
    }
    for sql in [
        "COPY",
        "COPY traffic",
        "COPY traffic TO",
        "COPY traffic TO traffic",
        "COPY (SELECT 1 TO STDOUT",
        "COPY traffic (car TO STDOUT",
        "COPY traffic () TO STDOUT",
        "COPY traffic. TO STDOUT",
        "COPY traffic TO STDOUT (",
        "COPY traffic TO STDOUT ()",
        "COPY traffic TO STDOUT (FORMAT csv",
        "COPY traffic TO STDOUT (FORMAT csv) HEADER",
        "COPY traffic TO STDOUT NULL csv",
        "COPY traffic TO STDOUT FORCE car",
        "COPY traffic TO STDOUT WHERE car > 1",
    ] {
        let syntax = (QueryErrorKind::BadRequest, Some(StatementFault::Syntax));
        assert_eq!(refused(sql), syntax, "{sql}");
    }
}
