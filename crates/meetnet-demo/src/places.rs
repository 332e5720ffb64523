//! Where the sensors of the city stand: rows of `stations` and `segments`, on the publication grid.
//!
//! ```text
//! History (ids, installation) + City (places) ──snap──▶ HistoryChunk per dataset and source
//! ```
//!
//! Positions leave this module snapped only; a segment's line is the street's, not that of the window behind it.

use std::sync::Arc;

use meetnet_model::column::ColumnType;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::privacy::snap_place;
use meetnet_model::rows::RowsBuilder;

use crate::history::columns::Finder;
use crate::history::{History, HistoryChunk, HistoryError, US_PER_S};
use crate::sensors::Site;
use crate::sources::DemoSource;
use crate::traffic::Road;

/// The municipality of every sensor.
const MUNICIPALITY: &str = "Leuven";
/// Why a row is never refused.
const COMPLETE: &str = "the columns were checked: every required one has a value of its type";

/// The columns of a dataset of places.
struct PlaceColumns {
    declaration: Arc<DatasetDeclaration>,
    id: usize,
    valid_from: usize,
    name: usize,
    kind: usize,
    lon: usize,
    lat: usize,
    h3_r7: usize,
    h3_r9: usize,
    municipality: usize,
}

impl PlaceColumns {
    fn find(
        declarations: &Declarations,
        dataset: &'static str,
        id: ColumnType,
    ) -> Result<Self, HistoryError> {
        let declaration = declarations
            .dataset(dataset)
            .ok_or(HistoryError::MissingDataset { dataset })?;
        let mut find = Finder::new(declaration);
        let found = Self {
            declaration: Arc::clone(declaration),
            id: find.column("id", id)?,
            valid_from: find.column("valid_from", ColumnType::Timestamp)?,
            name: find.column("name", ColumnType::Text)?,
            kind: find.column("kind", ColumnType::Text)?,
            lon: find.column("lon", ColumnType::Float)?,
            lat: find.column("lat", ColumnType::Float)?,
            h3_r7: find.column("h3_r7", ColumnType::Int)?,
            h3_r9: find.column("h3_r9", ColumnType::Int)?,
            municipality: find.column("municipality", ColumnType::Text)?,
        };
        find.finish()?;
        Ok(found)
    }

    /// Sets everything but the id.
    fn set(&self, rows: &mut RowsBuilder, place: &Place<'_>) {
        let snapped = snap_place(place.lon, place.lat).expect("the city lies on Earth");
        rows.set_int(self.valid_from, place.installed_s * US_PER_S);
        rows.set_text(self.name, place.name);
        rows.set_text(self.kind, place.kind);
        rows.set_float(self.lon, snapped.lon);
        rows.set_float(self.lat, snapped.lat);
        rows.set_int(self.h3_r7, snapped.h3_r7);
        rows.set_int(self.h3_r9, snapped.h3_r9);
        rows.set_text(self.municipality, MUNICIPALITY);
    }
}

struct Place<'a> {
    name: &'a str,
    kind: &'a str,
    lon: f64,
    lat: f64,
    installed_s: i64,
}

impl History {
    /// Returns the rows of `segments`, and those of `stations` from each source; each chunk in key order.
    pub fn places(&self, declarations: &Declarations) -> Result<Vec<HistoryChunk>, HistoryError> {
        let stations = PlaceColumns::find(declarations, "stations", ColumnType::Text)?;
        let sites = &self.city().stations;
        Ok(vec![
            self.segments(declarations)?,
            self.stations(
                &stations,
                DemoSource::Airrohr,
                "air_sensor",
                &self.names.air,
                |at| &self.city().air_sensors[at].site,
            ),
            self.stations(
                &stations,
                DemoSource::Lora,
                "weather_station",
                &self.names.lora,
                |at| &sites[at].site,
            ),
            self.stations(
                &stations,
                DemoSource::Balcony,
                "balcony_sensor",
                &self.names.balcony,
                |at| &sites[at].site,
            ),
        ])
    }

    fn segments(&self, declarations: &Declarations) -> Result<HistoryChunk, HistoryError> {
        let columns = PlaceColumns::find(declarations, "segments", ColumnType::Int)?;
        let geometry = Finder::new(&columns.declaration).optional("geometry", ColumnType::Text)?;
        let mut rows = RowsBuilder::new(Arc::clone(&columns.declaration));
        for segment in &self.city().segments {
            let (lon, lat) = segment.middle();
            let place = Place {
                name: &segment.street,
                kind: road_kind(segment.road),
                lon,
                lat,
                installed_s: self.installed_s(segment.joined),
            };
            let [(lon_a, lat_a), (lon_b, lat_b)] = segment.line;
            let line = format!("LINESTRING ({lon_a:.5} {lat_a:.5}, {lon_b:.5} {lat_b:.5})");
            rows.set_int(columns.id, segment.id);
            columns.set(&mut rows, &place);
            rows.set_text(geometry, &line);
            rows.finish_row(0).expect(COMPLETE);
        }
        Ok(HistoryChunk::new(DemoSource::Telraam, rows))
    }

    fn stations<'a>(
        &self,
        columns: &PlaceColumns,
        source: DemoSource,
        kind: &str,
        names: &[(String, usize)],
        site_of: impl Fn(usize) -> &'a Site,
    ) -> HistoryChunk {
        let mut rows = RowsBuilder::new(Arc::clone(&columns.declaration));
        for (id, at) in names {
            let site = site_of(*at);
            let place = Place {
                name: &site.name,
                kind,
                lon: site.lon,
                lat: site.lat,
                installed_s: self.installed_s(site.joined),
            };
            rows.set_text(columns.id, id);
            columns.set(&mut rows, &place);
            rows.finish_row(0).expect(COMPLETE);
        }
        HistoryChunk::new(source, rows)
    }
}

fn road_kind(road: Road) -> &'static str {
    match road {
        Road::Arterial => "arterial",
        Road::Residential => "residential",
        Road::School => "school",
        Road::Shopping => "shopping",
        Road::Cycle => "cycle",
        Road::Rural => "rural",
    }
}

#[cfg(test)]
mod tests;
