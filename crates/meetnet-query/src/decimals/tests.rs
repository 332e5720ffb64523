use super::*;

#[test]
fn a_half_is_rounded_away_from_zero() {
    for (left, right, expect) in [
        (20, 3, 7),
        (-20, 3, -7),
        (19, 3, 6),
        (5, 2, 3),
        (-5, 2, -3),
        (5, -2, -3),
        (-5, -2, 3),
        (1, 3, 0),
        (-1, 3, 0),
        (1, 2, 1),
        (6, 3, 2),
        (0, -7, 0),
        (i128::MIN, 1, i128::MIN),
        (i128::MIN, i128::MIN, 1),
        (i128::MAX, 2, i128::MAX / 2 + 1),
        (i128::MAX, i128::MIN, -1),
        (i128::MIN, i128::MAX, -1),
        (i128::MAX / 2, i128::MIN, 0),
    ] {
        let found = quotient(left, right).expect("a quotient");
        assert_eq!(found, expect, "{left} / {right}");
    }
    assert!(matches!(quotient(1_i128, 0), Err(ArrowError::DivideByZero)));
    assert!(quotient(i128::MIN, -1).is_err());
}

#[test]
fn a_mean_has_one_digit_more_until_it_is_rounded() {
    for (of, expect) in [
        (
            DataType::Decimal128(14, 6),
            Some(DataType::Decimal128(15, 7)),
        ),
        (
            DataType::Decimal128(38, 6),
            Some(DataType::Decimal128(38, 7)),
        ),
        (DataType::Decimal128(38, 38), None),
        (
            DataType::Decimal256(76, 6),
            Some(DataType::Decimal256(76, 7)),
        ),
        (DataType::Float64, None),
    ] {
        assert_eq!(with_one_digit_more(&of), expect, "{of}");
    }
}
