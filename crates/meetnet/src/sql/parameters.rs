//! `--param name=value`: `$name` in a statement becomes the value as a SQL literal.
//!
//! A text is quoted here, so that a value is never read as SQL, whatever it holds.

use std::collections::BTreeMap;

use super::script::{Within, walk};

#[cfg(test)]
mod tests;

/// Values by name, as SQL literals.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

/// Reads `name=value` into the name and the literal.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=VALUE, for example sensor=ts-1")?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(is_of_name) {
        return Err(format!(
            "`{name}` is no name of a parameter; it has letters, digits and _"
        ));
    }
    Ok((name.to_owned(), literal(value)))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns a value as SQL has it: numbers, `true`, `false` and `null` as they are, anything else as a text. In single
/// quotes a number is a text, too.
fn literal(value: &str) -> String {
    let is_number = value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && value.ends_with(|c: char| c.is_ascii_digit() || c == '.')
        && value.parse::<f64>().is_ok_and(f64::is_finite);
    let is_word = ["true", "false", "null"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word));
    if is_number || is_word {
        return value.to_owned();
    }
    let text = value
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
        .unwrap_or(value);
    quoted(text)
}

/// Returns a text as a SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a name as SQL has it, whatever letters it has.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Parameters {
    /// Sets a value; the literal comes from [`parse`].
    pub(super) fn set(&mut self, name: String, literal: String) {
        self.0.insert(name, literal);
    }

    /// Returns names and literals in the order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, literal)| (name.as_str(), literal.as_str()))
    }

    /// Puts the values in a statement, outside of its texts (`$$…$$` among them), quoted names and comments.
    ///
    /// # Errors
    /// A name that has no value.
    pub(super) fn bind(&self, statement: &str) -> Result<String, String> {
        let mut places = Vec::new();
        walk(statement, Within::Code, |at, c, here| {
            if c == '$' && here == Within::Code {
                places.push(at);
            }
        });
        let mut bound = String::with_capacity(statement.len());
        let mut from = 0;
        for at in places {
            let rest = &statement[at + 1..];
            let length = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
            if length == 0 {
                continue;
            }
            let name = &rest[..length];
            let literal = self.0.get(name).ok_or_else(|| self.unknown(name))?;
            bound.push_str(&statement[from..at]);
            bound.push_str(literal);
            from = at + 1 + length;
        }
        bound.push_str(&statement[from..]);
        Ok(bound)
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        format!("${name} has no value; give it with --param {name}=VALUE (there are: {known})")
    }
}
