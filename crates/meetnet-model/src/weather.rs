//! What weather feels like, from what is measured.

#[cfg(test)]
mod tests;

/// Returns the heat index in Cel for an air temperature in Cel and a relative humidity in %; none where the humidity is
/// no share, or a value is no number.
///
/// The regression of Rothfusz with the adjustments of the US National Weather Service, and its simple formula where the
/// index would be below 80 degF (<https://www.wpc.ncep.noaa.gov/html/heatindex_equation.shtml>). It was fitted to
/// temperatures of 80 to 110 degF in the shade: for others it says little.
pub fn heat_index(celsius: f64, humidity: f64) -> Option<f64> {
    if !celsius.is_finite() || !(0.0..=100.0).contains(&humidity) {
        return None;
    }
    let (t, rh) = (celsius * 1.8 + 32.0, humidity);
    let simple = 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + rh * 0.094);
    let mean = (simple + t) / 2.0;
    let fahrenheit = if mean < 80.0 {
        mean
    } else {
        regression(t, rh) + adjustment(t, rh)
    };
    Some((fahrenheit - 32.0) / 1.8)
}

fn regression(t: f64, rh: f64) -> f64 {
    -42.379 + 2.049_015_23 * t + 10.143_331_27 * rh
        - 0.224_755_41 * t * rh
        - 0.006_837_83 * t * t
        - 0.054_817_17 * rh * rh
        + 0.001_228_74 * t * t * rh
        + 0.000_852_82 * t * rh * rh
        - 0.000_001_99 * t * t * rh * rh
}

fn adjustment(t: f64, rh: f64) -> f64 {
    if rh < 13.0 && (80.0..=112.0).contains(&t) {
        -((13.0 - rh) / 4.0) * ((17.0 - (t - 95.0).abs()) / 17.0).sqrt()
    } else if rh > 85.0 && (80.0..=87.0).contains(&t) {
        (rh - 85.0) / 10.0 * ((87.0 - t) / 5.0)
    } else {
        0.0
    }
}
