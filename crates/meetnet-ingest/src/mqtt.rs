//! MQTT sources: a subscription whose publishes are acknowledged only after the journal's sync.
//!
//! ```text
//!            poll task                                   acknowledgement task
//! broker ──▶ [link] ──▶ [flow] ──▶ journal ── durable ──▶ [flow] ──▶ link ──▶ PUBACK
//!                        └─ DUP window, held publishes, epoch
//! ```
//!
//! One supervised task per source ([`spawn`]) makes a fresh client for every connection: packet ids, queued
//! acknowledgements and client state of an older connection cannot reach a newer one, by construction. QoS 1 only:
//! QoS 2 keeps client state that would have to survive crashes too, and the DUP window gives the same result.
//! It decodes nothing and knows nothing of datasets.

mod backoff;
mod flow;
mod link;
mod options;
mod retained;
mod socket;
mod source;
mod subscriptions;
mod symptoms;

pub use link::{TlsError, check_tls_identity, tls_client};
pub use options::{
    MqttOptions, OptionsError, ProtocolChoice, Qos, Retained, TlsIdentity, TlsRoots, Url,
};
pub(crate) use source::Leaving;
pub use source::{MqttSource, SourceHandle, spawn};
