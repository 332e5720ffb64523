//! `/datasets/{id}`: one dataset for people. What it says, its newest rows, what the columns mean, whom to name, and how to
//! take it along.
//!
//! Everything is declared or in the snapshot but the newest rows: those are a query of whoever looks, and where it is
//! refused the page is whole without them.

mod cells;
mod texts;

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{Redirect, Response};
use jiff::Timestamp;
use meetnet_lake::snapshot::{LiveFile, TableSnapshot};
use meetnet_model::assessment::Assessment;
use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::common::QUALITY;
use meetnet_model::common_columns;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::LicenceId;
use meetnet_model::licence::Licence;
use meetnet_model::property::PropertyDeclaration;
use meetnet_query::{Page as RowsPage, PageCondition, PageRequest, PageTest, PageValue};
use tracing::debug;

use self::cells::Cells;
use self::texts::DatasetTexts;
use super::texts::PageTexts;
use super::{DatasetRow, LanguageLink, Reader, dataset_row, html, language_links, language_of};
use crate::assets;
use crate::client::OfClient;
use crate::files;
use crate::links;
use crate::negotiate::Language;
use crate::overview::DatasetOverview;
use crate::parameters::InPath;
use crate::problem::{Problem, ProblemKind, unknown_address};
use crate::readable;
use crate::rows::public_table;
use crate::state::PublishState;

#[cfg(test)]
mod tests;

/// Rows that are shown.
const SAMPLE_ROWS: usize = 5;
/// Columns of them: a page has no room for all of a wide dataset.
const SAMPLE_COLUMNS: usize = 8;
/// How far before the newest row the others may lie, µs: files of earlier days are not opened.
const SAMPLE_SPAN_US: i64 = 86_400_000_000;
/// Files that are listed, the newest first.
const FILES_SHOWN: usize = 6;

/// Answers the page, in the language of `?lang=`, else in that of `Accept-Language`, else in Dutch.
pub(crate) async fn page(
    OfClient(state): OfClient,
    InPath(id): InPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let language = language_of(query.as_deref(), &headers);
    let snapshot = state.query.snapshot().load_full();
    let table = public_table(&snapshot, &id)?;
    let (overview, declarations) = (state.overview(), state.declarations());
    let dataset = overview.dataset(&id).ok_or_else(|| {
        // A table that is younger than the overview.
        Problem::new(
            ProblemKind::NotFound,
            "the dataset has only just been added; ask again in a second",
        )
    })?;
    let sample = sample(&state, table, dataset).await;
    let reader = Reader {
        language,
        settings: &state.settings,
        now: Timestamp::now().as_microsecond(),
    };
    let base = links::base_url(state.settings.public_url.as_deref(), &headers);
    let page = Page::new(
        dataset,
        table,
        &declarations,
        sample.as_ref(),
        &reader,
        &base,
    );
    html(language, page.render(), &headers, &state.settings)
}

/// Answers the address of a dataset's page with a slash behind it.
pub(crate) async fn without_slash(
    State(state): State<PublishState>,
    InPath(id): InPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Redirect, Problem> {
    let overview = state.overview();
    let Some(dataset) = overview.dataset(&id) else {
        return Err(unknown_address().await);
    };
    let language = language_of(query.as_deref(), &headers);
    let path = path(&dataset.declaration);
    Ok(Redirect::temporary(&format!(
        "{path}?lang={}",
        language.tag()
    )))
}

/// Returns the newest rows; None where there are none, or where the query is refused: others are asking, too.
async fn sample(
    state: &PublishState,
    table: &TableSnapshot,
    dataset: &DatasetOverview,
) -> Option<RowsPage> {
    let declaration = &table.declaration;
    let (_, newest) = dataset.time_range?;
    let time = declaration.time_column();
    let recent = PageCondition {
        column: time.to_owned(),
        test: PageTest::AtLeast(PageValue::Time(newest.saturating_sub(SAMPLE_SPAN_US))),
    };
    // Places are few, and one may have stood there for years when the next one comes.
    let is_recent = declaration.kind != DatasetKind::Places;
    let request = PageRequest {
        dataset: declaration.id.clone(),
        as_of: table.stable_time,
        columns: sample_columns(declaration),
        conditions: is_recent.then_some(recent).into_iter().collect(),
        area: None,
        order: vec![(time.to_owned(), true)],
        buckets: None,
        after: None,
        rows_max: SAMPLE_ROWS,
    };
    match state.query.page(request).await {
        Ok(page) => Some(page),
        Err(error) => {
            debug!(%error, dataset = %declaration.id, "a page is shown without rows");
            None
        }
    }
}

/// Returns the columns of the sample: the key, the first values, the quality.
fn sample_columns(declaration: &DatasetDeclaration) -> Vec<String> {
    let values = declaration.columns.iter().filter(|column| {
        column.column_type != ColumnType::FloatList && !declaration.key.contains(&column.name)
    });
    let mut columns: Vec<String> = declaration
        .key
        .iter()
        .chain(values.map(|column| &column.name))
        .take(SAMPLE_COLUMNS - 1)
        .cloned()
        .collect();
    columns.push(QUALITY.to_owned());
    columns
}

/// A part of a text: names of columns stand between backticks.
pub(super) struct TextPart<'a> {
    pub(super) text: &'a str,
    pub(super) is_code: bool,
}

pub(super) fn text_parts(text: &str) -> Vec<TextPart<'_>> {
    let parts = text.split('`').enumerate();
    let parts = parts.filter(|(_, part)| !part.is_empty());
    parts
        .map(|(position, text)| TextPart {
            text,
            is_code: !position.is_multiple_of(2),
        })
        .collect()
}

/// One measured quantity or column.
struct ColumnRow {
    name: String,
    title: String,
    /// Empty for a property: all are numbers.
    type_name: &'static str,
    unit: String,
    range: String,
    /// The definition of what is observed.
    iri: Option<String>,
}

struct LicenceRow {
    id: String,
    title: &'static str,
    url: Option<&'static str>,
    /// Whom to name.
    attributions: Vec<String>,
}

struct SampleRow {
    cells: Vec<SampleCell>,
}

struct SampleCell {
    column: String,
    text: String,
}

struct FileRow {
    path: String,
    period: String,
    rows: String,
    size: String,
    licence: String,
}

/// Something to copy and run.
struct Recipe {
    title: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Page<'a> {
    t: &'static PageTexts,
    d: &'static DatasetTexts,
    city: &'a str,
    lang: &'static str,
    languages: Vec<LanguageLink>,
    page_path: String,
    style_path: String,
    script_path: String,
    icon_path: String,
    base: &'a str,
    zone: String,
    dataset: DatasetRow,
    description: Vec<TextPart<'a>>,
    key: String,
    licences: Vec<LicenceRow>,
    columns: Vec<ColumnRow>,
    properties: Vec<ColumnRow>,
    common_columns: Vec<ColumnRow>,
    sample_columns: Vec<String>,
    sample: Vec<SampleRow>,
    files: Vec<FileRow>,
    has_quality: bool,
    recipes: Vec<Recipe>,
    csv_path: String,
    table_path: String,
}

impl<'a> Page<'a> {
    fn new(
        dataset: &'a DatasetOverview,
        table: &TableSnapshot,
        declarations: &Declarations,
        sample: Option<&RowsPage>,
        reader: &Reader<'a>,
        base: &'a str,
    ) -> Self {
        let language = reader.language;
        let declaration = &*dataset.declaration;
        let (t, d) = (PageTexts::of(language), DatasetTexts::of(language));
        let newest_rows = links::newest_rows_sql(declaration);
        let mut files: Vec<&LiveFile> = table
            .files
            .iter()
            .map(|file| &**file)
            .filter(|file| !file.superseded)
            .collect();
        files.sort_by_key(|file| Reverse((Arc::clone(&file.period), file.committed_at_ms)));
        files.truncate(FILES_SHOWN);
        let newest_file = files.first().map(|file| files::path(&declaration.id, file));
        Self {
            t,
            d,
            city: &reader.settings.city,
            lang: language.tag(),
            languages: language_links(language),
            page_path: path(declaration),
            style_path: assets::STYLE.path(),
            script_path: assets::SCRIPT.path(),
            icon_path: assets::ICON.path(),
            base,
            zone: reader.zone_name(),
            dataset: dataset_row(dataset, reader),
            description: text_parts(declaration.description.get(language.tag()).trim()),
            key: declaration.key.join(", "),
            licences: dataset
                .licences
                .iter()
                .map(|licence| licence_row(licence, declaration))
                .collect(),
            columns: declaration
                .columns
                .iter()
                .map(|column| column_row(column, language))
                .collect(),
            properties: declarations
                .properties_of(&declaration.id)
                .map(|property| property_row(property, language))
                .collect(),
            common_columns: common_columns::ALL
                .iter()
                .map(|column| ColumnRow {
                    name: column.name.to_owned(),
                    title: column.description().get(language.tag()).to_owned(),
                    type_name: column.type_name,
                    unit: String::new(),
                    range: String::new(),
                    iri: None,
                })
                .collect(),
            sample_columns: sample.map(column_names).unwrap_or_default(),
            sample: sample
                .map(|page| {
                    let cells = Cells {
                        declaration,
                        declarations,
                        reader,
                    };
                    sample_rows(page, &cells)
                })
                .unwrap_or_default(),
            files: files
                .into_iter()
                .map(|file| FileRow {
                    path: files::path(&declaration.id, file),
                    period: files::period(table, file),
                    rows: readable::count(file.rows, language),
                    size: readable::kilobytes(file.bytes, language),
                    licence: file.licence.to_string(),
                })
                .collect(),
            has_quality: Assessment::judges(declaration),
            recipes: recipes(declaration, base, newest_file.as_deref(), d),
            csv_path: format!("{}&download=1", links::sql_path(&newest_rows, "csv")),
            table_path: links::sql_path(&newest_rows, "table"),
        }
    }
}

/// Returns the path of a dataset's page.
fn path(declaration: &DatasetDeclaration) -> String {
    format!("/datasets/{}", declaration.id)
}

fn property_row(property: &PropertyDeclaration, language: Language) -> ColumnRow {
    let title = property.title.get(language.tag());
    let title = match &property.correction {
        None => title.to_owned(),
        Some(correction) => format!(
            "{title} ({} {}, {})",
            DatasetTexts::of(language).corrected_from,
            correction.of,
            correction.method.as_str()
        ),
    };
    ColumnRow {
        name: property.name.clone(),
        title,
        type_name: "",
        unit: readable::unit(&property.unit),
        range: range(Some(property.range), language),
        iri: Some(property.iri.clone()),
    }
}

fn column_row(column: &ColumnDeclaration, language: Language) -> ColumnRow {
    ColumnRow {
        name: column.name.clone(),
        title: column
            .title
            .as_ref()
            .map(|title| title.get(language.tag()).to_owned())
            .unwrap_or_default(),
        type_name: column.column_type.as_str(),
        unit: column
            .unit
            .as_deref()
            .map(readable::unit)
            .unwrap_or_default(),
        range: range(column.range, language),
        iri: column.iri.clone(),
    }
}

/// Returns a plausible range; empty where none is declared.
fn range(range: Option<[f64; 2]>, language: Language) -> String {
    range.map_or(String::new(), |range| {
        let [least, greatest] = range.map(|bound| readable::exact(bound, language));
        format!("{least} … {greatest}")
    })
}

fn licence_row(licence: &LicenceId, declaration: &DatasetDeclaration) -> LicenceRow {
    let known = Licence::find(licence.as_str());
    LicenceRow {
        id: licence.to_string(),
        title: known.map_or("", |known| known.title),
        url: known.map(|known| known.url),
        attributions: declaration
            .attributions(licence)
            .map(str::to_owned)
            .collect(),
    }
}

fn column_names(page: &RowsPage) -> Vec<String> {
    let fields = page.schema.fields().iter();
    fields.map(|field| field.name().clone()).collect()
}

fn sample_rows(page: &RowsPage, cells: &Cells<'_>) -> Vec<SampleRow> {
    let rows = page
        .batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| SampleRow {
        cells: batch
            .schema()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, values)| SampleCell {
                column: field.name().clone(),
                text: cells.text(batch, field.name(), values, row),
            })
            .collect(),
    })
    .collect()
}

/// Returns what can be copied and run as it stands.
fn recipes(
    declaration: &DatasetDeclaration,
    base: &str,
    newest_file: Option<&str>,
    d: &'static DatasetTexts,
) -> Vec<Recipe> {
    let id = &declaration.id;
    let time = declaration.time_column();
    let sql = links::newest_rows_sql(declaration);
    let csv = links::sql_path(&sql, "csv");
    let mut recipes = vec![
        Recipe {
            title: d.recipe_sql,
            text: sql.clone(),
        },
        Recipe {
            title: d.recipe_curl,
            text: links::curl_line(base, &sql),
        },
        Recipe {
            title: d.recipe_rows,
            text: format!(
                "curl \"{base}/api/v1/datasets/{id}/rows?order=-{time}&limit=10&format=csv\""
            ),
        },
        Recipe {
            title: d.recipe_meetnet,
            text: format!("meetnet sql --url {base} \"{sql}\""),
        },
        Recipe {
            title: d.recipe_python,
            text: format!(
                "import pandas\n\nrows = pandas.read_csv(\n    \"{base}{csv}\",\n    parse_dates=[\"{time}\"],\n)\nprint(rows)"
            ),
        },
    ];
    if let Some(file) = newest_file {
        recipes.push(Recipe {
            title: d.recipe_duckdb,
            text: format!("SELECT * FROM read_parquet('{base}{file}') LIMIT 10;"),
        });
        recipes.push(Recipe {
            title: d.recipe_download,
            text: format!("curl -C - -O \"{base}{file}\""),
        });
    }
    recipes
}
