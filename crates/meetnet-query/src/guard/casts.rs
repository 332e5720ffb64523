//! Casts that are refused, as PostgreSQL refuses them: what they would answer nobody has asked for.
//!
//! | cast | what it would be |
//! |---|---|
//! | `1::date`, `20260131::timestamp`, `1::time`, `1::interval` | so many days, micro- or nanoseconds since 1970 or midnight |
//! | `time::bigint`, `date::int` | the same, backwards |
//! | `1::bytea` | the bytes of a number as this machine has them |
//! | `1::int[]` | a list of one |
//! | `true::date` | nothing |
//! | `1.5::boolean`, `true::float8` | over PostgreSQL's protocol alone: elsewhere true is 1.0, as in DuckDB |
//!
//! `boolean` and whole numbers are cast to each other everywhere, and a time of day to a whole number, its nanoseconds: a window in order
//! of such is written so. `null::date`, and what is cast from and to texts, is no matter of
//! types.

use arrow::datatypes::DataType;

use crate::error::{QueryError, StatementFault, sql_name};
use crate::options::Dialect;

/// What a type is of, as far as casts are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Whole,
    Number,
    Time,
    Interval,
    Bytes,
    List,
    /// Texts, and what is told by others.
    Other,
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Dictionary(_, values) => kind(values),
        DataType::Boolean => Kind::Boolean,
        whole if whole.is_integer() => Kind::Whole,
        number if number.is_numeric() => Kind::Number,
        DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_) => Kind::Time,
        DataType::Interval(_) => Kind::Interval,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Kind::Bytes,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Kind::List,
        _ => Kind::Other,
    }
}

/// Returns the values of a list.
fn elements(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            Some(of.data_type())
        }
        _ => None,
    }
}

/// Returns true for a cast that is refused on every protocol.
pub(crate) fn refuses(from: &DataType, to: &DataType) -> bool {
    if let (Some(from), Some(to)) = (elements(from), elements(to)) {
        return refuses(from, to);
    }
    match (kind(from), kind(to)) {
        (Kind::Other, _) | (_, Kind::Other) => false,
        (Kind::List, _) | (_, Kind::List) => true,
        // So windows are written that are in order of times of day.
        (Kind::Time, Kind::Whole) if is_clock(from) => false,
        (Kind::Whole | Kind::Number | Kind::Boolean, Kind::Time | Kind::Interval | Kind::Bytes)
        | (Kind::Time | Kind::Interval | Kind::Bytes, Kind::Whole | Kind::Number | Kind::Boolean)
        | (Kind::Bytes, Kind::Time | Kind::Interval)
        | (Kind::Time | Kind::Interval, Kind::Bytes) => true,
        // An interval is a time of day, and a time of day an interval.
        (Kind::Time, Kind::Interval) => !is_clock(from),
        (Kind::Interval, Kind::Time) => !is_clock(to),
        (Kind::Time, Kind::Time) => is_clock(from) && !is_clock(to) || may_be_instant(from, to),
        _ => false,
    }
}

/// Returns true for the type of times of day.
fn is_clock(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

/// Returns true for the time of day of a date: one to which an interval is added is a time, and becomes it once types are made equal.
/// Of any other date the cast is refused there.
fn may_be_instant(from: &DataType, to: &DataType) -> bool {
    matches!(from, DataType::Date32 | DataType::Date64) && is_clock(to)
}

/// Returns true for a cast that PostgreSQL refuses, and DuckDB does not.
fn refuses_of_postgres(from: &DataType, to: &DataType) -> bool {
    if let (Some(from), Some(to)) = (elements(from), elements(to)) {
        return refuses_of_postgres(from, to);
    }
    matches!(
        (kind(from), kind(to)),
        (Kind::Boolean, Kind::Number) | (Kind::Number, Kind::Boolean)
    )
}

/// Returns the error of a cast in a statement that is refused; None for every other.
pub(crate) fn refusal(from: &DataType, to: &DataType, dialect: Dialect) -> Option<QueryError> {
    let is_refused = refuses(from, to) && !may_be_instant(from, to)
        || dialect == Dialect::Postgres && refuses_of_postgres(from, to);
    is_refused.then(|| QueryError::of_statement(StatementFault::NoCast, not_cast(from, to)))
}

/// Says that such values are not cast, and what to write.
pub(crate) fn not_cast(from: &DataType, to: &DataType) -> String {
    let what = format!("cannot cast {} to {}", sql_name(from), sql_name(to));
    let hint = match (kind(from), kind(to)) {
        (Kind::List, _) => return what,
        (Kind::Whole | Kind::Number, Kind::Time) if !is_clock(to) => {
            "write to_timestamp(x) for seconds since 1970"
        }
        (Kind::Whole | Kind::Number, Kind::Interval | Kind::Time) => {
            "write x * INTERVAL '1 second'"
        }
        (Kind::Time | Kind::Interval, Kind::Whole | Kind::Number) => {
            "date_part('epoch', x) is a time, or an interval, in seconds"
        }
        (Kind::Boolean, Kind::Number) => "write x::int::float8",
        (Kind::Number | Kind::Time | Kind::Interval, Kind::Boolean) => {
            "compare it, such as x <> 0 or x IS NOT NULL"
        }
        (_, Kind::List) => "write ARRAY[x]",
        _ => return what,
    };
    format!("{what}; {hint}")
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

    use super::{refusal, refuses};
    use crate::error::StatementFault;
    use crate::options::Dialect;

    #[test]
    fn casts_are_refused_as_in_postgresql() {
        let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let clock = DataType::Time64(TimeUnit::Nanosecond);
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let decimal = DataType::Decimal128(5, 2);
        let list = |of| DataType::new_list(of, true);
        let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Int64));
        let everywhere = [
            (DataType::Int64, DataType::Date32),
            (DataType::Float64, DataType::Date32),
            (decimal.clone(), time()),
            (words, DataType::Date32),
            (DataType::Boolean, time()),
            (DataType::Int64, clock.clone()),
            (DataType::Int64, interval.clone()),
            (DataType::Int64, DataType::Binary),
            (DataType::Int64, list(DataType::Int32)),
            (list(DataType::Int64), DataType::Int32),
            (list(DataType::Int64), list(DataType::Date32)),
            (time(), DataType::Int64),
            (DataType::Date32, DataType::Float64),
            (clock.clone(), DataType::Date32),
            (clock.clone(), time()),
            (interval.clone(), DataType::Date32),
            (interval.clone(), DataType::Int32),
            (time(), interval.clone()),
            (DataType::Binary, DataType::Int64),
        ];
        for (from, to) in everywhere {
            for dialect in [Dialect::Generic, Dialect::Postgres] {
                let refusal = refusal(&from, &to, dialect).expect("a refusal");
                assert_eq!(refusal.fault, Some(StatementFault::NoCast), "{from} {to}");
            }
        }
        assert!(refuses(&DataType::Date32, &clock));
        assert!(refusal(&DataType::Date32, &clock, Dialect::Generic).is_none());
        let of_postgres = [
            (DataType::Boolean, DataType::Float64),
            (DataType::Boolean, decimal.clone()),
            (DataType::Float32, DataType::Boolean),
            (list(DataType::Boolean), list(DataType::Float64)),
        ];
        for (from, to) in of_postgres {
            assert!(
                refusal(&from, &to, Dialect::Generic).is_none(),
                "{from} {to}"
            );
            assert!(
                refusal(&from, &to, Dialect::Postgres).is_some(),
                "{from} {to}"
            );
        }
        let never = [
            (DataType::Boolean, DataType::Int32),
            (DataType::Boolean, DataType::Int64),
            (DataType::Int64, DataType::Boolean),
            (DataType::Null, DataType::Date32),
            (DataType::Utf8, list(DataType::Int32)),
            (DataType::Int64, DataType::Utf8View),
            (time(), DataType::Date32),
            (time(), clock.clone()),
            (DataType::Date32, time()),
            (interval.clone(), clock.clone()),
            (clock.clone(), interval),
            (DataType::Int64, decimal),
            (DataType::Duration(TimeUnit::Microsecond), DataType::Int64),
            (clock.clone(), DataType::Int64),
            (list(DataType::Int64), list(DataType::Float64)),
        ];
        for (from, to) in never {
            assert!(
                refusal(&from, &to, Dialect::Postgres).is_none(),
                "{from} {to}"
            );
            assert!(!refuses(&from, &to), "{from} {to}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let check = |from: DataType, to: DataType, expect: &str| {
            let refusal = refusal(&from, &to, Dialect::Postgres).expect("a refusal");
            assert_eq!(refusal.message, expect);
        };
        check(
            DataType::Int64,
            DataType::Date32,
            "cannot cast bigint to date; write to_timestamp(x) for seconds since 1970",
        );
        check(
            DataType::Boolean,
            DataType::Float64,
            "cannot cast boolean to double precision; write x::int::float8",
        );
        check(
            DataType::Boolean,
            DataType::Date32,
            "cannot cast boolean to date",
        );
        check(
            DataType::new_list(DataType::Int64, true),
            DataType::new_list(DataType::Date32, true),
            "cannot cast bigint[] to date[]",
        );
    }
}
