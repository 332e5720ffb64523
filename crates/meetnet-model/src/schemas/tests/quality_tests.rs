//! The quality tests that a property declares.

use super::*;
use crate::quality::{AttenuatedSignal, PropertyTests, Variation};

/// Declares these tests, whose first line is line 9 of the file, and expects these errors.
fn check_tests(tests: &str, expect: &[&str]) {
    let text = format!("{WATER_PROPERTIES}[property.tests]\n{tests}\n");
    let files = [("p.toml", text.as_str()), ("water.toml", WATER)];
    assert_eq!(errors(&files), expect, "{tests}");
}

const EVERYTHING: &str = "\
suspect_range = [0, 30]
rate_of_change = { suspect_per_hour = 5, fail_per_hour = 10.5 }
flat_line = { tolerance = 0.05, suspect_s = 3600, fail_s = 7200 }
attenuated_signal = { variation = \"deviation\", period_s = 3600, observations_min = 3, span_min_s = 1800, suspect = 0.5, fail = 0 }
spike = { suspect = 2 }
neighbour = { radius_m = 500, neighbours_min = 3, deviation_min = 0.5, suspect = 3, fail = 6 }
[[property.tests.climatology]]
months = [6, 7, 8]
suspect = [5, 28]
fail = [0, 30]
[[property.tests.climatology]]
months = [1]
suspect = [0, 10]";

#[test]
fn tests_are_read_and_journalled_as_they_are_declared() {
    check_tests(EVERYTHING, &[]);
    let text = format!("{WATER_PROPERTIES}[property.tests]\n{EVERYTHING}\n");
    let schemas = load(&[("p.toml", text.as_str()), ("water.toml", WATER)]).unwrap();
    let declarations = schemas.into_declarations([]);
    let tests = &declarations.properties[0].tests;
    assert_eq!(tests.suspect_range, Some([0.0, 30.0]));
    assert_eq!(
        tests.rate_of_change.and_then(|rate| rate.fail_per_hour),
        Some(10.5)
    );
    assert_eq!(tests.flat_line.map(|flat| flat.fail_s), Some(7_200));
    let attenuated = AttenuatedSignal {
        variation: Variation::Deviation,
        period_s: 3_600,
        observations_min: 3,
        span_min_s: Some(1_800),
        suspect: 0.5,
        fail: 0.0,
    };
    assert_eq!(tests.attenuated_signal, Some(attenuated));
    assert_eq!(tests.spike.map(|spike| spike.fail), Some(None));
    assert_eq!(
        tests.neighbour.map(|neighbour| neighbour.radius_m),
        Some(500)
    );
    let months: Vec<&[u8]> = tests
        .climatology
        .iter()
        .map(|l| l.months.as_slice())
        .collect();
    assert_eq!(months, [&[6_u8, 7, 8][..], &[1]]);
    let journalled = crate::declarations::Declarations::from_bytes(&declarations.to_bytes());
    assert_eq!(journalled.unwrap(), declarations);
}

#[test]
fn a_frame_from_before_there_were_tests_is_read() {
    let schemas = load(&[("p.toml", WATER_PROPERTIES), ("water.toml", WATER)]).unwrap();
    assert_eq!(schemas.properties[0].tests, PropertyTests::default());
    let declarations = schemas.into_declarations([]);
    let bytes = declarations.to_bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains("\"tests\""));
    let journalled = crate::declarations::Declarations::from_bytes(&bytes);
    assert_eq!(journalled.unwrap(), declarations);
}

#[test]
fn faults_of_tests() {
    let check = |line: &str, expect: &str| check_tests(line, &[&format!("p.toml:9: {expect}")]);
    check(
        "suspect_range = [0, 41]",
        "`suspect_range` reaches beyond `range`, where values fail; make it narrower",
    );
    check(
        "suspect_range = [9, 1]",
        "the range starts at 9 and ends at 1; swap them",
    );
    let rate = "the limits of `rate_of_change` are positive, and `fail` is not below `suspect`; correct them";
    check("rate_of_change = { suspect_per_hour = 0 }", rate);
    check("rate_of_change = { suspect_per_hour = nan }", rate);
    check(
        "rate_of_change = { suspect_per_hour = 5, fail_per_hour = 4 }",
        rate,
    );
    check(
        "rate_of_change = { suspect_per_hour = 5, distance_min_s = 0 }",
        "`distance_min_s` is a time; use 1 or more seconds, or leave it out",
    );
    check(
        "spike = { suspect = -1 }",
        "the limits of `spike` are positive, and `fail` is not below `suspect`; correct them",
    );
    check(
        "flat_line = { tolerance = 0, suspect_s = 60, fail_s = 60 }",
        "`tolerance` of `flat_line` is a positive number; use what the sensors resolve, or a little less",
    );
    let times = "`flat_line` is suspect after some time and fails after as long or longer; correct `suspect_s` or `fail_s`";
    check(
        "flat_line = { tolerance = 1, suspect_s = 0, fail_s = 60 }",
        times,
    );
    check(
        "flat_line = { tolerance = 1, suspect_s = 61, fail_s = 60 }",
        times,
    );
    let attenuated =
        |rest: &str| format!("attenuated_signal = {{ variation = \"range\", {rest} }}");
    let period = "`attenuated_signal` needs a period and at least 2 observations in it; raise `period_s` or `observations_min`";
    check(
        &attenuated("period_s = 0, observations_min = 2, suspect = 1, fail = 0"),
        period,
    );
    check(
        &attenuated("period_s = 9, observations_min = 1, suspect = 1, fail = 0"),
        period,
    );
    check(
        &attenuated("period_s = 9, observations_min = 2, span_min_s = 9, suspect = 1, fail = 1"),
        "`span_min_s` of `attenuated_signal` is shorter than the period, or no values would span it; correct it",
    );
    check(
        &attenuated("period_s = 9, observations_min = 2, suspect = 1, fail = 2"),
        "`attenuated_signal` fails below a smaller variation than it is suspect below; correct `suspect` or `fail`",
    );
    let neighbour = |rest: &str| format!("neighbour = {{ suspect = 3, {rest} }}");
    check(
        &neighbour("radius_m = 500, neighbours_min = 2, deviation_min = 1"),
        "`neighbour` needs at least 3 neighbours within a radius; raise `neighbours_min` or `radius_m`",
    );
    check(
        &neighbour("radius_m = 500, neighbours_min = 3, deviation_min = 0"),
        "`deviation_min` of `neighbour` is a positive number in the unit of the property; correct it",
    );
    let months = |rest: &str| format!("climatology = [{{ {rest} }}]");
    check(
        &months("months = [], suspect = [0, 1]"),
        "`climatology` names no months; write `months = [1, 2, …]`",
    );
    for month in [0, 13] {
        check(
            &months(&format!("months = [{month}], suspect = [0, 1]")),
            &format!("month {month} does not exist; months are numbers from 1 to 12"),
        );
    }
    check(
        &months("months = [2, 2], suspect = [0, 1]"),
        "month 2 has limits already; name it once",
    );
    check(
        &months("months = [2], suspect = [1, 0]"),
        "limits of a month are two numbers, the lower one first; write `suspect = [min, max]`",
    );
    check(
        &months("months = [2], suspect = [0, 9], fail = [0, 8]"),
        "`suspect` of `climatology` reaches beyond `fail`; make it narrower",
    );
}

#[test]
fn an_unknown_test_is_a_fault_of_the_text() {
    let text = format!("{WATER_PROPERTIES}[property.tests]\nspikes = {{ suspect = 1 }}\n");
    let files = [("p.toml", text.as_str()), ("water.toml", WATER)];
    let errors = errors(&files);
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].contains("unknown field `spikes`, expected one of `suspect_range`"),
        "{errors:?}"
    );
}

#[test]
fn numbers_of_wide_datasets_have_tests_too() {
    let text = |column: &str| {
        format!(
            "id = \"flow\"\nversion = 1\nkind = \"wide\"\ngrain = \"month\"\nkey = [\"gauge\", \"time\"]\n\
             title = {{ nl = \"Debiet\" }}\ndescription = {{ nl = \"Debiet\" }}\n\
             [[column]]\nname = \"gauge\"\ntype = \"text\"\nrequired = true\n\
             [[column]]\nname = \"time\"\ntype = \"timestamp\"\nrequired = true\n\
             [[column]]\nname = \"flow\"\n{column}\n"
        )
    };
    let check = |column: &str, expect: &[&str]| {
        assert_eq!(errors(&[("flow.toml", &text(column))]), expect, "{column}");
    };
    let flat = "tests = { flat_line = { tolerance = 0.5, suspect_s = 60, fail_s = 60 } }";
    check(&format!("type = \"float\"\n{flat}"), &[]);
    let loaded = load(&[("flow.toml", &text(&format!("type = \"int\"\n{flat}")))]).unwrap();
    let flow = &loaded.datasets[&DatasetId::new("flow")];
    let tests = &flow.columns[2].tests;
    assert_eq!(tests.flat_line.map(|flat| flat.suspect_s), Some(60));
    check(
        &format!("type = \"text\"\n{flat}"),
        &[
            "flow.toml:19: column `flow` has no quality tests: numbers of a wide dataset do; remove the tests",
        ],
    );
    check(
        "type = \"float\"\ntests = { neighbour = { radius_m = 500, neighbours_min = 3, deviation_min = 0.5, suspect = 3 } }",
        &["flow.toml:19: column `flow` has no neighbours: only properties do; remove `neighbour`"],
    );
}

#[test]
fn a_correction_names_what_is_measured() {
    let humidity = "[[property]]\nname = \"humidity\"\ndataset = \"water\"\nunit = \"%\"\n\
        iri = \"https://example.org/humidity\"\nrange = [0, 100]\ntitle = { nl = \"Vocht\" }\n";
    let check = |of: &str, input: &str, kappa: &str, expect: &[&str]| {
        let dry = WATER_PROPERTIES.replace("\"water_temperature\"", "\"dry\"");
        let text = format!(
            "{WATER_PROPERTIES}{humidity}{dry}[property.correction]\nof = \"{of}\"\nmethod = \"kappa_koehler\"\n\
             humidity = {{ dataset = \"water\", property = \"{input}\" }}\nkappa = {kappa}\ndensity = 1.65\n\
             humidity_max = 95\n"
        );
        let files = [("p.toml", text.as_str()), ("water.toml", WATER)];
        let found = errors(&files);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{found}");
        }
    };
    check("water_temperature", "humidity", "0.4", &[]);
    check(
        "dry",
        "humidity",
        "0.4",
        &["property `dry` corrects `dry`, which is no measured property of `water` in Cel"],
    );
    check(
        "water_temperature",
        "water_temperature",
        "0.4",
        &["is corrected by `water_temperature` of `water`, which is no measured property in %"],
    );
    check(
        "water_temperature",
        "humidity",
        "0",
        &["`kappa` and `density` are positive, and `humidity_max` is below 100"],
    );
}
