//! Parameters that several addresses take: a format, a time, and each of them once.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use meetnet_model::ids::LicenceId;
use meetnet_model::time::parse_rfc3339;
use meetnet_query::Format;

use crate::negotiate;
use crate::problem::{Problem, ProblemKind};

/// Keeps a value, or refuses the second one.
pub(crate) fn set_once(slot: &mut Option<String>, name: &str, value: &str) -> Result<(), Problem> {
    if slot.is_some() {
        let detail = format!("the parameter {name} is given twice; give it once");
        return Err(Problem::new(ProblemKind::BadRequest, detail));
    }
    *slot = Some(value.to_owned());
    Ok(())
}

/// Reads a time, µs since 1970 UTC.
pub(crate) fn time(name: &str, text: &str) -> Result<i64, Problem> {
    parse_rfc3339(text).map_err(|_| {
        let detail = format!(
            "{name} takes an RFC 3339 time such as 2026-01-31T12:00:00Z (in an address + is written %2B)"
        );
        Problem::new(ProblemKind::BadRequest, detail)
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
