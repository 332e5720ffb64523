//! Flight SQL behind the gate: each command, and who answers it.

use arrow::array::RecordBatch;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
    ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionCreatePreparedSubstraitPlanRequest,
    ActionEndSavepointRequest, ActionEndTransactionRequest, Any, Command, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandStatementQuery,
    CommandStatementSubstraitPlan, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo,
    TicketStatementQuery,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, FlightData, FlightDescriptor,
    FlightInfo, PutResult, Ticket,
};
use futures::stream::{self, BoxStream, StreamExt};
use meetnet_query::QueryService;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use crate::answer::one_batch;
use crate::error::only_reads;
use crate::info::Info;
use crate::login::{Caller, Principal};
use crate::options::FlightLimits;
use crate::scope::Scope;
use crate::statements::{Statements, endpoint, flight_info};
use crate::{catalogue, command, session};

/// `CancelFlightInfo` of Flight itself, which `CancelQuery` of Flight SQL is the older form of.
const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";

/// The actions that there are.
pub(crate) static ACTIONS: [(&str, &str); 7] = [
    (
        "CreatePreparedStatement",
        "Prepares a statement: ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult",
    ),
    (
        "ClosePreparedStatement",
        "Forgets a prepared statement: ActionClosePreparedStatementRequest, nothing",
    ),
    (
        CANCEL_FLIGHT_INFO,
        "Stops a statement: CancelFlightInfoRequest, CancelFlightInfoResult",
    ),
    (
        "CancelQuery",
        "Stops a statement: ActionCancelQueryRequest, ActionCancelQueryResult",
    ),
    (
        session::SET,
        "Names the catalogue and the schema, of which there is one each: SetSessionOptionsRequest, \
         SetSessionOptionsResult",
    ),
    (
        session::GET,
        "Tells the catalogue and the schema: GetSessionOptionsRequest, GetSessionOptionsResult",
    ),
    (
        session::CLOSE,
        "Does nothing, since nothing is kept for a session: CloseSessionRequest, CloseSessionResult",
    ),
];

/// See the module's own words.
pub(crate) struct SqlService {
    statements: Statements,
    /// For the catalogue.
    query: QueryService,
    info: Info,
    message_bytes_max: usize,
}

type Answer<T> = Result<Response<T>, Status>;
type PutResults = BoxStream<'static, Result<PutResult, Status>>;
type Rows = Result<Response<<SqlService as FlightService>::DoGetStream>, Status>;

impl SqlService {
    pub(crate) fn new(query: QueryService, limits: FlightLimits, info: Info) -> Self {
        Self {
            statements: Statements::new(query.clone(), limits),
            query,
            info,
            message_bytes_max: limits.message_bytes_max,
        }
    }

    fn rows(&self, batch: RecordBatch) -> Rows {
        Ok(Response::new(one_batch(batch, self.message_bytes_max)?))
    }

    /// Takes what a client sends: the values of a prepared statement, and nothing else. The trait's own `do_put` says in its
    /// library's words what is wrong with the command, and has no place for ours.
    pub(crate) async fn put(&self, request: Request<Streaming<FlightData>>) -> Answer<PutResults> {
        const WANTED: &str = "CommandPreparedStatementQuery in a protobuf `Any`";
        let owner = owner(&request)?;
        let mut messages = request.into_inner();
        let Some(first) = messages.message().await? else {
            return Err(Status::invalid_argument(format!(
                "DoPut was sent no message; the descriptor of the first one is {WANTED}"
            )));
        };
        let Some(descriptor) = &first.flight_descriptor else {
            return Err(Status::invalid_argument(format!(
                "the first message of DoPut has no descriptor; that is {WANTED}"
            )));
        };
        let handle = match command::read(&descriptor.cmd, "the descriptor", WANTED)? {
            Command::CommandPreparedStatementQuery(query) => query.prepared_statement_handle,
            Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
                return Err(only_reads("a statement that updates"));
            }
            Command::CommandStatementIngest(_) => return Err(only_reads("an ingest")),
            Command::CommandStatementSubstraitPlan(_) => return no_substrait(),
            other => {
                let hint = format!("it takes the values of a prepared statement: {WANTED}");
                return Err(command::not_answered(other.type_url(), "DoPut", &hint));
            }
        };
        let messages = stream::iter([Ok(first)]).chain(messages).boxed();
        self.statements.bind(owner, &handle, messages).await?;
        let result = DoPutPreparedStatementResult {
            prepared_statement_handle: Some(handle),
        };
        let result = PutResult {
            app_metadata: result.encode_to_vec().into(),
        };
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }
}

/// Returns who a request is from.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::unauthenticated("nobody has asked who you are"))
}

/// Returns whose what a request names must be.
fn owner<T>(request: &Request<T>) -> Result<Principal, Status> {
    Ok(caller(request)?.owner)
}

/// Returns where a question about the catalogue is answered: by the same command.
fn catalogue_info(
    batch: &RecordBatch,
    command: &impl ProstMessageExt,
    request: Request<FlightDescriptor>,
) -> Answer<FlightInfo> {
    let info = flight_info(&batch.schema(), endpoint(command), request.into_inner())?;
    Ok(Response::new(info))
}

fn no_transactions<T>() -> Result<T, Status> {
    Err(Status::unimplemented(
        "there are no transactions: each statement reads the newest state; for one state throughout, ask \
         NAME_as_of(TIMESTAMP '…')",
    ))
}

fn no_substrait<T>() -> Result<T, Status> {
    Err(Status::unimplemented(
        "Substrait plans are not read; send SQL",
    ))
}

#[tonic::async_trait]
impl FlightSqlService for SqlService {
    type FlightService = Self;

    // Statements.

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let (caller, scope) = (caller(&request)?, Scope::of(request.metadata())?);
        let descriptor = request.into_inner();
        let sql = query.query.as_str();
        let planned = self
            .statements
            .plan(caller, scope, sql, Vec::new(), Vec::new(), descriptor);
        Ok(Response::new(planned.await?))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Rows {
        let caller = caller(&request)?;
        let rows = self
            .statements
            .run(caller, &ticket.statement_handle)
            .await?;
        Ok(Response::new(rows))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        self.statements
            .prepare(caller(&request)?, query.query)
            .await
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let (caller, scope) = (caller(&request)?, Scope::of(request.metadata())?);
        let descriptor = request.into_inner();
        let handle = query.prepared_statement_handle;
        let planned = self
            .statements
            .plan_prepared(caller, scope, &handle, descriptor);
        Ok(Response::new(planned.await?))
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Rows {
        let handle = query.prepared_statement_handle;
        self.statements.check(&owner(&request)?, &handle)?;
        Err(Status::invalid_argument(
            "a prepared statement is no ticket; GetFlightInfo of it gives one",
        ))
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let handle = query.prepared_statement_handle;
        self.statements.close(&owner(&request)?, &handle);
        Ok(())
    }

    // Stopping what runs, and other actions.

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let owner = owner(&request)?;
        let info = FlightInfo::decode(&*query.info);
        let info = info.map_err(|_| Status::invalid_argument("what to cancel is no FlightInfo"))?;
        // The same numbers.
        let result = self.statements.cancel(&owner, &info) as i32;
        Ok(ActionCancelQueryResult { result })
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Answer<<Self as FlightService>::DoActionStream> {
        let owner = owner(&request)?;
        let action = request.into_inner();
        let body = match action.r#type.as_str() {
            CANCEL_FLIGHT_INFO => {
                let asked = CancelFlightInfoRequest::decode(&*action.body).ok();
                let info = asked
                    .and_then(|asked| asked.info)
                    .ok_or_else(|| Status::invalid_argument("what to cancel is no FlightInfo"))?;
                CancelFlightInfoResult::new(self.statements.cancel(&owner, &info)).encode_to_vec()
            }
            session::SET => session::set(&action.body)?,
            session::GET => session::get(),
            session::CLOSE => session::close(),
            name => {
                let known = ACTIONS.map(|(known, _)| known).join(", ");
                let name: String = name.chars().take(40).collect();
                return Err(Status::unimplemented(format!(
                    "there is no action `{name}`; there are {known}"
                )));
            }
        };
        let results = stream::iter([Ok(arrow_flight::Result::new(body))]);
        Ok(Response::new(results.boxed()))
    }

    // The catalogue.

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        catalogue_info(&catalogue::catalogs(query)?, &query, request)
    }

    async fn do_get_catalogs(&self, query: CommandGetCatalogs, _: Request<Ticket>) -> Rows {
        self.rows(catalogue::catalogs(query)?)
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let batch = catalogue::schemas(&self.query, query.clone())?;
        catalogue_info(&batch, &query, request)
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, _: Request<Ticket>) -> Rows {
        self.rows(catalogue::schemas(&self.query, query)?)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let batch = catalogue::tables(&self.query, query.clone())?;
        catalogue_info(&batch, &query, request)
    }

    async fn do_get_tables(&self, query: CommandGetTables, _: Request<Ticket>) -> Rows {
        self.rows(catalogue::tables(&self.query, query)?)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        catalogue_info(&catalogue::table_types(query)?, &query, request)
    }

    async fn do_get_table_types(&self, query: CommandGetTableTypes, _: Request<Ticket>) -> Rows {
        self.rows(catalogue::table_types(query)?)
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let batch = catalogue::primary_keys(&self.query, &query)?;
        catalogue_info(&batch, &query, request)
    }

    async fn do_get_primary_keys(&self, query: CommandGetPrimaryKeys, _: Request<Ticket>) -> Rows {
        self.rows(catalogue::primary_keys(&self.query, &query)?)
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        catalogue_info(&catalogue::foreign_keys(), &query, request)
    }

    async fn do_get_exported_keys(&self, _: CommandGetExportedKeys, _: Request<Ticket>) -> Rows {
        self.rows(catalogue::foreign_keys())
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        catalogue_info(&catalogue::foreign_keys(), &query, request)
    }

    async fn do_get_imported_keys(&self, _: CommandGetImportedKeys, _: Request<Ticket>) -> Rows {
        self.rows(catalogue::foreign_keys())
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        catalogue_info(&catalogue::foreign_keys(), &query, request)
    }

    async fn do_get_cross_reference(
        &self,
        _: CommandGetCrossReference,
        _: Request<Ticket>,
    ) -> Rows {
        self.rows(catalogue::foreign_keys())
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let batch = self.info.sql(query.clone())?;
        catalogue_info(&batch, &query, request)
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, _: Request<Ticket>) -> Rows {
        self.rows(self.info.sql(query)?)
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        catalogue_info(&self.info.types(query)?, &query, request)
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        _: Request<Ticket>,
    ) -> Rows {
        self.rows(self.info.types(query)?)
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {
        // Everything that there is to say was said when the service was made.
    }

    // What is not done here.

    async fn get_flight_info_fallback(
        &self,
        command: Command,
        _: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let hint = "it takes CommandStatementQuery, CommandPreparedStatementQuery and the commands of the catalogue";
        let call = "GetFlightInfo";
        Err(command::not_answered(command.type_url(), call, hint))
    }

    async fn do_get_fallback(&self, _: Request<Ticket>, message: Any) -> Rows {
        let hint = "it takes the tickets that GetFlightInfo gives";
        Err(command::not_answered(&message.type_url, "DoGet", hint))
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _: CommandStatementSubstraitPlan,
        _: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        no_substrait()
    }

    async fn do_action_create_prepared_substrait_plan(
        &self,
        _: ActionCreatePreparedSubstraitPlanRequest,
        _: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        no_substrait()
    }

    async fn do_action_begin_transaction(
        &self,
        _: ActionBeginTransactionRequest,
        _: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        no_transactions()
    }

    async fn do_action_end_transaction(
        &self,
        _: ActionEndTransactionRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        no_transactions()
    }

    async fn do_action_begin_savepoint(
        &self,
        _: ActionBeginSavepointRequest,
        _: Request<Action>,
    ) -> Result<ActionBeginSavepointResult, Status> {
        no_transactions()
    }

    async fn do_action_end_savepoint(
        &self,
        _: ActionEndSavepointRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        no_transactions()
    }
}
