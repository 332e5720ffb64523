use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn handles(count_max: usize, bytes_max: usize) -> Handles<&'static str> {
    Handles::new(Bounds {
        count_max,
        bytes_max,
        time_max: 10 * SECOND,
    })
}

#[test]
fn a_number_is_good_until_its_time_is_over() {
    let (handles, start) = (handles(9, 1 << 20), Instant::now());
    let a = handles.put("a", 0, start);
    let b = handles.put("b", 0, start);
    assert_ne!(a, b);
    assert_eq!(handles.get(&a, start + 9 * SECOND), Some("a"));
    // Only a renewal makes it live longer.
    assert_eq!(handles.renew(&b, start + 9 * SECOND), Some("b"));
    assert_eq!(handles.get(&a, start + 10 * SECOND), None);
    assert_eq!(handles.get(&b, start + 18 * SECOND), Some("b"));
    assert_eq!(handles.renew(&b, start + 19 * SECOND), None);
}

#[test]
fn numbers_that_were_never_given_find_nothing() {
    let (handles, now) = (handles(9, 1 << 20), Instant::now());
    let mut guessed = handles.put("a", 0, now);
    guessed[0] ^= 1;
    for id in [&guessed[..], &[], b"a", &[0; 17]] {
        assert_eq!(handles.get(id, now), None, "{id:?}");
        assert_eq!(handles.renew(id, now), None, "{id:?}");
        handles.replace(id, "b", 0, now);
        handles.remove(id);
    }
}

#[test]
fn the_longest_unused_goes_where_there_is_no_room() {
    let (handles, now) = (handles(2, 1 << 20), Instant::now());
    let a = handles.put("a", 0, now);
    let b = handles.put("b", 0, now);
    handles.renew(&a, now);
    let c = handles.put("c", 0, now);
    assert_eq!(handles.get(&a, now), Some("a"));
    assert_eq!(handles.get(&b, now), None);
    assert_eq!(handles.get(&c, now), Some("c"));
}

#[test]
fn bytes_are_counted_and_given_back() {
    let (handles, now) = (handles(99, 2 * (ENTRY_BYTES + 1000)), Instant::now());
    let a = handles.put("a", 1000, now);
    let b = handles.put("b", 1000, now);
    handles.replace(&b, "b, larger", 1001, now);
    assert_eq!(handles.get(&a, now), None, "b needs the room");
    assert_eq!(handles.get(&b, now), Some("b, larger"));
    handles.remove(&b);
    let c = handles.put("c", 1000, now);
    let d = handles.put("d", 1000, now);
    assert_eq!(handles.get(&c, now), Some("c"));
    assert_eq!(handles.get(&d, now), Some("d"));
}
