//! Air quality indices: classes of a concentration, from 1, the best.
//!
//! A sub-index is the class of one property; the index of a place is the greatest of its sub-indices, and so an
//! aggregate: `max`. Bounds are upper limits, inclusive, in the property's canonical unit (ug/m3). A value above the last
//! is of the class after it. Noise below zero is of the first class.

#[cfg(test)]
mod tests;

/// An index: its name, its source, and the bounds of its properties.
#[derive(Debug, PartialEq)]
pub struct AirIndex {
    /// Name of the index, which is its function's name in SQL.
    pub name: &'static str,
    /// Who publishes it, and where.
    pub source: &'static str,
    /// Properties and the upper limits of their classes.
    bounds: &'static [(&'static str, &'static [f64])],
}

/// The European Air Quality Index, classes 1 (good) to 6 (extremely poor), for hourly means.
pub static EAQI: AirIndex = AirIndex {
    name: "eaqi",
    source: "European Environment Agency, European Air Quality Index, bands revised in 2024, \
             https://airindex.eea.europa.eu/AQI/index.html",
    bounds: &[
        ("pm2_5", &[5.0, 15.0, 50.0, 90.0, 140.0]),
        ("pm10", &[15.0, 45.0, 120.0, 195.0, 270.0]),
        ("no2", &[10.0, 25.0, 60.0, 100.0, 150.0]),
        ("o3", &[60.0, 100.0, 120.0, 160.0, 180.0]),
        ("so2", &[20.0, 40.0, 125.0, 190.0, 275.0]),
    ],
};

/// BelAQI, classes 1 (excellent) to 10 (horrible), for hourly means.
pub static BELAQI: AirIndex = AirIndex {
    name: "belaqi",
    source: "IRCEL-CELINE, BelAQI since November 2022, hourly scale, \
             https://www.irceline.be/en/air-quality/measurements/air-quality-index-november-2022/info_nov2022",
    bounds: &[
        (
            "pm2_5",
            &[3.5, 7.5, 10.0, 15.0, 20.0, 35.0, 50.0, 60.0, 75.0],
        ),
        (
            "pm10",
            &[10.0, 20.0, 35.0, 45.0, 60.0, 80.0, 95.0, 110.0, 140.0],
        ),
        (
            "no2",
            &[10.0, 15.0, 20.0, 30.0, 40.0, 45.0, 50.0, 60.0, 75.0],
        ),
        (
            "o3",
            &[30.0, 65.0, 75.0, 90.0, 110.0, 150.0, 180.0, 210.0, 240.0],
        ),
    ],
};

/// Returns an index by its name.
pub fn find(name: &str) -> Option<&'static AirIndex> {
    [&EAQI, &BELAQI]
        .into_iter()
        .find(|index| index.name == name)
}

impl AirIndex {
    /// Returns the names of the properties that the index knows.
    pub fn properties(&self) -> impl Iterator<Item = &'static str> {
        self.bounds.iter().map(|(name, _)| *name)
    }

    /// Returns the scale of a property; none for one that the index does not know.
    pub fn scale(&self, property: &str) -> Option<Scale> {
        let (_, bounds) = self.bounds.iter().find(|(name, _)| *name == property)?;
        Some(Scale(bounds))
    }
}

/// The upper limits of one property's classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale(&'static [f64]);

impl Scale {
    /// Returns the class of a concentration in ug/m3, from 1; none for NaN.
    pub fn class(self, value: f64) -> Option<i64> {
        if value.is_nan() {
            return None;
        }
        let below = self.0.iter().filter(|bound| **bound < value).count();
        Some(below as i64 + 1)
    }
}
