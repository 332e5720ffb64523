//! The empty checkpoint that lets the MQTT 5 client resume a broker session it knows nothing of.
//!
//! The library refuses `session_present` without local session state, because a client that publishes must know its
//! packet ids in flight. This client only subscribes: its local state is empty by definition, and what must survive
//! (the DUP window) is in the journal.

use std::pin::Pin;

use rumqttc::{
    PersistedAckMode, PersistedSession, SessionStore, SessionStoreError, SessionStoreKey,
};

/// The library's own alias is not public.
type SessionStoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

/// A store that always holds an empty session and keeps nothing.
#[derive(Debug)]
pub(super) struct Resumable {
    session: PersistedSession,
}

impl Resumable {
    /// `outgoing_max` must be the client's own limit: the library compares it.
    pub(super) fn new(client_id: &str, outgoing_max: u16) -> Self {
        let session = PersistedSession {
            format_version: 1,
            client_id: client_id.to_owned(),
            clean_start: false,
            session_expiry_interval: None,
            outgoing_inflight_upper_limit: Some(outgoing_max),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Self { session }
    }
}

impl SessionStore for Resumable {
    fn load<'a>(
        &'a self,
        _key: &'a SessionStoreKey,
    ) -> SessionStoreFuture<'a, Option<PersistedSession>> {
        Box::pin(async { Ok(Some(self.session.clone())) })
    }

    fn save<'a>(
        &'a self,
        _key: &'a SessionStoreKey,
        _session: &'a PersistedSession,
    ) -> SessionStoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _key: &'a SessionStoreKey) -> SessionStoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
