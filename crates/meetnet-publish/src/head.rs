//! The head of an answer with rows: its type, how far it reaches, how long it may be kept, where it goes on.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LINK, VARY,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;
use meetnet_model::time::format_rfc3339;
use meetnet_query::Format;

use crate::coding::Coding;
use crate::negotiate;
use crate::proof::Proof;

/// The header that states `through`: every message up to this sequence has arrived where the answer was made.
pub(crate) const THROUGH: HeaderName = HeaderName::from_static("meetnet-through");
/// The header that states `stable_time`, RFC 3339.
pub(crate) const STABLE_TIME: HeaderName = HeaderName::from_static("meetnet-stable-time");
/// The header that states the time an answer was made as of, RFC 3339.
pub(crate) const AS_OF: HeaderName = HeaderName::from_static("meetnet-as-of");

/// The header that states the licences of an answer's datasets: ids with commas between them.
pub(crate) const LICENCE: HeaderName = HeaderName::from_static("meetnet-licence");
/// The header that states whom to name: names with `; ` between them, UTF-8, with `%`, `;` and all but printable ASCII percent-encoded.
pub(crate) const ATTRIBUTION: HeaderName = HeaderName::from_static("meetnet-attribution");

/// The header that tells who asked for what no row can be: sentences, encoded as whom to name.
pub(crate) const HINT: HeaderName = HeaderName::from_static("meetnet-hint");

/// An answer as of a settled time is of the same rows for ever. Caches may keep it for an hour all the same, not for ever:
/// rows that are erased on request must disappear from them too.
const SETTLED: HeaderValue = HeaderValue::from_static("public, max-age=3600, immutable");
/// An answer with an ETag may be kept, and is asked for again by it.
const TAGGED: HeaderValue = HeaderValue::from_static("public, no-cache");
/// Any other answer may be another one already.
const UNSETTLED: HeaderValue = HeaderValue::from_static("no-store");

/// What decides about the bytes of an answer beside its address: a key has limits of its own, and cuts it elsewhere.
const VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Authorization");

/// What is known of an answer before its first byte.
#[derive(Clone, Debug)]
pub(crate) struct AnswerHead<'a> {
    pub(crate) format: Format,
    /// How its bytes are coded.
    pub(crate) coding: Coding,
    pub(crate) through: Sequence,
    pub(crate) stable_time: i64,
    pub(crate) as_of: Option<i64>,
    /// What may be done with it.
    pub(crate) rights: &'a Rights,
    /// What to tell whoever asked.
    pub(crate) hints: &'a [String],
    /// Asked again later, the answer is the same.
    pub(crate) is_settled: bool,
    /// Its strong ETag.
    pub(crate) tag: Option<&'a str>,
    /// The first part of a file's name, where browsers should save the answer.
    pub(crate) file_name: Option<&'a str>,
    /// Where it goes on, how to cite it: relation and address.
    pub(crate) links: Vec<(&'static str, String)>,
    /// That it is complete, where that is known.
    pub(crate) proof: Option<&'a Proof>,
}

impl AnswerHead<'_> {
    /// Adds the headers to an answer.
    pub(crate) fn onto(&self, mut response: Response) -> Response {
        let has_content = response.status() != StatusCode::NOT_MODIFIED;
        let headers = response.headers_mut();
        let keep = match self.tag {
            _ if self.is_settled => SETTLED,
            Some(_) => TAGGED,
            None => UNSETTLED,
        };
        headers.insert(CACHE_CONTROL, keep);
        headers.insert(VARY, VARIES);
        if has_content {
            let content_type = HeaderValue::from_static(self.format.media_type());
            headers.insert(CONTENT_TYPE, content_type);
            if self.coding != Coding::Identity {
                let coding = HeaderValue::from_static(self.coding.as_str());
                headers.insert(CONTENT_ENCODING, coding);
            }
            if let Some(proof) = self.proof {
                proof.write(headers);
            }
        }
        headers.insert(THROUGH, HeaderValue::from(self.through.0));
        let stated = [
            (STABLE_TIME, Some(format_rfc3339(self.stable_time))),
            (AS_OF, self.as_of.map(format_rfc3339)),
            (LINK, given(self.link_text())),
            (HINT, given(percent_encoded(&self.hints.join(". ")))),
            (ETAG, self.tag.map(str::to_owned)),
            (
                CONTENT_DISPOSITION,
                self.file_name
                    .filter(|_| has_content)
                    .map(|of| self.disposition(of)),
            ),
        ];
        for (name, value) in stated.into_iter().chain(stated_rights(self.rights)) {
            if let Some(Ok(value)) = value.map(|text| HeaderValue::from_str(&text)) {
                headers.insert(name, value);
            }
        }
        response
    }

    /// RFC 8288.
    fn link_text(&self) -> String {
        let links = self.links.iter();
        let links: Vec<String> = links
            .map(|(relation, to)| format!("<{to}>; rel=\"{relation}\""))
            .collect();
        links.join(", ")
    }

    /// Names the file by the state of the data, not by the moment of the download: `meetnet-20261122T024620Z.csv`.
    fn disposition(&self, of: &str) -> String {
        const SECOND_US: i64 = 1_000_000;
        let shown = self.as_of.unwrap_or(self.stable_time);
        let whole_seconds = shown.div_euclid(SECOND_US) * SECOND_US;
        let instant = format_rfc3339(whole_seconds).replace(['-', ':'], "");
        let extension = negotiate::extension(self.format);
        format!("attachment; filename=\"{of}-{instant}.{extension}\"")
    }
}

/// Returns the headers that state rights; None where there is nothing to state.
pub(crate) fn stated_rights(rights: &Rights) -> [(HeaderName, Option<String>); 2] {
    // The `;` between two names is in none.
    let encoded = |name: &String| percent_encoded(name).replace(';', "%3B");
    let names = rights.attributions.iter().map(encoded);
    let names: Vec<String> = names.collect();
    [
        (LICENCE, given(rights.licence_text())),
        (ATTRIBUTION, given(names.join("; "))),
    ]
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Encodes what a header cannot hold.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut encoded, byte| {
            match byte {
                b'%' | ..=0x1f | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
                byte => encoded.push(char::from(byte)),
            }
            encoded
        })
}

#[cfg(test)]
mod tests;
