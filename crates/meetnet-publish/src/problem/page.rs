//! Problems as pages, for whoever follows a link that leads nowhere, or asks from the portal, in a browser. Programs are
//! answered `application/problem+json`, whatever else they accept.
//!
//! What exactly went wrong is said in English, as programs are told; what it means and what to do, in the reader's language. Head and
//! foot are those of the portal's pages.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::texts::Said;
use super::{Problem, ProblemKind};
use crate::assets;
use crate::negotiate::{Language, weighted};
use crate::portal::texts::PageTexts;
use crate::portal::{LanguageLink, language_links, language_of};
use crate::state::PublishSettings;

/// Whose pages problems are.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The city of the portal; None on the listener of operators, where there is no portal.
    city: Option<Arc<str>>,
}

impl Site {
    /// Returns the portal of a city.
    pub(crate) fn of(settings: &PublishSettings) -> Self {
        Self {
            city: Some(Arc::from(settings.city.as_str())),
        }
    }

    /// Returns the listener of operators.
    pub(crate) fn operations() -> Self {
        Self { city: None }
    }
}

/// Puts a page in place of a problem where the client likes pages best.
pub(crate) async fn for_readers(
    State(site): State<Site>,
    request: Request,
    next: Next,
) -> Response {
    let likes_pages = request.method() == Method::GET && likes_pages(request.headers());
    let language = language_of(request.uri().query(), request.headers());
    let path = path_of_page(request.uri());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if !likes_pages {
        return response;
    }
    // A template of texts can always be written; if not, there is the answer for programs.
    let Ok(html) = Page::new(&problem, &site, path, language).render() else {
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
pub(super) fn likes_pages(headers: &HeaderMap) -> bool {
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

/// Returns the path under which the same problem is shown in another language; None where `lang` is no parameter of the address, or
/// where its path could lead to another host.
fn path_of_page(uri: &Uri) -> Option<String> {
    let path = uri.path();
    let is_page = !["//", "/api/", "/files/"]
        .iter()
        .any(|start| path.starts_with(start));
    let is_plain = path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/_-.~%".contains(&b));
    (is_page && is_plain).then(|| path.to_owned())
}

#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct Page<'a> {
    t: &'static PageTexts,
    lang: &'static str,
    /// Empty where there is no portal: no head and no foot of it then.
    city: &'a str,
    languages: Vec<LanguageLink>,
    /// Where the links to other languages lead.
    page_path: String,
    /// Empty: the page has no times.
    zone: &'static str,
    heading: &'static str,
    go_on: &'static str,
    first_page: &'static str,
    status: u16,
    title: &'static str,
    /// Why requests end so; empty where one has, and its detail says it.
    reason: &'static str,
    detail: Vec<Part<'a>>,
    advice: Vec<Part<'static>>,
    style_path: String,
    icon_path: String,
}

impl<'a> Page<'a> {
    /// Returns the page of a request that ended so; `path` is its own where it can be asked in another language.
    fn new(problem: &'a Problem, site: &'a Site, path: Option<String>, language: Language) -> Self {
        let t = Texts::of(language);
        let kind = problem.kind;
        let (heading, go_on) = match kind {
            ProblemKind::NotFound | ProblemKind::Gone => (t.not_there, t.go_on),
            ProblemKind::Internal => (t.did_not_work, t.try_again),
            _ if kind.retry_after_s().is_some() => (t.did_not_work, t.try_again),
            _ => (t.did_not_work, t.go_back),
        };
        let page = Self::explaining(kind, site, language);
        Self {
            page_path: path.unwrap_or(page.page_path),
            heading,
            go_on,
            reason: "",
            detail: parts(&problem.detail),
            ..page
        }
    }

    /// Returns the page of a kind of problem, which its type leads to.
    pub(super) fn explaining(kind: ProblemKind, site: &'a Site, language: Language) -> Self {
        let t = Texts::of(language);
        let said = Said::of(kind, language);
        Self {
            t: PageTexts::of(language),
            lang: language.tag(),
            city: site.city.as_deref().unwrap_or_default(),
            languages: language_links(language),
            page_path: kind.address(),
            zone: "",
            heading: t.explained,
            go_on: t.go_on,
            first_page: t.first_page,
            status: kind.status().as_u16(),
            title: said.title,
            reason: said.reason,
            detail: Vec::new(),
            advice: parts(said.advice),
            style_path: assets::STYLE.path(),
            icon_path: assets::ICON.path(),
        }
    }
}

/// A part of a text.
#[derive(Debug, PartialEq)]
struct Part<'a> {
    text: &'a str,
    /// A path of this service, to be followed.
    is_path: bool,
}

/// Cuts a text at the paths in it. Only addresses of the service's own become links: parts of a text may be a client's.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for word in text.split_inclusive(' ') {
        let path = word.trim_end_matches([' ', ',', ';', ':', '.']);
        let is_own = path.strip_prefix("/api/v1/").is_some_and(|rest| {
            rest.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b))
        });
        let (path, rest) = match is_own || path == "/" {
            true => word.split_at(path.len()),
            false => ("", word),
        };
        for (text, is_path) in [(path, true), (rest, false)] {
            if !text.is_empty() {
                parts.push(Part { text, is_path });
            }
        }
    }
    parts
}

/// What is said in the reader's language.
struct Texts {
    not_there: &'static str,
    did_not_work: &'static str,
    explained: &'static str,
    go_back: &'static str,
    try_again: &'static str,
    go_on: &'static str,
    first_page: &'static str,
}

impl Texts {
    fn of(language: Language) -> &'static Self {
        match language {
            Language::Nl => &Self {
                not_there: "Dit is hier niet te vinden",
                did_not_work: "Dat lukte niet",
                explained: "Wat deze melding betekent",
                go_back: "Ga terug en verbeter wat hieronder staat, of begin opnieuw:",
                try_again: "Probeer het straks opnieuw, of begin hier:",
                go_on: "Alles wat er is, begint hier:",
                first_page: "naar de eerste pagina",
            },
            Language::En => &Self {
                not_there: "This is not to be found here",
                did_not_work: "That did not work",
                explained: "What this message means",
                go_back: "Go back and correct what is said below, or start again:",
                try_again: "Try again in a moment, or start here:",
                go_on: "All that there is begins here:",
                first_page: "to the first page",
            },
            Language::Fr => &Self {
                not_there: "Ceci ne se trouve pas ici",
                did_not_work: "Cela n’a pas fonctionné",
                explained: "Ce que ce message signifie",
                go_back: "Revenez en arrière et corrigez ce qui est dit ci-dessous, ou recommencez :",
                try_again: "Réessayez dans un moment, ou commencez ici :",
                go_on: "Tout ce qu’il y a commence ici :",
                first_page: "vers la première page",
            },
        }
    }
}

#[cfg(test)]
mod tests;
