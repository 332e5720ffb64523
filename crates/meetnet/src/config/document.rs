//! The parsed file with the environment laid over it; it knows where each value came from.
//!
//! Values from the environment stand in the same tree as those of the file, at positions behind the end of the text:
//! so an error in one of them names the variable, and nothing else needs to know the difference.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use meetnet_model::declarations::DeclarationError;
use meetnet_model::source::SecretRef;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::hint::did_you_mean;
use super::syntax::{explained, write_as_list};
use super::{Environment, Located, raw};

const PREFIX: &str = "MEETNET_";
const SEPARATOR: &str = "__";
/// Syntax errors that are listed; what follows the first few is noise.
const SYNTAX_ERRORS_MAX: usize = 5;

/// A TOML document, its text, and the problems found so far.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    root: DeTable<'a>,
    /// Variables that override a value; the n-th stands at position `text.len() + 1 + n`.
    variables: Vec<&'a str>,
    problems: Vec<DeclarationError>,
    /// Files that values name, relative to the document's own folder.
    files: Vec<PathBuf>,
}

/// One table that was taken out of the document.
pub(super) struct Section<'a> {
    value: Spanned<DeValue<'a>>,
}

impl<'a> Document<'a> {
    /// Parses the text; syntax errors become problems.
    pub(super) fn parse(file: &'a str, text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            file,
            text,
            root: root.into_inner(),
            variables: Vec::new(),
            problems: Vec::new(),
            files: Vec::new(),
        };
        for (span, message) in explained(text, &errors).into_iter().take(SYNTAX_ERRORS_MAX) {
            document.toml_problem(span, &message);
        }
        if !document.problems.is_empty() {
            // A tree with holes would be blamed for what is missing in it.
            document.root = DeTable::new();
        }
        document
    }

    /// Returns true where the text is not TOML, so that nothing else can be said about it.
    pub(super) fn is_unreadable(&self) -> bool {
        !self.problems.is_empty() && self.root.is_empty()
    }

    /// Returns true where the file has nothing in it, whatever the environment says.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Lays the overrides of the environment over the file.
    pub(super) fn apply_environment(&mut self, environment: &'a Environment) {
        if self.is_unreadable() {
            return;
        }
        for (variable, value) in environment.iter() {
            let Some(path) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            if !path.contains(SEPARATOR) {
                continue;
            }
            let at = self.text.len() + 1 + self.variables.len();
            self.variables.push(variable);
            let parts: Vec<String> = path.split(SEPARATOR).map(str::to_lowercase).collect();
            let value = Spanned::new(at..at, scalar(value));
            match parts.as_slice() {
                [section, key] if section != "source" && section != "dataset" => {
                    self.override_section(section, key, value, at);
                }
                [section, id, key] if section == "source" => {
                    self.override_source(id, key, value, at);
                }
                _ => self.problem(
                    at..at,
                    "is no override; write MEETNET_SECTION__KEY or MEETNET_SOURCE__ID__KEY, or unset it",
                ),
            }
        }
    }

    fn override_section(
        &mut self,
        section: &str,
        key: &str,
        value: Spanned<DeValue<'a>>,
        at: usize,
    ) {
        if !self.root.contains_key(section) {
            let table = DeValue::Table(DeTable::new());
            self.root.insert(
                Spanned::new(at..at, section.to_owned().into()),
                Spanned::new(at..at, table),
            );
        }
        if let Some(DeValue::Table(table)) = self.root.get_mut(section).map(Spanned::get_mut) {
            replace(table, key, value, at);
        }
    }

    fn override_source(&mut self, id: &str, key: &str, value: Spanned<DeValue<'a>>, at: usize) {
        let sources = match self.root.get_mut("source").map(Spanned::get_mut) {
            Some(DeValue::Array(sources)) => sources,
            // Said when sources are read: that they are no list.
            Some(_) => return,
            None => {
                let message =
                    "overrides a source, but the file has none; add one, or unset the variable";
                return self.problem(at..at, message);
            }
        };
        for source in sources.iter_mut() {
            let DeValue::Table(table) = source.get_mut() else {
                continue;
            };
            let same = table
                .get("id")
                .and_then(|found| found.get_ref().as_str())
                .is_some_and(|found| found.replace('-', "_") == id);
            if same {
                replace(table, key, value, at);
                return;
            }
        }
        self.problem(
            at..at,
            format!(
                "overrides the source `{id}`, which the file does not have; name one that it has, or unset the variable"
            ),
        );
    }

    /// Returns the values of all sections but those in `but`, by `[section] key` or `[[section]]`, as they are written.
    pub(super) fn settings(&self, but: &[&str]) -> BTreeMap<String, Located<toml::Value>> {
        let mut settings = BTreeMap::new();
        let mut add = |name: String, value: &Spanned<DeValue<'a>>| {
            let written = toml::Value::deserialize(ValueDeserializer::from(value.clone()));
            // Whatever is TOML is such a value.
            if let Ok(written) = written {
                settings.insert(name, self.located(written, value.span()));
            }
        };
        for (section, of_section) in &self.root {
            let section: &str = section.get_ref();
            if but.contains(&section) {
                continue;
            }
            match of_section.get_ref() {
                DeValue::Table(table) => {
                    for (key, value) in table {
                        add(format!("[{section}] {}", key.get_ref()), value);
                    }
                }
                // All of its tables together: they have no names here.
                DeValue::Array(_) => add(format!("[[{section}]]"), of_section),
                _ => {}
            }
        }
        settings
    }

    /// Notes that a value names a file, from which something is read.
    pub(super) fn note_file(&mut self, file: impl Into<PathBuf>) {
        self.files.push(file.into());
    }

    /// Takes the files that values have named.
    pub(super) fn take_files(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.files)
    }

    /// Returns true where the section is there and not yet taken.
    pub(super) fn has(&self, name: &str) -> bool {
        self.root.contains_key(name)
    }

    /// Takes a table out of the document; None where it is absent or no table (then a problem).
    pub(super) fn take(&mut self, name: &str) -> Option<Section<'a>> {
        let (_, value) = self.root.remove_entry(name)?;
        if value.get_ref().is_table() {
            return Some(Section { value });
        }
        self.problem(
            value.span(),
            format!("`{name}` is a section: write [{name}]"),
        );
        None
    }

    /// Takes an array of tables (`[[name]]`) out of the document.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<Section<'a>> {
        let Some((_, value)) = self.root.remove_entry(name) else {
            return Vec::new();
        };
        let span = value.span();
        let DeValue::Array(values) = value.into_inner() else {
            self.problem(span, write_as_list(name));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for value in values {
            if value.get_ref().is_table() {
                sections.push(Section { value });
            } else {
                self.problem(value.span(), format!("write each as a table: [[{name}]]"));
            }
        }
        sections
    }

    /// Returns what is left: sections that nobody has taken.
    pub(super) fn left(&self) -> Vec<(String, Range<usize>)> {
        self.root
            .keys()
            .map(|key| (key.get_ref().to_string(), key.span()))
            .collect()
    }

    /// Reads a section, or notes what is wrong with it.
    pub(super) fn read<T: DeserializeOwned>(&mut self, section: Section<'_>) -> Option<T> {
        match T::deserialize(ValueDeserializer::from(section.value)) {
            Ok(value) => Some(value),
            Err(error) => {
                self.toml_problem(error.span(), error.message().trim());
                None
            }
        }
    }

    /// Notes a problem at a position.
    pub(super) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        let problem = DeclarationError {
            message: message.into(),
            ..self.place(span)
        };
        self.problems.push(problem);
    }

    /// Notes a problem between several places of the file.
    pub(super) fn general_problem(&mut self, message: String) {
        self.problems.push(DeclarationError {
            file: self.file.to_owned(),
            line: None,
            message,
        });
    }

    /// Notes problems that carry their own place.
    pub(super) fn problems(&mut self, problems: impl IntoIterator<Item = DeclarationError>) {
        self.problems.extend(problems);
    }

    /// Keeps the name of a secret and its place: it is read later.
    pub(super) fn secret(&mut self, secret: &Spanned<raw::Secret>) -> Located<SecretRef> {
        let raw::Secret(name) = secret.get_ref();
        if let SecretRef::File(file) = name {
            self.note_file(file);
        }
        self.located(name.clone(), secret.span())
    }

    /// Keeps the place of a value for a later check.
    pub(super) fn located<T>(&self, value: T, span: Range<usize>) -> Located<T> {
        Located {
            value,
            place: self.place(span),
        }
    }

    fn place(&self, span: Range<usize>) -> DeclarationError {
        let message = String::new();
        if let Some(index) = span.start.checked_sub(self.text.len() + 1) {
            let variable = self.variables.get(index).copied().unwrap_or_default();
            let file = format!("environment variable {variable}");
            return DeclarationError {
                file,
                line: None,
                message,
            };
        }
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        DeclarationError {
            file: self.file.to_owned(),
            line: Some(line),
            message,
        }
    }

    fn toml_problem(&mut self, span: Option<Range<usize>>, message: &str) {
        let message = explain(message);
        match span {
            Some(span) => self.problem(span, message),
            None => self.problems.push(DeclarationError {
                file: self.file.to_owned(),
                line: None,
                message,
            }),
        }
    }

    /// Returns everything that was found to be wrong, in the order of the lines.
    pub(super) fn into_problems(mut self) -> Vec<DeclarationError> {
        let file = self.file;
        self.problems
            .sort_by_key(|problem| (problem.file != file, problem.line));
        self.problems
    }
}

impl Section<'_> {
    /// Where it begins.
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Its keys and where they stand.
    pub(super) fn keys(&self) -> Vec<(String, Range<usize>)> {
        let table = self.value.get_ref().as_table();
        let keys = table.into_iter().flat_map(|table| table.keys());
        keys.map(|key| (key.get_ref().to_string(), key.span()))
            .collect()
    }

    /// A text in it, before it is read.
    pub(super) fn text(&self, key: &str) -> Option<(String, Range<usize>)> {
        let value = self.value.get_ref().as_table()?.get(key)?;
        Some((value.get_ref().as_str()?.to_owned(), value.span()))
    }
}

fn replace<'a>(table: &mut DeTable<'a>, key: &str, value: Spanned<DeValue<'a>>, at: usize) {
    table.remove(key);
    table.insert(Spanned::new(at..at, key.to_owned().into()), value);
}

/// Reads a variable: a number or boolean where it is one, else text.
fn scalar(text: &str) -> DeValue<'_> {
    match DeValue::parse(text).map(Spanned::into_inner) {
        Ok(value @ (DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_))) => value,
        Ok(DeValue::String(text)) => DeValue::String(text),
        _ => DeValue::String(text.into()),
    }
}

/// Says what to do where serde only says what is wrong.
fn explain(message: &str) -> String {
    let message = message.replace('\n', ", ");
    for (start, what) in [("unknown field ", "key"), ("unknown variant ", "value")] {
        let Some(rest) = message.strip_prefix(start) else {
            continue;
        };
        let mut names = rest.split('`').skip(1).step_by(2);
        let wrong = names.next().unwrap_or_default();
        let known: Vec<&str> = names.collect();
        return format!("unknown {what} `{wrong}`{}", did_you_mean(wrong, &known));
    }
    match message.strip_prefix("missing field ") {
        Some(name) => format!("the key {name} is missing; add it"),
        None => message,
    }
}
