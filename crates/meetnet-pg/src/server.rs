//! The listener: accepts connections within limits and ends them in time.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use meetnet_model::network::{ClientCounts, Network};
use meetnet_query::{QueryService, accepted};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::connection::{self, farewell};
use crate::error::{PgError, state};
use crate::login::{Door, Refused};
use crate::options::{PgLimits, PgOptions};

/// Connections without a place at a time: they are told so once they have said what they want, and cancel requests need no place.
const REFUSING_MAX: usize = 64;
const REFUSING_TIME_MAX: Duration = Duration::from_secs(2);

/// Serves the datasets of `service` until `shutdown` completes and running statements are done.
///
/// # Errors
/// Only where the listener itself is unusable; errors of single connections are logged at debug.
pub async fn serve(
    listener: TcpListener,
    service: QueryService,
    options: PgOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    listener.local_addr()?;
    let limits = options.limits;
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let counts = ClientCounts::new(limits.connections_per_client_max);
    let mut refusing = Refusing::default();
    let door = Arc::new(Door::new(options));
    let (stop_sender, stop) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let attempt = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            attempt = listener.accept() => attempt,
        };
        let Some((stream, peer)) = accepted(attempt).await else {
            continue;
        };
        let peer = peer.ip();
        // One client with all that it may have takes no place of others, not even for a moment.
        let entered = match counts.enter(peer) {
            Some(slot) => match Arc::clone(&permits).try_acquire_owned() {
                Ok(permit) => Ok((slot, permit)),
                Err(_) => Err(too_many("there", limits.connections_max)),
            },
            None => Err(too_many(
                "from you there",
                limits.connections_per_client_max,
            )),
        };
        let refused = match entered {
            Ok(place) => {
                count("accepted");
                let (door, service, stop) = (Arc::clone(&door), service.clone(), stop.clone());
                connections.spawn(async move {
                    let open = Open::new();
                    serve_one(stream, peer, &door, service, limits, stop).await;
                    drop((open, place));
                });
                continue;
            }
            Err(refused) => refused,
        };
        let client = Network::of(peer);
        refusing.make_room();
        let door = Arc::clone(&door);
        let task = connections.spawn(async move {
            let turned_away = door.turned_away(Box::new(stream), refused);
            let turned_away = timeout(REFUSING_TIME_MAX, turned_away).await;
            if !matches!(turned_away, Ok(None)) {
                count("refused");
            }
            if let Ok(Some(refused)) = turned_away {
                let Refused { mut wire, end } = *refused;
                farewell(&mut wire, end).await;
            }
        });
        refusing.tasks.push_back((client, task));
    }
    drop(listener);
    drop(stop_sender);
    let drained = timeout(limits.drain_time_max, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        warn!(
            connections = connections.len(),
            "cut off connections of PostgreSQL clients whose statements did not end in time"
        );
        service.cut_off();
        connections.shutdown().await;
    }
    Ok(())
}

/// Connections for which there is no place, the oldest first.
///
/// Who wants to cancel says so with its first bytes. Who says nothing must not keep that away from others, so where there are too
/// many, the oldest of the client that has most of them gives way to the next one. No client has a limit of its own: one that has
/// all its connections open may cancel what they do all at once.
#[derive(Default)]
struct Refusing {
    tasks: VecDeque<(Network, AbortHandle)>,
}

impl Refusing {
    /// Makes room for one more connection.
    fn make_room(&mut self) {
        self.tasks.retain(|(_, task)| !task.is_finished());
        if self.tasks.len() < REFUSING_MAX {
            return;
        }
        let mut counts: HashMap<Network, usize> = HashMap::new();
        for (client, _) in &self.tasks {
            *counts.entry(*client).or_default() += 1;
        }
        let most = counts.values().copied().max();
        let has_most = |(client, _): &(Network, AbortHandle)| counts.get(client).copied() == most;
        let oldest = self.tasks.iter().position(has_most);
        if let Some((_, task)) = oldest.and_then(|oldest| self.tasks.remove(oldest)) {
            task.abort();
            count("dropped");
        }
    }
}

fn too_many(whose: &str, most: usize) -> PgError {
    PgError::fatal(
        state::CONNECTIONS,
        format!("{whose} are {most} connections already, which is the most; try again later"),
    )
}

async fn serve_one(
    stream: TcpStream,
    peer: IpAddr,
    door: &Door,
    service: QueryService,
    limits: PgLimits,
    mut stop: watch::Receiver<()>,
) {
    // Answers are written in few large pieces; waiting for more to send would only delay the small ones.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "failed to set TCP_NODELAY");
    }
    let entering = timeout(limits.login_time_max, door.enter(Box::new(stream), peer));
    let entered = tokio::select! {
        entered = entering => entered,
        // The sender is only ever dropped.
        _ = stop.changed() => return,
    };
    match entered {
        Ok(Ok(Some(admitted))) => connection::serve(admitted, service, limits, stop).await,
        Ok(Ok(None)) => {}
        Ok(Err(refused)) => {
            let Refused { mut wire, end } = *refused;
            farewell(&mut wire, end).await;
        }
        Err(_elapsed) => debug!("a client did not log in in time"),
    }
}

fn count(result: &'static str) {
    metrics::counter!("meetnet_pg_connections_total", "result" => result).increment(1);
}

/// Counts a connection as long as it lives, also when its task is aborted.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("meetnet_pg_connections").increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("meetnet_pg_connections").decrement(1.0);
    }
}

#[cfg(test)]
mod tests;
