//! What is no TOML, said once.
//!
//! ```text
//! errors of the TOML parser + headers of the text ─▶ (position, what to write)
//! ```
//!
//! A section that stands twice is a duplicate key to TOML, and so is each key in it: the second `[source]` of a file
//! would be blamed five times, and never told that sources are written `[[source]]`. Headers are found by looking at
//! lines, since the parser gives up the very ones that matter here; they only choose words, never decide what is wrong.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::Error;

use super::sections::LISTS;

/// What the parser calls a second of the same name.
const DUPLICATE: &str = "duplicate key";

/// A section that there can be several of, written as if there could not.
pub(super) fn write_as_list(name: &str) -> String {
    format!("there can be several of these: write [[{name}]]")
}

/// Returns what is wrong with the text, in its order, and where; without a position where nobody knows one.
pub(super) fn explained(text: &str, errors: &[Error]) -> Vec<(Option<Range<usize>>, String)> {
    let headers = headers(text);
    // Sections that have been explained, by where their header begins.
    let mut explained = BTreeSet::new();
    let mut problems = Vec::new();
    for error in errors {
        let message = error.message().trim();
        let span = match error.span() {
            Some(span) if message == DUPLICATE => span,
            span => {
                problems.push((span, message.to_owned()));
                continue;
            }
        };
        let before = headers.partition_point(|header| header.span.start <= span.start);
        let section = before.checked_sub(1).and_then(|last| headers.get(last));
        let Some(section) = section else {
            problems.push((Some(span.clone()), second_key(text, span)));
            continue;
        };
        let single = headers.iter().find(|header| {
            !header.is_list && header.name == section.root() && LISTS.contains(&header.name)
        });
        if let Some(single) = single {
            if explained.insert(single.span.start) {
                problems.push((Some(single.span.clone()), write_as_list(single.name)));
            }
        } else if section.span.contains(&span.start) {
            explained.insert(section.span.start);
            problems.push((Some(span), second_section(section.name)));
        } else if !explained.contains(&section.span.start) {
            problems.push((Some(span.clone()), second_key(text, span)));
        }
    }
    problems
}

fn second_section(name: &str) -> String {
    let twice = format!("the section `{name}` stands twice; write what is in it under one header");
    match name.contains('.') {
        // Parts of sources can be lists, too.
        true => format!("{twice}, or [[{name}]] each time where it is a list"),
        false => twice,
    }
}

fn second_key(text: &str, span: Range<usize>) -> String {
    match text.get(span) {
        Some(key) if !key.is_empty() => format!("the key `{key}` stands twice; remove one"),
        _ => DUPLICATE.to_owned(),
    }
}

/// The header of a section.
struct Header<'a> {
    /// The name between the brackets, as it is written.
    name: &'a str,
    /// Whether it is written `[[name]]`.
    is_list: bool,
    span: Range<usize>,
}

impl Header<'_> {
    /// The section that it is, or is a part of.
    fn root(&self) -> &str {
        self.name.split('.').next().unwrap_or_default().trim()
    }
}

/// Returns the headers of a text, in its order.
fn headers(text: &str) -> Vec<Header<'_>> {
    let mut headers = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let span = start..start + line.len();
        start = span.end;
        let Some(rest) = line.trim_start().strip_prefix('[') else {
            continue;
        };
        let (is_list, rest) = match rest.strip_prefix('[') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let end = if is_list { "]]" } else { "]" };
        if let Some((name, rest)) = rest.split_once(end)
            && (rest.trim().is_empty() || rest.trim_start().starts_with('#'))
        {
            headers.push(Header {
                name: name.trim(),
                is_list,
                span,
            });
        }
    }
    headers
}
