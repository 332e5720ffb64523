use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;

use super::{TableStyle, cut, fit, line_width};
use crate::encode::{RowWriter, RowsEnd};

#[test]
fn numbers_stay_whole_and_lines_fit() {
    // Widths, which of them are numbers, characters of a line; widths that are shown.
    let check = |widths: &[usize], right: &[bool], width_max: usize, expect: &[usize]| {
        let shown = fit(widths, right, width_max);
        assert_eq!(shown, expect, "{widths:?} in {width_max}");
        shown
    };
    check(&[5, 5], &[false, true], 80, &[5, 5]);
    // 2 + 5 + 3 + 5 fill the line exactly.
    check(&[5, 5], &[false, true], 15, &[5, 5]);
    // Text gives room, the widest first.
    check(&[40, 10, 30], &[false, true, false], 60, &[21, 10, 21]);
    // Text keeps twelve characters; then the last column goes, and text gets its room back as far as it reaches.
    check(&[20, 10, 10], &[false, true, true], 34, &[16, 10]);
    // Numbers are never cut.
    check(&[30, 30], &[true, true], 40, &[30]);
    check(&[30], &[true], 10, &[30]);
    check(&[], &[], 10, &[]);
    for width_max in 20..90 {
        let widths = [16, 20, 7, 33, 12];
        let shown = fit(&widths, &[false, false, true, false, false], width_max);
        let marks = if shown.len() < widths.len() {
            super::MARKS
        } else {
            0
        };
        assert!(
            line_width(&shown) + marks <= width_max,
            "{width_max}: {shown:?}"
        );
    }
}

#[test]
fn what_is_cut_has_a_mark() {
    for (text, width, expect) in [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("", 3, ""),
        ("čččč", 3, "čč…"),
        ("abc", 1, "…"),
        // An ideograph is two wide; half of it cannot be shown.
        ("日本", 4, "日本"),
        ("日本語", 4, "日…"),
        ("日本語", 5, "日本…"),
        // Accents behind their letters take no room.
        ("c\u{30c}c\u{30c}c\u{30c}", 3, "c\u{30c}c\u{30c}c\u{30c}"),
        ("c\u{30c}c\u{30c}c\u{30c}c", 3, "c\u{30c}c\u{30c}…"),
    ] {
        assert_eq!(cut(text, width), expect, "{text} in {width}");
    }
}

fn table(style: TableStyle) -> String {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(1000)]));
    let names = vec![Some("a text of some length"), Some(""), None];
    let names: ArrayRef = Arc::new(StringArray::from(names));
    let more: ArrayRef = Arc::new(StringArray::from(vec!["x"; 3]));
    let columns = [("n", numbers), ("name", names), ("more", more)];
    written(
        style,
        &RecordBatch::try_from_iter(columns).expect("a batch"),
    )
}

fn written(style: TableStyle, batch: &RecordBatch) -> String {
    let mut writer = RowWriter::table(style, batch.schema(), Rights::default());
    let mut out = Vec::new();
    writer.begin(&mut out).expect("a begin");
    writer.batch(batch, &mut out).expect("rows");
    let end = RowsEnd {
        through: Sequence(7),
        stable_time: 0,
        as_of: None,
        truncated: false,
    };
    writer.end(&end, &mut out).expect("an end");
    assert_eq!(writer.rows(), batch.num_rows() as u64);
    String::from_utf8(out).expect("text")
}

#[test]
fn the_style_shows_nulls_and_keeps_the_width() {
    let style = TableStyle {
        width_max: Some(24),
        null: "NULL",
        ..TableStyle::default()
    };
    assert_eq!(
        table(style),
        "    n | name         | …
------+--------------+--
    7 | a text of s… | …
 NULL |              | …
 1000 | NULL         | …
(3 rows, 2 of 3 columns shown; complete through 1970-01-01T00:00:00Z)
"
    );
    let style = TableStyle {
        footer: false,
        ..TableStyle::default()
    };
    assert_eq!(
        table(style),
        "    n | name                  | more
------+-----------------------+------
    7 | a text of some length | x
      |                       | x
 1000 |                       | x
"
    );
}

#[test]
fn long_cells_are_cut_where_the_style_says() {
    let long: ArrayRef = Arc::new(StringArray::from(vec!["y".repeat(300)]));
    let batch = RecordBatch::try_from_iter([("wide", long)]).expect("a batch");
    let row = |style: TableStyle| {
        let shown = written(style, &batch);
        shown.lines().nth(2).expect("a row").to_owned()
    };
    let common = TableStyle::default();
    assert_eq!(row(common), format!(" {}…", "y".repeat(119)));
    let whole = TableStyle {
        cell_max: 300,
        ..common
    };
    assert_eq!(row(whole), format!(" {}", "y".repeat(300)));
}

#[test]
fn rows_stand_one_below_the_other_where_they_are_expanded() {
    let style = TableStyle {
        width_max: Some(10),
        null: "NULL",
        expanded: true,
        ..TableStyle::default()
    };
    assert_eq!(
        table(style),
        "-[ row 1 ]
n    | 7
name | a text of some length
more | x
-[ row 2 ]
n    | NULL
name |
more | x
-[ row 3 ]
n    | 1000
name | NULL
more | x
(3 rows; complete through 1970-01-01T00:00:00Z)
"
    );
    let long: ArrayRef = Arc::new(StringArray::from(vec!["y".repeat(300)]));
    let columns = [("a_name_that_is_longer_than_its_head", long)];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let shown = written(style, &batch);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "-[ row 1 ]----------------------------");
    let value = lines[1].strip_prefix("a_name_that_is_longer_than_its_head | ");
    assert_eq!(value, Some("y".repeat(300).as_str()), "nothing is cut");
}

#[test]
fn columns_stand_below_each_other_whatever_the_letters() {
    let text = |texts: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let places = text(["東京", "Leuven", "Cze\u{328}stochowa"]);
    let columns = [("场所", places), ("n", text(["a", "b", "c"]))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let check = |expanded: bool, expect: &str| {
        let style = TableStyle {
            footer: false,
            expanded,
            ..TableStyle::default()
        };
        assert_eq!(written(style, &batch), expect);
    };
    check(
        false,
        " 场所        | n
-------------+---
 東京        | a
 Leuven      | b
 Cze\u{328}stochowa | c
",
    );
    check(
        true,
        "-[ row 1 ]
场所 | 東京
n    | a
-[ row 2 ]
场所 | Leuven
n    | b
-[ row 3 ]
场所 | Cze\u{328}stochowa
n    | c
",
    );
}

#[test]
fn what_takes_no_room_is_cut_all_the_same() {
    let text = format!("a{}", "\u{301}".repeat(1000));
    let column: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let batch = RecordBatch::try_from_iter([("t", column)]).expect("a batch");
    let shown = written(TableStyle::default(), &batch);
    let row = shown.lines().nth(2).expect("a row");
    assert_eq!(row, format!(" a{}…", "\u{301}".repeat(119)));
}

#[test]
fn a_plan_is_shown_as_it_is() {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let plan = text("Filter: a > 1\n  TableScan: b");
    let columns = [("plan_type", text("logical_plan")), ("plan", plan)];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    assert_eq!(
        written(TableStyle::default(), &batch),
        "logical_plan
Filter: a > 1
  TableScan: b
(1 row; complete through 1970-01-01T00:00:00Z)
"
    );
}
