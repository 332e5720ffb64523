//! What Ecowitt gateways and consoles (and their many other brands) call their values.
//!
//! Only what is measured outdoors at the station itself is known. Indoor values (`tempinf`, `humidityin`), further
//! channels (`temp1f`, `soilmoisture1`, `pm25_ch1`, `co2`), whose place nobody knows, and sums since some midnight or
//! other (`dailyrainin`, `totalrainin`) become rows where the source's `map` says so.

use super::Known;

/// In the units whose names the keys carry. The second name of a property is another sensor's (`_piezo`: WS90).
pub(super) const IMPERIAL: [Known; 13] = [
    ("tempf", "air_temperature", "[degF]"),
    ("humidity", "relative_humidity", "%"),
    ("bgt", "globe_temperature", "[degF]"),
    ("wbgt", "wbgt", "[degF]"),
    ("baromabsin", "air_pressure", "[in_i'Hg]"),
    ("baromrelin", "sea_level_pressure", "[in_i'Hg]"),
    ("windspeedmph", "wind_speed", "[mi_i]/h"),
    ("windgustmph", "wind_gust", "[mi_i]/h"),
    ("winddir", "wind_direction", "deg"),
    ("rainratein", "rain_rate", "[in_i]/h"),
    ("rrain_piezo", "rain_rate", "[in_i]/h"),
    ("solarradiation", "solar_irradiance", "W/m2"),
    ("uv", "uv_index", "1"),
];

/// In metric units, under the same keys: what some firmware sends once its display is switched to them.
pub(super) const METRIC: [Known; 13] = [
    ("tempf", "air_temperature", "Cel"),
    ("humidity", "relative_humidity", "%"),
    ("bgt", "globe_temperature", "Cel"),
    ("wbgt", "wbgt", "Cel"),
    ("baromabsin", "air_pressure", "hPa"),
    ("baromrelin", "sea_level_pressure", "hPa"),
    ("windspeedmph", "wind_speed", "km/h"),
    ("windgustmph", "wind_gust", "km/h"),
    ("winddir", "wind_direction", "deg"),
    ("rainratein", "rain_rate", "mm/h"),
    ("rrain_piezo", "rain_rate", "mm/h"),
    ("solarradiation", "solar_irradiance", "W/m2"),
    ("uv", "uv_index", "1"),
];
