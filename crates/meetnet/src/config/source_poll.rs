//! `[[source]]` of the kinds that are polled: which API, what of it, and how often.

use std::ops::Range;

use meetnet_ingest::poll::{Api, PollOptions, PollOptionsError, TelraamOptions};
use meetnet_model::source::{SecretRef, WireFormat};
use meetnet_model::time::parse_rfc3339;
use toml::Spanned;

use super::document::Document;
use super::sections::bytes;
use super::{Located, raw};

/// Least room for an answer.
const ANSWER_BYTES_MIN: usize = 64 << 10;

/// A polled API, without its key.
#[derive(Clone, Debug)]
pub(crate) struct PollTransport {
    pub(crate) options: PollOptions,
    pub(crate) api_key: Option<Located<SecretRef>>,
}

/// The kinds that are polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PolledKind {
    Telraam,
}

impl PolledKind {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "telraam" => Some(Self::Telraam),
            _ => None,
        }
    }

    /// What the API answers.
    pub(super) fn format(self) -> WireFormat {
        match self {
            Self::Telraam => WireFormat::Telraam,
        }
    }

    /// Where the API is, unless the source says otherwise.
    fn url(self) -> &'static str {
        match self {
            Self::Telraam => "https://telraam-api.net",
        }
    }

    /// What a key that is needed and missing is written as.
    fn wanted_key(self) -> Option<&'static str> {
        match self {
            Self::Telraam => Some("api_key = { env = \"TELRAAM_API_KEY\" }"),
        }
    }

    fn api(self, raw: &raw::Source) -> Api {
        match self {
            Self::Telraam => Api::Telraam(TelraamOptions {
                segments: raw
                    .segments
                    .as_ref()
                    .map(|segments| segments.get_ref().clone())
                    .unwrap_or_default(),
                advanced: raw.advanced.unwrap_or(false),
            }),
        }
    }

    /// Where the things to poll are named.
    fn named_at(self, raw: &raw::Source) -> Option<Range<usize>> {
        match self {
            Self::Telraam => raw.segments.as_ref().map(Spanned::span),
        }
    }
}

/// Reads how a source is polled; None where that cannot work (then a problem).
pub(super) fn read(
    document: &mut Document<'_>,
    kind: PolledKind,
    raw: &raw::Source,
    section: &Range<usize>,
) -> Option<PollTransport> {
    let url = raw.url.as_ref().map_or(kind.url(), |url| url.get_ref());
    let mut options = match PollOptions::new(kind.api(raw), url) {
        Ok(options) => options,
        Err(error) => {
            let span = raw.url.as_ref().map_or(section.clone(), Spanned::span);
            document.problem(span, error.to_string());
            return None;
        }
    };
    if let (None, Some(wanted)) = (&raw.api_key, kind.wanted_key()) {
        let message = format!("the key `api_key` is missing; add {wanted}");
        document.problem(section.clone(), message);
    }
    if let Some(interval) = &raw.interval {
        options.interval = interval.get_ref().0;
    }
    for (from, to) in [
        (raw.reask, &mut options.reask),
        (raw.request_pause, &mut options.limits.pause),
        (raw.request_time_max, &mut options.request_time_max),
    ] {
        if let Some(text) = from {
            *to = text.0;
        }
    }
    if let Some(most) = raw.requests_per_day_max {
        options.limits.requests_per_day_max = Some(most.get());
    }
    if let Some(since) = &raw.since {
        options.since = day_or_time(since.get_ref());
        if options.since.is_none() {
            let message = "write a day (\"2026-01-31\") or a time with its offset";
            document.problem(since.span(), message);
        }
    }
    if let Some(size) = &raw.answer_bytes_max {
        let size = Some(Spanned::new(size.span(), *size.get_ref()));
        options.body_bytes_max = bytes(document, size, options.body_bytes_max, ANSWER_BYTES_MIN);
    }
    options.contact.clone_from(&raw.contact);
    if let Err(error) = options.check() {
        let named = match &error {
            PollOptionsError::Interval => raw.interval.as_ref().map(Spanned::span),
            _ => kind.named_at(raw),
        };
        document.problem(named.unwrap_or_else(|| section.clone()), error.to_string());
        return None;
    }
    let api_key = raw.api_key.as_ref();
    Some(PollTransport {
        options,
        api_key: api_key.map(|key| document.located(key.get_ref().0.clone(), key.span())),
    })
}

/// Reads a day (its begin, UTC) or an instant, µs since 1970 UTC.
pub(crate) fn day_or_time(text: &str) -> Option<i64> {
    parse_rfc3339(text)
        .or_else(|_| parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok()
}
