//! Comparing what a meetnet answers with what must be in it.
//!
//! ```text
//! Expectation ─ per series ─▶ SELECT ─▶ Found ─▶ differences ─ some? ask again until it is late ─▶ table, exit 1
//! ```
//!
//! Every row of the run is looked at: how many there are, under how many keys, and the exact sum and extremes of their
//! values. A last question per dataset finds rows that belong to nothing that was sent.

use std::time::Duration;

use anyhow::{Context, anyhow};
use meetnet_demo::load::expect::{Expectation, ExpectedSeries, Fold, Part, SCALE, Selection};
use serde::Deserialize;
use tokio::time::Instant;

use super::text::{decimal, table};
use crate::cli;
use crate::failure::Failure;
use crate::readable::{counted, grouped};
use crate::sql::{self, ServiceAccess, identifier, quoted};

/// Pause before answers that differ are asked for again: messages may be on their way through broker and journal.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Checks an expectation at a meetnet.
///
/// # Errors
/// `Work` where answers still differ after `patience`, with the differences on stdout, or where there are none.
pub(super) async fn run(
    service: &ServiceAccess,
    expectation: &Expectation,
    patience: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    let differences = loop {
        let mut differences = Vec::new();
        for part in &expectation.parts {
            check(service, part, &mut differences).await?;
        }
        if differences.is_empty() || Instant::now() >= deadline {
            break differences;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    };
    if differences.is_empty() {
        let series = expectation
            .parts
            .iter()
            .map(|part| part.series.len())
            .sum::<usize>();
        let (rows, may) = rows(expectation);
        let doubt = match may {
            0 => String::new(),
            may => format!(" (and up to {} that are in doubt)", counted(may, "row")),
        };
        return cli::print(&format!(
            "equal: {}{doubt}, their keys, sums and extremes in {series} series of seed {}",
            counted(rows, "row"),
            expectation.seed,
        ));
    }
    let head = ["source", "dataset", "of", "figure", "must be", "is"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(differences.iter().map(Difference::cells));
    cli::print(table(&rows).trim_end())?;
    Err(Failure::Work(anyhow!(
        "{} between what was acknowledged and what {} answers",
        counted(differences.len() as u64, "difference"),
        service.url
    )))
}

/// Returns how many rows there must and may be.
fn rows(expectation: &Expectation) -> (u64, u64) {
    let each = expectation.parts.iter().map(Part::rows);
    each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// One figure that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    source: String,
    dataset: String,
    series: String,
    figure: &'static str,
    expected: String,
    found: String,
}

impl Difference {
    fn cells(&self) -> Vec<String> {
        vec![
            self.source.clone(),
            self.dataset.clone(),
            self.series.clone(),
            self.figure.to_owned(),
            self.expected.clone(),
            self.found.clone(),
        ]
    }
}

/// What the answers hold of one series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    fold: Fold,
    keys: u64,
}

/// Checks one part.
async fn check(
    service: &ServiceAccess,
    part: &Part,
    differences: &mut Vec<Difference>,
) -> Result<(), Failure> {
    let difference = |series: &str, (figure, expected, found)| Difference {
        source: part.source.clone(),
        dataset: part.dataset.clone(),
        series: series.to_owned(),
        figure,
        expected,
        found,
    };
    for series in &part.series {
        let answer = ask(service, series_statement(part, &series.name)).await?;
        let found = found(&answer)?;
        differences.extend(
            compare(series, &found)
                .into_iter()
                .map(|figures| difference(&series.name, figures)),
        );
    }
    let answer = ask(service, rows_statement(part)).await?;
    let total = count(&answer, 0)?;
    let (must, may) = part.rows();
    if !(must..=must + may).contains(&total) {
        let figures = ("rows", range(must, may), grouped(total));
        differences.push(difference("(all)", figures));
    }
    Ok(())
}

/// Returns which figures differ: name, expected, found.
fn compare(expected: &ExpectedSeries, found: &Found) -> Vec<(&'static str, String, String)> {
    let (must, may) = (&expected.must, &expected.may);
    let rows = found.fold.rows;
    let mut differences = Vec::new();
    if !(must.rows..=must.rows + may.rows).contains(&rows) {
        differences.push(("rows", range(must.rows, may.rows), grouped(rows)));
    }
    if found.keys != rows {
        differences.push(("distinct keys", grouped(rows), grouped(found.keys)));
    }
    // With all of what is in doubt, or none of it, the rows are known. With a part of it they are not.
    let whole = must.with(may);
    let known = match rows {
        rows if rows == whole.rows => Some(&whole),
        rows if rows == must.rows => Some(must),
        _ if may.rows == 0 => Some(must),
        _ => None,
    };
    let Some(known) = known else {
        return differences;
    };
    let shown = |figure: Option<i64>| figure.map_or_else(|| "-".to_owned(), decimal);
    let figures = [
        ("sum", Some(known.sum), Some(found.fold.sum)),
        ("min", known.lowest, found.fold.lowest),
        ("max", known.highest, found.fold.highest),
    ];
    for (name, expected, found) in figures {
        if expected != found {
            differences.push((name, shown(expected), shown(found)));
        }
    }
    differences
}

fn range(must: u64, may: u64) -> String {
    match may {
        0 => grouped(must),
        may => format!("{} to {}", grouped(must), grouped(must + may)),
    }
}

/// Returns the query for the figures of one series: rows, keys, sum, lowest, highest.
fn series_statement(part: &Part, series: &str) -> String {
    let (keys, value, of_series) = if part.is_wide {
        let value = identifier(series);
        let is_there = format!("{value} IS NOT NULL");
        ("segment_id, interval_s, time", value, is_there)
    } else {
        let is_property = format!("property = {}", quoted(series));
        ("sensor_id, property, time", "value".to_owned(), is_property)
    };
    // Sums of whole numbers are exact in whatever order they are added.
    format!(
        "SELECT CAST(sum(n) AS BIGINT) AS row_count, count(*) AS key_count, CAST(sum(total) AS BIGINT) AS total, \
         min(lowest) AS lowest, max(highest) AS highest \
         FROM (SELECT count(*) AS n, sum(parts) AS total, min(parts) AS lowest, max(parts) AS highest \
         FROM (SELECT {keys}, CAST(round({value} * {SCALE}) AS BIGINT) AS parts FROM {} WHERE {} AND {of_series}) \
         AS of_run GROUP BY {keys}) AS by_key",
        identifier(&part.dataset),
        condition(part),
    )
}

/// Returns the query for the number of all rows of a part.
fn rows_statement(part: &Part) -> String {
    format!(
        "SELECT count(*) AS row_count FROM {} WHERE {}",
        identifier(&part.dataset),
        condition(part)
    )
}

/// Returns the condition that takes the rows of the run.
fn condition(part: &Part) -> String {
    let own = match &part.selection {
        Selection::SensorsBeginning(beginning) => {
            format!("starts_with(sensor_id, {})", quoted(beginning))
        }
        Selection::Segments { first, last } => format!("segment_id BETWEEN {first} AND {last}"),
        Selection::ReceivedBetween { from, to } => format!(
            "received_at >= {} AND received_at <= {}",
            quoted(from),
            quoted(to)
        ),
    };
    format!("source = {} AND {own}", quoted(&part.source))
}

/// Asks for one row of whole numbers.
async fn ask(service: &ServiceAccess, statement: String) -> Result<Vec<Option<i64>>, Failure> {
    /// The part of an answer that holds the rows.
    #[derive(Deserialize)]
    struct Answer {
        rows: Vec<Vec<Option<i64>>>,
    }
    let bytes = sql::ask_json(service, statement).await?;
    let answer: Answer = serde_json::from_slice(&bytes)
        .context("the answer is not what /api/v1/sql of this version gives")
        .map_err(Failure::Work)?;
    Ok(answer.rows.into_iter().next().unwrap_or_default())
}

fn found(row: &[Option<i64>]) -> Result<Found, Failure> {
    let cell = |at: usize| row.get(at).copied().flatten();
    Ok(Found {
        fold: Fold {
            rows: count(row, 0)?,
            sum: cell(2).unwrap_or(0),
            lowest: cell(3),
            highest: cell(4),
        },
        keys: count(row, 1)?,
    })
}

/// Returns a count in a row; nothing counted is null.
fn count(row: &[Option<i64>], at: usize) -> Result<u64, Failure> {
    let cell = row.get(at).ok_or_else(|| {
        Failure::Work(anyhow!("the answer has fewer columns than were asked for"))
    })?;
    u64::try_from(cell.unwrap_or(0))
        .context("the answer counts less than nothing")
        .map_err(Failure::Work)
}

#[cfg(test)]
mod tests;
