//! Licences of sources and datasets: what each asks of those who use the data, and whether a dataset may hold the rows
//! of a source.
//!
//! The licence belongs to the source; a dataset without a declared one hands each row on under the row's own. A dataset
//! that declares one promises it for every row, so it may not ask for less than its sources do (`check_licences`), nor
//! less than the rows that lie in its table already (`stored.rs`). What is made of several datasets may combine what
//! `derived.rs` says. These are checks for the operator at start-up, not legal advice.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::declarations::{DeclarationError, Declarations};
use crate::ids::{DatasetId, LicenceId};
use crate::property::PropertyDeclaration;
use crate::source::{SourceDeclaration, WireFormat};

mod derived;
mod rights;
mod stored;

pub(crate) use derived::derived_attributions;
pub use derived::{DerivedInput, check_derived, combine};
pub use rights::Rights;
pub use stored::{StoredLicences, check_stored};

/// A known licence.
#[derive(Debug, PartialEq, Eq)]
pub struct Licence {
    /// SPDX id; `LicenseRef-…` where SPDX has none. It is also a partition value.
    pub id: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// IRI for catalogues (DCAT): the EU authority table's where it has one, else the publisher's.
    pub iri: &'static str,
    /// Page with the text.
    pub url: &'static str,
    /// Whether the maker must be named.
    pub attribution: bool,
    /// Whether what is made of the data must carry the same licence.
    pub share_alike: bool,
    /// Whether commercial use is excluded.
    pub non_commercial: bool,
}

const fn free(
    id: &'static str,
    title: &'static str,
    iri: &'static str,
    url: &'static str,
) -> Licence {
    Licence {
        id,
        title,
        iri,
        url,
        attribution: false,
        share_alike: false,
        non_commercial: false,
    }
}

/// Every known licence.
pub const LICENCES: &[Licence] = &[
    free(
        "CC0-1.0",
        "Creative Commons Zero 1.0",
        "http://publications.europa.eu/resource/authority/licence/CC0",
        "https://creativecommons.org/publicdomain/zero/1.0/",
    ),
    free(
        "PDDL-1.0",
        "Open Data Commons Public Domain Dedication and License 1.0",
        "http://publications.europa.eu/resource/authority/licence/ODC_PDDL",
        "https://opendatacommons.org/licenses/pddl/1-0/",
    ),
    // The contents half of the ODbL: alone it asks for nothing, the database half does.
    free(
        "DbCL-1.0",
        "Open Data Commons Database Contents License 1.0",
        "https://opendatacommons.org/licenses/dbcl/1-0/",
        "https://opendatacommons.org/licenses/dbcl/1-0/",
    ),
    Licence {
        attribution: true,
        ..free(
            "CC-BY-4.0",
            "Creative Commons Attribution 4.0",
            "http://publications.europa.eu/resource/authority/licence/CC_BY_4_0",
            "https://creativecommons.org/licenses/by/4.0/",
        )
    },
    Licence {
        attribution: true,
        share_alike: true,
        ..free(
            "CC-BY-SA-4.0",
            "Creative Commons Attribution-ShareAlike 4.0",
            "http://publications.europa.eu/resource/authority/licence/CC_BYSA_4_0",
            "https://creativecommons.org/licenses/by-sa/4.0/",
        )
    },
    Licence {
        attribution: true,
        ..free(
            "ODC-By-1.0",
            "Open Data Commons Attribution License 1.0",
            "http://publications.europa.eu/resource/authority/licence/ODC_BY",
            "https://opendatacommons.org/licenses/by/1-0/",
        )
    },
    Licence {
        attribution: true,
        share_alike: true,
        ..free(
            "ODbL-1.0",
            "Open Data Commons Open Database License 1.0",
            "http://publications.europa.eu/resource/authority/licence/ODC_BL",
            "https://opendatacommons.org/licenses/odbl/1-0/",
        )
    },
    Licence {
        attribution: true,
        non_commercial: true,
        ..free(
            "CC-BY-NC-4.0",
            "Creative Commons Attribution-NonCommercial 4.0",
            "http://publications.europa.eu/resource/authority/licence/CC_BYNC_4_0",
            "https://creativecommons.org/licenses/by-nc/4.0/",
        )
    },
    Licence {
        attribution: true,
        share_alike: true,
        non_commercial: true,
        ..free(
            "CC-BY-NC-SA-4.0",
            "Creative Commons Attribution-NonCommercial-ShareAlike 4.0",
            "http://publications.europa.eu/resource/authority/licence/CC_BYNCSA_4_0",
            "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        )
    },
    Licence {
        attribution: true,
        ..free(
            "LicenseRef-Vlaanderen-Gratis-Hergebruik-1.0",
            "Modellicentie voor gratis hergebruik Vlaanderen 1.0",
            "https://data.vlaanderen.be/id/licentie/modellicentie-gratis-hergebruik/v1.0",
            "https://data.vlaanderen.be/id/licentie/modellicentie-gratis-hergebruik/v1.0",
        )
    },
];

impl Licence {
    /// Returns the licence with this id.
    pub fn find(id: &str) -> Option<&'static Self> {
        LICENCES.iter().find(|licence| licence.id == id)
    }

    /// Reads a licence as it is declared: an SPDX id or `LicenseRef-…`, or the IRI or address of a known licence, which gives
    /// its id. None for what can be no licence id.
    pub fn read(text: &str) -> Option<LicenceId> {
        let bare = |iri: &str| {
            let iri = iri.trim_end_matches('/');
            let rest = iri
                .strip_prefix("https://")
                .or_else(|| iri.strip_prefix("http://"));
            rest.map(str::to_ascii_lowercase)
        };
        if let Some(wanted) = bare(text) {
            let known = LICENCES.iter().find(|licence| {
                [licence.iri, licence.url]
                    .into_iter()
                    .any(|iri| bare(iri).as_ref() == Some(&wanted))
            })?;
            return Some(LicenceId::new(known.id));
        }
        is_licence_id(text).then(|| LicenceId::new(text))
    }

    /// Returns what to write instead of a licence that is declared so; none where it can stand. Ids that nobody knows can, since
    /// publishers have licences of their own, but none that is a known one but for its case, its signs or its version: as
    /// another id it would be another licence, of which nobody knows what it allows.
    pub fn correction(text: &str) -> Option<String> {
        if Self::find(text).is_some() {
            return None;
        }
        if let Some(meant) = LICENCES.iter().find(|licence| licence.is_meant_by(text)) {
            return Some(format!("did you mean `{}`?", meant.id));
        }
        Self::read(text)
            .is_none()
            .then(|| "use an SPDX id such as CC-BY-4.0".to_owned())
    }

    /// Returns true for a text that is the id but for case and signs, or without its version or the zero at its end.
    fn is_meant_by(&self, text: &str) -> bool {
        let plain = |text: &str| -> String {
            let kept = text.chars().filter(char::is_ascii_alphanumeric);
            kept.map(|c| c.to_ascii_lowercase()).collect()
        };
        let major = self.id.strip_suffix(".0").unwrap_or(self.id);
        let name = self.id.rsplit_once('-').map_or(self.id, |(name, _)| name);
        let written = plain(text);
        [self.id, major, name, self.title]
            .into_iter()
            .any(|known| plain(known) == written)
    }

    /// Returns true where a dataset under `dataset` may hold rows of a source under `source`: the dataset asks for
    /// all that the source asks for, and share-alike rows stay under their own licence. Licences we do
    /// not know are compatible with themselves only.
    pub fn allows(source: &str, dataset: &str) -> bool {
        if source == dataset {
            return true;
        }
        match (Self::find(source), Self::find(dataset)) {
            (Some(source), Some(dataset)) => source.lost_under(dataset).is_empty(),
            _ => false,
        }
    }

    /// Returns what the rows of this licence ask for and another licence would not keep.
    fn lost_under(&self, dataset: &Self) -> Vec<&'static str> {
        let mut lost = Vec::new();
        if self.attribution && !dataset.attribution {
            lost.push("attribution");
        }
        if self.share_alike && self.id != dataset.id {
            // Not only less is excluded: a share-alike licence forbids further terms as well.
            lost.push("the same licence for what is made of it");
        }
        if self.non_commercial && !dataset.non_commercial {
            lost.push("non-commercial use");
        }
        lost
    }
}

/// Returns true for a text that can be a licence id and a partition value: `[A-Za-z0-9.-]+`.
pub fn is_licence_id(id: &str) -> bool {
    !id.is_empty()
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// Properties that formats fill wherever a declaration puts them: the datasets that hold them are named nowhere here.
const SOUND_LEVELS: &[&str] = &["laeq", "lamin", "lamax"];
const FILL_LEVELS: &[&str] = &["fill_level"];

/// Returns the datasets that a source's messages can become rows of, as far as they are declared: those that its format always
/// fills, those that hold a property of its format, those that its map names or the map of one of its devices, and the
/// stations of devices that it places.
///
/// A test of the decoders holds this against what they can write. Rows that come past them, by an import, are named when they
/// come (`Lake::name_source`).
pub fn datasets_of(
    source: &SourceDeclaration,
    properties: &[Arc<PropertyDeclaration>],
) -> BTreeSet<DatasetId> {
    let (by_format, by_property): (&[&str], &[&str]) = match source.format {
        WireFormat::Telraam => (&["traffic", "segments"], &[]),
        WireFormat::SensorCommunity | WireFormat::Ircel | WireFormat::Opensensemap => {
            (&["air", "heat", "stations"], SOUND_LEVELS)
        }
        WireFormat::Airrohr => (&["air", "heat"], SOUND_LEVELS),
        // Without a map the fields are airRohr's.
        WireFormat::Influx if source.map.is_empty() => (&["air", "heat"], SOUND_LEVELS),
        WireFormat::Ecowitt => (&["heat"], &[]),
        WireFormat::Wunderground => (&["air", "heat"], &[]),
        // What its default mappings fill; no dataset of waste is built in, but a city may declare one.
        WireFormat::Ngsi => (&["air", "heat", "traffic"], FILL_LEVELS),
        WireFormat::TtsV3
        | WireFormat::ChirpstackV4
        | WireFormat::SensorThings
        | WireFormat::Senml
        | WireFormat::Json
        | WireFormat::Ndjson
        | WireFormat::Csv
        | WireFormat::Influx => (&[], &[]),
    };
    let holding = properties
        .iter()
        .filter(|property| by_property.contains(&property.name.as_str()))
        .map(|property| property.dataset.clone());
    let of_devices = source.devices.iter().flat_map(|device| &device.map);
    let entries = source.map.iter().chain(of_devices);
    let mapped = entries.map(|entry| entry.dataset.clone());
    let placed = source.has_places().then(|| DatasetId::new("stations"));
    let by_format = by_format.iter().map(DatasetId::new);
    by_format
        .chain(holding)
        .chain(mapped)
        .chain(placed)
        .collect()
}

/// Returns why rows under `source` may not be promised under `dataset`; none where they may.
fn refusal(source: &str, dataset: &str) -> Option<String> {
    if Licence::allows(source, dataset) {
        return None;
    }
    Some(match (Licence::find(source), Licence::find(dataset)) {
        (Some(s), Some(d)) => format!("which asks for {}", s.lost_under(d).join(" and ")),
        _ => "and we do not know whether one allows the other".to_owned(),
    })
}

/// Licences that publishers give what has their format, whoever passes it on. Telraam: DATA_LICENSE.md of its API.
const PUBLISHERS: &[(WireFormat, &str, &str)] = &[(WireFormat::Telraam, "Telraam", "CC-BY-NC-4.0")];

/// Returns what is wrong with a source that promises more than the publisher of its data does, without an agreement.
fn publisher_refuses(source: &SourceDeclaration) -> Option<DeclarationError> {
    let (_, publisher, theirs) = PUBLISHERS
        .iter()
        .find(|(format, ..)| *format == source.format)?;
    let has_agreement = source
        .permission
        .as_ref()
        .is_some_and(|reference| !reference.trim().is_empty());
    let licence = source.licence.as_str();
    let why = refusal(theirs, licence).filter(|_| !has_agreement)?;
    Some(DeclarationError::general(format!(
        "source `{}` declares {licence}, but {publisher} publishes its data under {theirs}, {why}; \
         declare {theirs}, or permission = \"…\" with the agreement that allows {licence}",
        source.id
    )))
}

/// Checks that no dataset declares more than the licences of its sources allow, or, where it is derived, those of its input
/// without a permission; no source more than its publisher does; and that every licence id can be a partition value.
pub fn check_licences(declarations: &Declarations) -> Vec<DeclarationError> {
    let mut errors = Vec::new();
    for source in declarations.sources.values() {
        let licence = source.licence.as_str();
        if let Some(correction) = Licence::correction(licence) {
            errors.push(DeclarationError::general(format!(
                "source `{}` has the licence `{licence}`, which is not a licence id; {correction}",
                source.id
            )));
            continue;
        }
        errors.extend(publisher_refuses(source));
        for id in datasets_of(source, &declarations.properties) {
            let declared = declarations
                .datasets
                .get(&id)
                .and_then(|d| d.licence.as_ref());
            let Some(dataset) = declared.map(|id| id.as_str()) else {
                continue;
            };
            if let Some(why) = refusal(licence, dataset) {
                errors.push(DeclarationError::general(format!(
                    "dataset `{id}` declares {dataset}, but its source `{}` is under {licence}, {why}; \
                     declare {licence} for the dataset, or none so that each row keeps its own, or take the source out",
                    source.id
                )));
            }
        }
    }
    errors.extend(derived::check_derivations(declarations));
    errors
}

#[cfg(test)]
mod tests;
