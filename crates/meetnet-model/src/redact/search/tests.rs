use super::*;

fn check<'a>(texts: impl IntoIterator<Item = &'a str>, expect: &[(PersonalKind, u64, &str)]) {
    check_field("value", texts, expect);
}

fn check_field<'a>(
    name: &str,
    texts: impl IntoIterator<Item = &'a str>,
    expect: &[(PersonalKind, u64, &str)],
) {
    let mut search = Search::new(name, &Allowed::default());
    for text in texts {
        search.text(text);
    }
    let leaks = search.finish();
    let leaks: Vec<_> = leaks
        .iter()
        .map(|leak| (leak.kind, leak.rows, leak.hint.as_str()))
        .collect();
    assert_eq!(leaks, expect);
}

#[test]
fn rows_are_counted_by_kind_and_nothing_is_told_in_full() {
    use PersonalKind::*;

    check([], &[]);
    check(["clean", "", "", "lora-3f1c0a9e5b7d2468"], &[]);
    check(
        [
            "an@example.org",
            "an@example.org",
            "clean",
            "AA:BB:CC:DD:EE:FF",
            "bo@example.org and AA:BB:CC:DD:EE:FF, twice AA:BB:CC:DD:EE:F0",
            "pin=1, token=ab12",
        ],
        &[(Mac, 2, "AA:…"), (Email, 3, "an@…"), (Token, 1, "a…")],
    );
}

#[test]
fn the_name_of_a_field_says_what_its_values_are() {
    use PersonalKind::*;

    check_field(
        "lat",
        ["50.88", "50.87981", "x"],
        &[(Coordinates, 1, "50…")],
    );
    check_field(
        "lon",
        ["4.701", "4.7005", "4.70052"],
        &[(Coordinates, 2, "4.…")],
    );
    check_field("value", ["50.87981"], &[]);
    check_field("api_token", ["hunter2", "", "null"], &[(Token, 1, "hu…")]);
    check_field("dev_eui", ["0102030405060708", "x"], &[(Eui, 1, "010…")]);
    check_field("dev_eui", ["lora-3f1c0a9e5b7d2468"], &[]);
    check_field("key", ["sensor_id"], &[]);
    check_field(
        "coordinates",
        ["[4.70052,50.88]", "[[4.70052,50.88]]"],
        &[(Coordinates, 1, "[4.…")],
    );
    let mut search = Search::new("lat", &Allowed::default());
    for number in [50.88, 50.0, 50.879_81, f64::NAN, 1e300] {
        search.number(number);
    }
    assert_eq!(search.finish().len(), 1);
    let mut search = Search::new("value", &Allowed::default());
    search.number(50.879_81);
    assert!(search.finish().is_empty());
}

#[test]
fn what_is_public_on_purpose_is_not_found() {
    let allowed = Allowed::new(["data@example.org".to_owned(), String::new()]);
    let mut search = Search::new("attribution", &allowed);
    search.text("ask data@example.org");
    search.text("ask data@example.org or an@example.org");
    let leaks = search.finish();
    assert_eq!(
        (leaks.len(), leaks[0].rows, leaks[0].hint.as_str()),
        (1, 1, "an@…")
    );
}

#[test]
fn ids_of_one_maker_are_no_pseudonyms() {
    // Not in the table of makers.
    let of_maker = [
        "lora-ab12cd0000000001",
        "lora-ab12cd0000000002",
        "lora-ab12cd0000000003",
    ];
    check(of_maker, &[(PersonalKind::Eui, 3, "ab1…")]);
    check(of_maker[..2].iter().copied(), &[]);
    // The same device over and over is one id.
    check([of_maker[0], of_maker[1], of_maker[0], of_maker[1]], &[]);
    check(
        ["lora-1234aafffe000001", "x", "lora-5678aafffe000002"],
        &[(PersonalKind::Eui, 2, "123…")],
    );
    check(["lora-1234aafffe000001"], &[]);
}

#[test]
fn pseudonyms_of_a_city_are_none_of_one_maker() {
    let key = crate::privacy::PrivacyKey::new("a secret of this test");
    let ids: Vec<String> = (0..10_000)
        .map(|number| {
            format!(
                "lora-{}",
                key.hardware_id("dev_eui", &format!("70b3d57ed{number:07}"))
            )
        })
        .collect();
    // Fixed secret and ids: the outcome does not vary. Those that begin like a known maker may be 24 in 16.7 million each.
    check(ids.iter().map(String::as_str), &[]);
}

#[test]
fn places_that_are_public_on_purpose_are_no_findings() {
    let allowed = Allowed::default().with_coordinates([4.700_52, 50.879_81]);
    for (name, text, expect) in [
        ("lat", "50.87981", 0),
        ("lon", "4.70052", 0),
        ("note", "50.87981, 4.70052", 0),
        (
            "stats",
            r#"{"minValues":{"lon":4.70052,"lat":50.87981}}"#,
            0,
        ),
        // Another place, one that begins alike, and one with the same latitude.
        ("lat", "50.87982", 1),
        ("lat", "50.879812", 1),
        ("note", "50.87981, 4.70059", 1),
        // Nothing else is allowed by it.
        ("note", "an@example.org", 1),
    ] {
        let mut search = Search::new(name, &allowed);
        search.text(text);
        assert_eq!(search.finish().len(), expect, "{name}: {text}");
    }
    let mut search = Search::new("lat", &allowed);
    search.number(50.879_81);
    search.number(50.879_82);
    assert_eq!(search.finish()[0].rows, 1);
}
