//! Wrong sources: what is said about them, their maps, devices and registries, and where.

use super::*;

#[test]
fn sources_are_checked() {
    check(
        &source("balcony", "Balcony 3"),
        "city/meetnet.toml:3: id `Balcony 3` must be lower-case letters, digits, - and _, begin with a letter or digit, and have at most 64 characters",
    );
    check(
        &source("url = \"mqtt://127.0.0.1:1883\"\n", ""),
        "city/meetnet.toml:2: the key `url` is missing; add it",
    );
    check(
        &source("zigbee2mqtt/{device}\"", "zigbee2mqtt/#/{device}\""),
        "city/meetnet.toml:6: topic pattern `zigbee2mqtt/#/{device}`: `#` and `{name...}` take all further levels, so they must stand last",
    );
    check(
        &source("\"air_temperature\"", "\"temperature\""),
        "city/meetnet.toml:10: source `balcony`, map entry 1: dataset `heat` has no property `temperature`; add it to properties.toml or correct the name",
    );
    check(
        &source(
            "kind = \"mqtt\"",
            "kind = \"mqtt\"\ntoken = { env = \"T\" }",
        ),
        "city/meetnet.toml:5: `token` has no meaning for kind = \"mqtt\"; remove it",
    );
    check(
        &source("kind = \"mqtt\"", "kind = \"mqtt\"\nqos = 2"),
        "city/meetnet.toml:5: write 1 (acknowledged after the sync) or 0; with 1 nothing is lost or doubled, so there is no 2",
    );
    let retained = |value: &str| {
        let line = format!("kind = \"mqtt\"\nretained = {value}");
        source("kind = \"mqtt\"", &line)
    };
    check(
        &retained("[]"),
        "city/meetnet.toml:5: `retained` names no topic; write false where no retained message is taken",
    );
    check(
        &retained("[\"levels/#/1\"]"),
        "city/meetnet.toml:5: topic pattern `levels/#/1`: `#` and `{name...}` take all further levels, so they must stand last",
    );
    let not_subscribed = "city/meetnet.toml:5: `retained` names `levels/#`, which none of `topics` can bring \
                          (`zigbee2mqtt/{device}`); name topics that are subscribed to, or add it to `topics`";
    check(
        &retained("[\"zigbee2mqtt/+\", \"levels/#\"]"),
        not_subscribed,
    );
    check(
        &retained("[\"zigbee2mqtt/+\"]").replace("\"zigbee2mqtt/{", "\"$share/two/zigbee2mqtt/{"),
        "city/meetnet.toml:5: `retained` names `zigbee2mqtt/+`, which `topics` has as `$share/…` only, and brokers send no \
         retained messages to a group; subscribe to it without `$share/…`, or remove it",
    );
    check(
        &format!("{SOURCE}{SOURCE}"),
        "city/meetnet.toml:13: there is already a source `balcony`; give this one another id",
    );
}

#[test]
fn the_mapping_is_checked_where_it_stands() {
    check(
        &source("pointer = \"/t\", ", ""),
        "city/meetnet.toml:10: source `balcony`, map entry 1: name one place: `pointer` (a JSON Pointer) or `field` (a name)",
    );
    check(
        &source("licence", "constants = { uptime = 1 }\nlicence"),
        "city/meetnet.toml:3: source `balcony`: `constants`: no wide dataset that the map fills has a column `uptime`; \
         correct the name (of long datasets only `interval_s` is the same everywhere: it is a key of the source)",
    );
    check(
        &source(
            "licence",
            "time = { field = \"at\", format = \"unix_ms\" }\nlicence",
        ),
        "city/meetnet.toml:3: source `balcony`: `time`: the format `unix_ms` is no time; use rfc3339, unix, unix-ms, unix-us, \
         unix-ns, or a pattern that has year, month and day (or %j), such as `%Y-%m-%d %H:%M:%S` or `%d/%m/%Y %H:%M`",
    );
    check(
        &source("licence", "sentinel = [1]\nlicence"),
        "city/meetnet.toml:9: unknown key `sentinel`; did you mean `sentinels`?",
    );
    let no_sensor = "city/meetnet.toml:8: does not say which sensor; write a text, with captures of the topic where it has some \
                     (\"{device}\"), { pointer = \"/id\" } or { field = \"id\" }";
    for wrong in [
        "{ column = \"id\" }",
        "{ pointer = \"/id\", fied = \"id\" }",
        "{ pointer = \"/id\", field = \"id\" }",
        "7",
    ] {
        check(&source("\"{device}\"\n", &format!("{wrong}\n")), no_sensor);
    }
    check(
        &source("licence", "sentinels = [true]\nlicence"),
        "city/meetnet.toml:9: is no sentinel; write a number, or a text in quotes",
    );
    let unit = source("licence", "unit_in_value = true\nlicence");
    check(
        &unit.replace("\"json\"", "\"tts-v3\""),
        "city/meetnet.toml:9: `unit_in_value` is for format = \"json\", \"ndjson\" and \"csv\"; remove it",
    );
    let comma = source("licence", "decimal_comma = true\nlicence");
    for (format, expect) in [
        (
            "csv",
            "it is a key of `csv`: write csv = { decimal_comma = true }",
        ),
        (
            "tts-v3",
            "`decimal_comma` is for format = \"json\" and \"ndjson\"; remove it",
        ),
    ] {
        check(
            &comma.replace("\"json\"", &format!("\"{format}\"")),
            &format!("city/meetnet.toml:9: {expect}"),
        );
    }
    check(
        &source("licence", "constants = { uptime = [1] }\nlicence"),
        "city/meetnet.toml:9: is no constant; write a number, a text in quotes, true or false",
    );
}

#[test]
fn devices_are_checked_where_they_stand() {
    let device = |lines: &str| format!("{SOURCE}[[source.device]]\nid = \"a\"\n{lines}");
    check(
        &device("[[source.device]]\nid = \"a\"\n"),
        "city/meetnet.toml:13: source `balcony`: device 2: another device of the source has the same id; join the two",
    );
    check(
        &device("calibration = { pm10 = { scale = 2 } }\n"),
        "city/meetnet.toml:11: source `balcony`: device 1: `calibration`: the map fills no property or column `pm10`; correct \
         the name, or map it",
    );
    check(
        &device("longitude = 4.7\n"),
        "city/meetnet.toml:11: a place needs `longitude` and `latitude`; add the other",
    );
    check(
        &device("pseudonyms = [\"0123456789abcdef\"]\n"),
        "city/meetnet.toml:13: unknown key `pseudonyms`; there are `id`, `station`, `name`, `municipality`, `since`, \
         `longitude`, `latitude`, `map`, `constants`, `calibration`",
    );
    check(
        &source("licence", "registry = \"devices.csv\"\nlicence"),
        "city/meetnet.toml:9: cannot read the registry city/devices.csv: No such file or directory (os error 2)",
    );
}

#[test]
fn a_registry_is_checked_by_its_own_lines() {
    let folder = tempfile::tempdir().unwrap();
    let check = |registry: &str, expect: &[&str]| {
        std::fs::write(folder.path().join("devices.csv"), registry).unwrap();
        let text = source("licence", "registry = \"devices.csv\"\nlicence");
        let file = folder.path().join("meetnet.toml");
        let environment = super::super::environment(&[]);
        let problems = match crate::config::Config::parse(&file, &text, &environment) {
            Ok(config) => {
                let devices = &config.sources[0].declaration.devices;
                vec![format!("{} devices", devices.len())]
            }
            Err(error) => error.problems.iter().map(ToString::to_string).collect(),
        };
        let folder = format!("{}/", folder.path().display());
        let problems: Vec<String> = problems
            .iter()
            .map(|problem| problem.replace(&folder, ""))
            .collect();
        assert_eq!(problems, expect, "{registry}");
    };
    check("id,station\na,shed\nb,\n", &["2 devices"]);
    check(
        "id,station,latitude\na,shed,50.8\n",
        &["devices.csv:2: a place needs `longitude` and `latitude`; add the other"],
    );
    // A device that is replaced where it was, and one that is replaced elsewhere.
    let at = |rows: &str| format!("id,station,since,latitude,longitude\n{rows}");
    check(
        &at("a,hall,,50.88,4.70\nb,hall,,50.8801,4.7001\n"),
        &["2 devices"],
    );
    check(
        &at("b,hall,2026-06-01,50.85,4.75\na,hall,2025-01-01,50.88,4.70\n"),
        &["2 devices"],
    );
    for rows in [
        "a,hall,,50.88,4.70\nb,hall,,50.85,4.75\n",
        "a,hall,,50.88,4.70\nb,hall,2026-06-01,50.85,4.75\n",
        "a,hall,2026-06-01,50.88,4.70\nb,hall,2026-06-01,50.85,4.75\n",
    ] {
        check(
            &at(rows),
            &[
                "devices.csv:3: station `hall` stands at more than one place, and nothing says from when on at which; write \
                 `since` to each of its devices, the day on which it was put there",
            ],
        );
    }
    check(
        "id,scale.air_temperature\n\na,0.9\nb,0\n",
        &[
            "devices.csv:4: source `balcony`: device 2: `scale` is a number other than 0, and `offset` a number",
        ],
    );
}

#[test]
fn a_licence_that_is_nearly_known_is_told_by_its_id() {
    for (written, meant) in [
        ("CC0", "CC0-1.0"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("odbl", "ODbL-1.0"),
    ] {
        check(
            &source("CC0-1.0", written),
            &format!(
                "city/meetnet.toml:9: source `balcony` has the licence `{written}`, which is not a licence id; did you mean `{meant}`?"
            ),
        );
        check(
            &format!("[[dataset]]\nid = \"heat\"\nlicence = \"{written}\"\n"),
            &format!(
                "city/meetnet.toml:3: `{written}` is not a licence id; did you mean `{meant}`?"
            ),
        );
    }
}

#[test]
fn what_series_name_counts_among_what_a_source_fills() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    // A dataset of a city's own: nothing but the series says that the source fills it.
    let water = include_str!("../../../../../../schemas/noise.toml");
    write(
        "water.toml",
        &water.replacen("id = \"noise\"", "id = \"water\"", 1),
    );
    write(
        "properties.toml",
        "[[property]]\nname = \"water_temperature\"\ndataset = \"water\"\nunit = \"Cel\"\n\
         iri = \"http://vocab.nerc.ac.uk/standard_name/water_temperature/\"\nrange = [-2, 40]\n\
         title = { nl = \"Watertemperatuur\", en = \"Water temperature\", fr = \"Température de l'eau\" }\n",
    );
    let text = |licence: &str| {
        format!(
            "[schemas]\ndir = \"{}\"\n[[dataset]]\nid = \"water\"\nlicence = \"{licence}\"\n\
             [[source]]\nid = \"dyle\"\nkind = \"opensensemap\"\nlicence = \"CC-BY-4.0\"\n\
             contact = \"data@leuven.example\"\nseries = [{{ \
             id = \"539c00c2a83415541578eaf5/539c00c2a83415541578eaf6\", property = \"water_temperature\" }}]\n",
            folder.path().display()
        )
    };
    check(
        &text("CC0-1.0"),
        "city/meetnet.toml:9: dataset `water` declares CC0-1.0, but its source `dyle` is under CC-BY-4.0, which asks for attribution; \
         declare CC-BY-4.0 for the dataset, or none so that each row keeps its own, or take the source out",
    );
    let config = right(&text("CC-BY-4.0"), &[]);
    let water = config.declarations.dataset("water").expect("declared");
    let licences: Vec<&str> = water.source_licences.keys().map(|id| id.as_str()).collect();
    assert_eq!(licences, ["CC-BY-4.0"]);
    // Decoders take no map for series, so none is left.
    let sources: Vec<_> = config.declarations.sources.values().collect();
    assert!(sources.len() == 1 && sources[0].map.is_empty());
}

#[test]
fn push_sources_need_a_listener_and_outside_a_token() {
    let push =
        "[[source]]\nid = \"a\"\nkind = \"http\"\nformat = \"airrohr\"\nlicence = \"ODbL-1.0\"\n";
    check(
        push,
        "city/meetnet.toml:2: source `a` is pushed, but nothing listens; add [ingest_http] listen",
    );
    check(
        &format!("{push}[ingest_http]\nlisten = \"0.0.0.0:8081\"\n"),
        "city/meetnet.toml:2: anybody could push to source `a`; add token = { env = \"NAME\" }, or listen on 127.0.0.1",
    );
}

#[test]
fn paths_and_names_of_push_sources() {
    let pushed = |id: &str, format: &str, keys: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\nkind = \"http\"\nformat = \"{format}\"\nlicence = \"CC0-1.0\"\n{keys}\n"
        )
    };
    let listen = "[ingest_http]\nlisten = \"127.0.0.1:8081\"\n";
    for path in ["weather", "/", "/a b", "/{id}", "/*", ""] {
        check(
            &format!(
                "{listen}{}",
                pushed("a", "ecowitt", &format!("path = \"{path}\""))
            ),
            "city/meetnet.toml:8: a path begins with / and goes on with letters, digits and / - _ . ~ only",
        );
    }
    for path in ["/data/report/", "/write", "/ingest/v1/a", "/airrohr"] {
        check(
            &format!(
                "{listen}{}",
                pushed("a", "ecowitt", &format!("path = \"{path}\""))
            ),
            "city/meetnet.toml:8: this path is there already; leave `path` out, or choose one that is not",
        );
    }
    let roof = "path = \"/roof\"";
    check(
        &format!(
            "{listen}{}{}",
            pushed("a", "ecowitt", roof),
            pushed("b", "airrohr", roof)
        ),
        "city/meetnet.toml:10: source `a` has the path /roof already; give this one another",
    );
    check(
        &format!("{listen}{}", pushed("a", "ecowitt", "database = \"x\"")),
        "city/meetnet.toml:8: `database` is for format = \"influx\" only; remove it",
    );
    check(
        &format!("{listen}{}", pushed("a", "influx", "station = \"x\"")),
        "city/meetnet.toml:8: `station` is for format = \"wunderground\" only; remove it",
    );
    check(
        &format!(
            "{listen}{}",
            pushed("a", "wunderground", "units = \"metric\"")
        ),
        "city/meetnet.toml:8: `units` is for format = \"ecowitt\" only; write the unit of each field in `map`",
    );
    right(
        &format!(
            "{listen}{}",
            pushed(
                "a",
                "ecowitt",
                "units = \"metric\"\npath = \"/weather/roof-1\""
            )
        ),
        &[],
    );
}

#[test]
fn exact_locations_are_for_what_the_city_may_publish() {
    let listen = "[ingest_http]\nlisten = \"127.0.0.1:8081\"\n";
    let of = |format: &str, line: &str| {
        format!(
            "{listen}[[source]]\nid = \"boxes\"\nkind = \"http\"\nformat = \"{format}\"\n\
             licence = \"CC-BY-NC-4.0\"\n{line}\n\
             [[source.device]]\nid = \"1\"\nlongitude = 4.70052\nlatitude = 50.87981\n"
        )
    };
    for format in [
        "airrohr",
        "sensor-community",
        "ecowitt",
        "wunderground",
        "influx",
    ] {
        check(
            &of(format, "exact_location = true"),
            "city/meetnet.toml:8: devices of this format hang at people's homes, which are published to about 100 m; write \
             exact_location = \"…\" with a reference to the consent of those who live there, or remove it",
        );
    }
    check(
        &of("airrohr", "exact_location = \" \""),
        "city/meetnet.toml:8: `exact_location` is an empty reference; write where the consent of those who live there is found",
    );
    check(
        &format!(
            "{listen}[[source]]\nid = \"t\"\nkind = \"http\"\nformat = \"telraam\"\nlicence = \"CC-BY-NC-4.0\"\n\
             exact_location = true\n"
        ),
        "city/meetnet.toml:8: `exact_location` has no meaning for segments: their streets are published whole, and their \
         middle on the grid; remove it",
    );
    check(
        &format!("{SOURCE}time_window = \"400d\"\n"),
        "city/meetnet.toml:11: invalid type: string \"400d\", expected a table such as { back = \"400d\", ahead = \"1h\" }",
    );
    check(
        &format!("{SOURCE}time_window = {{ since = \"long ago\" }}\n"),
        "city/meetnet.toml:11: write a day (\"1998-03-01\") or a time with its offset",
    );
    check(
        &format!("{SOURCE}municipality = \" \"\n"),
        "city/meetnet.toml:11: `municipality` is empty; write its name, or remove it",
    );
    check(
        &format!("{SOURCE}municipalities = \"none.geojson\"\n"),
        "city/meetnet.toml:11: areas of municipalities in city/none.geojson: it cannot be read: No such file or directory (os \
         error 2)",
    );
    // A device is where its source says it may be.
    let own = format!(
        "{SOURCE}exact_location = true\n[[source.device]]\nid = \"1\"\nlongitude = 4.70052\nlatitude = 50.87981\n"
    );
    let exact = (true, Some(4.700_52));
    for (text, expect) in [
        (own.clone(), exact),
        (own.replace("= true", "= false"), (false, Some(4.701))),
        (of("airrohr", ""), (false, Some(4.701))),
        (
            of("airrohr", "exact_location = \"forms of 2026-03\""),
            exact,
        ),
    ] {
        let config = right(&text, &[]);
        let source = config.declarations.sources.values().next().unwrap();
        let said = (source.exact_location, source.devices[0].longitude);
        assert_eq!(said, expect, "{text}");
    }
}

#[test]
fn two_sources_with_one_client_id_throw_each_other_out() {
    let with_id = |id: &str, url: &str| {
        let url = format!("url = \"{url}\"\nclient_id = \"one\"");
        source("url = \"mqtt://127.0.0.1:1883\"", &url).replace("\"balcony\"", &format!("\"{id}\""))
    };
    let first = with_id("balcony", "mqtt://127.0.0.1");
    check(
        &format!("{first}{}", with_id("roof", "mqtt://127.0.0.1:1883")),
        "city/meetnet.toml:17: source `balcony` has the client id `one` at mqtt://127.0.0.1:1883 already, and a broker lets \
         only one of them be connected; give this one a `client_id` of its own, or leave it out",
    );
    // At another broker it is another session; and those without one get one of their own.
    right(
        &format!("{first}{}", with_id("roof", "mqtt://127.0.0.1:1884")),
        &[],
    );
    right(
        &format!("{SOURCE}{}", source("\"balcony\"", "\"roof\"")),
        &[],
    );
}

/// What the files hold shows without connecting to anything.
#[test]
fn certificates_are_looked_into() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["ca.pem", "client.pem", "client.key"] {
        std::fs::write(folder.path().join(name), "nothing of the kind\n").expect("a file");
    }
    let check = |keys: &str, expect: &str| {
        let url = format!("url = \"mqtts://127.0.0.1\"\n{keys}\n");
        let text = source("url = \"mqtt://127.0.0.1:1883\"\n", &url);
        let file = folder.path().join("meetnet.toml");
        let environment = super::super::environment(&[]);
        let found = crate::config::Config::parse(&file, &text, &environment)
            .and_then(|config| config.secrets(&environment).map(drop));
        let said = found.expect_err("it is taken").to_string();
        assert!(said.contains(expect), "{said}");
    };
    check(
        "tls_ca = \"ca.pem\"",
        "meetnet.toml:6: cannot set TLS up: the CA file holds no certificate",
    );
    check(
        "tls_cert = \"client.pem\"\ntls_key = { file = \"client.key\" }",
        "meetnet.toml:7: cannot set TLS up: the file of `tls_cert` holds no certificate",
    );
}
