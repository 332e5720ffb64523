//! Addresses and example queries that pages and documents hand out.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::time::format_rfc3339;

#[cfg(test)]
mod tests;

/// Returns the path that answers `sql` in `format`.
pub(crate) fn sql_path(sql: &str, format: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("format", format)
        .append_pair("q", sql)
        .finish();
    format!("/api/v1/sql?{query}")
}

/// Bytes of an address that is handed out: longer ones do not survive proxies.
const ADDRESS_BYTES_MAX: usize = 4000;

/// An address of the API that can be asked again: a path and its parameters, without the time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Address {
    path: String,
    query: String,
}

impl Address {
    /// Returns the address, or None where it is too long to be handed out.
    pub(crate) fn new<'a>(
        path: impl Into<String>,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<Self> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let path = path.into();
        (path.len() + query.len() <= ADDRESS_BYTES_MAX).then_some(Self { path, query })
    }

    /// Returns the address that answers as of a time, µs since 1970 UTC, for as long as the data is kept.
    pub(crate) fn as_of(&self, time: i64) -> String {
        let Self { path, query } = self;
        let between = if query.is_empty() { "" } else { "&" };
        let time = form_urlencoded::Serializer::new(String::new())
            .append_pair("as_of", &format_rfc3339(time))
            .finish();
        format!("{path}?{query}{between}{time}")
    }
}

/// Returns a command line that answers `sql` as CSV, for a POSIX shell.
pub(crate) fn curl_line(base: &str, sql: &str) -> String {
    let mut quoted = String::with_capacity(sql.len());
    for c in sql.chars() {
        // What a shell reads inside double quotes.
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(if c == '\n' { ' ' } else { c });
    }
    format!("curl -G \"{base}/api/v1/sql\" -d format=csv --data-urlencode \"q={quoted}\"")
}

/// Returns a query for the newest rows of a dataset.
pub(crate) fn newest_rows_sql(declaration: &DatasetDeclaration) -> String {
    let time = declaration.time_column();
    format!(
        "SELECT * FROM {} ORDER BY {time} DESC LIMIT 10",
        declaration.id
    )
}

/// Most bytes of a host and its port: no name is longer (RFC 1035), and a catalogue has it in hundreds of places.
const HOST_BYTES_MAX: usize = 253 + ":65535".len();

/// Returns the address that the client used: the declared one, else what its `Host` says where that is a plain host.
pub(crate) fn base_url(public_url: Option<&str>, headers: &HeaderMap) -> String {
    if let Some(url) = public_url {
        return url.trim_end_matches('/').to_owned();
    }
    // The header is foreign text that ends up in a page and on command lines.
    let is_plain = |host: &&str| {
        !host.is_empty()
            && host.len() <= HOST_BYTES_MAX
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    };
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .filter(is_plain);
    format!("http://{}", host.unwrap_or("localhost"))
}

/// Returns what decides about an answer with [`base_url`] in it beside its address, for the header `Vary`: `others`, and the
/// host that a client names, where it is handed out again.
pub(crate) fn vary(public_url: Option<&str>, others: &str) -> HeaderValue {
    let named = match public_url {
        Some(_) => others.to_owned(),
        None => format!("{others}, host"),
    };
    // Names of headers are ASCII.
    HeaderValue::from_str(&named).unwrap_or_else(|_| HeaderValue::from_static("*"))
}

/// Returns the host of a base address, without its port.
fn host_of(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    // The colons of an IPv6 address stand in brackets.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// Returns the host under which another listener of this machine is reached by whoever has reached `base`; None where it
/// listens for this machine alone, and they are elsewhere.
pub(crate) fn host_beside(base: &str, listener: SocketAddr) -> Option<&str> {
    let host = host_of(base);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    (is_here || !listener.ip().is_loopback()).then_some(host)
}
