//! Problems as pages, for whoever follows a link that leads nowhere, or asks from the portal, in a browser. Programs are
//! answered `application/problem+json`, whatever else they accept.
//!
//! What exactly went wrong is said in English, as programs are told; what it means and what to do, in the reader's language as far as
//! a reader meets it.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::{Problem, ProblemKind};
use crate::assets;
use crate::negotiate::{Language, weighted};
use crate::portal::language_of;

/// Puts a page in place of a problem where the client likes pages best. `site` is whose service it is.
pub(crate) async fn for_readers(
    State(site): State<Arc<str>>,
    request: Request,
    next: Next,
) -> Response {
    let likes_pages = request.method() == Method::GET && likes_pages(request.headers());
    let language = language_of(request.uri().query(), request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if !likes_pages {
        return response;
    }
    // A template of texts can always be written; if not, there is the answer for programs.
    let Ok(html) = Page::new(&problem, &site, language).render() else {
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

#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct Page<'a> {
    lang: &'static str,
    site: &'a str,
    heading: &'static str,
    go_on: &'static str,
    first_page: &'static str,
    status: u16,
    /// Language of title and advice.
    said_lang: &'static str,
    title: &'static str,
    /// Why requests end so; empty where one has, and its detail says it.
    reason: &'static str,
    detail: Vec<Part<'a>>,
    advice: Vec<Part<'static>>,
    style_path: String,
    icon_path: String,
}

impl<'a> Page<'a> {
    fn new(problem: &'a Problem, site: &'a str, language: Language) -> Self {
        let t = Texts::of(language);
        let kind = problem.kind;
        let (heading, go_on) = match kind {
            ProblemKind::NotFound | ProblemKind::Gone => (t.not_there, t.go_on),
            _ => (t.did_not_work, t.go_back),
        };
        let (said_lang, title, advice) = match said(kind, language) {
            Some((title, advice)) => (language.tag(), title, advice),
            None => (Language::En.tag(), kind.title(), kind.advice()),
        };
        Self {
            lang: language.tag(),
            site,
            heading,
            go_on,
            first_page: t.first_page,
            status: kind.status().as_u16(),
            said_lang,
            title,
            reason: "",
            detail: parts(&problem.detail),
            advice: parts(advice),
            style_path: assets::STYLE.path(),
            icon_path: assets::ICON.path(),
        }
    }

    /// Returns the page of a kind of problem, which its type leads to.
    pub(super) fn explaining(kind: ProblemKind, site: &'a str, language: Language) -> Self {
        let t = Texts::of(language);
        Self {
            lang: language.tag(),
            site,
            heading: t.explained,
            go_on: t.go_on,
            first_page: t.first_page,
            status: kind.status().as_u16(),
            // Types are for those who write programs: there are more of them than readers meet.
            said_lang: Language::En.tag(),
            title: kind.title(),
            reason: kind.reason(),
            detail: Vec::new(),
            advice: parts(kind.advice()),
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
                go_on: "Alles wat er is, begint hier:",
                first_page: "naar de eerste pagina",
            },
            Language::En => &Self {
                not_there: "This is not to be found here",
                did_not_work: "That did not work",
                explained: "What this message means",
                go_back: "Go back and correct what is said below, or start again:",
                go_on: "All that there is begins here:",
                first_page: "to the first page",
            },
            Language::Fr => &Self {
                not_there: "Ceci ne se trouve pas ici",
                did_not_work: "Cela n’a pas fonctionné",
                explained: "Ce que ce message signifie",
                go_back: "Revenez en arrière et corrigez ce qui est dit ci-dessous, ou recommencez :",
                go_on: "Tout ce qu’il y a commence ici :",
                first_page: "vers la première page",
            },
        }
    }
}

/// Returns title and advice of what readers meet, in their language; none of what only programs meet, and in English, where each
/// kind has its own.
fn said(kind: ProblemKind, language: Language) -> Option<(&'static str, &'static str)> {
    use Language::{En, Fr, Nl};
    use ProblemKind::{
        BadRequest, Busy, Forbidden, Gone, Internal, NotFound, OverShare, QueryTooExpensive,
        TooLarge,
    };
    Some(match (kind, language) {
        (NotFound, Nl) => ("Dit bestaat hier niet", "/api/v1/datasets noemt wat er is."),
        (NotFound, Fr) => (
            "Cela n’existe pas ici",
            "/api/v1/datasets dit ce qu’il y a.",
        ),
        (Gone, Nl) => (
            "Dit is er niet meer",
            "De rijen staan in nieuwere bestanden: de pagina van de dataset noemt ze. Wat gewist is, komt niet terug.",
        ),
        (Gone, Fr) => (
            "Cela n’est plus là",
            "Les lignes sont dans des fichiers plus récents : la page du jeu de données les nomme. Ce qui a été effacé ne \
             revient pas.",
        ),
        (BadRequest, Nl) => (
            "De vraag is niet te begrijpen",
            "Verbeter de vraag zoals hierboven staat.",
        ),
        (BadRequest, Fr) => (
            "La demande n’est pas compréhensible",
            "Corrigez la demande comme il est dit ci-dessus.",
        ),
        (Forbidden, Nl) => (
            "Dat mag hier niet",
            "De open dienst leest alleen openbare datasets, met één SELECT tegelijk.",
        ),
        (Forbidden, Fr) => (
            "Cela n’est pas permis ici",
            "Le service public ne lit que des jeux de données publics, un SELECT à la fois.",
        ),
        (TooLarge, Nl) => (
            "Een grens is overschreden",
            "Vraag minder tegelijk: een kortere periode, minder kolommen, een samenvatting, een LIMIT.",
        ),
        (TooLarge, Fr) => (
            "Une limite est dépassée",
            "Demandez moins à la fois : une période plus courte, moins de colonnes, un agrégat, un LIMIT.",
        ),
        (QueryTooExpensive, Nl) => (
            "De vraag duurde langer dan een vraag mag duren",
            "Dezelfde vraag duurt allicht weer zo lang. Vraag een kortere periode (WHERE time >= …) of een samenvatting, of \
             download de bestanden van de dataset.",
        ),
        (QueryTooExpensive, Fr) => (
            "La demande a duré plus longtemps que permis",
            "La même demande durerait sans doute aussi longtemps. Demandez une période plus courte (WHERE time >= …) ou un \
             agrégat, ou téléchargez les fichiers du jeu de données.",
        ),
        (Busy, Nl) => (
            "Er lopen of wachten te veel vragen",
            "Stel dezelfde vraag over enkele seconden opnieuw.",
        ),
        (Busy, Fr) => (
            "Trop de demandes sont en cours ou en attente",
            "Posez la même question dans quelques secondes.",
        ),
        (OverShare, Nl) => (
            "Er lopen of wachten te veel van uw vragen",
            "Wacht tot een van uw vragen beantwoord is. Alle adressen van een netwerk zijn samen één klant.",
        ),
        (OverShare, Fr) => (
            "Trop de vos demandes sont en cours ou en attente",
            "Attendez qu’une de vos demandes soit terminée. Toutes les adresses d’un réseau ne font qu’un client.",
        ),
        (Internal, Nl) => (
            "Er ging bij ons iets mis",
            "Probeer het later opnieuw; blijft het zo, meld het datateam dan het tijdstip en de vraag.",
        ),
        (Internal, Fr) => (
            "Quelque chose a mal tourné chez nous",
            "Réessayez plus tard ; si cela persiste, dites l’heure et la demande à l’équipe des données.",
        ),
        (_, En | Nl | Fr) => return None,
    })
}

#[cfg(test)]
mod tests;
