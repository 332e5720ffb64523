use super::*;

#[test]
fn settings_come_by_name_and_in_options() {
    let parameters = BTreeMap::from([
        ("user".to_owned(), "public".to_owned()),
        ("TimeZone".to_owned(), "UTC".to_owned()),
        (
            "options".to_owned(),
            "-c statement_timeout=5s --search-path=public -cjit=off junk".to_owned(),
        ),
    ]);
    let found = settings(&parameters);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("timezone", "UTC"),
            ("statement_timeout", "5s"),
            ("search_path", "public"),
            ("jit", "off"),
        ]
    );
}
