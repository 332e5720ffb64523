//! Headers that keep pages from being made to do what they do not do, and requests from being read in two ways.

use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use meetnet_model::network::ClientAddress;

use crate::problem::{Problem, ProblemKind};

#[cfg(test)]
mod tests;

/// Everything a page needs comes from here; nothing inline runs, nothing frames it, forms stay here.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the headers to an answer.
pub(crate) async fn add_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_POLICY),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A query in the address of a page does not travel to the sites it links to.
    headers.insert(
        REFERRER_POLICY,
        HeaderValue::from_static("strict-origin-when-cross-origin"),
    );
    response
}

/// Refuses requests over a connection that name no host, several, or what is none: what stands before this service may have
/// read another one (RFC 9112, section 3.2).
pub(crate) async fn one_host(request: Request, next: Next) -> Response {
    // A request that came over no connection has nobody before it.
    let is_received = request.extensions().get::<ClientAddress>().is_some();
    match wrong_host(request.version(), request.headers()) {
        Some(detail) if is_received => {
            Problem::new(ProblemKind::BadRequest, detail).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Returns what is wrong with the host of a request; None where nothing is.
fn wrong_host(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    // What may stand in a host and its port (RFC 3986, section 3.2.2).
    let is_host = |host: &HeaderValue| {
        let is_allowed =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(byte);
        host.as_bytes().iter().all(is_allowed)
    };
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Some("the request has the header Host twice; send it once"),
        (Some(host), None) if !is_host(host) => Some("the header Host names no host"),
        (None, _) if version == Version::HTTP_11 => {
            Some("the request has no header Host, which HTTP/1.1 needs")
        }
        _ => None,
    }
}
