//! Road segments as `GET /v1/segments/id/N` answers: rows of `segments`.
//!
//! `{"type": "FeatureCollection", "features": [{"geometry": {"type": "MultiLineString", "coordinates": […]},
//! "properties": {"oidn": 9000001463, "first_data_package": "…", …}}]}`
//!
//! - A segment is valid from its first count on, `first_data_package`. When it counted last changes with every answer
//!   and says nothing of the place.
//! - Its point is the middle of its longest line, on the grid of publication; its line is the street's own.

use meetnet_model::column::ColumnType;
use meetnet_model::declarations::Declarations;
use meetnet_model::privacy::snap_place;
use meetnet_model::reject::RejectReason;
use meetnet_model::time::parse_rfc3339;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::error::SetupProblem;
use crate::format::reject_malformed;
use crate::format::telraam::SNAPSHOT;
use crate::group::Output;
use crate::mapping::{dataset_position, filled_column};
use crate::stations::{DeclaredStations, municipality_column};

/// The dataset of the segments.
const DATASET: &str = "segments";
/// Corners of one segment.
const CORNERS_MAX: usize = 10_000;

/// Fills `segments`.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    dataset: usize,
    id: usize,
    valid_from: usize,
    lon: usize,
    lat: usize,
    h3_r7: usize,
    h3_r9: usize,
    geometry: usize,
    /// None where a city's own declaration does without.
    municipality: Option<usize>,
}

#[derive(Deserialize)]
struct Feature {
    geometry: Geometry,
    properties: Properties,
}

#[derive(Deserialize)]
struct Geometry {
    coordinates: Vec<Vec<(f64, f64)>>,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(alias = "segment_id")]
    oidn: i64,
    first_data_package: Option<String>,
    /// What counts of a snapshot have.
    period: Option<IgnoredAny>,
}

/// A feature of which no more is known.
#[derive(Deserialize)]
struct Told {
    properties: ToldProperties,
}

#[derive(Deserialize)]
struct ToldProperties {
    period: Option<IgnoredAny>,
}

/// Returns true for a list of features that are the counts of a snapshot, all of them.
pub(super) fn are_snapshot(features: &str) -> bool {
    let Ok(features) = serde_json::from_str::<Vec<&RawValue>>(features) else {
        return false;
    };
    let has_period = |feature: &&RawValue| {
        let told = serde_json::from_str::<Told>(feature.get());
        told.is_ok_and(|told| told.properties.period.is_some())
    };
    !features.is_empty() && features.iter().all(has_period)
}

impl Segments {
    /// Returns none where the dataset is not declared: then its rows are not wanted.
    pub(super) fn compile(declarations: &Declarations) -> Result<Option<Self>, SetupProblem> {
        if declarations.dataset(DATASET).is_none() {
            return Ok(None);
        }
        let (dataset, declared) = dataset_position(declarations, DATASET)?;
        let column = |name, column_type| filled_column(declared, name, column_type);
        Ok(Some(Self {
            dataset,
            id: column("id", ColumnType::Int)?,
            valid_from: column("valid_from", ColumnType::Timestamp)?,
            lon: column("lon", ColumnType::Float)?,
            lat: column("lat", ColumnType::Float)?,
            h3_r7: column("h3_r7", ColumnType::Int)?,
            h3_r9: column("h3_r9", ColumnType::Int)?,
            geometry: column("geometry", ColumnType::Text)?,
            municipality: municipality_column(declared),
        }))
    }

    /// The number of its dataset.
    #[cfg(test)]
    pub(super) fn dataset(&self) -> usize {
        self.dataset
    }

    /// Makes the rows of a list of features.
    pub(super) fn decode(
        &self,
        features: &str,
        of_source: &DeclaredStations,
        output: &mut Output,
    ) -> Result<(), serde_json::Error> {
        let features: Vec<&RawValue> = serde_json::from_str(features)?;
        for feature in features {
            let text = feature.get();
            match serde_json::from_str(text) {
                Ok(feature) => self.feature(&feature, of_source, text, output),
                Err(error) if error.is_data() => output.reject(
                    RejectReason::UnexpectedShape,
                    format_args!("no road segment: {}", without_content(&error)),
                    text,
                ),
                Err(error) => reject_malformed(&error, text, output),
            }
        }
        Ok(())
    }

    fn feature(
        &self,
        feature: &Feature,
        of_source: &DeclaredStations,
        text: &str,
        output: &mut Output,
    ) {
        if feature.properties.period.is_some() {
            return output.reject(RejectReason::UnexpectedShape, SNAPSHOT, text);
        }
        let Some(first) = &feature.properties.first_data_package else {
            let message = "the segment has no `first_data_package`, so it is not known since when it is valid; ask for \
                           it by its number";
            return output.reject(RejectReason::MissingField, message, text);
        };
        let Ok(valid_from) = parse_rfc3339(first) else {
            let message = "`first_data_package` is not an RFC 3339 time";
            return output.reject(RejectReason::BadTime, message, text);
        };
        let lines = &feature.geometry.coordinates;
        let corners: usize = lines.iter().map(Vec::len).sum();
        let middle = middle(lines).and_then(|(lon, lat)| snap_place(lon, lat));
        let (Some(place), 2..=CORNERS_MAX) = (middle, corners) else {
            let message = "the segment has no line of at least two places on Earth";
            return output.reject(RejectReason::UnexpectedShape, message, text);
        };
        let row = output.draft(self.dataset);
        row.set_int(self.id, feature.properties.oidn);
        row.set_int(self.valid_from, valid_from);
        row.set_float(self.lon, place.lon);
        row.set_float(self.lat, place.lat);
        row.set_int(self.h3_r7, place.h3_r7);
        row.set_int(self.h3_r9, place.h3_r9);
        row.set_text(self.geometry, &well_known_text(lines));
        if let (Some(column), Some(municipality)) =
            (self.municipality, of_source.municipality_at(place))
        {
            row.set_text(column, municipality);
        }
        output.finish_row(self.dataset, text);
    }
}

/// Returns what serde says without the value that it quotes.
fn without_content(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let expected = said.split_once("expected ").map(|(_, expected)| expected);
    expected.map_or(said.clone(), |expected| format!("expected {expected}"))
}

/// Returns the middle of the longest line, in its own length. Within a street, degrees of longitude are as long as each
/// other.
fn middle(lines: &[Vec<(f64, f64)>]) -> Option<(f64, f64)> {
    let longest = lines
        .iter()
        .max_by(|a, b| length(a).total_cmp(&length(b)))?;
    let mut left = length(longest) / 2.0;
    for corners in longest.windows(2) {
        let step = distance(corners[0], corners[1]);
        if step >= left && step > 0.0 {
            let share = left / step;
            let between = |from: f64, to: f64| from + (to - from) * share;
            return Some((
                between(corners[0].0, corners[1].0),
                between(corners[0].1, corners[1].1),
            ));
        }
        left -= step;
    }
    longest.last().copied()
}

fn length(line: &[(f64, f64)]) -> f64 {
    line.windows(2)
        .map(|corners| distance(corners[0], corners[1]))
        .sum()
}

/// A length that compares within one street, in degrees of latitude.
fn distance(from: (f64, f64), to: (f64, f64)) -> f64 {
    ((to.0 - from.0) * from.1.to_radians().cos()).hypot(to.1 - from.1)
}

/// Writes lines as WKT: `LINESTRING` where there is one, else `MULTILINESTRING`.
fn well_known_text(lines: &[Vec<(f64, f64)>]) -> String {
    let corners = |line: &Vec<(f64, f64)>| {
        let corners: Vec<String> = line
            .iter()
            .map(|(lon, lat)| format!("{lon} {lat}"))
            .collect();
        format!("({})", corners.join(", "))
    };
    match lines {
        [line] => format!("LINESTRING {}", corners(line)),
        lines => {
            let all: Vec<String> = lines.iter().map(corners).collect();
            format!("MULTILINESTRING ({})", all.join(", "))
        }
    }
}
