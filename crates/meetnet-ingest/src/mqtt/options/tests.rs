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
                        tls
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
