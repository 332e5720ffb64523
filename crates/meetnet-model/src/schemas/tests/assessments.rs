//! `[assess]`: what a dataset that judges others must keep.

use super::*;
use crate::change::check_change;

fn declared() -> &'static str {
    let found = BUILTIN
        .iter()
        .find(|(_, text)| text.contains("\n[assess]\n"));
    found.unwrap().1
}

/// Replaces `from` by `to` in the built-in declaration, and expects that the one error says this; none where it is empty.
fn check(from: &str, to: &str, expect: &str) {
    let text = declared();
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    let found = errors(&[("figures.toml", &text)]);
    match found.as_slice() {
        [] => assert!(expect.is_empty(), "{to}: no error"),
        [error] => assert!(
            !expect.is_empty() && error.contains(expect),
            "{to}: {error}"
        ),
        several => panic!("{to}: {several:?}"),
    }
}

#[test]
fn what_is_wrong_with_an_assessment_is_named() {
    check("", "", "");
    check("slot_s = 3600", "slot_s = 3700", "`slot_s` divides a day");
    check(
        "active_days = 7",
        "active_days = 70",
        "`active_days` is from 1 to 31",
    );
    check("licence = \"CC0-1.0\"\n", "", "a licence of their own");
    check(
        "name = \"silent\"\ntype = \"int\"",
        "name = \"silent\"\ntype = \"float\"",
        "a column `silent` of type int",
    );
    check(
        "[[column]]\nname = \"rows\"",
        "[[column]]\nname = \"colour\"\ntype = \"float\"\n\n[[column]]\nname = \"rows\"",
        "nothing fills column `colour`",
    );
}

#[test]
fn what_fills_a_table_stays() {
    let schemas = builtin();
    let judging = schemas
        .datasets
        .values()
        .find(|dataset| dataset.assess.is_some());
    let stored = judging.unwrap();
    let mut other = DatasetDeclaration::clone(stored);
    other.assess = None;
    assert!(check_change(stored, &other).is_err() && check_change(&other, stored).is_err());
    let mut later = DatasetDeclaration::clone(stored);
    later.assess.as_mut().unwrap().grace_s = 0;
    assert_eq!(check_change(stored, &later), Ok(()));
}
