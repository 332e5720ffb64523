//! Listening sockets, all bound before anything else starts.

use std::net::SocketAddr;

use anyhow::Context;
use meetnet_lake::journal::{FolderLock, JournalError};
use tokio::net::TcpListener;

use super::Role;
use crate::config::Config;
use crate::failure::Failure;

/// The bound sockets of a daemon.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) http: Option<TcpListener>,
    pub(crate) ingest_http: Option<TcpListener>,
    pub(crate) admin: Option<TcpListener>,
    pub(crate) pg: Option<TcpListener>,
    pub(crate) flight: Option<TcpListener>,
}

/// Where a daemon listens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) http: Option<SocketAddr>,
    pub(crate) ingest_http: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) pg: Option<SocketAddr>,
    pub(crate) flight: Option<SocketAddr>,
}

impl Listeners {
    /// Binds what the role needs of the configured addresses. `[admin] listen` belongs to the process that writes; a
    /// separate `serve` has `serve_listen`, so that both can share one file.
    ///
    /// # Errors
    /// Names the section and the address that cannot be had.
    pub(crate) async fn bind(config: &Config, role: Role) -> anyhow::Result<Self> {
        let mut listeners = Self::default();
        if let Some(http) = config.http.as_ref().filter(|_| role.reads()) {
            listeners.http = Some(bind("[http] listen", http.listen).await?);
        }
        if let Some(pg) = config.pg.as_ref().filter(|_| role.reads()) {
            listeners.pg = Some(bind("[pg] listen", pg.listen).await?);
        }
        if let Some(flight) = config.flight.as_ref().filter(|_| role.reads()) {
            listeners.flight = Some(bind("[flight] listen", flight.listen).await?);
        }
        if let Some(ingest) = config.ingest_http.as_ref().filter(|_| role.writes()) {
            listeners.ingest_http = Some(bind("[ingest_http] listen", ingest.listen).await?);
        }
        if let Some(admin) = &config.admin {
            if role.writes() {
                listeners.admin = Some(bind("[admin] listen", admin.listen).await?);
            } else if let Some(listen) = admin.serve_listen {
                listeners.admin = Some(bind("[admin] serve_listen", listen).await?);
            }
        }
        Ok(listeners)
    }

    /// Returns true where somebody can ask in SQL.
    pub(crate) fn take_queries(&self) -> bool {
        self.http.is_some() || self.pg.is_some() || self.flight.is_some()
    }

    /// Returns the addresses that the system gave.
    pub(crate) fn addresses(&self) -> Addresses {
        let address = |listener: &Option<TcpListener>| listener.as_ref()?.local_addr().ok();
        Addresses {
            http: address(&self.http),
            ingest_http: address(&self.ingest_http),
            admin: address(&self.admin),
            pg: address(&self.pg),
            flight: address(&self.flight),
        }
    }
}

/// Says why a daemon does not start whose addresses cannot be had. The second one of a configuration meets the ports of the
/// first: whoever stops "the program that uses the port" should know that it is the same one, and which.
pub(super) fn refused(error: anyhow::Error, config: &Config, role: Role) -> Failure {
    let dir = &config.journal.dir;
    match FolderLock::holder(dir).filter(|_| role.writes()) {
        Some(holder) => Failure::usage(JournalError::Locked {
            dir: dir.clone(),
            holder,
        }),
        None => Failure::Usage(error),
    }
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address} for {key}; stop the program that uses the port, or choose another"
        )
    })
}
