//! Where sensors stand: rows of `stations`, on the publication grid unless the source declares exact locations.
//!
//! place in a message, or in the declaration of a device → [`Stations::emit`] → a row that holds until further notice
//!
//! Its time is since when the place holds, where the message says so. Else it is the receive time, and all that is known
//! is where the sensor stands then: the lake goes on with the period that is under way, or begins another one where the
//! sensor has moved (`meetnet-lake`, `actor/periods.rs`).

use hashbrown::{HashMap, HashSet};
use meetnet_model::column::ColumnType;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::municipality::Municipality;
use meetnet_model::privacy::{STAYED_M_MAX, SnappedPlace, exact_place, metres, snap_place};
use meetnet_model::source::{DeviceDeclaration, SourceDeclaration};

use crate::error::SetupProblem;
use crate::fields::Raw;
use crate::format::Body;
use crate::group::Output;
use crate::identity::check_raw;
use crate::json::read::{self, Reading};
use crate::mapping::{dataset_position, filled_column};

/// The dataset of the stations.
const DATASET: &str = "stations";
/// Places that a group remembers; then it starts afresh.
const PLACES_CACHED_MAX: usize = 16_384;

/// Fills `stations`.
#[derive(Clone, Debug)]
pub(crate) struct Stations {
    dataset: usize,
    id: usize,
    valid_from: usize,
    name: usize,
    kind: usize,
    lon: usize,
    lat: usize,
    h3_r7: usize,
    h3_r9: usize,
    /// None where a city's own declaration does without.
    municipality: Option<usize>,
}

/// One station, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station<'a> {
    /// The sensor id that its rows carry, namespace included.
    pub(crate) id: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    /// Longitude and latitude, WGS 84.
    pub(crate) place: (f64, f64),
    /// Since when it stands there, µs UTC.
    pub(crate) since: Option<i64>,
}

impl Stations {
    /// Returns none where the dataset is not declared: then its rows are not wanted.
    pub(crate) fn compile(declarations: &Declarations) -> Result<Option<Self>, SetupProblem> {
        if declarations.dataset(DATASET).is_none() {
            return Ok(None);
        }
        let (dataset, declared) = dataset_position(declarations, DATASET)?;
        let column = |name, column_type| filled_column(declared, name, column_type);
        Ok(Some(Self {
            dataset,
            id: column("id", ColumnType::Text)?,
            valid_from: column("valid_from", ColumnType::Timestamp)?,
            name: column("name", ColumnType::Text)?,
            kind: column("kind", ColumnType::Text)?,
            lon: column("lon", ColumnType::Float)?,
            lat: column("lat", ColumnType::Float)?,
            h3_r7: column("h3_r7", ColumnType::Int)?,
            h3_r9: column("h3_r9", ColumnType::Int)?,
            municipality: municipality_column(declared),
        }))
    }

    /// The number of its dataset.
    #[cfg(test)]
    pub(crate) fn dataset(&self) -> usize {
        self.dataset
    }

    /// Makes the row of a station that a body tells of, unless the source declares where it stands.
    pub(crate) fn see(
        &self,
        station: &Station<'_>,
        body: &Body<'_>,
        excerpt: &str,
        output: &mut Output,
    ) {
        let of_source = &body.common.stations;
        if !of_source.declares(station.id) {
            let received_at = body.envelope.received_at;
            self.emit(station, None, of_source, received_at, excerpt, output);
        }
    }

    /// Makes the row of a station, of a message that was received at `received_at`. A place that is none on Earth makes no
    /// row, and nor does 0, 0: so senders write that they do not know. `municipality` is that of this place, where it is declared.
    fn emit(
        &self,
        station: &Station<'_>,
        municipality: Option<&str>,
        of_source: &DeclaredStations,
        received_at: i64,
        excerpt: &str,
        output: &mut Output,
    ) {
        let (lon, lat) = station.place;
        let place = output.places.publish(lon, lat, of_source.are_exact);
        let Some(place) = place.filter(|_| (lon, lat) != (0.0, 0.0)) else {
            return;
        };
        let row = output.draft(self.dataset);
        row.set_text(self.id, station.id);
        match station.since {
            Some(since) => row.set_int(self.valid_from, since),
            None => row.set_receive_time(self.valid_from, received_at),
        }
        if let Some(name) = station.name {
            row.set_text(self.name, name);
        }
        if let Some(kind) = station.kind {
            row.set_text(self.kind, kind);
        }
        row.set_float(self.lon, place.lon);
        row.set_float(self.lat, place.lat);
        row.set_int(self.h3_r7, place.h3_r7);
        row.set_int(self.h3_r9, place.h3_r9);
        if let (Some(column), Some(municipality)) = (
            self.municipality,
            municipality.or_else(|| of_source.municipality_of(station.id, place)),
        ) {
            row.set_text(column, municipality);
        }
        output.finish_row(self.dataset, excerpt);
    }
}

/// Returns the position of the municipality in a dataset of places; none where it has none.
pub(crate) fn municipality_column(declared: &DatasetDeclaration) -> Option<usize> {
    let at = declared.column_index("municipality")?;
    (declared.columns[at].column_type == ColumnType::Text).then_some(at)
}

/// The places that a group has met, so that a sensor costs two H3 cells once and not with every poll.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// By the bits of longitude and latitude, and whether the place is published as it is.
    known: HashMap<(u64, u64, bool), Option<SnappedPlace>>,
}

impl Places {
    fn publish(&mut self, lon: f64, lat: f64, is_exact: bool) -> Option<SnappedPlace> {
        if self.known.len() >= PLACES_CACHED_MAX {
            self.known.clear();
        }
        let key = (lon.to_bits(), lat.to_bits(), is_exact);
        *self.known.entry(key).or_insert_with(|| {
            if is_exact {
                exact_place(lon, lat)
            } else {
                snap_place(lon, lat)
            }
        })
    }
}

/// Reads a place whose coordinates stand apart; none where one is missing or is no number.
pub(crate) fn place(longitude: Option<Raw<'_>>, latitude: Option<Raw<'_>>) -> Option<(f64, f64)> {
    match (read::number(longitude), read::number(latitude)) {
        (Reading::Value(longitude), Reading::Value(latitude)) => Some((longitude, latitude)),
        _ => None,
    }
}

/// What a source declares of its stations: with its devices those of which a place is known; municipalities; and whether places
/// are exact.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeclaredStations {
    /// None where there is none to tell, or nobody wants them.
    stations: Option<Stations>,
    declared: Vec<DeclaredStation>,
    ids: HashSet<Box<str>>,
    /// Of all places that lie in none of the areas.
    municipality: Option<Box<str>>,
    areas: Vec<Municipality>,
    /// By sensor id: of devices that say one.
    municipalities: HashMap<Box<str>, Box<str>>,
    are_exact: bool,
}

#[derive(Clone, Debug)]
struct DeclaredStation {
    id: Box<str>,
    name: Option<Box<str>>,
    municipality: Option<Box<str>>,
    since: Option<i64>,
    place: (f64, f64),
}

/// Returns where each station stands, in the order in which it is declared, and one station's places in that of their times.
///
/// Devices follow one another at a station. Where all stand at one place, the first that is declared says where that is. Where
/// the station has moved, each place holds from its `since` on, and who says none cannot be put among them: configuration
/// refuses that.
fn places_in_turn(declared: impl Iterator<Item = DeclaredStation>) -> Vec<DeclaredStation> {
    let mut stations: Vec<Vec<DeclaredStation>> = Vec::new();
    let mut known: HashMap<Box<str>, usize> = HashMap::new();
    for device in declared {
        let at = *known.entry(device.id.clone()).or_insert(stations.len());
        match stations.get_mut(at) {
            Some(devices) => devices.push(device),
            None => stations.push(vec![device]),
        }
    }
    let is_elsewhere =
        |a: &DeclaredStation, b: &DeclaredStation| metres(a.place, b.place) > STAYED_M_MAX;
    for devices in &mut stations {
        let has_moved = devices
            .iter()
            .any(|device| is_elsewhere(&devices[0], device));
        let says_when = devices.iter().any(|device| device.since.is_some());
        if !has_moved || !says_when {
            devices.truncate(1);
            continue;
        }
        devices.retain(|device| device.since.is_some());
        devices.sort_by_key(|device| device.since);
        devices.dedup_by(|next, before| next.since == before.since || !is_elsewhere(before, next));
    }
    stations.into_iter().flatten().collect()
}

impl DeclaredStations {
    /// Compiles the devices of a source; hardware ids must have been replaced by their pseudonyms.
    pub(crate) fn compile(
        source: &SourceDeclaration,
        declarations: &Declarations,
    ) -> Result<Self, SetupProblem> {
        let sensor_id = |device: &DeviceDeclaration| -> Option<Box<str>> {
            // Of a pattern, or of an id that may be of several kinds, it is not known which sensor ids its rows carry.
            let id = match (&device.station, device.pseudonyms.as_slice()) {
                (Some(station), _) => check_raw(station).ok()?,
                (None, [pseudonym]) => pseudonym.as_str(),
                (None, []) => check_raw(&device.id).ok().filter(|id| !id.contains('*'))?,
                (None, _) => return None,
            };
            Some(format!("{}-{id}", source.namespace).into())
        };
        let station = |device: &DeviceDeclaration| {
            let place = device.longitude.zip(device.latitude)?;
            Some(DeclaredStation {
                id: sensor_id(device)?,
                name: device.name.as_deref().map(Into::into),
                municipality: device.municipality.as_deref().map(Into::into),
                since: device.since,
                place,
            })
        };
        let declared = places_in_turn(source.devices.iter().filter_map(station));
        let ids = declared.iter().map(|station| station.id.clone()).collect();
        let mut municipalities: HashMap<Box<str>, Box<str>> = HashMap::new();
        for device in &source.devices {
            if let (Some(municipality), Some(id)) = (&device.municipality, sensor_id(device)) {
                municipalities
                    .entry(id)
                    .or_insert_with(|| municipality.as_str().into());
            }
        }
        // Of a station that has moved, the municipality of one place is not that of the other.
        for pair in declared.windows(2).filter(|pair| pair[0].id == pair[1].id) {
            municipalities.remove(&pair[0].id);
        }
        let stations = if declared.is_empty() {
            None
        } else {
            Stations::compile(declarations)?
        };
        Ok(Self {
            stations,
            declared,
            ids,
            municipality: source.municipality.as_deref().map(Into::into),
            areas: source.municipalities.clone(),
            municipalities,
            are_exact: source.exact_location,
        })
    }

    /// Returns the municipality that a published place lies in, by the areas that are declared, else the one that the source
    /// declares of all.
    pub(crate) fn municipality_at(&self, place: SnappedPlace) -> Option<&str> {
        let mut areas = self.areas.iter();
        let area = areas.find(|area| area.holds(place.lon, place.lat));
        area.map(|area| area.name.as_str())
            .or(self.municipality.as_deref())
    }

    fn municipality_of(&self, id: &str, place: SnappedPlace) -> Option<&str> {
        let own = self.municipalities.get(id).map(|own| &**own);
        own.or_else(|| self.municipality_at(place))
    }

    /// The number of the dataset that its stations become rows of; none where it declares no place.
    #[cfg(test)]
    pub(crate) fn dataset(&self) -> Option<usize> {
        self.stations.as_ref().map(Stations::dataset)
    }

    fn declares(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Makes a row of each.
    pub(crate) fn emit(&self, received_at: i64, output: &mut Output) {
        let Some(stations) = &self.stations else {
            return;
        };
        for station in &self.declared {
            let municipality = station.municipality.as_deref();
            let row = Station {
                id: &station.id,
                name: station.name.as_deref(),
                kind: None,
                place: station.place,
                since: station.since,
            };
            stations.emit(&row, municipality, self, received_at, "", output);
        }
    }
}

#[cfg(test)]
mod tests;
