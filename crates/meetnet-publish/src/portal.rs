//! `/`: the first page of the portal. What is arriving now, which datasets there are, and how to ask them something;
//! `dataset.rs` is the page of one dataset.
//!
//! Pages are whole without JavaScript. This file picks the language and turns an overview into the texts of one page;
//! the template only places them.

pub(crate) mod dataset;
mod examples;
pub(crate) mod texts;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, LINK, VARY,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use meetnet_model::common::INTERVAL_S;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::licence::Licence;
use meetnet_model::time::format_rfc3339;
use meetnet_query::Format;
use tracing::error;

use self::texts::PageTexts;
use crate::arrivals::{Arrival, Reading};
use crate::assets;
use crate::coding::Coding;
use crate::dcat;
use crate::links;
use crate::negotiate::Language;
use crate::overview::{DatasetOverview, Overview};
use crate::problem::{Problem, ProblemKind};
use crate::readable;
use crate::state::{PublishSettings, PublishState};

#[cfg(test)]
mod tests;

/// Readings of one arrival that the page has room for.
const READINGS_SHOWN: usize = 4;

/// Answers the page: in the language of `?lang=`, else in that of `Accept-Language`, else in Dutch.
pub(crate) async fn page(
    State(state): State<PublishState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let language = language_of(query.as_deref(), &headers);
    let overview = state.overview();
    let base = links::base_url(state.settings.public_url.as_deref(), &headers);
    let now = Timestamp::now().as_microsecond();
    let reader = Reader {
        language,
        settings: &state.settings,
        now,
    };
    let declarations = state.declarations();
    let arrivals = state.arrivals(&overview).await;
    let page = Page::new(&overview, &arrivals, &declarations, &reader, &base);
    html(language, page.render(), &headers, &state.settings)
}

/// Returns the language of `?lang=`, else that of `Accept-Language`, else Dutch.
pub(crate) fn language_of(query: Option<&str>, headers: &HeaderMap) -> Language {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "lang")
        .and_then(|(_, tag)| Language::by_tag(&tag))
        .unwrap_or_else(|| Language::by_accept(headers))
}

/// Answers `/datasets`, which people cut an address down to: the list on the first page, in the same language.
pub(crate) async fn all_datasets(RawQuery(query): RawQuery, headers: HeaderMap) -> Redirect {
    let language = language_of(query.as_deref(), &headers);
    Redirect::temporary(&format!("/?lang={}#datasets", language.tag()))
}

/// Answers a page, coded as the client likes it: the first one is asked for every few seconds.
fn html(
    language: Language,
    rendered: askama::Result<String>,
    asked: &HeaderMap,
    settings: &PublishSettings,
) -> Result<Response, Problem> {
    let failed = |error: &dyn std::error::Error| {
        error!(error = %error, "failed to write a page of the portal");
        Problem::new(ProblemKind::Internal, "the page could not be written")
    };
    let html = rendered.map_err(|error| failed(&error))?;
    // Text, as JSON is.
    let coding = Coding::choose(Format::Json, asked);
    let coded = coding.encode(html.into());
    let (body, coding) = coded.map_err(|error| failed(&error))?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_LANGUAGE, language.tag()),
        (CACHE_CONTROL, "no-cache"),
    ];
    let mut response = (headers, body).into_response();
    let vary = links::vary(
        settings.public_url.as_deref(),
        "accept-language, accept-encoding",
    );
    response.headers_mut().insert(VARY, vary);
    response.headers_mut().insert(LINK, dcat::LINK_TO_IT);
    if coding != Coding::Identity {
        let coding = HeaderValue::from_static(coding.as_str());
        response.headers_mut().insert(CONTENT_ENCODING, coding);
    }
    Ok(response)
}

/// Who reads, and when.
struct Reader<'a> {
    language: Language,
    settings: &'a PublishSettings,
    /// µs since 1970 UTC.
    now: i64,
}

/// A time as the template places it: `<time datetime="machine" title="full">text</time>`.
struct TimeText {
    machine: String,
    full: String,
    text: String,
}

impl Reader<'_> {
    fn full(&self, micros: i64) -> String {
        readable::date_time(micros, &self.settings.zone, self.language).unwrap_or_default()
    }

    fn time(&self, micros: i64, text: String) -> TimeText {
        TimeText {
            machine: format_rfc3339(micros),
            full: self.full(micros),
            text,
        }
    }

    fn ago(&self, micros: i64) -> TimeText {
        self.time(micros, readable::ago(micros, self.now, self.language))
    }

    fn zone_name(&self) -> String {
        let name = self.settings.zone.iana_name();
        name.unwrap_or("UTC").to_owned()
    }

    fn clock(&self, micros: i64) -> TimeText {
        let zone = &self.settings.zone;
        let text = readable::clock(micros, self.now, zone, self.language);
        self.time(micros, text.unwrap_or_default())
    }
}

/// A link to the same page in a language.
pub(crate) struct LanguageLink {
    pub(crate) tag: &'static str,
    pub(crate) name: &'static str,
    pub(crate) is_current: bool,
}

/// Returns what the head of a page needs to lead to it in every language.
pub(crate) fn language_links(current: Language) -> Vec<LanguageLink> {
    Language::ALL
        .into_iter()
        .map(|language| LanguageLink {
            tag: language.tag(),
            name: PageTexts::of(language).language_name,
            is_current: language == current,
        })
        .collect()
}

struct ArrivalRow {
    received: TimeText,
    observed: TimeText,
    dataset: String,
    place: String,
    /// In which interval; empty where it is not said.
    interval: String,
    readings: Vec<ReadingText>,
    /// How many more readings there are.
    more: usize,
    quality: QualityText,
}

struct ReadingText {
    name: String,
    value: String,
    unit: String,
}

struct QualityText {
    /// Style class: `pass`, `plain`, `suspect`, `fail`.
    class: &'static str,
    text: &'static str,
}

struct DatasetRow {
    id: String,
    title: String,
    description: String,
    /// The same with names of columns marked.
    description_parts: Vec<DescriptionPart>,
    rows: String,
    updated: Option<TimeText>,
    period: Option<String>,
    licences: Vec<LicenceText>,
}

struct DescriptionPart {
    text: String,
    /// A name in SQL.
    is_code: bool,
}

struct LicenceText {
    id: String,
    url: Option<&'static str>,
}

struct ExampleText {
    title: String,
    sql: String,
    table_path: String,
    csv_path: String,
    curl: String,
}

/// How clients of another protocol connect.
struct ConnectionText {
    protocol: &'static str,
    /// What is copied.
    address: String,
}

#[derive(Template)]
#[template(path = "portal.html")]
struct Page<'a> {
    t: &'static PageTexts,
    city: &'a str,
    lang: &'static str,
    languages: Vec<LanguageLink>,
    page_path: &'static str,
    style_path: String,
    script_path: String,
    icon_path: String,
    base: &'a str,
    rows_total: String,
    datasets_total: usize,
    sources_total: usize,
    rejects_total: String,
    newest: Option<TimeText>,
    /// What is said where there are none to show.
    no_arrivals: &'static str,
    arrivals: Vec<ArrivalRow>,
    datasets: Vec<DatasetRow>,
    examples: Vec<ExampleText>,
    connections: Vec<ConnectionText>,
    zone: String,
}

impl<'a> Page<'a> {
    fn new(
        overview: &Overview,
        arrivals: &[Arrival],
        declarations: &Declarations,
        reader: &Reader<'a>,
        base: &'a str,
    ) -> Self {
        let language = reader.language;
        let t = PageTexts::of(language);
        // What is made of measurements is no measurement, and it comes when it is made.
        let observed = || {
            let datasets = overview.datasets.iter();
            datasets.filter(|dataset| dataset.declaration.is_observed())
        };
        // When it was measured, not when it came: a sensor may send what it has kept for days.
        let newest = observed().filter_map(|dataset| dataset.time_range);
        let newest = newest.map(|(_, newest)| newest).max();
        let rows_total: u64 = observed().map(|dataset| dataset.rows).sum();
        let decimals = decimals_of(arrivals);
        Self {
            t,
            city: &reader.settings.city,
            lang: language.tag(),
            languages: language_links(language),
            page_path: "/",
            style_path: assets::STYLE.path(),
            script_path: assets::SCRIPT.path(),
            icon_path: assets::ICON.path(),
            base,
            rows_total: readable::count(rows_total, language),
            datasets_total: overview.datasets.len(),
            sources_total: declarations.sources.len(),
            rejects_total: readable::count(overview.rejects, language),
            newest: newest.map(|at| reader.ago(at)),
            no_arrivals: match rows_total {
                0 => t.now_empty,
                _ => t.now_unread,
            },
            arrivals: arrivals
                .iter()
                .map(|arrival| arrival_row(arrival, declarations, &decimals, reader, t))
                .collect(),
            datasets: overview
                .datasets
                .iter()
                .map(|d| dataset_row(d, reader))
                .collect(),
            examples: examples::of(overview, arrivals, declarations, language)
                .into_iter()
                .map(|example| ExampleText {
                    table_path: links::sql_path(&example.sql, "table"),
                    csv_path: format!("{}&download=1", links::sql_path(&example.sql, "csv")),
                    curl: links::curl_line(base, &example.sql),
                    title: example.title,
                    sql: example.sql,
                })
                .collect(),
            connections: connections(reader.settings, base),
            zone: reader.zone_name(),
        }
    }
}

/// Tells where clients of other protocols connect, as far as whoever asked under `base` can reach it.
fn connections(settings: &PublishSettings, base: &str) -> Vec<ConnectionText> {
    let pg = settings.pg.and_then(|pg| {
        let host = links::host_beside(base, pg.address)?;
        // Clients of PostgreSQL take an IPv6 address without brackets.
        let host = host.trim_matches(['[', ']']);
        Some(ConnectionText {
            protocol: "PostgreSQL",
            address: format!("psql -h {host} -p {} -U public meetnet", pg.address.port()),
        })
    });
    let flight = settings.flight.and_then(|flight| {
        let host = links::host_beside(base, flight.address)?;
        let scheme = if flight.has_tls { "grpc+tls" } else { "grpc" };
        Some(ConnectionText {
            protocol: "Arrow Flight SQL",
            address: format!("{scheme}://{host}:{}", flight.address.port()),
        })
    });
    pg.into_iter().chain(flight).collect()
}

/// How many decimals the readings of each property or column of a dataset have.
type Decimals<'a> = BTreeMap<(&'a str, &'a str), usize>;

/// As many as the one of them that has most: `10` below `10.4` would look like another device's.
fn decimals_of(arrivals: &[Arrival]) -> Decimals<'_> {
    let mut decimals = Decimals::new();
    for arrival in arrivals {
        let dataset = arrival.declaration.id.as_str();
        for reading in arrival.readings.iter().take(READINGS_SHOWN) {
            if let Some(value) = reading.value {
                let most = decimals
                    .entry((dataset, reading.name.as_str()))
                    .or_default();
                *most = readable::decimals(value).max(*most);
            }
        }
    }
    decimals
}

fn arrival_row(
    arrival: &Arrival,
    declarations: &Declarations,
    decimals: &Decimals<'_>,
    reader: &Reader<'_>,
    t: &PageTexts,
) -> ArrivalRow {
    let language = reader.language;
    ArrivalRow {
        received: reader.clock(arrival.received_at),
        observed: reader.clock(arrival.time),
        dataset: arrival.declaration.title.get(language.tag()).to_owned(),
        place: arrival.place.clone(),
        interval: interval_text(arrival, language),
        readings: arrival
            .readings
            .iter()
            .take(READINGS_SHOWN)
            .map(|reading| {
                let of = (arrival.declaration.id.as_str(), reading.name.as_str());
                let decimals = decimals.get(&of).copied();
                reading_text(reading, arrival, declarations, decimals, language, t)
            })
            .collect(),
        more: arrival.readings.len().saturating_sub(READINGS_SHOWN),
        quality: quality_text(arrival.quality, t),
    }
}

/// Says how long was counted or observed: "per quarter of an hour" where intervals of several lengths lie beside each other in a
/// dataset, for their figures are not to be compared; else "over an hour", of a mean.
fn interval_text(arrival: &Arrival, language: Language) -> String {
    let key = &arrival.declaration.key;
    match arrival.interval_s.filter(|seconds| *seconds > 0) {
        Some(seconds) if key.iter().any(|column| column == INTERVAL_S) => {
            readable::per(seconds, language)
        }
        Some(seconds) => readable::over(seconds, language),
        None => String::new(),
    }
}

/// Names a reading as its declaration does, or as SQL does where it has no title.
fn reading_text(
    reading: &Reading,
    arrival: &Arrival,
    declarations: &Declarations,
    decimals: Option<usize>,
    language: Language,
    t: &PageTexts,
) -> ReadingText {
    let declaration = &arrival.declaration;
    let property = declarations.property(declaration.id.as_str(), &reading.name);
    let column = declaration
        .columns
        .iter()
        .find(|column| column.name == reading.name);
    let title = match (property, column) {
        (Some(property), _) => Some(&property.title),
        (None, Some(column)) => column.title.as_ref(),
        (None, None) => None,
    };
    let unit = property
        .map(|property| property.unit.as_str())
        .or_else(|| column.and_then(|column| column.unit.as_deref()));
    ReadingText {
        name: title
            .map_or(reading.name.as_str(), |title| title.get(language.tag()))
            .to_owned(),
        value: match reading.value {
            Some(value) => {
                let decimals = decimals.unwrap_or_else(|| readable::decimals(value));
                readable::fixed(value, decimals, language)
            }
            None => t.no_value.to_owned(),
        },
        unit: unit
            .filter(|_| reading.value.is_some())
            .map(readable::unit)
            .unwrap_or_default(),
    }
}

fn quality_text(code: i8, t: &PageTexts) -> QualityText {
    let (class, text) = match code {
        1 => ("pass", t.quality_pass),
        3 => ("suspect", t.quality_suspect),
        4 => ("fail", t.quality_fail),
        9 => ("fail", t.quality_missing),
        _ => ("plain", t.quality_not_evaluated),
    };
    QualityText { class, text }
}

/// Returns the days of two moments. The time 0 stands for rows about all times: nothing was measured then.
fn period((min, max): (i64, i64), reader: &Reader<'_>) -> Option<String> {
    let date = |micros| readable::date(micros, &reader.settings.zone, reader.language);
    let last = date(max)?;
    if min == 0 {
        return Some(format!("… – {last}"));
    }
    let first = date(min)?;
    Some(match first == last {
        true => first,
        false => format!("{first} – {last}"),
    })
}

/// Returns the last moment that a row with a time is about: one about a year is about its last day as well, or about today where the
/// year is not over.
fn last_moment(declaration: &DatasetDeclaration, time: i64, now: i64) -> i64 {
    let end = dcat::end_of(declaration, time);
    end.saturating_sub(1).min(now).max(time)
}

fn dataset_row(dataset: &DatasetOverview, reader: &Reader<'_>) -> DatasetRow {
    let language = reader.language;
    let declaration = &dataset.declaration;
    let description = readable::first_sentence(declaration.description.get(language.tag()));
    DatasetRow {
        id: declaration.id.to_string(),
        title: declaration.title.get(language.tag()).to_owned(),
        description: description.replace('`', ""),
        description_parts: dataset::text_parts(description)
            .into_iter()
            .map(|part| DescriptionPart {
                text: part.text.to_owned(),
                is_code: part.is_code,
            })
            .collect(),
        rows: readable::count(dataset.rows, language),
        updated: dataset.last_update.map(|at| reader.ago(at)),
        period: dataset.time_range.and_then(|(first, last)| {
            let last = last_moment(declaration, last, reader.now);
            period((first, last), reader)
        }),
        licences: dataset
            .licences
            .iter()
            .map(|id| LicenceText {
                id: id.to_string(),
                url: Licence::find(id.as_str()).map(|licence| licence.url),
            })
            .collect(),
    }
}
