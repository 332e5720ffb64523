//! Statements between their calls: prepared, given values, planned, run, stopped.
//!
//! ```text
//! prepare ─▶ prepared ─ bind ─▶ prepared with values ─┐
//!                                      statement ─────┴─ plan ─▶ offer (its number is the ticket) ─ run ─▶ rows
//!                                                                                                 └ cancel
//! ```

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Schema};
use arrow_flight::sql::{
    ActionCreatePreparedStatementResult, Any, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{CancelStatus, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use meetnet_model::readable::counted;
use meetnet_query::{QueryRequest, QueryService, positional};
use prost::Message;
use tonic::Status;

use crate::answer::{FlightStream, Offer};
use crate::error::{internal, of_query};
use crate::fit::wire_schema;
use crate::handles::{Bounds, Handles};
use crate::login::{Caller, Principal};
use crate::options::FlightLimits;
use crate::parameters;
use crate::scope::Scope;

/// A statement with a handle, and values for it.
#[derive(Debug)]
struct Prepared {
    owner: Principal,
    sql: String,
    /// Types of `$1`, `$2`, …; None where nothing in the statement tells.
    types: Vec<Option<DataType>>,
    values: Vec<ArrayRef>,
}

impl Prepared {
    fn bytes(&self) -> usize {
        // `$65535` alone is one of as many.
        let types = self.types.iter().flatten().map(DataType::size);
        let types = size_of_val(self.types.as_slice()) + types.sum::<usize>();
        self.sql.len() + types + bytes_of(&self.values)
    }
}

/// See the module's own words.
pub(crate) struct Statements {
    query: QueryService,
    limits: FlightLimits,
    /// Without a login nobody can push out what users have.
    of_anybody: Kept,
    of_users: Kept,
}

/// What is kept for clients.
struct Kept {
    prepared: Handles<Arc<Prepared>>,
    offers: Handles<Arc<Offer>>,
}

impl Kept {
    fn new(bounds: Bounds) -> Self {
        Self {
            prepared: Handles::new(bounds),
            offers: Handles::new(bounds),
        }
    }
}

impl Statements {
    pub(crate) fn new(query: QueryService, limits: FlightLimits) -> Self {
        let bounds = Bounds {
            count_max: limits.statements_max,
            bytes_max: limits.statement_bytes_max,
            time_max: limits.statement_time_max,
        };
        Self {
            query,
            limits,
            of_anybody: Kept::new(bounds),
            of_users: Kept::new(bounds),
        }
    }

    fn kept(&self, owner: &Principal) -> &Kept {
        match owner {
            Principal::Anybody => &self.of_anybody,
            Principal::User(_) | Principal::Key(_) => &self.of_users,
        }
    }

    /// Plans a statement, and offers its answer. It has not run. `types` are those of `values`: [`parameters::known`].
    ///
    /// # Errors
    /// As [`QueryService::describe`]; `InvalidArgument` where it takes other values.
    pub(crate) async fn plan(
        &self,
        caller: Caller,
        scope: Scope,
        sql: &str,
        values: Vec<ArrayRef>,
        types: Vec<Option<DataType>>,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let bound = values.len();
        let bytes = sql.len() + bytes_of(&values);
        let request = QueryRequest {
            parameters: positional(values),
            as_of: scope.as_of,
            licences: scope.licences,
            // Who reads a stream cannot be told that rows are left out: better before the first.
            whole: true,
            ..QueryRequest::public(sql)
        };
        let Caller { owner, client } = caller;
        let query = self.query.for_client(client);
        let described = query.describe(request.clone(), types).await;
        let described = described.map_err(of_query)?;
        let wanted = described.parameters.len();
        if wanted != bound {
            return Err(Status::invalid_argument(format!(
                "the statement takes {}, and {bound} are bound; prepare it, and bind one row of {wanted}",
                counted(wanted as u64, "value")
            )));
        }
        let offers = &self.kept(&owner).offers;
        let (offer, told) = Offer::new(owner, request, &described);
        let bytes = bytes + offer.schema_bytes();
        let id = offers.put(Arc::new(offer), bytes, Instant::now());
        let mut endpoint = endpoint(&TicketStatementQuery {
            statement_handle: Bytes::copy_from_slice(&id),
        });
        let expires = SystemTime::now() + self.limits.statement_time_max;
        let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        let expiration = endpoint
            .expiration_time
            .get_or_insert_with(Default::default);
        expiration.seconds = i64::try_from(expires.as_secs()).unwrap_or(i64::MAX);
        flight_info(&told, endpoint, descriptor)
    }

    /// Runs what a ticket was given for.
    ///
    /// # Errors
    /// As [`Offer::answer`]; `NotFound` where the ticket is another's, or not good any more.
    pub(crate) async fn run(&self, caller: Caller, ticket: &[u8]) -> Result<FlightStream, Status> {
        let Caller { owner, client } = caller;
        let offer = self.kept(&owner).offers.get(ticket, Instant::now());
        let offer = offer.filter(|offer| offer.owner == owner).ok_or_else(|| {
            Status::not_found("the ticket is not good, or not any more; ask for the answer again by GetFlightInfo")
        })?;
        let query = self.query.for_client(client);
        offer.answer(&query, self.limits.message_bytes_max).await
    }

    /// Stops what runs for the tickets of an answer, and makes them worthless.
    pub(crate) fn cancel(&self, owner: &Principal, info: &FlightInfo) -> CancelStatus {
        let tickets = info
            .endpoint
            .iter()
            .filter_map(|endpoint| endpoint.ticket.as_ref());
        let offers = &self.kept(owner).offers;
        let mut status = CancelStatus::NotCancellable;
        for ticket in tickets {
            let ticket = Any::decode(&*ticket.ticket).ok();
            let ticket = ticket.and_then(|any| any.unpack::<TicketStatementQuery>().ok()?);
            let Some(TicketStatementQuery { statement_handle }) = ticket else {
                continue;
            };
            let offer = offers.get(&statement_handle, Instant::now());
            if let Some(offer) = offer.filter(|offer| offer.owner == *owner) {
                offer.cancel();
                offers.remove(&statement_handle);
                status = CancelStatus::Cancelled;
            }
        }
        status
    }

    /// Prepares a statement; says what it takes and answers.
    ///
    /// # Errors
    /// As [`QueryService::describe`].
    pub(crate) async fn prepare(
        &self,
        caller: Caller,
        sql: String,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let Caller { owner, client } = caller;
        let request = QueryRequest::public(sql.as_str());
        let query = self.query.for_client(client);
        let described = query.describe(request, Vec::new()).await;
        let described = described.map_err(of_query)?;
        let dataset_schema = schema_bytes(&wire_schema(&described.schema))?;
        let parameter_schema = schema_bytes(&parameters::schema(&described.parameters))?;
        let kept = &self.kept(&owner).prepared;
        let prepared = Prepared {
            owner,
            sql,
            types: described.parameters,
            values: Vec::new(),
        };
        let bytes = prepared.bytes();
        let id = kept.put(Arc::new(prepared), bytes, Instant::now());
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: Bytes::copy_from_slice(&id),
            dataset_schema,
            parameter_schema,
        })
    }

    /// Gives a prepared statement the values that a client sends.
    ///
    /// # Errors
    /// As [`parameters::read`]; `InvalidArgument` where it takes other values.
    pub(crate) async fn bind(
        &self,
        owner: Principal,
        handle: &[u8],
        messages: FlightStream,
    ) -> Result<(), Status> {
        let prepared = self.prepared(&owner, handle)?;
        let values = parameters::read(messages, self.limits.request_time_max).await?;
        let (given, wanted) = (values.len(), prepared.types.len());
        if given != wanted {
            return Err(Status::invalid_argument(format!(
                "the statement takes {}, not {given}",
                counted(wanted as u64, "value")
            )));
        }
        let kept = &self.kept(&owner).prepared;
        let bound = Prepared {
            owner,
            sql: prepared.sql.clone(),
            types: prepared.types.clone(),
            values: parameters::typed(values, &prepared.types)?,
        };
        let bytes = bound.bytes();
        kept.replace(handle, Arc::new(bound), bytes, Instant::now());
        Ok(())
    }

    /// As [`Self::plan`], of a prepared statement with its values.
    pub(crate) async fn plan_prepared(
        &self,
        caller: Caller,
        scope: Scope,
        handle: &[u8],
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let prepared = self.prepared(&caller.owner, handle)?;
        let values = prepared.values.clone();
        let types = parameters::known(&values, &prepared.types);
        let sql = prepared.sql.as_str();
        self.plan(caller, scope, sql, values, types, descriptor)
            .await
    }

    /// Checks that a prepared statement is there, and this client's.
    ///
    /// # Errors
    /// `NotFound` where it is not.
    pub(crate) fn check(&self, owner: &Principal, handle: &[u8]) -> Result<(), Status> {
        self.prepared(owner, handle).map(drop)
    }

    /// Forgets a prepared statement; one that has gone already is no error.
    pub(crate) fn close(&self, owner: &Principal, handle: &[u8]) {
        if self.prepared(owner, handle).is_ok() {
            self.kept(owner).prepared.remove(handle);
        }
    }

    /// Returns a prepared statement of this client; it lives as long again.
    fn prepared(&self, owner: &Principal, handle: &[u8]) -> Result<Arc<Prepared>, Status> {
        let now = Instant::now();
        let kept = &self.kept(owner).prepared;
        kept.get(handle, now)
            .filter(|prepared| prepared.owner == *owner)
            .and_then(|_| kept.renew(handle, now))
            .ok_or_else(|| {
                Status::not_found(
                    "there is no such prepared statement, or not any more; prepare it again",
                )
            })
    }
}

fn bytes_of(values: &[ArrayRef]) -> usize {
    // What a value takes beside its bytes, too: a NULL has none.
    values.iter().map(Array::get_array_memory_size).sum()
}

/// Returns where a command is answered: here.
pub(crate) fn endpoint(command: &impl ProstMessageExt) -> FlightEndpoint {
    FlightEndpoint::new().with_ticket(Ticket::new(command.as_any().encode_to_vec()))
}

pub(crate) fn flight_info(
    schema: &Schema,
    endpoint: FlightEndpoint,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|error| internal("writing a schema", error))?;
    let info = info.with_endpoint(endpoint).with_ordered(true);
    Ok(info.with_descriptor(descriptor))
}

fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let info = FlightInfo::new().try_with_schema(schema);
    Ok(info
        .map_err(|error| internal("writing a schema", error))?
        .schema)
}
