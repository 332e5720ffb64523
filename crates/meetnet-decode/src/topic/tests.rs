use super::*;

fn check(pattern: &str, topic: &str, expect: Option<&[&str]>) {
    let parsed = TopicPattern::parse(pattern).unwrap();
    let captures = parsed.matches(topic);
    let captures = captures.as_ref().map(|c| &c[..parsed.names.len()]);
    assert_eq!(captures, expect, "{pattern} on {topic}");
}

#[test]
fn a_pattern_takes_topics_and_captures_levels() {
    check(
        "zigbee2mqtt/{device}",
        "zigbee2mqtt/balcony",
        Some(&["balcony"]),
    );
    check("zigbee2mqtt/{device}", "zigbee2mqtt/garden/shed", None);
    check("zigbee2mqtt/{device}", "zigbee2mqtt", None);
    check("zigbee2mqtt/{device}", "zigbee2mqtt/", Some(&[""]));
    check(
        "zigbee2mqtt/{device...}",
        "zigbee2mqtt/garden/shed",
        Some(&["garden/shed"]),
    );
    check(
        "zigbee2mqtt/{device...}",
        "zigbee2mqtt/balcony",
        Some(&["balcony"]),
    );
    check("zigbee2mqtt/{device...}", "zigbee2mqtt", None);
    check(
        "v3/+/devices/{id}/up",
        "v3/app@ttn/devices/eui-1/up",
        Some(&["eui-1"]),
    );
    check(
        "v3/+/devices/{id}/up",
        "v3/app@ttn/devices/eui-1/join",
        None,
    );
    check("v3/+/devices/+/up", "v3/app/devices/eui-1/up", Some(&[]));
    check(
        "{site}/sensor/{name}/state",
        "home/sensor/t/state",
        Some(&["home", "t"]),
    );
    check("tele/dev-{id}/SENSOR", "tele/dev-7/SENSOR", Some(&["7"]));
    check("tele/dev-{id}/SENSOR", "tele/device-7/SENSOR", None);
    check("{a}.out/x", "7.out/x", Some(&["7"]));
    check("{a}.out/x", "7.in/x", None);
    check("a-{b}-c/{d}", "a-x-y-c/z", Some(&["x-y", "z"]));
    // What stands before and what stands behind are not the same characters.
    check("ab{c}ba", "aba", None);
    check("tele/{device}/#", "tele/a/SENSOR", Some(&["a"]));
    check("tele/{device}/#", "tele/a", Some(&["a"]));
    check("#", "anything/at/all", Some(&[]));
    check("$share/meetnet/a/{b}", "a/x", Some(&["x"]));
    check("a//{b}", "a//x", Some(&["x"]));
}

#[test]
fn a_subscription_is_a_plain_topic_filter() {
    for (pattern, filter) in [
        ("zigbee2mqtt/{device}", "zigbee2mqtt/+"),
        ("zigbee2mqtt/{device...}", "zigbee2mqtt/#"),
        ("v3/+/devices/{id}/up", "v3/+/devices/+/up"),
        ("tele/#", "tele/#"),
        ("tele/dev-{id}/SENSOR", "tele/+/SENSOR"),
        ("$share/g/tele/{d}/SENSOR", "$share/g/tele/+/SENSOR"),
    ] {
        let parsed = TopicPattern::parse(pattern).unwrap();
        assert_eq!(parsed.subscription(), filter);
        assert_eq!(parsed.as_str(), pattern);
    }
}

#[test]
fn a_wrong_pattern_says_why() {
    for (pattern, reason) in [
        ("", "empty"),
        ("$share/g", "$share"),
        ("a/#/b", "last"),
        ("{all...}/b", "last"),
        ("$share//a", "$share"),
        ("$share/g+/a", "$share"),
        ("a/{b", "not closed"),
        ("a/b}", "braces"),
        ("a/{b}-{c}", "one capture"),
        ("a/+{b}", "one capture"),
        ("a/x{b...}", "whole levels"),
        ("a/b+", "whole level"),
        ("a/{}", "named with"),
        ("a/{B}", "named with"),
        ("{a}/{a}", "one name"),
        ("{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "more than 8"),
    ] {
        let message = TopicPattern::parse(pattern).unwrap_err().to_string();
        assert!(message.contains(reason), "{pattern}: {message}");
    }
}

#[test]
fn a_path_ends_in_what_a_pattern_takes() {
    let check = |pattern: &str, path: &str, expect: Option<&str>| {
        let pattern = TopicPattern::parse(pattern).unwrap();
        assert_eq!(pattern.end_of(path), expect, "{path}");
    };
    check("{station}.csv", "/data/2026/roof.csv", Some("roof.csv"));
    check("{station}.csv", "roof.csv", Some("roof.csv"));
    check("{station}.csv", "/data/roof.csv/readme", None);
    check(
        "{station}/{month}.csv",
        "/data/roof/2026-01.csv",
        Some("roof/2026-01.csv"),
    );
    check("{station}/{month}.csv", "2026-01.csv", None);
    check("logs/{name...}", "/a/logs/b/c", Some("logs/b/c"));
}

/// Every topic of one to three of these levels.
fn topics() -> Vec<String> {
    let levels = ["a", "b", "ab", "aab", "", "$SYS"];
    let mut topics: Vec<String> = Vec::new();
    let mut longest: Vec<String> = levels.map(str::to_owned).to_vec();
    for _ in 0..2 {
        let longer = longest
            .iter()
            .flat_map(|topic| levels.map(|level| format!("{topic}/{level}")));
        let longer = longer.collect();
        topics.append(&mut std::mem::replace(&mut longest, longer));
    }
    topics.append(&mut longest);
    topics
}

#[test]
fn a_subscription_may_bring_what_some_topic_shows() {
    let patterns = [
        "a",
        "b",
        "$SYS",
        "a/b",
        "a/",
        "+",
        "+/b",
        "#",
        "a/#",
        "a/b/#",
        "{x}",
        "a{x}",
        "{x}b",
        "a{x}b",
        "aa{x}/b",
        "b{x}",
        "{x...}",
        "a/{x...}",
        "+/+/a",
        "$SYS/#",
        "$share/g/a/+",
        "a/+/b",
    ];
    let patterns = patterns.map(|text| TopicPattern::parse(text).unwrap());
    let topics = topics();
    for subscription in &patterns {
        let is_sent = |topic: &String| {
            let is_named = subscription.subscription().starts_with('$');
            subscription.takes(topic) && (is_named || !topic.starts_with('$'))
        };
        for pattern in &patterns {
            let expect = topics
                .iter()
                .any(|topic| is_sent(topic) && pattern.takes(topic));
            let (by, of) = (subscription.as_str(), pattern.as_str());
            assert_eq!(subscription.may_bring(pattern), expect, "{of} by {by}");
        }
    }
    assert!(patterns[20].is_shared() && !patterns[0].is_shared());
}
