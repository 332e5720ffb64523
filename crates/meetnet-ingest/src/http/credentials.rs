//! The credentials of a push request, wherever the device can put them, and their comparison.
//!
//! Bearer, Token and Basic (password = token) headers, a last path segment, a field in the query string or the form.
//! Found or not, such a field never reaches the journal.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

#[cfg(test)]
mod tests;

/// The name of the field in query strings and forms.
pub(super) const TOKEN: &str = "token";

/// Returns the token of the `Authorization` header: Bearer, Token, or the password of Basic.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
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

/// A query string or form without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Everything else, encoded as it came.
    pub(super) rest: String,
    /// The secrets, decoded, under their names in lower case.
    secrets: Vec<(String, String)>,
}

impl Fields {
    /// Takes the fields out that `secrets` (in lower case) names.
    pub(super) fn split(encoded: &str, secrets: &[&str]) -> Self {
        let mut fields = Self {
            rest: String::with_capacity(encoded.len()),
            secrets: Vec::new(),
        };
        for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // An encoded name (`%74oken`) is the same field.
            let name = decode(name).trim().to_ascii_lowercase();
            if secrets.contains(&name.as_str()) {
                fields.secrets.push((name, decode(value)));
                continue;
            }
            if !fields.rest.is_empty() {
                fields.rest.push('&');
            }
            fields.rest.push_str(pair);
        }
        fields
    }

    /// Returns the last value of a secret; none where it is absent.
    pub(super) fn secret(&self, name: &str) -> Option<&str> {
        let mut found = self.secrets.iter().rev();
        found
            .find(|(secret, _)| secret == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the last value of a field that is no secret, decoded; the name counts without regard to case.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .rest
            .rsplit('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(found, _)| decode(found).trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| decode(value))
    }

    /// Does the same with the first value that is not empty.
    pub(super) fn first_field(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .rest
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(_, value)| !value.trim().is_empty());
        pairs
            .find(|(found, _)| decode(found).trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| decode(value))
    }
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
