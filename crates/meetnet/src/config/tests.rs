use std::path::Path;

use meetnet_decode::TopicPattern;
use meetnet_ingest::mqtt::Retained;

use super::{Config, ConfigError, Environment, LakePlace, LogFormat, Transport};

mod bad;
mod examples;
mod files;
mod live;
mod poll;
mod s3;
mod secrets;

/// A source that is right; what a test adds to it goes before.
const SOURCE: &str = r#"
[[source]]
id = "balcony"
kind = "mqtt"
url = "mqtt://127.0.0.1:1883"
topics = ["zigbee2mqtt/{device}"]
format = "json"
sensor_id = "{device}"
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

/// A certificate that nobody has the key of, made for this test.
const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBmTCCAT+gAwIBAgIUKtcownLdkjD7qPXtvgCLnqqLuRAwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWYW4gYXV0aG9yaXR5IGZvciB0ZXN0czAgFw0yNjExMjkxOTA0
MzRaGA8yMTI2MTEwNTE5MDQzNFowITEfMB0GA1UEAwwWYW4gYXV0aG9yaXR5IGZv
ciB0ZXN0czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABM2HrXbNc7UBtrwS5Lfn
QmupM1Uy0kqgOCF5PGiRlsGRsl8vQ3+i3t9uslgowouEbajppNy/+wdsmdpHYKsZ
QcujUzBRMB0GA1UdDgQWBBSfrV6yI6naI65rPUmqn1T7rq3WSTAfBgNVHSMEGDAW
gBSfrV6yI6naI65rPUmqn1T7rq3WSTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0gAMEUCIQDVe8UGM9RYAcdC3Nl7uFgSidXuFl9qK2Bgswwyz3ShQAIgUDo/
mbI8o1YswSaCO9cB/PB/TefM2ZyvcL+u8kIBiAM=
-----END CERTIFICATE-----
";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in pairs {
        environment.set(*name, *value);
    }
    environment
}

fn parse(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(Path::new("city/meetnet.toml"), text, &environment(pairs))
}

fn right(text: &str, pairs: &[(&str, &str)]) -> Config {
    parse(text, pairs).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

fn lake_folder(config: &Config) -> &Path {
    match &config.lake.place {
        LakePlace::Folder(root) => root,
        LakePlace::S3(s3) => panic!("{}", s3.url),
    }
}

#[test]
fn an_empty_file_has_defaults_and_listens_nowhere() {
    let config = right("", &[]);
    assert_eq!(lake_folder(&config), Path::new("city/data/lake"));
    assert_eq!(config.journal.dir, Path::new("city/data/journal"));
    assert_eq!(
        config.journal.archive_dir,
        Path::new("city/data/journal/archive")
    );
    assert!(config.http.is_none() && config.ingest_http.is_none() && config.admin.is_none());
    assert_eq!(config.socket, Path::new("city/data/journal/meetnet.sock"));
    assert_eq!(config.query.query_time_max.as_secs(), 30);
    assert!(config.declarations.dataset("traffic").is_some());
    assert!(config.sources.is_empty());
}

#[test]
fn the_socket_needs_no_listener_and_lies_where_it_is_told() {
    let config = right("[admin]\nsocket = \"run/city.sock\"\n", &[]);
    assert!(config.admin.is_none());
    assert_eq!(config.socket, Path::new("city/run/city.sock"));
    let config = right("", &[("MEETNET_ADMIN__SOCKET", "/run/city.sock")]);
    assert_eq!(config.socket, Path::new("/run/city.sock"));
    let longest = format!("/{}", "s".repeat(106));
    let config = right(&format!("[admin]\nsocket = \"{longest}\"\n"), &[]);
    assert_eq!(config.socket, Path::new(&longest));
}

#[test]
fn absolute_paths_stay() {
    let config = right(
        "[lake]\nurl = \"/var/lake\"\n[journal]\ndir = \"/var/journal\"\n",
        &[],
    );
    assert_eq!(lake_folder(&config), Path::new("/var/lake"));
    assert_eq!(
        config.journal.archive_dir,
        Path::new("/var/journal/archive")
    );
}

#[test]
fn durations_and_sizes_carry_units() {
    let text = "[lake]\ncommit_age_max = \"90s\"\n[journal]\nsegment_bytes_max = \"1MiB\"\n";
    let config = right(text, &[]);
    assert_eq!(config.lake.limits.commit_age_max.as_secs(), 90);
    assert_eq!(config.journal.segment_bytes_max, 1 << 20);
}

#[test]
fn the_environment_overrides_the_file_which_overrides_defaults() {
    let text = format!("[http]\nlisten = \"127.0.0.1:8080\"\n[log]\nformat = \"text\"\n{SOURCE}");
    let config = right(
        &text,
        &[
            ("MEETNET_HTTP__LISTEN", "127.0.0.1:9090"),
            ("MEETNET_ADMIN__LISTEN", "127.0.0.1:9091"),
            ("MEETNET_QUERY__ROW_LIMIT", "7"),
            ("MEETNET_LOG__FORMAT", "json"),
            ("MEETNET_SOURCE__BALCONY__URL", "mqtt://broker"),
            ("MEETNET_SOURCE__BALCONY__LENIENT", "true"),
            ("MEETNET_LOG", "debug"),
            ("PATH", "/bin"),
        ],
    );
    assert_eq!(config.http.unwrap().listen.port(), 9090);
    assert_eq!(config.admin.unwrap().listen.port(), 9091);
    assert_eq!(config.query.row_limit, 7);
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.sources[0].declaration.lenient);
    let Transport::Mqtt(mqtt) = &config.sources[0].transport else {
        panic!("not mqtt")
    };
    assert_eq!(mqtt.options.url.to_string(), "mqtt://broker:1883");
}

#[test]
fn a_broker_may_be_reached_over_websockets() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let authority = authority.display().to_string();
    let variables = [
        (
            "MEETNET_SOURCE__BALCONY__URL",
            "wss://broker/mqtt?tenant=leuven",
        ),
        ("MEETNET_SOURCE__BALCONY__TLS_CA", authority.as_str()),
    ];
    let config = right(SOURCE, &variables);
    let Transport::Mqtt(mqtt) = &config.sources[0].transport else {
        panic!("not mqtt")
    };
    let url = &mqtt.options.url;
    assert_eq!((url.port, url.tls), (443, true));
    assert_eq!(url.websocket.as_deref(), Some("/mqtt?tenant=leuven"));
    assert_eq!(url.to_string(), "wss://broker:443/mqtt");
}

#[test]
fn retained_messages_are_taken_of_all_topics_or_of_some() {
    let check = |line: &str, expect: Retained| {
        let text = SOURCE.replace("format = \"json\"", &format!("format = \"json\"\n{line}"));
        let config = right(&text, &[]);
        let Transport::Mqtt(mqtt) = &config.sources[0].transport else {
            panic!("not mqtt")
        };
        assert_eq!(mqtt.options.retained, expect, "{line}");
    };
    let pattern = |text: &str| TopicPattern::parse(text).unwrap();
    check("", Retained::None);
    check("retained = false", Retained::None);
    check("retained = true", Retained::All);
    check(
        "retained = [\"zigbee2mqtt/level\", \"+/{meter}\"]",
        Retained::Of(vec![pattern("zigbee2mqtt/level"), pattern("+/{meter}")]),
    );
}

#[test]
fn a_source_is_journalled_without_how_it_is_connected() {
    let config = right(SOURCE, &[]);
    let source = &config.sources[0];
    assert_eq!(source.declaration.namespace, "balcony");
    let journalled = String::from_utf8(config.declarations.to_bytes()).unwrap();
    assert!(journalled.contains("zigbee2mqtt/{device}"));
    assert!(
        !journalled.contains("127.0.0.1"),
        "no address of a broker in the journal"
    );
}

#[test]
fn a_dataset_takes_the_citys_licence() {
    let text = format!(
        "[[dataset]]\nid = \"heat\"\nlicence = \"CC-BY-4.0\"\nattribution = \"City\"\n{SOURCE}"
    );
    let config = right(&text, &[]);
    let heat = config.declarations.dataset("heat").unwrap();
    assert_eq!(heat.licence.as_ref().unwrap().as_str(), "CC-BY-4.0");
    assert_eq!(heat.attribution.as_deref(), Some("City"));
}

#[test]
fn places_take_the_citys_bounds() {
    let bounds =
        |of: &str, bounds: &str| format!("[[dataset]]\nid = \"{of}\"\nbounds = {bounds}\n");
    let config = right(&bounds("stations", "[4.6, 50.8, 4.8, 51.0]"), &[]);
    let stations = config.declarations.dataset("stations").unwrap();
    let range = |name: &str| stations.columns[stations.column_index(name).unwrap()].range;
    assert_eq!(range("lon"), Some([4.6, 4.8]));
    assert_eq!(range("lat"), Some([50.8, 51.0]));
    let refused = |text: &str, expect: &str| {
        let said = parse(text, &[]).unwrap_err().to_string();
        assert!(said.contains(expect), "{said}");
    };
    refused(
        &bounds("heat", "[4.6, 50.8, 4.8, 51.0]"),
        "only datasets of places",
    );
    refused(
        &bounds("stations", "[4.8, 50.8, 4.6, 51.0]"),
        "[west, south, east, north]",
    );
}

#[test]
fn differences_are_to_the_citys_reference() {
    let reference =
        |of: &str, value: &str| format!("[[dataset]]\nid = \"{of}\"\nreference = {value}\n");
    let config = right(&reference("heat_hourly", "\"garden-7\""), &[]);
    let hourly = config.declarations.dataset("heat_hourly").unwrap();
    let declared = hourly.derive.as_ref().unwrap().reference.clone();
    assert_eq!(
        declared,
        Some(meetnet_model::derivation::ConditionValue::Text(
            "garden-7".to_owned()
        ))
    );
    let refused = |text: &str, expect: &str| {
        let said = parse(text, &[]).unwrap_err().to_string();
        assert!(said.contains(expect), "{said}");
    };
    refused(&reference("heat", "\"garden-7\""), "only derived datasets");
    refused(
        &reference("air_hourly", "\"garden-7\""),
        "no column of this",
    );
    refused(&reference("heat_daily", "7"), "a sensor as text");
}

#[test]
fn agreements_are_of_datasets_that_are_made_of_others() {
    let permission =
        |of: &str, text: &str| format!("[[dataset]]\nid = \"{of}\"\npermission = \"{text}\"\n");
    for of in ["neighbourhood_hourly", "traffic_daily"] {
        let config = right(&permission(of, "letter of 2026-03-01"), &[]);
        let dataset = config.declarations.dataset(of).unwrap();
        assert_eq!(dataset.permission(), Some("letter of 2026-03-01"), "{of}");
    }
    let refused = |text: &str, expect: &str| {
        let said = parse(text, &[]).unwrap_err().to_string();
        assert!(said.contains(expect), "{said}");
    };
    refused(&permission("heat", "letter"), "made of others");
    refused(
        &permission("neighbourhood_hourly", " "),
        "names an agreement",
    );
}

#[test]
fn one_namespace_for_two_sources_needs_a_precedence() {
    let second = SOURCE.replace("\"balcony\"", "\"garden\"\nnamespace = \"balcony\"");
    let shared = parse(&format!("{SOURCE}{second}"), &[])
        .unwrap_err()
        .to_string();
    assert!(
        shared.contains("shares the namespace `balcony` with source `balcony`"),
        "{shared}"
    );
    right(
        &format!("{SOURCE}{}", second.replace("kind", "precedence = 1\nkind")),
        &[],
    );
}

#[test]
fn catalogues_are_told_who_publishes_and_whom_to_ask() {
    let check = |portal: &str, publisher: Option<&str>, contact: Option<&str>| {
        let text = format!("[portal]\n{portal}\n[http]\nlisten = \"127.0.0.1:80\"\n");
        let settings = right(&text, &[]).http.unwrap().settings;
        assert_eq!(settings.publisher.as_deref(), publisher, "{portal}");
        assert_eq!(settings.contact.as_deref(), contact, "{portal}");
    };
    check("", None, None);
    check("publisher = \"Stad Leuven\"", Some("Stad Leuven"), None);
    for (contact, iri) in [
        ("data@example.org", "mailto:data@example.org"),
        (
            "https://data.example.org/contact",
            "https://data.example.org/contact",
        ),
    ] {
        check(&format!("contact = \"{contact}\""), None, Some(iri));
    }
}
