//! The events and errors of both client libraries as signals and link errors: what happened, and what a person can do.

use std::error::Error;
use std::{fmt, io};

use rumqttc as v5;
use rumqttc::tokio_rustls::rustls::{self, CertificateError};
use rumqttc_v4 as v4;

use super::{LinkError, Signal};
use crate::mqtt::flow::Publish;

pub(super) fn five_signal(event: v5::Event) -> Signal {
    match event {
        v5::Event::Incoming(v5::Packet::Publish(publish)) => Signal::Publish(Publish {
            topic: publish.topic,
            payload: publish.payload,
            packet_id: publish.pkid,
            dup: publish.dup,
            retain: publish.retain,
        }),
        v5::Event::Outgoing(v5::Outgoing::PubAck(packet_id)) => Signal::AckLeft(packet_id),
        v5::Event::Outgoing(v5::Outgoing::PingReq) => Signal::PingLeft,
        v5::Event::Incoming(v5::Packet::PingResp) => Signal::PingAnswered,
        v5::Event::Outgoing(v5::Outgoing::Unsubscribe(_)) => Signal::ProbeLeft,
        v5::Event::Incoming(v5::Packet::UnsubAck(_)) => Signal::ProbeAnswered,
        v5::Event::Incoming(v5::Packet::ConnAck(ack)) => Signal::Connected {
            session_present: ack.session_present,
        },
        v5::Event::Incoming(v5::Packet::SubAck(ack)) => {
            let refusal = |code: &v5::SubscribeReasonCode| match code {
                v5::SubscribeReasonCode::Success(_) => None,
                code => Some(format!("{code:?}")),
            };
            Signal::Subscribed(ack.return_codes.iter().map(refusal).collect())
        }
        v5::Event::Outgoing(v5::Outgoing::Disconnect) => Signal::DisconnectLeft,
        _ => Signal::Other,
    }
}

pub(super) fn three_signal(event: v4::Event) -> Signal {
    match event {
        v4::Event::Incoming(v4::Packet::Publish(publish)) => Signal::Publish(Publish {
            topic: publish.topic,
            payload: publish.payload,
            packet_id: publish.pkid,
            dup: publish.dup,
            retain: publish.retain,
        }),
        v4::Event::Outgoing(v4::Outgoing::PubAck(packet_id)) => Signal::AckLeft(packet_id),
        v4::Event::Outgoing(v4::Outgoing::PingReq) => Signal::PingLeft,
        v4::Event::Incoming(v4::Packet::PingResp) => Signal::PingAnswered,
        v4::Event::Outgoing(v4::Outgoing::Unsubscribe(_)) => Signal::ProbeLeft,
        v4::Event::Incoming(v4::Packet::UnsubAck(_)) => Signal::ProbeAnswered,
        v4::Event::Incoming(v4::Packet::ConnAck(ack)) => Signal::Connected {
            session_present: ack.session_present,
        },
        v4::Event::Incoming(v4::Packet::SubAck(ack)) => {
            let refusal = |code: &v4::SubscribeReasonCode| match code {
                v4::SubscribeReasonCode::Success(_) => None,
                v4::SubscribeReasonCode::Failure => Some("Failure".to_owned()),
            };
            Signal::Subscribed(ack.return_codes.iter().map(refusal).collect())
        }
        v4::Event::Outgoing(v4::Outgoing::Disconnect) => Signal::DisconnectLeft,
        _ => Signal::Other,
    }
}

pub(super) fn five_error(error: &v5::ConnectionError, connected: bool) -> LinkError {
    use v5::ConnectReturnCode as Code;
    use v5::{ConnectionError, StateError};
    let maybe_protocol = !connected
        && matches!(
            error,
            ConnectionError::ConnectionRefused(
                Code::UnsupportedProtocolVersion
                    | Code::RefusedProtocolVersion
                    | Code::MalformedPacket
                    | Code::ProtocolError
            ) | ConnectionError::MqttState(
                StateError::Deserialization(_) | StateError::ConnectionAborted
            ) | ConnectionError::NotConnAck(_)
        );
    let message = match error {
        ConnectionError::ConnectionRefused(code) => refused(code),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => {
            let reason = reason_string.as_deref().unwrap_or("no reason given");
            let hint = match reason_code {
                v5::DisconnectReasonCode::SessionTakenOver => {
                    "; another client uses this client id: every daemon needs its own"
                }
                _ => "",
            };
            format!("the broker closed the connection: {reason_code:?} ({reason}){hint}")
        }
        error => broken(error, connected),
    };
    LinkError {
        message,
        maybe_protocol,
    }
}

pub(super) fn three_error(error: &v4::ConnectionError, connected: bool) -> LinkError {
    use v4::{ConnectionError, StateError};
    let maybe_protocol = !connected
        && matches!(
            error,
            ConnectionError::ConnectionRefused(v4::ConnectReturnCode::RefusedProtocolVersion)
                | ConnectionError::MqttState(
                    StateError::Deserialization(_) | StateError::ConnectionAborted
                )
                | ConnectionError::NotConnAck(_)
        );
    let message = match error {
        ConnectionError::ConnectionRefused(code) => refused(code),
        error => broken(error, connected),
    };
    LinkError {
        message,
        maybe_protocol,
    }
}

fn refused(reason: &impl fmt::Debug) -> String {
    format!(
        "the broker refused the connection: {reason:?}; check user name, password and the client id's rights"
    )
}

fn broken(error: &(dyn Error + 'static), connected: bool) -> String {
    let place = if connected {
        "the connection broke"
    } else {
        "cannot connect"
    };
    let mut message = format!("{place}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !message.contains(&cause_text) {
            message = format!("{message}: {cause_text}");
        }
        source = cause.source();
    }
    message + certificate_hint(error)
}

/// Returns what to do where the broker's certificate was refused.
fn certificate_hint(error: &(dyn Error + 'static)) -> &'static str {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An I/O error does not name what it wraps among its sources.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|wrapped| wrapped.downcast_ref());
        match wrapped.or_else(|| error.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => {
                return "; `tls_ca` must hold the authority that signed the broker's certificate";
            }
            Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => return "; the host in `url` must be a name in the broker's certificate",
            _ => cause = error.source(),
        }
    }
    ""
}
