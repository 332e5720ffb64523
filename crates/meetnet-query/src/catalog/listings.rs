//! The views beside the datasets: what there is to call, and what is measured.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array};
use meetnet_functions::{FunctionDescription, descriptions};
use meetnet_model::property::PropertyDeclaration;
use meetnet_model::schemas;

use super::{NamedColumns, SnapshotTables, texts};

/// What the functions for analysts are, in their own words.
pub(super) fn functions() -> NamedColumns {
    let text = |of: fn(&'static FunctionDescription) -> Option<&'static str>| {
        texts(descriptions().map(|function| of(function).map(str::to_owned)))
    };
    vec![
        ("name", text(|function| Some(function.name))),
        ("kind", text(|function| Some(function.kind.as_str()))),
        ("signature", text(|function| Some(function.signature))),
        ("description", text(|function| Some(function.description))),
        ("unit", text(|function| function.unit)),
        ("example", text(|function| Some(function.example))),
    ]
}

/// What the visible long datasets measure: the column `value` of a row is in the unit of the row's property.
pub(super) fn properties(tables: &SnapshotTables) -> NamedColumns {
    static BUILTIN: LazyLock<Vec<Arc<PropertyDeclaration>>> =
        LazyLock::new(|| schemas::builtin().properties);
    let declared = match &tables.declarations {
        Some(declarations) => &declarations.properties,
        None => &*BUILTIN,
    };
    let visible: Vec<&PropertyDeclaration> = declared
        .iter()
        .map(|property| &**property)
        .filter(|property| tables.get(property.dataset.as_str()).is_some())
        .collect();
    let text = |of: &dyn Fn(&PropertyDeclaration) -> Option<String>| {
        texts(visible.iter().map(|property| of(property)))
    };
    let bound = |side: usize| -> ArrayRef {
        let bounds = visible.iter().map(|property| property.range[side]);
        Arc::new(Float64Array::from_iter_values(bounds))
    };
    let corrected = |property: &PropertyDeclaration| {
        let correction = property.correction.as_ref();
        correction.map(|correction| correction.of.clone())
    };
    let method = |property: &PropertyDeclaration| {
        let correction = property.correction.as_ref();
        correction.map(|correction| correction.method.as_str().to_owned())
    };
    vec![
        (
            "dataset",
            text(&|property| Some(property.dataset.to_string())),
        ),
        ("property", text(&|property| Some(property.name.clone()))),
        ("unit", text(&|property| Some(property.unit.clone()))),
        (
            "title",
            text(&|property| Some(property.title.get("en").to_owned())),
        ),
        ("range_min", bound(0)),
        ("range_max", bound(1)),
        ("corrects", text(&corrected)),
        ("iri", text(&|property| Some(property.iri.clone()))),
        ("method", text(&method)),
    ]
}
