use proptest::prelude::*;

use super::*;

fn check(input: &str, expect: &str) {
    assert_eq!(redact(input.as_bytes()), expect, "{input}");
}

#[test]
fn harmless_text_stays() {
    for text in [
        "",
        "{\"temperature\":21.5,\"humidity\":40,\"ok\":true}",
        "time=2026-01-02T12:34:56Z&pm25=1.5",
        "{\"date\":\"2024-06-12T11:00:00.000Z\",\"segment_id\":9000001463,\"uptime\":0.75}",
        "weather,station=3 temp=21.5 1718190000123456789",
        "{\"ts\":1718190000123,\"f_cnt\":12}",
        "not json at all, just text",
        "v3/app@tenant/devices/dev1/up",
        "{\"signal\":\"-59 dBm\",\"P1\":\"1.87\"}",
        "keyboard: monkey",
        "été 25 °C",
    ] {
        check(text, text);
    }
}

#[test]
fn values_of_telling_keys_go() {
    for (input, expect) in [
        (
            "PASSKEY=0123456789ABCDEF0123456789ABCDEF&tempf=68.0",
            "PASSKEY=…&tempf=68.0",
        ),
        (
            "ID=ILEUVEN1&PASSWORD=hunter2&tempf=68",
            "ID=ILEUVEN1&PASSWORD=…&tempf=68",
        ),
        (
            "{\"api_key\":\"abc\",\"t\":1}",
            "{\"api_key\":\"…\",\"t\":1}",
        ),
        (
            "{\"apiKey\" : \"a\\\"b\" , \"t\":1}",
            "{\"apiKey\" : \"…\" , \"t\":1}",
        ),
        ("{\"token\":12345,\"t\":1}", "{\"token\":…,\"t\":1}"),
        (
            "{\"user_id\":77,\"mac\":281474976710655}",
            "{\"user_id\":…,\"mac\":…}",
        ),
        (
            "{\"devEui\":\"x\",\"dev_addr\":\"26011BDA\"}",
            "{\"devEui\":\"…\",\"dev_addr\":\"…\"}",
        ),
        (
            "{\"esp8266id\":\"1234567\",\"v\":1}",
            "{\"esp8266id\":\"…\",\"v\":1}",
        ),
        (
            "Authorization: Bearer abc def\r\nHost: x",
            "Authorization: … Host: x",
        ),
        (
            "{\"Authorization\":\"Basic dXNlcjpwYXNz\"}",
            "{\"Authorization\":\"…\"}",
        ),
        ("key=secret1&x=1", "key=…&x=1"),
        ("X-MAC-ID: esp8266-99", "X-MAC-ID: …"),
        ("{\"email\":\"an@example.org\"}", "{\"email\":\"…\"}"),
        ("{\"lat\":50.8798,\"lon\":4.7005}", "{\"lat\":…,\"lon\":…}"),
        (
            "{\"latitude\":\"50.8798\",\"longitude\":\"4.7005\"}",
            "{\"latitude\":\"…\",\"longitude\":\"…\"}",
        ),
        ("lat=50.8798&lng=4.7005&t=1", "lat=…&lng=…&t=1"),
        ("home_lat: 50.8", "home_lat: …"),
        (
            "{\"coordinates\":[[4.7,50.8],[4.8,50.9]],\"t\":1}",
            "{\"coordinates\":…,\"t\":1}",
        ),
        (
            "{\"geo\":\"POINT (4.7005 50.8798)\"}",
            "{\"geo\":\"POINT …\"}",
        ),
        (
            "{\"value_type\":\"GPS_lat\",\"value\":\"50.8798\"}",
            "{\"value_type\":\"GPS_lat\",\"value\":\"…\"}",
        ),
        (
            "{\"value\":\"50.8798\",\"value_type\":\"GPS_lat\"}",
            "{\"value\":\"…\",\"value_type\":\"GPS_lat\"}",
        ),
        (
            "{\"payload\":\"{\\\"mac\\\":\\\"q\\\",\\\"t\\\":1}\"}",
            "{\"payload\":\"{\\\"mac\\\":\\\"…\\\",\\\"t\\\":1}\"}",
        ),
        // Cut off in the middle of the value.
        ("{\"t\":1,\"password\":\"hunt", "{\"t\":1,\"password\":\"…"),
        (
            "{\"t\":1,\"coordinates\":[4.70",
            "{\"t\":1,\"coordinates\":…",
        ),
    ] {
        check(input, expect);
    }
}

#[test]
fn hardware_ids_go_by_their_look() {
    for (input, expect) in [
        ("from AA:BB:CC:DD:EE:FF today", "from … today"),
        ("from aa-bb-cc-dd-ee-ff today", "from … today"),
        ("idAA:BB:CC:DD:EE:FF", "idAA:…"),
        ("AA%3ABB%3ACC%3ADD%3AEE%3AFF&x=1", "…&x=1"),
        ("aabb.ccdd.eeff", "…"),
        ("zigbee2mqtt/0x00158d0001a2b3c4/set", "zigbee2mqtt/…/set"),
        (
            "application/1/device/70b3d57ed005abcd/event/up",
            "application/1/device/…/event/up",
        ),
        (
            "v3/app/devices/eui-70b3d57ed005abcd/up",
            "v3/app/devices/eui-…/up",
        ),
        ("70-B3-D5-7E-D0-05-AB-CD", "…"),
        ("a0b1c2d3e4f5", "…"),
        ("node=esp8266-1234567 temp=1", "node=… temp=1"),
        ("esp32-A1B2C3: up", "…: up"),
        (
            "{\"k\":\"00112233445566778899aabbccddeeff\"}",
            "{\"k\":\"…\"}",
        ),
        ("mail an.peeters@example.org, thanks", "mail …, thanks"),
        ("who=an.peeters%40example.org&x=1", "who=…&x=1"),
        ("57433366-50a6-4dc2-8145-2df1bbc70d9e", "…"),
        ("device-70b3d57ed005abcd-token=x", "device-…-token=…"),
    ] {
        check(input, expect);
    }
}

#[test]
fn credentials_and_places_go_by_their_look() {
    for (input, expect) in [
        (
            "no answer from mqtt://an:hunter2@broker.example:1883",
            "no answer from mqtt://…@broker.example:1883",
        ),
        (
            "https://k3y@api.example/v1?x=1",
            "https://…@api.example/v1?x=1",
        ),
        (
            "x-50a6-4dc2-8145mqtt://an:hunter2@broker",
            "x-…mqtt://…@broker",
        ),
        ("sent Bearer abcDEF123456.7", "sent Bearer …"),
        ("sent  basic \tdXNlcjpwYXNz", "sent basic …"),
        (
            "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end",
            "jwt … end",
        ),
        ("NNSXS.AB3D.EF6HIJKLMNOPQRSTUV", "…"),
        ("AKIAIOSFODNN7EXAMPLE", "…"),
        ("at 50.87981, 4.70052 today", "at … today"),
        ("id;50.8798;4.7005;x", "id;…;x"),
        ("balcony-50.879812,4.700518", "balcony-…"),
        ("50.879812_4.700518", "…"),
        ("id-50.879812;4.700518", "id-…"),
        ("lat50.879812lon4.700518", "lat…lon…"),
        ("temp21.5234hum40.1234", "temp21.5234hum40.1234"),
        // Three are measurements, and so are few decimal places.
        ("1.23456;2.34567;3.45678", "1.23456;2.34567;3.45678"),
        ("21.52,40.31", "21.52,40.31"),
        // On the grid already.
        ("at 50.8800, 4.7010", "at 50.8800, 4.7010"),
    ] {
        check(input, expect);
    }
}

#[test]
fn excerpts_are_short_and_one_line() {
    check("a\nb\tc\u{1b}[2Jd", "a b c [2Jd");
    check(
        "{\r\n    \"a\": 1,\r\n    \"b\": 2\r\n}",
        "{ \"a\": 1, \"b\": 2 }",
    );
    assert_eq!(redact(b"ok \xff\xfe end"), "ok \u{fffd}\u{fffd} end");
    let long = redact("é ".repeat(5_000).as_bytes());
    assert_eq!(long.chars().count(), EXCERPT_CHARS_MAX);
    assert!(long.ends_with(MARK));
    assert_eq!(redact(&[b'a'; 5_000]), "…");
    // The cut of the head does not leave half a MAC address.
    let mut tail = "{\"mac\":\"x\"} ".repeat(300);
    tail.truncate(HEAD_BYTES_MAX - 9);
    tail.push_str(" AA:BB:CC:DD:EE:FF");
    assert!(!redact(tail.as_bytes()).contains("BB"));
}

/// Pieces that leaks and their look-alikes are made of.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~é\t]{0,12}",
        "[ ,;:=/&\"'@.-]{1,2}",
        "[0-9a-fA-F]{2,16}",
        "-?[0-9]{1,3}\\.[0-9]{3,6}",
        "(lat|lon|id)-?[0-9]{1,2}\\.[0-9]{4,6}[_/:,-]?",
        prop::sample::select(vec![
            "token=",
            "\"password\": \"",
            "dev_eui",
            "lat",
            "POINT (",
            "Bearer ",
            "mqtt://",
            "esp8266-",
            "@example.org",
            "AA:BB:CC:DD:EE:FF",
            "70b3d57ed005abcd",
            "ns-3f1c0a9e5b7d2468",
            "\u{1b}[3m",
            "Authorization: ",
            "eyJ",
            "57433366-50a6-4dc2-8145-2df1bbc70d9e",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn any_bytes_give_a_bounded_text(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let excerpt = redact(&bytes);
        prop_assert!(excerpt.chars().count() <= EXCERPT_CHARS_MAX);
        prop_assert!(!excerpt.contains(char::is_control));
    }

    #[test]
    fn a_search_finds_nothing_in_an_excerpt_or_a_log_line(
        parts in prop::collection::vec(part(), 0..12)
    ) {
        let text = parts.concat();
        let excerpt = redact(text.as_bytes());
        prop_assert!(find(&excerpt).is_empty(), "{}", excerpt);
        let line = redact_text(&text);
        prop_assert!(find(&line).is_empty(), "{}", line);
    }

    #[test]
    fn any_text_around_a_mac_does_not_save_it(before in "[ -~é]{0,60}[ ,:=\"/]", after in "[ ,;\"/&][ -~]{0,60}") {
        let text = format!("{before}AA:BB:CC:DD:EE:FF{after}");
        prop_assert!(!redact(text.as_bytes()).contains("BB:CC:DD"));
    }

    #[test]
    fn places_go_whatever_word_hangs_on_them(
        lat in "5[01]\\.[0-9]{3}[1-9]",
        lon in "[2-6]\\.[0-9]{3}[1-9]",
        before in "[a-z]{1,8}[-_/]?",
        joint in "[,;|_/:]",
        after in "([-_/][a-z]{0,8})?",
    ) {
        let text = format!("{before}{lat}{joint}{lon}{after}");
        let [lat_number, lon_number] = [&lat, &lon].map(|text| text.parse::<f64>().unwrap());
        prop_assume!(crate::privacy::lat_is_exact(lat_number) || crate::privacy::lon_is_exact(lon_number));
        prop_assert_eq!(find(&text).len(), 1, "{}", &text);
        prop_assert!(!redact(text.as_bytes()).contains(&lon), "{}", &text);
    }

    #[test]
    fn passwords_go_whatever_they_hold(secret in "[!-~&&[^\"\\\\]]{8,40}", spaces in " {0,3}") {
        let text = format!("{{\"a\":1,\"password\"{spaces}:{spaces}\"{secret}\",\"b\":2}}");
        prop_assert!(!redact(text.as_bytes()).contains(&secret));
    }
}
