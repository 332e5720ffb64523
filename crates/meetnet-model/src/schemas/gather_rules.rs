//! What `[gather]` of a dataset must keep, by itself and against the datasets that it names.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::derive_rules::{is_circular, type_of};
use super::{Located, Problems};
use crate::column::{ColumnDeclaration, ColumnType};
use crate::dataset::{DatasetDeclaration, DatasetKind};
use crate::declarations::DeclarationError;
use crate::derivation::{ColumnRule, Condition};
use crate::gathering::{GatheredInput, Gathering};
use crate::ids::DatasetId;
use crate::quality::Quality;

/// Checks a gathering by itself; what is wrong goes to `problems`.
pub(super) fn check(
    gather: &Spanned<Gathering>,
    kind: DatasetKind,
    key: &[Spanned<String>],
    columns: &[(ColumnDeclaration, Range<usize>)],
    is_derived: bool,
    problems: &mut Problems<'_>,
) {
    let span = gather.span();
    let gathering = gather.get_ref();
    let wanted_key = [gathering.cell.as_str(), "time"];
    let has_key = key.iter().map(Spanned::get_ref).eq(wanted_key.iter());
    if kind != DatasetKind::Wide || !has_key {
        problems.add(
            span.clone(),
            format!(
                "a gathered dataset is wide; write `kind = \"wide\"` and `key = {wanted_key:?}`"
            ),
        );
    }
    if is_derived {
        problems.add(
            span.clone(),
            "a dataset has one of `[derive]` and `[gather]`; remove one",
        );
    }
    if let Err(error) = gathering.buckets() {
        problems.add(span.clone(), error.to_string());
    }
    if gathering.inputs.is_empty() {
        problems.add(
            span.clone(),
            "nothing is gathered; add `[[gather.input]]` for each dataset",
        );
    }
    for input in &gathering.inputs {
        for problem in input_problems(input) {
            problems.add(span.clone(), format!("input `{}`: {problem}", input.from));
        }
        for name in input.columns.keys() {
            let is_there = columns.iter().any(|(column, _)| column.name == *name);
            if !is_there || wanted_key.contains(&name.as_str()) {
                problems.add(
                    span.clone(),
                    format!(
                        "`{name}` is no `[[column]]` outside the key; correct the name or remove it"
                    ),
                );
            }
        }
    }
    for (column, column_span) in columns {
        let name = column.name.as_str();
        if wanted_key.contains(&name) {
            continue;
        }
        let mut rules = gathering
            .inputs
            .iter()
            .filter_map(|input| input.columns.get(name));
        let (Some(rule), None) = (rules.next(), rules.next()) else {
            problems.add(
                column_span.clone(),
                format!("one input fills each column; let one `[[gather.input]]` fill `{name}`"),
            );
            continue;
        };
        let (made, always) = type_of(rule);
        if column.column_type != made {
            problems.add(
                column_span.clone(),
                format!(
                    "column `{name}` has the wrong type; its rule makes {}",
                    made.as_str()
                ),
            );
        }
        if column.required && !always {
            problems.add(
                column_span.clone(),
                format!("column `{name}` is null where nothing counts; remove `required`"),
            );
        }
    }
}

fn input_problems(input: &GatheredInput) -> Vec<String> {
    let mut found = Vec::new();
    if !(Quality::Pass.code()..=Quality::Fail.code()).contains(&input.quality_max) {
        found.push("`quality_max` is a quality flag of values; use 1 to 4".to_owned());
    }
    found.extend(input.conditions.iter().filter_map(Condition::problem));
    for (name, rule) in &input.columns {
        let is_of_rows = matches!(
            rule,
            ColumnRule::Count
                | ColumnRule::Mean(_)
                | ColumnRule::Min(_)
                | ColumnRule::Max(_)
                | ColumnRule::Sum(_)
        );
        if !is_of_rows {
            found.push(format!(
                "`{name}` is of rows of several sensors; use count, mean, min, max or sum"
            ));
        }
    }
    found
}

/// Checks every gathered dataset against those that it names.
pub(super) fn check_inputs(
    datasets: &BTreeMap<DatasetId, Located<'_, DatasetDeclaration>>,
) -> Vec<DeclarationError> {
    let mut errors = Vec::new();
    for (id, located) in datasets {
        let Some(gathering) = &located.declaration.gather else {
            continue;
        };
        if is_circular(id, datasets) {
            errors.push(located.error(format!(
                "dataset `{id}` would be made of itself; correct its inputs"
            )));
            continue;
        }
        let cell = column_type(&located.declaration, &gathering.cell);
        for input in &gathering.inputs {
            let problems = against(input, gathering, cell, datasets);
            errors.extend(problems.into_iter().map(|problem| {
                located.error(format!("dataset `{id}`, input `{}`: {problem}", input.from))
            }));
        }
    }
    errors
}

/// Returns what does not fit between an input and the datasets that it names.
fn against(
    input: &GatheredInput,
    gathering: &Gathering,
    cell: Option<ColumnType>,
    datasets: &BTreeMap<DatasetId, Located<'_, DatasetDeclaration>>,
) -> Vec<String> {
    let of_kinds = |id: &DatasetId, kinds: &[DatasetKind]| {
        let found = datasets.get(id).map(|located| &located.declaration);
        found.filter(|dataset| kinds.contains(&dataset.kind))
    };
    let Some(from) = of_kinds(&input.from, &[DatasetKind::Wide, DatasetKind::Long]) else {
        return vec!["there is no such dataset of observations; correct `from`".to_owned()];
    };
    let Some(places) = of_kinds(&input.places, &[DatasetKind::Places]) else {
        return vec![format!(
            "`{}` is no dataset of places; correct `places`",
            input.places
        )];
    };
    let mut found = Vec::new();
    let place = column_type(from, &input.place).filter(|_| from.key.contains(&input.place));
    if place.is_none() || place != column_type(places, "id") {
        found.push(format!(
            "`{}` is no key column with ids of `{}`; correct `place`",
            input.place, input.places
        ));
    }
    if cell.is_none() || cell != column_type(places, &gathering.cell) {
        found.push(format!(
            "`{}` has no column `{}` of the type that the key has; correct `cell`",
            input.places, gathering.cell
        ));
    }
    for condition in &input.conditions {
        let name = &condition.column;
        if !condition.fits(column_type(from, name), from.key.contains(name)) {
            found.push(format!(
                "`{name}` cannot be compared so; `equals` takes a value of a key column, `at_least` a column of floats"
            ));
        }
    }
    for name in input.columns.values().flat_map(ColumnRule::inputs) {
        if column_type(from, name) != Some(ColumnType::Float) {
            found.push(format!(
                "there is no column `{name}` of type float; correct the name"
            ));
        }
    }
    found
}

fn column_type(dataset: &DatasetDeclaration, name: &str) -> Option<ColumnType> {
    let at = dataset.column_index(name)?;
    Some(dataset.columns[at].column_type)
}
