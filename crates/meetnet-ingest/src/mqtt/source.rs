//! The supervised task of one MQTT source: connect, subscribe, poll, acknowledge, and come back after every failure.
//!
//! `link -> [source] -> flow -> journal`, and `journal durable -> [source] -> link`
//!
//! Two tasks per connection: one polls the event loop and never waits for anything else, one acknowledges. If polling
//! waited for the disk, keep-alive would stop and the broker would drop us exactly when the journal is behind.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::source::SourceKind;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::backoff::{Backoff, GOOD_AFTER};
use super::flow::{Flow, Received};
use super::link::{self, Link, LinkError, LinkSender, Protocol, Signal};
use super::options::{MqttOptions, OptionsError, ProtocolChoice};
use super::retained::AskedFor;
use super::subscriptions::{Ask, BROKER_DROPS_TOPIC, Subscriptions};
use super::symptoms::{BrokerDrops, InflightHint};
use crate::dup_window::{DupWindows, Question, lock};
use crate::intake::Intake;
use crate::status::{SourceState, Statuses};

/// How long a stopping source waits for the sync of what it appended.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// How long a stopping source that has sent every acknowledgement waits for the proof that the broker has read them:
/// some brokers answer no probe.
const PROOF_WAIT: Duration = Duration::from_secs(1);
/// How long a stopping source waits for the broker to take its last packets.
const DISCONNECT_WAIT: Duration = Duration::from_secs(2);
/// How often held publishes are tried again while the journal does not move.
const HELD_RETRY: Duration = Duration::from_millis(50);
/// How often the acknowledgement task looks around when nothing happens.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// Shortest time between two probes.
const PROBE_PAUSE: Duration = Duration::from_millis(250);
/// Acknowledgements that make a probe worth its packet before a second has passed.
const PROBE_WORTH: usize = 4_096;

/// What a source task needs.
pub struct MqttSource {
    /// Its id.
    pub id: SourceId,
    /// Its connection.
    pub options: MqttOptions,
    /// The journal.
    pub intake: Intake,
    /// Where its DUP window lives; already restored.
    pub windows: DupWindows,
    /// Where its state is shown.
    pub statuses: Statuses,
    /// Folder in which it is noted which retained messages were asked for. None: those that are switched on later come only
    /// with a new session.
    pub noted_in: Option<PathBuf>,
}

/// A running source.
#[derive(Debug)]
pub struct SourceHandle {
    source: SourceId,
    task: JoinHandle<()>,
    leaving: Arc<Mutex<Leaving>>,
}

/// What becomes of the subscriptions of a source when it stops: the broker keeps the session.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Filters that nobody wants any more: the broker would go on collecting for them.
    pub(crate) filters: Vec<String>,
    /// Further filters of the source that takes the session over, and how it asks for them. They are asked for before the
    /// others end: what matches an old and a new one would be collected by neither in between.
    pub(crate) next: Option<(Vec<String>, MqttOptions)>,
}

impl SourceHandle {
    /// Lets the source do this when it stops, if it is connected then.
    pub(crate) fn leave(&self, leaving: Leaving) {
        *lock(&self.leaving) = leaving;
    }

    /// Waits until the source has stopped after its token was cancelled.
    pub async fn join(self) {
        if let Err(error) = self.task.await {
            warn!(source = %self.source, %error, "mqtt source ended abnormally");
        }
    }
}

/// Starts a source; it runs until `shutdown` is cancelled, then acknowledges what it appended and disconnects.
///
/// # Errors
/// [`OptionsError`] when the options cannot work; nothing is started.
pub fn spawn(
    source: MqttSource,
    shutdown: CancellationToken,
) -> Result<SourceHandle, OptionsError> {
    let filters = source.options.filters()?;
    let id = source.id.clone();
    let status = source.statuses.register(&source.id, SourceKind::Mqtt);
    let window = source.windows.window(&source.id);
    let flow = Flow::new(
        source.id.clone(),
        &source.options,
        source.intake.clone(),
        window,
        Arc::clone(&status),
    );
    let subscriptions = Subscriptions::new(filters, source.options.watch_broker_drops);
    let noted_in = source.noted_in.as_deref();
    let retained = AskedFor::read(noted_in, &source.id, &source.options.retained);
    let leaving = Arc::<Mutex<Leaving>>::default();
    let shared = Arc::new(Shared {
        leaving: Arc::clone(&leaving),
        id: source.id,
        options: source.options,
        intake: source.intake,
        status,
        flow: Mutex::new(flow),
        subscriptions: Mutex::new(subscriptions),
        retained: Mutex::new(retained),
        wake: Notify::new(),
        shutdown,
    });
    Ok(SourceHandle {
        source: id,
        task: tokio::spawn(supervise(shared)),
        leaving,
    })
}

/// What the tasks of one source share.
struct Shared {
    id: SourceId,
    options: MqttOptions,
    intake: Intake,
    status: Arc<SourceState>,
    flow: Mutex<Flow>,
    subscriptions: Mutex<Subscriptions>,
    retained: Mutex<AskedFor>,
    /// Wakes the acknowledgement task when something may be due without a sync.
    wake: Notify,
    shutdown: CancellationToken,
    /// What is done about its subscriptions when it stops.
    leaving: Arc<Mutex<Leaving>>,
}

/// How a connection ended.
enum Ended {
    /// As asked for.
    Stopped,
    /// By an error; `connected_for` if it had been accepted.
    Failed {
        error: LinkError,
        connected_for: Option<Duration>,
    },
}

async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(shared.options.backoff_max);
    let first = match shared.options.protocol {
        ProtocolChoice::Three => Protocol::Three,
        ProtocolChoice::FiveOrThree | ProtocolChoice::Five => Protocol::Five,
    };
    let mut protocol = first;
    while !shared.shutdown.is_cancelled() {
        let ended = connection(&shared, protocol).await;
        shared.status.set_disconnected();
        lock(&shared.flow).disconnected();
        lock(&shared.subscriptions).disconnected();
        let Ended::Failed {
            error,
            connected_for,
        } = ended
        else {
            break;
        };
        shared.status.note_error(error.message.as_str());
        if connected_for.is_some_and(|lasted| lasted >= GOOD_AFTER) {
            backoff.reset();
        }
        let try_three = protocol == Protocol::Five
            && shared.options.protocol == ProtocolChoice::FiveOrThree
            && error.maybe_protocol;
        let pause = if try_three {
            Duration::ZERO
        } else {
            backoff.pause()
        };
        let pause_ms = pause.as_millis() as u64;
        warn!(source = %shared.id, broker = %shared.options.url, protocol = protocol.as_str(), %error, pause_ms, "mqtt connection ended");
        // Back to the first choice otherwise: a broker that was only restarting may speak MQTT 5.
        protocol = if try_three { Protocol::Three } else { first };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.shutdown.cancelled() => {}
        }
    }
    info!(source = %shared.id, "mqtt source stopped");
}

async fn connection(shared: &Arc<Shared>, protocol: Protocol) -> Ended {
    let (sender, mut link) = match link::open(&shared.options, protocol) {
        Ok(opened) => opened,
        Err(error) => {
            return Ended::Failed {
                error,
                connected_for: None,
            };
        }
    };
    // Connecting can be given up at any moment; from then on the poll must run through.
    let session_present = tokio::select! {
        first = accepted(&mut link) => match first {
            Ok(session_present) => session_present,
            Err(error) => return Ended::Failed { error, connected_for: None },
        },
        () = shared.shutdown.cancelled() => return Ended::Stopped,
    };
    let since = Instant::now();
    lock(&shared.flow).connected(session_present);
    lock(&shared.subscriptions).connected(session_present);
    shared
        .status
        .set_connected(protocol.as_str(), session_present);
    info!(source = %shared.id, broker = %shared.options.url, protocol = protocol.as_str(), session_present, "mqtt connected");

    let ended = CancellationToken::new();
    let acknowledging = tokio::spawn(acknowledge(
        Arc::clone(shared),
        sender,
        shared.intake.watch_durable(),
        ended.clone(),
    ));
    let stop_by = async {
        shared.shutdown.cancelled().await;
        tokio::time::sleep(STOP_WAIT + DISCONNECT_WAIT).await;
    };
    let result = tokio::select! {
        result = poll(shared, &mut link) => result,
        () = stop_by => Ok(()),
    };
    ended.cancel();
    if let Err(error) = acknowledging.await {
        warn!(source = %shared.id, %error, "acknowledgement task ended abnormally");
    }
    match result {
        Ok(()) => Ended::Stopped,
        Err(_) if shared.shutdown.is_cancelled() => Ended::Stopped,
        Err(error) => Ended::Failed {
            error,
            connected_for: Some(since.elapsed()),
        },
    }
}

/// Waits for the CONNACK; returns whether the broker has the session.
async fn accepted(link: &mut Link) -> Result<bool, LinkError> {
    loop {
        if let Signal::Connected { session_present } = link.next().await? {
            return Ok(session_present);
        }
    }
}

/// Polls until our DISCONNECT has left or the connection fails.
async fn poll(shared: &Shared, link: &mut Link) -> Result<(), LinkError> {
    let mut broker_drops = BrokerDrops::default();
    loop {
        match link.next().await? {
            Signal::Publish(publish) if publish.topic.as_ref() == BROKER_DROPS_TOPIC.as_bytes() => {
                let dropped = broker_drops.read(&publish.payload);
                if dropped > 0 {
                    report_drops(shared, dropped);
                }
            }
            Signal::Publish(publish) => {
                let received = lock(&shared.flow).receive(publish);
                match received {
                    Received::Taken | Received::Stopping => {}
                    Received::AckMayBeDue | Received::Held => shared.wake.notify_one(),
                    Received::Overrun => {
                        let message = "the journal is full and more was sent than may be held: disconnected until \
                                       there is room; the broker keeps the messages"
                            .to_owned();
                        return Err(LinkError {
                            message,
                            maybe_protocol: false,
                        });
                    }
                }
            }
            Signal::AckLeft(packet_id) => lock(&shared.flow).ack_left(packet_id),
            Signal::PingLeft => lock(&shared.flow).question_left(Question::Ping),
            Signal::PingAnswered => lock(&shared.flow).question_answered(Question::Ping),
            Signal::ProbeLeft => lock(&shared.flow).question_left(Question::Probe),
            Signal::ProbeAnswered => {
                lock(&shared.flow).question_answered(Question::Probe);
                shared.wake.notify_one();
            }
            Signal::Subscribed(refusals) => {
                let answer = lock(&shared.subscriptions).answered(&refusals, Instant::now());
                for (filter, reason) in &answer.refused {
                    warn!(source = %shared.id, filter, reason, "the broker refused a subscription");
                    shared.status.note_error(format!(
                        "the broker refused the subscription `{filter}`: {reason}; check the client's rights"
                    ));
                }
                if answer.complete {
                    if let Some(note) = lock(&shared.retained).granted() {
                        // Nobody waits for it.
                        drop(tokio::task::spawn_blocking(move || note.write()));
                    }
                    shared.status.set_subscribed();
                    info!(source = %shared.id, "mqtt subscribed");
                }
                shared.wake.notify_one();
            }
            Signal::DisconnectLeft => return Ok(()),
            Signal::Connected { .. } | Signal::Other => {}
        }
    }
}

/// Sends the acknowledgements that each sync makes due, until the connection ends or the source has stopped.
async fn acknowledge(
    shared: Arc<Shared>,
    sender: LinkSender,
    mut durable: watch::Receiver<Sequence>,
    ended: CancellationToken,
) {
    let mut due = Vec::new();
    let mut leaving = Leaving::default();
    let mut stop_by = None;
    let mut hint = InflightHint::new(shared.options.inflight_max);
    let mut probed_at = Instant::now();
    let mut drained_at = None;
    loop {
        // First, so that subscriptions are asked for at once.
        let known = *durable.borrow_and_update();
        let (holds, drained, proven, probe_worth, is_probing) = {
            let mut flow = lock(&shared.flow);
            if hint.see(flow.unacked()) {
                report_inflight(&shared);
            }
            flow.retry_held();
            flow.take_due(known, &mut due);
            (
                flow.holds(),
                flow.is_drained(),
                flow.is_proven(),
                flow.probe_worth(),
                flow.is_probing(),
            )
        };
        for packet_id in due.drain(..) {
            if sender.acknowledge(packet_id).is_err() {
                return;
            }
        }
        let since_probe = probed_at.elapsed();
        let enough = stop_by.is_some() || probe_worth >= PROBE_WORTH || since_probe >= IDLE_TICK;
        if !leaving.filters.is_empty() && !is_probing && since_probe >= PROBE_PAUSE {
            probed_at = Instant::now();
            if leave(&sender, std::mem::take(&mut leaving)).is_err() {
                return;
            }
        } else if probe_worth > 0 && enough && since_probe >= PROBE_PAUSE {
            probed_at = Instant::now();
            if sender.probe().is_err() {
                return;
            }
        }
        if let Some(stop_by) = stop_by {
            if !drained {
                drained_at = None;
            } else if drained_at.is_none() {
                drained_at = Some(Instant::now());
            }
            let waited = drained_at.is_some_and(|at| at.elapsed() >= PROOF_WAIT);
            // A DISCONNECT sent before the broker has read the acknowledgements can overtake them in effect.
            let is_done = drained && (proven || waited) && leaving.filters.is_empty();
            if is_done || Instant::now() >= stop_by {
                if !drained {
                    warn!(source = %shared.id, "stopped before the last sync: the broker will send these messages again");
                }
                // Closed already is as good.
                drop(sender.disconnect(proven));
                return;
            }
        } else if ask(&shared, &sender).is_err() {
            return;
        }
        let pause = if holds || stop_by.is_some() {
            HELD_RETRY
        } else {
            IDLE_TICK
        };
        tokio::select! {
            moved = durable.changed() => if moved.is_err() {
                shared.status.note_error("the journal has stopped");
                tokio::time::sleep(pause).await;
            },
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = ended.cancelled() => return,
            () = shared.shutdown.cancelled(), if stop_by.is_none() => {
                debug!(source = %shared.id, "mqtt source stopping");
                lock(&shared.flow).stop();
                leaving = std::mem::take(&mut *lock(&shared.leaving));
                stop_by = Some(Instant::now() + STOP_WAIT);
            }
        }
    }
}

/// Sends the packets of a source that leaves its session. What comes by the new filters is not acknowledged any more, so
/// that it comes to the next source.
fn leave(sender: &LinkSender, leaving: Leaving) -> Result<(), link::LinkClosed> {
    if let Some((filters, options)) = &leaving.next
        && !sender.repeats_retained(options)
    {
        sender.subscribe(filters, options, false)?;
    }
    sender.leave(&leaving.filters)
}

/// Sends the SUBSCRIBE that is wanted now, if any.
fn ask(shared: &Shared, sender: &LinkSender) -> Result<(), link::LinkClosed> {
    match lock(&shared.subscriptions).ask(Instant::now()) {
        None => Ok(()),
        Some(Ask::Filters(filters)) => {
            let again = lock(&shared.retained).is_due();
            sender.subscribe(&filters, &shared.options, again)
        }
        Some(Ask::Drops) => sender.subscribe_drops(BROKER_DROPS_TOPIC),
    }
}

/// Says that the broker has dropped messages, in the log and on the pages.
fn report_drops(shared: &Shared, dropped: u64) {
    shared.status.broker_dropped.add(dropped);
    warn!(source = %shared.id, dropped, "the broker reports dropped messages: see docs/mosquitto.md");
    shared.status.note_error(format!(
        "the broker dropped {dropped} messages (of all its clients): raise max_queued_messages and \
         max_inflight_messages, see docs/mosquitto.md"
    ));
}

/// Says that the broker lets few messages be in flight.
fn report_inflight(shared: &Shared) {
    warn!(source = %shared.id, "the broker keeps only 20 messages in flight: set max_inflight_messages, see docs/mosquitto.md");
    shared.status.note_error(
        "the broker keeps only 20 messages in flight, which limits how many come in a second: set \
         max_inflight_messages, see docs/mosquitto.md",
    );
}
