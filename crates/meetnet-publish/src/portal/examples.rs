//! Example queries, made from what is declared: a city with other datasets gets examples that fit them.

use meetnet_model::common::INTERVAL_S;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;

use crate::arrivals::{self, Arrival};
use crate::negotiate::Language;
use crate::overview::Overview;
use crate::readable;

/// A query that can be tried.
#[derive(Debug, PartialEq)]
pub(super) struct Example {
    /// What it answers.
    pub(super) title: String,
    /// The query, in lines for reading.
    pub(super) sql: String,
}

/// Returns up to three examples: a wide dataset by hour, a long one by property, the newest values of a property.
pub(super) fn of(
    overview: &Overview,
    newest_arrivals: &[Arrival],
    declarations: &Declarations,
    language: Language,
) -> Vec<Example> {
    // Datasets with rows come first: an example should answer something.
    let with_rows = overview.datasets.iter().filter(|dataset| dataset.rows > 0);
    let without = overview.datasets.iter().filter(|dataset| dataset.rows == 0);
    let ordered: Vec<&DatasetDeclaration> = with_rows
        .chain(without)
        .map(|dataset| &*dataset.declaration)
        .collect();
    let of_kind = |kind| ordered.iter().copied().filter(move |d| d.kind == kind);
    // A mean by the hour says nothing of days, nor of what is one already.
    let mut observed = of_kind(DatasetKind::Wide).filter(|dataset| dataset.is_observed());
    let by_hour = observed.find_map(|dataset| {
        let interval_s = interval_of(dataset, newest_arrivals);
        by_hour(dataset, interval_s, language)
    });
    let mut long = of_kind(DatasetKind::Long);
    let by_property = long.next().map(|dataset| by_property(dataset, language));
    // The second long dataset where there is one, so that the examples show as much as they can.
    let newest = long
        .next()
        .or_else(|| of_kind(DatasetKind::Long).next())
        .and_then(|dataset| newest(dataset, declarations, language));
    by_hour
        .into_iter()
        .chain(by_property)
        .chain(newest)
        .collect()
}

/// Returns the interval that an example keeps to, s: the hour, unless all that has come lately is of other ones. None where a
/// dataset has no rows of several.
fn interval_of(dataset: &DatasetDeclaration, newest_arrivals: &[Arrival]) -> Option<i64> {
    const HOUR_S: i64 = 3_600;
    if !dataset.key.iter().any(|column| column == INTERVAL_S) {
        return None;
    }
    let arrivals = newest_arrivals.iter();
    let own = arrivals.filter(|arrival| arrival.declaration.id == dataset.id);
    let intervals: Vec<i64> = own.filter_map(|arrival| arrival.interval_s).collect();
    Some(match intervals.first() {
        Some(other) if !intervals.contains(&HOUR_S) => *other,
        _ => HOUR_S,
    })
}

fn by_hour(
    dataset: &DatasetDeclaration,
    interval_s: Option<i64>,
    language: Language,
) -> Option<Example> {
    let means: Vec<String> = arrivals::measured_columns(dataset)
        .into_iter()
        .map(|column| format!("       round(avg({column}), 1) AS {column}"))
        .take(3)
        .collect();
    if means.is_empty() {
        return None;
    }
    // A count of an hour and one of a quarter of it have no mean that says anything.
    let of_interval = match interval_s {
        Some(seconds) => format!(" AND {INTERVAL_S} = {seconds}"),
        None => String::new(),
    };
    let per = readable::per(interval_s.unwrap_or(3_600), language);
    let title = dataset.title.get(language.tag());
    Some(Example {
        title: match language {
            Language::Nl => format!("{title}: gemiddelde {per}, laatste 24 uur"),
            Language::En => format!("{title}: mean {per}, last 24 hours"),
            Language::Fr => format!("{title} : moyenne {per}, dernières 24 heures"),
        },
        sql: format!(
            "SELECT date_trunc('hour', time) AS hour,\n{}\nFROM {}\n\
             WHERE time >= now() - INTERVAL '24 hours' AND quality <= 2{of_interval}\nGROUP BY hour\nORDER BY hour",
            means.join(",\n"),
            dataset.id
        ),
    })
}

/// Extremes, not a mean: a mean of decibels or of wind directions would be wrong, and this fits every property.
fn by_property(dataset: &DatasetDeclaration, language: Language) -> Example {
    let title = dataset.title.get(language.tag());
    Example {
        title: match language {
            Language::Nl => format!("{title}: wat er de laatste 24 uur gemeten is"),
            Language::En => format!("{title}: what was measured in the last 24 hours"),
            Language::Fr => format!("{title} : ce qui a été mesuré ces dernières 24 heures"),
        },
        sql: format!(
            "SELECT property,\n       count(*) AS measurements,\n       min(value) AS least,\n       \
             max(value) AS greatest,\n       max(time) AS newest\nFROM {}\nWHERE time >= now() - INTERVAL '24 hours' AND quality <= 2\n\
             GROUP BY property\nORDER BY property",
            dataset.id
        ),
    }
}

fn newest(
    dataset: &DatasetDeclaration,
    declarations: &Declarations,
    language: Language,
) -> Option<Example> {
    let property = declarations
        .properties
        .iter()
        .find(|p| p.dataset == dataset.id)?;
    let title = property.title.get(language.tag());
    let sensor = dataset.key.first()?;
    Some(Example {
        title: match language {
            Language::Nl => format!("{title}: de nieuwste metingen"),
            Language::En => format!("{title}: the newest measurements"),
            Language::Fr => format!("{title} : les mesures les plus récentes"),
        },
        sql: format!(
            "SELECT {sensor}, time, value, quality\nFROM {}\nWHERE property = '{}'\nORDER BY time DESC\nLIMIT 10",
            dataset.id, property.name
        ),
    })
}
