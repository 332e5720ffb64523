//! Tests of one value, or one place, by itself.

use meetnet_model::quality::{MonthLimits, Quality};

/// Gross range: outside `fail` a value fails, outside `suspect` it is suspect; the bounds are inside. What is not a number
/// is missing.
#[inline]
pub fn gross_range(value: f64, fail: [f64; 2], suspect: Option<[f64; 2]>) -> Quality {
    if value.is_nan() {
        Quality::Missing
    } else if is_outside(value, fail) {
        Quality::Fail
    } else if suspect.is_some_and(|range| is_outside(value, range)) {
        Quality::Suspect
    } else {
        Quality::Pass
    }
}

/// The limits of each month of a year.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Climatology {
    /// January first.
    months: [Option<Limits>; 12],
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Limits {
    suspect: [f64; 2],
    fail: Option<[f64; 2]>,
}

impl Climatology {
    /// Reads declared limits; of two for one month the later holds.
    pub fn new(declared: &[MonthLimits]) -> Self {
        let mut months = [None; 12];
        for limits in declared {
            for month in &limits.months {
                let index = usize::from(*month).wrapping_sub(1);
                if let Some(place) = months.get_mut(index) {
                    *place = Some(Limits {
                        suspect: limits.suspect,
                        fail: limits.fail,
                    });
                }
            }
        }
        Self { months }
    }

    /// Tests a value of a month (1 to 12): as [`gross_range`], and not evaluated where the month has no limits.
    #[inline]
    pub fn test(&self, value: f64, month: u8) -> Quality {
        if value.is_nan() {
            return Quality::Missing;
        }
        let index = usize::from(month).wrapping_sub(1);
        match self.months.get(index) {
            Some(Some(limits)) => {
                let everything = [f64::NEG_INFINITY, f64::INFINITY];
                let fail = limits.fail.unwrap_or(everything);
                gross_range(value, fail, Some(limits.suspect))
            }
            _ => Quality::NotEvaluated,
        }
    }
}

/// Location: degrees that no place on Earth has fail, and so does half a place; without both, it is missing.
pub fn location(lon: Option<f64>, lat: Option<f64>) -> Quality {
    let known = |degrees: Option<f64>| degrees.filter(|degrees| degrees.is_finite());
    match (known(lon), known(lat)) {
        (None, None) => Quality::Missing,
        (Some(lon), Some(lat)) if lon.abs() <= 180.0 && lat.abs() <= 90.0 => Quality::Pass,
        _ => Quality::Fail,
    }
}

#[inline]
fn is_outside(value: f64, [min, max]: [f64; 2]) -> bool {
    value < min || value > max
}

#[cfg(test)]
mod tests;
