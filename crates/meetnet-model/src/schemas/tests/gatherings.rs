//! `[gather]`: by itself, and against the datasets that it names.

use super::*;
use crate::change::check_change;
use crate::ids::LicenceId;
use crate::licence::{check_licences, check_stored};
use crate::source::{MapEntry, SourceDeclaration, SourceKind, WireFormat};

/// A gathered dataset without a fault; the tests below change one line each.
const CELLS: &str = r#"id = "water_cells"
version = 1
kind = "wide"
grain = "month"
key = ["h3_r9", "time"]
title = { nl = "Water per cel" }
description = { nl = "Watertemperatuur per cel" }

[gather]
cell = "h3_r9"
bucket = "hour"
grace_s = 3600

[[gather.input]]
from = "water"
places = "wells"
place = "sensor_id"
where = [{ column = "property", equals = "water_temperature" }]

[gather.input.columns]
sensors = "count"
mean = { mean = "value" }

[[column]]
name = "h3_r9"
type = "int"
required = true

[[column]]
name = "time"
type = "timestamp"
required = true

[[column]]
name = "sensors"
type = "int"

[[column]]
name = "mean"
type = "float"
"#;

const WELLS: &str = r#"id = "wells"
version = 1
kind = "places"
grain = "year"
key = ["id", "valid_from"]
title = { nl = "Putten" }
description = { nl = "Putten" }
column = [
  { name = "id", type = "text", required = true },
  { name = "valid_from", type = "timestamp", required = true },
  { name = "valid_to", type = "timestamp" },
  { name = "lon", type = "float" },
  { name = "lat", type = "float" },
  { name = "h3_r9", type = "int" },
]
"#;

/// Replaces `from` by `to` in `CELLS`, and expects that the errors say this, one each.
fn check(from: &str, to: &str, expect: &[&str]) {
    assert!(CELLS.contains(from), "{from}");
    let text = CELLS.replacen(from, to, 1);
    let files = [
        ("cells.toml", text.as_str()),
        ("wells.toml", WELLS),
        ("water.toml", WATER),
    ];
    let found = errors(&files);
    let all = found.len() == expect.len()
        && found
            .iter()
            .zip(expect)
            .all(|(error, expect)| error.contains(expect));
    assert!(all, "{from} -> {to}: {found:?}");
}

fn cells() -> Schemas {
    load(&[
        ("cells.toml", CELLS),
        ("wells.toml", WELLS),
        ("water.toml", WATER),
    ])
    .unwrap()
}

#[test]
fn a_gathering_is_read_as_it_is_declared() {
    let declarations = cells().into_declarations([]);
    let dataset = &declarations.datasets[&DatasetId::new("water_cells")];
    let gathering = dataset.gather.as_ref().unwrap();
    assert_eq!(gathering.inputs[0].quality_max, Quality::Suspect.code());
    assert_eq!(gathering.inputs[0].columns.len(), 2);
    let inputs: Vec<&str> = dataset
        .made_of()
        .into_iter()
        .map(DatasetId::as_str)
        .collect();
    assert_eq!(inputs, ["water"]);
    let read = crate::declarations::Declarations::from_bytes(&declarations.to_bytes());
    assert_eq!(read.unwrap(), declarations);
}

#[test]
fn what_is_wrong_with_a_gathering_is_named() {
    check("", "", &[]);
    check(
        "key = [\"h3_r9\", \"time\"]",
        "key = [\"time\"]",
        &["`key = [\"h3_r9\", \"time\"]`"],
    );
    check(
        "mean = { mean = \"value\" }\n",
        "",
        &["let one `[[gather.input]]` fill `mean`"],
    );
    check(
        "mean = { mean = \"value\" }",
        "mean = { mean = \"value\" }\nleast = { min = \"value\" }",
        &["`least` is no `[[column]]`"],
    );
    check(
        "mean = { mean = \"value\" }",
        "mean = { running_mean_max = { of = \"value\", hours = 8, hours_min = 6 } }",
        &["use count, mean, min, max or sum"],
    );
    check(
        "name = \"mean\"\ntype = \"float\"",
        "name = \"mean\"\ntype = \"int\"",
        &["its rule makes float"],
    );
    check(
        "bucket = \"hour\"",
        "bucket = \"hour\"\nzone = \"Mars\"",
        &["unknown time zone `Mars`"],
    );
    check(
        "place = \"sensor_id\"",
        "place = \"sensor_id\"\nquality_max = 9",
        &["`quality_max` is a quality flag"],
    );
}

#[test]
fn a_gathering_fits_what_it_names() {
    check("from = \"water\"", "from = \"wells\"", &["correct `from`"]);
    check(
        "places = \"wells\"",
        "places = \"water\"",
        &["`water` is no dataset of places"],
    );
    check(
        "place = \"sensor_id\"",
        "place = \"value\"",
        &["correct `place`"],
    );
    check(
        "cell = \"h3_r9\"",
        "cell = \"h3_r7\"",
        &[
            "`key = [\"h3_r7\", \"time\"]`",
            "one input fills each column",
            "correct `cell`",
        ],
    );
    check(
        "equals = \"water_temperature\"",
        "equals = 3",
        &["`property` cannot be compared so"],
    );
    check(
        "mean = { mean = \"value\" }",
        "mean = { mean = \"valeu\" }",
        &["no column `valeu` of type float"],
    );
    check(
        "from = \"water\"",
        "from = \"water_cells\"",
        &["would be made of itself"],
    );
}

#[test]
fn cells_and_intervals_of_a_table_stay() {
    let schemas = cells();
    let stored = &schemas.datasets[&DatasetId::new("water_cells")];
    let changed = |change: fn(&mut crate::gathering::Gathering)| {
        let mut new = DatasetDeclaration::clone(stored);
        change(new.gather.as_mut().unwrap());
        check_change(stored, &new).is_err()
    };
    assert!(!changed(|gathering| gathering.grace_s = 0));
    assert!(!changed(|gathering| gathering.inputs.clear()));
    assert!(changed(
        |gathering| gathering.zone = Some("Europe/Brussels".to_owned())
    ));
    assert!(changed(|gathering| gathering.cell = "h3_r7".to_owned()));
    let mut plain = DatasetDeclaration::clone(stored);
    plain.gather = None;
    assert!(check_change(stored, &plain).is_err() && check_change(&plain, stored).is_err());
}

#[test]
fn what_nobody_may_sell_is_no_promise_as_long_as_it_is_left_out() {
    let check = |of_source: &str, licence: &str, permission: Option<&str>, expect: &str| {
        let source = SourceDeclaration {
            map: vec![MapEntry::property("water", "water_temperature")],
            attribution: Some("Makers".to_owned()),
            ..SourceDeclaration::new("brook", SourceKind::Http, WireFormat::Json, of_source)
        };
        let mut declarations = cells().into_declarations([source]);
        let id = DatasetId::new("water_cells");
        let dataset = std::sync::Arc::make_mut(declarations.datasets.get_mut(&id).unwrap());
        dataset.licence = Some(LicenceId::new(licence));
        let gathering = dataset.gather.as_mut().unwrap();
        gathering.permission = permission.map(str::to_owned);
        let said: Vec<String> = check_licences(&declarations)
            .iter()
            .map(ToString::to_string)
            .collect();
        let fits = match said.as_slice() {
            [] => expect.is_empty(),
            [said] => !expect.is_empty() && said.contains(expect),
            _ => false,
        };
        assert!(fits, "{of_source} {licence} {permission:?}: {said:?}");
        declarations.state_licences();
        declarations
    };
    check("CC-BY-4.0", "CC-BY-4.0", None, "");
    check("ODbL-1.0", "CC-BY-4.0", None, "`water` (ODbL-1.0)");
    // No row of it counts.
    let left_out = check("CC-BY-NC-4.0", "CC-BY-4.0", None, "");
    let named = |declarations: &crate::declarations::Declarations| {
        let dataset = &declarations.datasets[&DatasetId::new("water_cells")];
        dataset.source_licences[&LicenceId::new("CC-BY-4.0")].clone()
    };
    assert!(named(&left_out).is_empty());
    let agreed = check(
        "CC-BY-NC-4.0",
        "CC-BY-4.0",
        Some("letter of 2026-03-01"),
        "",
    );
    assert_eq!(named(&agreed), ["Makers"]);
    // The same of what lies in the table of the input, perhaps of a source that is gone.
    let by_source = BTreeMap::from([(LicenceId::new("ODbL-1.0"), ["gone".to_owned()].into())]);
    let stored = BTreeMap::from([(DatasetId::new("water"), by_source)]);
    let found = check_stored(&left_out, &stored);
    assert!(
        found
            .iter()
            .any(|error| error.to_string().contains("water_cells")),
        "{found:?}"
    );
}
