//! Places divided by partition, against a list per partition.

use super::*;

#[test]
fn places_are_divided_in_their_order() {
    let check = |stretches: &[(usize, usize)]| {
        let mut expected: Vec<Vec<RowPlace>> = Vec::new();
        let mut order: Vec<RowPlace> = Vec::new();
        for (part, rows) in stretches {
            for _ in 0..*rows {
                let place = (*part as u32, order.len() as u32);
                order.push(place);
                expected.resize(expected.len().max(part + 1), Vec::new());
                expected[*part].push(place);
            }
        }
        let counts: Vec<usize> = expected.iter().map(Vec::len).collect();
        let divided = divided(order, counts.into_iter(), stretches);
        assert_eq!(divided, expected, "{stretches:?}");
    };
    check(&[]);
    check(&[(0, 3)]);
    check(&[(0, 2), (1, 3)]);
    check(&[(0, 2), (1, 1), (0, 1), (2, 5), (1, 2), (0, 1)]);
}
