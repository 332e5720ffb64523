//! `[http]`, `[portal]` and `[[saved_query]]`: the public, read-only listener.

use std::ops::Range;
use std::sync::Arc;

use meetnet_model::declarations::Declarations;
use meetnet_publish::{PublishSettings, SavedQuery, ServeLimits};
use meetnet_query::{QueryErrorKind, QueryOptions, refused_statements};

use super::document::Document;
use super::sections::{address, bytes, duration, is_plain_name, with_connections};
use super::{HttpConfig, clients, raw};

/// What the HTTP library can work with.
const HEADER_BYTES_MIN: usize = 8 << 10;

/// The statements with names, and where each of them stands.
#[derive(Debug)]
pub(super) struct SavedQueries {
    queries: Vec<SavedQuery>,
    spans: Vec<Range<usize>>,
}

/// Reads the statements with names; [`SavedQueries::check`] looks at what they say once the datasets are known.
pub(super) fn saved_queries(document: &mut Document<'_>) -> SavedQueries {
    let mut queries: Vec<SavedQuery> = Vec::new();
    let mut spans = Vec::new();
    for section in document.take_all("saved_query") {
        let Some(raw) = document.read::<raw::SavedQuery>(section) else {
            continue;
        };
        let name = raw.name.get_ref();
        if !is_plain_name(name) {
            let message =
                format!("`{name}` stands in addresses; write lower-case letters, digits, - and _");
            document.problem(raw.name.span(), message);
        }
        if queries.iter().any(|known| known.name == *name) {
            document.problem(
                raw.name.span(),
                format!("there are two queries `{name}`; rename one"),
            );
        }
        queries.push(SavedQuery {
            title: raw.title.unwrap_or_else(|| name.clone()),
            name: name.clone(),
            sql: raw.sql.get_ref().clone(),
        });
        spans.push(raw.sql.span());
    }
    SavedQueries { queries, spans }
}

impl SavedQueries {
    /// Looks for statements that nobody can ever be answered; a table that is not declared is none where there may be others.
    pub(super) fn check(
        &self,
        document: &mut Document<'_>,
        declarations: &Arc<Declarations>,
        options: &QueryOptions,
        has_all_tables: bool,
    ) {
        let statements: Vec<&str> = self
            .queries
            .iter()
            .map(|query| query.sql.as_str())
            .collect();
        for (at, error) in refused_statements(&statements, declarations, options) {
            if error.kind == QueryErrorKind::NotFound && !has_all_tables {
                continue;
            }
            let message = format!(
                "the query `{}` has no answer: {error}",
                self.queries[at].name
            );
            document.problem(self.spans[at].clone(), message);
        }
    }
}

/// Returns the IRI of a mail address or of a page; None for what is neither.
fn contact_iri(text: &str) -> Option<String> {
    let is_plain = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&b));
    if !is_plain {
        return None;
    }
    let page = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    if let Some(page) = page {
        return (!page.is_empty()).then(|| text.to_owned());
    }
    let (name, host) = text.split_once('@')?;
    let is_mail = !name.is_empty() && !name.contains([':', '/']) && host.contains('.');
    is_mail.then(|| format!("mailto:{text}"))
}

/// Reads the section; None where it has no address.
pub(super) fn read(
    document: &mut Document<'_>,
    raw: raw::Http,
    portal: raw::Portal,
    saved_queries: &SavedQueries,
) -> Option<HttpConfig> {
    let defaults = PublishSettings::default();
    let mut zone = defaults.zone.clone();
    if let Some(name) = &portal.zone {
        match jiff::tz::TimeZone::get(name.get_ref()) {
            Ok(found) => zone = found,
            Err(_) => document.problem(
                name.span(),
                format!(
                    "`{}` is no time zone; write an IANA name such as Europe/Brussels",
                    name.get_ref()
                ),
            ),
        }
    }
    let public_url = raw.public_url.and_then(|url| {
        let text = url.get_ref().trim_end_matches('/').to_owned();
        let is_plain = (text.starts_with("https://") || text.starts_with("http://"))
            && !text.contains(['@', '?', '#']);
        if !is_plain {
            let message =
                "the address from outside is http(s)://HOST without user, query or fragment";
            document.problem(url.span(), message);
        }
        is_plain.then_some(text)
    });
    let contact = portal.contact.and_then(|contact| {
        let iri = contact_iri(contact.get_ref());
        if iri.is_none() {
            let message = format!(
                "`{}` is no address to write to; write a mail address such as data@example.org, or that of a page, https://…",
                contact.get_ref()
            );
            document.problem(contact.span(), message);
        }
        iri
    });
    let settings = PublishSettings {
        city: portal.city.unwrap_or(defaults.city),
        publisher: portal.publisher,
        contact,
        zone,
        public_url,
        clients: clients::settings(
            document,
            raw.trusted_proxies.as_ref(),
            raw.client_header.as_ref(),
        ),
        body_bytes_max: bytes(
            document,
            raw.body_bytes_max,
            defaults.body_bytes_max,
            1 << 10,
        ),
        body_time_max: duration(raw.body_time_max, defaults.body_time_max),
        page_rows_max: raw
            .page_rows_max
            .map_or(defaults.page_rows_max, usize::from),
        result_cache_bytes_max: bytes(
            document,
            raw.result_cache_bytes_max,
            defaults.result_cache_bytes_max,
            0,
        ),
        saved_queries: saved_queries.queries.clone(),
        // The daemon tells of them once it listens.
        pg: None,
        flight: None,
        overview_age_max: duration(portal.figures_age_max, defaults.overview_age_max),
    };
    let limits = with_connections(raw.connections_max);
    let limits = ServeLimits {
        connections_per_client_max: raw
            .connections_per_client_max
            .map_or(limits.connections_per_client_max, usize::from),
        header_bytes_max: bytes(
            document,
            raw.header_bytes_max,
            limits.header_bytes_max,
            HEADER_BYTES_MIN,
        ),
        header_time_max: duration(raw.header_time_max, limits.header_time_max),
        stall_time_max: duration(raw.stall_time_max, limits.stall_time_max),
        ..limits
    };
    Some(HttpConfig {
        listen: address(document, &raw.listen)?,
        limits,
        settings,
    })
}
