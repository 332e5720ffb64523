//! Device registries: which station a device belongs to, where it stands, how it is calibrated.
//!
//! text of a CSV or TOML file → [`DeviceDeclaration`]s with their lines, or everything that is wrong with it
//!
//! ```csv
//! id,station,name,municipality,since,latitude,longitude,scale.pm2_5,offset.pm2_5,constant.segment_id
//! esp8266-1234567,bondgenotenlaan,Bondgenotenlaan 1,Leuven,2025-03-01,50.8796,4.7009,0.82,-1.1,
//! ```
//!
//! Columns are separated by commas, semicolons or tabs, whichever the header has; cells may stand in double quotes; an
//! empty cell says nothing, and lines that begin with `#` are passed over. A TOML registry has `[[device]]` tables with the
//! keys of `[[source.device]]`. The place is put on the publication grid here, so that no other one gets any further, unless
//! the source declares exact locations.
//! Errors name file and line and repeat no id: it may be a hardware id.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::declarations::DeclarationError;
use crate::privacy::{exact_place, snap_place};
use crate::source::{Calibration, Constant, DeviceDeclaration, MapEntry};
use crate::time::day_or_time;

/// Devices that one registry may have: every journal segment opens with all of them.
pub const DEVICES_MAX: usize = 20_000;

/// A device as a person writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenDevice {
    id: String,
    station: Option<String>,
    name: Option<String>,
    municipality: Option<String>,
    since: Option<String>,
    longitude: Option<f64>,
    latitude: Option<f64>,
    #[serde(default)]
    map: Vec<MapEntry>,
    #[serde(default)]
    constants: BTreeMap<String, Constant>,
    #[serde(default)]
    calibration: BTreeMap<String, Calibration>,
}

impl WrittenDevice {
    /// Returns the declaration, its place on the publication grid, or as it is where `is_exact`; on error, says what is wrong
    /// with it.
    pub fn declare(self, is_exact: bool) -> Result<DeviceDeclaration, String> {
        let place = match (self.longitude, self.latitude) {
            (None, None) => None,
            (Some(longitude), Some(latitude)) => {
                let publish = if is_exact { exact_place } else { snap_place };
                let place = publish(longitude, latitude);
                Some(
                    place.ok_or(
                        "longitude and latitude are no place on Earth; write degrees, WGS 84",
                    )?,
                )
            }
            _ => return Err("a place needs `longitude` and `latitude`; add the other".to_owned()),
        };
        if self.id.trim().is_empty() {
            return Err("the id is empty; write what the device calls itself".to_owned());
        }
        let since = match self.since.as_deref().map(day_or_time) {
            None => None,
            Some(Some(since)) => Some(since),
            Some(None) => {
                return Err(
                    "`since` is no day (2026-01-31) and no time with its offset; write one of them"
                        .to_owned(),
                );
            }
        };
        Ok(DeviceDeclaration {
            id: self.id,
            pseudonyms: Vec::new(),
            station: self.station,
            name: self.name,
            since,
            municipality: self.municipality,
            longitude: place.map(|place| place.lon),
            latitude: place.map(|place| place.lat),
            map: self.map,
            constants: self.constants,
            calibration: self.calibration,
        })
    }
}

/// A device of a registry, and the line it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredDevice {
    /// The device.
    pub device: DeviceDeclaration,
    /// Its line, 1 first.
    pub line: usize,
}

/// Reads a registry; `file` names it in errors, and is TOML where it ends in `.toml`, else CSV. Places are put on the publication
/// grid unless they `are_exact`.
pub fn read(
    file: &str,
    text: &str,
    are_exact: bool,
) -> Result<Vec<RegisteredDevice>, Vec<DeclarationError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let written = if file.ends_with(".toml") {
        read_toml(text)
    } else {
        read_csv(text)
    };
    let mut devices = Vec::new();
    let mut faults = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    match written {
        Err(fault) => faults.push(fault),
        Ok(written) => {
            for (line, device) in written {
                let declared = device.and_then(|device| device.declare(are_exact));
                match declared {
                    Err(message) => faults.push((line, message)),
                    Ok(device) => match lines.insert(device.id.trim().to_owned(), line) {
                        Some(other) => {
                            let message =
                                format!("line {other} has the same id; keep one of the two");
                            faults.push((line, message));
                        }
                        None => devices.push(RegisteredDevice { device, line }),
                    },
                }
            }
        }
    }
    if devices.len() > DEVICES_MAX {
        let message = format!("more than {DEVICES_MAX} devices; split them over several sources");
        faults.push((devices[DEVICES_MAX].line, message));
    }
    if faults.is_empty() {
        return Ok(devices);
    }
    let located = |(line, message)| DeclarationError {
        file: file.to_owned(),
        line: Some(line),
        message,
    };
    Err(faults.into_iter().map(located).collect())
}

/// What stands in one line: a device, or what is wrong with it.
type Written = (usize, Result<WrittenDevice, String>);

fn read_toml(text: &str) -> Result<Vec<Written>, (usize, String)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        device: Vec<Spanned<WrittenDevice>>,
    }
    let line_of = |at: usize| {
        let before = text.get(..at).unwrap_or(text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        (line, error.message().trim().replace('\n', ", "))
    })?;
    let device = |device: Spanned<WrittenDevice>| {
        let line = line_of(device.span().start);
        (line, Ok(device.into_inner()))
    };
    Ok(file.device.into_iter().map(device).collect())
}

/// A column of a CSV registry.
enum Column {
    Id,
    Station,
    Name,
    Municipality,
    Since,
    Longitude,
    Latitude,
    Scale(String),
    Offset(String),
    Constant(String),
}

fn read_csv(text: &str) -> Result<Vec<Written>, (usize, String)> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((line, header)) = lines.next() else {
        return Err((
            1,
            "the registry is empty; its first line names the columns".to_owned(),
        ));
    };
    let separators = [',', ';', '\t'];
    let separator = separators
        .into_iter()
        .find(|separator| header.contains(*separator));
    let separator = separator.unwrap_or(',');
    let columns = split_cells(header, separator)
        .and_then(|cells| {
            cells
                .iter()
                .map(|cell| column(cell))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|message| (line, message))?;
    if !columns.iter().any(|column| matches!(column, Column::Id)) {
        return Err((
            line,
            "no column `id`; add what each device calls itself".to_owned(),
        ));
    }
    Ok(lines
        .map(|(line, text)| {
            (
                line,
                split_cells(text, separator).and_then(|cells| device(&columns, cells)),
            )
        })
        .collect())
}

fn column(name: &str) -> Result<Column, String> {
    let of = |name: &str| name.to_owned();
    Ok(match name.split_once('.') {
        None => match name {
            "id" => Column::Id,
            "station" => Column::Station,
            "name" => Column::Name,
            "municipality" => Column::Municipality,
            "since" => Column::Since,
            "longitude" => Column::Longitude,
            "latitude" => Column::Latitude,
            _ => return Err(unknown_column(name)),
        },
        Some(("scale", of_what)) => Column::Scale(of(of_what)),
        Some(("offset", of_what)) => Column::Offset(of(of_what)),
        Some(("constant", of_what)) => Column::Constant(of(of_what)),
        Some(_) => return Err(unknown_column(name)),
    })
}

fn unknown_column(name: &str) -> String {
    format!(
        "unknown column `{name}`; there are id, station, name, municipality, since, latitude, longitude, \
         scale.PROPERTY, offset.PROPERTY and constant.COLUMN"
    )
}

fn device(columns: &[Column], cells: Vec<String>) -> Result<WrittenDevice, String> {
    if cells.len() != columns.len() {
        return Err(format!(
            "{} cells, but the first line names {} columns; quote cells that hold a separator",
            cells.len(),
            columns.len()
        ));
    }
    let mut device = WrittenDevice::default();
    for (column, cell) in columns.iter().zip(cells) {
        if cell.is_empty() {
            continue;
        }
        match column {
            Column::Id => device.id = cell,
            Column::Station => device.station = Some(cell),
            Column::Name => device.name = Some(cell),
            Column::Municipality => device.municipality = Some(cell),
            Column::Since => device.since = Some(cell),
            Column::Longitude => device.longitude = Some(number("longitude", &cell)?),
            Column::Latitude => device.latitude = Some(number("latitude", &cell)?),
            Column::Scale(of) => calibration(&mut device, of).scale = number("scale", &cell)?,
            Column::Offset(of) => calibration(&mut device, of).offset = number("offset", &cell)?,
            Column::Constant(of) => {
                device.constants.insert(of.clone(), constant(cell));
            }
        }
    }
    Ok(device)
}

fn calibration<'d>(device: &'d mut WrittenDevice, of: &str) -> &'d mut Calibration {
    device
        .calibration
        .entry(of.to_owned())
        .or_insert(Calibration {
            scale: 1.0,
            offset: 0.0,
        })
}

fn number(what: &str, cell: &str) -> Result<f64, String> {
    let number: Option<f64> = cell.parse().ok();
    number.filter(|number| number.is_finite()).ok_or_else(|| {
        format!("`{what}` is not a number; write digits with a point, such as 50.8796")
    })
}

fn constant(cell: String) -> Constant {
    if let Ok(value) = cell.parse() {
        return Constant::Int(value);
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => Constant::Float(value),
        _ => match cell.as_str() {
            "true" => Constant::Bool(true),
            "false" => Constant::Bool(false),
            _ => Constant::Text(cell),
        },
    }
}

/// Splits a line into its cells. A cell in double quotes may hold separators, and quotes where they are doubled; no
/// cell goes on in the next line.
pub fn split_cells(line: &str, separator: char) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(' ');
        let Some(quoted) = rest.strip_prefix('"') else {
            let (cell, tail) = match rest.split_once(separator) {
                Some((cell, tail)) => (cell, Some(tail)),
                None => (rest, None),
            };
            cells.push(cell.trim().to_owned());
            match tail {
                Some(tail) => rest = tail,
                None => return Ok(cells),
            }
            continue;
        };
        let mut cell = String::new();
        let mut tail = quoted;
        loop {
            let (part, behind) = tail
                .split_once('"')
                .ok_or("a quote is not closed; cells end in the line they begin in")?;
            cell.push_str(part);
            match behind.strip_prefix('"') {
                Some(more) => {
                    cell.push('"');
                    tail = more;
                }
                None => {
                    tail = behind.trim();
                    break;
                }
            }
        }
        cells.push(cell);
        if tail.is_empty() {
            return Ok(cells);
        }
        rest = tail
            .strip_prefix(separator)
            .ok_or("text behind a closing quote; double the quotes within a cell")?;
    }
}

#[cfg(test)]
mod tests;
