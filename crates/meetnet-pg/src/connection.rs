//! One connection after its login: messages in, answers out, until it ends.

use std::time::Duration;

use meetnet_query::QueryService;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{PgError, state};
use crate::frontend::Frontend;
use crate::login::{Admitted, ready};
use crate::options::PgLimits;
use crate::session::Session;
use crate::wire::{End, Wire};

/// How long somebody who is sent away may take to read why.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves one client until it leaves, breaks the protocol, or is silent for too long; on `stop`, until its exchange ends.
pub(crate) async fn serve(
    admitted: Admitted,
    service: QueryService,
    limits: PgLimits,
    mut stop: watch::Receiver<()>,
) {
    let Admitted {
        mut wire,
        client,
        cancel,
        settings,
    } = admitted;
    let mut session = Session::new(service.for_client(client), cancel, limits);
    let end = match begin(&mut session, &mut wire, settings).await {
        Ok(()) => exchanges(&mut session, &mut wire, limits, &mut stop).await,
        Err(end) => end,
    };
    // What it had running makes room at once, however long the client takes to leave.
    drop(session);
    farewell(&mut wire, end).await;
}

/// Tells a client why its connection ends, where it still listens, and closes it.
pub(crate) async fn farewell(wire: &mut Wire, end: End) {
    if let End::Told(error) = end
        && wire.put(&error.response()).is_ok()
    {
        // It is gone, or it is not: either way that was all.
        let _ = timeout(FAREWELL_TIME_MAX, wire.send()).await;
    }
    wire.close().await;
}

async fn begin(
    session: &mut Session,
    wire: &mut Wire,
    settings: Vec<(String, String)>,
) -> Result<(), End> {
    for (name, value) in settings {
        // What cannot be set at the start ends the connection, as in PostgreSQL.
        session.set(&name, Some(&value), wire).map_err(fatal)?;
    }
    session.begun();
    ready(wire, session.transaction()).await
}

fn fatal(end: End) -> End {
    match end {
        End::Told(error) => End::Told(PgError {
            is_fatal: true,
            ..error
        }),
        End::Gone => End::Gone,
    }
}

/// Answers messages; returns why that ended.
async fn exchanges(
    session: &mut Session,
    wire: &mut Wire,
    limits: PgLimits,
    stop: &mut watch::Receiver<()>,
) -> End {
    // After an error everything is skipped up to the next Sync.
    let mut skips = false;
    loop {
        let message = tokio::select! {
            message = timeout(limits.idle_time_max, wire.message()) => message,
            // The sender is only ever dropped.
            _ = stop.changed() => {
                return PgError::fatal(state::SHUTDOWN, "the service is shutting down").into();
            }
        };
        let message = match message {
            Ok(Ok(message)) => message,
            Ok(Err(end)) => return end,
            Err(_elapsed) => {
                let seconds = limits.idle_time_max.as_secs();
                let message = format!("the connection was silent for {seconds} s");
                return PgError::fatal(state::IDLE, message).into();
            }
        };
        // Until the answer has gone out: what cancels it then comes too late, and means no other.
        let answering = session.answering();
        let answered = match message {
            Frontend::Terminate => return End::Gone,
            Frontend::Sync => {
                skips = false;
                session.synchronized();
                ready(wire, session.transaction()).await
            }
            Frontend::Query(sql) => {
                skips = false;
                let answered = session.simple(&sql, wire).await;
                let answered = told(answered, session, wire);
                session.synchronized();
                match answered {
                    Ok(_) => ready(wire, session.transaction()).await,
                    Err(end) => Err(end),
                }
            }
            _ if skips => Ok(()),
            message => {
                let answered = extended(message, session, wire).await;
                match told(answered, session, wire) {
                    Ok(false) => wire.send_much().await,
                    Ok(true) => {
                        skips = true;
                        // Some wait for the error before they send Sync.
                        wire.send().await
                    }
                    Err(end) => Err(end),
                }
            }
        };
        drop(answering);
        if let Err(end) = answered {
            return end;
        }
    }
}

/// Answers a message of the extended protocol.
async fn extended(message: Frontend, session: &mut Session, wire: &mut Wire) -> Result<(), End> {
    match message {
        Frontend::Parse { name, sql, types } => session.parse(name, &sql, &types, wire).await,
        Frontend::Bind(bind) => session.bind(bind, wire),
        Frontend::Describe(target, name) => session.describe_target(target, &name, wire),
        Frontend::Execute { portal, rows_max } => session.execute(&portal, rows_max, wire).await,
        Frontend::Close(target, name) => session.close(target, &name, wire),
        Frontend::Flush => wire.send().await,
        Frontend::Copy => Ok(()),
        Frontend::Password(_) => Err(PgError::protocol("nobody asked for a password").into()),
        // Answered before they come here.
        Frontend::Query(_) | Frontend::Sync | Frontend::Terminate => Ok(()),
    }
}

/// Tells the client of an error that does not end the connection. Returns true where there was one.
fn told(answered: Result<(), End>, session: &mut Session, wire: &mut Wire) -> Result<bool, End> {
    match answered {
        Ok(()) => Ok(false),
        Err(End::Told(error)) if !error.is_fatal => {
            session.failed();
            wire.put(&error.response())?;
            Ok(true)
        }
        Err(end) => Err(end),
    }
}
