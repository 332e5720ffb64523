//! The neighbour test: a value against what sensors around it measure at the same time.

use meetnet_model::quality::{Neighbour, Quality};

use crate::backward::beyond;

/// Median absolute deviation of a normal distribution -> its standard deviation.
const DEVIATION_PER_MAD: f64 = 1.4826;

/// Tests a value against `others`, the values of its neighbours; those that are missing must not be among them. Their
/// order changes and their content too: they are the scratch space of the test.
pub fn neighbour(value: f64, others: &mut [f64], limits: Neighbour) -> Quality {
    if !value.is_finite() {
        return Quality::Missing;
    }
    if others.len() < limits.neighbours_min as usize {
        return Quality::NotEvaluated;
    }
    let Some(centre) = median(others) else {
        return Quality::NotEvaluated;
    };
    for other in &mut *others {
        *other = (*other - centre).abs();
    }
    let spread = median(others).unwrap_or(0.0) * DEVIATION_PER_MAD;
    let distance = (value - centre).abs() / spread.max(limits.deviation_min);
    beyond(distance, limits.suspect, limits.fail)
}

/// Returns the median; None of nothing. The order changes.
fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let lower = below.iter().copied().max_by(f64::total_cmp);
    Some(match lower {
        Some(lower) if is_even => f64::midpoint(lower, upper),
        _ => upper,
    })
}

#[cfg(test)]
mod tests;
