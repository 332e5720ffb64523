//! Starts and stops all sources together, and exchanges them while the others go on.
//!
//! Stopping is in order: take nothing more, wait for the sync of what was taken, acknowledge it, disconnect. The journal
//! must outlive the sources: stop it after [`Handles::stopped`].
//!
//! An exchange has two halves, so that a declarations frame can stand between them: [`Handles::retire`] stops what is not
//! to go on, [`Handles::start_missing`] starts what does not run. What is the same in both configurations keeps its
//! connection.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;

use meetnet_model::ids::SourceId;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::http::{HttpServer, PushSource, PushState, push_router};
use crate::mqtt::{self, Leaving, MqttOptions, MqttSource, OptionsError, SourceHandle, Url};
use crate::poll::{PollHandle, PollOptions, PollOptionsError, PollSource, Polling, Prepared};

#[cfg(test)]
mod tests;

/// The push listener: bound already, so that a taken port is found before anything starts.
pub struct PushServer {
    /// Where it listens.
    pub listener: TcpListener,
    /// What serves it.
    pub server: HttpServer,
    /// What it works with.
    pub state: PushState,
}

/// The sources of one configuration, with their secrets.
pub struct Sources {
    /// Broker subscriptions.
    pub mqtt: Vec<MqttSource>,
    /// Polled APIs.
    pub polls: Vec<PollSource>,
    /// Push endpoints.
    pub push: Vec<PushSource>,
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

impl StartError {
    fn options(source_id: &SourceId, source: OptionsError) -> Self {
        Self::Options {
            source_id: source_id.clone(),
            source,
        }
    }

    fn poll(source_id: &SourceId, source: PollOptionsError) -> Self {
        Self::Poll {
            source_id: source_id.clone(),
            source,
        }
    }
}

impl Sources {
    /// Checks everything that can be wrong with them; starts nothing.
    ///
    /// # Errors
    /// The first thing that cannot work.
    pub fn check(&self) -> Result<(), StartError> {
        let mut client_ids = HashMap::new();
        for source in &self.mqtt {
            source
                .options
                .filters()
                .map_err(|error| StartError::options(&source.id, error))?;
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
        for source in &self.polls {
            source
                .check()
                .map_err(|error| StartError::poll(&source.id, error))?;
        }
        Ok(())
    }
}

/// What a polled source was started with.
type PollingWith = (PollOptions, Option<String>);

/// A source that runs: what it was started with, and how it is stopped.
struct Running<O, H> {
    options: O,
    handle: H,
    stop: CancellationToken,
}

/// The running sources.
pub struct Handles {
    mqtt: BTreeMap<SourceId, Running<MqttOptions, SourceHandle>>,
    polls: BTreeMap<SourceId, Running<PollingWith, PollHandle>>,
    push: Option<(PushState, JoinHandle<io::Result<()>>)>,
    /// Those that have been told to stop.
    stopping: JoinSet<()>,
    /// The sessions of broker sources that were retired, until another one has the session or its source runs again.
    retired: Vec<Session>,
    shutdown: CancellationToken,
}

/// A session at a broker that a source has had.
struct Session {
    source: SourceId,
    url: Url,
    client_id: String,
}

impl fmt::Debug for Handles {
    /// Leaves options out: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles")
            .field("mqtt", &self.mqtt.keys())
            .field("polls", &self.polls.keys())
            .finish_non_exhaustive()
    }
}

/// Starts every source; they run until `shutdown` is cancelled. `push` has the push endpoints of `sources` in its state.
///
/// # Errors
/// [`StartError`] when one cannot work; then none is started.
pub fn start(
    sources: Sources,
    push: Option<PushServer>,
    shutdown: &CancellationToken,
) -> Result<Handles, StartError> {
    sources.check()?;
    let mut handles = Handles {
        mqtt: BTreeMap::new(),
        polls: BTreeMap::new(),
        push: None,
        stopping: JoinSet::new(),
        retired: Vec::new(),
        shutdown: shutdown.clone(),
    };
    handles.start_pulling(sources.mqtt, sources.polls)?;
    handles.push = push.map(|server| {
        let state = server.state.clone();
        (state, tokio::spawn(serve(server, shutdown.clone())))
    });
    Ok(handles)
}

async fn serve(server: PushServer, shutdown: CancellationToken) -> io::Result<()> {
    let PushServer {
        listener,
        server,
        state,
    } = server;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "push endpoint listening");
    }
    state.listening();
    let served = server
        .serve(listener, push_router(state.clone()), shutdown)
        .await;
    state.stopped();
    served
}

impl Handles {
    /// Stops the sources that `next` has not, or has otherwise; returns once what they took is in the journal and
    /// acknowledged, so far as broker and disk let them. Subscriptions that `next` has not are ended at the broker. Push
    /// sources ask their senders to come again.
    ///
    /// Dropping the future loses nothing: [`Handles::stopped`] waits for the rest.
    pub async fn retire(&mut self, next: &Sources) {
        if let Some((state, _)) = &self.push {
            state.close_all_but(&next.push);
        }
        let goes_on = |id: &SourceId, options: &MqttOptions| {
            let mut same = next.mqtt.iter().filter(|source| source.id == *id);
            same.any(|source| source.options == *options)
        };
        for (id, running) in take_out(&mut self.mqtt, goes_on) {
            let after = successor(&running.options, &next.mqtt);
            running.handle.leave(leaving(&running.options, after));
            running.stop.cancel();
            self.stopping.spawn(running.handle.join());
            self.retired.push(Session {
                source: id,
                url: running.options.url,
                client_id: running.options.client_id,
            });
        }
        let goes_on = |id: &SourceId, with: &PollingWith| {
            let mut same = next.polls.iter().filter(|source| source.id == *id);
            same.any(|source| (&source.options, &source.api_key) == (&with.0, &with.1))
        };
        for running in take_out(&mut self.polls, goes_on).into_values() {
            running.stop.cancel();
            self.stopping.spawn(running.handle.join());
        }
        while self.stopping.join_next().await.is_some() {}
    }

    /// Starts the sources of `next` that do not run, and puts its push endpoints in place. Without a push listener there
    /// are none.
    ///
    /// # Errors
    /// [`StartError`] for a source that cannot work; [`Sources::check`] says so before.
    pub fn start_missing(&mut self, next: Sources) -> Result<(), StartError> {
        if let Some((state, _)) = &self.push {
            state.exchange(next.push);
        }
        self.start_pulling(next.mqtt, next.polls)
    }

    /// Starts the sources that fetch their messages, but for those that run.
    fn start_pulling(
        &mut self,
        mqtt: Vec<MqttSource>,
        polls: Vec<PollSource>,
    ) -> Result<(), StartError> {
        // Nobody runs before all can.
        let mut prepared = Vec::new();
        for source in polls {
            if self.polls.contains_key(&source.id) {
                continue;
            }
            let id = source.id.clone();
            let options = (source.options.clone(), source.api_key.clone());
            let source = Prepared::new(source, Polling::Live);
            let source = source.map_err(|error| StartError::poll(&id, error))?;
            prepared.push((id, options, source));
        }
        self.hand_over(&mqtt);
        for source in mqtt {
            if self.mqtt.contains_key(&source.id) {
                continue;
            }
            let (id, options) = (source.id.clone(), source.options.clone());
            let stop = self.shutdown.child_token();
            let handle = mqtt::spawn(source, stop.clone())
                .map_err(|error| StartError::options(&id, error))?;
            let running = Running {
                options,
                handle,
                stop,
            };
            self.mqtt.insert(id, running);
        }
        for (id, options, source) in prepared {
            let stop = self.shutdown.child_token();
            let running = Running {
                options,
                handle: source.spawn(stop.clone()),
                stop,
            };
            self.polls.insert(id, running);
        }
        Ok(())
    }

    /// Gives a source that goes on with the session of another one what that one has journalled and not seen acknowledged:
    /// the broker may deliver it once more.
    fn hand_over(&mut self, mqtt: &[MqttSource]) {
        let mut moves = Vec::new();
        for source in mqtt {
            if self.mqtt.contains_key(&source.id) {
                continue;
            }
            let options = &source.options;
            let retired = self.retired.iter().enumerate();
            let one = retired.filter(|(_, session)| {
                let before = (&session.url, session.client_id.as_str());
                is_one_session(before, session_of(options))
            });
            // As in `successor`: the very address counts before another one of the broker.
            let one = one.min_by_key(|(_, session)| session.url != options.url);
            if let Some(at) = one.map(|(at, _)| at) {
                let before = self.retired.swap_remove(at).source;
                if before != source.id {
                    moves.push((before, source.id.clone()));
                }
            }
        }
        // All sources have the same ones.
        if let Some(source) = mqtt.first() {
            source.windows.hand_over(&moves);
        }
        // A source that runs again has its window for the session that it has now.
        self.retired
            .retain(|session| mqtt.iter().all(|source| source.id != session.source));
    }

    /// Waits until every source has stopped after the token was cancelled.
    pub async fn stopped(mut self) {
        for running in self.mqtt.into_values() {
            running.handle.join().await;
        }
        for running in self.polls.into_values() {
            running.handle.join().await;
        }
        while self.stopping.join_next().await.is_some() {}
        let Some((_, push)) = self.push else { return };
        match push.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "push endpoint failed"),
            Err(error) => error!(%error, "push endpoint ended abnormally"),
        }
    }
}

/// Takes those out that do not go on.
fn take_out<O, H>(
    running: &mut BTreeMap<SourceId, Running<O, H>>,
    goes_on: impl Fn(&SourceId, &O) -> bool,
) -> BTreeMap<SourceId, Running<O, H>> {
    let all = std::mem::take(running).into_iter();
    let (kept, out) = all.partition(|(id, running)| goes_on(id, &running.options));
    *running = kept;
    out
}

/// Returns the source that goes on with the session of another one, whatever its id: a source that is renamed and keeps
/// its client id has the same session.
fn successor<'s>(before: &MqttOptions, next: &'s [MqttSource]) -> Option<&'s MqttOptions> {
    let heirs = next
        .iter()
        .map(|source| &source.options)
        .filter(|after| is_one_session(session_of(before), session_of(after)));
    heirs.min_by_key(|after| after.url != before.url)
}

/// Returns what a broker knows a session by.
fn session_of(options: &MqttOptions) -> (&Url, &str) {
    (&options.url, options.client_id.as_str())
}

/// Returns whether two connections have one session. With TLS a broker listens on another port, and has the same sessions.
fn is_one_session(one: (&Url, &str), other: (&Url, &str)) -> bool {
    let is_one_broker =
        one.0 == other.0 || (one.0.host == other.0.host && one.0.tls != other.0.tls);
    is_one_broker && one.1 == other.1
}

/// Returns what is to become of the subscriptions of a source whose session another goes on with, or nobody: the broker
/// keeps them in the session. Where nobody does, none is needed any more.
fn leaving(before: &MqttOptions, after: Option<&MqttOptions>) -> Leaving {
    // A source that runs has filters.
    let filters = before.filters().unwrap_or_default();
    let Some(after) = after else {
        return Leaving {
            filters,
            next: None,
        };
    };
    let wanted = after.filters().unwrap_or_default();
    let (kept, left): (Vec<_>, Vec<_>) = filters
        .into_iter()
        .partition(|filter| wanted.contains(filter));
    let new: Vec<String> = wanted
        .into_iter()
        .filter(|filter| !kept.contains(filter))
        .collect();
    Leaving {
        filters: left,
        next: (!new.is_empty()).then(|| (new, after.clone())),
    }
}
