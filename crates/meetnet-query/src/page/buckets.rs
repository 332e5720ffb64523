//! Buckets of time: one row of many, per series and bucket, by `time_bucket`; and the buckets that no row lies in.
//!
//! A series is what is left of a key without its time. Which flags count the conditions of the page say.

use std::str::FromStr;

use meetnet_functions::GRID_BUCKETS_MAX;
use meetnet_model::buckets::{BucketWidth, TimeBuckets};
use meetnet_model::calendar::SECOND_US;
use meetnet_model::common::INTERVAL_S;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::time::format_rfc3339;

use super::PageRequest;
use super::statement::{list, quoted};
use crate::error::{QueryError, QueryErrorKind};
use crate::table::schema::public_schema;

/// Columns that one request may make: each is computed for every bucket.
const COLUMNS_MAX: usize = 64;
/// Units of one bucket.
const COUNT_MAX: u32 = 10_000;
/// The column that says how many rows a bucket holds.
const ROWS: &str = "rows";
/// The column that says that a bucket holds none.
const GAP: &str = "gap";

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    count: u32,
    /// As it is written in a request.
    letters: &'static str,
    /// As it is written in SQL.
    unit: &'static str,
}

impl FromStr for Every {
    type Err = &'static str;

    /// Reads `15m`, `1h`, `1d`, `1w`, `1mo`, `1y`; the error is what is accepted.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ACCEPTED: &str = "a number and s, m, h, d, w, mo or y, such as 15m or 1d";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let (letters, unit) = match unit {
            "s" => ("s", "second"),
            "m" => ("m", "minute"),
            "h" => ("h", "hour"),
            "d" => ("d", "day"),
            "w" => ("w", "week"),
            "mo" => ("mo", "month"),
            "y" => ("y", "year"),
            _ => return Err(ACCEPTED),
        };
        let count = count.parse().ok();
        let count = count.filter(|count| (1..=COUNT_MAX).contains(count));
        Ok(Self {
            count: count.ok_or(ACCEPTED)?,
            letters,
            unit,
        })
    }
}

impl Every {
    pub(super) fn to_sql(self) -> String {
        format!("INTERVAL '{} {}'", self.count, self.unit)
    }

    /// Returns the width that the interval of [`Self::to_sql`] is.
    fn width(self) -> BucketWidth {
        let count = i64::from(self.count);
        match self.unit {
            "second" => BucketWidth::Micros(count * SECOND_US),
            "minute" => BucketWidth::Micros(count * 60 * SECOND_US),
            "hour" => BucketWidth::Micros(count * 3_600 * SECOND_US),
            "day" => BucketWidth::Days(count),
            "week" => BucketWidth::Days(count * 7),
            "month" => BucketWidth::Months(count),
            _ => BucketWidth::Months(count * 12),
        }
    }
}

/// What is computed of the values of a bucket. Rows without a value count for none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketAggregate {
    /// Arithmetic mean.
    Mean,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Sum.
    Sum,
    /// Number of values.
    Count,
    /// Standard deviation of a sample.
    Stddev,
    /// Earliest value.
    First,
    /// Latest value.
    Last,
    /// Exact percentile, 1 to 99.
    Percentile(u8),
}

impl BucketAggregate {
    /// The names, for messages.
    pub const NAMES: &str = "mean, min, max, sum, count, median, stddev, first, last, p1 to p99";

    /// Reads a name; None for what is none.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "mean" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            "count" => Self::Count,
            "median" => Self::Percentile(50),
            "stddev" => Self::Stddev,
            "first" => Self::First,
            "last" => Self::Last,
            other => {
                let percent = other.strip_prefix('p')?.parse().ok();
                Self::Percentile(percent.filter(|percent| (1..100).contains(percent))?)
            }
        })
    }

    fn name(self) -> String {
        match self {
            Self::Mean => "mean".to_owned(),
            Self::Min => "min".to_owned(),
            Self::Max => "max".to_owned(),
            Self::Sum => "sum".to_owned(),
            Self::Count => "count".to_owned(),
            Self::Stddev => "stddev".to_owned(),
            Self::First => "first".to_owned(),
            Self::Last => "last".to_owned(),
            Self::Percentile(percent) => format!("p{percent}"),
        }
    }

    fn to_sql(self, column: &str, time: &str) -> String {
        let column = quoted(column);
        match self {
            Self::Mean => format!("avg({column})"),
            Self::Min => format!("min({column})"),
            Self::Max => format!("max({column})"),
            Self::Sum => format!("sum({column})"),
            Self::Count => format!("count({column})"),
            Self::Stddev => format!("stddev({column})"),
            Self::First => format!("first({column}, {time})"),
            Self::Last => format!("last({column}, {time})"),
            Self::Percentile(percent) => {
                format!("percentile_cont(0.{percent:02}) WITHIN GROUP (ORDER BY {column})")
            }
        }
    }
}

/// How rows become buckets. The columns of the page are what is computed: all numbers where none is named.
#[derive(Clone, Debug, PartialEq)]
pub struct PageBuckets {
    /// Length of a bucket.
    pub every: Every,
    /// IANA name of the zone by whose clocks buckets begin.
    pub zone: String,
    /// What is computed of each column.
    pub aggregates: Vec<BucketAggregate>,
    /// From when to before when buckets without rows are rows too, µs since 1970 UTC; None: they are left out.
    pub gaps: Option<(i64, i64)>,
}

impl PageBuckets {
    /// Returns the columns whose values are aggregated.
    fn values<'a>(
        &self,
        request: &'a PageRequest,
        declaration: &'a DatasetDeclaration,
    ) -> Result<Vec<&'a str>, QueryError> {
        let wrong = |message| Err(QueryError::new(QueryErrorKind::BadRequest, message));
        if declaration.kind == DatasetKind::Places {
            return wrong(format!(
                "`{}` says where things are; it has no values over time",
                declaration.id
            ));
        }
        let schema = public_schema(declaration);
        let is_number = |name: &str| {
            let field = schema.field_with_name(name);
            field.is_ok_and(|field| field.data_type().is_numeric())
                && !declaration.key.iter().any(|key| key == name)
        };
        let values: Vec<&str> = if request.columns.is_empty() {
            let declared = declaration
                .columns
                .iter()
                .map(|column| column.name.as_str());
            // How long values are means over is no value to sum up, unless it is asked for.
            declared
                .filter(|name| is_number(name) && *name != INTERVAL_S)
                .collect()
        } else {
            request.columns.iter().map(String::as_str).collect()
        };
        if let Some(name) = values.iter().find(|name| !is_number(name)) {
            return wrong(format!(
                "`{name}` is no column of numbers beside the key, so it has no {}",
                BucketAggregate::NAMES
            ));
        }
        let count = values.len() * self.aggregates.len();
        if count == 0 || count > COLUMNS_MAX {
            return wrong(format!(
                "the request makes {count} columns; name fields so that there are 1 to {COLUMNS_MAX}"
            ));
        }
        Ok(values)
    }

    /// Returns the columns of the page.
    pub(super) fn columns(
        &self,
        request: &PageRequest,
        declaration: &DatasetDeclaration,
    ) -> Result<Vec<String>, QueryError> {
        let mut columns = declaration.key.clone();
        columns.push(ROWS.to_owned());
        for value in self.values(request, declaration)? {
            for aggregate in &self.aggregates {
                columns.push(format!("{value}_{}", aggregate.name()));
            }
        }
        if self.gaps.is_some() {
            columns.push(GAP.to_owned());
        }
        Ok(columns)
    }

    /// Refuses more buckets with gaps than `time_grid` lists, which would refuse them by its own name: nobody has written that.
    ///
    /// # Errors
    /// `BadRequest`, which names the parameters.
    pub(super) fn check_gaps(&self, from: i64, to: i64) -> Result<(), QueryError> {
        // What is wrong with a width or a zone is wrong without gaps, too, and is said by the statement of the buckets.
        let Ok(buckets) = TimeBuckets::try_new(self.every.width(), Some(&self.zone), None) else {
            return Ok(());
        };
        let wrong = |message| Err(QueryError::new(QueryErrorKind::BadRequest, message));
        let Some(first) = buckets.walk().start(from) else {
            return wrong(format!(
                "gaps=mark makes buckets of the years 1 to 9999; from is {}",
                format_rfc3339(from)
            ));
        };
        let count = buckets.count_max(first, to);
        if count <= GRID_BUCKETS_MAX {
            return Ok(());
        }
        let Every {
            count: length,
            letters,
            ..
        } = self.every;
        wrong(format!(
            "gaps=mark with every={length}{letters} from {} to {} makes up to {count} buckets of each series, and \
             {GRID_BUCKETS_MAX} is the most; take a longer every, or from and to that lie nearer to each other",
            format_rfc3339(from),
            format_rfc3339(to)
        ))
    }

    /// Returns the statement of all buckets of the rows that meet `filter`, which is ` WHERE …` or nothing.
    pub(super) fn table(
        &self,
        request: &PageRequest,
        declaration: &DatasetDeclaration,
        filter: &str,
    ) -> Result<String, QueryError> {
        let dataset = quoted(declaration.id.as_str());
        let time = quoted(declaration.time_column());
        let series: Vec<String> = declaration
            .key
            .iter()
            .filter(|name| *name != declaration.time_column())
            .cloned()
            .collect();
        let (every, zone) = (self.every.to_sql(), self.zone.replace('\'', "''"));
        let mut made = vec![format!("count(*) AS {}", quoted(ROWS))];
        for value in self.values(request, declaration)? {
            for aggregate in &self.aggregates {
                let name = quoted(&format!("{value}_{}", aggregate.name()));
                made.push(format!("{} AS {name}", aggregate.to_sql(value, &time)));
            }
        }
        let grouped: Vec<String> = (1..=series.len() + 1).map(|at| at.to_string()).collect();
        let buckets = format!(
            "SELECT {}, time_bucket({every}, {time}, '{zone}') AS {time}, {} FROM {dataset}{filter} GROUP BY {}",
            list(&series),
            made.join(", "),
            grouped.join(", "),
        );
        let Some((from, to)) = self.gaps else {
            return Ok(buckets);
        };
        self.check_gaps(from, to)?;
        let of = |table: &str, name: &str| format!("{table}.{}", quoted(name));
        let joined = |left: &str| {
            let columns = series
                .iter()
                .map(|name| format!("{} = {}", of("held", name), of(left, name)));
            columns.collect::<Vec<_>>().join(" AND ")
        };
        let columns: Vec<String> = series
            .iter()
            .map(|name| format!("{} AS {}", of("series", name), quoted(name)))
            .chain(
                self.columns(request, declaration)?
                    .iter()
                    .filter_map(|name| {
                        let is_made =
                            !declaration.key.contains(name) && name != GAP && name != ROWS;
                        is_made.then(|| format!("{} AS {}", of("held", name), quoted(name)))
                    }),
            )
            .collect();
        Ok(format!(
            "SELECT {}, grid.time AS {time}, coalesce({held_rows}, 0) AS {rows}, {held_rows} IS NULL AS {gap} \
             FROM (SELECT DISTINCT {} FROM {dataset}{filter}) AS series \
             CROSS JOIN time_grid({every}, '{from}', '{to}', '{zone}') AS grid \
             LEFT JOIN ({buckets}) AS held ON {} AND held.{time} = grid.time",
            columns.join(", "),
            list(&series),
            joined("series"),
            held_rows = of("held", ROWS),
            rows = quoted(ROWS),
            gap = quoted(GAP),
            from = format_rfc3339(from),
            to = format_rfc3339(to),
        ))
    }
}
