use super::*;

#[test]
fn what_is_covered_counts_once() {
    let check = |length, width, covered: &[(i64, i64)], expect: f64| {
        let mut stretches = Stretches::new(length, width);
        covered
            .iter()
            .for_each(|(from, to)| stretches.cover(*from, *to));
        assert_eq!(stretches.share(), expect, "{covered:?}");
    };
    check(60, 20, &[], 0.0);
    check(60, 20, &[(0, 1)], 1.0 / 3.0);
    check(60, 20, &[(0, 1), (5, 6), (19, 20)], 1.0 / 3.0);
    check(60, 20, &[(59, 60), (20, 21)], 2.0 / 3.0);
    check(60, 20, &[(0, 60)], 1.0);
    // Beyond the end, and before the beginning.
    check(60, 20, &[(50, 500), (-10, 0)], 1.0 / 3.0);
    check(60, 20, &[(10, 30)], 2.0 / 3.0);
    // A last stretch that is shorter, and more than one word of bits.
    check(50, 20, &[(40, 41)], 1.0 / 3.0);
    check(100, 1, &[(0, 100)], 1.0);
    check(100, 1, &[(63, 65)], 0.02);
    check(10, 60, &[(3, 4)], 1.0);
}

#[test]
fn what_is_covered_so_far_is_a_share_of_what_has_been_reached() {
    let check = |covered: &[(i64, i64)], reach: i64, expect: f64| {
        let mut stretches = Stretches::new(60, 20);
        covered
            .iter()
            .for_each(|(from, to)| stretches.cover(*from, *to));
        assert_eq!(stretches.share_until(reach), expect, "{covered:?} {reach}");
    };
    check(&[], 0, 0.0);
    check(&[], 1, 0.0);
    check(&[(0, 1)], 1, 1.0);
    check(&[(0, 1)], 20, 1.0);
    check(&[(0, 1)], 21, 0.5);
    check(&[(0, 1), (45, 46)], 46, 2.0 / 3.0);
    // An interval that ends behind the bucket.
    check(&[(0, 60)], 90, 1.0);
}

#[test]
fn percentiles_lie_within_their_class() {
    let check = |classes: &[f64], percent, expect| {
        assert_eq!(percentile(classes, 10.0, percent), expect, "{classes:?}");
    };
    check(&[], 50.0, None);
    check(&[0.0, 0.0, 0.0], 50.0, None);
    check(&[10.0, 0.0, 0.0], 50.0, Some(5.0));
    check(&[10.0, 10.0, 0.0], 75.0, Some(15.0));
    check(&[0.0, 8.0, 0.0, 2.0, 0.0], 80.0, Some(20.0));
    check(&[0.0, 8.0, 0.0, 2.0, 0.0], 90.0, Some(35.0));
    // In the open class nobody knows.
    check(&[0.0, 8.0, 2.0], 85.0, None);
}
