//! Places of a `[[source]]`: in which municipality they lie, and whether they may be published as they are.

use std::path::Path;

use meetnet_model::municipality::{self, Municipality};
use meetnet_model::source::WireFormat;
use toml::Spanned;

use super::document::Document;
use super::raw;

/// Reads the municipality of all places, and the file with areas of municipalities.
pub(super) fn municipalities(
    document: &mut Document<'_>,
    of_all: Option<Spanned<String>>,
    file: Option<Spanned<String>>,
    folder: &Path,
) -> (Option<String>, Vec<Municipality>) {
    if let Some(name) = &of_all
        && name.get_ref().trim().is_empty()
    {
        let message = "`municipality` is empty; write its name, or remove it";
        document.problem(name.span(), message);
    }
    let of_all = of_all.map(Spanned::into_inner);
    let Some(file) = file else {
        return (of_all, Vec::new());
    };
    document.note_file(file.get_ref());
    let path = folder.join(file.get_ref());
    let areas = match std::fs::read_to_string(&path) {
        Ok(text) => municipality::read(&text),
        Err(error) => Err(format!("it cannot be read: {error}")),
    };
    match areas {
        Ok(areas) => (of_all, areas),
        Err(problem) => {
            let message = format!("areas of municipalities in {}: {problem}", path.display());
            document.problem(file.span(), message);
            (of_all, Vec::new())
        }
    }
}

/// Returns whether the places of a source are published as they are, where that may be; says why not where it may not.
pub(super) fn is_exact(
    document: &mut Document<'_>,
    declared: &Spanned<raw::ExactLocation>,
    format: Option<(WireFormat, bool)>,
) -> bool {
    let consent = match declared.get_ref() {
        raw::ExactLocation::Declared(false) => return false,
        raw::ExactLocation::Declared(true) => None,
        raw::ExactLocation::Consent(reference) => Some(reference.trim()),
    };
    let message = match (format, consent) {
        (Some((WireFormat::Telraam, _)), _) => {
            "`exact_location` has no meaning for segments: their streets are published whole, and their middle on the grid; \
             remove it"
        }
        (_, Some("")) => {
            "`exact_location` is an empty reference; write where the consent of those who live there is found"
        }
        (Some((format, has_map)), None) if is_at_homes(format, has_map) => {
            "devices of this format hang at people's homes, which are published to about 100 m; write exact_location = \"…\" \
             with a reference to the consent of those who live there, or remove it"
        }
        _ => return true,
    };
    document.problem(declared.span(), message);
    false
}

/// Returns true for formats of devices that residents put up.
fn is_at_homes(format: WireFormat, has_map: bool) -> bool {
    match format {
        WireFormat::Airrohr
        | WireFormat::SensorCommunity
        | WireFormat::Opensensemap
        | WireFormat::Ecowitt
        | WireFormat::Wunderground => true,
        // Without a map the fields are airRohr's.
        WireFormat::Influx => !has_map,
        _ => false,
    }
}
