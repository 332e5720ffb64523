//! Geometries: WKT in, GeoJSON (RFC 7946) out. Both write coordinates as lists within lists, so the one becomes the
//! other by its brackets.

/// Brackets within brackets that a geometry may have: MULTIPOLYGON has three.
const DEPTH_MAX: usize = 3;

/// Appends a geometry as GeoJSON, or nothing: false for what is no geometry that GeoJSON has.
pub(super) fn write_wkt(wkt: &str, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let is_written = try_write(wkt, out).is_some();
    if !is_written {
        out.truncate(before);
    }
    is_written
}

fn try_write(wkt: &str, out: &mut Vec<u8>) -> Option<()> {
    let (word, list) = wkt.trim().split_at(wkt.trim().find('(')?);
    let (name, depth) = match word.trim().to_ascii_uppercase().as_str() {
        "POINT" => ("Point", 0),
        "LINESTRING" => ("LineString", 1),
        "POLYGON" => ("Polygon", 2),
        "MULTIPOINT" => ("MultiPoint", 1),
        "MULTILINESTRING" => ("MultiLineString", 2),
        "MULTIPOLYGON" => ("MultiPolygon", 3),
        _ => return None,
    };
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"coordinates\":");
    let rest = write_list(list, depth, out)?;
    out.push(b'}');
    rest.trim().is_empty().then_some(())
}

/// Writes a bracket with `depth` levels above its coordinates; returns what follows it.
fn write_list<'a>(text: &'a str, depth: usize, out: &mut Vec<u8>) -> Option<&'a str> {
    debug_assert!(depth <= DEPTH_MAX);
    let inner = text.trim_start().strip_prefix('(')?;
    if depth <= 1 {
        let (coordinates, rest) = inner.split_once(')')?;
        // Each point of a MULTIPOINT may stand in brackets of its own.
        if depth == 1 && coordinates.contains('(') {
            return write_bracketed_points(inner, out);
        }
        let mut points = coordinates.split(',');
        if depth == 0 {
            write_point(points.next()?, out)?;
            return points.next().is_none().then_some(rest);
        }
        out.push(b'[');
        for (position, point) in points.enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_point(point, out)?;
        }
        out.push(b']');
        return Some(rest);
    }
    write_items(inner, out, |item, out| write_list(item, depth - 1, out))
}

fn write_bracketed_points<'a>(inner: &'a str, out: &mut Vec<u8>) -> Option<&'a str> {
    write_items(inner, out, |item, out| {
        let (point, rest) = item.trim_start().strip_prefix('(')?.split_once(')')?;
        write_point(point, out)?;
        Some(rest)
    })
}

/// Writes items with commas between them up to the bracket that closes them; returns what follows it.
fn write_items<'a>(
    mut text: &'a str,
    out: &mut Vec<u8>,
    item: impl Fn(&'a str, &mut Vec<u8>) -> Option<&'a str>,
) -> Option<&'a str> {
    out.push(b'[');
    loop {
        text = item(text, out)?.trim_start();
        if let Some(rest) = text.strip_prefix(')') {
            out.push(b']');
            return Some(rest);
        }
        text = text.strip_prefix(',')?;
        out.push(b',');
    }
}

/// Writes two or three numbers.
fn write_point(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut count = 0;
    for number in text.split_whitespace() {
        let number: f64 = number
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())?;
        out.push(if count == 0 { b'[' } else { b',' });
        // A finite number is always JSON, and writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, &number);
        count += 1;
    }
    out.push(b']');
    (2..=3).contains(&count).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wkt_becomes_geojson() {
        fn check(wkt: &str, expect: Option<&str>) {
            let mut out = b"x".to_vec();
            assert_eq!(write_wkt(wkt, &mut out), expect.is_some(), "{wkt}");
            let expect = format!("x{}", expect.unwrap_or_default());
            assert_eq!(String::from_utf8(out).expect("text"), expect, "{wkt}");
        }
        check(
            "POINT (4.7 50.88)",
            Some("{\"type\":\"Point\",\"coordinates\":[4.7,50.88]}"),
        );
        check(
            " linestring(4 50, 4.5 50.5,5 51 ) ",
            Some("{\"type\":\"LineString\",\"coordinates\":[[4.0,50.0],[4.5,50.5],[5.0,51.0]]}"),
        );
        check(
            "POLYGON((0 0,1 0,1 1,0 0),(0.1 0.1,0.2 0.1,0.2 0.2,0.1 0.1))",
            Some(
                "{\"type\":\"Polygon\",\"coordinates\":[[[0.0,0.0],[1.0,0.0],[1.0,1.0],[0.0,0.0]],\
                 [[0.1,0.1],[0.2,0.1],[0.2,0.2],[0.1,0.1]]]}",
            ),
        );
        for points in ["MULTIPOINT(1 2, 3 4)", "MULTIPOINT((1 2), (3 4))"] {
            check(
                points,
                Some("{\"type\":\"MultiPoint\",\"coordinates\":[[1.0,2.0],[3.0,4.0]]}"),
            );
        }
        check(
            "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
            Some(
                "{\"type\":\"MultiPolygon\",\"coordinates\":[[[[0.0,0.0],[1.0,0.0],[1.0,1.0],[0.0,0.0]]]]}",
            ),
        );
        for no_geometry in [
            "",
            "POINT",
            "POINT EMPTY",
            "POINT(1)",
            "POINT(1 2",
            "POINT(1 2, 3 4)",
            "POINT((1 2))",
            "POINT(1 2) x",
            "POINT(1 NaN)",
            "POINT(1 x)",
            "LINESTRING()",
            "POLYGON(0 0, 1 1)",
            "POLYGON((0 0,1 0,1 1,0 0)",
            "CIRCLE(1 2)",
            "((((((((",
        ] {
            check(no_geometry, None);
        }
    }
}
