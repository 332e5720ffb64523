//! Starts and stops all sources together.
//!
//! Stopping is in order: take nothing more, wait for the sync of what was taken, acknowledge it, disconnect. The journal
//! must outlive the sources: stop it after [`Handles::stopped`].

use std::collections::HashMap;
use std::io;

use meetnet_model::ids::SourceId;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::http::{self, PushState, push_router};
use crate::mqtt::{self, MqttSource, OptionsError, SourceHandle};
use crate::poll::{PollHandle, PollOptionsError, PollSource, Polling, Prepared};

#[cfg(test)]
mod tests;

/// The push listener: bound already, so that a taken port is found before anything starts.
pub struct PushServer {
    /// Where it listens.
    pub listener: TcpListener,
    /// What it works with.
    pub state: PushState,
}

/// Why the sources were not started; none is running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A source's options cannot work.
    #[error("source `{source_id}`")]
    Options {
        /// The source.
        source_id: SourceId,
        /// What is wrong with it.
        source: OptionsError,
    },
    /// A polled source's options cannot work.
    #[error("source `{source_id}`")]
    Poll {
        /// The source.
        source_id: SourceId,
        /// What is wrong with it.
        source: PollOptionsError,
    },
    /// Two sources would throw each other out at the broker.
    #[error(
        "sources `{first}` and `{second}` use the same client id at {broker}: give one its own `client_id`"
    )]
    SharedClientId {
        /// One of them.
        first: SourceId,
        /// The other.
        second: SourceId,
        /// The broker.
        broker: String,
    },
}

/// The running sources.
#[derive(Debug)]
pub struct Handles {
    mqtt: Vec<SourceHandle>,
    polls: Vec<PollHandle>,
    push: Option<JoinHandle<io::Result<()>>>,
}

/// Starts every source; they run until `shutdown` is cancelled.
///
/// # Errors
/// [`StartError`] when one cannot work; then none is started.
pub fn start(
    sources: Vec<MqttSource>,
    polled: Vec<PollSource>,
    push: Option<PushServer>,
    shutdown: &CancellationToken,
) -> Result<Handles, StartError> {
    let options_error = |source_id: &SourceId, source| StartError::Options {
        source_id: source_id.clone(),
        source,
    };
    let poll_error = |source_id: &SourceId, source| StartError::Poll {
        source_id: source_id.clone(),
        source,
    };
    let mut client_ids = HashMap::new();
    for source in &sources {
        source
            .options
            .filters()
            .map_err(|error| options_error(&source.id, error))?;
        let broker = source.options.url.to_string();
        let key = (broker.clone(), source.options.client_id.clone());
        if let Some(first) = client_ids.insert(key, source.id.clone()) {
            return Err(StartError::SharedClientId {
                first,
                second: source.id.clone(),
                broker,
            });
        }
    }
    let mut prepared = Vec::with_capacity(polled.len());
    for source in polled {
        let id = source.id.clone();
        let source = Prepared::new(source, Polling::Live);
        prepared.push(source.map_err(|error| poll_error(&id, error))?);
    }
    let mut running = Vec::with_capacity(sources.len());
    for source in sources {
        let id = source.id.clone();
        let handle =
            mqtt::spawn(source, shutdown.clone()).map_err(|error| options_error(&id, error))?;
        running.push(handle);
    }
    let spawn = |source: Prepared| source.spawn(shutdown.clone());
    let polls = prepared.into_iter().map(spawn).collect();
    let push = push.map(|server| tokio::spawn(serve(server, shutdown.clone())));
    Ok(Handles {
        mqtt: running,
        polls,
        push,
    })
}

async fn serve(server: PushServer, shutdown: CancellationToken) -> io::Result<()> {
    let PushServer { listener, state } = server;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "push endpoint listening");
    }
    state.listening();
    let connections_max = state.limits().connections_max;
    let served = http::serve(
        listener,
        push_router(state.clone()),
        connections_max,
        shutdown,
    )
    .await;
    state.stopped();
    served
}

impl Handles {
    /// Waits until every source has stopped after the token was cancelled.
    pub async fn stopped(self) {
        for source in self.mqtt {
            source.join().await;
        }
        for source in self.polls {
            source.join().await;
        }
        let Some(push) = self.push else { return };
        match push.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "push endpoint failed"),
            Err(error) => error!(%error, "push endpoint ended abnormally"),
        }
    }
}
