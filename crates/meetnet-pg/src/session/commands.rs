//! Commands to a session: what each of them changes, and its answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use bytes::{BufMut, BytesMut};
use meetnet_model::readable::counted;
use meetnet_query::postgres::{PgExecute, PgPrepare, PgType, SETTINGS, USER, setting, statements};
use meetnet_query::{QueryRequest, SessionKind, licences};
use pgwire::messages::data::DataRow;
use pgwire::messages::response::{CommandComplete, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;

use super::{Action, Bound, Session, ask, describe, no_cursor, tag};
use crate::command::copy::CopyFormat;
use crate::command::{Command, duration, is_utf8};
use crate::copy::CopyWriter;
use crate::error::{PgError, state};
use crate::parameter;
use crate::portal::{FieldType, Portal, Progress, interruptible, row_description};
use crate::wire::{End, Wire};

/// Settings that a client may give values of its own.
const SETTINGS_MAX: usize = 64;
const SETTING_BYTES_MAX: usize = 1024;
/// The setting that restricts answers to rows under some licences.
const LICENCE: &str = "meetnet.licence";
const STATEMENT_TIMEOUT: &str = "statement_timeout";
/// The columns that SHOW ALL answers.
const ALL_SHOWN: [&str; 3] = ["name", "setting", "description"];

impl Session {
    /// Returns the columns that a command answers; None: it answers no rows.
    pub(super) fn fields(&self, command: &Command) -> Option<Vec<FieldType>> {
        match command {
            Command::Show(name) => Some(vec![shown(name)]),
            Command::ShowAll => Some(Vec::from(ALL_SHOWN.map(shown))),
            Command::Execute(execute) => self.statements.get(&execute.name)?.fields.clone(),
            Command::Fetch { name, .. } => match self.portals.get(name)? {
                Bound::Query(portal) | Bound::Cursor(portal, _) => Some(portal.fields.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Does what a command says. `describes`: rows are announced, as a simple query wants it. `values` are those of the query
    /// within a command.
    pub(super) async fn command(
        &mut self,
        command: &Command,
        describes: bool,
        formats: &[i16],
        values: &[ArrayRef],
        wire: &mut Wire,
    ) -> Result<(), End> {
        let tag = match command {
            Command::Begin => {
                if self.transaction == TransactionStatus::Idle {
                    self.transaction = TransactionStatus::Transaction;
                }
                "BEGIN"
            }
            Command::Commit => match self.end_transaction() {
                TransactionStatus::Error => "ROLLBACK",
                _ => "COMMIT",
            },
            Command::Rollback => {
                self.end_transaction();
                "ROLLBACK"
            }
            Command::Savepoint(tag) => {
                self.savepoint(tag)?;
                *tag
            }
            Command::Set { name, value } => {
                self.set(name, value.as_deref(), wire)?;
                "SET"
            }
            Command::Reset(name) => {
                self.set(name, None, wire)?;
                "RESET"
            }
            Command::ResetAll => {
                self.reset_all();
                "RESET"
            }
            Command::DiscardAll => {
                if self.transaction != TransactionStatus::Idle {
                    let message = "DISCARD ALL stands by itself; end the transaction first";
                    return Err(PgError::new(state::IN_TRANSACTION, message).into());
                }
                self.statements.clear();
                self.portals.clear();
                self.reset_all();
                "DISCARD ALL"
            }
            Command::Deallocate(Some(name)) => {
                self.statement(name)?;
                self.statements.remove(name);
                "DEALLOCATE"
            }
            Command::Deallocate(None) => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            Command::CloseCursor(Some(name)) => {
                self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
                "CLOSE CURSOR"
            }
            Command::CloseCursor(None) => {
                self.portals.clear();
                "CLOSE CURSOR ALL"
            }
            Command::Nothing(tag) => *tag,
            Command::Show(name) => {
                self.show(name, describes, wire)?;
                "SHOW"
            }
            Command::ShowAll => {
                self.show_all(describes, wire)?;
                "SHOW"
            }
            Command::Declare {
                name,
                query,
                is_binary,
                is_held,
            } => {
                self.declare(name, query, *is_binary, *is_held, values, wire)
                    .await?;
                "DECLARE CURSOR"
            }
            Command::Copy { query, format } => return self.copy(query, format, wire).await,
            Command::Prepare(statement) => {
                self.prepare(statement, wire).await?;
                "PREPARE"
            }
            Command::Execute(call) => {
                return self.execute_named(call, describes, formats, wire).await;
            }
            Command::Fetch { name, rows_max } => {
                return self.fetch(name, *rows_max, describes, formats, wire).await;
            }
        };
        wire.put(&CommandComplete::new(tag.to_owned()))
    }

    fn end_transaction(&mut self) -> TransactionStatus {
        let ended = std::mem::replace(&mut self.transaction, TransactionStatus::Idle);
        self.synchronized();
        ended
    }

    fn savepoint(&mut self, tag: &str) -> Result<(), PgError> {
        match self.transaction {
            TransactionStatus::Idle => Err(PgError::new(
                state::NO_TRANSACTION,
                "a savepoint stands in a transaction; BEGIN one",
            )),
            TransactionStatus::Error if tag == "ROLLBACK" => {
                self.transaction = TransactionStatus::Transaction;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn reset_all(&mut self) {
        self.settings.clear();
        self.statement_time_max = None;
        self.licences = self.licences_at_start.clone();
    }

    /// Restricts what is answered from now on to rows under some licences, by what is written as over HTTP; none: all of them.
    fn restrict(&mut self, named: &str) -> Result<(), PgError> {
        let bad = |error: meetnet_query::QueryError| PgError::new(state::BAD_VALUE, error.message);
        let named = Some(named).filter(|named| !named.trim().is_empty());
        let asked = licences(named).map_err(bad)?;
        let each = asked.iter().flatten();
        self.service
            .check_licences(SessionKind::Public, each)
            .map_err(bad)?;
        self.licences = asked;
        Ok(())
    }

    /// Gives a setting a value; also at the start of a connection.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        wire: &mut Wire,
    ) -> Result<(), End> {
        let Some(value) = value else {
            self.settings.remove(name);
            match name {
                STATEMENT_TIMEOUT => self.statement_time_max = None,
                LICENCE => self.licences = self.licences_at_start.clone(),
                _ => {}
            }
            return Ok(());
        };
        match name {
            STATEMENT_TIMEOUT => self.statement_time_max = duration(value)?,
            LICENCE => {
                self.restrict(value)?;
                return Ok(());
            }
            // Everything only reads, whatever a client would rather, and SHOW goes on saying so.
            "transaction_read_only" | "default_transaction_read_only" => return Ok(()),
            "client_encoding" => {
                if !is_utf8(value) {
                    return Err(PgError::new(
                        state::BAD_VALUE,
                        format!("texts are sent in UTF8 only, not in `{value}`"),
                    )
                    .into());
                }
                return Ok(());
            }
            "timezone" => {
                let is_utc =
                    ["utc", "gmt", "etc/utc", "z"].contains(&value.to_lowercase().as_str());
                if !is_utc {
                    let message = "times are sent in UTC, whatever the time zone of the session";
                    wire.notice(message)?;
                }
                return Ok(());
            }
            _ => {}
        }
        let is_known = self.settings.contains_key(name);
        if name.len() + value.len() > SETTING_BYTES_MAX
            || !is_known && self.settings.len() >= SETTINGS_MAX
        {
            return Err(PgError::new(
                state::LIMIT,
                format!(
                    "a session has at most {SETTINGS_MAX} settings of {SETTING_BYTES_MAX} bytes"
                ),
            )
            .into());
        }
        self.settings.insert(name.to_owned(), value.to_owned());
        if name == "application_name" {
            let status = ParameterStatus::new(name.to_owned(), value.replace('\0', " "));
            wire.put(&status)?;
        }
        Ok(())
    }

    /// Returns the value of a setting; None: there is no such one.
    fn value_of(&self, name: &str) -> Option<String> {
        match self.settings.get(name) {
            Some(value) => Some(value.clone()),
            None if name == STATEMENT_TIMEOUT => Some("0".to_owned()),
            None if name == LICENCE => {
                let named = self.licences.iter().flatten();
                let named: Vec<&str> = named.map(|id| id.as_str()).collect();
                Some(named.join(","))
            }
            None if name == "role" => Some("none".to_owned()),
            None if name == "session_authorization" => Some(USER.to_owned()),
            None => setting(name).map(str::to_owned),
        }
    }

    fn show(&self, name: &str, describes: bool, wire: &mut Wire) -> Result<(), End> {
        let value = self
            .value_of(name)
            .ok_or_else(|| PgError::new(state::SETTING, format!("there is no setting `{name}`")))?;
        if describes {
            wire.put(&row_description(&[shown(name)], &[])?)?;
        }
        let mut cell = BytesMut::new();
        put_text(&value, &mut cell);
        wire.put(&DataRow::new(cell, 1))
    }

    /// Answers every setting, in the order of their names.
    fn show_all(&self, describes: bool, wire: &mut Wire) -> Result<(), End> {
        if describes {
            wire.put(&row_description(&ALL_SHOWN.map(shown), &[])?)?;
        }
        let mut names: BTreeSet<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
        names.extend([STATEMENT_TIMEOUT, LICENCE]);
        names.extend(self.settings.keys().map(String::as_str));
        for name in names {
            let Some(value) = self.value_of(name) else {
                continue;
            };
            let mut cells = BytesMut::new();
            put_text(name, &mut cells);
            put_text(&value, &mut cells);
            // Nothing is said of what it is for.
            cells.put_i32(-1);
            wire.put(&DataRow::new(cells, 3))?;
        }
        Ok(())
    }

    /// Keeps a query by the name that it has in SQL, among those that messages have prepared.
    async fn prepare(&mut self, statement: &PgPrepare, wire: &mut Wire) -> Result<(), End> {
        let PgPrepare { name, types, query } = statement;
        let found = statements(query).map_err(PgError::from)?;
        let action = match found.as_slice() {
            [statement] => Action::of(statement)?,
            _ => Action::Empty,
        };
        if !matches!(action, Action::Query(_)) {
            let message = "PREPARE takes a query, which begins with SELECT, WITH, VALUES or TABLE";
            return Err(PgError::new(state::SYNTAX, message).into());
        }
        self.keep(name.clone(), action, query.len(), types.clone(), wire)
            .await
    }

    /// Runs a query that is kept by a name.
    async fn execute_named(
        &mut self,
        call: &PgExecute,
        describes: bool,
        formats: &[i16],
        wire: &mut Wire,
    ) -> Result<(), End> {
        let prepared = Arc::clone(self.statement(&call.name)?);
        let Action::Query(sql) = &prepared.action else {
            let message = format!("`{}` is no query; send it by itself", call.name);
            return Err(PgError::new(state::UNSUPPORTED, message).into());
        };
        let values = self
            .computed(&prepared.parameters, call.values.as_deref(), wire)
            .await?;
        let request = self.request(sql, values);
        let fields = prepared.fields.clone().unwrap_or_default();
        let mut portal = Portal::new(request, fields, formats.to_vec());
        if describes {
            wire.put(&portal.description()?)?;
        }
        let done = portal
            .execute(&self.service, wire, &self.cancel, None)
            .await?;
        wire.put(&tag("SELECT", done.rows()))
    }

    /// Computes the values of parameters, which are expressions: a query of one row, under the guard of every other.
    async fn computed(
        &mut self,
        parameters: &[PgType],
        written: Option<&str>,
        wire: &mut Wire,
    ) -> Result<Vec<ArrayRef>, End> {
        let wanted = parameters.len();
        let wrong = |given: usize| {
            let wanted = counted(wanted as u64, "value");
            let message = format!("the prepared statement takes {wanted}, not {given}");
            PgError::new(state::SYNTAX, message)
        };
        let Some(written) = written else {
            return match wanted {
                0 => Ok(Vec::new()),
                _ => Err(wrong(0).into()),
            };
        };
        let request = QueryRequest {
            row_limit: Some(1),
            ..self.request(&format!("SELECT {written}"), Vec::new())
        };
        let answer = interruptible(wire, &self.cancel, self.service.query(request)).await?;
        let mut answer = answer.map_err(PgError::from)?;
        let given = answer.schema.fields().len();
        if given != wanted {
            return Err(wrong(given).into());
        }
        let rows = interruptible(wire, &self.cancel, answer.collect()).await?;
        let rows = rows.map_err(PgError::from)?;
        let [row] = rows.as_slice() else {
            return Err(wrong(0).into());
        };
        if row.num_rows() != 1 || answer.truncated() {
            let message = "each value of EXECUTE is one value, not rows";
            return Err(PgError::new(state::SYNTAX, message).into());
        }
        let values = row.columns().iter().zip(parameters);
        let values = values.map(|(value, pg_type)| parameter::of_value(value, *pg_type));
        Ok(values.collect::<Result<Vec<_>, PgError>>()?)
    }

    /// Sends the rows of a query as data.
    async fn copy(&mut self, query: &str, format: &CopyFormat, wire: &mut Wire) -> Result<(), End> {
        let request = QueryRequest {
            // Whoever writes a file would keep the beginning of what is too long.
            whole: true,
            ..self.request(query, Vec::new())
        };
        let (answer, fields) = ask(&self.service, &self.cancel, request, wire).await?;
        let writer = CopyWriter::new(format, &fields)?;
        writer.begin(&fields, wire)?;
        let mut portal = Portal::copying(answer, fields, writer);
        let done = portal
            .execute(&self.service, wire, &self.cancel, None)
            .await?;
        portal.end_copy(wire)?;
        wire.put(&tag("COPY", done.rows()))
    }

    async fn declare(
        &mut self,
        name: &str,
        query: &str,
        is_binary: bool,
        is_held: bool,
        values: &[ArrayRef],
        wire: &mut Wire,
    ) -> Result<(), End> {
        if self.transaction == TransactionStatus::Idle && !is_held {
            return Err(PgError::new(
                state::NO_TRANSACTION,
                "a cursor lives in a transaction; BEGIN one, or declare it WITH HOLD",
            )
            .into());
        }
        self.check_portal(name)?;
        let asked = self.request(query, Vec::new());
        let known = values.iter();
        let known = known.map(|value| Some(PgType::of_arrow(value.data_type())));
        let known = known.collect();
        let (_, fields) = describe(&self.service, &self.cancel, asked, known, wire).await?;
        let request = self.request(query, values.to_vec());
        let portal = Portal::new(request, fields, vec![i16::from(is_binary)]);
        let cursor = Bound::Cursor(Box::new(portal), is_held);
        self.portals.insert(name.to_owned(), cursor);
        Ok(())
    }

    async fn fetch(
        &mut self,
        name: &str,
        rows_max: Option<u64>,
        describes: bool,
        formats: &[i16],
        wire: &mut Wire,
    ) -> Result<(), End> {
        let Some(portal) = self.portals.get_mut(name).and_then(Bound::portal) else {
            return Err(no_cursor(name).into());
        };
        // What a message asks for counts more than what DECLARE has said; a simple query asks for nothing.
        portal.send_as((!describes).then_some(formats))?;
        if describes {
            wire.put(&portal.description()?)?;
        }
        let done = match rows_max {
            Some(0) => Progress::Suspended(0),
            rows_max => {
                portal
                    .execute(&self.service, wire, &self.cancel, rows_max)
                    .await?
            }
        };
        wire.put(&tag("FETCH", done.rows()))
    }
}

/// The column that SHOW answers.
fn shown(name: &str) -> FieldType {
    FieldType {
        name: name.to_owned(),
        pg_type: PgType::TEXT,
    }
}

fn put_text(text: &str, out: &mut BytesMut) {
    out.put_i32(text.len() as i32);
    out.put_slice(text.as_bytes());
}
