//! Which keys of `[[source]]` belong to one kind only, and the kinds that this version does not have yet.

/// Keys of `kind = "mqtt"` alone.
pub(super) const MQTT_KEYS: &[&str] = &[
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

/// Keys of `kind = "http"` alone.
pub(super) const HTTP_KEYS: &[&str] = &[
    "token",
    "database",
    "station",
    "path",
    "requests_per_second_max",
];

/// Kinds of this version.
pub(super) const KINDS: &[&str] = &["mqtt", "http"];
/// Kinds that are planned.
pub(super) const LATER_KINDS: &[&str] = &[
    "telraam",
    "poll",
    "sensor-community",
    "opensensemap",
    "ircel",
];
