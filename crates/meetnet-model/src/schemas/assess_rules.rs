//! What `[assess]` of a dataset must keep.

use std::ops::Range;

use toml::Spanned;

use super::Problems;
use crate::assessment::{self, Assessment};
use crate::column::{ColumnDeclaration, ColumnType};
use crate::dataset::DatasetKind;

/// Checks `[assess]`; `other` is a section that excludes it, `licensed` says whether the dataset declares a licence.
pub(super) fn check(
    assess: &Spanned<Assessment>,
    kind: DatasetKind,
    key: &[Spanned<String>],
    columns: &[(ColumnDeclaration, Range<usize>)],
    other: Option<&str>,
    licensed: bool,
    problems: &mut Problems<'_>,
) {
    let span = assess.span();
    if let Some(problem) = assess.get_ref().problem() {
        problems.add(span.clone(), problem);
    }
    if let Some(other) = other {
        problems.add(
            span.clone(),
            format!("a dataset has one of `[assess]` and {other}; remove one"),
        );
    }
    if !licensed {
        problems.add(
            span.clone(),
            "figures about datasets have a licence of their own; add `licence = \"…\"`",
        );
    }
    let is_keyed = key.iter().map(Spanned::get_ref).eq(assessment::KEY.iter());
    if kind != DatasetKind::Wide || !is_keyed {
        problems.add(
            span.clone(),
            format!(
                "a dataset that judges others is wide; write `kind = \"wide\"` and `key = {:?}`",
                assessment::KEY
            ),
        );
    }
    let is_there = |name: &str, column_type: ColumnType| {
        columns
            .iter()
            .any(|(column, _)| column.name == name && column.column_type == column_type)
    };
    let of_key = assessment::KEY.iter().map(|name| match *name {
        "time" => (*name, ColumnType::Timestamp),
        _ => (*name, ColumnType::Text),
    });
    for (name, column_type) in of_key.chain(assessment::COLUMNS) {
        if !is_there(name, column_type) {
            problems.add(
                span.clone(),
                format!(
                    "a dataset that judges others has a column `{name}` of type {}; add it",
                    column_type.as_str()
                ),
            );
        }
    }
    let known = |name: &str| {
        assessment::KEY.contains(&name)
            || assessment::COLUMNS
                .iter()
                .any(|(column, _)| *column == name)
    };
    for (column, span) in columns {
        if !known(&column.name) {
            problems.add(
                span.clone(),
                format!("nothing fills column `{}`; remove it", column.name),
            );
        }
    }
}
