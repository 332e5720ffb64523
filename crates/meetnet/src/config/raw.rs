//! The sections as they are written. Values that can be wrong on their own keep their place in the text.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};

use meetnet_model::derivation::ConditionValue;
use meetnet_model::quantity::{DurationText, SizeText};
use meetnet_model::registry::WrittenDevice;
use meetnet_model::source::{
    Constant, CsvDeclaration, MapEntry, PairsDeclaration, SecretRef, Sentinel, StationUnits,
    TimeDeclaration, TimeIs, Validity, ValueRef,
};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use toml::Spanned;

/// `[lake]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lake {
    pub(super) url: Option<Spanned<String>>,
    pub(super) commit_age_max: Option<DurationText>,
    pub(super) commit_rows_max: Option<NonZeroU64>,
    pub(super) hot_bytes_max: Option<Spanned<SizeText>>,
    pub(super) stable_age_max: Option<DurationText>,
    pub(super) revised_files_max: Option<NonZeroUsize>,
    pub(super) commit_partitions_max: Option<NonZeroUsize>,
    pub(super) compaction: Option<bool>,
    pub(super) vacuum_after: Option<Spanned<DurationText>>,
    pub(super) retention_grace: Option<DurationText>,
    pub(super) poll_interval: Option<Spanned<DurationText>>,
    pub(super) scrub_every: Option<Spanned<DurationText>>,
}

/// `[s3]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct S3 {
    pub(super) endpoint: Option<Spanned<String>>,
    pub(super) region: Option<String>,
    pub(super) credentials: Option<S3CredentialsKind>,
    pub(super) access_key_id: Option<Spanned<Secret>>,
    pub(super) secret_access_key: Option<Spanned<Secret>>,
    pub(super) session_token: Option<Spanned<Secret>>,
    pub(super) allow_http: Option<bool>,
    pub(super) virtual_hosted: Option<bool>,
    pub(super) request_time_max: Option<Spanned<DurationText>>,
    pub(super) retry_time_max: Option<DurationText>,
    pub(super) retries_max: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum S3CredentialsKind {
    Keys,
    Role,
    Anonymous,
}

/// `[journal]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub(super) dir: Option<String>,
    pub(super) archive_dir: Option<String>,
    pub(super) segment_bytes_max: Option<Spanned<SizeText>>,
    pub(super) journal_bytes_max: Option<Spanned<SizeText>>,
    pub(super) pending_bytes_max: Option<Spanned<SizeText>>,
    pub(super) reserve_bytes: Option<SizeText>,
    pub(super) raw_retention: Option<DurationText>,
    pub(super) archive_bytes_max: Option<SizeText>,
    pub(super) aside_bytes_max: Option<SizeText>,
}

/// `[http]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub(super) listen: Spanned<String>,
    pub(super) public_url: Option<Spanned<String>>,
    pub(super) trusted_proxies: Option<Spanned<Vec<String>>>,
    pub(super) client_header: Option<Spanned<String>>,
    pub(super) connections_max: Option<NonZeroUsize>,
    pub(super) connections_per_client_max: Option<NonZeroUsize>,
    pub(super) header_bytes_max: Option<Spanned<SizeText>>,
    pub(super) header_time_max: Option<DurationText>,
    pub(super) stall_time_max: Option<DurationText>,
    pub(super) body_bytes_max: Option<Spanned<SizeText>>,
    pub(super) body_time_max: Option<DurationText>,
    pub(super) page_rows_max: Option<NonZeroUsize>,
    pub(super) result_cache_bytes_max: Option<Spanned<SizeText>>,
}

/// `[portal]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Portal {
    pub(super) city: Option<String>,
    pub(super) publisher: Option<String>,
    pub(super) contact: Option<Spanned<String>>,
    pub(super) zone: Option<Spanned<String>>,
    pub(super) figures_age_max: Option<DurationText>,
}

/// `[ingest_http]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IngestHttp {
    pub(super) listen: Spanned<String>,
    pub(super) body_bytes_max: Option<Spanned<SizeText>>,
    pub(super) inflated_bytes_max: Option<Spanned<SizeText>>,
    pub(super) bodies_bytes_max: Option<Spanned<SizeText>>,
    pub(super) requests_max: Option<NonZeroUsize>,
    pub(super) requests_per_client_max: Option<NonZeroUsize>,
    pub(super) trusted_proxies: Option<Spanned<Vec<String>>>,
    pub(super) client_header: Option<Spanned<String>>,
    pub(super) connections_max: Option<NonZeroUsize>,
    pub(super) connections_per_client_max: Option<NonZeroUsize>,
    pub(super) header_time_max: Option<DurationText>,
    pub(super) body_wait: Option<DurationText>,
    pub(super) body_bytes_per_second_min: Option<Spanned<SizeText>>,
    pub(super) sync_wait: Option<DurationText>,
    pub(super) outcome_wait: Option<DurationText>,
}

/// `[admin]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) serve_listen: Option<Spanned<String>>,
    pub(super) connections_max: Option<NonZeroUsize>,
    pub(super) socket: Option<Spanned<String>>,
}

/// `[pg]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pg {
    pub(super) listen: Spanned<String>,
    pub(super) anonymous: Option<Spanned<bool>>,
    pub(super) users: Option<Vec<User>>,
    pub(super) tls_cert: Option<Spanned<String>>,
    pub(super) tls_key: Option<Spanned<Secret>>,
    pub(super) tls_required: Option<Spanned<bool>>,
    pub(super) connections_max: Option<NonZeroUsize>,
    pub(super) connections_per_client_max: Option<NonZeroUsize>,
    pub(super) login_time_max: Option<DurationText>,
    pub(super) idle_time_max: Option<DurationText>,
    pub(super) stall_time_max: Option<DurationText>,
    pub(super) message_bytes_max: Option<Spanned<SizeText>>,
    pub(super) statements_max: Option<NonZeroUsize>,
    pub(super) statement_bytes_max: Option<Spanned<SizeText>>,
    pub(super) portals_max: Option<NonZeroUsize>,
}

/// `[flight]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flight {
    pub(super) listen: Spanned<String>,
    pub(super) anonymous: Option<Spanned<bool>>,
    pub(super) users: Option<Vec<User>>,
    pub(super) tls_cert: Option<Spanned<String>>,
    pub(super) tls_key: Option<Spanned<Secret>>,
    pub(super) connections_max: Option<NonZeroUsize>,
    pub(super) connections_per_client_max: Option<NonZeroUsize>,
    pub(super) login_time_max: Option<DurationText>,
    pub(super) connection_time_max: Option<DurationText>,
    pub(super) calls_max: Option<NonZeroU32>,
    pub(super) request_bytes_max: Option<Spanned<SizeText>>,
    pub(super) message_bytes_max: Option<Spanned<SizeText>>,
    pub(super) statements_max: Option<NonZeroUsize>,
    pub(super) statement_bytes_max: Option<Spanned<SizeText>>,
    pub(super) statement_time_max: Option<DurationText>,
    pub(super) token_time_max: Option<DurationText>,
}

/// One of `users` of a listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) name: Spanned<String>,
    pub(super) password: Spanned<Secret>,
}

/// `[privacy]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Privacy {
    pub(super) secret: Option<Spanned<Secret>>,
}

/// `[query]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) query_time_max: Option<DurationText>,
    pub(super) stall_time_max: Option<DurationText>,
    pub(super) answer_time_max: Option<DurationText>,
    pub(super) row_limit: Option<NonZeroUsize>,
    pub(super) answer_bytes_max: Option<SizeText>,
    pub(super) sql_bytes_max: Option<Spanned<SizeText>>,
    pub(super) memory_bytes_max: Option<Spanned<SizeText>>,
    pub(super) memory_total_bytes_max: Option<Spanned<SizeText>>,
    pub(super) client_memory_bytes_max: Option<Spanned<SizeText>>,
    pub(super) query_spill_bytes_max: Option<SizeText>,
    pub(super) spill_bytes_max: Option<SizeText>,
    pub(super) client_spill_bytes_max: Option<SizeText>,
    pub(super) spill_dir: Option<String>,
    pub(super) running_max: Option<NonZeroUsize>,
    pub(super) queued_max: Option<usize>,
    pub(super) client_running_max: Option<NonZeroUsize>,
    pub(super) client_queued_max: Option<usize>,
    pub(super) queue_time_max: Option<DurationText>,
    pub(super) metadata_cache_bytes_max: Option<Spanned<SizeText>>,
}

/// `[audit]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) dir: Option<String>,
    pub(super) retention: Option<Spanned<DurationText>>,
    pub(super) file_bytes_max: Option<Spanned<SizeText>>,
}

/// `[[api_key]]`: who holds a key, and its limits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKey {
    pub(super) name: Spanned<String>,
    pub(super) sha256: Spanned<String>,
    pub(super) running_max: Option<NonZeroUsize>,
    pub(super) queued_max: Option<usize>,
    pub(super) query_time_max: Option<DurationText>,
    pub(super) row_limit: Option<NonZeroUsize>,
    pub(super) answer_bytes_max: Option<SizeText>,
    pub(super) memory_bytes_max: Option<Spanned<SizeText>>,
    pub(super) memory_total_bytes_max: Option<Spanned<SizeText>>,
    pub(super) query_spill_bytes_max: Option<SizeText>,
    pub(super) spill_bytes_max: Option<SizeText>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) group_bytes_max: Option<Spanned<SizeText>>,
    pub(super) idle_tick: Option<DurationText>,
    pub(super) checkpoint_pause: Option<DurationText>,
    pub(super) pushes_waiting_max: Option<NonZeroUsize>,
    pub(super) stop_time_max: Option<DurationText>,
    pub(super) free_bytes_min: Option<SizeText>,
}

/// `[schemas]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schemas {
    pub(super) dir: Spanned<String>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) format: Option<LogFormat>,
    pub(super) filter: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// `[[saved_query]]`: a statement with a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedQuery {
    pub(super) name: Spanned<String>,
    pub(super) title: Option<String>,
    pub(super) sql: Spanned<String>,
}

/// `[[dataset]]`: what the city declares for a dataset that exists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dataset {
    pub(super) id: Spanned<String>,
    pub(super) licence: Option<Spanned<String>>,
    pub(super) attribution: Option<String>,
    pub(super) retention: Option<Spanned<DurationText>>,
    /// West, south, east, north.
    pub(super) bounds: Option<Spanned<[f64; 4]>>,
    /// Sensor or segment that rows of a derived dataset are compared with.
    pub(super) reference: Option<Spanned<ConditionValue>>,
    /// The agreement by which a dataset made of others may ask for less than those do.
    pub(super) permission: Option<Spanned<String>>,
}

/// `[[source]]`, of every kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) id: Spanned<String>,
    // Checked before the section is read, since other kinds have other keys.
    #[serde(rename = "kind")]
    pub(super) _kind: String,
    // What a polled API answers is known; the other kinds must say.
    pub(super) format: Option<Spanned<String>>,
    pub(super) namespace: Option<Spanned<String>>,
    pub(super) licence: Spanned<String>,
    pub(super) attribution: Option<String>,
    pub(super) permission: Option<String>,
    pub(super) topics: Option<Spanned<Vec<String>>>,
    // kind = "files"
    pub(super) files: Option<Spanned<Vec<String>>>,
    pub(super) sensor_id: Option<ValueRef>,
    #[serde(default)]
    pub(super) hardware_id: bool,
    pub(super) time: Option<TimeDeclaration>,
    pub(super) time_window: Option<TimeWindow>,
    #[serde(default)]
    pub(super) time_is: TimeIs,
    pub(super) interval_s: Option<i64>,
    #[serde(default)]
    pub(super) sentinels: Vec<Sentinel>,
    pub(super) valid: Option<Validity>,
    #[serde(default)]
    pub(super) constants: BTreeMap<String, Constant>,
    pub(super) reference_temperature: Option<f64>,
    pub(super) pairs: Option<PairsDeclaration>,
    #[serde(default)]
    pub(super) lenient: bool,
    pub(super) decimal_comma: Option<Spanned<bool>>,
    pub(super) unit_in_value: Option<Spanned<bool>>,
    pub(super) csv: Option<Spanned<CsvDeclaration>>,
    pub(super) units: Option<Spanned<StationUnits>>,
    #[serde(default)]
    pub(super) map: Vec<Spanned<MapEntry>>,
    #[serde(default)]
    pub(super) device: Vec<Spanned<WrittenDevice>>,
    pub(super) registry: Option<Spanned<String>>,
    pub(super) municipality: Option<Spanned<String>>,
    pub(super) municipalities: Option<Spanned<String>>,
    pub(super) exact_location: Option<Spanned<ExactLocation>>,
    #[serde(default)]
    pub(super) precedence: i32,
    pub(super) silent_after: Option<Spanned<DurationText>>,
    // kind = "mqtt"; `url` of polled kinds, too
    pub(super) url: Option<Spanned<String>>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Spanned<Secret>>,
    pub(super) client_id: Option<Spanned<String>>,
    pub(super) protocol: Option<Spanned<String>>,
    pub(super) qos: Option<Spanned<u8>>,
    pub(super) inflight_max: Option<NonZeroU16>,
    pub(super) envelope_bytes_max: Option<SizeText>,
    pub(super) packet_bytes_max: Option<Spanned<SizeText>>,
    pub(super) held_bytes_max: Option<Spanned<SizeText>>,
    pub(super) keep_alive: Option<DurationText>,
    pub(super) session_expiry: Option<DurationText>,
    pub(super) retained: Option<Spanned<Retained>>,
    pub(super) watch_broker_drops: Option<bool>,
    pub(super) backoff_max: Option<DurationText>,
    pub(super) tls_ca: Option<Spanned<String>>,
    pub(super) tls_cert: Option<Spanned<String>>,
    pub(super) tls_key: Option<Spanned<Secret>>,
    // kind = "http"
    pub(super) token: Option<Spanned<Secret>>,
    pub(super) database: Option<Spanned<String>>,
    pub(super) station: Option<Spanned<String>>,
    pub(super) path: Option<Spanned<String>>,
    pub(super) requests_per_second_max: Option<NonZeroU32>,
    // Kinds that are polled
    pub(super) api_key: Option<Spanned<Secret>>,
    pub(super) interval: Option<Spanned<DurationText>>,
    pub(super) reask: Option<DurationText>,
    pub(super) since: Option<Spanned<String>>,
    pub(super) request_pause: Option<DurationText>,
    pub(super) requests_per_day_max: Option<NonZeroU32>,
    pub(super) request_time_max: Option<DurationText>,
    pub(super) answer_bytes_max: Option<Spanned<SizeText>>,
    pub(super) contact: Option<String>,
    // kind = "telraam"
    pub(super) segments: Option<Spanned<Vec<i64>>>,
    pub(super) advanced: Option<bool>,
    pub(super) geometry: Option<bool>,
    // kind = "sensor-community"
    pub(super) area: Option<[f64; 3]>,
    #[serde(rename = "box")]
    pub(super) within: Option<[f64; 4]>,
    pub(super) country: Option<String>,
    pub(super) archive: Option<Vec<String>>,
    pub(super) archive_url: Option<Spanned<String>>,
    // kind = "ircel", kind = "opensensemap"
    pub(super) series: Option<Spanned<Vec<Series>>>,
    pub(super) layers: Option<Spanned<Vec<Layer>>>,
}

/// One time series of an API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Series {
    pub(super) id: String,
    pub(super) sensor: Option<String>,
    pub(super) property: Spanned<String>,
    pub(super) unit: Option<Spanned<String>>,
    pub(super) interval_s: Option<i64>,
}

/// One layer of the newest values of all stations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layer {
    pub(super) id: String,
    pub(super) property: Spanned<String>,
    pub(super) unit: Option<Spanned<String>>,
    pub(super) interval_s: Option<i64>,
}

/// Accepted times relative to the receive time.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { back = \"400d\", ahead = \"1h\" }"
)]
pub(super) struct TimeWindow {
    pub(super) back: Option<DurationText>,
    pub(super) ahead: Option<DurationText>,
    pub(super) since: Option<Spanned<String>>,
}

/// Whether places are published as they are: said by the city of what is its own, or with a reference to the consent of those
/// who live there.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "is neither true or false nor a reference; write true, or in quotes where the consent of those who live there is found"
)]
pub(super) enum ExactLocation {
    Declared(bool),
    Consent(String),
}

/// Which retained messages are taken: all, none, or those of some topics.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "is neither true or false nor a list of topics; write true, false, or the topics whose retained messages are taken"
)]
pub(super) enum Retained {
    Any(bool),
    Of(Vec<String>),
}

/// The name of a secret; a secret itself is refused.
#[derive(Debug)]
pub(super) struct Secret(pub(super) SecretRef);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretVisitor;

        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("{ env = \"NAME\" } or { file = \"path\" }")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Secret, E> {
                // The text is not repeated: messages end up in logs.
                Err(E::custom(
                    "a secret must not stand in the configuration; write { env = \"NAME\" } or { file = \"path\" }",
                ))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    let reference = match key.as_str() {
                        "env" => SecretRef::Env(map.next_value()?),
                        "file" => SecretRef::File(map.next_value()?),
                        _ => return Err(de::Error::unknown_field(&key, &["env", "file"])),
                    };
                    if found.replace(reference).is_some() {
                        return Err(de::Error::custom(
                            "name one place for a secret: `env` or `file`",
                        ));
                    }
                }
                found.map(Secret).ok_or_else(|| {
                    de::Error::custom("write { env = \"NAME\" } or { file = \"path\" }")
                })
            }
        }

        deserializer.deserialize_any(SecretVisitor)
    }
}
