//! Places of a `[[source]]`: in which municipality they lie, and whether they may be published as they are.

use std::collections::BTreeMap;
use std::path::Path;

use meetnet_model::municipality::{self, Municipality};
use meetnet_model::privacy::{STAYED_M_MAX, metres};
use meetnet_model::source::{DeviceDeclaration, WireFormat};
use toml::Spanned;

use super::document::Document;
use super::{Located, raw};

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

/// Checks that a station with devices at several places says of each since when: else it would stand at the first for ever, and
/// its rows would be those of a place where it is no longer.
pub(super) fn moves(
    document: &mut Document<'_>,
    devices: &[DeviceDeclaration],
    places: &[Located<()>],
) {
    let mut stations: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, device) in devices.iter().enumerate() {
        if let Some(station) = &device.station {
            stations.entry(station).or_default().push(at);
        }
    }
    for (station, of_station) in stations {
        let place = |at: usize| devices[at].longitude.zip(devices[at].latitude);
        // By time, so that each is compared with those beside it only; who says none comes first.
        let mut in_turn = of_station;
        in_turn.retain(|at| place(*at).is_some());
        in_turn.sort_by_key(|at| devices[*at].since);
        let unclear = in_turn.windows(2).find(|pair| {
            let (before, after) = (&devices[pair[0]], &devices[pair[1]]);
            let apart = place(pair[0]).zip(place(pair[1]));
            let has_moved = apart.is_some_and(|(from, to)| metres(from, to) > STAYED_M_MAX);
            has_moved && (before.since.is_none() || before.since == after.since)
        });
        if let Some(pair) = unclear
            && let Some(line) = places.get(pair[0].max(pair[1]))
        {
            let message = format!(
                "station `{station}` stands at more than one place, and nothing says from when on at which; write `since` to \
                 each of its devices, the day on which it was put there"
            );
            document.problems([line.problem(message)]);
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
