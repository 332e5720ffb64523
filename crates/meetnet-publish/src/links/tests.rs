use axum::http::HeaderValue;

use super::*;

#[test]
fn sql_is_encoded_into_the_path() {
    assert_eq!(
        sql_path("SELECT avg(a) FROM t WHERE b = 'é+'", "csv"),
        "/api/v1/sql?format=csv&q=SELECT+avg%28a%29+FROM+t+WHERE+b+%3D+%27%C3%A9%2B%27"
    );
}

#[test]
fn a_command_line_survives_the_shell() {
    assert_eq!(
        curl_line("http://h:1", "SELECT \"a\", '$b'\nFROM t"),
        r#"curl -G "http://h:1/api/v1/sql" -d format=csv --data-urlencode "q=SELECT \"a\", '\$b' FROM t""#
    );
}

#[test]
fn the_base_is_the_declared_one_else_a_plain_host() {
    fn check(public_url: Option<&str>, host: Option<&str>, expect: &str) {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(HOST, HeaderValue::from_str(host).expect("a test header"));
        }
        assert_eq!(base_url(public_url, &headers), expect);
    }
    check(
        Some("https://data.example.org/"),
        Some("other"),
        "https://data.example.org",
    );
    check(None, Some("127.0.0.1:8080"), "http://127.0.0.1:8080");
    check(None, Some("[::1]:8080"), "http://[::1]:8080");
    check(None, Some("a\"; rm -rf"), "http://localhost");
    let (long, too_long) = ("a".repeat(HOST_BYTES_MAX), "a".repeat(HOST_BYTES_MAX + 1));
    check(None, Some(long.as_str()), &format!("http://{long}"));
    check(None, Some(too_long.as_str()), "http://localhost");
    check(None, None, "http://localhost");
}
