//! `[derive]`: by itself, and against the dataset that it names.

use super::*;
use crate::change::check_change;
use crate::derivation::{Bucket, check_filled};
use crate::ids::{LicenceId, SourceId};
use crate::licence::{StoredLicences, check_licences, check_stored};
use crate::source::{MapEntry, SourceDeclaration, SourceKind, WireFormat};

/// A derived dataset without a fault; the tests below change one line each.
const DAILY: &str = r#"id = "water_daily"
version = 1
kind = "wide"
grain = "year"
key = ["sensor_id", "time"]
title = { nl = "Water per dag" }
description = { nl = "Watertemperatuur per dag" }

[derive]
from = "water"
bucket = "day"
zone = "Europe/Brussels"
grace_s = 3600
expected_s = 900
where = [{ column = "property", equals = "water_temperature" }]

[derive.columns]
coverage = "coverage"
mean = { mean = "value" }
warm = { at_least = { of = "mean", limit = 20, source = "Stad" } }

[[column]]
name = "sensor_id"
type = "text"
required = true

[[column]]
name = "time"
type = "timestamp"
required = true

[[column]]
name = "coverage"
type = "float"

[[column]]
name = "mean"
type = "float"

[[column]]
name = "warm"
type = "bool"
"#;

/// Replaces `from` by `to` in `DAILY` and expects these errors.
fn check_daily(from: &str, to: &str, expect: &[&str]) {
    assert!(DAILY.contains(from), "{from}");
    let text = DAILY.replacen(from, to, 1);
    let files = [("daily.toml", text.as_str()), ("water.toml", WATER)];
    assert_eq!(errors(&files), expect, "{from} -> {to}");
}

fn daily() -> Schemas {
    load(&[("daily.toml", DAILY), ("water.toml", WATER)]).unwrap()
}

#[test]
fn a_derivation_is_read_as_it_is_declared() {
    let schemas = daily();
    let dataset = &schemas.datasets[&DatasetId::new("water_daily")];
    let derivation = dataset.derive.as_ref().unwrap();
    assert_eq!(derivation.from.as_str(), "water");
    assert_eq!(derivation.bucket, Bucket::Day);
    assert_eq!(derivation.quality_max, Quality::Suspect.code());
    assert_eq!(derivation.columns.len(), 3);
    let declarations = schemas.into_declarations([]);
    let read = crate::declarations::Declarations::from_bytes(&declarations.to_bytes());
    assert_eq!(read.unwrap(), declarations);
}

#[test]
fn what_is_wrong_with_a_derivation_is_named_with_its_line() {
    check_daily("", "", &[]);
    check_daily(
        "kind = \"wide\"",
        "kind = \"private\"",
        &["daily.toml:10: a derived dataset has a column per value; write `kind = \"wide\"`"],
    );
    check_daily(
        "Europe/Brussels",
        "Europe/Brüssel",
        &[
            "daily.toml:12: unknown time zone `Europe/Brüssel`; use an IANA name such as `Europe/Brussels` or `UTC`",
        ],
    );
    check_daily(
        "expected_s = 900",
        "expected_s = 0",
        &[
            "daily.toml:14: an observation is expected once a second at most and once an interval at least; correct `expected_s`",
        ],
    );
    check_daily(
        "grace_s = 3600",
        "grace_s = 3600\nquality_max = 9",
        &[
            "daily.toml:14: `quality_max` is a quality flag of values; use 1 (pass), 2 (not evaluated), 3 (suspect) or 4 (fail)",
        ],
    );
    check_daily(
        "equals = \"water_temperature\"",
        "equals = \"water_temperature\", at_least = 3.0",
        &[
            "daily.toml:15: the condition on `property` has one of `equals` and `at_least`; write one",
        ],
    );
    check_daily(
        "coverage = \"coverage\"",
        "share = \"coverage\"",
        &[
            "daily.toml:18: `share` is no `[[column]]` outside the key; correct the name or remove it",
            "daily.toml:33: nothing says how `coverage` is made of `water`; add it to `[derive.columns]`",
        ],
    );
    check_daily(
        "mean = { mean = \"value\" }",
        "mean = \"count\"",
        &["daily.toml:37: column `mean` has the wrong type; its rule makes int"],
    );
    check_daily(
        "name = \"mean\"\ntype = \"float\"",
        "name = \"mean\"\ntype = \"float\"\nrequired = true",
        &["daily.toml:37: column `mean` is null where nothing counts; remove `required`"],
    );
    check_daily(
        "of = \"mean\"",
        "of = \"warm\"",
        &[
            "daily.toml:20: `warm` is no column of numbers above `warm`; name one that is declared before it",
        ],
    );
    check_daily(
        "source = \"Stad\"",
        "source = \" \"",
        &["daily.toml:20: a limit names who set it; fill `source` in"],
    );
    check_daily(
        "warm = { at_least = { of = \"mean\", limit = 20, source = \"Stad\" } }",
        "warm = { above = { of = \"mean\", limits = { o3 = 1.0 }, source = \"Stad\" } }",
        &["daily.toml:20: `warm` depends on the property of a row; put `property` into the key"],
    );
    check_daily(
        "warm = { at_least = { of = \"mean\", limit = 20, source = \"Stad\" } }",
        "warm = { run = { of = \"value\", at_least = 25, length_min = 5, peak = 30, peaks_min = 3, length_max = 4, source = \"Stad\" } }",
        &[
            "daily.toml:20: `length_min` is from 1 to `length_max`, `peaks_min` no more than that, and `length_max` 100 at most; \
             correct them",
        ],
    );
    check_daily(
        "warm = { at_least = { of = \"mean\", limit = 20, source = \"Stad\" } }",
        "warm = { run = { of = \"value\", at_least = 25, length_min = 5, peak = 30, peaks_min = 3, length_max = 9, source = \"\" } }",
        &["daily.toml:20: a limit names who set it; fill `source` in"],
    );
    let mean_over = |averaged: &str, buckets: u32, source: &str| {
        format!(
            "mean = {{ count_above_mean = {{ of = \"value\", limits = {{ o3 = 1 }}, averaged = [\"{averaged}\"], \
             buckets = {buckets}, rows_min = 1, source = \"{source}\" }} }}"
        )
    };
    let of_property =
        "daily.toml:19: `mean` depends on the property of a row; put `property` into the key";
    let not_so = "daily.toml:19: `buckets` is from 2 to 5, and what is `averaged` has one of the `limits`; correct them";
    let by_nobody = "daily.toml:19: a limit names who set it; fill `source` in";
    for (rule, expect) in [
        (mean_over("o3", 5, "Stad"), &[of_property][..]),
        (mean_over("no2", 3, "Stad"), &[not_so, of_property][..]),
        (mean_over("o3", 6, "Stad"), &[not_so, of_property][..]),
        (mean_over("o3", 1, "Stad"), &[not_so, of_property][..]),
        (mean_over("o3", 3, ""), &[by_nobody, of_property][..]),
    ] {
        check_daily("mean = { mean = \"value\" }", &rule, expect);
    }
    check_daily(
        "warm = { at_least = { of = \"mean\", limit = 20, source = \"Stad\" } }",
        "warm = { more_than = { of = \"mean\", than = \"time\" } }",
        &[
            "daily.toml:20: `time` is no column of numbers above `warm`; name one that is declared before it",
        ],
    );
    check_daily(
        "warm = { at_least = { of = \"mean\", limit = 20, source = \"Stad\" } }",
        "warm = { more_than = { of = \"mean\", than = \"coverage\" } }",
        &[],
    );
    check_daily(
        "mean = { mean = \"value\" }",
        "mean = { difference_to_reference = \"warm\" }",
        &[
            "daily.toml:19: `warm` is no column of numbers above `mean`; name one that is declared before it",
        ],
    );
    check_daily(
        "mean = { mean = \"value\" }",
        "mean = { running_mean_max = { of = \"value\", hours = 8, hours_min = 9 } }",
        &[
            "daily.toml:19: `hours` is from 1 to 48, and `hours_min` from 1 to `hours`; correct them",
        ],
    );
}

#[test]
fn a_derivation_fits_its_input() {
    check_daily(
        "from = \"water\"",
        "from = \"wather\"",
        &["daily.toml:10: there is no dataset `wather`; name one that is declared"],
    );
    check_daily(
        "from = \"water\"",
        "from = \"water_daily\"",
        &["daily.toml:10: dataset `water_daily` would be made of itself; correct `from`"],
    );
    check_daily(
        "where = [{ column = \"property\", equals = \"water_temperature\" }]",
        "",
        &[
            "daily.toml:10: the key is that of `water` without what `where` fixes; write `key = [\"sensor_id\", \"property\", \
             \"time\"]`, with the types of `water`, or add `where` conditions",
        ],
    );
    check_daily(
        "equals = \"water_temperature\"",
        "equals = 3",
        &[
            "daily.toml:15: `property` of `water` cannot be compared so; `equals` takes a value of a key column, `at_least` a \
             column of floats",
        ],
    );
    check_daily(
        "grace_s = 3600",
        "grace_s = 3600\nreference = 7",
        &["daily.toml:10: `reference` is a value of the first key column of `water`; correct it"],
    );
    check_daily(
        "grace_s = 3600",
        "grace_s = 3600\nreference = \"well\"",
        &[],
    );
    check_daily(
        "mean = { mean = \"value\" }",
        "mean = { mean = \"valeu\" }",
        &["daily.toml:19: `water` has no column `valeu` of type float; correct the name"],
    );
}

#[test]
fn rows_of_other_intervals_are_a_dataset_of_their_own() {
    let schemas = daily();
    let stored = &schemas.datasets[&DatasetId::new("water_daily")];
    let changed = |change: fn(&mut crate::derivation::Derivation)| {
        let mut new = DatasetDeclaration::clone(stored);
        change(new.derive.as_mut().unwrap());
        check_change(stored, &new).err().unwrap_or_default()
    };
    let allowed: Vec<String> = Vec::new();
    assert_eq!(changed(|derivation| derivation.grace_s = 1), allowed);
    assert_eq!(changed(|derivation| derivation.quality_max = 1), allowed);
    for (refused, what) in [
        (
            changed(|derivation| derivation.bucket = Bucket::Hour),
            "interval",
        ),
        (changed(|derivation| derivation.zone = None), "interval"),
        (changed(|derivation| derivation.so_far = true), "interval"),
        (
            changed(|derivation| derivation.from = "air".into()),
            "input",
        ),
        (
            changed(|derivation| derivation.conditions.clear()),
            "choice of input rows",
        ),
    ] {
        assert_eq!(
            refused,
            [format!(
                "dataset `water_daily`: the {what} of the derived rows changed; undo it, or declare the changed dataset under a \
                 new id"
            )]
        );
    }
    let mut plain = DatasetDeclaration::clone(stored);
    plain.derive = None;
    assert!(check_change(stored, &plain).is_err() && check_change(&plain, stored).is_err());
}

fn source(id: &str, licence: &str, dataset: &str) -> SourceDeclaration {
    SourceDeclaration {
        map: vec![MapEntry::property(dataset, "water_temperature")],
        attribution: Some(format!("Makers of {id}")),
        ..SourceDeclaration::new(id, SourceKind::Http, WireFormat::Json, licence)
    }
}

#[test]
fn a_derived_dataset_promises_what_the_sources_behind_it_allow() {
    let check = |licence: Option<&str>, permission: Option<&str>, expect: &[&str]| {
        let mut declarations =
            daily().into_declarations([source("brook", "CC-BY-NC-4.0", "water")]);
        let dataset = declarations
            .datasets
            .get_mut(&DatasetId::new("water_daily"))
            .unwrap();
        let dataset = Arc::make_mut(dataset);
        dataset.licence = licence.map(Into::into);
        let derivation = dataset.derive.as_mut().unwrap();
        derivation.permission = permission.map(str::to_owned);
        let said: Vec<String> = check_licences(&declarations)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(said, expect);
        // The same of a source that is gone and has left its rows.
        let left = BTreeMap::from([("CC-BY-NC-4.0".into(), ["brook".to_owned()].into())]);
        let stored = StoredLicences::from([(DatasetId::new("water"), left)]);
        declarations.sources.clear();
        let said: Vec<String> = check_stored(&declarations, &stored)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(said, expect);
    };
    check(None, None, &[]);
    check(Some("CC-BY-NC-4.0"), None, &[]);
    check(
        Some("CC-BY-4.0"),
        None,
        &[
            "dataset `water_daily` declares CC-BY-4.0, but it is made of `water` (CC-BY-NC-4.0), which ask for more; declare \
             CC-BY-NC-4.0, or permission = \"…\" with the agreement that allows CC-BY-4.0",
        ],
    );
    check(Some("CC-BY-4.0"), Some("letter of 2026-03-01"), &[]);
}

#[test]
fn a_derived_dataset_names_whom_its_sources_ask_to_name() {
    let sources = [
        source("brook", "CC-BY-4.0", "water"),
        source("pond", "CC0-1.0", "water"),
    ];
    let mut declarations = daily().into_declarations(sources);
    declarations.state_licences();
    let of = |declarations: &crate::declarations::Declarations| {
        let dataset = declarations.dataset("water_daily").unwrap();
        dataset.source_licences.clone()
    };
    let names = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<String>>()
    };
    let expect: BTreeMap<LicenceId, Vec<String>> = BTreeMap::from([
        // A row under CC-BY may be made of both.
        (
            "CC-BY-4.0".into(),
            names(&["Makers of brook", "Makers of pond"]),
        ),
        ("CC0-1.0".into(), names(&["Makers of pond"])),
    ]);
    assert_eq!(of(&declarations), expect);
    let dataset = declarations
        .datasets
        .get_mut(&DatasetId::new("water_daily"))
        .unwrap();
    Arc::make_mut(dataset).licence = Some("CC-BY-4.0".into());
    declarations.state_licences();
    let expect: BTreeMap<LicenceId, Vec<String>> = BTreeMap::from([(
        "CC-BY-4.0".into(),
        names(&["Makers of brook", "Makers of pond"]),
    )]);
    assert_eq!(of(&declarations), expect);
}

#[test]
fn no_source_fills_a_derived_dataset() {
    let declarations = daily().into_declarations([
        source("brook", "CC0-1.0", "water"),
        source("pond", "CC0-1.0", "water_daily"),
    ]);
    assert!(declarations.sources.contains_key(&SourceId::new("brook")));
    let said: Vec<String> = check_filled(&declarations)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "source `pond` fills dataset `water_daily`, whose rows are made of `water`; map to another dataset"
        ]
    );
}
