//! `/api/v1/datasets/{id}/rows`: the rows of one dataset by conditions on its columns, page by page.
//!
//! ```text
//! ?sensor_id=…&value.gte=25&from=…&to=…   which rows: conditions that all hold
//! &bbox=W,S,E,N or &near=LON,LAT&radius=M where they are
//! &fields=time,value&order=-time&limit=1000  which columns, in which order, how many rows
//! &every=1h&agg=mean,p95&zone=…&gaps=mark one row of the rows of a bucket of time
//! &as_of=…                                the time it is read as of; left out: the dataset's stable time
//! &changed_since=…                        rows that were new or revised after that time
//! &cursor=…                               where the page before ended, and its time: made by Link rel="next"
//! ```
//!
//! This file reads the request and hands out links; `meetnet-query` makes the statement and runs it.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::common::{LICENCE, RECORDED_AT};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::time::format_rfc3339;
use meetnet_query::{
    Format, Page, PageCondition, PageRequest, PageTest, PageValue, QueryError, encode_page,
    nearest, places_of, public_schema,
};

use crate::client::OfClient;
use crate::coding::Coding;
use crate::conditional;
use crate::cursor::Cursor;
use crate::head::AnswerHead;
use crate::parameters::{
    InPath, choose_format, cut, flag, form, licences, set_once, time, time_in, wrong_value,
};
use crate::problem::{Problem, ProblemKind};

mod closed;
pub(crate) mod latest;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use shape::RADIUS_MAX_M;
use shape::Shape;

/// Rows of a page where `limit` is left out.
const ROWS_DEFAULT: usize = 1000;
/// What a condition asks of a column.
#[derive(Clone, Copy)]
enum Operator {
    /// Whether it has one of some values.
    Equal,
    /// How it compares with a value.
    Bound(fn(PageValue) -> PageTest),
    /// Whether it has none.
    Null,
}

/// What follows a column's name.
const OPERATORS: [(&str, Operator); 6] = [
    ("eq", Operator::Equal),
    ("lt", Operator::Bound(PageTest::Less)),
    ("lte", Operator::Bound(PageTest::AtMost)),
    ("gt", Operator::Bound(PageTest::Greater)),
    ("gte", Operator::Bound(PageTest::AtLeast)),
    ("null", Operator::Null),
];
/// Columns that say where a row is.
const PLACE: [&str; 2] = ["lon", "lat"];
/// The parameters that are no conditions.
pub(crate) const PARAMETERS: [&str; 17] = [
    "from",
    "to",
    "changed_since",
    "bbox",
    "near",
    "radius",
    "fields",
    "order",
    "every",
    "agg",
    "zone",
    "gaps",
    "limit",
    "as_of",
    "cursor",
    "format",
    "download",
];

/// What a request asks for.
#[derive(Debug, Default)]
struct RowsParameters {
    from: Option<String>,
    to: Option<String>,
    changed_since: Option<String>,
    fields: Option<String>,
    shape: Shape,
    limit: Option<String>,
    as_of: Option<String>,
    cursor: Option<String>,
    format: Option<String>,
    download: Option<String>,
    conditions: Vec<PageCondition>,
}

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
    let parameters = RowsParameters::read(&query, &table.declaration, &state.declarations())?;
    let format = choose_format(parameters.format.as_deref(), &headers)?;
    let dataset = &table.declaration.id;
    // Without a time in its address the next answer is a newer one.
    let is_pinned = parameters.as_of.is_some() || parameters.cursor.is_some();
    let cursor = parameters.cursor.clone();
    let file_name = parameters.is_download()?.then_some(dataset.as_str());
    let order = parameters.shape.order.clone();
    let request =
        parameters.into_request(table, &snapshot, format, state.settings.page_rows_max)?;
    let page = state.query.page(request).await?;
    let next = page.next.as_ref().map(|after| {
        let cursor = Cursor {
            as_of: page.as_of,
            after: after.clone(),
            order: order.clone(),
        };
        let cursor = Some(("cursor", cursor.to_text()));
        ("next", page_path(dataset, &query, cursor))
    });
    // Of a walk through several pages the first one is as of its time, too.
    let as_of = || Some(("as_of", format_rfc3339(page.as_of)));
    let of_walk = (is_pinned || next.is_some()).then(as_of).flatten();
    let first = ("first", page_path(dataset, &query, of_walk));
    let own = cursor.map(|cursor| ("cursor", cursor)).or_else(as_of);
    let cite_as = ("cite-as", page_path(dataset, &query, own));
    let described = ("describedby", format!("/api/v1/datasets/{dataset}"));
    let service = ("service-desc", "/api/v1/openapi.json".to_owned());
    let links = next.into_iter().chain([first, cite_as, described, service]);
    let links = links.collect();
    send(&page, format, links, is_pinned, file_name, &headers)
}

/// Returns a public table; a private one is answered like one that does not exist.
pub(crate) fn public_table<'a>(
    snapshot: &'a LakeSnapshot,
    id: &str,
) -> Result<&'a Arc<TableSnapshot>, Problem> {
    let table = snapshot.tables.get(&DatasetId::new(id));
    let table = table.filter(|table| table.declaration.is_public());
    table.ok_or_else(|| {
        let tables = snapshot.tables.iter();
        let public = tables.filter(|(_, table)| table.declaration.is_public());
        no_dataset(id, public.map(|(id, _)| id.as_str()))
    })
}

/// Returns the problem of a dataset that is not there, or not for everybody; `known` are those that are.
pub(crate) fn no_dataset<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let known: Vec<&str> = known.collect();
    let hint = nearest(id, &known).map(|near| format!(" did you mean `{near}`?"));
    let detail = format!(
        "there is no dataset `{}`;{} /api/v1/datasets lists those there are",
        cut(id),
        hint.unwrap_or_default()
    );
    Problem::new(ProblemKind::NotFound, detail)
}

/// Sends a page.
fn send(
    page: &Page,
    format: Format,
    links: Vec<(&'static str, String)>,
    is_settled: bool,
    file_name: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let next = links.iter().find(|(relation, _)| *relation == "next");
    let bytes = encode_page(page, format, next.map(|(_, to)| to.as_str()))?;
    let (bytes, coding) = Coding::choose(format, headers)
        .encode(bytes)
        .map_err(|error| QueryError::internal("compressing the answer", error))?;
    // What never changes is asked for again by those who have it: a cache keeps it for an hour.
    let tag = is_settled.then(|| conditional::tag_of(&bytes));
    let head = AnswerHead {
        format,
        coding,
        through: page.through,
        stable_time: page.stable_time,
        as_of: Some(page.as_of),
        rights: &page.rights,
        hints: &page.hints,
        is_settled,
        tag: tag.as_deref(),
        file_name,
        links,
        proof: None,
    };
    let is_known = tag
        .as_deref()
        .is_some_and(|tag| conditional::knows(headers, tag));
    Ok(head.onto(if is_known {
        conditional::not_modified()
    } else {
        bytes.into_response()
    }))
}

impl RowsParameters {
    fn read(
        query: &str,
        declaration: &DatasetDeclaration,
        declarations: &Declarations,
    ) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        for (name, value) in form(query.as_bytes())? {
            let slot = match &*name {
                "from" => &mut parameters.from,
                "to" => &mut parameters.to,
                "changed_since" => &mut parameters.changed_since,
                "fields" => &mut parameters.fields,
                "bbox" => &mut parameters.shape.bbox,
                "near" => &mut parameters.shape.near,
                "radius" => &mut parameters.shape.radius,
                "order" => &mut parameters.shape.order,
                "every" => &mut parameters.shape.every,
                "agg" => &mut parameters.shape.agg,
                "zone" => &mut parameters.shape.zone,
                "gaps" => &mut parameters.shape.gaps,
                "limit" => &mut parameters.limit,
                "as_of" => &mut parameters.as_of,
                "cursor" => &mut parameters.cursor,
                "format" => &mut parameters.format,
                "download" => &mut parameters.download,
                _ => {
                    parameters.add_condition(&name, &value, declaration, declarations)?;
                    continue;
                }
            };
            set_once(slot, &name, &value)?;
        }
        Ok(parameters)
    }

    fn add_condition(
        &mut self,
        name: &str,
        text: &str,
        declaration: &DatasetDeclaration,
        declarations: &Declarations,
    ) -> Result<(), Problem> {
        let (column, operator) = name.split_once('.').unwrap_or((name, "eq"));
        let schema = public_schema(declaration);
        let Ok(field) = schema.field_with_name(column) else {
            let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(bad(format!(
                "there is no parameter or column `{}`; parameters are {}; columns are {}",
                cut(column),
                PARAMETERS.join(", "),
                columns.join(", ")
            )));
        };
        // Before the value: what it must be is not said of a condition that there is not.
        let mut operators = OPERATORS.into_iter();
        let Some((_, operator)) = operators.find(|(known, _)| *known == operator) else {
            let known = OPERATORS.map(|(known, _)| known);
            return Err(bad(format!(
                "there is no condition `{}`; after {column} stands .{} or nothing, as in {column}.gte=…",
                cut(operator),
                known.join(", .")
            )));
        };
        let value = || {
            PageValue::of_column(field, text, declaration.zone())
                .map_err(|accepted| wrong_value(name, text, accepted))
        };
        match operator {
            Operator::Null => {
                let is_null = text.parse();
                let is_null = is_null.map_err(|_| wrong_value(name, text, "true or false"))?;
                self.add(column, PageTest::IsNull(is_null));
            }
            Operator::Equal if column == LICENCE => {
                // As everywhere: by id or IRI, several with commas between them.
                let asked = licences(&[text.to_owned()])?.unwrap_or_default();
                let asked = asked.iter().map(|id| PageValue::Text(id.to_string()));
                self.any_of(column, asked);
            }
            Operator::Equal => {
                let value = value()?;
                closed::check(column, &value, declaration, declarations)?;
                self.any_of(column, [value]);
            }
            Operator::Bound(test) => self.add(column, test(value()?)),
        }
        Ok(())
    }

    /// Takes rows with one of these values, or with one that was named for the same column before.
    fn any_of(&mut self, column: &str, values: impl IntoIterator<Item = PageValue>) {
        let same = self
            .conditions
            .iter_mut()
            .find_map(|known| match &mut known.test {
                PageTest::AnyOf(values) if known.column == column => Some(values),
                _ => None,
            });
        match same {
            Some(known) => known.extend(values),
            None => self.add(column, PageTest::AnyOf(values.into_iter().collect())),
        }
    }

    fn add(&mut self, column: &str, test: PageTest) {
        self.conditions.push(PageCondition {
            column: column.to_owned(),
            test,
        });
    }

    fn into_request(
        mut self,
        table: &TableSnapshot,
        snapshot: &LakeSnapshot,
        format: Format,
        rows_max: usize,
    ) -> Result<PageRequest, Problem> {
        let declaration = &table.declaration;
        let mut columns = self.columns()?;
        if format == Format::Geojson && self.shape.every.is_none() {
            add_place(&mut columns, declaration, snapshot);
        }
        let time_column = declaration.time_column();
        let zone = declaration.zone();
        let read =
            |name: &str, text: Option<&str>| text.map(|text| time_in(name, text, zone)).transpose();
        let (from_text, to_text) = (self.from.take(), self.to.take());
        let from = read("from", from_text.as_deref())?;
        let to = read("to", to_text.as_deref())?;
        if let Some((from, to)) = from.zip(to)
            && from > to
        {
            return Err(bad(format!(
                "from lies behind to, `{}` behind `{}`; rows are from the one to before the other, such as \
                 from=2026-01-01&to=2026-02-01",
                cut(&from_text.unwrap_or_default()),
                cut(&to_text.unwrap_or_default())
            )));
        }
        if let Some(from) = from {
            self.add(time_column, PageTest::AtLeast(PageValue::Time(from)));
        }
        if let Some(to) = to {
            self.add(time_column, PageTest::Less(PageValue::Time(to)));
        }
        if let Some(text) = self.changed_since.take() {
            if let Some(every) = &self.shape.every {
                return Err(bad(format!(
                    "changed_since goes without every, which was given `{}`: a bucket of the rows that have changed lacks the others; \
                     leave out one of them",
                    cut(every)
                )));
            }
            let since = time("changed_since", &text)?;
            self.add(RECORDED_AT, PageTest::RecordedAfter(since));
        }
        let area = self.shape.area()?;
        let buckets = self.shape.buckets(from.zip(to), zone)?;
        let limit = match &self.limit {
            None => ROWS_DEFAULT.min(rows_max),
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=rows_max).contains(limit))
                .ok_or_else(|| {
                    let most = ROWS_DEFAULT.min(rows_max);
                    let accepted = format!("a number of rows from 1 to {rows_max}, such as {most}");
                    wrong_value("limit", text, &accepted)
                })?,
        };
        let as_of = self
            .as_of
            .as_deref()
            .map(|text| time("as_of", text))
            .transpose()?;
        let cursor = self
            .cursor
            .as_deref()
            .map(|text| Cursor::read(text, declaration))
            .transpose()?;
        if let (Some(as_of), Some(cursor)) = (as_of, &cursor)
            && as_of != cursor.as_of
        {
            return Err(bad(format!(
                "as_of and cursor name two times; leave as_of out, which was given `{}`: the cursor holds the time of its first page",
                cut(self.as_of.as_deref().unwrap_or_default())
            )));
        }
        if let Some(cursor) = &cursor
            && cursor.order != self.shape.order
        {
            return Err(bad(format!(
                "cursor is of a page of rows in another order than `{}`; take all parameters as the link rel=\"next\" has them",
                cut(self.shape.order.as_deref().unwrap_or_default())
            )));
        }
        // Where sensors stand may be settled up to an earlier time than what they say.
        let is_placed = area.is_some() || columns.iter().any(|name| PLACE.contains(&&**name));
        let places = if is_placed {
            places_of(snapshot, declaration)
        } else {
            Vec::new()
        };
        let settled = places.iter().map(|places| places.stable_time).min();
        let settled = settled.map_or(table.stable_time, |settled| settled.min(table.stable_time));
        Ok(PageRequest {
            dataset: declaration.id.clone(),
            as_of: as_of
                .or(cursor.as_ref().map(|cursor| cursor.as_of))
                .unwrap_or(settled),
            columns,
            order: self.shape.order()?,
            conditions: self.conditions,
            area,
            buckets,
            after: cursor.map(|cursor| cursor.after),
            rows_max: limit,
        })
    }

    fn is_download(&self) -> Result<bool, Problem> {
        let download = self.download.as_deref();
        download.map_or(Ok(false), |text| flag("download", text))
    }

    /// Reads `fields=time,value`; what each is the query service checks.
    fn columns(&self) -> Result<Vec<String>, Problem> {
        let mut columns: Vec<String> = Vec::new();
        let fields = self.fields.as_deref();
        for name in fields.into_iter().flat_map(|fields| fields.split(',')) {
            let name = name.trim();
            let given = fields.unwrap_or_default();
            if name.is_empty() {
                let accepted = "names of columns with commas between them, such as time,value";
                return Err(wrong_value("fields", given, accepted));
            }
            if columns.iter().any(|known| known == name) {
                let accepted = "names of columns, each once, such as time,value";
                let name = cut(name);
                return Err(wrong_value(
                    "fields",
                    given,
                    &format!("{accepted}, and not `{name}` twice"),
                ));
            }
            columns.push(name.to_owned());
        }
        Ok(columns)
    }
}

/// Adds where rows are to the columns of a map, where others tell it.
fn add_place(columns: &mut Vec<String>, declaration: &DatasetDeclaration, snapshot: &LakeSnapshot) {
    if places_of(snapshot, declaration).is_empty() {
        return;
    }
    if columns.is_empty() {
        let schema = public_schema(declaration);
        columns.extend(schema.fields().iter().map(|field| field.name().clone()));
    }
    for name in PLACE {
        if !columns.iter().any(|known| known == name) {
            columns.push(name.to_owned());
        }
    }
}

/// Returns the address of a page with another cursor, of the first page as of a time, or without either.
fn page_path(id: &DatasetId, query: &str, of: Option<(&str, String)>) -> String {
    let replaced = of.as_ref().map_or("cursor", |(name, _)| *name).to_owned();
    let kept = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name != "cursor" && *name != *replaced);
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .extend_pairs(of)
        .finish();
    let between = if query.is_empty() { "" } else { "?" };
    format!("/api/v1/datasets/{id}/rows{between}{query}")
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::BadRequest, detail)
}
