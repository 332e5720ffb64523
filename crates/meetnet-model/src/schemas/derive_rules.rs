//! What `[derive]` of a dataset must keep, by itself and against the dataset that it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;

use super::{Located, Problems, raw};
use crate::column::{ColumnDeclaration, ColumnType};
use crate::dataset::{DatasetDeclaration, DatasetKind};
use crate::declarations::DeclarationError;
use crate::derivation::{Bucket, ColumnRule, Derivation};
use crate::ids::DatasetId;
use crate::index;
use crate::quality::Quality;

/// Expected observations of one bucket at most: a bit each, in memory.
const EXPECTED_MAX: u32 = 100_000;
/// Longest running mean, hours.
const HOURS_MAX: u32 = 48;
/// Longest run, buckets: a change computes twice as many rows anew.
const RUN_MAX: u32 = 100;
/// Most buckets of a mean over them: a change computes as many rows anew. So many of them last longer than one less at its longest
/// would, days and months too: a bucket that is read in part begins before all that are meant.
const BUCKETS_MAX: u32 = 5;

/// Lines of what is checked against the input.
#[derive(Debug)]
pub(super) struct DeriveLines {
    from: usize,
    /// Of the conditions, in their order.
    conditions: Vec<usize>,
    /// Of the rules, by column.
    columns: BTreeMap<String, usize>,
}

/// Checks a derivation by itself; what is wrong goes to `problems`.
pub(super) fn check(
    raw: raw::Derive,
    kind: DatasetKind,
    key: &[Spanned<String>],
    columns: &[(ColumnDeclaration, Range<usize>)],
    problems: &mut Problems<'_>,
) -> (Derivation, DeriveLines) {
    let lines = DeriveLines {
        from: problems.line(&raw.from.span()),
        conditions: raw
            .conditions
            .iter()
            .map(|condition| problems.line(&condition.span()))
            .collect(),
        columns: raw
            .columns
            .iter()
            .map(|(name, rule)| (name.clone(), problems.line(&rule.span())))
            .collect(),
    };
    if kind != DatasetKind::Wide {
        problems.add(
            raw.from.span(),
            "a derived dataset has a column per value; write `kind = \"wide\"`",
        );
    }
    check_expected(raw.bucket, &raw.expected_s, problems);
    if let Some(quality_max) = &raw.quality_max
        && !(Quality::Pass.code()..=Quality::Fail.code()).contains(quality_max.get_ref())
    {
        problems.add(
            quality_max.span(),
            "`quality_max` is a quality flag of values; use 1 (pass), 2 (not evaluated), 3 (suspect) or 4 (fail)",
        );
    }
    for condition in &raw.conditions {
        if let Some(problem) = condition.get_ref().problem() {
            problems.add(condition.span(), problem);
        }
    }
    check_columns(&raw.columns, &raw.from, key, columns, problems);
    let zone_span = raw.zone.as_ref().map_or(raw.from.span(), Spanned::span);
    let derivation = Derivation {
        from: DatasetId::new(raw.from.get_ref()),
        bucket: raw.bucket,
        zone: raw.zone.map(Spanned::into_inner),
        grace_s: raw.grace_s,
        so_far: raw.so_far,
        expected_s: raw.expected_s.into_inner(),
        quality_max: raw
            .quality_max
            .map_or(Quality::Suspect.code(), Spanned::into_inner),
        conditions: raw
            .conditions
            .into_iter()
            .map(Spanned::into_inner)
            .collect(),
        permission: raw.permission,
        reference: raw.reference,
        columns: raw
            .columns
            .into_iter()
            .map(|(name, rule)| (name, rule.into_inner()))
            .collect(),
    };
    if let Err(error) = derivation.buckets() {
        problems.add(zone_span, error.to_string());
    }
    (derivation, lines)
}

fn check_expected(bucket: Bucket, expected_s: &Spanned<u32>, problems: &mut Problems<'_>) {
    let longest_s = bucket.longest_s();
    let seconds = *expected_s.get_ref();
    if seconds == 0 || seconds > longest_s {
        problems.add(
            expected_s.span(),
            "an observation is expected once a second at most and once an interval at least; correct `expected_s`",
        );
    } else if longest_s / seconds > EXPECTED_MAX {
        problems.add(
            expected_s.span(),
            format!("more than {EXPECTED_MAX} observations would be expected of one row; derive from hours or days"),
        );
    }
}

fn check_columns(
    rules: &BTreeMap<String, Spanned<ColumnRule>>,
    from: &Spanned<String>,
    key: &[Spanned<String>],
    columns: &[(ColumnDeclaration, Range<usize>)],
    problems: &mut Problems<'_>,
) {
    let in_key = |name: &str| key.iter().any(|part| part.get_ref() == name);
    for (name, rule) in rules {
        if in_key(name) || !columns.iter().any(|(column, _)| column.name == *name) {
            problems.add(
                rule.span(),
                format!(
                    "`{name}` is no `[[column]]` outside the key; correct the name or remove it"
                ),
            );
        }
    }
    let has_property = in_key("property");
    for (position, (column, span)) in columns.iter().enumerate() {
        let name = &column.name;
        if in_key(name) {
            continue;
        }
        let Some(rule) = rules.get(name) else {
            problems.add(
                span.clone(),
                format!(
                    "nothing says how `{name}` is made of `{}`; add it to `[derive.columns]`",
                    from.get_ref()
                ),
            );
            continue;
        };
        let (made, always) = type_of(rule.get_ref());
        if column.column_type != made {
            problems.add(
                span.clone(),
                format!(
                    "column `{name}` has the wrong type; its rule makes {}",
                    made.as_str()
                ),
            );
        }
        if column.required && !always {
            problems.add(
                span.clone(),
                format!("column `{name}` is null where nothing counts; remove `required`"),
            );
        }
        check_rule(rule, problems);
        let may_be_int = matches!(rule.get_ref(), ColumnRule::MoreThan { .. });
        for of in rule.get_ref().of_row() {
            let before = columns[..position]
                .iter()
                .find(|(before, _)| before.name == of);
            let is_value = before.is_some_and(|(before, _)| {
                let column_type = before.column_type;
                let is_number = column_type == ColumnType::Float
                    || (may_be_int && column_type == ColumnType::Int);
                is_number && !in_key(of)
            });
            if !is_value {
                problems.add(
                    rule.span(),
                    format!("`{of}` is no column of numbers above `{name}`; name one that is declared before it"),
                );
            }
        }
        if rule.get_ref().asks_property() && !has_property {
            problems.add(
                rule.span(),
                format!("`{name}` depends on the property of a row; put `property` into the key"),
            );
        }
    }
}

/// Returns the type that a rule makes, and whether it always makes a value.
pub(super) fn type_of(rule: &ColumnRule) -> (ColumnType, bool) {
    match rule {
        ColumnRule::Count => (ColumnType::Int, true),
        ColumnRule::Coverage | ColumnRule::CoverageSoFar => (ColumnType::Float, true),
        ColumnRule::Mean(_)
        | ColumnRule::Min(_)
        | ColumnRule::Max(_)
        | ColumnRule::Sum(_)
        | ColumnRule::Share { .. }
        | ColumnRule::HistogramPercentile { .. }
        | ColumnRule::RunningMeanMax { .. }
        | ColumnRule::CountAboveMean { .. }
        | ColumnRule::DifferenceToReference(_) => (ColumnType::Float, false),
        ColumnRule::Index { .. }
        | ColumnRule::Total(_)
        | ColumnRule::CountAbove { .. }
        | ColumnRule::ByProperty { .. } => (ColumnType::Int, false),
        ColumnRule::Run { .. }
        | ColumnRule::AtLeast { .. }
        | ColumnRule::Above { .. }
        | ColumnRule::MoreThan { .. } => (ColumnType::Bool, false),
    }
}

fn check_rule(rule: &Spanned<ColumnRule>, problems: &mut Problems<'_>) {
    let wrong = match rule.get_ref() {
        ColumnRule::Share { of, among }
            if of.is_empty() || !of.iter().all(|name| among.contains(name)) =>
        {
            "a share is of columns that are among the others; correct `of` or `among`"
        }
        ColumnRule::HistogramPercentile { class, percent, .. }
            if !(class.is_finite() && *class > 0.0 && (0.0..=100.0).contains(percent)) =>
        {
            "`class` is more than 0, and `percent` from 0 to 100; correct them"
        }
        ColumnRule::RunningMeanMax {
            hours, hours_min, ..
        } if !(1..=HOURS_MAX).contains(hours) || !(1..=*hours).contains(hours_min) => {
            "`hours` is from 1 to 48, and `hours_min` from 1 to `hours`; correct them"
        }
        ColumnRule::Run {
            length_min,
            peaks_min,
            length_max,
            ..
        } if !(1..=*length_max).contains(length_min)
            || peaks_min > length_max
            || *length_max > RUN_MAX =>
        {
            "`length_min` is from 1 to `length_max`, `peaks_min` no more than that, and `length_max` 100 at most; correct them"
        }
        ColumnRule::CountAboveMean {
            limits,
            averaged,
            buckets,
            ..
        } if !(2..=BUCKETS_MAX).contains(buckets)
            || !averaged.iter().all(|name| limits.contains_key(name)) =>
        {
            "`buckets` is from 2 to 5, and what is `averaged` has one of the `limits`; correct them"
        }
        ColumnRule::Index { name, .. } if index::find(name).is_none() => {
            "there is no such index; use eaqi or belaqi"
        }
        ColumnRule::Run { source, .. }
        | ColumnRule::AtLeast { source, .. }
        | ColumnRule::Above { source, .. }
        | ColumnRule::CountAbove { source, .. }
        | ColumnRule::CountAboveMean { source, .. }
        | ColumnRule::ByProperty { source, .. }
            if source.trim().is_empty() =>
        {
            "a limit names who set it; fill `source` in"
        }
        _ => return,
    };
    problems.add(rule.span(), wrong);
}

/// Checks every derived dataset against the one that it is made of.
pub(super) fn check_inputs(
    datasets: &BTreeMap<DatasetId, Located<'_, DatasetDeclaration>>,
    lines: &BTreeMap<DatasetId, DeriveLines>,
) -> Vec<DeclarationError> {
    let mut errors = Vec::new();
    for (id, lines) in lines {
        let Some(located) = datasets.get(id) else {
            continue;
        };
        let Some(derivation) = &located.declaration.derive else {
            continue;
        };
        let mut found = Found {
            located,
            errors: &mut errors,
        };
        let Some(input) = datasets.get(&derivation.from) else {
            found.add(
                lines.from,
                format!(
                    "there is no dataset `{}`; name one that is declared",
                    derivation.from
                ),
            );
            continue;
        };
        if is_circular(id, datasets) {
            found.add(
                lines.from,
                format!("dataset `{id}` would be made of itself; correct `from`"),
            );
            continue;
        }
        check_input(derivation, &input.declaration, lines, &mut found);
    }
    errors
}

/// The errors of one declaration.
struct Found<'a, 'f> {
    located: &'a Located<'f, DatasetDeclaration>,
    errors: &'a mut Vec<DeclarationError>,
}

impl Found<'_, '_> {
    fn add(&mut self, line: usize, message: String) {
        self.errors.push(DeclarationError {
            file: self.located.file.to_owned(),
            line: Some(line),
            message,
        });
    }
}

/// Returns whether a dataset is made of itself, directly or through others.
pub(super) fn is_circular(
    id: &DatasetId,
    datasets: &BTreeMap<DatasetId, Located<'_, DatasetDeclaration>>,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut left = vec![id];
    while let Some(at) = left.pop() {
        let inputs = datasets
            .get(at)
            .map(|located| located.declaration.made_of());
        for input in inputs.into_iter().flatten() {
            if input == id {
                return true;
            }
            if seen.insert(input) {
                left.push(input);
            }
        }
    }
    false
}

fn check_input(
    derivation: &Derivation,
    input: &DatasetDeclaration,
    lines: &DeriveLines,
    found: &mut Found<'_, '_>,
) {
    let from = &input.id;
    if !matches!(input.kind, DatasetKind::Wide | DatasetKind::Long) {
        found.add(
            lines.from,
            format!("`{from}` holds no observations; derive from a wide or long dataset"),
        );
        return;
    }
    let type_of = |name: &str| {
        let column = input.columns.iter().find(|column| column.name == name)?;
        Some(column.column_type)
    };
    let located = found.located;
    let own = &located.declaration;
    let series: Vec<&str> = own
        .key
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "time")
        .collect();
    let of_input: Vec<&str> = input
        .key
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "time")
        .collect();
    let chosen: Vec<&str> = derivation.equalities().map(|(name, _)| name).collect();
    // Rows of the input are read in the order of its key.
    let kept: Vec<&str> = of_input
        .iter()
        .copied()
        .filter(|name| !chosen.contains(name))
        .collect();
    let same_types = series.iter().all(|&name| {
        let own = own.columns.iter().find(|column| column.name == name);
        own.map(|column| column.column_type) == type_of(name)
    });
    if series != kept || !same_types {
        let expected: Vec<&str> = kept.into_iter().chain(["time"]).collect();
        found.add(
            lines.from,
            format!(
                "the key is that of `{from}` without what `where` fixes; write `key = {expected:?}`, with the types of \
                 `{from}`, or add `where` conditions"
            ),
        );
    }
    if let Some(reference) = &derivation.reference {
        let leading = series.first().copied().and_then(&type_of);
        if leading != Some(reference.column_type()) {
            found.add(
                lines.from,
                format!("`reference` is a value of the first key column of `{from}`; correct it"),
            );
        }
    }
    for (condition, line) in derivation.conditions.iter().zip(&lines.conditions) {
        let name = condition.column.as_str();
        if !condition.fits(type_of(name), of_input.contains(&name)) {
            found.add(
                *line,
                format!(
                    "`{name}` of `{from}` cannot be compared so; `equals` takes a value of a key column, `at_least` a column of \
                     floats"
                ),
            );
        }
    }
    for (column, rule) in &derivation.columns {
        let line = lines.columns.get(column).copied().unwrap_or(lines.from);
        for name in rule.inputs() {
            let wanted = match rule {
                ColumnRule::HistogramPercentile { of, .. } if of == name => ColumnType::FloatList,
                ColumnRule::Total(_) => ColumnType::Int,
                _ => ColumnType::Float,
            };
            if type_of(name) != Some(wanted) {
                found.add(
                    line,
                    format!(
                        "`{from}` has no column `{name}` of type {}; correct the name",
                        wanted.as_str()
                    ),
                );
            }
        }
    }
}
