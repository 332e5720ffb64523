//! Air sensors and weather stations: what one of them measures under a given sky.
//!
//! ```text
//! AirSensor | WeatherStation + Sky ──▶ reading, rounded as the device sends it
//! ```
//!
//! Readings are instantaneous. Wire formats are elsewhere (`messages`), and so are faults (`faults`).

use crate::noise::Noise;
use crate::weather::{Sky, relative_humidity};

/// How long one outage of a sensor lasts, seconds.
const OUTAGE_S: i64 = 6 * 3_600;
/// Share of the spans of [`OUTAGE_S`] in which a sensor is out.
const OUTAGE_SHARE: f64 = 0.012;

/// Where a sensor hangs and how its surroundings differ from the open field.
#[derive(Clone, Debug)]
pub struct Site {
    /// Name for people: the street, and a number where a street has several sensors.
    pub name: String,
    /// Longitude, degrees.
    pub lon: f64,
    /// Latitude, degrees.
    pub lat: f64,
    /// Height above the sea, m.
    pub altitude: f64,
    /// How built-up it is: 1 in the middle of the city, towards 0 in the fields.
    pub density: f64,
    /// Share of the demo's history before the sensor was installed, `0..1`.
    pub joined: f64,
    noise: Noise,
}

impl Site {
    /// Returns a site; `noise` is its own stream.
    pub fn new(name: String, lon: f64, lat: f64, density: f64, noise: Noise) -> Self {
        let chance = noise.stream(1);
        let altitude = chance.between(0, 22.0, 70.0);
        let joined = (chance.unit(1) * 1.6 - 0.8).max(0.0);
        Self {
            name,
            lon,
            lat,
            altitude,
            density,
            joined,
            noise,
        }
    }

    /// Returns whether the sensor sends at `second`: each is out for some hours now and then.
    pub fn is_up(&self, second: i64) -> bool {
        self.noise.stream(2).unit(second.div_euclid(OUTAGE_S)) >= OUTAGE_SHARE
    }

    /// Air temperature at the site, °C: the built-up city keeps its warmth on calm, clear nights.
    fn temperature(&self, sky: &Sky) -> f64 {
        let weather = &sky.weather;
        let night = (0.35 - sky.moment.sun).clamp(0.0, 0.6) / 0.6;
        let calm = 1.0 / (0.6 + 0.22 * weather.wind_speed);
        let island = self.density * (0.5 + 2.6 * night * calm * (1.0 - 0.65 * weather.cloud));
        let own = 0.35 * self.noise.stream(3).smooth(sky.moment.second, 1_500)
            + 0.04 * self.noise.stream(4).normal(sky.moment.second);
        weather.temperature + island + own - 0.0065 * (self.altitude - 30.0)
    }
}

/// An airRohr: a fine-dust sensor (SDS011) with a BME280 beside it, made by a resident.
#[derive(Clone, Debug)]
pub struct AirSensor {
    /// Decimal chip id of its ESP8266. A hardware id: never published.
    pub chip_id: String,
    /// Where it hangs.
    pub site: Site,
    /// How much traffic passes by, 1 on average.
    exposure: f64,
    /// How much the sensor reads too high or too low, 1 if exact.
    gain: f64,
}

/// One reading of an [`AirSensor`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AirReading {
    /// Fine dust under 10 µm, µg/m³, two decimals.
    pub pm10: f64,
    /// Fine dust under 2.5 µm, µg/m³, two decimals.
    pub pm2_5: f64,
    /// Air temperature, °C, two decimals.
    pub temperature: f64,
    /// Relative humidity, %, two decimals.
    pub humidity: f64,
    /// Air pressure at the site, Pa, two decimals.
    pub pressure_pa: f64,
    /// Strength of the wireless network, dBm.
    pub signal_dbm: i64,
}

impl AirSensor {
    /// Returns a sensor at a site; everything else follows from the site's noise.
    pub fn new(chip_id: String, site: Site) -> Self {
        let chance = site.noise.stream(1);
        let exposure = (0.35 * chance.normal(10)).exp() * (0.6 + 0.6 * site.density);
        let gain = chance.between(11, 0.86, 1.18);
        Self {
            chip_id,
            site,
            exposure,
            gain,
        }
    }

    /// Returns the reading under `sky`.
    pub fn read(&self, sky: &Sky) -> AirReading {
        let noise = self.site.noise;
        let (second, weather) = (sky.moment.second, &sky.weather);
        // The box stands against a wall and warms itself a little.
        let temperature = self.site.temperature(sky) + 0.7;
        let humidity = relative_humidity(temperature, weather.dew_point);
        // The laser counts droplets as dust when the air is moist.
        let moist = 1.0 + 0.45 * ((humidity - 72.0).max(0.0) / 28.0).powi(2);
        let dilution = 1.9 / (0.7 + 0.35 * weather.wind_speed);
        let local = 1.7 * self.exposure * sky.emission * dilution;
        let flicker = 1.0
            + 0.05 * noise.stream(5).normal(second)
            + 0.14 * noise.stream(6).smooth(second, 2_400);
        let pm2_5 = (self.gain * moist * (sky.dust + local) * flicker).clamp(0.3, 999.9);
        let coarse = 2.0 + 0.22 * sky.dust + 1.1 * local + 0.5 * weather.wind_speed;
        let dry = 1.0 / (1.0 + 0.8 * weather.rain_rate);
        let grain = 1.0 + 0.12 * noise.stream(7).normal(second);
        let pm10 = (pm2_5 + self.gain * coarse * dry * grain.max(0.2)).clamp(0.5, 1_999.9);
        let pressure = 100.0 * (weather.pressure - 0.1195 * self.site.altitude)
            + 4.0 * noise.stream(8).normal(second);
        AirReading {
            pm10: round2(pm10),
            pm2_5: round2(pm2_5),
            temperature: round2(temperature),
            humidity: round2(humidity),
            pressure_pa: round2(pressure),
            signal_dbm: -48 - noise.stream(9).position(second, 40) as i64,
        }
    }
}

/// How a weather station sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uplink {
    /// A LoRaWAN node.
    Lora {
        /// Name of the device in the network's console.
        device_id: String,
        /// DevEUI, 16 capital hexadecimal digits. A hardware id: never published.
        dev_eui: String,
    },
    /// A Zigbee sensor on a balcony, bridged to MQTT as plain JSON.
    Zigbee {
        /// The name its owner gave it: the topic level.
        device: String,
    },
}

/// A weather station.
#[derive(Clone, Debug)]
pub struct WeatherStation {
    /// How it sends.
    pub uplink: Uplink,
    /// Where it stands.
    pub site: Site,
    /// Whether it has an anemometer and a rain gauge beside the thermometer.
    pub full: bool,
    /// How much the sun on a balcony wall warms the sensor, °C at full sun.
    sun_error: f64,
}

/// One reading of a [`WeatherStation`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeatherReading {
    /// Air temperature, °C: one decimal from LoRaWAN, two from Zigbee.
    pub temperature: f64,
    /// Relative humidity, %: one decimal from LoRaWAN, two from Zigbee.
    pub humidity: f64,
    /// Wind speed, m/s, one decimal; full stations only.
    pub wind_speed: Option<f64>,
    /// Rain, mm/h, one decimal; full stations only.
    pub rain_rate: Option<f64>,
    /// Charge of the battery, V, two decimals.
    pub battery_v: f64,
}

impl WeatherStation {
    /// Returns a station at a site; `full` stations measure wind and rain too.
    pub fn new(uplink: Uplink, site: Site, full: bool) -> Self {
        let sun_error = match uplink {
            Uplink::Lora { .. } => 0.4,
            Uplink::Zigbee { .. } => site.noise.stream(1).between(10, 0.5, 5.0),
        };
        Self {
            uplink,
            site,
            full,
            sun_error,
        }
    }

    /// Returns the reading under `sky`.
    pub fn read(&self, sky: &Sky) -> WeatherReading {
        let noise = self.site.noise;
        let (second, weather) = (sky.moment.second, &sky.weather);
        let temperature = self.site.temperature(sky) + self.sun_error * weather.irradiance / 900.0;
        let humidity = relative_humidity(temperature, weather.dew_point)
            + 0.3 * noise.stream(5).normal(second);
        let sheltered = 1.0 - 0.45 * self.site.density;
        let wind_speed = (weather.wind_speed
            * sheltered
            * (1.0 + 0.22 * noise.stream(6).normal(second.div_euclid(5))))
        .max(0.0);
        let rain_rate = weather.rain_rate * (1.0 + 0.35 * noise.stream(7).smooth(second, 1_800));
        let round = match self.uplink {
            Uplink::Lora { .. } => round1,
            Uplink::Zigbee { .. } => round2,
        };
        WeatherReading {
            temperature: round(temperature),
            humidity: round(humidity.clamp(0.0, 100.0)),
            wind_speed: self.full.then(|| round1(wind_speed)),
            rain_rate: self.full.then(|| round1(rain_rate)),
            battery_v: round2(3.3 + 0.25 * noise.stream(8).smooth(second, 40 * 86_400)),
        }
    }
}

fn round1(value: f64) -> f64 {
    // Adding zero turns -0.0 into 0.0.
    (value * 10.0).round() / 10.0 + 0.0
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

#[cfg(test)]
mod tests;
