//! Geometries of WKB as GeoJSON (RFC 7946): points, lines, polygons and several of one of these, with two coordinates.

use std::fmt::Write;

/// Names of kinds, from 1.
const NAMES: [&str; 6] = [
    "Point",
    "LineString",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
];
const POINT: u32 = 1;
const LINE: u32 = 2;
/// What the kind of several points, lines or polygons is more than that of one.
const SEVERAL: u32 = 3;
/// The first byte of WKB with the least byte of each number first.
const LITTLE_ENDIAN: u8 = 1;

/// Returns the GeoJSON of WKB, with so many digits behind the point at most; None for bytes that are no such geometry.
pub fn geojson(mut wkb: &[u8], digits: usize) -> Option<String> {
    let kind = read_kind(&mut wkb)?;
    let name = NAMES.get(kind as usize - 1)?;
    let mut out = format!("{{\"type\":\"{name}\",\"coordinates\":");
    match kind > SEVERAL {
        true => write_list(&mut wkb, &mut out, |wkb, out| {
            let of_part = read_kind(wkb)?;
            (of_part + SEVERAL == kind).then_some(())?;
            write_part(of_part, wkb, digits, out)
        })?,
        false => write_part(kind, &mut wkb, digits, &mut out)?,
    }
    out.push('}');
    wkb.is_empty().then_some(out)
}

/// Appends a point, a line or a polygon behind its kind.
fn write_part(kind: u32, wkb: &mut &[u8], digits: usize, out: &mut String) -> Option<()> {
    match kind {
        POINT => write_place(wkb, digits, out),
        LINE => write_list(wkb, out, |wkb, out| write_place(wkb, digits, out)),
        _ => write_list(wkb, out, |wkb, out| write_part(LINE, wkb, digits, out)),
    }
}

/// Appends as many items as a count says. One that is too large ends with the bytes.
fn write_list(
    wkb: &mut &[u8],
    out: &mut String,
    item: impl Fn(&mut &[u8], &mut String) -> Option<()>,
) -> Option<()> {
    let count = read(wkb).map(u32::from_le_bytes)?;
    out.push('[');
    for number in 0..count {
        if number > 0 {
            out.push(',');
        }
        item(wkb, out)?;
    }
    out.push(']');
    Some(())
}

fn write_place(wkb: &mut &[u8], digits: usize, out: &mut String) -> Option<()> {
    let lon = f64::from_le_bytes(read(wkb)?);
    let lat = f64::from_le_bytes(read(wkb)?);
    let is_place = lon.is_finite() && lat.is_finite();
    is_place.then_some(())?;
    // Writing to a text cannot fail.
    let _ = write!(out, "[{},{}]", rounded(lon, digits), rounded(lat, digits));
    Some(())
}

/// Returns a number without the zeros behind its digits.
fn rounded(number: f64, digits: usize) -> String {
    let shown = format!("{number:.digits$}");
    let shown = match shown.contains('.') {
        true => shown.trim_end_matches('0').trim_end_matches('.'),
        false => shown.as_str(),
    };
    match shown {
        "-0" => "0".to_owned(),
        shown => shown.to_owned(),
    }
}

fn read_kind(wkb: &mut &[u8]) -> Option<u32> {
    let [order] = read::<1>(wkb)?;
    let kind = read(wkb).map(u32::from_le_bytes)?;
    (order == LITTLE_ENDIAN && (1..=NAMES.len() as u32).contains(&kind)).then_some(kind)
}

fn read<const N: usize>(wkb: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = wkb.split_first_chunk::<N>()?;
    *wkb = rest;
    Some(*head)
}
