//! From the first byte to a session: cancel requests, TLS, startup, and who it is.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use meetnet_access::ANONYMOUS;
use meetnet_query::postgres::setting;
use meetnet_query::{Client, Protocol};
use pgwire::messages::response::{ReadyForQuery, SslResponse, TransactionStatus};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey,
};
use tokio_rustls::TlsAcceptor;

use crate::cancel::{CancelHandle, Connections};
use crate::error::{PgError, state};
use crate::frontend::{Frontend, Opening, sasl_initial};
use crate::options::PgOptions;
use crate::scram::{Exchange, MECHANISM, ScramError, Verifier};
use crate::wire::{End, Stream, Wire};

/// The one database. Clients that name none ask for one with the name of the user.
const DATABASE: &str = "meetnet";
/// Another name of [`ANONYMOUS`], where nobody has it: psqlODBC looks for tables in the schema of the user's name for ever where they
/// are not there and that is the schema that everybody has.
const ANONYMOUS_TOO: &str = "anonymous";
/// Version 3.0 as its number in messages.
const PROTOCOL: i32 = 3 << 16;
/// First messages that may come before the startup: TLS, and GSS, which is refused.
const OPENINGS_MAX: usize = 3;
/// Settings that clients are told at the start, as PostgreSQL calls them.
const REPORTED: [&str; 12] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "standard_conforming_strings",
    "TimeZone",
];

/// Decides who may come in.
pub(crate) struct Door {
    options: PgOptions,
    verifiers: HashMap<String, Verifier>,
    /// From which the salts of users are made that do not exist.
    secret: [u8; 32],
    pub(crate) connections: Arc<Connections>,
}

/// A client that wants to come in.
struct Opened {
    wire: Wire,
    is_encrypted: bool,
    minor: u32,
    parameters: BTreeMap<String, String>,
}

/// A client that is in.
pub(crate) struct Admitted {
    pub(crate) wire: Wire,
    /// Whose queries they are.
    pub(crate) client: Client,
    pub(crate) cancel: CancelHandle,
    /// What it has set at the start.
    pub(crate) settings: Vec<(String, String)>,
}

impl Door {
    pub(crate) fn new(options: PgOptions) -> Self {
        let verifiers = options.access.users.iter();
        let verifiers = verifiers.map(|user| (user.name.clone(), Verifier::new(&user.password)));
        Self {
            verifiers: verifiers.collect(),
            options,
            secret: rand::random(),
            connections: Arc::default(),
        }
    }

    /// Lets a client in; None where it only wanted to cancel something.
    pub(crate) async fn enter(
        &self,
        stream: Box<dyn Stream>,
        peer: IpAddr,
    ) -> Result<Option<Admitted>, Box<Refused>> {
        let Some(opened) = self.opened(stream).await? else {
            return Ok(None);
        };
        let Opened {
            mut wire,
            is_encrypted,
            minor,
            parameters,
        } = opened;
        let from = Origin { peer, is_encrypted };
        match self.begin(&mut wire, from, minor, parameters).await {
            Ok((client, cancel, settings)) => Ok(Some(Admitted {
                wire,
                client,
                cancel,
                settings,
            })),
            Err(end) => Err(refused(wire, end)),
        }
    }

    /// Hears a client for whom there is no place, as far as it can be told why; None where it only wanted to cancel something, which
    /// needs no place: who has no connection left could not stop any of its statements otherwise.
    pub(crate) async fn turned_away(
        &self,
        stream: Box<dyn Stream>,
        error: PgError,
    ) -> Option<Box<Refused>> {
        match self.opened(stream).await {
            Ok(None) => None,
            Ok(Some(opened)) => Some(refused(opened.wire, error.into())),
            Err(refused) => Some(refused),
        }
    }

    /// Reads what comes before a login; None where a client only wanted to cancel something. Whoever asks for TLS expects yes or no,
    /// and does not show its user what else is said: that has to wait for the startup.
    async fn opened(&self, stream: Box<dyn Stream>) -> Result<Option<Opened>, Box<Refused>> {
        let mut wire = Wire::new(stream, self.options.limits);
        let mut is_encrypted = false;
        for _ in 0..OPENINGS_MAX {
            let opening = match wire.opening().await {
                Ok(opening) => opening,
                Err(end) => return Err(refused(wire, end)),
            };
            match opening {
                Opening::Cancel { id, secret } => {
                    self.connections.cancel(id, secret);
                    wire.close().await;
                    return Ok(None);
                }
                Opening::Ssl if !is_encrypted && self.options.access.tls.is_some() => {
                    wire = self.encrypted(wire).await?;
                    is_encrypted = true;
                }
                Opening::Ssl | Opening::Gss => {
                    let sent = match wire.put(&SslResponse::Refuse) {
                        Ok(()) => wire.send().await,
                        Err(end) => Err(end),
                    };
                    if let Err(end) = sent {
                        return Err(refused(wire, end));
                    }
                }
                Opening::Startup { minor, parameters } => {
                    return Ok(Some(Opened {
                        wire,
                        is_encrypted,
                        minor,
                        parameters,
                    }));
                }
            }
        }
        let end = PgError::protocol("too many messages before the startup").into();
        Err(refused(wire, end))
    }

    async fn encrypted(&self, mut wire: Wire) -> Result<Wire, Box<Refused>> {
        let accepted = match wire.put(&SslResponse::Accept) {
            Ok(()) => wire.send().await,
            Err(end) => Err(end),
        };
        if let Err(end) = accepted {
            return Err(refused(wire, end));
        }
        let limits = self.options.limits;
        let gone = |stream: Box<dyn Stream>| refused(Wire::new(stream, limits), End::Gone);
        let nowhere = || gone(Box::new(tokio::io::empty()));
        let stream = wire.into_stream().ok_or_else(nowhere)?;
        let Some(config) = &self.options.access.tls else {
            return Err(gone(stream));
        };
        let accepted = TlsAcceptor::from(Arc::clone(config)).accept(stream).await;
        let stream = accepted.map_err(|_| nowhere())?;
        Ok(Wire::new(Box::new(stream), limits))
    }

    async fn begin(
        &self,
        wire: &mut Wire,
        from: Origin,
        minor: u32,
        parameters: BTreeMap<String, String>,
    ) -> Result<(Client, CancelHandle, Vec<(String, String)>), End> {
        let unknown = parameters.keys().filter(|name| name.starts_with("_pq_."));
        let unknown: Vec<String> = unknown.cloned().collect();
        if minor > 0 || !unknown.is_empty() {
            wire.put(&NegotiateProtocolVersion::new(PROTOCOL, unknown))?;
        }
        if self.options.tls_required && !from.is_encrypted {
            let message = "connections are accepted with TLS only; set sslmode=require";
            return Err(PgError::fatal(state::LOGIN, message).into());
        }
        let user = parameters.get("user").map_or("", String::as_str);
        let client = self.authenticate(wire, from, user).await?;
        let database = parameters.get("database").map_or(user, String::as_str);
        // psql and others ask for one with the name of the user, if they are told nothing.
        if database != DATABASE && database != user {
            let message = format!("there is no database `{database}`; there is `{DATABASE}`");
            return Err(PgError::fatal(state::DATABASE, message).into());
        }
        wire.put(&Authentication::Ok)?;
        for name in REPORTED {
            let value = setting(name).unwrap_or_default().to_owned();
            wire.put(&ParameterStatus::new(name.to_owned(), value))?;
        }
        let cancel = self.connections.add();
        wire.put(&BackendKeyData::new(
            cancel.id,
            SecretKey::I32(cancel.secret),
        ))?;
        Ok((client, cancel, settings(&parameters)))
    }

    /// Finds out whose queries they are.
    async fn authenticate(&self, wire: &mut Wire, from: Origin, user: &str) -> Result<Client, End> {
        let is_taken =
            || self.options.keys.named(user).is_some() || self.verifiers.contains_key(user);
        let is_anonymous = user == ANONYMOUS || user == ANONYMOUS_TOO && !is_taken();
        if self.options.access.anonymous && is_anonymous {
            return Ok(Client::of_address(Protocol::Postgres, Some(from.peer)));
        }
        if self.options.keys.named(user).is_some() {
            return self.key_holder(wire, from, user).await;
        }
        if self.verifiers.is_empty() {
            let message = format!(
                "there is no user `{user}`; anybody may read as the user `{ANONYMOUS}`, without a password"
            );
            return Err(PgError::fatal(state::LOGIN, message).into());
        }
        let verifier = self.verifiers.get(user).cloned();
        let verifier = verifier.unwrap_or_else(|| Verifier::of_nobody(&self.secret, user));
        wire.put(&Authentication::SASL(vec![MECHANISM.to_owned()]))?;
        wire.send().await?;
        let (mechanism, first) = sasl_initial(password(wire).await?)?;
        if mechanism != MECHANISM {
            return Err(PgError::protocol(format!("there is no mechanism `{mechanism}`")).into());
        }
        let failed = |error: ScramError| match error {
            ScramError::Malformed => PgError::protocol("a message of SCRAM cannot be read"),
            ScramError::WrongPassword => wrong_password(user),
        };
        let (exchange, answer) = Exchange::begin(verifier, &first).map_err(failed)?;
        wire.put(&Authentication::SASLContinue(answer.into()))?;
        wire.send().await?;
        let last = password(wire).await?;
        let proof = exchange.finish(&last).map_err(failed)?;
        wire.put(&Authentication::SASLFinal(proof.into()))?;
        Ok(Client::of_user(Protocol::Postgres, user))
    }

    /// Asks for an API key. Only its digest is known here, so it is sent as it is: not where others could read it.
    async fn key_holder(&self, wire: &mut Wire, from: Origin, user: &str) -> Result<Client, End> {
        if !from.is_encrypted && !from.peer.to_canonical().is_loopback() {
            let message =
                format!("the key of `{user}` is sent as it is: connect with TLS, sslmode=require");
            return Err(PgError::fatal(state::LOGIN, message).into());
        }
        wire.put(&Authentication::CleartextPassword)?;
        wire.send().await?;
        let body = password(wire).await?;
        let key = body.strip_suffix(&[0]).unwrap_or(&body);
        let key = std::str::from_utf8(key).unwrap_or_default();
        match self.options.keys.find(key) {
            Some(key) if &*key.name == user => Ok(Client::of_key(Protocol::Postgres, key)),
            _ => Err(wrong_password(user).into()),
        }
    }
}

/// Where a connection comes from, and how.
#[derive(Clone, Copy, Debug)]
struct Origin {
    peer: IpAddr,
    is_encrypted: bool,
}

fn wrong_password(user: &str) -> PgError {
    metrics::counter!("meetnet_pg_logins_failed_total").increment(1);
    let message = format!("password authentication failed for user `{user}`");
    PgError::fatal(state::PASSWORD, message)
}

/// A client that does not come in, and why.
pub(crate) struct Refused {
    pub(crate) wire: Wire,
    pub(crate) end: End,
}

fn refused(wire: Wire, end: End) -> Box<Refused> {
    Box::new(Refused { wire, end })
}

/// Says that the next message may come.
pub(crate) async fn ready(wire: &mut Wire, transaction: TransactionStatus) -> Result<(), End> {
    wire.put(&ReadyForQuery::new(transaction))?;
    wire.send().await
}

async fn password(wire: &mut Wire) -> Result<Bytes, End> {
    match wire.message().await? {
        Frontend::Password(body) => Ok(body),
        Frontend::Terminate => Err(End::Gone),
        _ => Err(PgError::protocol("a password was expected").into()),
    }
}

/// Returns the settings of a startup message, those in `options` (`-c name=value`) too.
fn settings(parameters: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (name, value) in parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            name if name.starts_with("_pq_.") => {}
            "options" => settings.extend(options(value)),
            name => settings.push((name.to_lowercase(), value.clone())),
        }
    }
    settings
}

fn options(text: &str) -> Vec<(String, String)> {
    let words = text.split_whitespace().filter(|word| *word != "-c");
    let pairs = words.filter_map(|word| {
        let word = word
            .strip_prefix("--")
            .or_else(|| word.strip_prefix("-c"))
            .unwrap_or(word);
        let (name, value) = word.split_once('=')?;
        Some((name.replace('-', "_").to_lowercase(), value.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests;
