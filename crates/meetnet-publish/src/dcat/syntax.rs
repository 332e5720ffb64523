//! How the catalogue is written down: as JSON-LD, or as Turtle for those who like that better.
//!
//! Turtle is made of the JSON-LD that the catalogue is, and of no other: names of members are prefixed, and every value is a text,
//! a literal with a type or language, a node, or a list of these.

use std::collections::HashSet;
use std::fmt::Write;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use serde_json::{Map, Value};

use crate::negotiate::{media_weight, weighted};

#[cfg(test)]
mod tests;

/// What the catalogue can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    JsonLd,
    Turtle,
}

impl Syntax {
    const ALL: [Self; 2] = [Self::JsonLd, Self::Turtle];

    /// Returns the one that `Accept` likes best; JSON-LD where it likes both the same, or neither: harvesters name what they
    /// could read at all, and read what the answer says it is.
    pub(super) fn by_accept(headers: &HeaderMap) -> Self {
        let entries = weighted(headers, &ACCEPT);
        let mut best = (Self::JsonLd, 0);
        for syntax in Self::ALL {
            let own = media_weight(&entries, syntax.media_type());
            let others = entries
                .iter()
                .filter(|(range, _)| range == syntax.other_name());
            let named = others.map(|(_, weight)| *weight).max();
            let weight = own.max(named.unwrap_or(0));
            // Strictly greater: the earlier wins a tie.
            if weight > best.1 {
                best = (syntax, weight);
            }
        }
        best.0
    }

    /// Returns its media type.
    fn media_type(self) -> &'static str {
        match self {
            Self::JsonLd => "application/ld+json",
            Self::Turtle => "text/turtle",
        }
    }

    /// Returns by what else it is asked for.
    fn other_name(self) -> &'static str {
        match self {
            Self::JsonLd => "application/json",
            Self::Turtle => "application/x-turtle",
        }
    }

    /// Returns what an answer in it says that it is.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::JsonLd => self.media_type(),
            Self::Turtle => "text/turtle; charset=utf-8",
        }
    }

    /// Writes a catalogue down.
    pub(super) fn text(self, catalogue: &Value) -> String {
        match self {
            Self::JsonLd => format!("{catalogue:#}\n"),
            Self::Turtle => turtle(catalogue),
        }
    }
}

/// Writes a document in Turtle: prefixes, then each node that has an IRI by itself.
fn turtle(document: &Value) -> String {
    let mut text = String::new();
    let prefixes = document["@context"].as_object().into_iter().flatten();
    for (prefix, of) in prefixes {
        // Writing to memory cannot fail.
        let _ = writeln!(
            text,
            "@prefix {prefix}: {} .",
            iri(of.as_str().unwrap_or_default())
        );
    }
    let mut nodes = Nodes::default();
    if let Some(node) = document.as_object() {
        nodes.add(node);
    }
    for node in &nodes.written {
        text.push('\n');
        text.push_str(node);
    }
    text
}

/// Nodes that have an IRI, each with all that is said of it in one place.
#[derive(Default)]
struct Nodes {
    written: Vec<String>,
    /// What is said in several places is written once.
    known: HashSet<String>,
}

impl Nodes {
    /// Adds what is said of a node, and of those in it. A mere reference says nothing.
    fn add(&mut self, node: &Map<String, Value>) {
        let id = node.get("@id").and_then(Value::as_str);
        let says_nothing = node.keys().all(|name| name == "@id");
        let key = Value::Object(node.clone()).to_string();
        let Some(id) = id.filter(|_| !says_nothing && self.known.insert(key)) else {
            return;
        };
        // In front of those that stand in it.
        let place = self.written.len();
        self.written.push(String::new());
        let said = self.said(node).join(" ;\n    ");
        self.written[place] = format!("{}\n    {said} .\n", iri(id));
    }

    /// Returns what is said of a node: `dct:title "…"@en, "…"@fr`.
    fn said(&mut self, node: &Map<String, Value>) -> Vec<String> {
        let mut said = Vec::new();
        for (name, value) in node {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            match name.as_str() {
                "@context" | "@id" => {}
                "@type" => {
                    let types: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                    said.push(format!("a {}", types.join(", ")));
                }
                _ if values.is_empty() => {}
                name => {
                    let objects: Vec<String> = values.iter().map(|of| self.object(of)).collect();
                    said.push(format!("{name} {}", objects.join(", ")));
                }
            }
        }
        said
    }

    fn object(&mut self, value: &Value) -> String {
        let node = match value {
            Value::Object(node) => node,
            Value::String(text) => return quoted(text),
            // Numbers and truth are written the same way in both.
            other => return other.to_string(),
        };
        let member = |name: &str| node.get(name).and_then(Value::as_str);
        if let Some(text) = member("@value") {
            let text = quoted(text);
            return match (member("@language"), member("@type")) {
                (Some(language), _) => format!("{text}@{language}"),
                (None, Some(of_type)) => format!("{text}^^{of_type}"),
                (None, None) => text,
            };
        }
        if let Some(id) = member("@id") {
            self.add(node);
            return iri(id);
        }
        format!("[ {} ]", self.said(node).join(" ; "))
    }
}

/// Returns an IRI in its brackets; what none can hold is percent-encoded.
fn iri(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('<');
    for letter in text.chars() {
        if letter <= ' ' || "<>\"{}|^`\\".contains(letter) {
            let _ = write!(out, "%{:02X}", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
    out.push('>');
    out
}

/// Returns a text in quotes.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
