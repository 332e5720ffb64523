//! Geometries as PostGIS's clients take them: WKT becomes WKB, of which functions say what it is and where it lies.
//!
//! Places are degrees of WGS 84 and have two coordinates; edges are straight in degrees. Only views of layers have geometries
//! (`layers.rs`), and only what QGIS and GDAL call is here: this is no PostGIS.

mod functions;
#[cfg(test)]
mod tests;

pub(crate) use meetnet_sql::json::WKB_EXTENSION;

pub(crate) use functions::{LAYER_KEY, POINT, WKT, geometry_field, register};

/// The number of WGS 84 in every list of reference systems.
pub(crate) const SRID: i32 = 4326;

/// The flag of EWKB for a reference system that follows the kind.
const SRID_FLAG: u32 = 0x2000_0000;
/// The first byte of WKB with the least byte of each number first.
const LITTLE_ENDIAN: u8 = 1;

const POINT_KIND: u32 = 1;
const LINE_KIND: u32 = 2;
const POLYGON_KIND: u32 = 3;
/// What the kind of several points, lines or polygons is more than that of one.
const MULTI: u32 = 3;
/// Names of kinds, from 1.
const NAMES: [&str; 6] = [
    "POINT",
    "LINESTRING",
    "POLYGON",
    "MULTIPOINT",
    "MULTILINESTRING",
    "MULTIPOLYGON",
];

/// Longitude and latitude.
type Place = [f64; 2];
/// A line, or a ring of a polygon.
type Line = Vec<Place>;

/// A geometry.
#[derive(Clone, Debug, PartialEq)]
struct Geometry {
    /// From 1, as WKB numbers them.
    kind: u32,
    /// One, but of the kinds of several: a point or a line is one line, a polygon its rings.
    parts: Vec<Vec<Line>>,
}

impl Geometry {
    fn point(lon: f64, lat: f64) -> Option<Self> {
        (lon.is_finite() && lat.is_finite()).then(|| Self {
            kind: POINT_KIND,
            parts: vec![vec![vec![[lon, lat]]]],
        })
    }

    /// Reads WKT; None for what is none, and for kinds that are not here. Heights are left out.
    fn from_wkt(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, list) = text.split_at(text.find('(')?);
        let name = name.trim().to_ascii_uppercase();
        let name = name.strip_suffix('Z').map_or(name.as_str(), str::trim_end);
        let kind = NAMES.iter().position(|known| *known == name)? as u32 + 1;
        let (parts, rest) = match kind {
            1 | 2 => {
                let (line, rest) = read_line(list)?;
                (vec![vec![line]], rest)
            }
            3 => {
                let (rings, rest) = read_many(list, read_line)?;
                (vec![rings], rest)
            }
            // Each point may stand in brackets of its own.
            4 => {
                let (lines, rest) = match read_many(list, read_line) {
                    Some(found) => found,
                    None => read_line(list).map(|(line, rest)| (vec![line], rest))?,
                };
                let points = lines.into_iter().flatten();
                (points.map(|point| vec![vec![point]]).collect(), rest)
            }
            5 => {
                let (lines, rest) = read_many(list, read_line)?;
                (lines.into_iter().map(|line| vec![line]).collect(), rest)
            }
            _ => read_many(list, |text| read_many(text, read_line))?,
        };
        let geometry = Self { kind, parts };
        let is_whole = kind != POINT_KIND || geometry.places().count() == 1;
        (is_whole && rest.trim().is_empty()).then_some(geometry)
    }

    /// Reads what [`Self::wkb`] writes; None for anything else.
    fn from_wkb(mut bytes: &[u8]) -> Option<Self> {
        let kind = read_kind(&mut bytes)?;
        let parts = if kind <= MULTI {
            vec![read_part(kind, &mut bytes)?]
        } else {
            let mut parts = Vec::new();
            for _ in 0..read_count(&mut bytes)? {
                let of_part = read_kind(&mut bytes)?;
                if of_part + MULTI != kind {
                    return None;
                }
                parts.push(read_part(of_part, &mut bytes)?);
            }
            parts
        };
        (bytes.is_empty() && !parts.is_empty()).then_some(Self { kind, parts })
    }

    fn wkb(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_kind(self.kind, &mut out);
        if self.kind <= MULTI {
            for part in &self.parts {
                write_part(self.kind, part, &mut out);
            }
            return out;
        }
        write_count(self.parts.len(), &mut out);
        for part in &self.parts {
            write_kind(self.kind - MULTI, &mut out);
            write_part(self.kind - MULTI, part, &mut out);
        }
        out
    }

    fn name(&self) -> &'static str {
        NAMES.get(self.kind as usize - 1).copied().unwrap_or("")
    }

    /// Writes WKT; None where that has more than so many bytes: the digits of a number of eight bytes can be hundreds.
    fn wkt(&self, bytes_max: usize) -> Option<String> {
        let is_several = self.kind > MULTI;
        let is_polygon = matches!(self.kind, 3 | 6);
        let mut out = format!("{}(", self.name());
        for (number, part) in self.parts.iter().enumerate() {
            out.push_str(if number > 0 { "," } else { "" });
            out.push_str(if is_several { "(" } else { "" });
            for (number, line) in part.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                out.push_str(if is_polygon { "(" } else { "" });
                for (number, [lon, lat]) in line.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    out.push_str(&format!("{lon} {lat}"));
                    if out.len() > bytes_max {
                        return None;
                    }
                }
                out.push_str(if is_polygon { ")" } else { "" });
            }
            out.push_str(if is_several { ")" } else { "" });
        }
        out.push(')');
        Some(out)
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.parts.iter().flatten().flatten()
    }

    /// Returns where it lies; None where it has no places.
    fn bounds(&self) -> Option<Bounds> {
        let mut places = self.places();
        let [lon, lat] = *places.next()?;
        let mut bounds = Bounds {
            west: lon,
            south: lat,
            east: lon,
            north: lat,
        };
        for [lon, lat] in places {
            bounds.west = bounds.west.min(*lon);
            bounds.south = bounds.south.min(*lat);
            bounds.east = bounds.east.max(*lon);
            bounds.north = bounds.north.max(*lat);
        }
        Some(bounds)
    }

    /// Returns true where any of it lies in bounds, edges included.
    fn meets(&self, bounds: &Bounds) -> bool {
        self.parts.iter().any(|rings| {
            let mut lines = rings.iter();
            let touches = lines.any(|line| match line.as_slice() {
                [place] => bounds.has(place),
                places => places
                    .windows(2)
                    .any(|edge| bounds.is_crossed(&edge[0], &edge[1])),
            });
            let is_polygon = matches!(self.kind, 3 | 6);
            touches || (is_polygon && encloses(rings, [bounds.west, bounds.south]))
        })
    }
}

/// A box of degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bounds {
    fn has(&self, [lon, lat]: &Place) -> bool {
        (self.west..=self.east).contains(lon) && (self.south..=self.north).contains(lat)
    }

    fn meet(&self, other: &Self) -> bool {
        self.west <= other.east
            && other.west <= self.east
            && self.south <= other.north
            && other.south <= self.north
    }

    /// Returns true where a straight line between two places goes through the box: what is left of it between the lines of
    /// its four edges.
    fn is_crossed(&self, [lon1, lat1]: &Place, [lon2, lat2]: &Place) -> bool {
        let (east, north) = (lon2 - lon1, lat2 - lat1);
        let (mut from, mut to) = (0.0_f64, 1.0_f64);
        for (outwards, left) in [
            (-east, lon1 - self.west),
            (east, self.east - lon1),
            (-north, lat1 - self.south),
            (north, self.north - lat1),
        ] {
            if outwards == 0.0 {
                if left < 0.0 {
                    return false;
                }
            } else if outwards < 0.0 {
                from = from.max(left / outwards);
            } else {
                to = to.min(left / outwards);
            }
        }
        from <= to
    }
}

/// Returns true for a place within a polygon: a ray from it crosses its rings an odd number of times.
fn encloses(rings: &[Line], [lon, lat]: Place) -> bool {
    let edges = rings.iter().flat_map(|ring| ring.windows(2));
    let crossed = edges.filter(|edge| {
        let ([lon1, lat1], [lon2, lat2]) = (edge[0], edge[1]);
        (lat1 > lat) != (lat2 > lat) && lon < lon1 + (lat - lat1) / (lat2 - lat1) * (lon2 - lon1)
    });
    crossed.count() % 2 == 1
}

/// Returns WKB with the number of its reference system, as PostGIS's clients read a column of geometries; None for bytes
/// that are no WKB.
pub fn ewkb(wkb: &[u8]) -> Option<Vec<u8>> {
    let mut rest = wkb;
    let kind = read_kind(&mut rest)?;
    let mut out = Vec::with_capacity(wkb.len() + 4);
    write_kind(kind | SRID_FLAG, &mut out);
    out.extend_from_slice(&SRID.to_le_bytes());
    out.extend_from_slice(rest);
    Some(out)
}

/// Reads `(lon lat, lon lat)`; returns it and what follows.
fn read_line(text: &str) -> Option<(Line, &str)> {
    let (inside, rest) = text.trim_start().strip_prefix('(')?.split_once(')')?;
    let line: Option<Line> = inside.split(',').map(read_place).collect();
    Some((line?, rest))
}

fn read_place(text: &str) -> Option<Place> {
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let (lon, lat) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let height = numbers.next();
    let is_whole = height.is_none_or(|height| height.is_ok()) && numbers.next().is_none();
    (is_whole && lon.is_finite() && lat.is_finite()).then_some([lon, lat])
}

/// Reads what is in brackets, with commas between; returns it and what follows.
fn read_many<'a, T>(
    text: &'a str,
    item: impl Fn(&'a str) -> Option<(T, &'a str)>,
) -> Option<(Vec<T>, &'a str)> {
    let mut text = text.trim_start().strip_prefix('(')?;
    let mut items = Vec::new();
    loop {
        let (found, rest) = item(text)?;
        items.push(found);
        let rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix(')') {
            return Some((items, rest));
        }
        text = rest.strip_prefix(',')?;
    }
}

fn read<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn read_count(bytes: &mut &[u8]) -> Option<u32> {
    read::<4>(bytes).map(u32::from_le_bytes)
}

fn read_kind(bytes: &mut &[u8]) -> Option<u32> {
    let [order] = read::<1>(bytes)?;
    let kind = read_count(bytes)?;
    (order == LITTLE_ENDIAN && (1..=NAMES.len() as u32).contains(&kind)).then_some(kind)
}

/// Reads so many places. A count that is too large ends with the bytes; none are no line, or a few bytes would be many lines.
fn read_places(bytes: &mut &[u8], places: u32) -> Option<Line> {
    let mut line = Line::new();
    if places == 0 {
        return None;
    }
    for _ in 0..places {
        let lon = f64::from_le_bytes(read::<8>(bytes)?);
        let lat = f64::from_le_bytes(read::<8>(bytes)?);
        line.push([lon, lat]);
    }
    Some(line)
}

/// Reads a point, a line or a polygon behind its kind.
fn read_part(kind: u32, bytes: &mut &[u8]) -> Option<Vec<Line>> {
    match kind {
        POINT_KIND => Some(vec![read_places(bytes, 1)?]),
        LINE_KIND => {
            let places = read_count(bytes)?;
            Some(vec![read_places(bytes, places)?])
        }
        _ => {
            let mut rings = Vec::new();
            for _ in 0..read_count(bytes)? {
                let places = read_count(bytes)?;
                rings.push(read_places(bytes, places)?);
            }
            (!rings.is_empty()).then_some(rings)
        }
    }
}

fn write_kind(kind: u32, out: &mut Vec<u8>) {
    out.push(LITTLE_ENDIAN);
    out.extend_from_slice(&kind.to_le_bytes());
}

/// A text has fewer places than 32 bits can count.
fn write_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(count as u32).to_le_bytes());
}

fn write_part(kind: u32, lines: &[Line], out: &mut Vec<u8>) {
    if kind == POLYGON_KIND {
        write_count(lines.len(), out);
    }
    for line in lines {
        if kind != POINT_KIND {
            write_count(line.len(), out);
        }
        for number in line.iter().flatten() {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}
