use meetnet_query::postgres::{copy_out, statements};

use super::*;

fn format_of(options: &str) -> Result<CopyFormat, PgError> {
    let statements = statements(&format!("COPY t TO STDOUT {options}")).expect("a statement");
    CopyFormat::of(&copy_out(&statements[0]).expect(options).options)
}

fn lines(delimiter: u8, null: &str, has_header: bool) -> Lines {
    Lines {
        delimiter,
        null: null.to_owned(),
        has_header,
    }
}

#[test]
fn a_format_has_the_defaults_of_postgresql() {
    let check = |options: &str, expected: CopyFormat| {
        assert_eq!(format_of(options), Ok(expected), "{options}");
    };
    let csv = |lines: Lines, quote: u8, escape: u8, quoted: Quoted| CopyFormat::Csv {
        lines,
        quote,
        escape,
        quoted,
    };
    let none = || Quoted::Columns(Vec::new());
    check("", CopyFormat::Text(lines(b'\t', "\\N", false)));
    check(
        "(FORMAT text, HEADER)",
        CopyFormat::Text(lines(b'\t', "\\N", true)),
    );
    check(
        "(FORMAT csv)",
        csv(lines(b',', "", false), b'"', b'"', none()),
    );
    check("(FORMAT binary)", CopyFormat::Binary);
    check("WITH BINARY", CopyFormat::Binary);
    check("(FORMAT binary, HEADER false)", CopyFormat::Binary);
    check(
        "(ENCODING 'utf-8')",
        CopyFormat::Text(lines(b'\t', "\\N", false)),
    );
    // What doubles a quote is that quote, if nothing else is said.
    check(
        "CSV HEADER QUOTE '''' DELIMITER '|' NULL '-'",
        csv(lines(b'|', "-", true), b'\'', b'\'', none()),
    );
    check(
        "(FORMAT csv, ESCAPE '!', FORCE_QUOTE *, HEADER 'on')",
        csv(lines(b',', "", true), b'"', b'!', Quoted::All),
    );
}

#[test]
fn what_a_format_does_not_take_is_refused_with_the_codes_of_postgresql() {
    let check = |options: &str, code: &str| {
        let refused = format_of(options).expect_err(options);
        assert_eq!(refused.code, code, "{options}: {refused}");
    };
    for twice in [
        "CSV BINARY",
        "CSV CSV",
        "(HEADER, HEADER)",
        "(NULL 'a', NULL 'b')",
    ] {
        check(twice, state::SYNTAX);
    }
    check("(FORMAT parquet)", state::BAD_VALUE);
    check("(FORMAT)", state::SYNTAX);
    check("(COMPRESSION gzip)", state::SYNTAX);
    check("BINARY DELIMITER ';'", state::SYNTAX);
    check("BINARY NULL ''", state::SYNTAX);
    check("BINARY HEADER", state::UNSUPPORTED);
    check("BINARY QUOTE '\"'", state::UNSUPPORTED);
    check("(QUOTE '\"')", state::UNSUPPORTED);
    check("(ESCAPE '\"')", state::UNSUPPORTED);
    check("(FORCE_QUOTE *)", state::UNSUPPORTED);
    check("CSV FORCE NULL a", state::UNSUPPORTED);
    check("CSV FORCE NOT NULL a", state::UNSUPPORTED);
    check("(FREEZE)", state::UNSUPPORTED);
    check("(ENCODING 'latin1')", state::UNSUPPORTED);
    check("(DELIMITER '')", state::UNSUPPORTED);
    check("(DELIMITER ', ')", state::UNSUPPORTED);
    check("(DELIMITER 'é')", state::UNSUPPORTED);
    check("(DELIMITER E'\\n')", state::BAD_VALUE);
    check("(DELIMITER 'a')", state::BAD_VALUE);
    check("(DELIMITER '.')", state::BAD_VALUE);
    check("(NULL E'\\r')", state::BAD_VALUE);
    check("(DELIMITER '-', NULL 'a-b')", state::BAD_VALUE);
    check("CSV DELIMITER '\"'", state::BAD_VALUE);
    check("CSV NULL '\"'", state::BAD_VALUE);
    check("(FORMAT csv, FORCE_QUOTE)", state::SYNTAX);
    check("(HEADER maybe)", state::SYNTAX);
    // It would stand in every value.
    check(&format!("(NULL '{}')", "x".repeat(65)), state::LIMIT);
    check("(FORMAT csv, HEADER match)", state::BAD_VALUE);
}
