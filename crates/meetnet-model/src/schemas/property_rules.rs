//! What a property declaration must keep, and what to do where it does not.

use super::dataset_rules::{check_iri, check_range, check_texts, check_unit};
use super::{DatasetKind, Located, Problems, is_name, raw, test_rules};
use crate::dataset::DatasetDeclaration;
use crate::declarations::DeclarationError;
use crate::ids::DatasetId;
use crate::property::{Correction, PropertyDeclaration};
use crate::texts::Texts;

/// Checks one property by itself; what is wrong goes to `problems`. None where too little is left of it.
pub(super) fn check(
    raw: raw::Property,
    problems: &mut Problems<'_>,
) -> Option<PropertyDeclaration> {
    let span = raw.name.span();
    let name = raw.name.into_inner();
    if !is_name(&name) {
        problems.add(
            span.clone(),
            format!("`{name}` cannot be a property name; use at most 48 of a-z, 0-9 and _, a letter first"),
        );
    }
    if let Some(mass) = &raw.molar_mass
        && !(mass.get_ref().is_finite() && *mass.get_ref() > 0.0)
    {
        problems.add(
            mass.span(),
            "a molar mass is a positive number of g/mol; correct it",
        );
    }
    if let Some(correction) = &raw.correction {
        let Correction {
            kappa,
            density,
            humidity_max,
            ..
        } = correction.get_ref();
        let is_positive = |number: &f64| number.is_finite() && *number > 0.0;
        if !(is_positive(kappa) && is_positive(density) && (0.0..100.0).contains(humidity_max)) {
            problems.add(
                correction.span(),
                "`kappa` and `density` are positive, and `humidity_max` is below 100; correct them",
            );
        }
    }
    let title = match raw.title {
        Some(title) => check_texts(title, "title", problems),
        None => {
            problems.add(
                span,
                format!("property `{name}` has no title; add `title = {{ nl = \"…\" }}`"),
            );
            Texts::default()
        }
    };
    let unit = check_unit(raw.unit, problems);
    let iri = check_iri(raw.iri, problems);
    let range = check_range(&raw.range, problems);
    let tests = test_rules::check(raw.tests, range, problems);
    Some(PropertyDeclaration {
        name,
        dataset: DatasetId::new(raw.dataset.get_ref()),
        unit,
        iri,
        range: range?,
        tests,
        correction: raw.correction.map(toml::Spanned::into_inner),
        molar_mass: raw.molar_mass.map(toml::Spanned::into_inner),
        title,
    })
}

/// Checks that a property's dataset is declared and long.
pub(super) fn check_dataset(
    property: &Located<'_, PropertyDeclaration>,
    dataset: Option<&Located<'_, DatasetDeclaration>>,
) -> Option<DeclarationError> {
    let PropertyDeclaration {
        name, dataset: id, ..
    } = &property.declaration;
    match dataset {
        None => Some(property.error(format!(
            "property `{name}` names dataset `{id}`, which is not declared; add a file for it or correct the name"
        ))),
        Some(dataset) if dataset.declaration.kind != DatasetKind::Long => {
            Some(property.error(format!(
                "property `{name}` names dataset `{id}`, which is not long; declare a column of `{id}` instead"
            )))
        }
        Some(_) => None,
    }
}

/// Checks that what a property is corrected from is measured, and in the units that the method wants.
pub(super) fn check_correction(
    property: &Located<'_, PropertyDeclaration>,
    all: &[Located<'_, PropertyDeclaration>],
) -> Option<DeclarationError> {
    let PropertyDeclaration {
        name,
        dataset,
        unit,
        correction,
        ..
    } = &property.declaration;
    let correction = correction.as_ref()?;
    let is_there = |dataset: &DatasetId, name: &str, unit: &str| {
        all.iter().map(|other| &other.declaration).any(|other| {
            let is_same = other.dataset == *dataset && other.name == name && other.unit == unit;
            is_same && other.correction.is_none()
        })
    };
    let humidity = &correction.humidity;
    if !is_there(dataset, &correction.of, unit) {
        return Some(property.error(format!(
            "property `{name}` corrects `{}`, which is no measured property of `{dataset}` in {unit}; correct the name",
            correction.of
        )));
    }
    (!is_there(&humidity.dataset, &humidity.property, "%")).then(|| {
        property.error(format!(
            "property `{name}` is corrected by `{}` of `{}`, which is no measured property in %; correct the name",
            humidity.property, humidity.dataset
        ))
    })
}
