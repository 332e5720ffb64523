//! Problems as pages, for whoever follows a link that leads nowhere, or asks from the portal, in a browser. Programs are
//! answered `application/problem+json`, whatever else they accept.
//!
//! What went wrong is said in English, as programs are told; around it stands the reader's language.

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::{Problem, ProblemKind};
use crate::assets;
use crate::negotiate::{Language, weighted};

/// Puts a page in place of a problem where the client likes pages best.
pub(crate) async fn for_readers(request: Request, next: Next) -> Response {
    let likes_pages = request.method() == Method::GET && likes_pages(request.headers());
    let language = Language::by_accept(request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if !likes_pages {
        return response;
    }
    // A template of texts can always be written; if not, there is the answer for programs.
    let Ok(html) = Page::new(&problem, language).render() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_LANGUAGE, language.tag()),
        (VARY, "accept, accept-language"),
    ] {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    Response::from_parts(parts, Body::from(html))
}

/// Browsers name HTML first; `*/*`, which programs send, means anything.
fn likes_pages(headers: &HeaderMap) -> bool {
    let entries = weighted(headers, &ACCEPT);
    let weight = |names: &[&str]| {
        let named = entries
            .iter()
            .filter(|(range, _)| names.contains(&range.as_str()));
        named.map(|(_, weight)| *weight).max().unwrap_or(0)
    };
    let html = weight(&["text/html", "application/xhtml+xml"]);
    html > 0 && html >= weight(&["application/json", "application/problem+json"])
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    lang: &'static str,
    t: &'static Texts,
    heading: &'static str,
    status: u16,
    title: &'static str,
    detail: &'a str,
    advice: &'static str,
    style_path: String,
    icon_path: String,
}

impl<'a> Page<'a> {
    fn new(problem: &'a Problem, language: Language) -> Self {
        let t = Texts::of(language);
        Self {
            lang: language.tag(),
            t,
            heading: match problem.kind {
                ProblemKind::NotFound | ProblemKind::Gone => t.not_there,
                _ => t.did_not_work,
            },
            status: problem.kind.status().as_u16(),
            title: problem.kind.title(),
            detail: &problem.detail,
            advice: problem.kind.advice(),
            style_path: assets::STYLE.path(),
            icon_path: assets::ICON.path(),
        }
    }
}

/// What is said in the reader's language.
struct Texts {
    not_there: &'static str,
    did_not_work: &'static str,
    go_back: &'static str,
    first_page: &'static str,
}

impl Texts {
    fn of(language: Language) -> &'static Self {
        match language {
            Language::Nl => &Self {
                not_there: "Dit is hier niet te vinden",
                did_not_work: "Dat lukte niet",
                go_back: "Ga terug en verbeter wat hieronder staat, of begin opnieuw:",
                first_page: "naar de eerste pagina",
            },
            Language::En => &Self {
                not_there: "This is not to be found here",
                did_not_work: "That did not work",
                go_back: "Go back and correct what is said below, or start again:",
                first_page: "to the first page",
            },
            Language::Fr => &Self {
                not_there: "Ceci ne se trouve pas ici",
                did_not_work: "Cela n'a pas fonctionné",
                go_back: "Revenez en arrière et corrigez ce qui est dit ci-dessous, ou recommencez :",
                first_page: "vers la première page",
            },
        }
    }
}

#[cfg(test)]
mod tests;
