use axum::http::StatusCode;

use super::*;
use crate::fixture::{self, Answer, request};

const QUERY: &str = "SELECT+property,+value+FROM+heat+ORDER+BY+property";

async fn ask(path: &str) -> Answer {
    fixture::get(fixture::router(), path).await
}

async fn post(content_type: &str, body: impl Into<Body>) -> Answer {
    let headers = [("content-type", content_type)];
    let request = request("POST", "/api/v1/sql", &headers, body.into());
    fixture::send(fixture::router(), request).await
}

#[tokio::test]
async fn who_asks_for_what_no_row_can_be_is_told() {
    let hint =
        "`heat` knows no property `air_temprature`; did you mean `air_temperature`? There are ";
    let router = fixture::router();
    let ask = async |query: &str| {
        let path = format!("/api/v1/sql?q=SELECT+count(*)+FROM+heat+WHERE+property={query}");
        fixture::get(router.clone(), &path).await
    };
    // The second time it is kept.
    for _ in 0..2 {
        let answer = ask("'air_temprature'").await;
        assert!(
            answer.header("meetnet-hint").starts_with(hint),
            "{answer:?}"
        );
        let told = &answer.json()["hints"];
        let first = told[0].as_str().expect("a hint");
        assert!(first.starts_with(hint), "{told}");
        assert_eq!(answer.json()["rows"], serde_json::json!([[0]]));
    }
    let answer = ask("'air_temprature'&format=csv").await;
    assert!(
        answer.header("meetnet-hint").starts_with(hint),
        "{answer:?}"
    );
    let answer = ask("'air_temperature'").await;
    assert_eq!(answer.header("meetnet-hint"), "");
    assert!(answer.json().get("hints").is_none());
}

#[tokio::test]
async fn json_is_the_answer_where_nothing_else_is_asked_for() {
    let answer = ask(&format!("/api/v1/sql?q={QUERY}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let json = answer.json();
    assert_eq!(json["columns"][0]["name"], "property");
    assert_eq!(json["rows"][0][0], "air_temperature");
    assert_eq!(json["rows"][0][1], -3.25);
    assert_eq!(json["through"], 42);
    assert_eq!(json["stable_time"], "2026-11-22T02:46:20Z");
}

/// In an object one of two would be lost. What is kept for those who ask next says the same.
#[tokio::test]
async fn columns_of_one_name_are_told_apart() {
    let router = fixture::router();
    let cold = "WHERE+value+%3C+0";
    for sql in [
        format!("SELECT+*,+value+FROM+(SELECT+value+FROM+heat+{cold})+AS+x"),
        format!(
            "SELECT+*+FROM+(SELECT+value+FROM+heat+{cold})+AS+x+CROSS+JOIN+(SELECT+value+FROM+heat+{cold})+AS+y"
        ),
    ] {
        for (format, expected) in [
            ("ndjson", "{\"value\":-3.25,\"value_1\":-3.25}\n"),
            ("csv", "value,value_1\r\n-3.25,-3.25\r\n"),
        ] {
            let path = format!("/api/v1/sql?format={format}&q={sql}");
            for _ in 0..2 {
                let answer = fixture::get(router.clone(), &path).await;
                assert_eq!(answer.body, expected, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn every_format_states_how_fresh_it_is() {
    for format in ["json", "ndjson", "csv", "table"] {
        let answer = ask(&format!("/api/v1/sql?format={format}&q={QUERY}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{format}");
        assert_eq!(answer.header("meetnet-through"), "42", "{format}");
        assert_eq!(
            answer.header("meetnet-stable-time"),
            "2026-11-22T02:46:20Z",
            "{format}"
        );
        assert_eq!(
            answer.header("cache-control"),
            "public, no-cache",
            "{format}"
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "*",
            "{format}"
        );
        assert!(
            answer.body.contains("air_temperature"),
            "{format}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn every_format_states_licence_and_attribution() {
    for format in ["json", "ndjson", "csv", "arrow", "parquet", "table"] {
        let request = request(
            "HEAD",
            &format!("/api/v1/sql?format={format}&q={QUERY}"),
            &[],
            Body::empty(),
        );
        let answer = fixture::send(fixture::router(), request).await;
        assert_eq!(answer.header("meetnet-licence"), "CC-BY-4.0", "{format}");
        let named = answer.header("meetnet-attribution");
        assert_eq!(named, "100 %25 caf%C3%A9", "{format}");
    }
    let answer = ask("/api/v1/sql?q=SELECT+1").await;
    assert_eq!(answer.header("meetnet-licence"), "");
    assert_eq!(answer.header("meetnet-attribution"), "");
}

#[tokio::test]
async fn an_answer_keeps_to_the_licences_asked_for() {
    let query = "SELECT+count(*)+AS+n+FROM+heat";
    let by_id = "licence=CC-BY-4.0";
    let by_iri = "licence=http://publications.europa.eu/resource/authority/licence/CC_BY_4_0";
    for (licences, rows, stated) in [
        (by_id, 2, "CC-BY-4.0"),
        (by_iri, 2, "CC-BY-4.0"),
        ("licence=CC0-1.0", 0, ""),
        ("licence=CC0-1.0,CC-BY-4.0", 2, "CC-BY-4.0"),
        ("licence=CC0-1.0&licence=CC-BY-4.0", 2, "CC-BY-4.0"),
    ] {
        let answer = ask(&format!("/api/v1/sql?{licences}&q={query}")).await;
        assert_eq!(answer.json()["rows"][0][0], rows, "{licences}");
        assert_eq!(answer.header("meetnet-licence"), stated, "{licences}");
    }
    for body in [
        r#"{"q": "SELECT count(*) FROM heat", "licence": ["CC0-1.0"]}"#,
        r#"{"q": "SELECT count(*) FROM heat_history", "licence": ["CC0-1.0"]}"#,
    ] {
        let answer = post("application/json", body).await;
        assert_eq!(answer.json()["rows"][0][0], 0, "{body}");
    }
    for wrong in ["licence=", "licence=CC+BY", "licence=CC0-1.0,"] {
        let answer = ask(&format!("/api/v1/sql?{wrong}&q={query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let answer = ask(&format!("/api/v1/sql?licence=CC-BY-3.0&q={query}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    let said = "`CC-BY-3.0` is no known licence; known are CC-BY-4.0, ";
    assert!(answer.body.contains(said), "{answer:?}");
}

#[tokio::test]
async fn an_answer_as_of_a_time_never_changes() {
    let as_of = "as_of=2026-11-22T02:46:00Z";
    let answer = ask(&format!("/api/v1/sql?{as_of}&q={QUERY}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("meetnet-as-of"), "2026-11-22T02:46:00Z");
    assert_eq!(answer.header("meetnet-stable-time"), "2026-11-22T02:46:20Z");
    let settled = "public, max-age=3600, immutable";
    assert_eq!(answer.header("cache-control"), settled);
    assert_eq!(answer.json()["as_of"], "2026-11-22T02:46:00Z");
    assert_eq!(answer.json()["rows"].as_array().map(Vec::len), Some(2));
    let answer = ask(&format!("/api/v1/sql?as_of=2026-11-22T02:45:00Z&q={QUERY}")).await;
    assert_eq!(answer.json()["rows"], serde_json::json!([]));
    let form = format!("q=SELECT count(*) AS n FROM heat&format=csv&{as_of}");
    let form = post("application/x-www-form-urlencoded", form).await;
    assert_eq!(form.body, "n\r\n2\r\n", "{form:?}");
    let json = post(
        "application/json",
        r#"{"q": "SELECT now() FROM heat", "as_of": "2026-11-22T02:46:00Z"}"#,
    );
    assert_eq!(
        json.await.header("cache-control"),
        "no-store",
        "now() changes"
    );
    let own = "SELECT+value+FROM+heat_as_of('2026-11-22T02:46:00Z')";
    let answer = ask(&format!("/api/v1/sql?q={own}")).await;
    assert_eq!(answer.header("cache-control"), settled);
    assert_eq!(answer.header("meetnet-as-of"), "");
}

#[tokio::test]
async fn placeholders_take_their_values_from_address_and_body() {
    const SQL: &str = "SELECT property FROM heat WHERE value > $1 AND time < $to ORDER BY value";
    async fn check(answer: Answer, rows: &[&str]) {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let expect: Vec<_> = rows.iter().map(|row| serde_json::json!([row])).collect();
        assert_eq!(answer.json()["rows"], serde_json::json!(expect));
    }
    let encoded = SQL
        .replace(' ', "+")
        .replace('<', "%3C")
        .replace('>', "%3E");
    let address = format!("/api/v1/sql?q={encoded}");
    let to = "param_to=2026-11-22T02:46:00Z";
    check(
        ask(&format!("{address}&param_1=0&{to}")).await,
        &["relative_humidity"],
    )
    .await;
    let both = ["air_temperature", "relative_humidity"];
    check(ask(&format!("{address}&param_1=-3.5&{to}")).await, &both).await;
    check(
        post(
            "application/x-www-form-urlencoded",
            format!("q={SQL}&param_1=-3.5&{to}"),
        )
        .await,
        &both,
    )
    .await;
    let named = r#"{"1": 0.5, "to": "2026-11-22T02:46:00Z"}"#;
    let body = format!("{{\"q\": \"{SQL}\", \"parameters\": {named}}}");
    check(post("application/json", body).await, &["relative_humidity"]).await;
    let listed = r#"{"q": "SELECT $2 WHERE $1 = 7", "parameters": [7, "x' OR ''='"]}"#;
    check(post("application/json", listed).await, &["x' OR ''='"]).await;
    // A list of JSON is what `{a,b}` is in an address.
    for (statement, list, expect) in [
        (
            "SELECT CAST(count(*) AS text) FROM (VALUES ('a'), ('b\"c'), ('d')) AS t(x) WHERE x = ANY($x)",
            r#"["b\"c", "d", null, "e,f"]"#,
            "2",
        ),
        (
            "SELECT CAST(count(*) AS text) FROM (VALUES (1), (2), (3)) AS t(x) WHERE x = ANY($x)",
            "[1, 3]",
            "2",
        ),
        ("SELECT CAST(cardinality($x::bigint[]) AS text)", "[]", "0"),
    ] {
        let statement = statement.replace('"', "\\\"");
        let body = format!("{{\"q\": \"{statement}\", \"parameters\": {{\"x\": {list}}}}}");
        check(post("application/json", body).await, &[expect]).await;
    }
    for (answer, detail) in [
        (ask(&format!("{address}&param_1=0")).await, "param_to=…"),
        (
            ask(&format!("{address}&param_1=warm&{to}")).await,
            "is no float64: `warm`",
        ),
        (
            ask(&format!("{address}&param_1=0&param_1=1&{to}")).await,
            "param_1 is given twice",
        ),
        (
            post("application/json", r#"{"q": "SELECT $1", "parameters": 1}"#).await,
            "an array for $1",
        ),
        (
            post(
                "application/json",
                r#"{"q": "SELECT $a", "parameters": {"a": 1, "b": 2, "a": 3}}"#,
            )
            .await,
            "the parameter a is given twice",
        ),
        (
            post(
                "application/json",
                r#"{"q": "SELECT $1", "parameters": [{"a": 1}]}"#,
            )
            .await,
            "the value of 1 is no text",
        ),
        (
            post(
                "application/json",
                r#"{"q": "SELECT $1", "parameters": [[[1]]]}"#,
            )
            .await,
            "an element of the value of 1 is none",
        ),
        (
            post("application/json", r#"{"q": "SELECT 1", "q": "SELECT 2"}"#).await,
            "duplicate field `q`",
        ),
        (
            post(
                "application/json",
                r#"{"q": "SELECT $1", "parameters": [1], "parameters": [2]}"#,
            )
            .await,
            "duplicate field `parameters`",
        ),
    ] {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        assert!(answer.body.contains(detail), "{}", answer.body);
    }
}

#[tokio::test]
async fn csv_has_its_charset_and_a_file_name_on_request() {
    let answer = ask(&format!("/api/v1/sql?format=csv&download=1&q={QUERY}")).await;
    assert_eq!(
        answer.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"meetnet-20261122T024620Z.csv\""
    );
    assert!(answer.body.starts_with("property,value"), "{}", answer.body);
    let answer = ask(&format!("/api/v1/sql?format=csv&q={QUERY}")).await;
    assert_eq!(answer.header("content-disposition"), "");
}

#[tokio::test]
async fn accept_decides_and_the_parameter_wins() {
    let path = format!("/api/v1/sql?q={QUERY}");
    let accept = [("accept", "text/csv;q=0.9, application/json;q=0.1")];
    let answer = fixture::get_with(fixture::router(), &path, &accept).await;
    assert!(answer.header("content-type").starts_with("text/csv"));
    let path = format!("{path}&format=ndjson");
    let answer = fixture::get_with(fixture::router(), &path, &accept).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
}

#[tokio::test]
async fn whether_to_save_is_said_once_and_clearly() {
    for (given, status, disposition) in [
        ("download=0", 200, ""),
        ("download=false", 200, ""),
        ("download=true", 200, "attachment"),
        ("download=yes", 400, ""),
        ("download=", 400, ""),
        ("download=1&download=0", 400, ""),
    ] {
        let answer = ask(&format!("/api/v1/sql?{given}&q={QUERY}")).await;
        assert_eq!(answer.status.as_u16(), status, "{given}");
        let stated = answer.header("content-disposition");
        let stated = stated.split(';').next().unwrap_or_default();
        assert_eq!(stated, disposition, "{given}");
    }
}

#[tokio::test]
async fn a_format_that_does_not_exist_lists_those_that_do() {
    let answer = ask(&format!("/api/v1/sql?format=xlsx&q={QUERY}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["formats"][2], "csv");
    let path = format!("/api/v1/sql?q={QUERY}");
    let answer = fixture::get_with(fixture::router(), &path, &[("accept", "image/png")]).await;
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(answer.json()["formats"][0], "json");
}

#[tokio::test]
async fn a_post_takes_a_form_json_or_the_bare_query() {
    let sql = "SELECT count(*) AS n FROM heat";
    let form = post(
        "application/x-www-form-urlencoded",
        format!("q={sql}&format=csv"),
    )
    .await;
    assert_eq!(form.body, "n\r\n2\r\n", "{form:?}");
    let json = post(
        "application/json",
        format!(r#"{{"q": "{sql}", "format": "csv"}}"#),
    )
    .await;
    assert_eq!(json.body, "n\r\n2\r\n", "{json:?}");
    for content_type in ["text/plain; charset=utf-8", "application/sql"] {
        let answer = post(content_type, sql).await;
        assert_eq!(answer.json()["rows"][0][0], 2, "{answer:?}");
    }
}

#[tokio::test]
async fn a_post_is_answered_in_full() {
    let headers = [("content-type", "application/sql"), ("if-none-match", "*")];
    let path = format!("/api/v1/sql?q={QUERY}");
    let known = fixture::get_with(fixture::router(), &path, &headers).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    let sql = QUERY.replace('+', " ");
    let asked = request("POST", "/api/v1/sql", &headers, Body::from(sql));
    let answer = fixture::send(fixture::router(), asked).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(!answer.header("etag").is_empty(), "{answer:?}");
}

#[tokio::test]
async fn what_the_body_overrules_must_be_right_too() {
    let body = r#"{"q": "SELECT count(*) AS n FROM heat", "format": "json", "licence": ["CC-BY-4.0"],
        "as_of": "2026-11-22T02:46:20Z"}"#;
    for (in_address, status) in [
        ("format=csv&licence=CC0-1.0&as_of=2026-11-22T02:46:19Z", 200),
        ("format=xlsx", 400),
        ("as_of=2026", 400),
        ("licence=none+of+ours", 400),
    ] {
        let path = format!("/api/v1/sql?{in_address}");
        let headers = [("content-type", "application/json")];
        let asked = request("POST", &path, &headers, Body::from(body));
        let answer = fixture::send(fixture::router(), asked).await;
        assert_eq!(answer.status.as_u16(), status, "{in_address}: {answer:?}");
    }
}

#[tokio::test]
async fn wrong_requests_say_what_is_wrong() {
    async fn check(answer: Answer, status: u16, detail: &str) {
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let json = answer.json();
        assert_eq!(json["status"], status);
        let text = json["detail"].as_str().expect("a detail");
        assert!(text.contains(detail), "{text:?} should say {detail:?}");
    }
    check(ask("/api/v1/sql").await, 400, "the query is missing").await;
    check(ask("/api/v1/sql?q=+").await, 400, "the query is missing").await;
    check(
        ask("/api/v1/sql?q=SELECT+1&q=SELECT+2").await,
        400,
        "given twice",
    )
    .await;
    check(
        ask(&format!("/api/v1/sql?license=CC0-1.0&q={QUERY}")).await,
        400,
        "no parameter `license`; there are q, format, as_of, licence",
    )
    .await;
    check(ask("/api/v1/sql?q=SELEC+1").await, 400, "").await;
    check(
        ask("/api/v1/sql?q=SELECT+nope+FROM+heat").await,
        400,
        "nope",
    )
    .await;
    check(ask("/api/v1/sql?q=SELECT+1+FROM+nope").await, 404, "nope").await;
    check(
        ask("/api/v1/sql?q=SELECT+1+FROM+rejects").await,
        404,
        "rejects",
    )
    .await;
    check(ask("/api/v1/sql?q=DROP+TABLE+heat").await, 403, "").await;
    check(
        ask(&format!("/api/v1/sql?as_of=2026&q={QUERY}")).await,
        400,
        "as_of takes an RFC 3339 time",
    )
    .await;
    check(
        ask(&format!("/api/v1/sql?as_of=2026-11-23T00:00:00Z&q={QUERY}")).await,
        422,
        "stable time 2026-11-22T02:46:20Z",
    )
    .await;
    check(
        post("application/json", "{\"query\": 1}").await,
        400,
        "unknown field",
    )
    .await;
    check(post("application/json", "{").await, 400, "JSON").await;
    check(
        post("application/json", r#"["SELECT 1"]"#).await,
        400,
        "no object",
    )
    .await;
    check(post("text/plain", vec![0xff, 0xfe]).await, 400, "UTF-8").await;
    check(
        post("application/xml", "<q/>").await,
        415,
        "application/sql",
    )
    .await;
    check(
        post("text/plain", vec![b' '; 5000]).await,
        413,
        "4096 bytes",
    )
    .await;
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    for (coding, status) in [("gzip", 415), ("br", 415), ("identity", 200)] {
        let headers = [
            ("content-type", "application/sql"),
            ("content-encoding", coding),
        ];
        let request = request("POST", "/api/v1/sql", &headers, "SELECT 1".into());
        let answer = fixture::send(fixture::router(), request).await;
        assert_eq!(answer.status.as_u16(), status, "{coding}");
        let told = answer.body.contains("without Content-Encoding");
        assert_eq!(told, status == 415, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = post("text/plain", body).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn head_checks_the_query_and_sends_no_body() {
    let path = format!("/api/v1/sql?format=csv&q={QUERY}");
    let head = request("HEAD", &path, &[], Body::empty());
    let answer = fixture::send(fixture::router(), head).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("meetnet-through"), "42");
    assert_eq!(answer.body, "");
    assert_eq!(
        answer.header("content-length"),
        "",
        "the length is not known"
    );
    let head = request("HEAD", "/api/v1/sql?q=SELEC+1", &[], Body::empty());
    assert_eq!(
        fixture::send(fixture::router(), head).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_browser_elsewhere_may_ask() {
    let headers = [
        ("origin", "https://example.org"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let preflight = request("OPTIONS", "/api/v1/sql", &headers, Body::empty());
    let answer = fixture::send(fixture::router(), preflight).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("POST")
    );
    let path = format!("/api/v1/sql?q={QUERY}");
    let answer = fixture::get_with(
        fixture::router(),
        &path,
        &[("origin", "https://example.org")],
    )
    .await;
    assert!(
        answer
            .header("access-control-expose-headers")
            .contains("meetnet-through")
    );
}
