use super::*;

/// The answers are those of PostgreSQL; the year 0 is 1 BC, which it writes -1.
#[test]
fn parts_of_years_are_those_of_postgresql() {
    for (year, decade, century, millennium) in [
        (2026, 202, 21, 3),
        (2009, 200, 21, 3),
        (2001, 200, 21, 3),
        (2000, 200, 20, 2),
        (1900, 190, 19, 2),
        (101, 10, 2, 1),
        (100, 10, 1, 1),
        (1, 0, 1, 1),
        (0, 0, -1, -1),
        (-1, -1, -1, -1),
        (-10, -1, -1, -1),
        (-11, -2, -1, -1),
        (-99, -10, -1, -1),
        (-100, -10, -2, -1),
        (-1_000, -100, -11, -2),
    ] {
        assert_eq!(LongPart::Decade.of_year(year), decade, "{year}");
        assert_eq!(LongPart::Century.of_year(year), century, "{year}");
        assert_eq!(LongPart::Millennium.of_year(year), millennium, "{year}");
    }
}

#[test]
fn parts_have_the_names_that_postgresql_takes() {
    for (name, expect) in [
        ("CENTURY", Some(LongPart::Century)),
        ("'centuries'", Some(LongPart::Century)),
        ("c", Some(LongPart::Century)),
        ("decs", Some(LongPart::Decade)),
        ("Millennia", Some(LongPart::Millennium)),
        ("julian", Some(LongPart::Julian)),
        ("year", None),
        ("fortnight", None),
    ] {
        assert_eq!(LongPart::named(name), expect, "{name}");
    }
}
