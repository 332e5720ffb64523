//! Changes of a declaration that a stored table allows (promise 11): a new column without values in the old rows, and
//! what only describes or bounds the data. Everything else would give stored rows another meaning, and needs a new
//! dataset id or property name.

use crate::column::ColumnDeclaration;
use crate::dataset::DatasetDeclaration;
use crate::derivation::Derivation;
use crate::gathering::Gathering;
use crate::ids::DatasetId;
use crate::property::PropertyUnits;

/// Checks that `new` can take over the table that was made with `stored`.
///
/// Allowed are nullable columns added at the end, texts, ranges, IRIs, licence, attribution and version. On error, names
/// every change that is not, each with what to do.
pub fn check_change(
    stored: &DatasetDeclaration,
    new: &DatasetDeclaration,
) -> Result<(), Vec<String>> {
    let mut changes = Vec::new();
    if stored.id != new.id {
        changes.push(format!(
            "the id changed from `{}` to `{}`",
            stored.id, new.id
        ));
    }
    if stored.key != new.key {
        changes.push(format!(
            "the key changed from ({}) to ({})",
            stored.key.join(", "),
            new.key.join(", ")
        ));
    }
    if stored.kind != new.kind {
        changes.push(
            format!("the kind changed from {:?} to {:?}", stored.kind, new.kind).to_lowercase(),
        );
    }
    if stored.grain != new.grain {
        changes.push(format!(
            "the grain changed from {} to {}",
            stored.grain.column(),
            new.grain.column()
        ));
    }
    changes.extend(derivation_change(
        stored.derive.as_ref(),
        new.derive.as_ref(),
    ));
    if stored.assess.is_some() != new.assess.is_some() {
        changes.push(
            "what fills it changed: figures about other datasets, or something else".to_owned(),
        );
    }
    changes.extend(gathering_change(
        stored.gather.as_ref(),
        new.gather.as_ref(),
    ));
    for (position, old) in stored.columns.iter().enumerate() {
        match new.column_index(&old.name) {
            None => changes.push(format!("column `{}` was removed", old.name)),
            Some(at) => {
                if at != position {
                    changes.push(format!(
                        "column `{}` moved from place {} to {}",
                        old.name,
                        position + 1,
                        at + 1
                    ));
                }
                changes.extend(column_changes(old, &new.columns[at]));
            }
        }
    }
    for column in &new.columns {
        if column.required && stored.column_index(&column.name).is_none() {
            changes.push(format!(
                "the new column `{}` is required, but stored rows have no value for it",
                column.name
            ));
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    Err(changes
        .into_iter()
        .map(|change| {
            format!(
                "dataset `{}`: {change}; undo it, or declare the changed dataset under a new id",
                stored.id
            )
        })
        .collect())
}

/// Returns what of a derivation changed that would leave rows of other series or intervals in the table. Everything else
/// makes rows of the same keys: they are computed again, as revisions.
fn derivation_change(stored: Option<&Derivation>, new: Option<&Derivation>) -> Option<String> {
    let (stored, new) = match (stored, new) {
        (None, None) => return None,
        (None, Some(_)) => return Some("it became a derived dataset".to_owned()),
        (Some(_), None) => return Some("it is no longer a derived dataset".to_owned()),
        (Some(stored), Some(new)) => (stored, new),
    };
    let what = if stored.from != new.from {
        "input"
    } else if (stored.bucket, &stored.zone, stored.so_far) != (new.bucket, &new.zone, new.so_far) {
        "interval"
    } else if !stored.equalities().eq(new.equalities()) {
        "choice of input rows"
    } else {
        return None;
    };
    Some(format!("the {what} of the derived rows changed"))
}

/// Returns what of a gathering changed that would leave rows of other cells or intervals in the table.
fn gathering_change(stored: Option<&Gathering>, new: Option<&Gathering>) -> Option<String> {
    match (stored, new) {
        (None, None) => None,
        (Some(stored), Some(new)) => {
            let is_same =
                (&stored.cell, stored.bucket, &stored.zone) == (&new.cell, new.bucket, &new.zone);
            (!is_same).then(|| "the cells or the interval of the gathered rows changed".to_owned())
        }
        _ => Some("what fills it changed: rows gathered from others, or something else".to_owned()),
    }
}

fn column_changes(old: &ColumnDeclaration, new: &ColumnDeclaration) -> Vec<String> {
    let name = &old.name;
    let mut changes = Vec::new();
    if old.column_type != new.column_type {
        changes.push(format!(
            "the type of column `{name}` changed from {:?} to {:?}",
            old.column_type, new.column_type
        ));
    }
    if old.unit != new.unit {
        let unit = |unit: &Option<String>| unit.as_deref().unwrap_or("none").to_owned();
        changes.push(format!(
            "the unit of column `{name}` changed from {} to {}",
            unit(&old.unit),
            unit(&new.unit)
        ));
    }
    match (old.required, new.required) {
        (false, true) => changes.push(format!("column `{name}` became required")),
        (true, false) => changes.push(format!("column `{name}` is no longer required")),
        _ => {}
    }
    changes
}

/// Checks that properties keep the unit that the stored values of a dataset are in. A property that is gone or new is no
/// change: its rows stay, or come. On error, names every change, each with what to do.
pub fn check_property_change(
    dataset: &DatasetId,
    stored: &PropertyUnits,
    new: &PropertyUnits,
) -> Result<(), Vec<String>> {
    let changes: Vec<String> = stored
        .iter()
        .filter_map(|(name, old)| {
            let new = new.get(name)?;
            (new != old).then(|| {
                format!(
                    "dataset `{dataset}`: the unit of property `{name}` changed from {old} to {new}; undo it, or declare \
                     a property of another name"
                )
            })
        })
        .collect();
    if changes.is_empty() {
        Ok(())
    } else {
        Err(changes)
    }
}

#[cfg(test)]
mod tests;
