//! What stations that upload to Weather Underground call their values.
//!
//! - `rainin` is the rain of the past 60 minutes, so it is that hour's mean rate. As `rainfall` it would be counted over
//!   and over, since it is sent every few seconds. Sums since midnight are left to the source's `map`.
//! - HP1001 consoles send metric values under names of their own, and in `UV` an irradiance, which is no index.
//! - `-9999` stands for a sensor that is not there or not heard.

use super::Known;

/// No such sensor.
pub(super) const NO_SENSOR: f64 = -9999.0;
/// Names that only HP1001 consoles send.
pub(super) const HP1001: [&str; 2] = ["outtemp", "light"];
/// The temperature outdoors: where it is lost, the rain gauge beside it is not heard either, and its 0.00 says nothing.
pub(super) const OUTDOORS: [&str; 2] = ["tempf", "outtemp"];
/// What the names of all rain fields have in them.
pub(super) const RAIN: &str = "rain";
/// An index, except from HP1001 consoles.
pub(super) const UV: &str = "uv";

pub(super) const KNOWN: [Known; 21] = [
    ("tempf", "air_temperature", "[degF]"),
    ("outtemp", "air_temperature", "Cel"),
    ("humidity", "relative_humidity", "%"),
    ("outhumi", "relative_humidity", "%"),
    ("dewptf", "dew_point", "[degF]"),
    ("dewpoint", "dew_point", "Cel"),
    ("absbaromin", "air_pressure", "[in_i'Hg]"),
    ("absbaro", "air_pressure", "hPa"),
    ("baromin", "sea_level_pressure", "[in_i'Hg]"),
    ("relbaro", "sea_level_pressure", "hPa"),
    ("windspeedmph", "wind_speed", "[mi_i]/h"),
    ("windspeed", "wind_speed", "km/h"),
    ("windgustmph", "wind_gust", "[mi_i]/h"),
    ("windgust", "wind_gust", "km/h"),
    ("winddir", "wind_direction", "deg"),
    ("rainin", "rain_rate", "[in_i]/h"),
    ("rainrate", "rain_rate", "mm/h"),
    ("solarradiation", "solar_irradiance", "W/m2"),
    (UV, "uv_index", "1"),
    ("aqpm2.5", "pm2_5", "ug/m3"),
    ("aqpm10", "pm10", "ug/m3"),
];
