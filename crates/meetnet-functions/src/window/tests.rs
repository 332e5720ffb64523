use super::*;

#[test]
fn lines_between_any_times() {
    // Further apart than an int64 can say.
    let (least, most) = (i64::MIN + 1, i64::MAX);
    for (before, after, time, expect) in [
        ((0, 1.0), (4, 9.0), 1, 3.0),
        ((4, 9.0), (0, 1.0), 1, 3.0),
        ((7, 1.0), (7, 9.0), 7, 1.0),
        ((least, 0.0), (most, 10.0), 0, 5.0),
    ] {
        let found = on_line(before, after, time);
        assert_eq!(found, expect, "{before:?} {after:?} {time}");
    }
}
