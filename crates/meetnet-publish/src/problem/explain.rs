//! `/problems/{name}`, which the `type` of a problem leads to: what happened, why, and what to do. A page in the reader's language
//! for who opens it in a browser, JSON for programs that ask for it, else text; both of them in English.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::page::{Page, Site, likes_pages};
use super::{ProblemKind, unknown_address};
use crate::negotiate::{Language, media_weight, weighted};
use crate::parameters::InPath;
use crate::portal::language_of;
use crate::state::PublishState;

/// Answers what a type of problem means.
pub(crate) async fn get(
    State(state): State<PublishState>,
    InPath(name): InPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut kinds = ProblemKind::ALL.into_iter();
    let Some(kind) = kinds.find(|kind| kind.row().1 == name) else {
        return unknown_address().await.into_response();
    };
    let language = language_of(query.as_deref(), &headers);
    let site = Site::of(&state.settings);
    let page = likes_pages(&headers).then(|| Page::explaining(kind, &site, language).render());
    let (body, content_type, language) = match page.and_then(Result::ok) {
        Some(page) => (page, "text/html; charset=utf-8", language),
        None if likes_json(&headers) => (kind.as_json(), "application/json", Language::En),
        None => (kind.as_text(), "text/plain; charset=utf-8", Language::En),
    };
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_LANGUAGE, language.tag()),
        (VARY, "accept, accept-language"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

/// Who takes anything gets text.
fn likes_json(headers: &HeaderMap) -> bool {
    let entries = weighted(headers, &ACCEPT);
    let weight = |of_type: &str| media_weight(&entries, of_type);
    let json = weight("application/json").max(weight("application/problem+json"));
    json > weight("text/plain")
}

impl ProblemKind {
    fn as_text(self) -> String {
        let (status, _, title) = self.row();
        let (reason, advice) = (self.reason(), self.advice());
        format!("{} {title}\n\n{reason}\n\n{advice}\n", status.as_u16())
    }

    fn as_json(self) -> String {
        let document = json!({
            "type": self.address(),
            "title": self.title(),
            "status": self.status().as_u16(),
            "reason": self.reason(),
            "advice": self.advice(),
        });
        format!("{document:#}\n")
    }

    /// Returns why a request is answered so.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => {
                "A parameter, the statement or the body is not of the form that the address reads: the detail says which, and \
                 what it takes."
            }
            Self::Unauthorized => {
                "The request has an API key that this service does not know: mistyped, or withdrawn."
            }
            Self::Forbidden => "The statement does more than read public datasets.",
            Self::NotFound => {
                "No address, dataset, table, column or file has this name here. A private dataset is answered like one that does \
                 not exist."
            }
            Self::Gone => {
                "It was a file of the dataset: merged into a newer one since, past its retention, or with something in it that was \
                 erased."
            }
            Self::MethodNotAllowed => {
                "The address is there, but answers other methods: over this service data is read, never written."
            }
            Self::NotAcceptable => "The header Accept names no format that the address has.",
            Self::RequestTimeout => {
                "The body has not come to its end in the time that it may take."
            }
            Self::PreconditionFailed => {
                "The header If-Match names another content than the file has; a file keeps its content for as long as it is there."
            }
            Self::TooLarge => {
                "The body of the request, or the answer to it, passes a limit of the service: the detail says which."
            }
            Self::RangeNotSatisfiable => {
                "The header Range begins behind the last byte of the file."
            }
            Self::UnsupportedMediaType => {
                "The Content-Type of the body is none that a statement is read from."
            }
            Self::NotSettled => {
                "Messages from before the time that is asked for may still arrive, so the answer could be another one later."
            }
            Self::QueryTooExpensive => {
                "The query had used the time that one may take before it was done."
            }
            Self::Busy => {
                "As many queries of all clients run and wait as the service takes at a time."
            }
            Self::OverShare => "As many queries of this client run and wait as one may have.",
            Self::ClientMemory => {
                "What this client's queries work on, and what it has not read of their answers, fills the memory that one may have."
            }
            Self::ClientTemporaryFiles => {
                "Queries of this client that sort or group have filled the temporary files that one may have."
            }
            Self::Connections => "As many connections of this client are open as one may have.",
            Self::ServiceMemory => {
                "Queries of all clients together hold all the memory that there is for them."
            }
            Self::ServiceTemporaryFiles => {
                "Queries of all clients together have filled the room that there is for temporary files."
            }
            Self::NewestRows => {
                "The newest row of every series is kept in memory. It is being read anew, or reading it has just failed."
            }
            Self::SnapshotExpired => {
                "Files that the query was reading were merged into others meanwhile, and those that it then turned to as well."
            }
            Self::StoreUnavailable => {
                "The files of the tables lie in an object store, and it did not give those that the request needs. What needs no \
                 file is answered."
            }
            Self::Internal => {
                "The request has met a defect, or a broken file. The log of the service says more."
            }
        }
    }
}

#[cfg(test)]
mod tests;
