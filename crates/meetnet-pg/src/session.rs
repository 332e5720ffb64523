//! What a connection remembers between messages: prepared statements, portals, settings and its transaction; and how each
//! statement is answered.
//!
//! A transaction changes nothing here: each statement reads the newest snapshot, and nothing is ever written. Clients open
//! them all the same, so that their state is kept as PostgreSQL would keep it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use meetnet_model::ids::LicenceId;
use meetnet_model::readable::counted;
use meetnet_query::postgres::{PgScalar, PgStatement, PgType, statements};
use meetnet_query::{Dialect, QueryAnswer, QueryRequest, QueryService, positional};
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, TransactionStatus};

use crate::cancel::{Answering, CancelHandle};
use crate::command::Command;
use crate::error::{PgError, state};
use crate::frontend::{Bind, Target};
use crate::options::PgLimits;
use crate::parameter;
use crate::portal::{FieldType, Portal, Progress, interruptible, row_description};
use crate::values::Format;
use crate::wire::{End, Wire};

mod commands;

/// What tells the type of a parameter to nobody.
const UNKNOWN_OID: u32 = 705;

/// What one statement is.
#[derive(Clone, Debug)]
enum Action {
    /// Nothing but space and comments.
    Empty,
    Command(Command),
    Query(String),
}

impl Action {
    fn of(statement: &PgStatement) -> Result<Self, PgError> {
        Ok(match Command::of(statement)? {
            Some(Command::Show(name)) if name == "all" => Self::Query(
                "SELECT name, setting, short_desc AS description FROM pg_settings".to_owned(),
            ),
            Some(command) => Self::Command(command),
            None => Self::Query(statement.text.trim().to_owned()),
        })
    }

    fn ends_transaction(&self) -> bool {
        matches!(self, Self::Command(command) if command.ends_transaction())
    }
}

/// A statement with a name.
#[derive(Debug)]
struct Prepared {
    action: Action,
    parameters: Vec<PgType>,
    /// None: it answers no rows.
    fields: Option<Vec<FieldType>>,
    /// Of all that is kept of it.
    bytes: usize,
}

/// A statement with values.
enum Bound {
    Empty,
    /// With the formats of what it answers, and the values of the query within.
    Command(Box<Command>, Vec<i16>, Vec<ArrayRef>),
    Query(Box<Portal>),
    /// As a query, made by DECLARE.
    Cursor(Box<Portal>, bool),
}

impl Bound {
    fn portal(&mut self) -> Option<&mut Portal> {
        match self {
            Self::Query(portal) | Self::Cursor(portal, _) => Some(portal),
            _ => None,
        }
    }
}

/// See the module's own words.
pub(crate) struct Session {
    service: QueryService,
    cancel: CancelHandle,
    limits: PgLimits,
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Bound>,
    settings: BTreeMap<String, String>,
    statement_time_max: Option<Duration>,
    /// Under which licences rows are answered; none: all.
    licences: Option<BTreeSet<LicenceId>>,
    /// What that goes back to: a pool that tidies a connection up does not lift what its owner has asked for.
    licences_at_start: Option<BTreeSet<LicenceId>>,
    transaction: TransactionStatus,
}

impl Session {
    pub(crate) fn new(service: QueryService, cancel: CancelHandle, limits: PgLimits) -> Self {
        Self {
            service,
            cancel,
            limits,
            statements: HashMap::new(),
            portals: HashMap::new(),
            settings: BTreeMap::new(),
            statement_time_max: None,
            licences: None,
            licences_at_start: None,
            transaction: TransactionStatus::Idle,
        }
    }

    /// Says that what has been set until now was set at the start.
    pub(crate) fn begun(&mut self) {
        self.licences_at_start = self.licences.clone();
    }

    pub(crate) fn transaction(&self) -> TransactionStatus {
        self.transaction
    }

    /// Begins the answer to a message: what cancels it counts until what is returned is dropped.
    pub(crate) fn answering(&self) -> Answering {
        self.cancel.answering()
    }

    /// Notes that a statement has failed.
    pub(crate) fn failed(&mut self) {
        if self.transaction == TransactionStatus::Transaction {
            self.transaction = TransactionStatus::Error;
        }
    }

    /// Ends what lives no longer than one exchange: outside a transaction, every portal that is not held.
    pub(crate) fn synchronized(&mut self) {
        if self.transaction == TransactionStatus::Idle {
            self.portals
                .retain(|_, bound| matches!(bound, Bound::Cursor(_, true)));
        }
    }

    /// Answers the statements of a simple query.
    pub(crate) async fn simple(&mut self, sql: &str, wire: &mut Wire) -> Result<(), End> {
        self.check_length(sql)?;
        let statements = statements(sql).map_err(PgError::from)?;
        if statements.is_empty() {
            return wire.put(&EmptyQueryResponse::new());
        }
        for statement in &statements {
            let action = Action::of(statement)?;
            self.check_transaction(action.ends_transaction())?;
            match action {
                Action::Empty => wire.put(&EmptyQueryResponse::new())?,
                Action::Command(command) => self.command(&command, true, &[], &[], wire).await?,
                Action::Query(sql) => {
                    // The answer says what it is like: nothing is planned twice.
                    let request = self.request(&sql, Vec::new());
                    let (answer, fields) = ask(&self.service, &self.cancel, request, wire).await?;
                    let mut portal = Portal::running(answer, fields);
                    wire.put(&portal.description()?)?;
                    let done = portal
                        .execute(&self.service, wire, &self.cancel, None)
                        .await?;
                    wire.put(&tag("SELECT", done.rows()))?;
                }
            }
        }
        Ok(())
    }

    /// Prepares a statement.
    pub(crate) async fn parse(
        &mut self,
        name: String,
        sql: &str,
        types: &[u32],
        wire: &mut Wire,
    ) -> Result<(), End> {
        self.check_length(sql)?;
        let statements = statements(sql).map_err(PgError::from)?;
        let action = match statements.as_slice() {
            [] => Action::Empty,
            [statement] => Action::of(statement)?,
            _ => {
                let message = "a prepared statement is one statement; send the others on their own";
                return Err(PgError::new(state::SYNTAX, message).into());
            }
        };
        // Nothing can be prepared at any time: some clients ask so whether a connection still stands.
        if !matches!(action, Action::Empty) {
            self.check_transaction(action.ends_transaction())?;
        }
        // The nameless one is replaced; a name is taken until it is closed.
        if name.is_empty() {
            self.statements.remove(&name);
        }
        let known = types.iter().map(|oid| known_type(*oid));
        let known = known.collect::<Result<Vec<_>, _>>()?;
        self.keep(name, action, sql.len(), known, wire).await?;
        wire.put(&ParseComplete::new())
    }

    /// Keeps a statement of so many bytes by a name. `known` are the types that its parameters are said to have.
    async fn keep(
        &mut self,
        name: String,
        action: Action,
        sql_bytes: usize,
        known: Vec<Option<PgType>>,
        wire: &mut Wire,
    ) -> Result<(), End> {
        let text_bytes = name.len() + sql_bytes;
        self.check_room(&name, text_bytes)?;
        let (parameters, fields) = match &action {
            Action::Query(sql) => {
                let request = self.request(sql, Vec::new());
                let (parameters, fields) =
                    describe(&self.service, &self.cancel, request, known, wire).await?;
                (parameters, Some(fields))
            }
            // It answers no rows; its query has values all the same.
            Action::Command(Command::Declare { query, .. }) => {
                let request = self.request(query, Vec::new());
                let (parameters, _) =
                    describe(&self.service, &self.cancel, request, known, wire).await?;
                (parameters, None)
            }
            Action::Command(command) => (Vec::new(), self.fields(command)),
            Action::Empty => (Vec::new(), None),
        };
        // Few letters can make many columns, and `$65535` is one of as many parameters.
        let fields_bytes = fields.iter().flatten().map(FieldType::bytes);
        let bytes = text_bytes + size_of_val(parameters.as_slice()) + fields_bytes.sum::<usize>();
        self.check_room(&name, bytes)?;
        let prepared = Prepared {
            action,
            parameters,
            fields,
            bytes,
        };
        self.statements.insert(name, Arc::new(prepared));
        Ok(())
    }

    fn check_length(&self, sql: &str) -> Result<(), PgError> {
        // Before it is taken apart: the service checks each statement for itself.
        let most = self.service.options().sql_bytes_max;
        if sql.len() <= most {
            return Ok(());
        }
        Err(PgError::new(
            state::LIMIT,
            format!(
                "the statement has {} bytes; at most {most} are read",
                sql.len()
            ),
        ))
    }

    fn check_room(&self, name: &str, more: usize) -> Result<(), PgError> {
        if self.statements.contains_key(name) {
            return Err(PgError::new(
                state::STATEMENT_EXISTS,
                format!("there is a prepared statement `{name}` already; close it first"),
            ));
        }
        let bytes: usize = self.statements.values().map(|known| known.bytes).sum();
        let is_full = self.statements.len() >= self.limits.statements_max
            || bytes + more > self.limits.statement_bytes_max;
        if is_full {
            return Err(PgError::new(
                state::LIMIT,
                format!(
                    "one connection may have {} prepared statements of {} bytes together; close some",
                    self.limits.statements_max, self.limits.statement_bytes_max
                ),
            ));
        }
        Ok(())
    }

    /// After an error nothing is done in a transaction but what ends it, nor said but what needs no tables.
    fn check_transaction(&self, is_possible: bool) -> Result<(), PgError> {
        if self.transaction != TransactionStatus::Error || is_possible {
            return Ok(());
        }
        Err(PgError::new(
            state::FAILED_TRANSACTION,
            "the transaction has failed; end it with ROLLBACK",
        ))
    }

    /// Puts values into a prepared statement.
    pub(crate) fn bind(&mut self, bind: Bind, wire: &mut Wire) -> Result<(), End> {
        let prepared = Arc::clone(self.statement(&bind.statement)?);
        self.check_transaction(prepared.action.ends_transaction())?;
        if bind.portal.is_empty() {
            self.portals.remove(&bind.portal);
        }
        self.check_portal(&bind.portal)?;
        if bind.values.len() != prepared.parameters.len() {
            let (given, wanted) = (bind.values.len(), prepared.parameters.len());
            return Err(PgError::new(
                state::PROTOCOL,
                format!(
                    "the statement takes {}, not {given}",
                    counted(wanted as u64, "parameter")
                ),
            )
            .into());
        }
        let values = bind.values.iter().zip(&prepared.parameters).enumerate();
        let values = values.map(|(position, (value, pg_type))| {
            let format = Format::of(&bind.formats, position)?;
            parameter::read(value.as_deref(), *pg_type, format)
        });
        let values = values.collect::<Result<Vec<_>, PgError>>()?;
        let bound = match &prepared.action {
            Action::Empty => Bound::Empty,
            Action::Command(command) => {
                Bound::Command(Box::new(command.clone()), bind.result_formats, values)
            }
            Action::Query(sql) => {
                let request = self.request(sql, values);
                let fields = prepared.fields.clone().unwrap_or_default();
                let portal = Portal::new(request, fields, bind.result_formats);
                // Formats are checked now, before anything runs.
                portal.description()?;
                Bound::Query(Box::new(portal))
            }
        };
        self.portals.insert(bind.portal, bound);
        wire.put(&BindComplete::new())
    }

    fn check_portal(&self, name: &str) -> Result<(), PgError> {
        if self.portals.contains_key(name) {
            return Err(PgError::new(
                state::EXISTS,
                format!("there is a cursor `{name}` already; close it first"),
            ));
        }
        if self.portals.len() >= self.limits.portals_max {
            let most = self.limits.portals_max;
            return Err(PgError::new(
                state::LIMIT,
                format!("one connection may have {most} cursors and portals; close some"),
            ));
        }
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<&Arc<Prepared>, PgError> {
        self.statements.get(name).ok_or_else(|| {
            PgError::new(
                state::STATEMENT_NAME,
                format!("there is no prepared statement `{name}`"),
            )
        })
    }

    /// Says what a statement takes, and what it or a portal answers.
    pub(crate) fn describe_target(
        &self,
        target: Target,
        name: &str,
        wire: &mut Wire,
    ) -> Result<(), End> {
        let described = match target {
            Target::Statement => {
                let prepared = self.statement(name)?;
                self.check_transaction(prepared.fields.is_none())?;
                let oids = prepared.parameters.iter().map(|pg_type| pg_type.oid());
                wire.put(&ParameterDescription::new(oids.collect()))?;
                let fields = prepared.fields.as_ref();
                fields
                    .map(|fields| row_description(fields, &[]))
                    .transpose()?
            }
            Target::Portal => match self.portals.get(name) {
                None => return Err(no_cursor(name).into()),
                Some(Bound::Empty) => None,
                Some(Bound::Command(command, formats, _)) => {
                    let fields = self.fields(command);
                    self.check_transaction(fields.is_none())?;
                    fields
                        .map(|fields| row_description(&fields, formats))
                        .transpose()?
                }
                Some(Bound::Query(portal) | Bound::Cursor(portal, _)) => {
                    self.check_transaction(false)?;
                    Some(portal.description()?)
                }
            },
        };
        match described {
            Some(description) => wire.put(&description),
            None => wire.put(&NoData::new()),
        }
    }

    /// Runs a portal, or goes on with it.
    pub(crate) async fn execute(
        &mut self,
        name: &str,
        rows_max: u32,
        wire: &mut Wire,
    ) -> Result<(), End> {
        let rows_max = (rows_max > 0).then_some(u64::from(rows_max));
        let Some(mut bound) = self.portals.remove(name) else {
            return Err(no_cursor(name).into());
        };
        let result = self.run(&mut bound, rows_max, wire).await;
        self.portals.insert(name.to_owned(), bound);
        result
    }

    /// Does what a statement with values says.
    async fn run(
        &mut self,
        bound: &mut Bound,
        rows_max: Option<u64>,
        wire: &mut Wire,
    ) -> Result<(), End> {
        match bound {
            Bound::Empty => wire.put(&EmptyQueryResponse::new()),
            Bound::Command(command, formats, values) => {
                self.check_transaction(command.ends_transaction())?;
                self.command(command, false, formats, values, wire).await
            }
            Bound::Query(portal) | Bound::Cursor(portal, _) => {
                self.check_transaction(false)?;
                let progress = portal
                    .execute(&self.service, wire, &self.cancel, rows_max)
                    .await?;
                match progress {
                    Progress::Suspended(_) => wire.put(&PortalSuspended::new()),
                    Progress::Complete(rows) => wire.put(&tag("SELECT", rows)),
                }
            }
        }
    }

    /// Forgets a statement or a portal; one that is not there is no error.
    pub(crate) fn close(&mut self, target: Target, name: &str, wire: &mut Wire) -> Result<(), End> {
        match target {
            Target::Statement => drop(self.statements.remove(name)),
            Target::Portal => drop(self.portals.remove(name)),
        }
        wire.put(&CloseComplete::new())
    }

    fn request(&self, sql: &str, parameters: Vec<ArrayRef>) -> QueryRequest {
        QueryRequest {
            dialect: Dialect::Postgres,
            parameters: positional(parameters),
            licences: self.licences.clone(),
            time_max: self.statement_time_max,
            ..QueryRequest::public(sql)
        }
    }
}

/// Runs a query; returns its answer and the columns of that.
async fn ask(
    service: &QueryService,
    cancel: &CancelHandle,
    request: QueryRequest,
    wire: &mut Wire,
) -> Result<(QueryAnswer, Vec<FieldType>), End> {
    let answer = interruptible(wire, cancel, service.query(request)).await?;
    let answer = answer.map_err(PgError::from)?;
    wire.state_answer(&answer)?;
    for hint in &answer.hints {
        wire.notice(hint)?;
    }
    let fields = fields_of(&answer.schema);
    Ok((answer, fields))
}

/// Returns the types of a query's parameters, and its columns.
async fn describe(
    service: &QueryService,
    cancel: &CancelHandle,
    request: QueryRequest,
    known: Vec<Option<PgType>>,
    wire: &mut Wire,
) -> Result<(Vec<PgType>, Vec<FieldType>), End> {
    let types = known.iter().map(|known| known.map(parameter::arrow));
    let described = service.describe(request, types.collect());
    let described = interruptible(wire, cancel, described).await?;
    let described = described.map_err(PgError::from)?;
    let parameters = described.parameters.iter().enumerate();
    let parameters = parameters.map(|(position, found)| {
        let named = known.get(position).copied().flatten();
        let found = found.as_ref().map(PgType::of_parameter);
        let of_digits = |scalar| PgType {
            scalar,
            is_array: found.is_some_and(|found| found.is_array),
        };
        let is_number = named.is_none_or(|named| named == of_digits(PgScalar::Numeric));
        // Whoever says that it is a number would not have it lose digits either.
        if is_number && described.digits.contains(&position) {
            return of_digits(PgScalar::Digits);
        }
        named.or(found).unwrap_or(PgType::TEXT)
    });
    Ok((parameters.collect(), fields_of(&described.schema)))
}

fn fields_of(schema: &SchemaRef) -> Vec<FieldType> {
    let fields = schema.fields().iter().map(|field| FieldType {
        name: field.name().clone(),
        pg_type: PgType::of_field(field),
    });
    fields.collect()
}

fn known_type(oid: u32) -> Result<Option<PgType>, PgError> {
    if oid == 0 || oid == UNKNOWN_OID {
        return Ok(None);
    }
    PgType::of_oid(oid).map(Some).ok_or_else(|| {
        PgError::new(
            state::UNSUPPORTED,
            format!("there is no type with the OID {oid} here; cast the parameter to another"),
        )
    })
}

fn no_cursor(name: &str) -> PgError {
    PgError::new(
        state::CURSOR_NAME,
        format!("there is no cursor or portal `{name}`"),
    )
}

fn tag(command: &str, rows: u64) -> CommandComplete {
    CommandComplete::new(format!("{command} {rows}"))
}
