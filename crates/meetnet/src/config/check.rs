//! Checks across sections: declarations, licences, decoders, listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meetnet_decode::{Decoders, SetupProblem};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;
use meetnet_model::derivation::{ColumnRule, ConditionValue, check_filled};
use meetnet_model::ids::DatasetId;
use meetnet_model::licence::{Licence, check_licences};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::schemas::{self, Schemas};

use super::document::Document;
use super::hint::did_you_mean;
use super::source::{ReadSource, Transport};
use super::source_poll::{check_properties, with_named};
use super::{IngestHttpConfig, raw, sections};

/// Less would drop a period before its last rows have come.
const RETENTION_MIN: Duration = Duration::from_secs(24 * 3_600);

/// Reads the folder's declarations over the built-in ones; None where they are wrong.
pub(super) fn schemas(
    document: &mut Document<'_>,
    dir: Option<&Path>,
    span: Option<Range<usize>>,
) -> Option<Schemas> {
    let (Some(dir), Some(span)) = (dir, span) else {
        return Some(schemas::builtin());
    };
    let files = match declaration_files(dir) {
        Ok(files) => files,
        Err(error) => {
            document.problem(
                span,
                format!("cannot read the folder {}: {error}", dir.display()),
            );
            return None;
        }
    };
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    match schemas::overlay(&files) {
        Ok(schemas) => Some(schemas),
        Err(errors) => {
            document.problems(errors);
            None
        }
    }
}

/// Returns path and text of each `*.toml` in the folder, in the order of their names.
fn declaration_files(dir: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| Ok((path.display().to_string(), std::fs::read_to_string(&path)?)))
        .collect()
}

/// Applies `[[dataset]]`: licence, attribution, bounds, reference and permission that the city declares for a dataset;
/// returns with them how long old periods of each are kept.
pub(super) fn dataset_overrides(
    document: &mut Document<'_>,
    schemas: Option<Schemas>,
) -> (Option<Schemas>, BTreeMap<DatasetId, Duration>) {
    let sections = document.take_all("dataset");
    let mut schemas = schemas;
    let mut seen = BTreeSet::new();
    let mut retention = BTreeMap::new();
    for section in sections {
        let Some(raw) = document.read::<raw::Dataset>(section) else {
            continue;
        };
        let id = raw.id.get_ref().as_str();
        if !seen.insert(id.to_owned()) {
            document.problem(
                raw.id.span(),
                format!("dataset `{id}` is overridden twice; join the two"),
            );
        }
        let declared = raw.licence.as_ref();
        let licence = declared.and_then(|licence| Licence::read(licence.get_ref()));
        if let Some(licence) = declared
            && let Some(correction) = Licence::correction(licence.get_ref())
        {
            let message = format!("`{}` is not a licence id; {correction}", licence.get_ref());
            document.problem(licence.span(), message);
        }
        if let Some(kept) = raw.retention {
            let kept = sections::at_least(document, Some(kept), Duration::MAX, RETENTION_MIN);
            retention.insert(DatasetId::new(id), kept);
        }
        let Some(schemas) = &mut schemas else {
            continue;
        };
        let found = schemas
            .datasets
            .iter_mut()
            .find(|(known, _)| known.as_str() == id);
        let Some((_, declaration)) = found else {
            let known: Vec<&str> = schemas
                .datasets
                .keys()
                .map(|known| known.as_str())
                .collect();
            let message = format!("there is no dataset `{id}`{}", did_you_mean(id, &known));
            document.problem(raw.id.span(), message);
            continue;
        };
        let declaration = Arc::make_mut(declaration);
        if licence.is_some() {
            declaration.licence = licence;
        }
        if raw.attribution.is_some() {
            declaration.attribution = raw.attribution;
        }
        if let Some(bounds) = &raw.bounds
            && let Err(problem) = set_bounds(declaration, *bounds.get_ref())
        {
            document.problem(bounds.span(), problem.to_owned());
        }
        if let Some(permission) = raw.permission {
            let span = permission.span();
            if let Err(problem) = set_permission(declaration, permission.into_inner()) {
                document.problem(span, problem.to_owned());
            }
        }
        if let Some(reference) = raw.reference {
            let span = reference.span();
            if let Err(problem) = set_reference(declaration, reference.into_inner()) {
                document.problem(span, problem.to_owned());
            }
        }
    }
    (schemas, retention)
}

/// Notes the agreement by which a dataset made of others may ask for less than they do; else says what is wrong.
fn set_permission(
    declaration: &mut DatasetDeclaration,
    permission: String,
) -> Result<(), &'static str> {
    if permission.trim().is_empty() {
        return Err("`permission` names an agreement; fill it in, or remove it");
    }
    let derived = declaration.derive.as_mut();
    let gathered = declaration.gather.as_mut();
    let of = derived
        .map(|derivation| &mut derivation.permission)
        .or(gathered.map(|gathering| &mut gathering.permission));
    match of {
        Some(of) => *of = Some(permission),
        None => return Err("only datasets that are made of others have a `permission`; remove it"),
    }
    Ok(())
}

/// Says whose rows those of a derived dataset are compared with; else says what is wrong.
fn set_reference(
    declaration: &mut DatasetDeclaration,
    reference: ConditionValue,
) -> Result<(), &'static str> {
    let leading = declaration.key.first();
    let leading = leading.and_then(|name| declaration.column_index(name));
    let leading = leading.map(|at| declaration.columns[at].column_type);
    let Some(derivation) = &mut declaration.derive else {
        return Err("only derived datasets have a `reference`; remove it");
    };
    let compares = |rule: &ColumnRule| matches!(rule, ColumnRule::DifferenceToReference(_));
    if !derivation.columns.values().any(compares) {
        return Err("no column of this dataset is a difference to a reference; remove `reference`");
    }
    if leading != Some(reference.column_type()) {
        return Err(
            "`reference` is a value of the first key column: a sensor as text, a segment as a number",
        );
    }
    derivation.reference = Some(reference);
    Ok(())
}

/// Makes an area the ranges of longitude and latitude of places; else says what is wrong.
fn set_bounds(
    declaration: &mut DatasetDeclaration,
    [west, south, east, north]: [f64; 4],
) -> Result<(), &'static str> {
    if declaration.kind != DatasetKind::Places {
        return Err("only datasets of places have `bounds`; remove them");
    }
    let is_on_earth = west >= -180.0 && east <= 180.0 && south >= -90.0 && north <= 90.0;
    if !is_on_earth || west >= east || south >= north {
        return Err("write `bounds = [west, south, east, north]` in degrees (WGS 84)");
    }
    for column in &mut declaration.columns {
        match column.name.as_str() {
            "lon" => column.range = Some([west, east]),
            "lat" => column.range = Some([south, north]),
            _ => {}
        }
    }
    Ok(())
}

/// Puts the declarations together and checks each source against them: its licence, and whether it can be decoded.
pub(super) fn declarations(
    document: &mut Document<'_>,
    schemas: Option<Schemas>,
    sources: &[ReadSource],
) -> Option<Arc<Declarations>> {
    let none = schemas?.into_declarations([]);
    // Decoders keep the key; which one does not matter for what they accept.
    let key = PrivacyKey::new("check");
    for source in sources {
        let declaration = Arc::new(source.config.declaration.clone());
        let mut alone = none.clone();
        alone.sources.insert(declaration.id.clone(), declaration);
        check_properties(document, &source.named_properties, &alone);
        let mut filling = none.clone();
        insert_with_named(&mut filling, source);
        for error in check_licences(&filling) {
            document.problem(source.licence_span.clone(), error.message);
        }
        for error in check_filled(&filling) {
            document.problem(source.id_span.clone(), error.message);
        }
        if let Err(error) = Decoders::new(&Arc::new(alone), &key) {
            let device = match &error.problem {
                SetupProblem::Device { index, .. } => source.device_places.get(*index),
                _ => None,
            };
            if let Some(place) = device {
                document.problems([place.problem(error.to_string())]);
                continue;
            }
            let entry = error.entry.and_then(|entry| source.map_spans.get(entry));
            let span = entry.unwrap_or(&source.id_span).clone();
            document.problem(span, error.to_string());
        }
    }
    let mut all = none;
    for source in sources {
        insert_with_named(&mut all, source);
    }
    all.state_licences();
    for source in sources {
        let declaration = &source.config.declaration;
        all.sources
            .insert(declaration.id.clone(), Arc::new(declaration.clone()));
    }
    Some(Arc::new(all))
}

/// Adds a source as one that fills every dataset that its map, its series or its layers name.
fn insert_with_named(declarations: &mut Declarations, source: &ReadSource) {
    let declaration = &source.config.declaration;
    let filling = with_named(declaration, &source.named_properties, declarations);
    declarations
        .sources
        .insert(declaration.id.clone(), Arc::new(filling));
}

/// Push sources need a listener, and one that is reached from outside needs credentials.
pub(super) fn push_listener(
    document: &mut Document<'_>,
    sources: &[ReadSource],
    is_declared: bool,
    listener: Option<&IngestHttpConfig>,
) {
    for source in sources {
        let Transport::Http(http) = &source.config.transport else {
            continue;
        };
        let id = &source.config.declaration.id;
        if !is_declared {
            let message =
                format!("source `{id}` is pushed, but nothing listens; add [ingest_http] listen");
            document.problem(source.id_span.clone(), message);
        }
        let is_open = listener.is_some_and(|listener| !listener.listen.ip().is_loopback());
        if http.token.is_none() && is_open {
            let message = format!(
                "anybody could push to source `{id}`; add token = {{ env = \"NAME\" }}, or listen on 127.0.0.1"
            );
            document.problem(source.id_span.clone(), message);
        }
    }
}

/// Two listeners cannot share an address; `0.0.0.0` and `[::]` are all addresses of their kind.
pub(super) fn same_address(document: &mut Document<'_>, listeners: Vec<(&str, SocketAddr)>) {
    for (index, (name, address)) in listeners.iter().enumerate() {
        for (other, taken) in listeners[..index]
            .iter()
            .filter(|(_, taken)| is_shared(*taken, *address))
        {
            let message = if taken == address {
                format!("{other} and {name} both listen on {address}; give one another port")
            } else {
                format!(
                    "{other} listens on {taken} and {name} on {address}, which is the same port of the same address; give \
                     one another port"
                )
            };
            document.general_problem(message);
        }
    }
}

fn is_shared(one: SocketAddr, other: SocketAddr) -> bool {
    let is_one_port = one.port() == other.port() && one.port() != 0;
    let has_all = one.ip().is_unspecified() || other.ip().is_unspecified();
    is_one_port && (one.ip() == other.ip() || (has_all && one.is_ipv4() == other.is_ipv4()))
}
