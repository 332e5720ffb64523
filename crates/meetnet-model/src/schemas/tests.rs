mod assessments;
mod derivations;
mod gatherings;
mod quality_tests;

use super::*;
use crate::column::ColumnType;
use crate::licence::is_licence_id;
use crate::quality::Quality;
use crate::units::{Conversion, Gas, REFERENCE_TEMPERATURE};

/// A long dataset without a fault; the tests below change one line each.
const WATER: &str = r#"id = "water"
version = 1
kind = "long"
grain = "month"
key = ["sensor_id", "property", "time"]
title = { nl = "Water" }
description = { nl = "Waterkwaliteit" }

[[column]]
name = "sensor_id"
type = "text"
required = true

[[column]]
name = "property"
type = "text"
required = true

[[column]]
name = "time"
type = "timestamp"
required = true

[[column]]
name = "value"
type = "float"
"#;

const WATER_PROPERTIES: &str = r#"[[property]]
name = "water_temperature"
dataset = "water"
unit = "Cel"
iri = "https://example.org/water_temperature"
range = [-2, 40]
title = { nl = "Watertemperatuur" }
"#;

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    load(files)
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Replaces `from` by `to` in `WATER` and expects these errors.
fn check(from: &str, to: &str, expect: &[&str]) {
    assert!(WATER.contains(from), "{from}");
    let text = WATER.replacen(from, to, 1);
    assert_eq!(errors(&[("water.toml", &text)]), expect, "{from} -> {to}");
}

fn check_property(from: &str, to: &str, expect: &[&str]) {
    assert!(WATER_PROPERTIES.contains(from), "{from}");
    let text = WATER_PROPERTIES.replacen(from, to, 1);
    let files = [("p.toml", text.as_str()), ("water.toml", WATER)];
    assert_eq!(errors(&files), expect, "{from} -> {to}");
}

#[test]
fn built_in_declarations_load() {
    let schemas = builtin();
    let ids: Vec<&str> = schemas.datasets.keys().map(DatasetId::as_str).collect();
    assert_eq!(
        ids,
        [
            "air",
            "air_daily",
            "air_exceedances",
            "air_hourly",
            "air_yearly",
            "data_quality",
            "heat",
            "heat_daily",
            "heat_hourly",
            "heat_waves",
            "neighbourhood_hourly",
            "noise",
            "quality_rules",
            "rejects",
            "segments",
            "stations",
            "traffic",
            "traffic_daily"
        ]
    );
    for dataset in schemas.datasets.values() {
        for texts in [&dataset.title, &dataset.description] {
            assert!(
                !texts.nl.is_empty() && !texts.en.is_empty() && !texts.fr.is_empty(),
                "{}",
                dataset.id
            );
            assert!(!texts.nl.contains('\n'), "{}", dataset.id);
        }
        assert!(
            dataset.columns.iter().all(|c| c.title.is_some()),
            "{}",
            dataset.id
        );
        assert!(
            dataset
                .licence
                .as_ref()
                .is_none_or(|id| is_licence_id(id.as_str()))
        );
    }
    let traffic = &schemas.datasets[&DatasetId::new("traffic")];
    assert_eq!(traffic.columns.len(), 4 + 5 * 3 + 11 * 2 + 3);
    assert_eq!(
        traffic.columns.last().map(|c| c.column_type),
        Some(ColumnType::FloatList)
    );
    assert_eq!(traffic.rules.len(), 2);
    assert!(!schemas.datasets[&DatasetId::new("rejects")].is_public());
}

#[test]
fn built_in_properties_are_those_of_the_design() {
    let schemas = builtin();
    let mut list = String::new();
    for property in &schemas.properties {
        list.push_str(&format!(
            "{} {} {}\n",
            property.dataset, property.name, property.unit
        ));
        assert!(!property.title.en.is_empty() && !property.title.fr.is_empty());
        if let Some(molar_mass) = property.molar_mass {
            let gas = Some(Gas {
                molar_mass,
                temperature: REFERENCE_TEMPERATURE,
            });
            assert!(Conversion::between("[ppb]", &property.unit, gas).is_ok());
        }
    }
    let expect = "air pm1 ug/m3\nair pm2_5 ug/m3\nair pm4 ug/m3\nair pm10 ug/m3\nair no2 ug/m3\nair no ug/m3\nair o3 ug/m3\n\
        air so2 ug/m3\nair black_carbon ug/m3\nair co mg/m3\nair co2 [ppm]\nair voc_index 1\n\
        heat air_temperature Cel\nheat dew_point Cel\nheat globe_temperature Cel\nheat wbgt Cel\n\
        heat relative_humidity %\nheat air_pressure hPa\nheat sea_level_pressure hPa\nheat wind_speed m/s\n\
        heat wind_gust m/s\nheat wind_direction deg\nheat rainfall mm\nheat rain_rate mm/h\n\
        heat solar_irradiance W/m2\nheat uv_index 1\n\
        noise laeq dB[A]\nnoise lamin dB[A]\nnoise lamax dB[A]\nnoise la10 dB[A]\nnoise la50 dB[A]\nnoise la90 dB[A]\n";
    assert_eq!(list, expect);
    assert_eq!(Quality::Pass.code(), 1);
}

#[test]
fn a_dataset_is_added_by_its_file_alone() {
    let schemas = load(&[("p.toml", WATER_PROPERTIES), ("water.toml", WATER)]).unwrap();
    assert_eq!(schemas.datasets.len(), 1);
    let added = overlay(&[("p.toml", WATER_PROPERTIES), ("water.toml", WATER)]).unwrap();
    assert_eq!(added.datasets.len(), builtin().datasets.len() + 1);
    let declarations = added.into_declarations([]);
    let property = declarations.property("water", "water_temperature").unwrap();
    assert_eq!(property.range, [-2.0, 40.0]);
}

#[test]
fn a_folder_replaces_by_id() {
    let text = WATER.replace("\"water\"", "\"heat\"");
    let property = WATER_PROPERTIES
        .replace("\"water_temperature\"", "\"air_temperature\"")
        .replace("\"water\"", "\"heat\"");
    let schemas = overlay(&[("heat.toml", &text), ("p.toml", &property)]).unwrap();
    assert_eq!(schemas.datasets[&DatasetId::new("heat")].title.nl, "Water");
    assert_eq!(schemas.datasets.len(), builtin().datasets.len());
    assert_eq!(schemas.properties.len(), builtin().properties.len());
    let replaced = schemas
        .properties
        .iter()
        .find(|p| p.name == "air_temperature")
        .unwrap();
    assert_eq!(replaced.title.nl, "Watertemperatuur");
}

#[test]
fn faults_of_the_text() {
    check(
        "version = 1",
        "version = ",
        &[
            "water.toml:2: string values must be quoted, expected literal string; correct or remove it",
        ],
    );
    check(
        "version = 1",
        "version = 1\nversion = 2",
        &["water.toml:3: duplicate key; correct or remove it"],
    );
    check(
        "grain = \"month\"",
        "grain = \"month\"\ncolour = \"red\"",
        &[
            "water.toml:5: unknown field `colour`, expected one of `id`, `version`, `kind`, `grain`, `key`, \
           `licence`, `attribution`, `title`, `description`, `rule`, `derive`, `assess`, `gather`, `column`; correct or remove it",
        ],
    );
    check(
        "type = \"float\"",
        "type = \"number\"",
        &[
            "water.toml:26: unknown variant `number`, expected one of `text`, `int`, `float`, `bool`, `timestamp`, \
           `float_list`; correct or remove it",
        ],
    );
    check(
        "grain = \"month\"",
        "grain = \"hour\"",
        &[
            "water.toml:4: unknown variant `hour`, expected one of `year`, `month`, `day`; correct or remove it",
        ],
    );
    check(
        "kind = \"long\"\n",
        "",
        &["water.toml:1: missing field `kind`; add it"],
    );
    check(
        "type = \"float\"\n",
        "",
        &["water.toml:24: missing field `type`; add it"],
    );
}

#[test]
fn faults_of_ids_and_names() {
    let id = "cannot be a dataset id; use at most 48 of a-z, 0-9 and _, a letter first";
    check(
        "\"water\"",
        "\"Water\"",
        &[&format!("water.toml:1: `Water` {id}")],
    );
    check(
        "\"water\"",
        "\"9water\"",
        &[&format!("water.toml:1: `9water` {id}")],
    );
    check(
        "\"water\"",
        "\"water_history\"",
        &[
            "water.toml:1: a dataset id cannot end in `_history`, which SQL adds itself; choose another id",
        ],
    );
    check(
        "\"water\"",
        "\"water_as_of\"",
        &[
            "water.toml:1: a dataset id cannot end in `_as_of`, which SQL adds itself; choose another id",
        ],
    );
    check(
        "version = 1",
        "version = 0",
        &["water.toml:2: version 0 does not exist; start with `version = 1`"],
    );
    check(
        "version = 1",
        "version = 1\nlicence = \"CC BY\"",
        &["water.toml:3: `CC BY` is not a licence id; did you mean `CC-BY-4.0`?"],
    );
    let extra = |name: &str| format!("{WATER}\n[[column]]\nname = \"{name}\"\ntype = \"float\"\n");
    for (name, expect) in [
        (
            "quality",
            "water.toml:29: column `quality` exists in every dataset already; remove it or choose another name",
        ),
        (
            "month",
            "water.toml:29: column `month` exists in every dataset already; remove it or choose another name",
        ),
        (
            "value",
            "water.toml:29: column `value` is already declared at line 25; remove one of them",
        ),
        (
            "pH",
            "water.toml:29: `pH` cannot be a column name; use at most 48 of a-z, 0-9 and _, a letter first",
        ),
    ] {
        assert_eq!(errors(&[("water.toml", &extra(name))]), [expect]);
    }
    assert_eq!(
        errors(&[("a.toml", WATER), ("b.toml", WATER)]),
        [
            "b.toml:1: dataset `water` is already declared at a.toml:1; give one of them another id or remove it"
        ]
    );
}

#[test]
fn faults_of_texts() {
    check(
        "title = { nl = \"Water\" }\n",
        "",
        &["water.toml:1: no title; add `[title]` with at least `nl = \"…\"`"],
    );
    check(
        "{ nl = \"Waterkwaliteit\" }",
        "{ en = \"Water quality\" }",
        &["water.toml:7: the description has no Dutch text; add `nl = \"…\"`"],
    );
}

#[test]
fn faults_of_units_and_ranges() {
    let with = |line: &str| format!("{WATER}{line}\n");
    for (line, expect) in [
        (
            "unit = \"furlong\"",
            "water.toml:27: unknown unit `furlong`; use a UCUM code such as Cel, %, hPa, m/s, mm, ug/m3 or 1",
        ),
        (
            "unit = \"°C\"",
            "water.toml:27: unit `°C` is not a UCUM code; write `Cel`",
        ),
        (
            "range = [5, 1]",
            "water.toml:27: the range starts at 5 and ends at 1; swap them",
        ),
        (
            "range = [5]",
            "water.toml:27: a range is two numbers; write `range = [min, max]`",
        ),
        (
            "range = [nan, 1]",
            "water.toml:27: a range is two numbers; write `range = [min, max]`",
        ),
        (
            "iri = \"urn:x\"",
            "water.toml:27: `urn:x` is not an IRI; it starts with http:// or https://",
        ),
    ] {
        assert_eq!(errors(&[("water.toml", &with(line))]), [expect]);
    }
    check(
        "name = \"sensor_id\"\n",
        "name = \"sensor_id\"\nunit = \"1\"\n",
        &["water.toml:11: column `sensor_id` holds no numbers, so it has no unit; remove the unit"],
    );
}

#[test]
fn faults_of_the_key() {
    check(
        "name = \"property\"\n",
        "name = \"measure\"\n",
        &[
            "water.toml:5: key column `property` is not declared; add a `[[column]]` of that name",
            "water.toml:5: a long dataset has a column `property`; add a `[[column]]` of that name",
        ],
    );
    check(
        "type = \"timestamp\"\nrequired = true\n",
        "type = \"timestamp\"\n",
        &["water.toml:20: column `time` is in the key but not required; add `required = true`"],
    );
    check(
        "name = \"property\"\ntype = \"text\"",
        "name = \"property\"\ntype = \"float\"",
        &[
            "water.toml:15: column `property` cannot be in the key; a key column is text, int or timestamp",
            "water.toml:15: column `property` of a long dataset has the wrong type; it is text",
        ],
    );
    let long_key = "water.toml:5: the key of a long dataset is sensor_id, property, time; write `key = [\"sensor_id\", \"property\", \"time\"]`";
    check(
        "\"property\", \"time\"]",
        "\"time\", \"property\"]",
        &[long_key],
    );
    check(
        "[\"sensor_id\", \"property\", \"time\"]",
        "[]",
        &[
            "water.toml:5: the key is empty; name the columns that identify a row",
            long_key,
        ],
    );
    check(
        "[\"sensor_id\", \"property\", \"time\"]",
        "[\"time\", \"time\"]",
        &[
            "water.toml:5: `time` stands twice in the key; remove one",
            long_key,
        ],
    );
    let wide = WATER
        .replace("\"long\"", "\"wide\"")
        .replace("\"property\", \"time\"]", "\"time\", \"property\"]");
    assert_eq!(
        errors(&[("wide.toml", &wide)]),
        ["wide.toml:5: the key of a wide dataset ends in `time`; put `time` last"]
    );
}

#[test]
fn places_have_a_position_and_a_validity() {
    let text = "id = \"bins\"\nversion = 1\nkind = \"places\"\ngrain = \"year\"\nkey = [\"id\"]\n\
        title = { nl = \"Bakken\" }\ndescription = { nl = \"Bakken\" }\n\
        [[column]]\nname = \"id\"\ntype = \"text\"\nrequired = true\n\
        [[column]]\nname = \"valid_from\"\ntype = \"timestamp\"\n\
        [[column]]\nname = \"lon\"\ntype = \"text\"\n";
    assert_eq!(
        errors(&[("bins.toml", text)]),
        [
            "bins.toml:13: every row of a places dataset has `valid_from`; add `required = true`",
            "bins.toml:5: a places dataset has a column `valid_to`; add a `[[column]]` of that name",
            "bins.toml:16: column `lon` of a places dataset has the wrong type; it is float",
            "bins.toml:5: a places dataset has a column `lat`; add a `[[column]]` of that name",
            "bins.toml:5: the key of a places dataset is id, valid_from; write `key = [\"id\", \"valid_from\"]`",
        ]
    );
}

#[test]
fn rules_name_columns_of_a_wide_dataset() {
    let wide = |rule: &str| {
        format!(
            "{}\n[[rule]]\n{rule}\n",
            WATER.replace("\"long\"", "\"wide\"")
        )
    };
    for (rule, expect) in [
        (
            "test = \"uptime\"\ncolumn = \"uptime\"\nsuspect_below = 50",
            &[
                "`suspect_below` is a share; use a number from 0 to 1",
                "the rule names column `uptime`, which is not declared; correct the name",
            ][..],
        ),
        ("test = \"missing\"\ncolumns = [\"value\"]", &[]),
    ] {
        let expect: Vec<String> = expect
            .iter()
            .map(|e| format!("wide.toml:28: {e}"))
            .collect();
        assert_eq!(errors(&[("wide.toml", &wide(rule))]), expect);
    }
    let long = format!("{WATER}\n[[rule]]\ntest = \"missing\"\ncolumns = [\"value\"]\n");
    assert_eq!(
        errors(&[("l.toml", &long)]),
        ["l.toml:28: only a wide dataset has `[[rule]]`s; remove it"]
    );
}

#[test]
fn faults_of_properties() {
    check_property("", "", &[]);
    check_property(
        "\"water\"",
        "\"watr\"",
        &[
            "p.toml:2: property `water_temperature` names dataset `watr`, which is not declared; add a file for it or correct the name",
        ],
    );
    check_property(
        "\"Cel\"",
        "\"C\"",
        &["p.toml:4: unit `C` is not a UCUM code; write `Cel`"],
    );
    check_property(
        "[-2, 40]",
        "[40, -2]",
        &["p.toml:6: the range starts at 40 and ends at -2; swap them"],
    );
    check_property(
        "title = { nl = \"Watertemperatuur\" }\n",
        "",
        &["p.toml:2: property `water_temperature` has no title; add `title = { nl = \"…\" }`"],
    );
    check_property(
        "range =",
        "molar_mass = 0\nrange =",
        &["p.toml:6: a molar mass is a positive number of g/mol; correct it"],
    );
    check_property(
        "\"water_temperature\"",
        "\"Water\"",
        &[
            "p.toml:2: `Water` cannot be a property name; use at most 48 of a-z, 0-9 and _, a letter first",
        ],
    );
    let twice = format!("{WATER_PROPERTIES}{WATER_PROPERTIES}");
    assert_eq!(
        errors(&[("p.toml", &twice), ("water.toml", WATER)]),
        [
            "p.toml:9: property `water_temperature` of `water` is already declared at p.toml:2; remove one of them"
        ]
    );
    let traffic = WATER_PROPERTIES.replace("\"water\"", "\"traffic\"");
    let errors: Vec<_> = overlay(&[("p.toml", &traffic)])
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            "p.toml:2: property `water_temperature` names dataset `traffic`, which is not long; declare a column of `traffic` instead"
        ]
    );
}

#[test]
fn every_fault_is_named_at_once() {
    let text = WATER
        .replace("version = 1", "version = 0")
        .replace("title = { nl", "title = { en");
    assert_eq!(errors(&[("a.toml", &text), ("b.toml", "id = 3")]).len(), 3);
}
