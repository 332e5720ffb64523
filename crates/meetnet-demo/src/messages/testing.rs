//! What the tests of several formats share.

use crate::sensors::WeatherReading;

/// 2026-11-20 11:00 UTC.
pub(crate) const NOON_S: i64 = 1_795_172_400;

/// A reading of a station without wind and rain.
pub(crate) fn reading(temperature: f64, humidity: f64) -> WeatherReading {
    WeatherReading {
        temperature,
        humidity,
        wind_speed: None,
        rain_rate: None,
        battery_v: 3.0,
    }
}
