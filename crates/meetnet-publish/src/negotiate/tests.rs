use axum::http::HeaderValue;

use super::*;

fn headers(name: HeaderName, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).expect("a test header"));
    headers
}

#[test]
fn accept_picks_the_format_with_the_highest_weight() {
    fn check(accept: &str, expect: Option<Format>) {
        assert_eq!(
            format_by_accept(&headers(ACCEPT, accept)),
            expect,
            "Accept: {accept}"
        );
    }
    check("*/*", Some(Format::Json));
    check("application/json", Some(Format::Json));
    check("text/csv", Some(Format::Csv));
    check("text/csv;q=0.5, application/json;q=0.4", Some(Format::Csv));
    check(
        "text/csv ; q=0.5, application/x-ndjson",
        Some(Format::Ndjson),
    );
    check("application/ndjson", Some(Format::Ndjson));
    check("APPLICATION/JSON", Some(Format::Json));
    check("text/*", Some(Format::Csv));
    check("text/plain", Some(Format::Table));
    check(
        "application/vnd.apache.parquet, */*;q=0.1",
        Some(Format::Parquet),
    );
    check("application/vnd.apache.arrow.stream", Some(Format::Arrow));
    // A browser's own header.
    check(
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        Some(Format::Json),
    );
    // A page is not to be had; what it would show is.
    check("text/html", Some(Format::Table));
    check("text/html, image/png", Some(Format::Table));
    check(
        "text/html, application/geo+json;q=0.1",
        Some(Format::Geojson),
    );
    check("text/html;q=0", None);
    // The more specific entry counts, also where it says no.
    check("application/json;q=0, */*", Some(Format::Ndjson));
    check("application/json;q=0", None);
    check("image/png", None);
    // An entry that cannot be read is no wish.
    check(
        "text/csv;q=best, application/json;q=0.1",
        Some(Format::Json),
    );
}

#[test]
fn without_accept_the_answer_is_json() {
    assert_eq!(format_by_accept(&HeaderMap::new()), Some(Format::Json));
}

#[test]
fn accept_language_picks_ours_and_falls_back_to_dutch() {
    fn check(accept: &str, expect: Language) {
        let language = Language::by_accept(&headers(ACCEPT_LANGUAGE, accept));
        assert_eq!(language, expect, "Accept-Language: {accept}");
    }
    check("fr", Language::Fr);
    check("fr-BE,fr;q=0.9,en;q=0.8", Language::Fr);
    check("en-GB,en;q=0.9,nl;q=0.8", Language::En);
    check("de-DE,de;q=0.9", Language::Nl);
    check("de, fr;q=0.3, en;q=0.2", Language::Fr);
    check("*", Language::Nl);
    check("", Language::Nl);
}

#[test]
fn every_format_can_be_asked_for_by_its_own_media_type() {
    for format in Format::ALL {
        let media_type = format.media_type();
        assert_eq!(
            format_by_accept(&headers(ACCEPT, media_type)),
            Some(format),
            "{media_type}"
        );
        assert!(!extension(format).is_empty());
    }
}
