//! GeoJSON (RFC 7946): one feature per row, the line in its `geometry` (WKT, WGS 84) where it has one, else a point at its
//! `lon` and `lat`; the other columns are properties.
//! Licences, attributions and the time of the answer are foreign members of the collection (section 6.1).

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::json;

use super::{Encoder, Footer, Header, cell, format_time};
use crate::error::{QueryError, QueryErrorKind};

const PLACE: [&str; 2] = ["lon", "lat"];
const GEOMETRY: &str = "geometry";

pub(super) struct GeoJson {
    /// Positions of `lon` and `lat`.
    place: [usize; 2],
    /// Position of `geometry`, where there is one.
    geometry: Option<usize>,
    /// `"name":` per column.
    names: Vec<Vec<u8>>,
    has_rows: bool,
}

impl GeoJson {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, QueryError> {
        let position = |name: &str| {
            schema.index_of(name).map_err(|_| {
                let message = format!(
                    "GeoJSON needs the columns lon and lat, and there is no {name}; choose another format, or join the \
                     dataset that has them: stations or segments"
                );
                QueryError::new(QueryErrorKind::BadRequest, message)
            })
        };
        let [lon, lat] = PLACE;
        let names = schema.fields().iter();
        Ok(Self {
            place: [position(lon)?, position(lat)?],
            geometry: schema.index_of(GEOMETRY).ok(),
            names: names
                .map(|field| format!("{}:", json!(field.name())).into_bytes())
                .collect(),
            has_rows: false,
        })
    }
}

/// Reads `LINESTRING (4.70 50.87, 4.71 50.88)`; None for anything else.
fn line_string(wkt: &str) -> Option<Vec<[f64; 2]>> {
    let points = wkt.trim().strip_prefix("LINESTRING")?.trim();
    let points = points.strip_prefix('(')?.strip_suffix(')')?;
    let line = points.split(',').map(|point| {
        let mut numbers = point.split_whitespace().map(str::parse::<f64>);
        let (lon, lat) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        (lon.is_finite() && lat.is_finite() && numbers.next().is_none()).then_some([lon, lat])
    });
    let line: Vec<[f64; 2]> = line.collect::<Option<_>>()?;
    // Section 3.1.4: a line has two points at least.
    (line.len() >= 2).then_some(line)
}

impl Encoder for GeoJson {
    fn begin(&mut self, _: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        out.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":[");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = cell::columns(batch)?;
        let [lon, lat] = self.place;
        let mut wkt = Vec::new();
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if self.has_rows { b",\n" } else { b"\n" });
            self.has_rows = true;
            out.extend_from_slice(b"{\"type\":\"Feature\",\"geometry\":");
            wkt.clear();
            if let Some(geometry) = self.geometry {
                columns[geometry].write_text(row, &mut wkt);
            }
            let line = std::str::from_utf8(&wkt).ok().and_then(line_string);
            if let Some(line) = line {
                let line = json!({ "type": "LineString", "coordinates": line });
                out.extend_from_slice(line.to_string().as_bytes());
            } else if columns[lon].is_null(row) || columns[lat].is_null(row) {
                // Section 3.2: a feature without a place has a null geometry.
                out.extend_from_slice(b"null");
            } else {
                out.extend_from_slice(b"{\"type\":\"Point\",\"coordinates\":[");
                columns[lon].write_json(row, out);
                out.push(b',');
                columns[lat].write_json(row, out);
                out.extend_from_slice(b"]}");
            }
            out.extend_from_slice(b",\"properties\":{");
            let mut is_first = true;
            for (position, (name, column)) in self.names.iter().zip(&columns).enumerate() {
                if self.place.contains(&position) || self.geometry == Some(position) {
                    continue;
                }
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                out.extend_from_slice(name);
                column.write_json(row, out);
            }
            out.extend_from_slice(b"}}");
        }
        Ok(())
    }

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        out.extend_from_slice(b"\n]");
        let mut member = |name: &str, value: serde_json::Value| {
            out.extend_from_slice(format!(",{}:{value}", json!(name)).as_bytes());
        };
        let rights = footer.rights;
        if !rights.licences.is_empty() {
            member("licences", json!(rights.licences));
        }
        if !rights.attributions.is_empty() {
            member("attributions", json!(rights.attributions));
        }
        member("stable_time", json!(format_time(footer.stable_time)));
        if let Some(as_of) = footer.as_of {
            member("as_of", json!(format_time(as_of)));
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
