use meetnet_model::ids::SourceId;

use super::{MqttOptions, OptionsError, Url};

#[test]
fn urls() {
    let check = |text: &str, expect: Result<(&str, u16, bool), &str>| {
        let url = text.parse::<Url>();
        match expect {
            Ok((host, port, tls)) => {
                assert_eq!(
                    url,
                    Ok(Url {
                        host: host.to_owned(),
                        port,
                        tls,
                        websocket: None,
                    }),
                    "{text}"
                );
            }
            Err(reason) => {
                let error = url.unwrap_err().to_string();
                assert!(error.contains(reason), "{text}: {error}");
            }
        }
    };
    check("mqtt://127.0.0.1:1883", Ok(("127.0.0.1", 1883, false)));
    check(
        "mqtt://broker.leuven.example/",
        Ok(("broker.leuven.example", 1883, false)),
    );
    check("mqtts://broker", Ok(("broker", 8883, true)));
    check("mqtt://[::1]", Ok(("[::1]", 1883, false)));
    check("mqtt://[::1]:1884", Ok(("[::1]", 1884, false)));
    check("http://broker", Err("unknown scheme"));
    check("mqtt://", Err("host is missing"));
    check("mqtt://broker:99999", Err("port"));
    check("mqtt://broker/topic", Err("path"));
    check("mqtt://user:hunter2@broker", Err("credentials"));
    let error = "mqtt://user:hunter2@broker"
        .parse::<Url>()
        .unwrap_err()
        .to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn urls_of_websockets() {
    let check = |text: &str, address: &str, shown: &str| {
        let url = text.parse::<Url>().unwrap();
        assert_eq!(url.websocket_address().as_deref(), Some(address), "{text}");
        assert_eq!(url.to_string(), shown, "{text}");
        assert_eq!(url.tls, text.starts_with("wss"), "{text}");
    };
    check("ws://broker", "ws://broker:80/mqtt", "ws://broker:80/mqtt");
    check(
        "ws://broker:9001/",
        "ws://broker:9001/",
        "ws://broker:9001/",
    );
    check("wss://b/ws/v1", "wss://b:443/ws/v1", "wss://b:443/ws/v1");
    // The broker gets the query, logs do not.
    check(
        "wss://[::1]:8443/mqtt?key=s@me%20one",
        "wss://[::1]:8443/mqtt?key=s@me%20one",
        "wss://[::1]:8443/mqtt",
    );
    check("ws://b?key=1", "ws://b:80/mqtt?key=1", "ws://b:80/mqtt");
    let refused = |text: &str, reason: &str| {
        let error = text.parse::<Url>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{text}: {error}");
    };
    refused("ws://user:hunter2@broker/mqtt", "credentials");
    refused("ws://broker/mqtt?key=hunter2#top", "fragment");
    refused("ws://broker/mqtt?key=hunter@hunter2#top", "fragment");
    refused("ws://broker/a path", "path and query");
    refused("ws:///mqtt", "host is missing");
    refused("mqtt://broker?key=hunter2", "without websockets");
    let url = "ws://broker".parse().unwrap();
    let mut options = MqttOptions::new(url, "c", vec!["a".to_owned()]);
    assert_eq!(options.filters(), Ok(vec!["a".to_owned()]));
    options.packet_bytes_max += 1;
    let error = options.filters().unwrap_err().to_string();
    assert!(error.contains("and 16777216"), "{error}");
}

#[test]
fn topics_become_filters() {
    let check = |topic: &str, expect: Option<&str>| {
        let url = "mqtt://broker".parse().unwrap();
        let options = MqttOptions::new(url, "c", vec![topic.to_owned()]);
        assert_eq!(
            options.filters().ok(),
            expect.map(|filter| vec![filter.to_owned()]),
            "{topic}"
        );
    };
    check("zigbee2mqtt/{device}", Some("zigbee2mqtt/+"));
    check("zigbee2mqtt/{device...}", Some("zigbee2mqtt/#"));
    check("v3/+/devices/+/up", Some("v3/+/devices/+/up"));
    check("a/#", Some("a/#"));
    check("tele/dev-{id}/SENSOR", Some("tele/+/SENSOR"));
    check("$share/meetnet/a/{b}", Some("$share/meetnet/a/+"));
    check("{a...}/b", None);
    check("a/{b", None);
    check("a/#/b", None);
    check("a/b+", None);
    check("", None);
}

#[test]
fn limits_are_checked_together() {
    let mut options = MqttOptions::new("mqtt://b".parse().unwrap(), "c", vec!["a".to_owned()]);
    options.envelope_bytes_max = 32 << 20;
    let error = options.filters().unwrap_err();
    assert!(
        matches!(
            error,
            OptionsError::Limit {
                name: "packet_bytes_max",
                ..
            }
        ),
        "{error}"
    );
    options.topics.clear();
    options.envelope_bytes_max = 1024;
    assert_eq!(options.filters(), Err(OptionsError::NoTopics));
}

#[test]
fn client_ids_are_fixed_and_secrets_stay_out_of_logs() {
    let id = MqttOptions::default_client_id("0199f1c2-aaaa-7bbb", &SourceId::new("lora"));
    assert_eq!(id, "meetnet-0199f1c2-lora");
    let mut options = MqttOptions::new("mqtt://b".parse().unwrap(), id, vec!["a".to_owned()]);
    options.password = Some("hunter2".to_owned());
    assert!(!format!("{options:?}").contains("hunter2"));
}
