//! The credentials of a push request, wherever the device can put them, and their comparison.
//!
//! Bearer and Basic (password = token) headers, a last path segment, a `token` field in the query string or the form.
//! Found or not, a `token` field never reaches the journal.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

#[cfg(test)]
mod tests;

/// The name of the field in query strings and forms.
const FIELD: &str = "token";

/// Returns the token of the `Authorization` header: Bearer, or the password of Basic.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        return decoded
            .split_once(':')
            .map(|(_user, password)| password.to_owned());
    }
    None
}

/// Splits a query string or form into the token in it and everything else.
pub(super) fn split_fields(encoded: &str) -> (Option<String>, String) {
    let mut token = None;
    let mut rest = String::with_capacity(encoded.len());
    for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // An encoded name (`%74oken`) is the same field.
        if decode(name).eq_ignore_ascii_case(FIELD) {
            token = Some(decode(value));
            continue;
        }
        if !rest.is_empty() {
            rest.push('&');
        }
        rest.push_str(pair);
    }
    (token, rest)
}

/// Compares in a time that does not tell how much was right: hashes have one length.
pub(super) fn equal(given: &str, expected: &str) -> bool {
    Sha256::digest(given.as_bytes())
        .ct_eq(&Sha256::digest(expected.as_bytes()))
        .into()
}

/// Decodes one `application/x-www-form-urlencoded` component; what is no valid escape stays as it is.
fn decode(component: &str) -> String {
    let bytes = component.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| char::from(*bytes.get(at + offset)?).to_digit(16);
        let value = match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        match value {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
