//! Which keys of `[[source]]` belong to some kinds only, and the kinds that this version does not have yet.

/// The kinds of this version, as they are written, and the keys that not every kind has.
pub(super) const KIND_KEYS: &[(&str, &[&[&str]])] = &[
    ("mqtt", &[MQTT_KEYS]),
    ("http", &[HTTP_KEYS]),
    ("files", &[FILES_KEYS]),
    ("telraam", &[POLL_KEYS, TELRAAM_KEYS]),
    ("sensor-community", &[POLL_KEYS, SENSOR_COMMUNITY_KEYS]),
    ("ircel", &[POLL_KEYS, &["series", "layers"]]),
    ("opensensemap", &[POLL_KEYS, &["series"]]),
];

/// Returns true where `key` belongs to other kinds than `kind`.
pub(super) fn is_of_other_kind(key: &str, kind: &str) -> bool {
    let has = |lists: &[&[&str]]| lists.iter().any(|keys| keys.contains(&key));
    let own = KIND_KEYS.iter().find(|(name, _)| *name == kind);
    KIND_KEYS.iter().any(|(_, lists)| has(lists)) && !own.is_some_and(|(_, lists)| has(lists))
}

/// Keys of `kind = "mqtt"`.
const MQTT_KEYS: &[&str] = &[
    "url",
    "topics",
    "username",
    "password",
    "client_id",
    "protocol",
    "qos",
    "inflight_max",
    "envelope_bytes_max",
    "packet_bytes_max",
    "held_bytes_max",
    "keep_alive",
    "session_expiry",
    "retained",
    "watch_broker_drops",
    "backoff_max",
    "tls_ca",
    "tls_cert",
    "tls_key",
];

/// Keys of `kind = "http"`.
const HTTP_KEYS: &[&str] = &[
    "token",
    "database",
    "station",
    "path",
    "requests_per_second_max",
];

/// Keys of `kind = "files"`.
const FILES_KEYS: &[&str] = &["files"];

/// Keys of every kind that is polled.
const POLL_KEYS: &[&str] = &[
    "url",
    "api_key",
    "interval",
    "reask",
    "since",
    "request_pause",
    "requests_per_day_max",
    "request_time_max",
    "answer_bytes_max",
    "contact",
];

/// Keys of `kind = "telraam"`.
const TELRAAM_KEYS: &[&str] = &["segments", "advanced", "geometry"];

/// Keys of `kind = "sensor-community"`.
const SENSOR_COMMUNITY_KEYS: &[&str] = &["area", "box", "country", "archive", "archive_url"];

/// Kinds that are planned.
pub(super) const LATER_KINDS: &[&str] = &["poll"];
