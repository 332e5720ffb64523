use axum::http::HeaderValue;
use serde_json::json;

use super::*;

#[test]
fn who_likes_turtle_better_gets_it() {
    use Syntax::{JsonLd, Turtle};
    let check = |accept: Option<&str>, expected: Syntax| {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            let accept = HeaderValue::from_str(accept).expect("a header");
            headers.insert(ACCEPT, accept);
        }
        assert_eq!(Syntax::by_accept(&headers), expected, "{accept:?}");
    };
    check(None, JsonLd);
    check(Some("*/*"), JsonLd);
    check(Some("application/ld+json"), JsonLd);
    check(Some("application/json"), JsonLd);
    check(Some("text/turtle"), Turtle);
    check(Some("TEXT/TURTLE;charset=utf-8"), Turtle);
    check(Some("application/x-turtle"), Turtle);
    check(Some("text/turtle, application/ld+json"), JsonLd);
    check(Some("text/turtle, application/ld+json;q=0.9"), Turtle);
    check(Some("text/turtle;q=0.5, application/ld+json;q=0.9"), JsonLd);
    check(Some("text/turtle;q=0.5, */*;q=0.1"), Turtle);
    check(Some("text/turtle;q=0, */*"), JsonLd);
    check(Some("application/ld+json;q=0, */*"), Turtle);
    check(Some("application/ld+json;q=0, application/json"), JsonLd);
    // What a browser sends.
    check(
        Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        JsonLd,
    );
    // Neither: it is answered all the same.
    check(Some("application/rdf+xml"), JsonLd);
    check(Some("text/turtle;q=0"), JsonLd);
}

#[test]
fn turtle_says_what_the_document_says() {
    let document = json!({
        "@context": { "dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/" },
        "@id": "https://data.example.org/a b",
        "@type": "dcat:Catalog",
        "dcat:dataset": [{
            "@id": "https://data.example.org/heat",
            "@type": "dcat:Dataset",
            "dct:language": { "@id": "https://example.org/nl", "@type": "dct:LinguisticSystem" },
            "dct:temporal": {
                "@type": "dct:PeriodOfTime",
                "dcat:startDate": { "@type": "xsd:dateTime", "@value": "2026-01-01T00:00:00Z" },
            },
        }],
        "dcat:keyword": [],
        "dct:language": [
            { "@id": "https://example.org/nl", "@type": "dct:LinguisticSystem" },
            { "@id": "https://example.org/en" },
        ],
        "dct:rights": "said \"so\"\n\\ \u{7}",
        "dct:title": [
            { "@language": "nl", "@value": "Hitte" },
            { "@language": "fr", "@value": "Chaleur é" },
        ],
    });
    let expected = r#"@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .

<https://data.example.org/a%20b>
    a dcat:Catalog ;
    dcat:dataset <https://data.example.org/heat> ;
    dct:language <https://example.org/nl>, <https://example.org/en> ;
    dct:rights "said \"so\"\n\\ \u0007" ;
    dct:title "Hitte"@nl, "Chaleur é"@fr .

<https://data.example.org/heat>
    a dcat:Dataset ;
    dct:language <https://example.org/nl> ;
    dct:temporal [ a dct:PeriodOfTime ; dcat:startDate "2026-01-01T00:00:00Z"^^xsd:dateTime ] .

<https://example.org/nl>
    a dct:LinguisticSystem .
"#;
    assert_eq!(Syntax::Turtle.text(&document), expected);
}
