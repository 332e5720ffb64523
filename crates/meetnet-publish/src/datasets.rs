//! `/api/v1/datasets` and `/api/v1/datasets/{id}`: what is published, for programs.
//!
//! Public datasets only: a private one answers like one that does not exist, so that its name stays unknown.

use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use meetnet_model::assessment::Assessment;
use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::common_columns::{self, CommonColumn};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind, Grain};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::licence::Licence;
use meetnet_model::property::{Correction, CorrectionInput, PropertyDeclaration};
use meetnet_model::texts::Texts;
use meetnet_model::time::format_rfc3339;
use serde::Serialize;

use crate::conditional;
use crate::links;
use crate::negotiate::Language;
use crate::overview::DatasetOverview;
use crate::parameters::{InPath, only};
use crate::problem::{Problem, ProblemKind};
use crate::rows::no_dataset;
use crate::state::PublishState;

#[cfg(test)]
mod tests;

/// A text in the language asked for, else in all of them.
#[derive(Serialize)]
#[serde(untagged)]
enum TextDocument<'a> {
    One(&'a str),
    All(&'a Texts),
}

impl<'a> TextDocument<'a> {
    fn new(texts: &'a Texts, language: Option<Language>) -> Self {
        match language {
            Some(language) => Self::One(texts.get(language.tag())),
            None => Self::All(texts),
        }
    }
}

#[derive(Serialize)]
struct DatasetList<'a> {
    datasets: Vec<DatasetDocument<'a>>,
}

/// One dataset. The order of the fields is the order in the answer.
#[derive(Serialize)]
struct DatasetDocument<'a> {
    id: &'a DatasetId,
    title: TextDocument<'a>,
    description: TextDocument<'a>,
    kind: DatasetKind,
    key: &'a [String],
    grain: Grain,
    /// By whose clocks its rows are days, months or years, and a day in a parameter begins; absent: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    declaration_version: u32,
    /// Licences of the rows that are there.
    licences: Vec<LicenceDocument<'a>>,
    /// Whom to name: the dataset's own attribution, then those of its sources; nobody as long as there are no rows.
    attributions: Vec<&'a str>,
    rows: u64,
    /// Of those, rows that stand in no file yet.
    hot_rows: u64,
    time_min: Option<String>,
    time_max: Option<String>,
    /// False where a replaced row may have held one of the bounds.
    time_range_exact: bool,
    /// When its rows last changed: arrivals, imports and revisions, by when they were recorded.
    last_update: Option<String>,
    /// The newest receive time of its rows: of imported ones that of their file, or when they were observed.
    last_received: Option<String>,
    files: usize,
    bytes: u64,
    through: u64,
    stable_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<ColumnDocument<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    common_columns: Option<Vec<CommonColumnDocument>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<PropertyDocument<'a>>,
    links: Links,
}

#[derive(Serialize)]
struct LicenceDocument<'a> {
    id: &'a LicenceId,
    /// Absent for a licence that is not known here, as `url` and `iri` are.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'static str>,
    /// As catalogues name it: the IRI of the EU's authority table where that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    iri: Option<&'static str>,
}

impl<'a> LicenceDocument<'a> {
    fn new(id: &'a LicenceId) -> Self {
        let known = Licence::find(id.as_str());
        Self {
            id,
            title: known.map(|licence| licence.title),
            url: known.map(|licence| licence.url),
            iri: known.map(|licence| licence.iri),
        }
    }
}

#[derive(Serialize)]
struct ColumnDocument<'a> {
    name: &'a str,
    r#type: ColumnType,
    unit: Option<&'a str>,
    iri: Option<&'a str>,
    required: bool,
    range: Option<[f64; 2]>,
    title: Option<TextDocument<'a>>,
}

#[derive(Serialize)]
struct CommonColumnDocument {
    name: &'static str,
    r#type: &'static str,
    required: bool,
    description: TextDocument<'static>,
}

#[derive(Serialize)]
struct PropertyDocument<'a> {
    name: &'a str,
    unit: &'a str,
    iri: &'a str,
    range: [f64; 2],
    title: TextDocument<'a>,
    /// Absent where it is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    correction: Option<CorrectionDocument<'a>>,
}

/// How a property is made of a measured one, which stands beside it.
#[derive(Serialize)]
struct CorrectionDocument<'a> {
    of: &'a str,
    method: &'static str,
    /// Who published the method, and where.
    source: &'static str,
    humidity: &'a CorrectionInput,
    kappa: f64,
    density: f64,
    humidity_max: f64,
}

impl<'a> CorrectionDocument<'a> {
    fn new(correction: &'a Correction) -> Self {
        Self {
            of: &correction.of,
            method: correction.method.as_str(),
            source: correction.method.source(),
            humidity: &correction.humidity,
            kappa: correction.kappa,
            density: correction.density,
            humidity_max: correction.humidity_max,
        }
    }
}

/// Where to go on: paths from the root of the service.
#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    this: String,
    rows: String,
    latest: String,
    files: String,
    /// Of datasets that sources fill.
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<String>,
    sql: String,
    csv: String,
}

/// Answers the list: every dataset without its columns.
pub(crate) async fn list(
    State(state): State<PublishState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let language = language_of(query.as_deref())?;
    let (overview, declarations) = (state.overview(), state.declarations());
    let datasets = overview
        .datasets
        .iter()
        .map(|dataset| document(dataset, &declarations, language, false))
        .collect();
    pretty(&DatasetList { datasets }, &headers)
}

/// Answers one dataset with its columns and properties.
pub(crate) async fn one(
    State(state): State<PublishState>,
    InPath(id): InPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let language = language_of(query.as_deref())?;
    let (overview, declarations) = (state.overview(), state.declarations());
    let dataset = overview.dataset(&id).ok_or_else(|| {
        let known = overview.datasets.iter();
        no_dataset(&id, known.map(|dataset| dataset.declaration.id.as_str()))
    })?;
    let document = document(dataset, &declarations, language, true);
    pretty(&document, &headers)
}

/// Reads the parameter `lang`; absent means all languages.
fn language_of(query: Option<&str>) -> Result<Option<Language>, Problem> {
    let [lang] = only(query, ["lang"])?;
    lang.map(|tag| {
        Language::by_tag(&tag).ok_or_else(|| {
            let detail = format!("there is no language {tag:?}; lang takes nl, en or fr");
            Problem::new(ProblemKind::BadRequest, detail)
        })
    })
    .transpose()
}

fn document<'a>(
    dataset: &'a DatasetOverview,
    declarations: &'a Declarations,
    language: Option<Language>,
    with_columns: bool,
) -> DatasetDocument<'a> {
    let declaration = &*dataset.declaration;
    let newest_rows = links::newest_rows_sql(declaration);
    DatasetDocument {
        id: &declaration.id,
        title: TextDocument::new(&declaration.title, language),
        description: TextDocument::new(&declaration.description, language),
        kind: declaration.kind,
        key: &declaration.key,
        grain: declaration.grain,
        zone: declaration.zone(),
        declaration_version: declaration.version,
        licences: dataset.licences.iter().map(LicenceDocument::new).collect(),
        attributions: if dataset.licences.is_empty() {
            Vec::new()
        } else {
            attributions(declaration)
        },
        rows: dataset.rows,
        hot_rows: dataset.hot_rows,
        time_min: dataset.time_range.map(|(min, _)| format_rfc3339(min)),
        time_max: dataset.time_range.map(|(_, max)| format_rfc3339(max)),
        time_range_exact: dataset.time_range_exact,
        last_update: dataset.last_update.map(format_rfc3339),
        last_received: dataset.last_received.map(format_rfc3339),
        files: dataset.files,
        bytes: dataset.bytes,
        through: dataset.through.0,
        stable_time: format_rfc3339(dataset.stable_time),
        columns: with_columns.then(|| {
            declaration
                .columns
                .iter()
                .map(|column| column_document(column, language))
                .collect()
        }),
        common_columns: with_columns.then(|| {
            common_columns::ALL
                .iter()
                .map(|column| common_document(column, language))
                .collect()
        }),
        properties: if with_columns {
            declarations
                .properties_of(&declaration.id)
                .map(|property| property_document(property, language))
                .collect()
        } else {
            Vec::new()
        },
        links: Links {
            this: format!("/api/v1/datasets/{}", declaration.id),
            rows: format!("/api/v1/datasets/{}/rows", declaration.id),
            latest: format!("/api/v1/datasets/{}/latest", declaration.id),
            files: format!("/api/v1/datasets/{}/files", declaration.id),
            quality: Assessment::judges(declaration)
                .then(|| format!("/api/v1/datasets/{}/quality", declaration.id)),
            sql: links::sql_path(&newest_rows, "json"),
            csv: links::sql_path(&newest_rows, "csv"),
        },
    }
}

/// Returns whom to name: what the dataset says itself, then what those say whose rows lie in it, or come into it, also where it
/// is made of other datasets.
fn attributions(declaration: &DatasetDeclaration) -> Vec<&str> {
    let of_sources = declaration.source_licences.values().flatten();
    let mut attributions: Vec<&str> = Vec::new();
    for attribution in declaration
        .attribution
        .as_deref()
        .into_iter()
        .chain(of_sources.map(String::as_str))
    {
        if !attributions.contains(&attribution) {
            attributions.push(attribution);
        }
    }
    attributions
}

fn column_document(column: &ColumnDeclaration, language: Option<Language>) -> ColumnDocument<'_> {
    ColumnDocument {
        name: &column.name,
        r#type: column.column_type,
        unit: column.unit.as_deref(),
        iri: column.iri.as_deref(),
        required: column.required,
        range: column.range,
        title: column
            .title
            .as_ref()
            .map(|title| TextDocument::new(title, language)),
    }
}

fn common_document(
    column: &'static CommonColumn,
    language: Option<Language>,
) -> CommonColumnDocument {
    CommonColumnDocument {
        name: column.name,
        r#type: column.type_name,
        required: column.required,
        description: TextDocument::new(column.description(), language),
    }
}

fn property_document(
    property: &PropertyDeclaration,
    language: Option<Language>,
) -> PropertyDocument<'_> {
    PropertyDocument {
        name: &property.name,
        unit: &property.unit,
        iri: &property.iri,
        range: property.range,
        title: TextDocument::new(&property.title, language),
        correction: property.correction.as_ref().map(CorrectionDocument::new),
    }
}

/// Writes JSON that people can read too: the address is the first thing that anybody opens in a browser.
///
/// Its ETag is a weak one: what is sent may be compressed.
pub(crate) fn pretty<T: Serialize>(
    document: &T,
    asked_with: &HeaderMap,
) -> Result<Response, Problem> {
    let mut body = serde_json::to_vec_pretty(document).map_err(|error| {
        tracing::error!(%error, "failed to write a document");
        Problem::new(ProblemKind::Internal, "the document could not be written")
    })?;
    body.push(b'\n');
    let tag = conditional::tag_of(&body);
    let mut response = if conditional::knows(asked_with, &tag) {
        conditional::not_modified()
    } else {
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&format!("W/{tag}")) {
        headers.insert(ETAG, tag);
    }
    Ok(response)
}
