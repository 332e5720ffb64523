//! Personal data that an API sends along is dropped before the journal sees it.
//!
//! The journal and its archive hold bodies as they came, so what must not be kept is taken out here; every other value
//! stays.

use std::borrow::Cow;

use meetnet_model::source::WireFormat;
use serde_json::Value;

use super::{opensensemap, telraam};

#[cfg(test)]
mod tests;

/// Removes the members with these names from a JSON body, wherever they stand. A body without them is returned as it
/// is, byte by byte.
///
/// # Errors
/// Where one of the names occurs in a body that is no JSON, so that nothing can be taken out of it.
pub(crate) fn without_members<'a>(
    body: &'a [u8],
    names: &[&str],
) -> serde_json::Result<Cow<'a, [u8]>> {
    let occurs = |name: &&str| {
        let quoted = format!("\"{name}\"");
        body.windows(quoted.len())
            .any(|part| part == quoted.as_bytes())
    };
    // A name can be written with escapes, too; those bodies are looked through in full.
    if !names.iter().any(occurs) && !body.contains(&b'\\') {
        return Ok(Cow::Borrowed(body));
    }
    let mut value: Value = serde_json::from_slice(body)?;
    if !remove(&mut value, names) {
        return Ok(Cow::Borrowed(body));
    }
    serde_json::to_vec(&value).map(Cow::Owned)
}

/// Returns a recorded answer of an API, without what is taken out of answers as they come.
///
/// # Errors
/// As [`without_members`].
pub(crate) fn without_personal(
    format: WireFormat,
    body: &[u8],
) -> serde_json::Result<Cow<'_, [u8]>> {
    match format {
        WireFormat::Telraam => without_members(body, &telraam::PERSONAL_MEMBERS),
        WireFormat::Opensensemap => without_members(body, &opensensemap::PERSONAL_MEMBERS),
        _ => Ok(Cow::Borrowed(body)),
    }
}

/// Returns whether anything was removed.
fn remove(value: &mut Value, names: &[&str]) -> bool {
    let mut removed = false;
    match value {
        Value::Object(members) => {
            let before = members.len();
            members.retain(|name, _| !names.contains(&name.as_str()));
            removed = members.len() != before;
            for member in members.values_mut() {
                removed |= remove(member, names);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                removed |= remove(element, names);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    removed
}
