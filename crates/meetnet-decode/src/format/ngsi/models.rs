//! What entities of the Smart Data Models mean: their attributes by property, the units they are in where they state
//! none, and the UN/CEFACT codes by which they state one.

use meetnet_model::column::ColumnType;
use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;

use crate::error::SetupProblem;
use crate::fields::{Fields, Raw, Slot, WantedPlaces};
use crate::format::Body;
use crate::group::Output;
use crate::instant::{Period, TimeFault};
use crate::json::read::{self, Reading};
use crate::mapping::{UnitCodes, dataset_position, filled_column};
use meetnet_model::source::Place;

/// Attribute, property and unit where none is stated.
type Field = (&'static str, &'static str, &'static str);

/// Entity types that need no `map`, as far as their properties are declared.
pub(super) const MODELS: &[(&str, &[Field])] = &[
    ("AirQualityObserved", AIR_QUALITY),
    ("WeatherObserved", WEATHER),
    ("WasteContainer", WASTE),
];

/// Concentrations are in µg/m³ and carbon monoxide in mg/m³ in every published example; humidity is a share of 1.
const AIR_QUALITY: &[Field] = &[
    ("pm1", "pm1", "ug/m3"),
    ("pm25", "pm2_5", "ug/m3"),
    ("pm2_5", "pm2_5", "ug/m3"),
    ("PM2.5", "pm2_5", "ug/m3"),
    ("pm4", "pm4", "ug/m3"),
    ("pm10", "pm10", "ug/m3"),
    ("PM10", "pm10", "ug/m3"),
    ("no", "no", "ug/m3"),
    ("NO", "no", "ug/m3"),
    ("no2", "no2", "ug/m3"),
    ("NO2", "no2", "ug/m3"),
    ("o3", "o3", "ug/m3"),
    ("O3", "o3", "ug/m3"),
    ("so2", "so2", "ug/m3"),
    ("SO2", "so2", "ug/m3"),
    ("co", "co", "mg/m3"),
    ("CO", "co", "mg/m3"),
    ("co2", "co2", "[ppm]"),
    ("CO2", "co2", "[ppm]"),
    ("temperature", "air_temperature", "Cel"),
    ("relativeHumidity", "relative_humidity", "1"),
    ("windSpeed", "wind_speed", "m/s"),
    ("windDirection", "wind_direction", "deg"),
];

/// `uVIndexMax` and `feelsLikeTemperature` are computed, not observed.
const WEATHER: &[Field] = &[
    ("temperature", "air_temperature", "Cel"),
    ("dewPoint", "dew_point", "Cel"),
    ("relativeHumidity", "relative_humidity", "1"),
    ("atmosphericPressure", "air_pressure", "hPa"),
    ("windSpeed", "wind_speed", "m/s"),
    ("gustSpeed", "wind_gust", "m/s"),
    ("windDirection", "wind_direction", "deg"),
    ("precipitation", "rainfall", "mm"),
    ("solarRadiation", "solar_irradiance", "W/m2"),
];

/// A share of 1, of a dataset that a city declares itself.
const WASTE: &[Field] = &[("fillingLevel", "fill_level", "1")];

/// UN/CEFACT Recommendation 20 codes of what a property can be, with their UCUM codes.
pub(super) const UNITS: &UnitCodes = &[
    ("CEL", "Cel"),
    ("FAH", "[degF]"),
    ("KEL", "K"),
    ("C62", "1"),
    ("P1", "%"),
    ("59", "[ppm]"),
    ("61", "[ppb]"),
    ("PAL", "Pa"),
    ("A97", "hPa"),
    ("KPA", "kPa"),
    ("BAR", "bar"),
    ("MBR", "mbar"),
    ("ATM", "atm"),
    ("HN", "mm[Hg]"),
    ("F79", "[in_i'Hg]"),
    ("MTS", "m/s"),
    ("KMH", "km/h"),
    ("HM", "[mi_i]/h"),
    ("KNT", "[kn_i]"),
    ("MMT", "mm"),
    ("CMT", "cm"),
    ("MTR", "m"),
    ("INH", "[in_i]"),
    ("H67", "mm/h"),
    ("GQ", "ug/m3"),
    ("GP", "mg/m3"),
    ("A93", "g/m3"),
    ("D54", "W/m2"),
    ("DD", "deg"),
    ("C81", "rad"),
    ("LUX", "lx"),
    ("KLX", "klx"),
    // Decibels of an attribute that the map says is a sound level.
    ("2N", "dB[A]"),
    ("SEC", "s"),
    ("C26", "ms"),
    ("MIN", "min"),
    ("HUR", "h"),
    ("DAY", "d"),
    ("LTR", "L"),
    ("MTQ", "m3"),
    ("G51", "L/s"),
    ("MQS", "m3/s"),
    ("MQH", "m3/h"),
    ("GRM", "g"),
    ("KGM", "kg"),
    ("VLT", "V"),
    ("2Z", "mV"),
    ("AMP", "A"),
    ("4K", "mA"),
    ("WTT", "W"),
    ("KWT", "kW"),
    ("WHR", "W.h"),
    ("KWH", "kW.h"),
    ("MWH", "MW.h"),
    ("JOU", "J"),
    ("KJO", "kJ"),
    ("3B", "MJ"),
    ("HTZ", "Hz"),
];

/// The dataset that traffic counts become rows of.
pub(super) const TRAFFIC: &str = "traffic";
/// The type of entities that are traffic counts.
pub(super) const TRAFFIC_TYPE: &str = "TrafficFlowObserved";
/// Vehicle types and the columns that count them.
const VEHICLES: &[(&str, &str)] = &[
    ("car", "car"),
    ("carOrLightVehicle", "car"),
    ("bicycle", "bike"),
    ("lorry", "heavy"),
    ("bus", "heavy"),
    ("heavyVehicle", "heavy"),
];

/// Makes rows of `TrafficFlowObserved`: `intensity` is the number of vehicles of `vehicleType` in the interval.
///
/// A row needs the number of a segment, so the entity's id must be one (`urn:ngsi-ld:TrafficFlowObserved:9000001463`),
/// and the kind of vehicle: no column counts vehicles of unknown kind. Other entities need a `map`.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    dataset: usize,
    segment_id: usize,
    interval_s: usize,
    time: usize,
    intensity: Slot,
    vehicle_type: Slot,
    /// Vehicle types and the positions of their columns.
    vehicles: Vec<(&'static str, usize)>,
}

impl Traffic {
    pub(super) fn compile(
        declarations: &Declarations,
        places: &mut dyn WantedPlaces,
    ) -> Result<Self, SetupProblem> {
        let (number, dataset) = dataset_position(declarations, TRAFFIC)?;
        let vehicle = |(name, column): &(&'static str, &'static str)| {
            let position = dataset.column_index(column)?;
            let is_count = dataset.columns[position].column_type == ColumnType::Float;
            is_count.then_some((*name, position))
        };
        Ok(Self {
            dataset: number,
            segment_id: filled_column(dataset, "segment_id", ColumnType::Int)?,
            interval_s: filled_column(dataset, "interval_s", ColumnType::Int)?,
            time: filled_column(dataset, "time", ColumnType::Timestamp)?,
            intensity: places.want(Place::Field("intensity"))?,
            vehicle_type: places.want(Place::Field("vehicleType"))?,
            vehicles: VEHICLES.iter().filter_map(vehicle).collect(),
        })
    }

    /// The number of its dataset.
    #[cfg(test)]
    pub(super) fn dataset(&self) -> usize {
        self.dataset
    }

    /// Makes the row of one entity, or the reject that says why it is none.
    pub(super) fn emit(
        &self,
        body: &Body<'_>,
        id: Option<Raw<'_>>,
        period: Result<Option<Period>, TimeFault>,
        values: &Fields<'_, '_>,
        excerpt: &str,
        output: &mut Output,
    ) {
        if let Err((reason, message)) = self.try_emit(body, id, period, values, excerpt, output) {
            output.reject(reason, message, excerpt);
        }
    }

    fn try_emit(
        &self,
        body: &Body<'_>,
        id: Option<Raw<'_>>,
        period: Result<Option<Period>, TimeFault>,
        values: &Fields<'_, '_>,
        excerpt: &str,
        output: &mut Output,
    ) -> Result<(), (RejectReason, String)> {
        let fault = |reason, message: &str| (reason, message.to_owned());
        let segment_id = match read::text(id) {
            Reading::Value(id) => id
                .rsplit(':')
                .next()
                .and_then(|number| number.parse::<i64>().ok()),
            Reading::Missing | Reading::Wrong => None,
        };
        let segment_id: i64 = segment_id.filter(|number| *number > 0).ok_or_else(|| {
            fault(
                RejectReason::UnknownPlace,
                "the entity's `id` does not end in the number of a segment (`…:9000001463`); add a `map` that says \
                 which attributes are columns of `traffic`",
            )
        })?;
        let period = period.map_err(|fault| (fault.reason, fault.message))?;
        let (start, interval_s) = match period {
            Some(Period {
                start,
                interval_s: Some(interval_s),
            }) => (start, interval_s),
            Some(_) | None => {
                return Err(fault(
                    RejectReason::MissingField,
                    "the entity does not say which interval its count is of: neither `dateObservedFrom` and \
                     `dateObservedTo`, nor an interval in `dateObserved`",
                ));
            }
        };
        let time = body
            .check_time(start)
            .map_err(|fault| (fault.reason, fault.message))?;
        let vehicle = match read::text(values.raw(self.vehicle_type)) {
            Reading::Value(vehicle) => self.vehicles.iter().find(|(name, _)| **name == *vehicle),
            Reading::Missing | Reading::Wrong => None,
        };
        let (_, column) = vehicle.ok_or_else(|| {
            fault(
                RejectReason::NoMappedValue,
                "no column of `traffic` counts vehicles of this `vehicleType`, or of any; add a `map` that says which \
                 column takes `intensity`",
            )
        })?;
        let intensity = match read::number(values.raw(self.intensity)) {
            Reading::Value(value) if !body.common.sentinels.has(value) => value,
            Reading::Value(_) | Reading::Missing => {
                return Err(fault(
                    RejectReason::NoMappedValue,
                    "the entity has no `intensity`",
                ));
            }
            Reading::Wrong => {
                return Err(fault(
                    RejectReason::WrongType,
                    "`intensity` is not a number",
                ));
            }
        };
        let row = output.draft(self.dataset);
        row.set_int(self.segment_id, segment_id);
        row.set_int(self.interval_s, interval_s);
        row.set_int(self.time, time);
        row.set_float(*column, intensity);
        output.finish_row(self.dataset, excerpt);
        Ok(())
    }
}
