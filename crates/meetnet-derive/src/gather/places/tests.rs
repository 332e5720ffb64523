use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};

use super::*;

/// A place: id, from, until, cell.
type Row<'a> = (&'a str, i64, Option<i64>, Option<i64>);

fn places(rows: &[Row<'_>]) -> Places {
    let times = |times: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
    };
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
    let cells: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.3)));
    let columns = [
        (ID, ids),
        (
            VALID_FROM,
            times(rows.iter().map(|row| Some(row.1)).collect()),
        ),
        (VALID_TO, times(rows.iter().map(|row| row.2).collect())),
        ("h3_r9", cells),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let mut places = Places::default();
    // Batches may part the periods of a place.
    let dataset = DatasetId::new("d");
    for row in 0..batch.num_rows() {
        places.add(&dataset, &batch.slice(row, 1), "h3_r9").unwrap();
    }
    places
}

#[test]
fn a_place_is_where_it_was_then() {
    let places = places(&[
        ("a", 10, Some(20), Some(1)),
        ("a", 20, Some(30), None),
        ("a", 40, None, Some(2)),
        ("b", 0, None, Some(1)),
    ]);
    let check = |id: &str, time: i64, expect: Option<i64>| {
        let found = places.cell(&KeyPart::Text(id.into()), time).cloned();
        assert_eq!(found, expect.map(KeyPart::Int), "{id} {time}");
    };
    check("a", 9, None);
    check("a", 10, Some(1));
    check("a", 19, Some(1));
    // It was somewhere that nobody knows, and then nowhere.
    check("a", 20, None);
    check("a", 35, None);
    check("a", 40, Some(2));
    check("a", 4_000, Some(2));
    check("b", 0, Some(1));
    check("c", 10, None);
    let in_cells = |cells: &[i64]| -> Vec<KeyPart> {
        let cells: Vec<KeyPart> = cells.iter().copied().map(KeyPart::Int).collect();
        let cells: BTreeSet<&KeyPart> = cells.iter().collect();
        places.in_cells(&cells).cloned().collect()
    };
    let text = |id: &str| KeyPart::Text(id.into());
    assert_eq!(in_cells(&[1]), [text("a"), text("b")]);
    assert_eq!(in_cells(&[2, 3]), [text("a")]);
    assert!(in_cells(&[3]).is_empty());
}

#[test]
fn what_moved_is_said_with_both_of_its_cells() {
    let check =
        |before: &[Row<'_>], after: &[Row<'_>], expect: &[(i64, i64, Option<i64>, Option<i64>)]| {
            let cell = |cell: &Option<KeyPart>| match cell {
                Some(KeyPart::Int(cell)) => Some(*cell),
                _ => None,
            };
            let moves = places(before).moves_to(&places(after));
            let found: Vec<_> = moves
                .iter()
                .map(|of| (of.from, of.to, cell(&of.cells[0]), cell(&of.cells[1])))
                .collect();
            assert_eq!(found, expect, "{before:?} {after:?}");
        };
    let stood = ("a", 10, None, Some(1));
    let other = ("b", 10, Some(50), Some(7));
    check(&[stood, other], &[stood, other], &[]);
    check(&[other], &[stood, other], &[(10, i64::MAX, None, Some(1))]);
    check(
        &[stood],
        &[("a", 10, None, Some(2))],
        &[(10, i64::MAX, Some(1), Some(2))],
    );
    check(
        &[stood],
        &[("a", 10, Some(20), Some(1))],
        &[(20, i64::MAX, Some(1), None)],
    );
    check(
        &[stood],
        &[("a", 5, None, Some(1))],
        &[(5, 10, None, Some(1))],
    );
    check(
        &[stood],
        &[("a", 10, Some(20), Some(1)), ("a", 20, None, Some(2))],
        &[(20, i64::MAX, Some(1), Some(2))],
    );
    // What is said of it beside its cell is no move.
    check(
        &[stood],
        &[("a", 10, Some(20), Some(1)), ("a", 20, None, Some(1))],
        &[],
    );
}
