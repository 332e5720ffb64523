//! What a dataset declaration must keep, and what to do where it does not.

use std::ops::Range;

use toml::Spanned;

use super::derive_rules::{self, DeriveLines};
use super::{Problems, assess_rules, gather_rules, is_name, raw, test_rules};
use crate::column::{ColumnDeclaration, ColumnType};
use crate::common;
use crate::dataset::{DatasetDeclaration, DatasetKind, QualityRule};
use crate::ids::DatasetId;
use crate::licence::Licence;
use crate::texts::Texts;
use crate::units::canonical_unit;

/// Table names that belong to every dataset in SQL: `NAME_as_of(…)` and `NAME_history`.
const RESERVED_SUFFIXES: [&str; 2] = ["_as_of", "_history"];

/// Checks one dataset by itself; what is wrong goes to `problems`. Where it is derived, returns the lines of what must be
/// checked against its input.
pub(super) fn check(
    raw: raw::Dataset,
    problems: &mut Problems<'_>,
) -> (DatasetDeclaration, Option<DeriveLines>) {
    let whole = raw.id.span();
    let id = raw.id.get_ref();
    if !is_name(id) {
        problems.add(
            whole.clone(),
            format!(
                "`{id}` cannot be a dataset id; use at most 48 of a-z, 0-9 and _, a letter first"
            ),
        );
    } else if let Some(suffix) = RESERVED_SUFFIXES
        .iter()
        .find(|suffix| id.ends_with(*suffix))
    {
        problems.add(
            whole.clone(),
            format!(
                "a dataset id cannot end in `{suffix}`, which SQL adds itself; choose another id"
            ),
        );
    }
    if *raw.version.get_ref() == 0 {
        problems.add(
            raw.version.span(),
            "version 0 does not exist; start with `version = 1`",
        );
    }
    let licence = raw.licence.as_ref();
    let licence = licence.and_then(|licence| Licence::read(licence.get_ref()));
    if let Some(licence) = &raw.licence
        && let Some(correction) = Licence::correction(licence.get_ref())
    {
        let message = format!("`{}` is not a licence id; {correction}", licence.get_ref());
        problems.add(licence.span(), message);
    }
    let key_span = raw.key.span();
    let columns = check_columns(raw.kind, raw.column, &whole, problems);
    check_key(raw.key.get_ref(), &key_span, &columns, problems);
    check_kind(raw.kind, raw.key.get_ref(), &key_span, &columns, problems);
    check_quality_rules(raw.kind, &raw.rule, &columns, problems);
    let (derive, lines) = raw
        .derive
        .map(|derive| derive_rules::check(derive, raw.kind, raw.key.get_ref(), &columns, problems))
        .unzip();
    if let Some(assess) = &raw.assess {
        let other = derive
            .as_ref()
            .map(|_| "`[derive]`")
            .or(raw.gather.as_ref().map(|_| "`[gather]`"));
        let licensed = licence.is_some();
        let key = raw.key.get_ref();
        assess_rules::check(assess, raw.kind, key, &columns, other, licensed, problems);
    }
    if let Some(gather) = &raw.gather {
        let key = raw.key.get_ref();
        gather_rules::check(gather, raw.kind, key, &columns, derive.is_some(), problems);
    }
    let declaration = DatasetDeclaration {
        id: DatasetId::new(id),
        version: raw.version.into_inner(),
        kind: raw.kind,
        grain: raw.grain,
        key: raw
            .key
            .into_inner()
            .into_iter()
            .map(Spanned::into_inner)
            .collect(),
        licence,
        attribution: raw.attribution,
        source_licences: Default::default(),
        title: required_texts(raw.title, "title", &whole, problems),
        description: required_texts(raw.description, "description", &whole, problems),
        rules: raw.rule.into_iter().map(Spanned::into_inner).collect(),
        derive,
        assess: raw.assess.map(Spanned::into_inner),
        gather: raw.gather.map(Spanned::into_inner),
        columns: columns.into_iter().map(|(column, _)| column).collect(),
    };
    (declaration, lines)
}

fn check_quality_rules(
    kind: DatasetKind,
    rules: &[Spanned<QualityRule>],
    columns: &[(ColumnDeclaration, Range<usize>)],
    problems: &mut Problems<'_>,
) {
    for rule in rules {
        if kind != DatasetKind::Wide {
            problems.add(
                rule.span(),
                "only a wide dataset has `[[rule]]`s; remove it",
            );
        }
        let named = match rule.get_ref() {
            QualityRule::Uptime {
                column,
                suspect_below,
            } => {
                if !(0.0..=1.0).contains(suspect_below) {
                    problems.add(
                        rule.span(),
                        "`suspect_below` is a share; use a number from 0 to 1",
                    );
                }
                std::slice::from_ref(column)
            }
            QualityRule::Missing { columns } => columns,
        };
        for name in named {
            if !columns.iter().any(|(column, _)| column.name == *name) {
                problems.add(
                    rule.span(),
                    format!(
                        "the rule names column `{name}`, which is not declared; correct the name"
                    ),
                );
            }
        }
    }
}

fn required_texts(
    texts: Option<Spanned<raw::Texts>>,
    what: &str,
    whole: &Range<usize>,
    problems: &mut Problems<'_>,
) -> Texts {
    match texts {
        Some(texts) => check_texts(texts, what, problems),
        None => {
            problems.add(
                whole.clone(),
                format!("no {what}; add `[{what}]` with at least `nl = \"…\"`"),
            );
            Texts::default()
        }
    }
}

/// Checks that a text has its Dutch form.
pub(super) fn check_texts(
    texts: Spanned<raw::Texts>,
    what: &str,
    problems: &mut Problems<'_>,
) -> Texts {
    if texts.get_ref().nl.trim().is_empty() {
        problems.add(
            texts.span(),
            format!("the {what} has no Dutch text; add `nl = \"…\"`"),
        );
    }
    let raw::Texts { nl, en, fr } = texts.into_inner();
    Texts { nl, en, fr }
}

fn check_columns(
    kind: DatasetKind,
    raw: Vec<Spanned<raw::Column>>,
    whole: &Range<usize>,
    problems: &mut Problems<'_>,
) -> Vec<(ColumnDeclaration, Range<usize>)> {
    if raw.is_empty() {
        problems.add(
            whole.clone(),
            "no columns; add at least the key columns as `[[column]]`",
        );
    }
    let mut columns: Vec<(ColumnDeclaration, Range<usize>)> = Vec::new();
    for raw in raw {
        let raw = raw.into_inner();
        let span = raw.name.span();
        let name = raw.name.into_inner();
        if common::is_reserved(&name) {
            problems.add(
                span.clone(),
                format!("column `{name}` exists in every dataset already; remove it or choose another name"),
            );
        } else if !is_name(&name) {
            problems.add(
                span.clone(),
                format!("`{name}` cannot be a column name; use at most 48 of a-z, 0-9 and _, a letter first"),
            );
        } else if let Some((_, first)) = columns.iter().find(|(column, _)| column.name == name) {
            let line = problems.line(first);
            problems.add(
                span.clone(),
                format!("column `{name}` is already declared at line {line}; remove one of them"),
            );
        }
        let column_type = *raw.column_type.get_ref();
        let has_number = matches!(
            column_type,
            ColumnType::Int | ColumnType::Float | ColumnType::FloatList
        );
        for (what, given) in [
            ("unit", raw.unit.as_ref().map(Spanned::span)),
            ("range", raw.range.as_ref().map(Spanned::span)),
        ] {
            if let Some(span) = given
                && !has_number
            {
                problems.add(
                    span,
                    format!(
                        "column `{name}` holds no numbers, so it has no {what}; remove the {what}"
                    ),
                );
            }
        }
        let range = raw.range.and_then(|range| check_range(&range, problems));
        let tests = raw.tests.map(|tests| {
            let is_number = matches!(column_type, ColumnType::Int | ColumnType::Float);
            if kind != DatasetKind::Wide || !is_number {
                problems.add(
                    tests.span(),
                    format!(
                        "column `{name}` has no quality tests: numbers of a wide dataset do; remove the tests"
                    ),
                );
            }
            let tests = tests.into_inner();
            if let Some(neighbour) = &tests.neighbour {
                problems.add(
                    neighbour.span(),
                    format!("column `{name}` has no neighbours: only properties do; remove `neighbour`"),
                );
            }
            test_rules::check(tests, range, problems)
        });
        let column = ColumnDeclaration {
            column_type,
            required: raw.required,
            unit: raw.unit.map(|unit| check_unit(unit, problems)),
            iri: raw.iri.map(|iri| check_iri(iri, problems)),
            range,
            tests: tests.unwrap_or_default(),
            title: raw.title.map(|title| check_texts(title, "title", problems)),
            name,
        };
        columns.push((column, span));
    }
    columns
}

/// Checks that a unit is a UCUM code we know.
pub(super) fn check_unit(unit: Spanned<String>, problems: &mut Problems<'_>) -> String {
    let code = unit.get_ref();
    match canonical_unit(code) {
        Some(canonical) if canonical == code => {}
        Some(canonical) => {
            problems.add(
                unit.span(),
                format!("unit `{code}` is not a UCUM code; write `{canonical}`"),
            );
        }
        None => problems.add(
            unit.span(),
            format!(
                "unknown unit `{code}`; use a UCUM code such as Cel, %, hPa, m/s, mm, ug/m3 or 1"
            ),
        ),
    }
    unit.into_inner()
}

/// Checks that an IRI at least looks like one.
pub(super) fn check_iri(iri: Spanned<String>, problems: &mut Problems<'_>) -> String {
    let text = iri.get_ref();
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
        problems.add(
            iri.span(),
            format!("`{text}` is not an IRI; it starts with http:// or https://"),
        );
    }
    iri.into_inner()
}

/// Checks that a range is `[min, max]`.
pub(super) fn check_range(
    range: &Spanned<Vec<f64>>,
    problems: &mut Problems<'_>,
) -> Option<[f64; 2]> {
    match range.get_ref()[..] {
        [min, max] if min <= max && min.is_finite() && max.is_finite() => Some([min, max]),
        [min, max] if min > max => {
            problems.add(
                range.span(),
                format!("the range starts at {min} and ends at {max}; swap them"),
            );
            None
        }
        _ => {
            problems.add(
                range.span(),
                "a range is two numbers; write `range = [min, max]`",
            );
            None
        }
    }
}

fn check_key(
    key: &[Spanned<String>],
    key_span: &Range<usize>,
    columns: &[(ColumnDeclaration, Range<usize>)],
    problems: &mut Problems<'_>,
) {
    if key.is_empty() {
        problems.add(
            key_span.clone(),
            "the key is empty; name the columns that identify a row",
        );
    }
    for (position, name) in key.iter().enumerate() {
        let span = name.span();
        let name = name.get_ref();
        if key[..position]
            .iter()
            .any(|earlier| earlier.get_ref() == name)
        {
            problems.add(
                span,
                format!("`{name}` stands twice in the key; remove one"),
            );
            continue;
        }
        let Some((column, column_span)) = columns.iter().find(|(column, _)| column.name == *name)
        else {
            problems.add(
                span,
                format!("key column `{name}` is not declared; add a `[[column]]` of that name"),
            );
            continue;
        };
        if !column.required {
            problems.add(
                column_span.clone(),
                format!("column `{name}` is in the key but not required; add `required = true`"),
            );
        }
        if matches!(
            column.column_type,
            ColumnType::Float | ColumnType::FloatList | ColumnType::Bool
        ) {
            problems.add(
                column_span.clone(),
                format!(
                    "column `{name}` cannot be in the key; a key column is text, int or timestamp"
                ),
            );
        }
    }
}

/// A column that a kind of dataset needs: name, allowed types, whether every row must have it.
type Needed = (&'static str, &'static [ColumnType], bool);

const TIME: Needed = ("time", &[ColumnType::Timestamp], true);

/// Returns the columns that every dataset of a kind has, and what its key must end in.
fn needs(kind: DatasetKind) -> (&'static [Needed], &'static [&'static str]) {
    const PLACES: [Needed; 5] = [
        ("id", &[ColumnType::Text, ColumnType::Int], true),
        ("valid_from", &[ColumnType::Timestamp], true),
        ("valid_to", &[ColumnType::Timestamp], false),
        ("lon", &[ColumnType::Float], false),
        ("lat", &[ColumnType::Float], false),
    ];
    const LONG: [Needed; 4] = [
        ("sensor_id", &[ColumnType::Text], true),
        ("property", &[ColumnType::Text], true),
        TIME,
        ("value", &[ColumnType::Float], false),
    ];
    match kind {
        DatasetKind::Wide => (&[TIME], &["time"]),
        DatasetKind::Long => (&LONG, &["sensor_id", "property", "time"]),
        DatasetKind::Places => (&PLACES, &["id", "valid_from"]),
        DatasetKind::Private => (&[TIME], &[]),
    }
}

fn check_kind(
    kind: DatasetKind,
    key: &[Spanned<String>],
    key_span: &Range<usize>,
    columns: &[(ColumnDeclaration, Range<usize>)],
    problems: &mut Problems<'_>,
) {
    let (needed, key_end) = needs(kind);
    let kind = match kind {
        DatasetKind::Wide => "wide",
        DatasetKind::Long => "long",
        DatasetKind::Places => "places",
        DatasetKind::Private => "private",
    };
    for (name, types, required) in needed {
        let Some((column, span)) = columns.iter().find(|(column, _)| column.name == *name) else {
            problems.add(
                key_span.clone(),
                format!("a {kind} dataset has a column `{name}`; add a `[[column]]` of that name"),
            );
            continue;
        };
        if !types.contains(&column.column_type) {
            let types: Vec<&str> = types
                .iter()
                .map(|column_type| column_type.as_str())
                .collect();
            problems.add(
                span.clone(),
                format!(
                    "column `{name}` of a {kind} dataset has the wrong type; it is {}",
                    types.join(" or ")
                ),
            );
        }
        // A key column that is not required was named above already.
        if *required && !column.required && !key.iter().any(|part| part.get_ref() == name) {
            problems.add(
                span.clone(),
                format!("every row of a {kind} dataset has `{name}`; add `required = true`"),
            );
        }
    }
    let is_long_or_places = matches!(kind, "long" | "places");
    let end = key
        .len()
        .checked_sub(key_end.len())
        .map(|start| &key[start..]);
    let ends_well = end.is_some_and(|end| end.iter().map(Spanned::get_ref).eq(key_end.iter()));
    if is_long_or_places && !(ends_well && key.len() == key_end.len()) {
        problems.add(
            key_span.clone(),
            format!(
                "the key of a {kind} dataset is {}; write `key = {key_end:?}`",
                key_end.join(", ")
            ),
        );
    } else if !ends_well {
        problems.add(
            key_span.clone(),
            format!("the key of a {kind} dataset ends in `time`; put `time` last"),
        );
    }
}
