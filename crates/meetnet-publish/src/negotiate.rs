//! Content negotiation: `Accept` and `Accept-Language` with their q-values (RFC 9110, section 12), as pure functions.
//!
//! It knows the formats and languages that exist; it does not know what is sent in them.

use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE};
use axum::http::{HeaderMap, HeaderName};
use meetnet_query::Format;

#[cfg(test)]
mod tests;

/// The most entries of one header that are read: more are no honest client's.
const ENTRIES_MAX: usize = 32;

/// Returns the media types that ask for a format.
pub(crate) fn media_types(format: Format) -> &'static [&'static str] {
    match format {
        Format::Json => &["application/json"],
        Format::Ndjson => &[
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
        ],
        Format::Csv => &["text/csv"],
        Format::Arrow => &["application/vnd.apache.arrow.stream"],
        Format::Parquet => &["application/vnd.apache.parquet"],
        Format::Geojson => &["application/geo+json"],
        Format::Table => &["text/plain"],
    }
}

/// Returns the file name extension of a format.
pub(crate) fn extension(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Ndjson => "ndjson",
        Format::Csv => "csv",
        Format::Arrow => "arrows",
        Format::Parquet => "parquet",
        Format::Geojson => "geojson",
        Format::Table => "txt",
    }
}

/// Returns the format that `Accept` likes best, JSON where there is no such header, and text where it takes nothing but HTML; None:
/// it accepts none of ours.
pub(crate) fn format_by_accept(headers: &HeaderMap) -> Option<Format> {
    let entries = weighted(headers, &ACCEPT);
    if entries.is_empty() {
        return Some(Format::Json);
    }
    let mut best: Option<(Format, u16)> = None;
    for format in Format::ALL {
        let weights = media_types(format)
            .iter()
            .map(|of_type| media_weight(&entries, of_type));
        let weight = weights.max().unwrap_or(0);
        // Strictly greater: the earlier format wins a tie.
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((format, weight));
        }
    }
    // Who takes pages alone is shown the rows as text: there is no page of them, and a page of an error says less.
    let of_pages = || (media_weight(&entries, "text/html") > 0).then_some(Format::Table);
    best.map(|(format, _)| format).or_else(of_pages)
}

/// The weight of one media type: that of the most specific entry that covers it.
pub(crate) fn media_weight(entries: &[(String, u16)], media_type: &str) -> u16 {
    let group = media_type.split('/').next().unwrap_or_default();
    entries
        .iter()
        .filter_map(|(range, weight)| {
            let specificity = if range == media_type {
                2
            } else if range.strip_suffix("/*") == Some(group) {
                1
            } else if range == "*/*" {
                0
            } else {
                return None;
            };
            Some((specificity, *weight))
        })
        .max()
        .map_or(0, |(_, weight)| weight)
}

/// A language of the portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Dutch, the city's first language.
    Nl,
    /// English.
    En,
    /// French.
    Fr,
}

impl Language {
    /// Every language, Dutch first.
    pub(crate) const ALL: [Self; 3] = [Self::Nl, Self::En, Self::Fr];

    /// Returns the BCP 47 tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Nl => "nl",
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    /// Returns the language of a tag.
    pub(crate) fn by_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// Returns the language that `Accept-Language` likes best, Dutch where it names none of ours.
    pub(crate) fn by_accept(headers: &HeaderMap) -> Self {
        let mut best = (Self::Nl, 0);
        for (range, weight) in weighted(headers, &ACCEPT_LANGUAGE) {
            let tag = range.split('-').next().unwrap_or_default();
            if let Some(language) = Self::by_tag(tag)
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }
}

/// Returns the entries of a list header in lower case without parameters, each with its q-value in thousandths.
pub(crate) fn weighted(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, u16)> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let range = parts
                .next()
                .filter(|range| !range.is_empty())?
                .to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(Some(1.0), |q| q.trim().parse::<f32>().ok())
                .filter(|q| (0.0..=1.0).contains(q))?;
            Some((range, (weight * 1000.0) as u16))
        })
        .take(ENTRIES_MAX)
        .collect()
}
