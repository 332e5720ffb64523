//! What the clock and the calendar say at an instant in Leuven: local time, kind of day, holidays, height of the sun.
//!
//! A pure function of the time; nothing here is drawn by chance and nothing reads a clock.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Longitude and latitude of the middle of the city, degrees.
pub const CENTRE: (f64, f64) = (4.7005, 50.8792);

static BRUSSELS: LazyLock<TimeZone> = LazyLock::new(|| {
    TimeZone::get("Europe/Brussels").expect("the time zone database is built into the program")
});

/// The kinds of days that people's habits tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// Monday to Friday.
    Weekday,
    /// Saturday.
    Saturday,
    /// Sunday, and every public holiday.
    Sunday,
}

/// An instant, with everything that the models ask of the calendar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Seconds since 1970 UTC.
    pub second: i64,
    /// Seconds since local midnight by the wall clock, `0..86_400`.
    pub local_second: u32,
    /// Kind of the local day.
    pub day: DayKind,
    /// Share of the year that has passed, `0..1`.
    pub year_share: f64,
    /// Whether schools are closed.
    pub school_holiday: bool,
    /// Whether the university teaches: students are in town.
    pub term: bool,
    /// Whether it is the first hour and a half of a new year: fireworks.
    pub new_year: bool,
    /// Sine of the height of the sun above the horizon, `-1..1`.
    pub sun: f64,
}

impl Moment {
    /// Returns the moment of `second` (seconds since 1970 UTC).
    pub fn at(second: i64) -> Self {
        let timestamp = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = BRUSSELS.to_datetime(timestamp);
        let date = local.date();
        let time = local.time();
        let local_second =
            time.hour() as u32 * 3_600 + time.minute() as u32 * 60 + time.second() as u32;
        let year_share =
            (f64::from(date.day_of_year()) - 1.0 + f64::from(local_second) / 86_400.0) / 366.0;
        Self {
            second,
            local_second,
            day: day_kind(date),
            year_share,
            school_holiday: is_school_holiday(date),
            term: is_term(date),
            new_year: date.month() == 1 && date.day() == 1 && local_second < 5_400,
            sun: sun_height(second, year_share),
        }
    }

    /// Returns the local quarter-hour of the day, `0..96`.
    pub fn local_quarter(&self) -> usize {
        (self.local_second / 900) as usize
    }

    /// Returns a wave over the year that is 1 on the given day of the year and -1 half a year later.
    pub fn year_wave(&self, peak_day: f64) -> f64 {
        (TAU * (self.year_share - peak_day / 366.0)).cos()
    }

    /// Returns a wave over the day by the sun (not the wall clock), 1 at `peak_hour`, -1 twelve hours later.
    pub fn day_wave(&self, peak_hour: f64) -> f64 {
        let solar_hour = solar_second(self.second) / 3_600.0;
        (TAU * (solar_hour - peak_hour) / 24.0).cos()
    }
}

/// Seconds since midnight by the sun's mean time in the city: Leuven lies 4.7 degrees, so 19 minutes, east of UTC.
fn solar_second(second: i64) -> f64 {
    second.rem_euclid(86_400) as f64 + CENTRE.0 * 240.0
}

fn sun_height(second: i64, year_share: f64) -> f64 {
    let declination = (-23.44_f64).to_radians() * (TAU * (year_share + 10.0 / 366.0)).cos();
    let hour_angle = TAU * (solar_second(second) / 86_400.0 - 0.5);
    let latitude = CENTRE.1.to_radians();
    latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos()
}

fn day_kind(date: Date) -> DayKind {
    if is_public_holiday(date) {
        return DayKind::Sunday;
    }
    match date.weekday() {
        Weekday::Saturday => DayKind::Saturday,
        Weekday::Sunday => DayKind::Sunday,
        _ => DayKind::Weekday,
    }
}

/// Belgium's public holidays: seven fixed ones and three that follow Easter.
fn is_public_holiday(date: Date) -> bool {
    let fixed = matches!(
        (date.month(), date.day()),
        (1, 1) | (5, 1) | (7, 21) | (8, 15) | (11, 1) | (11, 11) | (12, 25)
    );
    // Easter Monday, Ascension Day and Whit Monday.
    fixed
        || easter(date.year()).is_some_and(|easter| {
            [1, 39, 50]
                .iter()
                .any(|days| easter.checked_add(days.days()).is_ok_and(|day| day == date))
        })
}

/// Easter Sunday of a year in the Gregorian calendar, by the anonymous computus.
fn easter(year: i16) -> Option<Date> {
    let year_number = i32::from(year);
    let (a, b, c) = (year_number % 19, year_number / 100, year_number % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn is_school_holiday(date: Date) -> bool {
    match (date.month(), date.day()) {
        (7 | 8, _) | (12, 23..) | (1, ..=5) | (11, ..=5) => true,
        // Two weeks around Easter.
        _ => easter(date.year()).is_some_and(|easter| {
            let days = date.since(easter).map_or(i32::MAX, |span| span.get_days());
            (-8..=8).contains(&days)
        }),
    }
}

fn is_term(date: Date) -> bool {
    match date.month() {
        10..=11 | 2..=5 => !is_school_holiday(date) || date.month() == 11,
        9 => date.day() >= 22,
        12 => date.day() <= 20,
        1 | 6 => date.day() <= 25,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
