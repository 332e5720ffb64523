//! `/api/v1/datasets/{id}/latest`: the newest row of every series, all in one answer, from memory. As GeoJSON it is a map of all
//! sensors.

use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::response::Response;
use meetnet_query::Format;

use super::{RowsParameters, add_place, bad, public_table, send};
use crate::client::OfClient;
use crate::parameters::{InPath, choose_format, form};
use crate::problem::Problem;

/// Answers `GET` and `HEAD`.
pub(crate) async fn get(
    OfClient(state): OfClient,
    InPath(id): InPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let snapshot = state.query.snapshot().load_full();
    let table = public_table(&snapshot, &id)?;
    let query = query.unwrap_or_default();
    for (name, _) in form(query.as_bytes())? {
        let is_taken = matches!(&*name, "fields" | "format" | "download");
        if super::PARAMETERS.contains(&&*name) && !is_taken {
            return Err(bad(format!(
                "the newest rows take no {name}; they take column=value, fields, format and download, and /rows takes more"
            )));
        }
    }
    let parameters = RowsParameters::read(&query, &table.declaration, &state.declarations())?;
    let format = choose_format(parameters.format.as_deref(), &headers)?;
    let dataset = &table.declaration.id;
    let mut columns = parameters.columns()?;
    if format == Format::Geojson {
        add_place(&mut columns, &table.declaration, &snapshot);
    }
    let page = state
        .query
        .latest(dataset, &columns, &parameters.conditions)
        .await?;
    let links = vec![("describedby", format!("/api/v1/datasets/{dataset}"))];
    let file_name = parameters.is_download()?.then_some(dataset.as_str());
    send(&page, format, links, false, file_name, &headers)
}
