//! Quality flags, the primary level of IOOS QARTOD, and the parameters of the tests that set them. docs/quality.md says
//! what each test does; `meetnet-quality` runs them.

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

    /// Reads the number that is stored; None where there is no such flag.
    pub fn from_code(code: i8) -> Option<Self> {
        let all = [
            Self::Pass,
            Self::NotEvaluated,
            Self::Suspect,
            Self::Fail,
            Self::Missing,
        ];
        all.into_iter().find(|quality| quality.code() == code)
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
    /// A value lies outside the limits of its month.
    Climatology = 4,
    /// A value changed faster than it can.
    RateOfChange = 5,
    /// A value stayed the same for too long.
    FlatLine = 6,
    /// A signal varies too little.
    AttenuatedSignal = 7,
    /// A value stands out from the one before and the one after.
    Spike = 8,
    /// A value stands out from the sensors around it.
    Neighbour = 9,
    /// The row is of a time that had not come when it was received.
    Time = 10,
    /// A place that cannot be.
    Location = 11,
}

impl QualityTest {
    /// All tests, by bit.
    pub const ALL: [Self; 12] = [
        Self::GrossRange,
        Self::Missing,
        Self::Uptime,
        Self::ClockStep,
        Self::Climatology,
        Self::RateOfChange,
        Self::FlatLine,
        Self::AttenuatedSignal,
        Self::Spike,
        Self::Neighbour,
        Self::Time,
        Self::Location,
    ];

    /// Returns its name, as reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GrossRange => "gross range",
            Self::Missing => "missing",
            Self::Uptime => "uptime",
            Self::ClockStep => "clock step",
            Self::Climatology => "climatology",
            Self::RateOfChange => "rate of change",
            Self::FlatLine => "flat line",
            Self::AttenuatedSignal => "attenuated signal",
            Self::Spike => "spike",
            Self::Neighbour => "neighbour",
            Self::Time => "time",
            Self::Location => "location",
        }
    }

    /// Returns the bit of this test in `quality_tests`.
    pub fn bit(self) -> i64 {
        1 << (self as u8)
    }
}

/// The quality tests of one property of a long dataset beside its plausible range (`[property.tests]`). What is absent is
/// not tested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyTests {
    /// Gross range test: outside this range, inclusive and within the plausible one, a value is suspect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect_range: Option<[f64; 2]>,
    /// Climatology test: limits by month (UTC). A month without limits is not evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub climatology: Vec<MonthLimits>,
    /// Rate of change test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_of_change: Option<RateOfChange>,
    /// Flat line test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat_line: Option<FlatLine>,
    /// Attenuated signal test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attenuated_signal: Option<AttenuatedSignal>,
    /// Spike test; needs the value after, so it runs in the settle pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spike: Option<Spike>,
    /// Neighbour test; needs other sensors, so it runs in the settle pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbour: Option<Neighbour>,
}

impl PropertyTests {
    /// Returns true where nothing is declared.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits of some months.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonthLimits {
    /// The months, 1 to 12.
    pub months: Vec<u8>,
    /// Outside this range, inclusive, a value is suspect.
    pub suspect: [f64; 2],
    /// Outside this range, inclusive, a value fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<[f64; 2]>,
}

/// How fast a value may change, in units of the property.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateOfChange {
    /// A faster change is suspect.
    pub suspect_per_hour: f64,
    /// A faster change fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_per_hour: Option<f64>,
    /// A step over less than so many seconds is taken as one over these: where a sensor reports every second, the least
    /// step that it can tell would be too fast. None: every step is taken over the time that it took, as `ioos_qc` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_min_s: Option<u32>,
}

/// How long a value may stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlatLine {
    /// Values that lie less than this apart are the same: at least the resolution of the sensors.
    pub tolerance: f64,
    /// After this long the value is suspect.
    pub suspect_s: u32,
    /// After this long it fails.
    pub fail_s: u32,
}

/// How the variation of a signal is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variation {
    /// Standard deviation of the population.
    Deviation,
    /// Greatest less least value. Ends the test of a lively signal after a few values.
    Range,
}

/// How much a signal must vary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttenuatedSignal {
    /// What is measured.
    pub variation: Variation,
    /// Over this long up to the value, its beginning excluded.
    pub period_s: u32,
    /// With fewer values in the period, nothing is said; at least 2.
    pub observations_min: u32,
    /// Where the first and the last value in the period lie closer together, nothing is said against them: half a minute
    /// of a sensor that has just begun varies little. None: however close, as `ioos_qc` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_min_s: Option<u32>,
    /// Less variation is suspect.
    pub suspect: f64,
    /// Less variation fails.
    pub fail: f64,
}

/// How far a value may lie from the mean of the one before and the one after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// Farther is suspect.
    pub suspect: f64,
    /// Farther fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<f64>,
}

/// How far a value may lie from what sensors around it measure at the same time: the distance from their median, in robust
/// standard deviations (1.4826 times their median absolute deviation).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbour {
    /// Sensors within this distance count.
    pub radius_m: u32,
    /// With fewer of them nothing is said; at least 3.
    pub neighbours_min: u32,
    /// The standard deviation is taken to be at least this, in units of the property: neighbours that agree to the last
    /// digit do not make every other value suspect.
    pub deviation_min: f64,
    /// Farther is suspect, in standard deviations.
    pub suspect: f64,
    /// Farther fails, in standard deviations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<f64>,
}
