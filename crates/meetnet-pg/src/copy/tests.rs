use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Float64Type;
use meetnet_query::postgres::{PgType, statements};

use super::*;
use crate::command::Command;
use crate::options::PgLimits;

/// Returns the messages that a COPY with these options sends for columns, each by its type and body.
fn sent(options: &str, columns: &[(&str, ArrayRef)]) -> Result<Vec<(char, Vec<u8>)>, PgError> {
    let statements = statements(&format!("COPY t TO STDOUT {options}")).expect("a statement");
    let Some(Command::Copy { format, .. }) = Command::of(&statements[0])? else {
        panic!("{options}: no COPY");
    };
    let fields = columns.iter().map(|(name, array)| FieldType {
        name: (*name).to_owned(),
        pg_type: PgType::of_arrow(array.data_type()),
    });
    let fields: Vec<FieldType> = fields.collect();
    let mut copy = CopyWriter::new(&format, &fields)?;
    let mut wire = Wire::new(Box::new(tokio::io::empty()), PgLimits::default());
    copy.begin(&fields, &mut wire).expect("a beginning");
    let values = columns.iter().zip(&fields);
    let values = values.map(|((_, array), field)| Column::new(array, field.pg_type, copy.format()));
    let values = values.collect::<Result<Vec<Column>, PgError>>()?;
    for row in 0..columns.first().map_or(0, |(_, array)| array.len()) {
        copy.write_row(&values, row, wire.output());
    }
    copy.end(&mut wire).expect("an end");
    let (mut messages, mut rest) = (Vec::new(), &wire.output()[..]);
    while let [kind, a, b, c, d, body @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
        let (body, behind) = body.split_at(length);
        messages.push((char::from(*kind), body.to_vec()));
        rest = behind;
    }
    assert!(rest.is_empty(), "half a message");
    Ok(messages)
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Returns the lines of data that are sent.
fn lines(options: &str, columns: &[(&str, ArrayRef)]) -> Vec<String> {
    let messages = sent(options, columns).unwrap_or_else(|error| panic!("{options}: {error}"));
    let data = messages.into_iter().filter(|(kind, _)| *kind == 'd');
    let texts = data.map(|(_, body)| String::from_utf8(body).expect("UTF-8"));
    let lines = texts.map(|text| {
        let line = text.strip_suffix('\n');
        line.unwrap_or_else(|| panic!("{options}: `{text}` is no line"))
            .to_owned()
    });
    lines.collect()
}

#[test]
fn each_row_is_a_message_between_what_announces_and_what_ends_them() {
    let columns = [
        ("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("t", texts(&[Some("a"), None])),
    ];
    let found = sent("", &columns).expect("messages");
    let data = |text: &str| ('d', text.as_bytes().to_vec());
    assert_eq!(
        found,
        [
            // Text, two columns, both text.
            ('H', vec![0, 0, 2, 0, 0, 0, 0]),
            data("1\ta\n"),
            data("2\t\\N\n"),
            ('c', Vec::new()),
        ]
    );
}

#[test]
fn what_is_special_in_a_text_stands_behind_a_backslash() {
    let check = |options: &str, value: &str, expected: &str| {
        let found = lines(options, &[("t", texts(&[Some(value)]))]);
        assert_eq!(found, [expected], "{options}: {value:?}");
    };
    check("", "plain \"text\", 'é'", "plain \"text\", 'é'");
    check(
        "",
        "\u{8}\t\n\u{b}\u{c}\r\\ \u{7}",
        "\\b\\t\\n\\v\\f\\r\\\\ \u{7}",
    );
    check("", "\\N", "\\\\N");
    check("(DELIMITER ';')", "a;b\tc", "a\\;b\\tc");
    check("(DELIMITER E'\\x01')", "a\u{1}b", "a\\\u{1}b");
    check("(NULL 'none')", "none", "none");
}

#[test]
fn what_could_be_read_as_something_else_stands_in_quotes() {
    let check = |options: &str, value: &str, expected: &str| {
        let found = lines(
            &format!("(FORMAT csv{options})"),
            &[("t", texts(&[Some(value)]))],
        );
        assert_eq!(found, [expected], "{options}: {value:?}");
    };
    check("", "plain 'é' \\", "plain 'é' \\");
    check("", "a,b", "\"a,b\"");
    check("", "two\nlines", "\"two\nlines\"");
    check("", "a\rb", "\"a\rb\"");
    check("", "say \"hi\"", "\"say \"\"hi\"\"\"");
    // An empty text is not NULL.
    check("", "", "\"\"");
    check("", "\\.", "\"\\.\"");
    check(", NULL '\\N'", "\\N", "\"\\N\"");
    check(", NULL '\\N'", "", "");
    check(", DELIMITER ';'", "a,b", "a,b");
    check(", DELIMITER ';'", "a;b", "\"a;b\"");
    check(", QUOTE ''''", "it's", "'it''s'");
    check(", ESCAPE E'\\\\'", "a\\\"b,", "\"a\\\\\\\"b,\"");
    check(", FORCE_QUOTE *", "a", "\"a\"");
    check(", FORCE_QUOTE (t)", "a", "\"a\"");
}

#[test]
fn null_is_told_from_every_text() {
    let columns = [
        ("a", texts(&[None, Some(""), Some("\\.")])),
        ("b", texts(&[None, None, Some("x")])),
    ];
    assert_eq!(lines("", &columns), ["\\N\t\\N", "\t\\N", "\\\\.\tx"]);
    assert_eq!(lines("CSV", &columns), [",", "\"\",", "\\.,x"]);
    assert_eq!(
        lines("CSV NULL 'NULL' FORCE QUOTE a", &columns),
        ["NULL,NULL", "\"\",NULL", "\"\\.\",x"]
    );
}

#[test]
fn the_header_has_the_names_of_the_columns() {
    let columns = [
        ("n", texts(&[])),
        ("a,\"b\"", texts(&[])),
        ("t\t", texts(&[])),
    ];
    assert_eq!(lines("(HEADER)", &columns), ["n\ta,\"b\"\tt\\t"]);
    assert_eq!(
        lines("(FORMAT csv, HEADER on, FORCE_QUOTE *)", &columns),
        ["n,\"a,\"\"b\"\"\",t\t"]
    );
    let none: [String; 0] = [];
    assert_eq!(lines("(FORMAT csv, HEADER off)", &columns), none);
}

#[test]
fn values_have_the_texts_that_they_have_in_answers() {
    let time = TimestampMicrosecondArray::from(vec![1_772_323_200_000_000]).with_timezone("UTC");
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.5), None])]);
    let columns = [
        ("b", Arc::new(BooleanArray::from(vec![true])) as ArrayRef),
        ("f", Arc::new(Float64Array::from(vec![21.5]))),
        ("time", Arc::new(time)),
        ("list", Arc::new(list)),
    ];
    assert_eq!(
        lines("", &columns),
        ["t\t21.5\t2026-03-01 00:00:00+00\t{1.5,NULL}"]
    );
    assert_eq!(
        lines("CSV", &columns),
        ["t,21.5,2026-03-01 00:00:00+00,\"{1.5,NULL}\""]
    );
}

#[test]
fn the_binary_format_begins_with_its_head_and_ends_with_its_end() {
    let head = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".as_slice();
    let list =
        ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.5), None]), None]);
    let columns = [
        (
            "n",
            Arc::new(Int64Array::from(vec![Some(7), None])) as ArrayRef,
        ),
        ("t", texts(&[Some("é"), Some("")])),
        ("list", Arc::new(list)),
    ];
    let first: [&[u8]; 6] = [
        &[0, 3],
        &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 0, 0, 2, 0xc3, 0xa9],
        // One dimension, with NULL, of float8, two of them from 1.
        &[0, 0, 0, 36, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 2, 189],
        &[
            0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0,
        ],
        &[0xff, 0xff, 0xff, 0xff],
    ];
    let null: [u8; 4] = [0xff; 4];
    let second: [&[u8]; 4] = [&[0, 3], &null, &[0, 0, 0, 0], &null];
    let end = ('d', vec![0xff, 0xff]);
    assert_eq!(
        sent("(FORMAT binary)", &columns).expect("messages"),
        [
            ('H', vec![1, 0, 3, 0, 1, 0, 1, 0, 1]),
            // Clients look for the head in the first message, and for a row behind it.
            ('d', [head, &first.concat()].concat()),
            ('d', second.concat()),
            end.clone(),
            ('c', Vec::new()),
        ]
    );
    let found = sent("BINARY", &[("t", texts(&[]))]).expect("messages");
    assert_eq!(
        found[1..],
        [('d', [head, &end.1].concat()), ('c', Vec::new()),]
    );
}

#[test]
fn a_column_that_is_not_there_cannot_stand_in_quotes() {
    let refused = sent("CSV FORCE QUOTE b", &[("a", texts(&[]))]);
    assert_eq!(refused.map_err(|error| error.code), Err(state::COLUMN));
}
