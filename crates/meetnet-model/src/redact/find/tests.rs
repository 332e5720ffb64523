use super::*;

/// `expect`: kind and text of each finding.
fn check(text: &str, expect: &[(PersonalKind, &str)]) {
    let found: Vec<_> = find(text)
        .into_iter()
        .map(|finding| (finding.kind, &text[finding.range]))
        .collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn each_kind_is_found() {
    use PersonalKind::*;

    for (text, expect) in [
        ("from AA:BB:CC:DD:EE:FF today", (Mac, "AA:BB:CC:DD:EE:FF")),
        ("aa-bb-cc-dd-ee-0f", (Mac, "aa-bb-cc-dd-ee-0f")),
        ("aabb.ccdd.ee01", (Mac, "aabb.ccdd.ee01")),
        ("id a0b1c2d3e4f5.", (Mac, "a0b1c2d3e4f5")),
        ("00:11:22:33:44:55", (Mac, "00:11:22:33:44:55")),
        ("{\"bssid\": \"001122334455\"}", (Mac, "001122334455")),
        // The node of a version 1 UUID.
        (
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            (Mac, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ),
        ("device/70b3d57ed005abcd/event", (Eui, "70b3d57ed005abcd")),
        ("eui-70b3d57ed005abcd", (Eui, "70b3d57ed005abcd")),
        ("70-B3-D5-7E-D0-05-AB-CD", (Eui, "70-B3-D5-7E-D0-05-AB-CD")),
        (
            "zigbee2mqtt/0x00158d0001a2b3c4",
            (Eui, "0x00158d0001a2b3c4"),
        ),
        // Not made a pseudonym: the number of a maker.
        ("lora-a840414bf185abcd", (Eui, "a840414bf185abcd")),
        ("lora-70B3D57ED005ABCD", (Eui, "70B3D57ED005ABCD")),
        ("esp8266-1234567", (ChipId, "esp8266-1234567")),
        ("{\"esp8266id\":\"1234567\"}", (ChipId, "1234567")),
        ("mail an@example.org, thanks", (Email, "an@example.org")),
        ("who=an%40example.org", (Email, "an%40example.org")),
        (
            "PASSKEY=0123456789ABCDEF0123456789ABCDEF&x=1",
            (Passkey, "0123456789ABCDEF0123456789ABCDEF"),
        ),
        (
            "0123456789ABCDEF0123456789ABCDEF",
            (Passkey, "0123456789ABCDEF0123456789ABCDEF"),
        ),
        ("GET /x?token=hunter2&y=1", (Token, "hunter2")),
        ("{\"api_key\":\"abcd\"}", (Token, "abcd")),
        ("password: s3cret", (Token, "s3cret")),
        ("Authorization: Bearer abc", (Token, "Bearer abc")),
        ("got Bearer abcdef123456", (Token, "abcdef123456")),
        ("mqtt://an:hunter2@broker:1883/x", (BasicAuth, "an:hunter2")),
        ("50.87981, 4.70052", (Coordinates, "50.87981, 4.70052")),
        ("4.70052;50.87981", (Coordinates, "4.70052;50.87981")),
        ("lat=50.87981", (Coordinates, "50.87981")),
        ("{\"longitude\":\"4.70052\"}", (Coordinates, "4.70052")),
        ("POINT (4.70052 50.88)", (Coordinates, "(4.70052 50.88")),
        (
            "{\"coordinates\":[4.70052,50.88]}",
            (Coordinates, "[4.70052,50.88]"),
        ),
        ("geohash=u151kcd9", (Coordinates, "u151kcd9")),
        // Glued to other words, as in names and topics.
        (
            "balcony-50.879812,4.700518",
            (Coordinates, "50.879812,4.700518"),
        ),
        (
            "balcony50.879812,4.700518",
            (Coordinates, "50.879812,4.700518"),
        ),
        (
            "Höfe50.879812,4.700518",
            (Coordinates, "50.879812,4.700518"),
        ),
        ("50.879812_4.700518", (Coordinates, "50.879812_4.700518")),
        ("id-50.879812;4.700518", (Coordinates, "50.879812;4.700518")),
        (
            "id7_50.879812_4.700518_up",
            (Coordinates, "50.879812_4.700518"),
        ),
        (
            "at/50.879812/4.700518/up",
            (Coordinates, "50.879812/4.700518"),
        ),
        (
            "50.879812,4.700518-balcony",
            (Coordinates, "50.879812,4.700518"),
        ),
        ("home_lat50.879812", (Coordinates, "50.879812")),
        ("lon-4.700518", (Coordinates, "4.700518")),
        // As a terminal gets it.
        (
            "\u{1b}[3mtoken\u{1b}[0m\u{1b}[2m=\u{1b}[0mhunter2",
            (Token, "hunter2"),
        ),
        (
            "\u{1b}[2m=\u{1b}[0m70b3d57ed005abcd",
            (Eui, "70b3d57ed005abcd"),
        ),
    ] {
        check(text, &[expect]);
    }
}

#[test]
fn look_alikes_are_not_found() {
    for text in [
        "",
        // H3 cells: as text, padded, and as number.
        "89194ad32a7ffff",
        "{\"h3\":\"089194ad32a7ffff\"}",
        "h3_r9=617549798007111679",
        // Pseudonyms and other ids of ours.
        "lora-3f1c0a9e5b7d2468",
        "sensor_id=lora-3f1c0a9e5b7d2468",
        "{\"mac\":\"ns-3f1c0a9e5b7d2468\"}",
        "esp8266-3f1c0a9e5b7d2468",
        // Names of files and runs, with hyphens and without.
        "licence=CC0-1.0/superseded=false/month=2026-01/0198c0de7f0a7b0c8d0e1f2a3b4c5d6e.parquet",
        "57433366-50a6-4dc2-8145-2df1bbc70d9e",
        "0198c0de-7f0a-7b0c-8d0e-1f2a3b4c5d6e",
        // Hashes of content.
        "<link href=\"/assets/meetnet-1f2e3d4c5b6a.css\">",
        "{\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        // An id of openSenseMap.
        "opensensemap-5a8c1a2b3c4d5e6f7a8b9c0d",
        // Times and numbers.
        "ts=1718190000123456 n=1718190000123456789",
        "at 2026-01-02T12:34:56Z, 12:34:56",
        "sequence=000000000012",
        "10.20.30.40.50",
        "192.168.10.20",
        "2026-0102-1234-5678",
        "2001:0db8:0000:0000:0000:ff00:0042:8329",
        // Units and keys of properties.
        "ug/m3 mg/m3 [ppm] dB[A] mm/h W/m2 Cel deg %",
        "pm2_5,pm10,no2",
        // Prose.
        "unexpected token: expected a value",
        "the key column of the dataset",
        "{\"key\":[\"sensor_id\",\"time\"]}",
        "{\"name\":\"lat\",\"type\":\"float\"}",
        "token = { env = \"AIRROHR_TOKEN\" }",
        "v3/app@tenant/devices/dev1/up",
        "basic principles of bearer plants",
        // Coarse and snapped places, roads, lists of measurements.
        "lat=50.88 lon=4.7",
        "{\"lon\":4.7010,\"lat\":50.880}",
        "lat=50.8 lon=4.72",
        "{\"minValues\":{\"lon\":4.701,\"lat\":50.88}}",
        "LINESTRING (4.70012 50.88012, 4.70031 50.88013)",
        "{\"coordinates\":[[4.70012,50.88012],[4.70031,50.88013]]}",
        "1.23456,2.34567,3.45678",
        "0.00012 0.99988",
        // Measurements that hang on their names, and lists of them.
        "temp21.5234hum40.1234",
        "t-21.5234 rh-40.12",
        "21.5234/40.1234/7.1234",
        "21.5234_40.1234_7.1234",
        "id7-21.5234_40.1234_7.1234",
        "2026-05-01-21.5234,40.1234,7.1234",
        "pm-1.2345_2.3456",
        "flat50.879812 platoon4.700518",
        "lat50.88lon4.7010",
        "lat50.8798.1",
        // Left out already.
        "token=… lat=… from …",
        "mqtt://…@broker:1883",
    ] {
        check(text, &[]);
    }
}

#[test]
fn several_are_found_in_one_text() {
    use PersonalKind::*;

    let text = "AA:BB:CC:DD:EE:FF,an@example.org,token=hunter2,50.87981;4.70052";
    check(
        text,
        &[
            (Mac, "AA:BB:CC:DD:EE:FF"),
            (Email, "an@example.org"),
            (Token, "hunter2"),
            (Coordinates, "50.87981;4.70052"),
        ],
    );
    assert_eq!(redact_text(text), "…,…,token=…,…");
    let text = "lat50.879812lon4.700518";
    check(
        text,
        &[(Coordinates, "50.879812"), (Coordinates, "4.700518")],
    );
    assert_eq!(redact_text(text), "lat…lon…");
    // Ten of them, in one pass: what is left out behind one makes no other.
    let text = ["50.879812,4.700518"; 10].join("-");
    assert_eq!(find(&text).len(), 10);
    assert_eq!(redact_text(&text), ["…"; 10].join("-"));
    // A key is an id, and tells of its value.
    let text = "device-70b3d57ed005abcd-token=hunter2";
    check(text, &[(Eui, "70b3d57ed005abcd"), (Token, "hunter2")]);
    assert_eq!(redact_text(text), "device-…-token=…");
    // What stands as the scheme of a URL is an id.
    let text = "x-50a6-4dc2-8145mqtt://an:hunter2@broker";
    check(text, &[(Mac, "50a6-4dc2-8145"), (BasicAuth, "an:hunter2")]);
    assert_eq!(redact_text(text), "x-…mqtt://…@broker");
    let text = "esp8266-1234567://an:hunter2@broker";
    check(
        text,
        &[(ChipId, "esp8266-1234567"), (BasicAuth, "an:hunter2")],
    );
    // Too long for a key, until what stands in front is left out.
    let text = "57433366-50a6-4dc2-8145-2df1bbc70d9edev_euiAaaA00A0AAuthorization: A0A00A";
    check(text, &[(Mac, "50a6-4dc2-8145")]);
    let redacted = redact_text(text);
    assert_eq!(
        redacted,
        "57433366-…-2df1bbc70d9edev_euiAaaA00A0AAuthorization: …"
    );
    assert!(find(&redacted).is_empty());
    let clean = "committed dataset=heat rows=3";
    assert!(matches!(redact_text(clean), Cow::Borrowed(text) if text == clean));
}

#[test]
fn time_grows_with_the_text() {
    // Each piece makes some look begin again and again. Quadratic work on so many characters would take minutes.
    for piece in [
        "a.",
        "12-",
        "token=\"",
        "lat ",
        "aa:",
        "eyJ.",
        "bearer ",
        "x@",
        "1.2345 ",
        "http://",
        "://a",
        "esp32-",
        "authorization: ",
        "point (",
        "57433366-",
        "\u{1b}[",
        "key''",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        let redacted = redact_text(&text);
        assert!(find(&redacted).is_empty(), "{piece}");
    }
}
