use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use meetnet_model::rows::RowsBuilder;

use super::*;
use crate::fixture;
use crate::overview::OverviewCache;

const BASE: &str = "https://data.example.org";

/// The public router over a lake, under [`BASE`].
fn router_over(lake: LakeSnapshot) -> Router {
    let mut state = fixture::state_over(Arc::new(ArcSwap::from_pointee(lake)));
    state.settings = Arc::new(PublishSettings {
        public_url: Some(BASE.to_owned()),
        publisher: Some("Stad Leuven".to_owned()),
        contact: Some("mailto:data@example.org".to_owned()),
        ..PublishSettings::default()
    });
    crate::public_router(state)
}

fn router() -> Router {
    router_over(fixture::lake(&fixture::declarations()))
}

async fn catalogue() -> Value {
    let answer = fixture::get(router(), PATH).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/ld+json");
    answer.json()
}

fn list<'a>(node: &'a Value, name: &str) -> &'a [Value] {
    node[name].as_array().map_or(&[][..], Vec::as_slice)
}

fn dataset<'a>(catalogue: &'a Value, id: &str) -> &'a Value {
    let mut datasets = list(catalogue, "dcat:dataset").iter();
    let found = datasets.find(|dataset| dataset["dct:identifier"] == id);
    found.unwrap_or_else(|| panic!("no {id}"))
}

/// Calls `visit` with each name of a member and its value.
fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                visit(name, member);
                walk(member, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[tokio::test]
async fn every_iri_is_whole_and_every_name_has_its_prefix() {
    let mut catalogue = catalogue().await;
    let context = catalogue["@context"].take();
    let prefixes = context.as_object().expect("prefixes");
    let mut used = BTreeSet::new();
    walk(&catalogue, &mut |name, value| match name {
        "@id" => {
            let iri = value.as_str().expect("an IRI");
            let is_whole = ["https://", "http://", "mailto:"]
                .iter()
                .any(|scheme| iri.starts_with(scheme));
            assert!(is_whole, "{iri}");
            assert!(
                !iri.contains(|c: char| c.is_whitespace() || "<>\"{}|\\^`".contains(c)),
                "{iri}"
            );
            // What is of this service is so under its public address.
            assert_eq!(
                iri.contains("/api/v1") || iri.contains("/datasets/"),
                iri.starts_with(&format!("{BASE}/api/v1"))
                    || iri.starts_with(&format!("{BASE}/datasets/")),
                "{iri}"
            );
        }
        "@type" => {
            let (prefix, _) = value
                .as_str()
                .and_then(|of| of.split_once(':'))
                .expect("a name");
            used.insert(prefix.to_owned());
        }
        "@context" | "@language" | "@value" => {}
        name => {
            let (prefix, _) = name.split_once(':').unwrap_or_else(|| panic!("{name}"));
            used.insert(prefix.to_owned());
        }
    });
    let known: BTreeSet<String> = prefixes.keys().cloned().collect();
    assert_eq!(used.difference(&known).next(), None);
    for iri in prefixes.values() {
        let iri = iri.as_str().expect("an IRI");
        assert!(
            iri.starts_with("http") && iri.ends_with(['#', '/']),
            "{iri}"
        );
    }
}

#[tokio::test]
async fn each_public_dataset_is_there_once_under_its_own_licences() {
    let catalogue = catalogue().await;
    let listed = fixture::get(router(), "/api/v1/datasets").await.json();
    let licences_of = |dataset: &Value| -> BTreeMap<String, String> {
        let distributions = list(dataset, "dcat:distribution").iter();
        let licences = distributions.map(|of| &of["dct:license"]);
        licences
            .map(|of| {
                let text = |name: &str| of[name].as_str().expect("a text").to_owned();
                (text("dct:identifier"), text("@id"))
            })
            .collect()
    };
    let in_catalogue: Vec<(String, BTreeMap<String, String>)> = list(&catalogue, "dcat:dataset")
        .iter()
        .map(|of| {
            let id = of["dct:identifier"].as_str().expect("an id");
            (id.to_owned(), licences_of(of))
        })
        .collect();
    let expected: Vec<(String, BTreeMap<String, String>)> = list(&listed, "datasets")
        .iter()
        .map(|of| {
            let licences = list(of, "licences").iter();
            let licences = licences.map(|licence| {
                let text = |name: &str| licence[name].as_str().expect("a text").to_owned();
                (text("id"), text("iri"))
            });
            let id = of["id"].as_str().expect("an id");
            (id.to_owned(), licences.collect())
        })
        .collect();
    assert_eq!(in_catalogue, expected);
    assert!(expected.iter().any(|(_, licences)| !licences.is_empty()));
    assert!(!catalogue.to_string().contains("rejects"));
    let service = &catalogue["dcat:service"][0];
    assert_eq!(list(service, "dcat:servesDataset").len(), expected.len());
}

#[test]
fn rows_of_several_licences_are_distributed_under_each_by_itself() {
    let declarations = fixture::declarations();
    let snapshot = fixture::lake(&declarations);
    let settings = PublishSettings::default();
    let check = |licences: &[&str], expect: &[&str]| {
        let mut overview = Overview::of(&snapshot, &[]);
        let traffic = overview
            .datasets
            .iter_mut()
            .find(|dataset| dataset.declaration.id.as_str() == "traffic")
            .expect("a dataset");
        traffic.licences = licences.iter().map(LicenceId::new).collect();
        let catalogue = Catalogue {
            base: BASE,
            overview: &overview,
            snapshot: &snapshot,
            declarations: &declarations,
            settings: &settings,
        };
        let document = catalogue.document();
        let traffic = dataset(&document, "traffic");
        let mut iris = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for distribution in list(traffic, "dcat:distribution") {
            let licence = &distribution["dct:license"];
            let id = licence["dct:identifier"].as_str().expect("an id");
            let access = distribution["dcat:accessURL"]["@id"].as_str();
            let access = access.expect("an address");
            assert!(access.contains(&format!("licence={id}&")), "{access}");
            ids.insert(distribution["@id"].to_string());
            iris.insert(licence["@id"].as_str().unwrap_or("none").to_owned());
        }
        let count = licences.len() * DISTRIBUTED.len();
        assert_eq!(list(traffic, "dcat:distribution").len(), count);
        assert_eq!(ids.len(), count, "each has an IRI of its own");
        let expect: BTreeSet<String> = expect.iter().map(|&iri| iri.to_owned()).collect();
        assert_eq!(iris, expect);
        traffic.to_string()
    };
    const CC_BY_NC: &str = "http://publications.europa.eu/resource/authority/licence/CC_BYNC_4_0";
    const CC_0: &str = "http://publications.europa.eu/resource/authority/licence/CC0";
    let said = check(&["CC-BY-NC-4.0"], &[CC_BY_NC]);
    for freer in ["CC_BY_4_0", "CC-BY-4.0", "CC0"] {
        assert!(!said.contains(freer), "{freer}: {said}");
    }
    check(&["CC-BY-NC-4.0", "CC0-1.0"], &[CC_BY_NC, CC_0]);
    // No IRI is made up.
    check(&["LicenseRef-City-1"], &["none"]);
    check(&[], &[]);
}

#[tokio::test]
async fn what_it_leads_to_answers() {
    let catalogue = catalogue().await;
    let heat = dataset(&catalogue, "heat");
    let mut addresses: Vec<(String, String)> = Vec::new();
    for distribution in list(heat, "dcat:distribution") {
        let of_type = distribution["dcat:mediaType"]["@id"].as_str();
        let of_type = of_type.expect("a type").rsplit("media-types/").next();
        let at = distribution["dcat:accessURL"]["@id"].as_str();
        addresses.push((
            at.expect("an address").to_owned(),
            of_type.expect("a type").to_owned(),
        ));
    }
    let types: Vec<&str> = addresses
        .iter()
        .map(|(_, of_type)| of_type.as_str())
        .collect();
    let expected = [
        "text/csv",
        "application/vnd.apache.parquet",
        "application/geo+json",
        "application/json",
    ];
    assert_eq!(types, expected);
    let page = heat["dcat:landingPage"]["@id"].as_str();
    addresses.push((page.expect("a page").to_owned(), "text/html".to_owned()));
    let description = &catalogue["dcat:service"][0]["dcat:endpointDescription"]["@id"];
    addresses.push((
        description.as_str().expect("an address").to_owned(),
        "application/vnd.oai.openapi+json".to_owned(),
    ));
    for (address, of_type) in addresses {
        let path = address.strip_prefix(BASE).expect("an address of ours");
        let answer = fixture::get(router(), path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        // Of files there is a list.
        let of_type = match of_type.as_str() {
            "application/vnd.apache.parquet" => "application/json",
            other => other,
        };
        let answered = answer.header("content-type");
        assert!(answered.starts_with(of_type), "{path}: {answered}");
    }
    // Where the API begins there is nothing but the way to what describes it.
    let service = &catalogue["dcat:service"][0]["dcat:endpointURL"]["@id"];
    let service = service.as_str().expect("an address");
    let path = service.strip_prefix(BASE).expect("an address of ours");
    for path in [path.to_owned(), format!("{path}/")] {
        let answer = fixture::get(router(), &path).await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{path}");
        assert_eq!(answer.header("location"), "/api/v1/openapi.json", "{path}");
    }
}

#[tokio::test]
async fn a_dataset_says_what_its_declaration_and_its_rows_say() {
    let catalogue = catalogue().await;
    let declarations = fixture::declarations();
    let heat = dataset(&catalogue, "heat");
    let declared = declarations.dataset("heat").expect("a built-in dataset");
    for (name, texts) in [
        ("dct:title", &declared.title),
        ("dct:description", &declared.description),
    ] {
        let said: BTreeMap<&str, &str> = list(heat, name)
            .iter()
            .map(|of| {
                let text = |name: &str| of[name].as_str().expect("a text");
                (text("@language"), text("@value"))
            })
            .collect();
        let expected = ["nl", "en", "fr"].map(|language| (language, texts.get(language)));
        assert_eq!(said, BTreeMap::from(expected), "{name}");
    }
    assert_eq!(heat["dct:modified"]["@value"], "2026-11-22T02:45:50Z");
    let time = "2026-11-22T02:45:20Z";
    assert_eq!(heat["dct:temporal"]["dcat:startDate"]["@value"], time);
    assert_eq!(heat["dct:temporal"]["dcat:endDate"]["@value"], time);
    let rights = &heat["dcat:distribution"][0]["dct:rights"];
    assert_eq!(rights["odrs:attributionText"], json!(["100 % café"]));
    let temperature = declarations.property("heat", "air_temperature");
    let iri = &temperature.expect("a property").iri;
    let mut observed = list(heat, "schema:variableMeasured").iter();
    assert!(
        observed
            .any(|of| of["schema:propertyID"]["@id"] == **iri && of["schema:unitText"] == "Cel")
    );
    assert_eq!(heat["dcat:contactPoint"]["vcard:fn"], "Stad Leuven");
    assert_eq!(catalogue["dct:publisher"]["foaf:name"], "Stad Leuven");
    // Nobody says how often, and nothing of empty tables.
    for missing in [
        "dct:accrualPeriodicity",
        "dct:issued",
        "dcat:temporalResolution",
        "dct:spatial",
    ] {
        assert!(heat.get(missing).is_none(), "{missing}");
    }
    let hourly = dataset(&catalogue, "heat_hourly");
    assert_eq!(hourly["dcat:temporalResolution"]["@value"], "PT1H");
    let from = format!("{BASE}/api/v1/datasets/heat");
    assert_eq!(hourly["dct:source"], json!([{ "@id": from }]));
    for missing in ["dct:modified", "dct:temporal", "dcat:distribution"] {
        assert!(hourly.get(missing).is_none(), "{missing}");
    }
}

/// A lake with two stations.
fn lake_with_places() -> LakeSnapshot {
    let declarations = fixture::declarations();
    let mut lake = fixture::lake(&declarations);
    let stations = declarations
        .dataset("stations")
        .expect("a built-in dataset");
    let mut builder = RowsBuilder::new(Arc::clone(stations));
    let column = |name| stations.column_index(name).expect("a column of places");
    for (id, lon, lat) in [("a", 4.5, 50.75), ("b", 4.75, 51.0)] {
        builder.set_text(column("id"), id);
        builder.set_int(column("valid_from"), fixture::NOW);
        builder.set_float(column("lon"), lon);
        builder.set_float(column("lat"), lat);
        builder.finish_row(0).expect("a whole row");
    }
    let rows = (builder.take(), vec![fixture::NOW; 2]);
    let table = fixture::table(stations, Some(rows), 1);
    lake.tables.insert(stations.id.clone(), Arc::new(table));
    lake
}

#[tokio::test]
async fn a_dataset_is_where_its_places_are() {
    let catalogue = fixture::get(router_over(lake_with_places()), PATH)
        .await
        .json();
    let expected = "POLYGON((4.5 50.75, 4.75 50.75, 4.75 51, 4.5 51, 4.5 50.75))";
    for id in ["stations", "heat"] {
        let place = &dataset(&catalogue, id)["dct:spatial"]["dcat:bbox"];
        assert_eq!(place["@value"], expected, "{id}");
        assert_eq!(place["@type"], "geosparql:wktLiteral");
    }
    // What is observed there is not, where there is nothing yet.
    for id in ["traffic", "noise", "heat_hourly", "air"] {
        assert!(dataset(&catalogue, id).get("dct:spatial").is_none(), "{id}");
    }
    // A place stays where it is.
    let period = &dataset(&catalogue, "stations")["dct:temporal"];
    assert!(period.get("dcat:startDate").is_some() && period.get("dcat:endDate").is_none());
}

#[tokio::test]
async fn its_tag_names_its_bytes() {
    async fn tag(router: Router, headers: &[(&str, &str)]) -> String {
        let request = fixture::request("HEAD", PATH, headers, Body::empty());
        let answer = fixture::send(router, request).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.header("etag").to_owned()
    }
    let plain = tag(router(), &[]).await;
    assert_eq!(plain, tag(router(), &[]).await);
    assert!(plain.len() > 60 && plain.starts_with('"'), "{plain}");
    assert_ne!(plain, tag(router(), &[("accept-encoding", "zstd")]).await);
    let empty = router_over(LakeSnapshot::default());
    assert_ne!(plain, tag(empty.clone(), &[]).await);
    let known = [("if-none-match", plain.as_str())];
    let answer = fixture::get_with(router(), PATH, &known).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert_eq!((answer.header("etag"), answer.body.as_str()), (&*plain, ""));
    let answer = fixture::get_with(empty, PATH, &known).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["dcat:dataset"], json!([]));
    let answer = fixture::get(router(), &format!("{PATH}?lang=nl")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn it_is_turtle_for_who_likes_that_better() {
    let router = router();
    let mut tags = BTreeSet::new();
    for (accept, content_type, begins) in [
        ("*/*", "application/ld+json", "{"),
        ("application/rdf+xml", "application/ld+json", "{"),
        (
            "text/turtle",
            "text/turtle; charset=utf-8",
            "@prefix dcat: <",
        ),
        (
            "application/ld+json;q=0.5, text/turtle;q=0.8",
            "text/turtle; charset=utf-8",
            "@prefix dcat: <",
        ),
    ] {
        let headers = [("accept", accept)];
        let answer = fixture::get_with(router.clone(), PATH, &headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
        assert_eq!(answer.header("vary"), "accept, accept-encoding", "{accept}");
        assert!(
            answer.body.starts_with(begins),
            "{accept}: {:.100}",
            answer.body
        );
        tags.insert(answer.header("etag").to_owned());
        // What the one is called is no word for the other.
        let known = [("accept", accept), ("if-none-match", answer.header("etag"))];
        let again = fixture::get_with(router.clone(), PATH, &known).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{accept}");
        assert_eq!(again.header("vary"), "accept, accept-encoding", "{accept}");
    }
    assert_eq!(tags.len(), 2, "{tags:?}");
}

/// Every node of the JSON-LD, and every name in it, stands in the Turtle, too.
#[tokio::test]
async fn turtle_has_every_node() {
    let headers = [("accept", "text/turtle")];
    let answer = fixture::get_with(router(), PATH, &headers).await;
    let mut catalogue = catalogue().await;
    let context = catalogue["@context"].take();
    for (prefix, of) in context.as_object().expect("prefixes") {
        let line = format!("@prefix {prefix}: <{}> .", of.as_str().expect("an IRI"));
        assert!(answer.body.contains(&line), "{line}");
    }
    walk(&catalogue, &mut |name, value| {
        let part = match (name, value) {
            ("@id", Value::String(iri)) => format!("<{iri}>"),
            ("@type", Value::String(of_type)) => of_type.clone(),
            ("@language", Value::String(language)) => format!("\"@{language}"),
            ("@context" | "@value", _) => return,
            (name, _) => format!("{name} "),
        };
        assert!(answer.body.contains(&part), "{part}");
    });
}

/// Who asks again is answered what was written, until there is another overview.
#[tokio::test]
async fn it_is_written_once_for_an_overview() {
    let snapshot = Arc::new(ArcSwap::from_pointee(lake_with_places()));
    let mut state = fixture::state_over(Arc::clone(&snapshot));
    state.overviews = Arc::new(OverviewCache::new(Duration::from_secs(3600)));
    let router = crate::public_router(state);
    let first = fixture::get(router.clone(), PATH).await;
    assert!(first.body.contains("dct:spatial"), "{}", first.body);
    // Written anew it would say nothing of places.
    snapshot.store(Arc::default());
    let again = fixture::get(router.clone(), PATH).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("etag"), first.header("etag"));
    let known = [("if-none-match", first.header("etag"))];
    let answer = fixture::get_with(router.clone(), PATH, &known).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    // Every address under which it is asked is in it.
    let elsewhere = [("host", "data.example.org")];
    let elsewhere = fixture::get_with(router, PATH, &elsewhere).await;
    assert!(elsewhere.body.contains("http://data.example.org/api/v1"));
    assert_ne!(elsewhere.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn pages_lead_to_it() {
    for path in ["/", "/datasets/heat"] {
        let answer = fixture::get(router(), path).await;
        let link = format!("<{PATH}>; rel=\"describedby\"; type=\"application/ld+json\"");
        assert_eq!(answer.header("link"), link, "{path}");
        let element =
            format!("<link rel=\"alternate\" type=\"application/ld+json\" href=\"{PATH}\">");
        assert!(answer.body.contains(&element), "{path}");
    }
}

#[test]
fn a_period_ends_with_the_last_interval() {
    let declarations = fixture::declarations();
    let check = |id: &str, time: i64, end: &str| {
        let declaration = declarations.dataset(id).expect("a built-in dataset");
        assert_eq!(instant(end_of(declaration, time)), instant_of(end), "{id}");
    };
    let time = |text: &str| meetnet_model::time::parse_rfc3339(text).expect("a time");
    check("heat", time("2026-10-24T22:00:00Z"), "2026-10-24T22:00:00Z");
    check(
        "heat_hourly",
        time("2026-10-24T22:00:00Z"),
        "2026-10-24T23:00:00Z",
    );
    // The day on which the clocks are set back.
    check(
        "heat_daily",
        time("2026-10-24T22:00:00Z"),
        "2026-10-25T23:00:00Z",
    );
    check(
        "air_yearly",
        time("2025-12-31T23:00:00Z"),
        "2026-12-31T23:00:00Z",
    );
}

fn instant_of(text: &str) -> Value {
    instant(meetnet_model::time::parse_rfc3339(text).expect("a time"))
}
