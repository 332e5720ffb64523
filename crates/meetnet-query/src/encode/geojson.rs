//! GeoJSON (RFC 7946): a feature per row. The place is the column `geometry` (WKT), else `lon` and `lat`; every other
//! column is a property.

use arrow::array::RecordBatch;
use serde_json::json;

use super::cell::{self, Cells};
use super::{Encoder, Footer, Header, geometry, json};
use crate::error::{QueryError, QueryErrorKind};

/// Names of the columns that say where a row is.
const GEOMETRY: &str = "geometry";
const LON: &str = "lon";
const LAT: &str = "lat";

/// `{"type":"FeatureCollection","features":[…],…}`, and behind the features what JSON answers say behind their rows.
#[derive(Default)]
pub(super) struct Geojson {
    has_rows: bool,
    geometry: Option<usize>,
    point: Option<(usize, usize)>,
    /// Per property: its column, and `"name":` with the comma before all but the first.
    properties: Vec<(usize, Vec<u8>)>,
}

impl Encoder for Geojson {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let fields = header.schema.fields();
        let column = |name: &str| fields.iter().position(|field| field.name() == name);
        let numeric = |name: &str| column(name).filter(|at| fields[*at].data_type().is_numeric());
        self.geometry = column(GEOMETRY);
        self.point = numeric(LON).zip(numeric(LAT));
        if self.geometry.is_none() && self.point.is_none() {
            let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            return Err(QueryError::new(
                QueryErrorKind::BadRequest,
                format!(
                    "geojson needs to know where a row is: a column geometry (WKT), or columns lon and lat; the answer has \
                     {}",
                    names.join(", ")
                ),
            ));
        }
        let places = [
            self.geometry,
            self.point.map(|point| point.0),
            self.point.map(|point| point.1),
        ];
        self.properties = (0..fields.len())
            .filter(|column| !places.contains(&Some(*column)))
            .enumerate()
            .map(|(position, column)| {
                let comma = if position > 0 { "," } else { "" };
                let name = format!("{comma}{}:", json!(fields[column].name()));
                (column, name.into_bytes())
            })
            .collect();
        out.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":[");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = cell::columns(batch)?;
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if self.has_rows { b",\n" } else { b"\n" });
            self.has_rows = true;
            out.extend_from_slice(b"{\"type\":\"Feature\",\"geometry\":");
            self.write_place(&columns, row, &mut text, out);
            out.extend_from_slice(b",\"properties\":{");
            for (column, name) in &self.properties {
                out.extend_from_slice(name);
                columns[*column].write_json(row, out);
            }
            out.extend_from_slice(b"}}");
        }
        Ok(())
    }

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        out.extend_from_slice(b"\n]");
        json::write_facts(footer, out);
        Ok(())
    }
}

impl Geojson {
    /// A row without a place, or with one that cannot be read, is a feature without one.
    fn write_place(&self, columns: &[Cells], row: usize, text: &mut Vec<u8>, out: &mut Vec<u8>) {
        if let Some(column) = self.geometry {
            text.clear();
            columns[column].write_text(row, text);
            if std::str::from_utf8(text).is_ok_and(|wkt| geometry::write_wkt(wkt, out)) {
                return;
            }
        }
        match self.point {
            Some((lon, lat)) if !columns[lon].is_null(row) && !columns[lat].is_null(row) => {
                out.extend_from_slice(b"{\"type\":\"Point\",\"coordinates\":[");
                columns[lon].write_json(row, out);
                out.push(b',');
                columns[lat].write_json(row, out);
                out.extend_from_slice(b"]}");
            }
            _ => out.extend_from_slice(b"null"),
        }
    }
}

#[cfg(test)]
mod tests;
