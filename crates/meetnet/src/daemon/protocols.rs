//! The listeners that answer queries, each in its protocol: PostgreSQL's, Flight SQL, and HTTP with its pages.

use std::io;

use meetnet_publish::{
    FiguresCache, PublishSettings, PublishState, Readiness, ServeLimits, SharedDeclarations,
    public_router, serve_behind,
};
use meetnet_query::QueryService;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::access;
use super::listeners::{Addresses, Listeners};
use crate::config::{Config, Secrets};
use crate::failure::Failure;

/// What they are served with.
pub(super) struct Protocols<'a> {
    pub(super) config: &'a Config,
    pub(super) secrets: &'a Secrets,
    pub(super) declarations: &'a SharedDeclarations,
    pub(super) readiness: &'a Readiness,
    /// Where all of them listen.
    pub(super) addresses: &'a Addresses,
    /// One for all: its limits are of the machine, not of a listener.
    pub(super) query: &'a QueryService,
    /// Ends them.
    pub(super) stop: &'a CancellationToken,
}

impl Protocols<'_> {
    /// Serves those that are configured on the threads of `answers`; returns what the pages know of the datasets' quality.
    ///
    /// # Errors
    /// `Usage` where certificate and key of one do not make TLS.
    pub(super) fn serve(
        &self,
        listeners: &mut Listeners,
        servers: &mut JoinSet<io::Result<()>>,
        answers: &Handle,
    ) -> Result<FiguresCache, Failure> {
        let config = self.config;
        let (keys, stop_time_max) = (&config.api_keys, config.limits.stop_time_max);
        if let (Some(pg), Some(listener)) = (&config.pg, listeners.pg.take()) {
            let options = access::pg_options(pg, keys.clone(), self.secrets, stop_time_max)?;
            let serve = meetnet_pg::serve(listener, self.query.clone(), options, self.stopped());
            servers.spawn_on(serve, answers);
        }
        if let (Some(flight), Some(listener)) = (&config.flight, listeners.flight.take()) {
            let options =
                access::flight_options(flight, keys.clone(), self.secrets, stop_time_max)?;
            let serve =
                meetnet_flight::serve(listener, self.query.clone(), options, self.stopped());
            servers.spawn_on(serve, answers);
        }
        let (Some(http), Some(listener)) = (&config.http, listeners.http.take()) else {
            return Ok(FiguresCache::default());
        };
        let (pg, flight) = (&config.pg, &config.flight);
        let settings = PublishSettings {
            pg: access::told_of(self.addresses.pg, pg.as_ref().map(|pg| &pg.access)),
            flight: access::told_of(
                self.addresses.flight,
                flight.as_ref().map(|flight| &flight.access),
            ),
            ..http.settings.clone()
        };
        let state = PublishState::new(
            self.query.clone(),
            SharedDeclarations::clone(self.declarations),
            self.readiness.clone(),
            settings,
        );
        let figures = state.figures();
        let limits = ServeLimits {
            drain_time_max: stop_time_max,
            ..http.limits
        };
        let clients = http.settings.clients.clone();
        let router = public_router(state);
        let query = self.query.clone();
        let before_cut = move || query.cut_off();
        let serve = serve_behind(
            listener,
            router,
            limits,
            clients,
            self.stopped(),
            before_cut,
        );
        servers.spawn_on(serve, answers);
        Ok(figures)
    }

    fn stopped(&self) -> WaitForCancellationFutureOwned {
        self.stop.clone().cancelled_owned()
    }
}
