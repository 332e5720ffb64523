//! Where every call comes in: who it is from is known before anything is done, and errors are counted on the way out.
//!
//! It also answers what the service behind it leaves out: logins, schemas alone, and which actions there are.

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream, StreamExt};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Response, Status, Streaming};

use crate::answer::FlightStream;
use crate::command;
use crate::connection::Peer;
use crate::error::{count, only_reads};
use crate::login::{AUTHORIZATION, Door, authorization};
use crate::service::{ACTIONS, SqlService};

type Answer<T> = Result<Response<T>, Status>;
type AnswerStream<T> = BoxStream<'static, Result<T, Status>>;

/// The service as clients see it.
pub(crate) struct Gate {
    door: Door,
    sql: SqlService,
}

impl Gate {
    pub(crate) fn new(door: Door, sql: SqlService) -> Self {
        Self { door, sql }
    }

    /// Notes in a request who it is from.
    async fn entered<T: Send>(&self, mut request: Request<T>) -> Result<Request<T>, Status> {
        let said = authorization(request.metadata());
        let principal = self.door.principal(said).await?;
        let peer = request.extensions().get::<Peer>();
        let caller = self.door.caller(principal, peer.map(|peer| peer.address))?;
        if let Some(peer) = peer {
            peer.let_in();
        }
        request.extensions_mut().insert(caller);
        Ok(request)
    }

    async fn login(
        &self,
        said: Option<String>,
        peer: Option<Peer>,
    ) -> Answer<AnswerStream<HandshakeResponse>> {
        let principal = self.door.principal(said).await?;
        if let Some(peer) = peer {
            peer.let_in();
        }
        let token = self.door.token(&principal);
        let header = AsciiMetadataValue::try_from(format!("Bearer {token}"));
        let header = header.map_err(|_| Status::internal("a token is no header"))?;
        let said = HandshakeResponse {
            protocol_version: 0,
            payload: token.into(),
        };
        let mut response = Response::new(stream::iter([Ok(said)]).boxed());
        response.metadata_mut().insert(AUTHORIZATION, header);
        Ok(response)
    }
}

/// Counts what goes wrong.
fn told<T>(answer: Result<T, Status>) -> Result<T, Status> {
    answer.inspect_err(count)
}

#[tonic::async_trait]
impl FlightService for Gate {
    type HandshakeStream = AnswerStream<HandshakeResponse>;
    type ListFlightsStream = AnswerStream<FlightInfo>;
    type DoGetStream = FlightStream;
    type DoPutStream = AnswerStream<PutResult>;
    type DoActionStream = AnswerStream<arrow_flight::Result>;
    type ListActionsStream = AnswerStream<ActionType>;
    type DoExchangeStream = FlightStream;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Self::HandshakeStream> {
        // All that counts is in the header.
        let said = authorization(request.metadata());
        let peer = request.extensions().get::<Peer>().cloned();
        told(self.login(said, peer).await)
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        told(self.entered(request).await)?;
        // Flights are answers that were planned: nobody sees those of others.
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        let request = told(self.entered(request).await)?;
        told(command::read(
            &request.get_ref().cmd,
            "the descriptor",
            "CommandStatementQuery in a protobuf `Any`",
        ))?;
        told(FlightService::get_flight_info(&self.sql, request).await)
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Answer<PollInfo> {
        told(self.entered(request).await)?;
        told(Err(Status::unimplemented(
            "there is nothing to poll for: GetFlightInfo answers before a statement runs",
        )))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        let request = told(self.entered(request).await)?;
        told(command::read(
            &request.get_ref().cmd,
            "the descriptor",
            "CommandStatementQuery in a protobuf `Any`",
        ))?;
        let info = told(FlightService::get_flight_info(&self.sql, request).await)?;
        let schema = info.into_inner().schema;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<Self::DoGetStream> {
        let request = told(self.entered(request).await)?;
        told(command::read(
            &request.get_ref().ticket,
            "the ticket",
            "the one that GetFlightInfo gave",
        ))?;
        told(FlightService::do_get(&self.sql, request).await)
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        let request = told(self.entered(request).await)?;
        told(self.sql.put(request).await)
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Answer<Self::DoExchangeStream> {
        told(self.entered(request).await)?;
        told(Err(only_reads("sending rows")))
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        let request = told(self.entered(request).await)?;
        told(command::check_action(request.get_ref()))?;
        told(FlightService::do_action(&self.sql, request).await)
    }

    async fn list_actions(&self, request: Request<Empty>) -> Answer<Self::ListActionsStream> {
        told(self.entered(request).await)?;
        let actions = ACTIONS.map(|(name, description)| {
            Ok(ActionType {
                r#type: name.to_owned(),
                description: description.to_owned(),
            })
        });
        Ok(Response::new(stream::iter(actions).boxed()))
    }
}
