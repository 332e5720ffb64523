use proptest::prelude::*;

use super::*;

#[test]
fn what_goes_together_is_a_table() {
    const IDS: [&str; 7] = [
        "CC0-1.0",
        "CC-BY-4.0",
        "CC-BY-SA-4.0",
        "ODbL-1.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0",
        "LicenseRef-Stad",
    ];
    // A row and a column per input, in the order above: the licence that asks for least of those the result may be under.
    const TABLE: [[&str; 7]; 7] = [
        [
            "CC0-1.0",
            "CC-BY-4.0",
            "CC-BY-SA-4.0",
            "ODbL-1.0",
            "CC-BY-NC-4.0",
            "CC-BY-NC-SA-4.0",
            "",
        ],
        [
            "CC-BY-4.0",
            "CC-BY-4.0",
            "CC-BY-SA-4.0",
            "ODbL-1.0",
            "CC-BY-NC-4.0",
            "CC-BY-NC-SA-4.0",
            "",
        ],
        [
            "CC-BY-SA-4.0",
            "CC-BY-SA-4.0",
            "CC-BY-SA-4.0",
            "",
            "",
            "",
            "",
        ],
        ["ODbL-1.0", "ODbL-1.0", "", "ODbL-1.0", "", "", ""],
        [
            "CC-BY-NC-4.0",
            "CC-BY-NC-4.0",
            "",
            "",
            "CC-BY-NC-4.0",
            "CC-BY-NC-SA-4.0",
            "",
        ],
        [
            "CC-BY-NC-SA-4.0",
            "CC-BY-NC-SA-4.0",
            "",
            "",
            "CC-BY-NC-SA-4.0",
            "CC-BY-NC-SA-4.0",
            "",
        ],
        ["", "", "", "", "", "", "LicenseRef-Stad"],
    ];
    for (one, row) in IDS.into_iter().zip(TABLE) {
        for (other, expect) in IDS.into_iter().zip(row) {
            let allowed = combine([one, other]);
            assert_eq!(
                allowed.first().copied().unwrap_or(""),
                expect,
                "{one} with {other}"
            );
        }
    }
}

#[test]
fn non_commercial_rows_are_never_promised_for_commerce() {
    for licence in LICENCES.iter().filter(|licence| !licence.non_commercial) {
        for other in LICENCES {
            let allowed = combine(["CC-BY-NC-4.0", other.id]);
            assert!(
                !allowed.contains(&licence.id),
                "{} with {}",
                licence.id,
                other.id
            );
        }
    }
}

/// The ids of every known licence, and of two that nobody knows.
fn every_id() -> Vec<&'static str> {
    let known = LICENCES.iter().map(|licence| licence.id);
    known
        .chain(["LicenseRef-Stad", "LicenseRef-Buurt"])
        .collect()
}

/// The licence of what is made of two; None stands for what may not be made, with which nothing can be made either.
fn join<'a>(one: Option<&'a str>, other: Option<&'a str>) -> Option<&'a str> {
    combine([one?, other?]).first().copied()
}

#[test]
fn licences_join_in_whatever_order_and_steps() {
    let ids = every_id();
    for &a in &ids {
        // PDDL with PDDL is PDDL, though CC0 asks for as little.
        assert_eq!(combine([a]).first(), Some(&a));
        assert_eq!(join(Some(a), Some(a)), Some(a));
        for &b in &ids {
            assert_eq!(combine([a, b]), combine([b, a]), "{a}, {b}");
            assert_eq!(join(Some(a), Some(b)), join(Some(b), Some(a)), "{a}, {b}");
            for &c in &ids {
                let one_way = join(join(Some(a), Some(b)), Some(c));
                let the_other = join(Some(a), join(Some(b), Some(c)));
                assert_eq!(one_way, the_other, "{a}, {b}, {c}");
                assert_eq!(
                    one_way,
                    combine([a, b, c]).first().copied(),
                    "{a}, {b}, {c}"
                );
            }
        }
    }
}

#[test]
fn what_licences_join_to_asks_for_all_that_each_asks_for() {
    let ids = every_id();
    for &a in &ids {
        for &b in &ids {
            for result in combine([a, b]) {
                for input in [a, b].into_iter().filter(|input| *input != result) {
                    // By what each asks for, not by `allows` once more: unknown ones come out as themselves only.
                    let asked = Licence::find(input).expect("a known licence");
                    let kept = Licence::find(result).expect("a known licence");
                    let case = format!("{a} with {b} under {result}");
                    assert!(!asked.attribution || kept.attribution, "{case}");
                    assert!(!asked.non_commercial || kept.non_commercial, "{case}");
                    assert!(!asked.share_alike, "{case}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn many_inputs_are_as_their_licences_one_after_the_other(
        inputs in proptest::collection::vec(0..every_id().len(), 1..8),
        turn in 0_usize..8,
    ) {
        let ids = every_id();
        let mut inputs: Vec<&str> = inputs.into_iter().map(|at| ids[at]).collect();
        let at_once = combine(inputs.iter().copied());
        let steps = inputs
            .iter()
            .map(|id| Some(*id))
            .reduce(join)
            .flatten();
        prop_assert_eq!(at_once.first().copied(), steps);
        // In another order, and one of them twice.
        let count = inputs.len();
        inputs.rotate_left(turn % count);
        inputs.push(inputs[0]);
        prop_assert_eq!(at_once, combine(inputs.iter().copied()));
    }
}

fn check(licence: &str, inputs: &[(&str, &[&str])], permission: Option<&str>, expect: &str) {
    let inputs: Vec<_> = inputs
        .iter()
        .map(|(dataset, licences)| DerivedInput {
            dataset: DatasetId::new(dataset),
            licences: licences.iter().map(LicenceId::new).collect(),
        })
        .collect();
    let dataset = DatasetId::new("neighbourhood_hourly");
    let said = check_derived(&dataset, &LicenceId::new(licence), &inputs, permission)
        .err()
        .map_or_else(String::new, |error| error.to_string());
    assert_eq!(said, expect);
}

#[test]
fn a_derived_dataset_names_the_inputs_that_ask_for_more() {
    check("CC-BY-4.0", &[], None, "");
    check(
        "CC-BY-4.0",
        &[("heat", &["CC0-1.0", "CC-BY-4.0"])],
        None,
        "",
    );
    check(
        "CC-BY-4.0",
        &[("heat", &["CC0-1.0"]), ("traffic", &["CC-BY-NC-4.0"])],
        None,
        "dataset `neighbourhood_hourly` declares CC-BY-4.0, but it is made of `traffic` (CC-BY-NC-4.0), which ask for more; \
         declare CC-BY-NC-4.0, or permission = \"…\" with the agreement that allows CC-BY-4.0",
    );
    check(
        "ODbL-1.0",
        &[("air", &["ODbL-1.0"]), ("traffic", &["CC-BY-NC-4.0"])],
        None,
        "dataset `neighbourhood_hourly` declares ODbL-1.0, but it is made of `traffic` (CC-BY-NC-4.0), which ask for more; \
         leave inputs out that do not go together, or permission = \"…\" with the agreement that allows ODbL-1.0",
    );
    // What an earlier version took for a licence nobody can declare.
    check(
        "CC-BY-4.0",
        &[("heat", &["cc-by-4.0"])],
        None,
        "dataset `neighbourhood_hourly` declares CC-BY-4.0, but it is made of `heat` (cc-by-4.0), which ask for more; \
         leave inputs out that do not go together, or permission = \"…\" with the agreement that allows CC-BY-4.0",
    );
    let traffic: &[(&str, &[&str])] = &[("traffic", &["CC-BY-NC-4.0"])];
    check("CC-BY-4.0", traffic, Some("letter of 2026-03-01"), "");
    check(
        "CC-BY-4.0",
        traffic,
        Some(" "),
        "dataset `neighbourhood_hourly` declares CC-BY-4.0, but it is made of `traffic` (CC-BY-NC-4.0), which ask for more; \
         declare CC-BY-NC-4.0, or permission = \"…\" with the agreement that allows CC-BY-4.0",
    );
}
