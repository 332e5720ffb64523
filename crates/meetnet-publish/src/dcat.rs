//! `/api/v1/dcat.jsonld`: all public datasets as a catalogue that portals of open data harvest: DCAT-AP 3 in JSON-LD, or in Turtle
//! for who likes that better.
//!
//! ```text
//! dcat:Catalog ─┬▶ dcat:Dataset ─▶ dcat:Distribution, one per format and licence of its rows
//!               └▶ dcat:DataService, the API
//! overview ─▶ written once ─▶ kept ─▶ If-None-Match knows it? ─▶ 304, else the kept bytes
//! ```
//!
//! Words, licences and observed properties are those of the declarations. What no declaration, row or setting says is left out, not
//! guessed: theme, date of issue, how often a dataset is updated.

use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;
use meetnet_model::derivation::Bucket;
use meetnet_model::hex::Hex;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::licence::Licence;
use meetnet_model::texts::Texts;
use meetnet_model::time::format_rfc3339;
use meetnet_query::{Format, PlaceBounds, bounds_of, places_of, public_schema};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::kept::{Version, Written};
use self::syntax::Syntax;
use crate::coding::Coding;
use crate::conditional;
use crate::links;
use crate::negotiate::media_types;
use crate::overview::{DatasetOverview, Overview};
use crate::parameters::only;
use crate::problem::{Problem, ProblemKind};
use crate::state::{PublishSettings, PublishState};

mod kept;
mod syntax;

#[cfg(test)]
mod tests;

pub(crate) use self::kept::CatalogueCache;

/// Where the catalogue is.
const PATH: &str = "/api/v1/dcat.jsonld";
/// The header `Link` of pages that leads harvesters to it.
pub(crate) const LINK_TO_IT: HeaderValue = HeaderValue::from_static(
    "</api/v1/dcat.jsonld>; rel=\"describedby\"; type=\"application/ld+json\"",
);
const SERVICE: &str = "/api/v1";
const PUBLISHER: &str = "/#publisher";
/// Anybody may read it.
const PUBLIC: &str = "http://publications.europa.eu/resource/authority/access-right/PUBLIC";
const LANGUAGES: [&str; 3] = [
    "http://publications.europa.eu/resource/authority/language/NLD",
    "http://publications.europa.eu/resource/authority/language/ENG",
    "http://publications.europa.eu/resource/authority/language/FRA",
];
/// What a dataset is distributed as: format, name for people, and its code in the EU's table of file types.
const DISTRIBUTED: [(Format, &str, &str); 4] = [
    (Format::Csv, "CSV", "CSV"),
    (Format::Parquet, "Parquet", "PARQUET"),
    (Format::Geojson, "GeoJSON", "GEOJSON"),
    (Format::Json, "JSON", "JSON"),
];

/// Answers the catalogue.
pub(crate) async fn get(
    State(state): State<PublishState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [] = only(query.as_deref(), [])?;
    let version = Version {
        base: links::base_url(state.settings.public_url.as_deref(), &headers),
        coding: Coding::choose(Format::Json, &headers),
        syntax: Syntax::by_accept(&headers),
        overview: state.overview(),
        declarations: state.declarations(),
    };
    let syntax = version.syntax;
    let written = state
        .catalogues
        .get(version, |version| write(&state, version))?;
    let mut response = if conditional::knows(&headers, &written.tag) {
        conditional::not_modified()
    } else {
        let mut response = written.bytes.into_response();
        let head = response.headers_mut();
        let content_type = HeaderValue::from_static(syntax.content_type());
        head.insert(CONTENT_TYPE, content_type);
        if written.coding != Coding::Identity {
            let coding = HeaderValue::from_static(written.coding.as_str());
            head.insert(CONTENT_ENCODING, coding);
        }
        response
    };
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    let public_url = state.settings.public_url.as_deref();
    head.insert(VARY, links::vary(public_url, "accept, accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&written.tag) {
        head.insert(ETAG, tag);
    }
    Ok(response)
}

/// Writes the catalogue of a version.
fn write(state: &PublishState, version: &Version) -> Result<Written, Problem> {
    let catalogue = Catalogue {
        base: &version.base,
        overview: &version.overview,
        snapshot: &state.query.snapshot().load_full(),
        declarations: &version.declarations,
        settings: &state.settings,
    };
    let text = version.syntax.text(&catalogue.document());
    let coding = version.coding;
    let mut hash = Sha256::new();
    // A strong tag names bytes as they are sent: whoever has them is told so, also where another overview says the same.
    hash.update(coding.as_str());
    hash.update(&text);
    let tag = format!("\"{}\"", Hex(&hash.finalize()));
    let (bytes, coding) = coding.encode(text.into()).map_err(|error| {
        tracing::error!(%error, "failed to compress the catalogue");
        Problem::new(ProblemKind::Internal, "the catalogue could not be written")
    })?;
    Ok(Written { tag, bytes, coding })
}

/// What the catalogue is made of.
struct Catalogue<'a> {
    /// The address under which the service is reached, without a slash at its end.
    base: &'a str,
    overview: &'a Overview,
    snapshot: &'a LakeSnapshot,
    declarations: &'a Declarations,
    settings: &'a PublishSettings,
}

impl Catalogue<'_> {
    fn document(&self) -> Value {
        let city = &self.settings.city;
        let datasets = || self.overview.datasets.iter();
        let modified = datasets().filter_map(|dataset| dataset.last_update).max();
        let languages = LANGUAGES.map(|language| typed(language, "dct:LinguisticSystem"));
        let mut catalogue = json!({
            "@context": context(),
            "@id": self.iri(PATH),
            "@type": "dcat:Catalog",
            "dct:title": literals(&Texts {
                nl: format!("Open sensordata van {city}"),
                en: format!("Open sensor data of {city}"),
                fr: format!("Données ouvertes des capteurs de {city}"),
            }),
            "dct:description": literals(&Texts {
                nl: "Wat sensoren in de stad meten, en wat daarvan gemaakt is. Elk bestand staat onder één licentie; elke rij \
                     noemt haar bron, haar licentie en haar kwaliteit."
                    .to_owned(),
                en: "What sensors in the city measure, and what is made of it. Every file is under one licence; every row names \
                     its source, its licence and its quality."
                    .to_owned(),
                fr: "Ce que les capteurs mesurent en ville, et ce qui en est fait. Chaque fichier est sous une seule licence ; \
                     chaque ligne indique sa source, sa licence et sa qualité."
                    .to_owned(),
            }),
            "dct:publisher": {
                "@id": self.iri(PUBLISHER),
                "@type": "foaf:Agent",
                "foaf:name": self.publisher(),
            },
            "dct:language": languages,
            "foaf:homepage": typed(self.iri("/"), "foaf:Document"),
            "dcat:service": [self.service()],
            "dcat:dataset": datasets().map(|dataset| self.dataset(dataset)).collect::<Vec<Value>>(),
        });
        set(&mut catalogue, "dct:modified", modified.map(instant));
        catalogue
    }

    /// Returns the IRI of a path of this service.
    fn iri(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn publisher(&self) -> &str {
        let named = self.settings.publisher.as_deref();
        named.unwrap_or(&self.settings.city)
    }

    /// Whom to ask; None where nobody is named.
    fn contact(&self) -> Option<Value> {
        let iri = self.settings.contact.as_ref()?;
        let by = match iri.starts_with("mailto:") {
            true => "vcard:hasEmail",
            false => "vcard:hasURL",
        };
        let mut contact = json!({ "@type": "vcard:Kind", "vcard:fn": self.publisher() });
        contact[by] = reference(iri);
        Some(contact)
    }

    fn service(&self) -> Value {
        let datasets = self.overview.datasets.iter();
        let served = datasets.map(|dataset| reference(self.dataset_iri(&dataset.declaration.id)));
        let mut service = json!({
            "@id": self.iri(SERVICE),
            "@type": "dcat:DataService",
            "dct:title": literals(&Texts {
                nl: "API: datasets, rijen, bestanden en SQL".to_owned(),
                en: "API: datasets, rows, files and SQL".to_owned(),
                fr: "API : jeux de données, lignes, fichiers et SQL".to_owned(),
            }),
            "dct:publisher": reference(self.iri(PUBLISHER)),
            "dct:accessRights": typed(PUBLIC, "dct:RightsStatement"),
            "dcat:endpointURL": reference(self.iri(SERVICE)),
            "dcat:endpointDescription": reference(self.iri("/api/v1/openapi.json")),
            "dcat:servesDataset": served.collect::<Vec<Value>>(),
        });
        set(&mut service, "dcat:contactPoint", self.contact());
        service
    }

    fn dataset_iri(&self, id: &DatasetId) -> String {
        self.iri(&format!("/api/v1/datasets/{id}"))
    }

    fn dataset(&self, dataset: &DatasetOverview) -> Value {
        let declaration = &*dataset.declaration;
        let id = &declaration.id;
        let page = self.iri(&format!("/datasets/{id}"));
        let measured = measured(declaration, self.declarations);
        let made_of = declaration.made_of().into_iter();
        // Of public datasets alone: the names of others stay unknown.
        let made_of = made_of.filter(|id| self.overview.dataset(id.as_str()).is_some());
        let made_of = made_of.map(|id| reference(self.dataset_iri(id)));
        // Where nothing has been measured there is no place that it was measured at, however many sensors stand somewhere.
        let bounds = match dataset.rows {
            0 => None,
            _ => bounds_of(self.snapshot, declaration),
        };
        let mut node = json!({
            "@id": self.dataset_iri(id),
            "@type": "dcat:Dataset",
            "dct:identifier": id.as_str(),
            "dct:title": literals(&declaration.title),
            "dct:description": literals(&declaration.description),
            "dct:publisher": reference(self.iri(PUBLISHER)),
            "dct:accessRights": typed(PUBLIC, "dct:RightsStatement"),
            "dcat:landingPage": typed(page, "foaf:Document"),
        });
        let known = [
            ("dcat:keyword", some(keywords(&measured))),
            (
                "schema:variableMeasured",
                some(measured.iter().map(Measured::node).collect()),
            ),
            ("dct:modified", dataset.last_update.map(instant)),
            ("dct:temporal", temporal(dataset)),
            (
                "dcat:temporalResolution",
                resolution(declaration).map(|length| literal(length, "xsd:duration")),
            ),
            ("dct:spatial", bounds.and_then(|bounds| spatial(&bounds))),
            ("dct:source", some(made_of.collect())),
            ("dcat:contactPoint", self.contact()),
            ("dcat:distribution", some(self.distributions(dataset))),
        ];
        for (name, value) in known {
            set(&mut node, name, value);
        }
        node
    }

    /// Returns how the rows can be had: under each licence by itself, since no file holds rows of two.
    fn distributions(&self, dataset: &DatasetOverview) -> Vec<Value> {
        let declaration = &*dataset.declaration;
        let places = places_of(self.snapshot, declaration);
        let schema = public_schema(declaration);
        let has = |name: &str| schema.field_with_name(name).is_ok();
        let is_on_map = !places.is_empty() || has("geometry") || (has("lon") && has("lat"));
        let mut distributions = Vec::new();
        for licence in &dataset.licences {
            for (format, name, file_type) in DISTRIBUTED {
                let mut names: Vec<&str> = declaration.attributions(licence).collect();
                if format == Format::Geojson {
                    if !is_on_map {
                        continue;
                    }
                    // What tells where the rows are is in it, too.
                    let of_places = places.iter();
                    names.extend(of_places.flat_map(|of| of.declaration.attributions(licence)));
                }
                let what = format!("{name} ({licence})");
                let media_type = media_types(format)[0];
                let media_type =
                    format!("https://www.iana.org/assignments/media-types/{media_type}");
                let file_type = format!(
                    "http://publications.europa.eu/resource/authority/file-type/{file_type}"
                );
                let mut node = json!({
                    "@id": self.iri(&format!("/api/v1/datasets/{}#{}-{licence}", declaration.id, format.as_str())),
                    "@type": "dcat:Distribution",
                    "dct:title": what,
                    "dcat:accessURL": reference(self.iri(&access_path(&declaration.id, format, licence))),
                    "dcat:accessService": reference(self.iri(SERVICE)),
                    "dcat:mediaType": typed(media_type, "dct:MediaType"),
                    "dct:format": typed(file_type, "dct:MediaTypeOrExtent"),
                    "dct:license": licence_node(licence),
                });
                set(&mut node, "dct:rights", rights(&names));
                distributions.push(node);
            }
        }
        distributions
    }
}

/// Returns the path that answers the rows of a dataset under a licence: its files, or its rows page by page.
fn access_path(id: &DatasetId, format: Format, licence: &LicenceId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("licence", licence.as_str());
    let what = if format == Format::Parquet {
        query.append_pair("superseded", "false");
        "files"
    } else {
        query.append_pair("format", format.as_str());
        "rows"
    };
    format!("/api/v1/datasets/{id}/{what}?{}", query.finish())
}

/// A licence has the IRI of the EU's table, or that of its publisher; one that is not known here has its id alone.
fn licence_node(id: &LicenceId) -> Value {
    let mut node = json!({ "@type": "dct:LicenseDocument", "dct:identifier": id.as_str() });
    let known = Licence::find(id.as_str());
    set(&mut node, "@id", known.map(|known| json!(known.iri)));
    node
}

/// Says whom to name; None where nobody asks to be.
fn rights(names: &[&str]) -> Option<Value> {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name);
        }
    }
    (!once.is_empty()).then(|| {
        json!({
            "@type": "dct:RightsStatement",
            "rdfs:label": once.join("; "),
            "odrs:attributionText": once,
        })
    })
}

/// What is observed, as far as it has an IRI.
struct Measured<'a> {
    /// In SQL.
    name: &'a str,
    iri: &'a str,
    /// UCUM.
    unit: Option<&'a str>,
    title: Option<&'a Texts>,
}

fn measured<'a>(
    declaration: &'a DatasetDeclaration,
    declarations: &'a Declarations,
) -> Vec<Measured<'a>> {
    let of_columns = declaration.columns.iter().filter_map(|column| {
        Some(Measured {
            name: &column.name,
            iri: column.iri.as_deref()?,
            unit: column.unit.as_deref(),
            title: column.title.as_ref(),
        })
    });
    let properties = declarations.properties_of(&declaration.id);
    let of_properties = properties.map(|property| Measured {
        name: &property.name,
        iri: &property.iri,
        unit: Some(property.unit.as_str()),
        title: Some(&property.title),
    });
    of_columns.chain(of_properties).collect()
}

impl Measured<'_> {
    fn node(&self) -> Value {
        let mut node = json!({
            "@type": "schema:PropertyValue",
            "schema:alternateName": self.name,
            "schema:propertyID": reference(self.iri),
        });
        set(&mut node, "schema:name", self.title.map(literals));
        set(
            &mut node,
            "schema:unitText",
            self.unit.map(|unit| json!(unit)),
        );
        node
    }
}

/// Returns the names of what is observed, each once.
fn keywords(measured: &[Measured<'_>]) -> Vec<Value> {
    let mut keywords: Vec<Value> = Vec::new();
    for keyword in measured
        .iter()
        .filter_map(|of| of.title)
        .flat_map(in_languages)
    {
        if !keywords.contains(&keyword) {
            keywords.push(keyword);
        }
    }
    keywords
}

/// Returns when the interval of a row ends that has a time: of hours, days, months and years where the next begins.
pub(crate) fn end_of(declaration: &DatasetDeclaration, time: i64) -> i64 {
    let buckets = bucket(declaration).and_then(|bucket| bucket.of_zone(declaration.zone()).ok());
    let next = buckets.and_then(|buckets| buckets.walk().next(time));
    next.unwrap_or(time)
}

fn bucket(declaration: &DatasetDeclaration) -> Option<Bucket> {
    let derived = declaration.derive.as_ref().map(|derive| derive.bucket);
    let gathered = declaration.gather.as_ref().map(|gather| gather.bucket);
    derived.or(gathered)
}

/// Returns from when to when rows are. The time 0 stands for rows about all times, and a place is where it is until somebody says
/// otherwise.
fn temporal(dataset: &DatasetOverview) -> Option<Value> {
    let (first, last) = dataset.time_range?;
    let is_open = dataset.declaration.kind == DatasetKind::Places;
    if first == 0 && is_open {
        return None;
    }
    let mut period = json!({ "@type": "dct:PeriodOfTime" });
    let start = (first != 0).then(|| instant(first));
    set(&mut period, "dcat:startDate", start);
    let end = (!is_open).then(|| instant(end_of(&dataset.declaration, last)));
    set(&mut period, "dcat:endDate", end);
    Some(period)
}

/// Returns how long the interval of each row is, where all are of one length.
fn resolution(declaration: &DatasetDeclaration) -> Option<&'static str> {
    Some(match bucket(declaration)? {
        Bucket::Hour => "PT1H",
        Bucket::Day => "P1D",
        Bucket::Month => "P1M",
        Bucket::Year => "P1Y",
    })
}

/// Returns a box that holds all places.
fn spatial(bounds: &PlaceBounds) -> Option<Value> {
    let ((west, east), (south, north)) = (bounds.lon, bounds.lat);
    let is_box = [west, east, south, north]
        .iter()
        .all(|degrees| degrees.is_finite());
    is_box.then(|| {
        let corners = format!(
            "POLYGON(({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"
        );
        json!({ "@type": "dct:Location", "dcat:bbox": literal(&corners, "geosparql:wktLiteral") })
    })
}

/// Returns the prefixes: a harvester that reads them here fetches no other document.
fn context() -> Value {
    json!({
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "geosparql": "http://www.opengis.net/ont/geosparql#",
        "odrs": "http://schema.theodi.org/odrs#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "schema": "http://schema.org/",
        "vcard": "http://www.w3.org/2006/vcard/ns#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    })
}

fn reference(iri: impl AsRef<str>) -> Value {
    json!({ "@id": iri.as_ref() })
}

/// Returns a reference that says what it leads to, as validators of DCAT-AP ask.
fn typed(iri: impl AsRef<str>, of_type: &str) -> Value {
    json!({ "@id": iri.as_ref(), "@type": of_type })
}

fn literal(value: &str, of_type: &str) -> Value {
    json!({ "@type": of_type, "@value": value })
}

fn instant(micros: i64) -> Value {
    literal(&format_rfc3339(micros), "xsd:dateTime")
}

/// Returns a text in the languages that it is there in.
fn in_languages(texts: &Texts) -> Vec<Value> {
    let all = [("nl", &texts.nl), ("en", &texts.en), ("fr", &texts.fr)];
    let given = all.into_iter().filter(|(_, text)| !text.is_empty());
    given
        .map(|(language, text)| json!({ "@language": language, "@value": text }))
        .collect()
}

fn literals(texts: &Texts) -> Value {
    Value::Array(in_languages(texts))
}

/// Returns a list, or None for one of nothing.
fn some(values: Vec<Value>) -> Option<Value> {
    (!values.is_empty()).then_some(Value::Array(values))
}

fn set(node: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        node[name] = value;
    }
}
