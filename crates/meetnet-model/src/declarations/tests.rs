use super::*;
use crate::schemas;

#[test]
fn the_journalled_form_reads_back() {
    let declarations = schemas::builtin().into_declarations([]);
    let bytes = declarations.to_bytes();
    let read = Declarations::from_bytes(&bytes).unwrap();
    assert_eq!(read, declarations);
    assert_eq!(read.to_bytes(), bytes);
    assert!(Declarations::from_bytes(b"{}").is_err());
}

#[test]
fn look_ups() {
    let declarations = schemas::builtin().into_declarations([]);
    assert_eq!(
        declarations.dataset("air").map(|d| d.id.as_str()),
        Some("air")
    );
    assert!(declarations.dataset("nothing").is_none());
    assert_eq!(
        declarations
            .property("air", "pm10")
            .map(|p| p.unit.as_str()),
        Some("ug/m3")
    );
    assert!(declarations.property("heat", "pm10").is_none());
}

#[test]
fn a_dataset_has_the_properties_that_it_is_made_of() {
    let declarations = schemas::builtin().into_declarations([]);
    let names = |dataset: &str| {
        let dataset = DatasetId::new(dataset);
        let properties = declarations.properties_of(&dataset);
        properties
            .map(|property| property.name.clone())
            .collect::<Vec<_>>()
    };
    let air = names("air");
    assert!(air.iter().any(|name| name == "pm10"), "{air:?}");
    assert!(!air.iter().any(|name| name == "air_temperature"), "{air:?}");
    // Hour by hour of the measured ones, and year by year of days of hours.
    assert_eq!(names("air_hourly"), air);
    assert_eq!(names("air_yearly"), air);
    assert_eq!(names("air_exceedances"), air);
    let unit = |dataset: &str| {
        let units = declarations.units_of(&DatasetId::new(dataset));
        assert_eq!(units.len(), names(dataset).len(), "{dataset}");
        units.get("pm10").cloned()
    };
    for dataset in ["air", "air_hourly", "air_yearly"] {
        assert_eq!(unit(dataset).as_deref(), Some("ug/m3"), "{dataset}");
    }
    // These have a column for each property, or are about nothing measured.
    for dataset in ["heat_hourly", "traffic", "stations", "nothing"] {
        assert_eq!(names(dataset), Vec::<String>::new(), "{dataset}");
        assert_eq!(unit(dataset), None, "{dataset}");
    }
}

#[test]
fn errors_begin_with_their_place() {
    let error = |file: &str, line| DeclarationError {
        file: file.to_owned(),
        line,
        message: "m".to_owned(),
    };
    assert_eq!(error("a.toml", Some(3)).to_string(), "a.toml:3: m");
    assert_eq!(error("a.toml", None).to_string(), "a.toml: m");
    assert_eq!(DeclarationError::general("m").to_string(), "m");
}
