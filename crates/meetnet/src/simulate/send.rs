//! The transports of a run, each with so many places for messages on their way.

use std::time::Duration;

use meetnet_demo::load::Outgoing;
use meetnet_demo::load::lane::{Lane, Transport};
use meetnet_demo::load::mqtt::{Published, Publisher};
use tokio::sync::Semaphore;

use super::http::HttpSender;

/// How long a broker may take to acknowledge a message. One that takes longer and stays connected would keep a run from ever
/// ending.
const ACKNOWLEDGE_TIME_MAX: Duration = if cfg!(test) {
    Duration::from_millis(200)
} else {
    Duration::from_secs(60)
};

/// What became of one copy of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Whoever took it has it on disk, or is a broker that says so.
    Acknowledged,
    /// It was sent, and nobody knows; with what happened.
    InDoubt(String),
    /// It was not taken, or never sent; with what was said.
    Refused(String),
    /// It was not taken, and no other one will be.
    Denied(String),
}

/// Where messages go.
pub(super) struct Senders {
    broker: Option<Broker>,
    http: Option<HttpSender>,
}

struct Broker {
    publisher: Publisher,
    places: Semaphore,
    places_max: usize,
}

impl Senders {
    /// Joins the transports; `inflight_max` messages may wait for the broker's acknowledgement.
    pub(super) fn new(
        publisher: Option<Publisher>,
        inflight_max: usize,
        http: Option<HttpSender>,
    ) -> Self {
        let broker = publisher.map(|publisher| Broker {
            publisher,
            places: Semaphore::new(inflight_max),
            places_max: inflight_max,
        });
        Self { broker, http }
    }

    /// Returns how many messages can be on their way.
    pub(super) fn places(&self) -> usize {
        let broker = self.broker.as_ref().map_or(0, |broker| broker.places_max);
        broker + self.http.as_ref().map_or(0, HttpSender::places)
    }

    /// Returns why nothing can be sent any more, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        let broker = self.broker.as_ref()?;
        broker.publisher.failure().map(str::to_owned)
    }

    /// Sends one message and waits for what becomes of it.
    pub(super) async fn send(&self, lane: Lane, outgoing: &Outgoing) -> Delivery {
        match (lane.transport, &self.broker, &self.http) {
            (Transport::Mqtt, Some(broker), _) => broker.send(outgoing).await,
            (Transport::Http, _, Some(http)) => http.send(lane, outgoing).await,
            (transport, ..) => {
                Delivery::Denied(format!("there is no {} to send over", transport.as_str()))
            }
        }
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        if let Some(broker) = self.broker {
            broker.publisher.close().await;
        }
    }
}

impl Broker {
    async fn send(&self, outgoing: &Outgoing) -> Delivery {
        let Ok(_place) = self.places.acquire().await else {
            return Delivery::Refused("not sent: the run has ended".to_owned());
        };
        let payload = outgoing.payload.clone();
        let published = self.publisher.publish(&outgoing.place, payload);
        match tokio::time::timeout(ACKNOWLEDGE_TIME_MAX, published).await {
            Ok(Published::Acknowledged) => Delivery::Acknowledged,
            Ok(Published::InDoubt) => {
                Delivery::InDoubt("the connection to the broker ended before a PUBACK".to_owned())
            }
            Ok(Published::Refused(why)) => Delivery::Refused(why),
            Err(_) => Delivery::InDoubt(format!(
                "no PUBACK came from the broker within {} s",
                ACKNOWLEDGE_TIME_MAX.as_secs_f64()
            )),
        }
    }
}

#[cfg(test)]
mod tests;
