//! `exact_location` of a `[[source]]`: whose places may be published as they are.

use meetnet_model::source::WireFormat;
use toml::Spanned;

use super::document::Document;
use super::raw;

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
