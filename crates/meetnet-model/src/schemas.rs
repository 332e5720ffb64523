//! Declaration files: TOML texts become datasets and properties, or a list of errors with file and line.
//!
//! ```text
//! schemas/*.toml (built in) ─┐
//! the city's folder ─────────┴▶ layers ─▶ one declaration per id, checked ─▶ Declarations
//! ```
//!
//! A file declares one dataset, or properties (`[[property]]`). A later layer replaces declarations of an earlier one
//! by id and adds its own; within a layer an id stands once. Whoever calls reads the files: there is no I/O here.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::dataset::{DatasetDeclaration, DatasetKind};
use crate::declarations::{DECODER_VERSION, DeclarationError, Declarations};
use crate::ids::DatasetId;
use crate::property::PropertyDeclaration;
use crate::source::SourceDeclaration;

use self::derive_rules::DeriveLines;

mod assess_rules;
mod dataset_rules;
mod derive_rules;
mod gather_rules;
mod property_rules;
mod raw;
mod test_rules;

/// The declarations that come with the program, as (name, text).
const BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// Everything that declaration files declare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schemas {
    /// Datasets by id.
    pub datasets: BTreeMap<DatasetId, Arc<DatasetDeclaration>>,
    /// Properties of long datasets, in the order of dataset and declaration.
    pub properties: Vec<Arc<PropertyDeclaration>>,
}

impl Schemas {
    /// Adds the sources, which the configuration declares.
    pub fn into_declarations(
        self,
        sources: impl IntoIterator<Item = SourceDeclaration>,
    ) -> Declarations {
        Declarations {
            decoder_version: DECODER_VERSION,
            datasets: self.datasets,
            properties: self.properties,
            sources: sources
                .into_iter()
                .map(|s| (s.id.clone(), Arc::new(s)))
                .collect(),
        }
    }
}

/// Reads a complete set of declaration files, given as (name, text). On error, names every fault that was found.
pub fn load(files: &[(&str, &str)]) -> Result<Schemas, Vec<DeclarationError>> {
    read_layers(&[files])
}

/// Returns the declarations that come with the program.
pub fn builtin() -> Schemas {
    load(BUILTIN).expect("a test loads the built-in declarations")
}

/// Reads a folder's files over the built-in ones: the same id replaces a declaration, a new one adds to them.
pub fn overlay(files: &[(&str, &str)]) -> Result<Schemas, Vec<DeclarationError>> {
    read_layers(&[BUILTIN, files])
}

/// A declaration and where it stands.
#[derive(Debug)]
struct Located<'a, T> {
    declaration: T,
    layer: usize,
    file: &'a str,
    line: usize,
}

impl<T> Located<'_, T> {
    fn error(&self, message: String) -> DeclarationError {
        DeclarationError {
            file: self.file.to_owned(),
            line: Some(self.line),
            message,
        }
    }
}

/// What the files read so far declare.
#[derive(Default)]
struct Layers<'a> {
    datasets: BTreeMap<DatasetId, Located<'a, DatasetDeclaration>>,
    properties: Vec<Located<'a, PropertyDeclaration>>,
    /// Of derived datasets: lines of what names their inputs.
    derive_lines: BTreeMap<DatasetId, DeriveLines>,
    errors: Vec<DeclarationError>,
}

fn read_layers(layers: &[&[(&str, &str)]]) -> Result<Schemas, Vec<DeclarationError>> {
    let mut read = Layers::default();
    let mut unreadable = false;
    for (layer, files) in layers.iter().enumerate() {
        for (file, text) in files.iter() {
            let mut problems = Problems {
                file,
                text,
                errors: &mut read.errors,
            };
            match raw::parse(text) {
                Err(error) => {
                    unreadable = true;
                    problems.toml(&error);
                }
                Ok(raw::File::Dataset(raw)) => {
                    let line = problems.line(&raw.id.span());
                    let (declaration, lines) = dataset_rules::check(*raw, &mut problems);
                    let located = Located {
                        declaration,
                        layer,
                        file,
                        line,
                    };
                    read.add_dataset(located, lines);
                }
                Ok(raw::File::Properties(raw)) => {
                    for raw in raw {
                        let mut problems = Problems {
                            file,
                            text,
                            errors: &mut read.errors,
                        };
                        let line = problems.line(&raw.get_ref().name.span());
                        let checked = property_rules::check(raw.into_inner(), &mut problems);
                        if let Some(declaration) = checked {
                            read.add_property(Located {
                                declaration,
                                layer,
                                file,
                                line,
                            });
                        }
                    }
                }
            }
        }
    }
    // A dataset that could not be read would blame each of its properties too.
    if !unreadable {
        let datasets = &read.datasets;
        read.errors
            .extend(read.properties.iter().filter_map(|property| {
                property_rules::check_dataset(property, datasets.get(&property.declaration.dataset))
            }));
        read.errors.extend(
            read.properties.iter().filter_map(|property| {
                property_rules::check_correction(property, &read.properties)
            }),
        );
        let problems = derive_rules::check_inputs(&read.datasets, &read.derive_lines);
        read.errors.extend(problems);
        read.errors
            .extend(gather_rules::check_inputs(&read.datasets));
    }
    read.finish()
}

impl<'a> Layers<'a> {
    fn add_dataset(
        &mut self,
        new: Located<'a, DatasetDeclaration>,
        derive_lines: Option<DeriveLines>,
    ) {
        let id = &new.declaration.id;
        if let Some(old) = self.datasets.get(id)
            && old.layer == new.layer
        {
            let (file, line) = (old.file, old.line);
            self.errors.push(new.error(format!(
                "dataset `{id}` is already declared at {file}:{line}; give one of them another id or remove it"
            )));
            return;
        }
        match derive_lines {
            Some(lines) => self.derive_lines.insert(id.clone(), lines),
            None => self.derive_lines.remove(id),
        };
        self.datasets.insert(id.clone(), new);
    }

    fn add_property(&mut self, new: Located<'a, PropertyDeclaration>) {
        let PropertyDeclaration { dataset, name, .. } = &new.declaration;
        let same = self
            .properties
            .iter_mut()
            .find(|old| old.declaration.dataset == *dataset && old.declaration.name == *name);
        match same {
            Some(old) if old.layer == new.layer => {
                let (file, line) = (old.file, old.line);
                self.errors.push(new.error(format!(
                    "property `{name}` of `{dataset}` is already declared at {file}:{line}; remove one of them"
                )));
            }
            Some(old) => *old = new,
            None => self.properties.push(new),
        }
    }

    fn finish(mut self) -> Result<Schemas, Vec<DeclarationError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        self.properties
            .sort_by(|a, b| a.declaration.dataset.cmp(&b.declaration.dataset));
        let shared = |located: Located<'_, DatasetDeclaration>| Arc::new(located.declaration);
        Ok(Schemas {
            datasets: self
                .datasets
                .into_iter()
                .map(|(id, d)| (id, shared(d)))
                .collect(),
            properties: self
                .properties
                .into_iter()
                .map(|p| Arc::new(p.declaration))
                .collect(),
        })
    }
}

/// Collects the faults of one file.
struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    errors: &'a mut Vec<DeclarationError>,
}

impl Problems<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        let line = Some(self.line(&span));
        self.errors.push(DeclarationError {
            file: self.file.to_owned(),
            line,
            message: message.into(),
        });
    }

    fn toml(&mut self, error: &toml::de::Error) {
        let message = error.message().trim().replace('\n', ", ");
        let message = if message.starts_with("missing field") {
            format!("{message}; add it")
        } else {
            format!("{message}; correct or remove it")
        };
        match error.span() {
            Some(span) => self.add(span, message),
            None => self.errors.push(DeclarationError {
                file: self.file.to_owned(),
                line: None,
                message,
            }),
        }
    }
}

/// Returns true for `[a-z][a-z0-9_]*` of at most 48 characters: what every SQL dialect and file system takes unquoted,
/// with room for `_history` within PostgreSQL's 63.
fn is_name(text: &str) -> bool {
    text.len() <= 48
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
