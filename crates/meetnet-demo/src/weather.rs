//! The weather over the whole city at an instant, and the air that it carries: the sky every sensor is under.
//!
//! ```text
//! Moment + noise ──▶ Weather ──▶ Sky (weather, background of fine dust, mood of the traffic) ──▶ sensors
//! ```
//!
//! It is a believable likeness, not a forecast: means and spreads are those of central Belgium, the course is chance.

use crate::calendar::{DayKind, Moment};
use crate::noise::Noise;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// The weather in the open field near the city, at 30 m above the sea.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// Air temperature, °C.
    pub temperature: f64,
    /// Dew point, °C.
    pub dew_point: f64,
    /// Share of the sky under clouds, `0..=1`.
    pub cloud: f64,
    /// Rain, mm/h.
    pub rain_rate: f64,
    /// Wind speed, m/s.
    pub wind_speed: f64,
    /// Pressure at sea level, hPa.
    pub pressure: f64,
    /// Sunlight on a level surface, W/m².
    pub irradiance: f64,
}

impl Weather {
    /// Returns the weather at `moment`; `noise` is the city's.
    pub fn at(noise: Noise, moment: &Moment) -> Self {
        let second = moment.second;
        let wander = |stream: u64, scale_s: i64| noise.stream(stream).smooth(second, scale_s);

        // One slow wave of wet and dry spells drives clouds, rain and humidity, so that they agree.
        let wet = wander(1, 52 * HOUR_S);
        let cloud = (0.56 + 0.42 * wet + 0.25 * wander(2, 7 * HOUR_S)).clamp(0.0, 1.0);
        let shower = 0.75 * wet + 0.55 * wander(3, 5 * HOUR_S) + 0.35 * wander(4, 4_000);
        let rain_rate = ((shower - 0.66) * 5.0).clamp(0.0, 25.0);

        let summer = moment.year_wave(202.0);
        let swing = (3.6 + 2.1 * summer) * (1.2 - 0.8 * cloud);
        let mean = 10.9 + 7.4 * summer + 4.6 * wander(5, 5 * DAY_S) + 2.4 * wander(6, 38 * HOUR_S);
        let temperature = mean + swing * moment.day_wave(15.0) + 0.5 * wander(7, 2 * HOUR_S)
            - 0.25 * rain_rate.min(4.0);
        let spread = 3.6 + 1.6 * summer - 2.2 * wet + 1.0 * wander(8, 9 * HOUR_S);
        let dew_point = (mean - spread.max(0.6)).min(temperature - 0.15);

        let wind_speed = (3.3 - 0.5 * summer
            + 2.6 * wander(9, 34 * HOUR_S)
            + 0.9 * wander(10, 3 * HOUR_S)
            + 0.7 * moment.day_wave(14.0) * (1.0 - 0.5 * cloud))
            .max(0.2);
        let pressure = 1_016.0 - 5.0 * wet + 13.0 * wander(11, 4 * DAY_S) + 3.0 * wander(12, DAY_S);
        let irradiance = 1_050.0 * moment.sun.max(0.0).powf(1.15) * (1.0 - 0.76 * cloud);
        Self {
            temperature,
            dew_point,
            cloud,
            rain_rate,
            wind_speed,
            pressure,
            irradiance,
        }
    }
}

/// Returns relative humidity in percent, `0..=100`, from temperature and dew point in °C (Magnus formula).
pub fn relative_humidity(temperature: f64, dew_point: f64) -> f64 {
    let saturation = |celsius: f64| 17.625 * celsius / (243.04 + celsius);
    (100.0 * (saturation(dew_point) - saturation(temperature)).exp()).clamp(0.0, 100.0)
}

/// Everything that sensors of the whole city have in common at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sky {
    /// Clock and calendar.
    pub moment: Moment,
    /// The weather.
    pub weather: Weather,
    /// Fine dust (PM2.5) that the wind brings, µg/m³.
    pub dust: f64,
    /// How much dust the city itself makes now, about 1 on average: traffic by day, stoves on cold evenings.
    pub emission: f64,
    /// How inviting it is to walk or cycle, about 1.
    pub outdoors: f64,
}

impl Sky {
    /// Returns the sky at `second` (seconds since 1970 UTC); `noise` is the city's.
    pub fn at(noise: Noise, second: i64) -> Self {
        let moment = Moment::at(second);
        let weather = Weather::at(noise, &moment);
        let winter = moment.year_wave(20.0);
        let season = 8.0 * (0.38 * winter).exp();
        let spell = (0.75 * noise.stream(21).smooth(second, 66 * HOUR_S)).exp();
        // Wind dilutes, rain washes out, cold calm air collects.
        let dilution = 1.55 / (0.55 + 0.3 * weather.wind_speed);
        let washout = 1.0 / (1.0 + 0.35 * weather.rain_rate);
        let dust = (season * spell * dilution * washout).clamp(0.6, 140.0);

        let hour = f64::from(moment.local_second) / 3_600.0;
        let bump = |centre: f64, width: f64| (-((hour - centre) / width).powi(2)).exp();
        let workday = if moment.day == DayKind::Weekday {
            1.0
        } else {
            0.55
        };
        let traffic =
            workday * (0.2 + 1.3 * bump(8.3, 1.4) + 0.7 * bump(13.0, 3.5) + 1.3 * bump(17.6, 1.9));
        let cold = ((13.0 - weather.temperature) / 12.0).clamp(0.0, 1.4);
        let stoves = 2.4 * cold * (bump(20.5, 2.8) + bump(-0.5, 1.8));
        let fireworks = if moment.new_year { 22.0 } else { 0.0 };
        let emission = 0.25 + 0.8 * traffic + stoves + fireworks;

        let outdoors = (1.0 + 0.022 * (weather.temperature - 11.0)).clamp(0.45, 1.3)
            / (1.0 + 0.35 * weather.rain_rate.min(5.0));
        Self {
            moment,
            weather,
            dust,
            emission,
            outdoors,
        }
    }
}

#[cfg(test)]
mod tests;
