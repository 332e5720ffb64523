//! Units of time by the names that PostgreSQL has for them, in any case.

/// A unit that parts of times are counted in, and that times are truncated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarUnit {
    /// 1/1,000 microsecond.
    Nanosecond,
    /// 1/1,000,000 second.
    Microsecond,
    /// 1/1,000 second.
    Millisecond,
    /// 60 to the minute.
    Second,
    /// 60 to the hour.
    Minute,
    /// By the clock.
    Hour,
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// Of the calendar.
    Month,
    /// Three months, from January, April, July or October.
    Quarter,
    /// Of the calendar.
    Year,
    /// Ten years, from one whose last digit is 0.
    Decade,
    /// A hundred years, from one whose last digits are 01.
    Century,
    /// A thousand years, from one whose last digits are 001.
    Millennium,
}

impl CalendarUnit {
    /// Returns the unit of a name; None for one that nobody knows.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "nanosecond" | "nanoseconds" => Self::Nanosecond,
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => {
                Self::Microsecond
            }
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => {
                Self::Millisecond
            }
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "mon" | "mons" | "month" | "months" => Self::Month,
            "qtr" | "quarter" | "quarters" => Self::Quarter,
            "y" | "yr" | "yrs" | "year" | "years" => Self::Year,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "c" | "cent" | "century" | "centuries" => Self::Century,
            "mil" | "mils" | "millennium" | "millenniums" | "millennia" => Self::Millennium,
            _ => return None,
        })
    }

    /// Returns the name that DataFusion has for it, where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nanosecond => "nanosecond",
            Self::Microsecond => "microsecond",
            Self::Millisecond => "millisecond",
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Decade => "decade",
            Self::Century => "century",
            Self::Millennium => "millennium",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_many_names() {
        for (name, expect) in [
            ("milliseconds", Some("millisecond")),
            ("US", Some("microsecond")),
            ("Decs", Some("decade")),
            ("cent", Some("century")),
            ("millennia", Some("millennium")),
            ("m", Some("minute")),
            ("mon", Some("month")),
            ("fortnight", None),
            ("", None),
        ] {
            let found = CalendarUnit::named(name).map(CalendarUnit::name);
            assert_eq!(found, expect, "{name}");
            // Its own name is one of them.
            let again = expect.and_then(CalendarUnit::named);
            assert_eq!(again.map(CalendarUnit::name), expect, "{name}");
        }
    }
}
