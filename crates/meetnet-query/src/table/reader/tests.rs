use super::*;

/// Ranges of bytes, each from and to.
fn ranges(of: &[(u64, u64)]) -> Vec<Range<u64>> {
    of.iter().map(|(start, end)| *start..*end).collect()
}

#[test]
fn parts_that_lie_close_are_read_as_one() {
    let check = |of: &[(u64, u64)], expect: &[(u64, u64)]| {
        assert_eq!(joined(&ranges(of)), ranges(expect), "{of:?}");
    };
    check(&[], &[]);
    check(&[(0, 10), (10, 20), (30, 40)], &[(0, 40)]);
    check(&[(30, 40), (0, 10)], &[(0, 40)]);
    let near = 10 + GAP_BYTES_MAX;
    check(&[(0, 10), (near, near + 5)], &[(0, near + 5)]);
    let far = [(0, 10), (near + 1, near + 5)];
    check(&far, &far);
    // What is large is read alone, and its neighbours without it.
    let large = JOINED_BYTES_MAX;
    let apart = [(0, 10), (10, 10 + large), (10 + large, 20 + large)];
    check(&apart, &apart);
    check(&[(0, large), (5, 9)], &[(0, large)]);
    let overlapping = [(0, 10), (5, 5 + large)];
    check(&overlapping, &overlapping);
}

/// Each part is what it would be alone, in the order in which parts were wanted.
#[test]
fn parts_are_found_in_what_was_read() {
    let file: Vec<u8> = (0..400_000_u32).map(|at| (at % 251) as u8).collect();
    let of_file = |range: &Range<u64>| {
        let range = range.start as usize..range.end as usize;
        Bytes::copy_from_slice(&file[range])
    };
    let mut seed = 7_u64;
    let mut number = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for _ in 0..200 {
        let wanted: Vec<Range<u64>> = (0..number(40))
            .map(|_| {
                let start = number(200_000);
                let bytes = match number(8) {
                    0 => 0,
                    1 => number(2 * JOINED_BYTES_MAX),
                    _ => number(3_000),
                };
                start..(start + bytes).min(400_000)
            })
            .collect();
        let joined = joined(&wanted);
        let read: Vec<Bytes> = joined.iter().map(of_file).collect();
        for range in &wanted {
            let found = part(range, &joined, &read);
            assert_eq!(found, Some(of_file(range)), "{range:?} of {joined:?}");
        }
    }
    let short = [Bytes::from_static(b"abc")];
    let whole = ranges(&[(0, 4)]);
    assert_eq!(part(&(0..4), &joined(&whole), &short), None);
}
