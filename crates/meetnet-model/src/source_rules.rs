//! What a source declaration must keep, given the datasets and properties it names: checked once at start-up and on a
//! configuration reload, before anything is journalled. Decoders rely on it.
//!
//! Licences are checked in [`crate::licence`]; connection details are the configuration's.

use std::collections::BTreeMap;

use crate::column::ColumnType;
use crate::dataset::DatasetKind;
use crate::declarations::{DeclarationError, Declarations};
use crate::source::{MapEntry, SourceDeclaration, SourceKind, ValueRef, WireFormat};
use crate::time::TimeReader;
use crate::units::Conversion;

/// Checks every source; names each fault with the source and what to do.
pub fn check_sources(declarations: &Declarations) -> Vec<DeclarationError> {
    let mut messages = Vec::new();
    for source in declarations.sources.values() {
        let mut faults = Vec::new();
        check_names(source, &mut faults);
        check_messages(source, &mut faults);
        for (position, entry) in source.map.iter().enumerate() {
            if let Err(fault) = check_entry(entry, declarations) {
                faults.push(format!(
                    "`map` entry {} ({}): {fault}",
                    position + 1,
                    entry.pointer
                ));
            }
        }
        check_sensor_id(source, declarations, &mut faults);
        messages.extend(
            faults
                .into_iter()
                .map(|fault| format!("source `{}`: {fault}", source.id)),
        );
    }
    messages.extend(check_namespaces(declarations));
    messages
        .into_iter()
        .map(DeclarationError::general)
        .collect()
}

fn check_names(source: &SourceDeclaration, faults: &mut Vec<String>) {
    let id = source.id.as_str();
    let is_id_byte =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if id.is_empty() || id.starts_with(['_', '-']) || !id.bytes().all(is_id_byte) {
        faults.push(
            "the id is not usable in URLs; use a-z, 0-9, _ and -, a letter or digit first"
                .to_owned(),
        );
    }
    let namespace = &source.namespace;
    let is_namespace_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if namespace.is_empty() || !namespace.bytes().all(is_namespace_byte) {
        faults.push(format!(
            "`{namespace}` cannot be a namespace; use letters, digits, _, - and ."
        ));
    }
}

fn check_messages(source: &SourceDeclaration, faults: &mut Vec<String>) {
    if source.kind == SourceKind::Mqtt && source.topics.is_empty() {
        faults.push(
            "an MQTT source without topics receives nothing; add `topics = [\"…\"]`".to_owned(),
        );
    }
    if source.format == WireFormat::Json && source.map.is_empty() {
        faults.push("format `json` needs a `map`; name at least one field to keep".to_owned());
    }
    if let Some(time) = &source.time {
        if let Err(error) = TimeReader::new(time) {
            faults.push(format!("`time`: {error}"));
        }
        check_pointer(&time.pointer, "`time`", faults);
    }
    if let Some(ValueRef::Pointer { pointer }) = &source.sensor_id {
        check_pointer(pointer, "`sensor_id`", faults);
    }
    if source.time_window.back_us < 0 || source.time_window.ahead_us < 0 {
        faults.push(
            "`time_window` cannot be negative; use durations such as \"400d\" and \"1h\""
                .to_owned(),
        );
    }
}

fn check_pointer(pointer: &str, what: &str, faults: &mut Vec<String>) {
    if !is_pointer(pointer) {
        faults.push(format!(
            "{what}: `{pointer}` is not a JSON Pointer; write `/{pointer}`"
        ));
    }
}

fn is_pointer(pointer: &str) -> bool {
    pointer.is_empty() || pointer.starts_with('/')
}

fn check_entry(entry: &MapEntry, declarations: &Declarations) -> Result<(), String> {
    let MapEntry {
        dataset: id,
        property,
        column,
        pointer,
        unit,
        interval_s,
    } = entry;
    if !is_pointer(pointer) {
        return Err(format!("not a JSON Pointer; write `/{pointer}`"));
    }
    if interval_s.is_some_and(|seconds| seconds <= 0) {
        return Err("`interval_s` is a number of seconds above 0".to_owned());
    }
    let Some(dataset) = declarations.datasets.get(id) else {
        let known: Vec<&str> = declarations
            .datasets
            .values()
            .map(|d| d.id.as_str())
            .collect();
        return Err(format!(
            "dataset `{id}` is not declared; use one of {}",
            known.join(", ")
        ));
    };
    let (target, molar_mass) = match (dataset.kind, property, column) {
        (DatasetKind::Long, Some(name), None) => match declarations.property(id.as_str(), name) {
            Some(property) => (Some(property.unit.as_str()), property.molar_mass),
            None => {
                let known: Vec<&str> = declarations
                    .properties
                    .iter()
                    .filter(|property| property.dataset == *id)
                    .map(|property| property.name.as_str())
                    .collect();
                return Err(format!(
                    "`{id}` has no property `{name}`; use one of {}",
                    known.join(", ")
                ));
            }
        },
        (DatasetKind::Wide, None, Some(name)) => match dataset.column_index(name) {
            Some(index) => (dataset.columns[index].unit.as_deref(), None),
            None => return Err(format!("`{id}` has no column `{name}`; correct the name")),
        },
        (DatasetKind::Long, ..) => {
            return Err(format!(
                "`{id}` is a long dataset; name a `property` and no `column`"
            ));
        }
        (DatasetKind::Wide, ..) => {
            return Err(format!(
                "`{id}` is a wide dataset; name a `column` and no `property`"
            ));
        }
        (DatasetKind::Places | DatasetKind::Private, ..) => {
            return Err(format!(
                "`{id}` holds no observations; choose a wide or long dataset"
            ));
        }
    };
    match (unit, target) {
        (Some(unit), Some(target)) => {
            Conversion::between(unit, target, molar_mass).map_err(|error| error.to_string())?;
        }
        (Some(unit), None) => {
            return Err(format!(
                "the values have no unit, so `{unit}` cannot become it; leave `unit` out"
            ));
        }
        (None, _) => {}
    }
    Ok(())
}

/// Generic messages for long datasets must say which sensor they are from, and a template may only use what every
/// topic captures.
fn check_sensor_id(
    source: &SourceDeclaration,
    declarations: &Declarations,
    faults: &mut Vec<String>,
) {
    let fills_long = source.map.iter().any(|entry| {
        declarations.datasets.get(&entry.dataset).is_some_and(|d| {
            d.kind == DatasetKind::Long
                && d.columns
                    .iter()
                    .any(|c| c.name == "sensor_id" && c.column_type == ColumnType::Text)
        })
    });
    if source.format == WireFormat::Json && fills_long && source.sensor_id.is_none() {
        faults.push(
            "nothing says which sensor a message is from; add `sensor_id = \"{device}\"` (a topic level) or \
             `sensor_id = { pointer = \"/id\" }`"
                .to_owned(),
        );
    }
    let Some(ValueRef::Template(template)) = &source.sensor_id else {
        return;
    };
    if source.kind != SourceKind::Mqtt {
        return;
    }
    for capture in captures(template) {
        for topic in source
            .topics
            .iter()
            .filter(|topic| !captures(topic).any(|c| c == capture))
        {
            faults.push(format!(
                "`sensor_id` uses `{{{capture}}}`, which topic `{topic}` does not capture; write `{{{capture}}}` for a level of it"
            ));
        }
    }
}

/// Returns the names in braces.
fn captures(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// Two sources of one namespace can name the same sensor: which of them wins must be declared.
fn check_namespaces(declarations: &Declarations) -> Vec<String> {
    let mut owners: BTreeMap<(&str, i32), &SourceDeclaration> = BTreeMap::new();
    let mut messages = Vec::new();
    for source in declarations.sources.values() {
        let place = (source.namespace.as_str(), source.precedence);
        match owners.get(&place) {
            None => {
                owners.insert(place, source);
            }
            Some(owner) => messages.push(format!(
                "sources `{}` and `{}` share the namespace `{}` with the same precedence; give one a higher \
                 `precedence`, or a namespace of its own",
                owner.id, source.id, source.namespace
            )),
        }
    }
    messages
}

#[cfg(test)]
mod tests;
