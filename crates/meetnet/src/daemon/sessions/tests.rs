//! Which sessions an exchange of sources leaves, and what is said of them.

use super::*;

/// Sessions by source, client id and broker.
fn sessions(of: &[(&str, &str, &str)]) -> Vec<Session> {
    let sessions = of.iter().map(|(source, client_id, broker)| {
        let url = broker.parse().unwrap();
        let options = MqttOptions::new(url, *client_id, vec!["#".to_owned()]);
        session(&SourceId::new(source), &options)
    });
    sessions.collect()
}

const LORA: (&str, &str, &str) = ("lora", "meetnet-1-lora", "mqtt://broker.example");
const ROOF: (&str, &str, &str) = ("roof", "meetnet-1-roof", "mqtt://broker.example");

#[test]
fn a_session_that_no_source_has_any_more_is_left() {
    let check = |after: &[(&str, &str, &str)], expect: &[&str]| {
        // The roof's is not connected.
        let is_connected = |source: &SourceId| source.as_str() == "lora";
        let left = left(&sessions(&[LORA, ROOF]), &sessions(after), is_connected, 7);
        let shown = left.iter().map(|left| {
            let state = if left.collects { "collects" } else { "quiet" };
            format!("{} {} {state}", left.source, left.client_id)
        });
        assert_eq!(Vec::from_iter(shown), expect, "{after:?}");
    };
    let lora = "lora meetnet-1-lora quiet";
    let roof = "roof meetnet-1-roof collects";
    check(&[LORA, ROOF], &[]);
    check(&[], &[lora, roof]);
    // Renamed.
    let radio = ("radio", "meetnet-1-radio", LORA.2);
    check(&[radio, ROOF], &[lora]);
    // Renamed, with the session.
    check(&[("radio", LORA.1, LORA.2), ROOF], &[]);
    // The same source with a client id of its own, or at another broker.
    check(&[("lora", "mine", LORA.2), ROOF], &[lora]);
    check(&[("lora", LORA.1, "mqtt://other.example"), ROOF], &[lora]);
    // The same broker over TLS has the same sessions.
    check(&[("lora", LORA.1, "mqtts://broker.example"), ROOF], &[]);
    check(&[LORA], &[roof]);
}

#[test]
fn what_is_left_is_shown_until_a_source_has_it_again() {
    let shown = LeftSessions::default();
    let ids = || {
        let rows = shown.rows().into_iter();
        Vec::from_iter(rows.map(|row| row.client_id))
    };
    shown.known(vec![(SourceId::new("old"), "meetnet-1-old".to_owned())], 1);
    let (before, renamed) = (
        sessions(&[LORA, ROOF]),
        sessions(&[("radio", "meetnet-1-radio", LORA.2)]),
    );
    shown.exchanged(&before, &renamed, &[], 2);
    assert_eq!(ids(), ["meetnet-1-old", LORA.1, ROOF.1]);
    let row = &shown.rows()[1];
    assert_eq!((row.source.as_str(), row.since), ("lora", 2));
    assert!(row.collects, "nobody said that it was connected");
    assert_eq!(row.broker.as_deref(), Some("mqtt://broker.example:1883"));
    assert_eq!(shown.rows()[0].command, None, "nobody knows where");

    let again = sessions(&[("radio", LORA.1, LORA.2), ("new", "meetnet-1-old", LORA.2)]);
    shown.exchanged(&renamed, &again, &[], 3);
    assert_eq!(ids(), [ROOF.1, "meetnet-1-radio"]);

    for at in 0..200 {
        let id = format!("id-{at}");
        let one = sessions(&[("many", id.as_str(), LORA.2)]);
        shown.exchanged(&one, &[], &[], at);
    }
    assert_eq!(ids().len(), LEFT_MAX);
    assert_eq!(ids().last().unwrap(), "id-199");
}

#[test]
fn the_command_ends_a_session_where_the_tool_reaches_it() {
    let check = |client_id: &str, broker: &str, expect: Option<&str>| {
        let before = sessions(&[("lora", client_id, broker)]);
        let left = left(&before, &[], |_| true, 0);
        assert_eq!(command(&left[0]).as_deref(), expect, "{client_id} {broker}");
    };
    check(
        "meetnet-1-lora",
        "mqtt://broker.example",
        Some("mosquitto_sub -h broker.example -p 1883 -i meetnet-1-lora -t meetnet/none -E"),
    );
    check(
        "it's mine",
        "mqtts://[::1]:8884",
        Some(
            r"mosquitto_sub -h ::1 -p 8884 --tls-use-os-certs -i 'it'\''s mine' -t meetnet/none -E",
        ),
    );
    check("meetnet-1-lora", "wss://broker.example/mqtt", None);
}
