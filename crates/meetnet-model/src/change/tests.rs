use super::*;
use crate::column::ColumnType;
use crate::dataset::{DatasetKind, Grain};
use crate::ids::LicenceId;
use crate::schemas;

fn stored() -> DatasetDeclaration {
    (*schemas::builtin().datasets[&DatasetId::new("heat")]).clone()
}

fn column(name: &str, required: bool) -> ColumnDeclaration {
    ColumnDeclaration {
        name: name.to_owned(),
        column_type: ColumnType::Float,
        required,
        unit: None,
        iri: None,
        range: None,
        tests: Default::default(),
        title: None,
    }
}

fn check(change: impl FnOnce(&mut DatasetDeclaration), expect: &[&str]) {
    let mut new = stored();
    change(&mut new);
    let expect: Vec<String> = expect
        .iter()
        .map(|e| {
            format!("dataset `heat`: {e}; undo it, or declare the changed dataset under a new id")
        })
        .collect();
    assert_eq!(
        check_change(&stored(), &new).err().unwrap_or_default(),
        expect
    );
}

#[test]
fn what_describes_or_adds_may_change() {
    check(|_| {}, &[]);
    check(|d| d.columns.push(column("uncertainty", false)), &[]);
    check(
        |d| {
            d.version += 1;
            d.title.nl = "Hitte".to_owned();
            d.description.fr.clear();
            d.attribution = Some("Stad Leuven".to_owned());
            d.licence = Some(LicenceId::new("CC-BY-4.0"));
            d.columns[4].range = Some([0.0, 1.0]);
            d.columns[4].title = None;
        },
        &[],
    );
}

#[test]
fn what_gives_rows_another_meaning_may_not() {
    check(
        |d| d.key.truncate(2),
        &["the key changed from (sensor_id, property, time) to (sensor_id, property)"],
    );
    check(
        |d| d.key.swap(0, 1),
        &["the key changed from (sensor_id, property, time) to (property, sensor_id, time)"],
    );
    check(
        |d| d.grain = Grain::Day,
        &["the grain changed from month to day"],
    );
    check(
        |d| d.kind = DatasetKind::Wide,
        &["the kind changed from long to wide"],
    );
    check(
        |d| d.columns[3].column_type = ColumnType::Float,
        &["the type of column `interval_s` changed from Int to Float"],
    );
    check(
        |d| d.columns[3].unit = Some("min".to_owned()),
        &["the unit of column `interval_s` changed from s to min"],
    );
    check(
        |d| d.columns[3].unit = None,
        &["the unit of column `interval_s` changed from s to none"],
    );
    check(
        |d| d.columns[4].required = true,
        &["column `value` became required"],
    );
    check(
        |d| d.columns[2].required = false,
        &["column `time` is no longer required"],
    );
    check(
        |d| d.columns.push(column("height", true)),
        &["the new column `height` is required, but stored rows have no value for it"],
    );
    check(|d| drop(d.columns.pop()), &["column `value` was removed"]);
    check(
        |d| d.columns[4].name = "reading".to_owned(),
        &["column `value` was removed"],
    );
    check(
        |d| d.columns.swap(3, 4),
        &[
            "column `interval_s` moved from place 4 to 5",
            "column `value` moved from place 5 to 4",
        ],
    );
    check(
        |d| d.columns.insert(4, column("height", false)),
        &["column `value` moved from place 5 to 6"],
    );
}

#[test]
fn properties_keep_their_unit() {
    let declarations = schemas::builtin().into_declarations([]);
    let dataset = DatasetId::new("air");
    let stored = declarations.units_of(&dataset);
    let check = |change: &dyn Fn(&mut PropertyUnits), expect: &[&str]| {
        let mut new = stored.clone();
        change(&mut new);
        let said = check_property_change(&dataset, &stored, &new).err();
        let expect: Vec<String> = expect
            .iter()
            .map(|e| format!("dataset `air`: {e}; undo it, or declare a property of another name"))
            .collect();
        assert_eq!(said.unwrap_or_default(), expect);
    };
    let set = |units: &mut PropertyUnits, name: &str, unit: &str| {
        units.insert(name.to_owned(), unit.to_owned());
    };
    check(&|_| {}, &[]);
    check(&|units| drop(units.remove("pm10")), &[]);
    check(&|units| set(units, "pm4", "ug/m3"), &[]);
    check(
        &|units| {
            set(units, "pm10", "mg/m3");
            set(units, "co2", "%");
        },
        &[
            "the unit of property `co2` changed from [ppm] to %",
            "the unit of property `pm10` changed from ug/m3 to mg/m3",
        ],
    );
}
