use super::*;

#[test]
fn rows_count_until_the_last_frame_of_their_group_is_passed() {
    let mut rows = UncommittedRows::default();
    let check = |rows: &mut UncommittedRows, through: u64, expected: usize| {
        rows.settle(Sequence(through));
        assert_eq!(rows.bytes(), expected * ROW_BYTES, "through {through}");
    };
    // Two datasets have rows of the same group, and one group has none.
    for (last, count) in [(3, 10), (3, 5), (4, 0), (9, 7)] {
        rows.note(Sequence(last), count);
    }
    assert_eq!(rows.groups.len(), 2);
    check(&mut rows, 2, 22);
    check(&mut rows, 3, 7);
    check(&mut rows, 8, 7);
    rows.note(Sequence(12), 1);
    check(&mut rows, 9, 1);
    check(&mut rows, 100, 0);
    assert!(rows.groups.is_empty());
}
