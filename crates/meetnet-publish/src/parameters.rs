//! Parameters that several addresses take: a format, a time, and each of them once; and parts of a path.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use meetnet_model::ids::LicenceId;
use meetnet_model::time::{day_or_time, day_or_time_in};
use meetnet_query::Format;
use serde::de::DeserializeOwned;

use crate::negotiate;
use crate::problem::{Problem, ProblemKind};

/// How much of a value that is none an answer repeats.
const VALUE_LETTERS_SHOWN: usize = 100;

/// Parts of a path, such as `{id}`. What cannot be read is a problem like any other: axum's own answer is bare text.
#[derive(Debug)]
pub(crate) struct InPath<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for InPath<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(of_path)) => Ok(Self(of_path)),
            // All parts are texts: nothing else can be wrong with one.
            Err(_) => Err(Problem::new(
                ProblemKind::BadRequest,
                "a part of the path is not UTF-8; percent-encode its UTF-8 bytes",
            )),
        }
    }
}

/// Reads the names and values of a query string or form.
///
/// # Errors
/// `BadRequest` where `%` stands before no two hexadecimal digits, or bytes are no UTF-8: they would be read as another text
/// than was meant, and nobody would notice.
pub(crate) fn form(text: &[u8]) -> Result<form_urlencoded::Parse<'_>, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = behind.split_first_chunk::<2>();
        let read = digits.and_then(|([high, low], behind)| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
            Some((value, behind))
        });
        let Some((value, behind)) = read else {
            let shown: Vec<u8> = std::iter::once(b'%')
                .chain(behind.iter().copied().take(2))
                .collect();
            let detail = format!(
                "`{}` is no percent-encoded byte; write %25 for a %",
                String::from_utf8_lossy(&shown)
            );
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        };
        bytes.push(value);
        rest = behind;
    }
    // Names and values end at ASCII characters: all of it is UTF-8 where each of them is.
    if std::str::from_utf8(&bytes).is_err() {
        return Err(Problem::new(
            ProblemKind::BadRequest,
            "a parameter is not UTF-8; percent-encode its UTF-8 bytes",
        ));
    }
    Ok(form_urlencoded::parse(text))
}

/// Reads the parameters of an address that takes these alone, each once; None for one that is not there. Other names are
/// refused: whoever misspells one would believe it heard.
pub(crate) fn only<const COUNT: usize>(
    query: Option<&str>,
    names: [&str; COUNT],
) -> Result<[Option<String>; COUNT], Problem> {
    let mut values: [Option<String>; COUNT] = [const { None }; COUNT];
    for (name, value) in form(query.unwrap_or_default().as_bytes())? {
        let Some(position) = names.iter().position(|known| **known == *name) else {
            let there_are = match names.join(", ") {
                names if names.is_empty() => "this address takes none".to_owned(),
                names => format!("this address takes {names}"),
            };
            let detail = format!("there is no parameter `{}`; {there_are}", cut(&name));
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        };
        set_once(&mut values[position], &name, &value)?;
    }
    Ok(values)
}

/// Reads yes or no.
pub(crate) fn flag(name: &str, text: &str) -> Result<bool, Problem> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(wrong_value(name, text, "1 or true, 0 or false")),
    }
}

/// Returns the problem of a value that a parameter does not take. `accepted` is what it takes, with an example.
pub(crate) fn wrong_value(name: &str, value: &str, accepted: &str) -> Problem {
    let detail = format!("{name} takes {accepted}; it was given `{}`", cut(value));
    Problem::new(ProblemKind::BadRequest, detail)
}

/// Returns as much of a value as an answer repeats: an address may be long, and this is for people.
pub(crate) fn cut(value: &str) -> String {
    value.chars().take(VALUE_LETTERS_SHOWN).collect()
}

/// Keeps a value, or refuses the second one.
pub(crate) fn set_once(slot: &mut Option<String>, name: &str, value: &str) -> Result<(), Problem> {
    if let Some(first) = slot {
        let (first, second) = (cut(first), cut(value));
        let detail = format!(
            "the parameter {name} is given twice, as `{first}` and `{second}`; give it once"
        );
        return Err(Problem::new(ProblemKind::BadRequest, detail));
    }
    *slot = Some(value.to_owned());
    Ok(())
}

/// Reads a time, or the begin of a day, µs since 1970 UTC.
pub(crate) fn time(name: &str, text: &str) -> Result<i64, Problem> {
    day_or_time(text).ok_or_else(|| {
        let accepted = "an RFC 3339 time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31, which begins at 00:00 UTC (in an \
                        address + is written %2B)";
        wrong_value(name, text, accepted)
    })
}

/// Reads a time of the rows of a dataset, or the begin of a day by the clocks of its zone, µs since 1970 UTC.
pub(crate) fn time_in(name: &str, text: &str, zone: Option<&str>) -> Result<i64, Problem> {
    let Some(zone) = zone else {
        return time(name, text);
    };
    day_or_time_in(text, Some(zone)).ok_or_else(|| {
        let accepted = format!(
            "an RFC 3339 time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31, which begins at 00:00 in {zone} here (in an \
             address + is written %2B)"
        );
        wrong_value(name, text, &accepted)
    })
}

/// Reads the licences that an answer is restricted to; each text may name several with commas between them. None where
/// nothing is named: all.
pub(crate) fn licences(texts: &[String]) -> Result<Option<BTreeSet<LicenceId>>, Problem> {
    Ok(meetnet_query::licences(texts.iter().map(String::as_str))?)
}

/// Returns the format of an answer: the one that `format=` names, else the one that `Accept` likes best.
pub(crate) fn choose_format(name: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    match name {
        Some(name) => name
            .parse()
            .map_err(|error| Problem::from(error).with_formats(format_names())),
        None => negotiate::format_by_accept(headers).ok_or_else(|| {
            let names = format_names();
            let detail = format!(
                "Accept names no format of this address; format=… takes {}",
                names.join(", ")
            );
            Problem::new(ProblemKind::NotAcceptable, detail).with_formats(names)
        }),
    }
}

fn format_names() -> Vec<&'static str> {
    Format::ALL.map(Format::as_str).to_vec()
}
