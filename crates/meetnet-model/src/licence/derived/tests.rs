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
