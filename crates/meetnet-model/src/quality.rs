//! Quality flags: the primary level of IOOS QARTOD.

use serde::{Deserialize, Serialize};

/// The summary flag of a row, as QARTOD numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(i8)]
pub enum Quality {
    /// Every test that ran passed.
    Pass = 1,
    /// No test ran.
    NotEvaluated = 2,
    /// Use with care.
    Suspect = 3,
    /// Known to be wrong; kept, not deleted.
    Fail = 4,
    /// The value is missing.
    Missing = 9,
}

impl Quality {
    /// Returns the number that is stored.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// One quality test and its bit in `quality_tests`: the bit is set where the test did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum QualityTest {
    /// A value lies outside its declared plausible range.
    GrossRange = 0,
    /// A value that the row should carry is missing.
    Missing = 1,
    /// The counter saw less than half of the interval.
    Uptime = 2,
    /// The row has no time of its own, and the clock was off when it was received.
    ClockStep = 3,
}

impl QualityTest {
    /// Returns the bit of this test in `quality_tests`.
    pub fn bit(self) -> i64 {
        1 << (self as u8)
    }
}
