//! Seeded noise by hashing: the only source of chance in the simulator.
//!
//! ```text
//! (seed, stream, index) ──hash──▶ unit, signed, normal;   smooth(second, scale) joins neighbouring indices
//! ```
//!
//! Every value is a pure function of its arguments, so history and live feed agree whatever order they ask in. It is
//! not a random number generator with a state, and not meant to keep secrets. A generator crate would do neither:
//! its values depend on the order of calls, and may change with its version.

/// Number of 2^-53 steps in the unit interval.
const UNIT_STEP: f64 = 1.0 / (1u64 << 53) as f64;
/// Odd constant close to 2^64 divided by the golden ratio: spreads consecutive indices.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// One stream of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise(u64);

impl Noise {
    /// Returns the noise of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ GOLDEN))
    }

    /// Returns a stream of its own under this one: other `id`, unrelated values.
    pub fn stream(self, id: u64) -> Self {
        Self(mix(self.0 ^ mix(id.wrapping_add(1).wrapping_mul(GOLDEN))))
    }

    /// Returns 64 even bits.
    pub fn bits(self, index: i64) -> u64 {
        mix(self.0.wrapping_add((index as u64).wrapping_mul(GOLDEN)))
    }

    /// Returns a value in `[0, 1)`, evenly spread.
    pub fn unit(self, index: i64) -> f64 {
        (self.bits(index) >> 11) as f64 * UNIT_STEP
    }

    /// Returns a value in `[-1, 1)`, evenly spread.
    pub fn signed(self, index: i64) -> f64 {
        2.0 * self.unit(index) - 1.0
    }

    /// Returns a value in `[low, high)`, evenly spread.
    pub fn between(self, index: i64, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit(index)
    }

    /// Returns a position in `0..len`; 0 where `len` is 0.
    pub fn position(self, index: i64, len: usize) -> usize {
        ((self.unit(index) * len as f64) as usize).min(len.saturating_sub(1))
    }

    /// Returns a value of about normal distribution: mean 0, deviation 1, never beyond ±3.5.
    /// The sum of four 16-bit parts of one hash: close enough, and four times cheaper than exact.
    pub fn normal(self, index: i64) -> f64 {
        let bits = self.bits(index);
        let sum =
            (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
        (sum as f64 / 65_536.0 - 2.0) * 1.732_050_8
    }

    /// Returns a value in `[-1, 1)` that wanders: independent at multiples of `scale_s` seconds, smooth between.
    pub fn smooth(self, second: i64, scale_s: i64) -> f64 {
        let index = second.div_euclid(scale_s);
        let along = second.rem_euclid(scale_s) as f64 / scale_s as f64;
        let weight = along * along * (3.0 - 2.0 * along);
        let (from, to) = (self.signed(index), self.signed(index + 1));
        from + (to - from) * weight
    }
}

/// The finaliser of splitmix64: every input bit changes half of the output bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
