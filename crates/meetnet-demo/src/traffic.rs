//! A traffic counter at a resident's window and the street before it: how many of whom pass in a quarter of an hour.
//!
//! ```text
//! Segment + Sky ──▶ QuarterCount (what the counter saw) ──merge──▶ CountReport (what the service publishes)
//! ```
//!
//! Counts are whole numbers as seen; a report extrapolates them for the time the counter was up, as Telraam does. The
//! wire format is elsewhere (`messages`).

use crate::calendar::DayKind;
use crate::noise::Noise;
use crate::weather::Sky;

/// Length of the shortest interval that is reported, seconds.
pub const QUARTER_S: i64 = 900;
/// Number of bins of the speed histogram: 5 km/h each, the last one open.
pub const SPEED_BINS: usize = 25;
/// Number of different average speeds that a segment's histogram can show.
const SPEED_LEVELS: usize = 8;
/// Width of a speed bin, km/h.
const SPEED_BIN_KMH: f64 = 5.0;

/// The generation of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// The first one: a camera without an eye for the dark, up by daylight only.
    V1,
    /// The second one: up day and night, and counts in the dark apart.
    S2,
}

/// What kind of street a segment is: decides who passes and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// A main road into the city.
    Arterial,
    /// A street with homes.
    Residential,
    /// A street with a school.
    School,
    /// A shopping street in the centre, nearly without cars.
    Shopping,
    /// A cycle street towards the station or the university.
    Cycle,
    /// A country road.
    Rural,
}

/// Passers-by of one kind on a mean working day, both directions.
#[derive(Clone, Copy, Debug)]
struct Volumes {
    car: f64,
    heavy: f64,
    bike: f64,
    pedestrian: f64,
}

impl Road {
    fn volumes(self) -> Volumes {
        let of = |car, heavy, bike, pedestrian| Volumes {
            car,
            heavy,
            bike,
            pedestrian,
        };
        match self {
            Self::Arterial => of(9_200.0, 520.0, 900.0, 350.0),
            Self::Residential => of(1_150.0, 45.0, 420.0, 260.0),
            Self::School => of(1_600.0, 60.0, 1_150.0, 900.0),
            Self::Shopping => of(210.0, 70.0, 2_400.0, 7_800.0),
            Self::Cycle => of(420.0, 15.0, 4_100.0, 620.0),
            Self::Rural => of(2_700.0, 160.0, 330.0, 90.0),
        }
    }

    /// Mean speed of a free car, km/h.
    fn speed(self) -> f64 {
        match self {
            Self::Arterial => 46.0,
            Self::Residential | Self::School => 27.0,
            Self::Shopping | Self::Cycle => 19.0,
            Self::Rural => 56.0,
        }
    }

    /// Share of a day's passers-by per hour at `hour` of the local day, not normalised.
    fn profile(self, day: DayKind, hour: f64) -> f64 {
        let bump = |centre: f64, width: f64| (-((hour - centre) / width).powi(2)).exp();
        // The long tail before and after midnight, on both ends of the day.
        let late = bump(22.5, 2.2) + bump(-1.5, 2.2);
        match (self, day) {
            (Self::Shopping, DayKind::Sunday) => 0.04 + 0.8 * bump(15.0, 2.6) + 0.3 * late,
            (Self::Shopping, DayKind::Saturday) => 0.04 + 1.9 * bump(14.8, 2.7) + 0.5 * late,
            (Self::Shopping, DayKind::Weekday) => {
                0.04 + bump(13.4, 3.2) + 0.5 * bump(17.5, 1.6) + 0.4 * late
            }
            (Self::School, DayKind::Weekday) => {
                0.03 + 2.6 * bump(8.25, 0.45)
                    + 2.0 * bump(15.7, 0.55)
                    + 0.5 * bump(17.4, 1.3)
                    + 0.3 * bump(13.0, 4.0)
            }
            (_, DayKind::Weekday) => {
                0.035
                    + 1.25 * bump(8.2, 1.05)
                    + 0.6 * bump(12.8, 2.8)
                    + 1.3 * bump(17.3, 1.45)
                    + 0.16 * late
            }
            (_, DayKind::Saturday) => {
                0.05 + 0.95 * bump(11.2, 2.2) + 0.9 * bump(16.2, 2.6) + 0.22 * late
            }
            (_, DayKind::Sunday) => {
                0.05 + 0.55 * bump(11.4, 2.0) + 0.75 * bump(16.2, 2.6) + 0.2 * late
            }
        }
    }
}

/// The kinds of passers-by, in the order of [`QuarterCount::counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Cars.
    Car = 0,
    /// Lorries, buses, tractors.
    Heavy = 1,
    /// Two-wheelers.
    Bike = 2,
    /// People on foot.
    Pedestrian = 3,
    /// Whatever passes in the dark and cannot be told apart; S2 only.
    Night = 4,
}

impl Mode {
    /// All modes, in order.
    pub const ALL: [Self; 5] = [
        Self::Car,
        Self::Heavy,
        Self::Bike,
        Self::Pedestrian,
        Self::Night,
    ];
}

/// One segment: a stretch of street and the counter that watches it.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Telraam's segment id.
    pub id: i64,
    /// Name of the street.
    pub street: String,
    /// Kind of the street.
    pub road: Road,
    /// Generation of the counter.
    pub hardware: Hardware,
    /// The two ends of the stretch: longitude and latitude, degrees.
    pub line: [(f64, f64); 2],
    /// Share of the demo's history before the counter was installed, `0..1`.
    pub joined: f64,
    noise: Noise,
    /// Size against the mean street of its kind.
    scale: f64,
    /// Share of the quarters of a day, per kind of day; each working day sums to 1.
    profiles: [Vec<f64>; 3],
    histograms: Vec<[f64; SPEED_BINS]>,
    v85: Vec<f64>,
}

/// What a counter saw in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuarterCount {
    /// Length of the interval, seconds.
    pub interval_s: i64,
    /// Seconds of it that the counter was up.
    pub seconds_up: i64,
    /// Counts as seen, per [`Mode`]: from left to right, from right to left.
    pub counts: [[u32; 2]; 5],
    /// Position of the interval's speed distribution among the segment's.
    pub speed_level: usize,
}

impl QuarterCount {
    /// Adds another interval of the same segment; the speeds of the first one stay.
    pub fn merge(&mut self, other: &Self) {
        self.interval_s += other.interval_s;
        self.seconds_up += other.seconds_up;
        for (mine, theirs) in self
            .counts
            .iter_mut()
            .flatten()
            .zip(other.counts.iter().flatten())
        {
            *mine += theirs;
        }
    }

    /// Returns the share of the interval that the counter was up, ten decimals as in the wire format.
    pub fn uptime(&self) -> f64 {
        round10(self.seconds_up as f64 / self.interval_s.max(1) as f64)
    }

    /// Returns the published counts of a mode, extrapolated for the uptime: left to right, right to left.
    /// 0 where the counter was never up.
    pub fn extrapolated(&self, mode: Mode) -> [f64; 2] {
        let factor = if self.seconds_up > 0 {
            self.interval_s as f64 / self.seconds_up as f64
        } else {
            0.0
        };
        self.counts[mode as usize].map(|count| round10(f64::from(count) * factor))
    }

    /// Returns true where a car was seen.
    pub fn has_cars(&self) -> bool {
        self.counts[Mode::Car as usize] != [0, 0]
    }
}

/// Rounds to the ten decimals of Telraam's answers.
pub fn round10(value: f64) -> f64 {
    (value * 1e10).round() / 1e10
}

impl Segment {
    /// Returns a segment; everything not given follows from `noise`, its own stream.
    pub fn new(id: i64, street: String, road: Road, line: [(f64, f64); 2], noise: Noise) -> Self {
        let chance = noise.stream(1);
        let hardware = if chance.unit(0) < 0.45 {
            Hardware::V1
        } else {
            Hardware::S2
        };
        let joined = (chance.unit(2) * 1.6 - 0.8).max(0.0);
        let profiles =
            [DayKind::Weekday, DayKind::Saturday, DayKind::Sunday].map(|day| profile(road, day));
        let mean_speed = road.speed() * chance.between(3, 0.88, 1.12);
        let levels = (0..SPEED_LEVELS).map(|level| {
            let share = level as f64 / (SPEED_LEVELS - 1) as f64;
            histogram(
                mean_speed * (0.78 + 0.32 * share),
                &chance.stream(level as u64),
            )
        });
        let histograms: Vec<_> = levels.collect();
        let v85 = histograms.iter().map(v85).collect();
        let scale = (0.45 * chance.normal(4)).exp();
        Self {
            id,
            street,
            road,
            hardware,
            line,
            joined,
            noise,
            scale,
            profiles,
            histograms,
            v85,
        }
    }

    /// Returns what the counter saw in the quarter of an hour that begins at `sky`'s moment.
    pub fn quarter(&self, sky: &Sky) -> QuarterCount {
        let moment = &sky.moment;
        let index = moment.second.div_euclid(QUARTER_S);
        let mut quarter = QuarterCount {
            interval_s: QUARTER_S,
            ..QuarterCount::default()
        };
        quarter.seconds_up = self.seconds_up(sky, index);
        if quarter.seconds_up == 0 {
            return quarter;
        }
        let up = quarter.seconds_up as f64 / QUARTER_S as f64;
        let share = self.profiles[moment.day as usize][moment.local_quarter()];
        let volumes = self.road.volumes();
        let crowd = self.scale
            * up
            * share
            * (1.0 + 0.12 * self.noise.stream(2).smooth(moment.second, 4 * 86_400));
        let holiday = if moment.school_holiday { 0.82 } else { 1.0 };
        let school = if self.road == Road::School && moment.school_holiday {
            0.45
        } else {
            1.0
        };
        let students = if moment.term { 1.1 } else { 0.8 };
        let workday = if moment.day == DayKind::Weekday {
            1.0
        } else {
            0.12
        };
        // Commuters go in by morning and out by evening; which way "in" is depends on the window.
        let tide = if self.noise.bits(-1) & 1 == 0 {
            1.0
        } else {
            -1.0
        };
        let hour = f64::from(moment.local_second) / 3_600.0;
        let lean = 0.5 + 0.14 * tide * if hour < 12.5 { 1.0 } else { -1.0 };

        let expected = [
            (Mode::Car, crowd * volumes.car * holiday * school, lean),
            (Mode::Heavy, crowd * volumes.heavy * holiday * workday, lean),
            (
                Mode::Bike,
                crowd * volumes.bike * sky.outdoors * students * school,
                lean,
            ),
            (
                Mode::Pedestrian,
                crowd * volumes.pedestrian * sky.outdoors * students * school,
                0.5,
            ),
        ];
        // In the dark a camera tells little apart: most of what passes counts as "night".
        let dark = self.hardware == Hardware::S2 && moment.sun < -0.08;
        for (mode, mean, lean) in expected {
            for (direction, share) in [lean, 1.0 - lean].into_iter().enumerate() {
                let chance = self.noise.stream(10 + mode as u64 * 2 + direction as u64);
                let count = draw(mean * share, chance, index);
                let unseen = if dark { count * 4 / 5 } else { 0 };
                quarter.counts[mode as usize][direction] += count - unseen;
                quarter.counts[Mode::Night as usize][direction] += unseen;
            }
        }
        let jam = share * 96.0 * 0.22 + 0.15 * self.noise.stream(3).normal(index);
        let level = (1.0 - jam).clamp(0.0, 1.0) * (SPEED_LEVELS - 1) as f64;
        quarter.speed_level = level.round() as usize;
        quarter
    }

    /// Returns the cars' speeds in percent per bin (sum 100), or nothing where no car was seen.
    pub fn speeds(&self, quarter: &QuarterCount) -> Option<&[f64; SPEED_BINS]> {
        quarter
            .has_cars()
            .then(|| &self.histograms[quarter.speed_level])
    }

    /// Returns the speed that 85 % of the cars kept under, km/h, or nothing where no car was seen.
    pub fn v85(&self, quarter: &QuarterCount) -> Option<f64> {
        quarter.has_cars().then(|| self.v85[quarter.speed_level])
    }

    /// Returns the middle of the stretch: longitude and latitude, degrees.
    pub fn middle(&self) -> (f64, f64) {
        let [(lon_a, lat_a), (lon_b, lat_b)] = self.line;
        ((lon_a + lon_b) / 2.0, (lat_a + lat_b) / 2.0)
    }

    fn seconds_up(&self, sky: &Sky, index: i64) -> i64 {
        let chance = self.noise.stream(4);
        // About one day in ninety a counter is out for half a day: unplugged, or without a network.
        if chance.stream(1).unit(sky.moment.second.div_euclid(43_200)) < 0.011 {
            return 0;
        }
        let light = match self.hardware {
            Hardware::S2 => 1.0,
            Hardware::V1 => {
                ((sky.moment.sun - 0.02) * 14.0 - 0.3 * sky.weather.cloud).clamp(0.0, 1.0)
            }
        };
        let lost = match self.hardware {
            Hardware::S2 => 0.012 * chance.unit(index),
            Hardware::V1 => 0.22 * chance.unit(index),
        };
        (QUARTER_S as f64 * light * (1.0 - lost)).round() as i64
    }
}

fn profile(road: Road, day: DayKind) -> Vec<f64> {
    let at = |day: DayKind| {
        (0..96).map(move |quarter| road.profile(day, (f64::from(quarter) + 0.5) / 4.0))
    };
    // One divisor for all days: a Saturday in a shopping street is busier than a working day.
    let total: f64 = at(DayKind::Weekday).sum();
    at(day).map(|value| value / total).collect()
}

/// Draws a whole number of mean `mean`, spread like independent passers-by (Poisson).
fn draw(mean: f64, chance: Noise, index: i64) -> u32 {
    if mean <= 0.0 {
        return 0;
    }
    if mean > 12.0 {
        return (mean + mean.sqrt() * chance.normal(index)).round().max(0.0) as u32;
    }
    let target = chance.unit(index);
    let mut probability = (-mean).exp();
    let mut below = probability;
    let mut count = 0;
    while below < target && count < 60 {
        count += 1;
        probability *= mean / f64::from(count);
        below += probability;
    }
    count
}

/// Returns percentages per speed bin that sum to exactly 100, two decimals each.
fn histogram(mean_kmh: f64, chance: &Noise) -> [f64; SPEED_BINS] {
    let spread = 0.2 * mean_kmh + 2.0;
    let mut bins = [0.0; SPEED_BINS];
    for (position, bin) in bins.iter_mut().enumerate() {
        let middle = (position as f64 + 0.5) * SPEED_BIN_KMH;
        let weight = (-0.5 * ((middle - mean_kmh) / spread).powi(2)).exp();
        *bin = weight * chance.between(position as i64, 0.85, 1.15);
    }
    let total: f64 = bins.iter().sum();
    // Whole hundredths, so that the sum can be made exact; the fullest bin takes what rounding left.
    let mut hundredths = bins.map(|bin| (10_000.0 * bin / total).round() as i64);
    let missing = 10_000 - hundredths.iter().sum::<i64>();
    if let Some(fullest) = hundredths.iter_mut().max() {
        *fullest += missing;
    }
    hundredths.map(|count| count as f64 / 100.0)
}

/// Returns the speed under which 85 % lie, km/h with half a km/h as the smallest step.
fn v85(bins: &[f64; SPEED_BINS]) -> f64 {
    let mut below = 0.0;
    for (position, bin) in bins.iter().enumerate() {
        if below + bin >= 85.0 {
            let along = (85.0 - below) / bin;
            return ((position as f64 + along) * SPEED_BIN_KMH * 2.0).round() / 2.0;
        }
        below += bin;
    }
    SPEED_BINS as f64 * SPEED_BIN_KMH
}

#[cfg(test)]
mod tests;
