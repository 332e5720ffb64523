use super::*;

#[test]
fn a_request_names_one_host() {
    let check = |version: Version, hosts: &[&str], is_wrong: bool| {
        let mut headers = HeaderMap::new();
        for host in hosts {
            let value = HeaderValue::from_bytes(host.as_bytes()).expect("a value");
            headers.append(HOST, value);
        }
        let wrong = wrong_host(version, &headers);
        assert_eq!(
            wrong.is_some(),
            is_wrong,
            "{version:?} {hosts:?}: {wrong:?}"
        );
    };
    check(Version::HTTP_11, &["data.example.org"], false);
    check(Version::HTTP_11, &["[2001:db8::1]:8080"], false);
    check(Version::HTTP_11, &["xn--caf-dma.example:80"], false);
    // Of an address without an authority.
    check(Version::HTTP_11, &[""], false);
    check(Version::HTTP_11, &[], true);
    check(Version::HTTP_11, &["a.example", "b.example"], true);
    check(Version::HTTP_11, &["a.example", "a.example"], true);
    check(Version::HTTP_11, &["a.example/path"], true);
    check(Version::HTTP_11, &["a example"], true);
    check(Version::HTTP_11, &["caf\u{e9}.example"], true);
    check(Version::HTTP_10, &[], false);
    check(Version::HTTP_10, &["a.example", "b.example"], true);
}
