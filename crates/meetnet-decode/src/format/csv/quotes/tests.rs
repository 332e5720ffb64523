use csv_core::{ReadRecordResult, ReaderBuilder};
use proptest::prelude::*;

use super::*;

fn check(table: &str, start: usize, expect: Result<Option<usize>, (usize, &str)>) {
    let found = RecordEnds::new(b';', table.as_bytes()).check(start);
    let found = found.map_err(|fault| (fault.line_end, fault.problem));
    let is_same = match (&found, expect) {
        (Ok(found), Ok(expect)) => *found == expect,
        (Err((end, problem)), Err((line_end, said))) => {
            *end == line_end && problem.starts_with(said)
        }
        _ => false,
    };
    assert!(is_same, "{table:?}: {found:?}, expected {expect:?}");
}

#[test]
fn a_record_ends_where_its_quotes_are_closed() {
    check("a;b\n", 0, Ok(None));
    check("a;b\n\"c\"\n", 0, Ok(None));
    check("a;\"b\"\nc", 0, Ok(Some(5)));
    check("a;\"b\"", 0, Ok(Some(5)));
    check("\"\"\n", 0, Ok(Some(2)));
    check("\"a\"\"b\";\"\r\n;\"\r\nc", 0, Ok(Some(12)));
    check("\"a\" \t;b\r\n", 0, Ok(Some(7)));
    // Within a cell it is a character like any other.
    check("5\" rain;\"a\"\nb", 0, Ok(Some(11)));
    check("5\" rain; \"a\nb", 0, Ok(Some(11)));
    check("x\na;\"b\nc\"\nd", 2, Ok(Some(9)));
    for delimiter in [b' ', b'\t'] {
        let table = format!("\"a\"{}b\n", char::from(delimiter));
        let found = RecordEnds::new(delimiter, table.as_bytes()).check(0);
        assert_eq!(found, Ok(Some(5)));
    }
}

#[test]
fn a_record_whose_quotes_are_wrong_is_its_first_line() {
    let opens = "opens a quote that is not closed";
    let behind = "has text behind the quote";
    check("a;\"b\nc\nd", 0, Err((4, opens)));
    check("a;\"b", 0, Err((4, opens)));
    check("a;\"b\"\"\nc", 0, Err((6, opens)));
    check("a;\"", 0, Err((3, opens)));
    // A later line closes it by chance.
    check("a;\"5 in\r\nb;\"6 in\r\n", 0, Err((7, opens)));
    check("\"a\"b\nc", 0, Err((4, behind)));
    check("\"a\" b;\"c\n\"", 0, Err((8, behind)));
}

#[test]
fn records_are_cut_with_their_line_ends() {
    let table = "a;\"b\nc\"\r\n\r\nd;\"e\nf;\"g\"h\ni\r\"j\"";
    let mut ends = RecordEnds::new(b';', table.as_bytes());
    let (mut records, mut start) = (Vec::new(), 0);
    while start < table.len() {
        let end = ends.end(start);
        records.push(&table[start..end]);
        start = end;
    }
    assert_eq!(
        records,
        [
            "a;\"b\nc\"\r\n",
            "\r\n",
            "d;\"e\n",
            "f;\"g\"h\n",
            "i\r",
            "\"j\""
        ]
    );
}

/// Lines each of which opens a quote, whether one is open before them or not: no two make a record, and each goes on to
/// the end.
#[test]
fn a_body_of_opening_quotes_takes_no_square_of_its_length() {
    let line = "a\";\"\"\"\n";
    let table = format!("{}b;\"two\nlines\"", line.repeat(100));
    let mut ends = RecordEnds::new(b';', table.as_bytes());
    for at in 0..100 {
        let start = at * line.len();
        let fault = ends.check(start).unwrap_err();
        assert_eq!(
            fault,
            QuoteFault {
                line_end: start + line.len() - 1,
                problem: OPEN
            }
        );
        let may_go_on = ends.again_left > 0;
        assert!(!may_go_on || at < 10, "{at}");
    }
    // What is left is read line by line.
    assert!(ends.check(100 * line.len()).is_err());
}

proptest! {
    /// A record whose quotes are right ends where csv-core ends it.
    #[test]
    fn a_record_ends_where_csv_core_ends_it(table in "[ab\";\r\n ]{0,40}") {
        let text = table.as_bytes();
        let mut ends = RecordEnds::new(b';', text);
        let mut start = 0;
        while start < text.len() {
            if matches!(text[start], b'\r' | b'\n') {
                start += 1;
                continue;
            }
            let end = match ends.check(start) {
                Ok(Some(end)) => end,
                Ok(None) => ends.line_end(start),
                Err(fault) => {
                    prop_assert!(fault.line_end > start);
                    start = fault.line_end;
                    continue;
                }
            };
            let mut reader = ReaderBuilder::new().delimiter(b';').build();
            let (result, read, _, _) =
                reader.read_record(&text[start..], &mut [0; 64], &mut [0; 64]);
            match result {
                ReadRecordResult::Record => prop_assert_eq!(start + read, end + 1, "{:?}", table),
                _ => prop_assert_eq!(end, text.len(), "{:?}", table),
            }
            start = end;
        }
    }
}
