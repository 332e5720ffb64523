//! Form fields (`application/x-www-form-urlencoded`): the bodies of Ecowitt, the query strings of Weather Underground.

use crate::fields::{FieldNames, TextValues};

/// Bridges of AcuRite send the ID that a station was given, and their MAC address as another `id` behind it.
const FIRST_COUNTS: &str = "id";

/// Reads `name=value&name=value` and keeps the values, decoded, of the wanted names, which are in lower case. Of a
/// repeated name the last value counts, of [`FIRST_COUNTS`] the first, and an empty value is no value. Returns whether there
/// is any field at all.
///
/// What is no valid escape stays as it is: some stations send blanks and `%` as they are.
pub(super) fn read(names: &FieldNames, form: &str, values: &mut TextValues) -> bool {
    values.begin(names);
    let mut has_fields = false;
    let mut name = String::new();
    for pair in form.split('&') {
        let Some((written, value)) = pair.split_once('=') else {
            continue;
        };
        has_fields = true;
        name.clear();
        decode(written.trim(), &mut name);
        name.make_ascii_lowercase();
        if let Some(slot) = names.slot(&name)
            && !(name == FIRST_COUNTS && values.fields().has(slot))
        {
            values.set_with(slot, |text| decode(value.trim(), text));
        }
    }
    has_fields
}

/// Appends a decoded component.
fn decode(component: &str, text: &mut String) {
    if !component.contains(['%', '+']) {
        text.push_str(component);
        return;
    }
    let bytes = component.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| char::from(*bytes.get(at + offset)?).to_digit(16);
        match (byte, digit(1), digit(2)) {
            // Two digits of 16 fit a byte.
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    text.push_str(&String::from_utf8_lossy(&decoded));
}
