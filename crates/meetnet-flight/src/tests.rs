//! The service from outside: over loopback, by the client of `arrow-flight`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, CancelFlightInfoRequest, FlightData, FlightInfo, Ticket};
use futures::TryStreamExt;
use meetnet_access::{Access, User};
use meetnet_lake::snapshot::{HotBatch, LakeSnapshot, TableSnapshot};
use meetnet_lake::storage::{FolderStorage, TableFolder};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::Sequence;
use meetnet_model::schemas;
use meetnet_query::{QueryOptions, QueryService};
use prost::Message;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::*;

mod catalogue;
mod limits;
mod prepared;
mod statements;

type Client = FlightSqlServiceClient<Channel>;

/// Nothing here may take longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Work for minutes.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b \
                    WHERE a.value + b.value = 3";

/// One row, which was replaced: no answer has it, but the table is not empty.
fn replaced_row(declaration: &DatasetDeclaration) -> HotBatch {
    let schema = declaration.row_schema();
    let zero: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let columns = schema.fields().iter().map(|field| {
        if field.is_nullable() {
            new_null_array(field.data_type(), 1)
        } else {
            cast(&zero, field.data_type()).expect("a zero of the type")
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    HotBatch {
        batch: RecordBatch::try_new(schema, columns).expect("a row"),
        superseded: Some(Arc::new(vec![1])),
    }
}

/// The built-in datasets, without current rows, and the private one among them; `heat` has a licence and somebody to name.
fn snapshot() -> LakeSnapshot {
    let mut declarations = schemas::builtin().into_declarations([]);
    let heat = declarations.datasets.get_mut(&"heat".into());
    let heat = Arc::make_mut(heat.expect("a built-in dataset"));
    heat.source_licences = BTreeMap::from([("CC-BY-4.0".into(), vec!["Leuven".to_owned()])]);
    let tables = declarations.datasets.iter().map(|(id, declaration)| {
        let storage = Arc::new(FolderStorage::new("/nowhere"));
        let had_rows = id.as_str() == "heat";
        let hot = had_rows.then(|| replaced_row(declaration));
        let table = TableSnapshot {
            declaration: Arc::clone(declaration),
            folder: TableFolder::new(storage, id.as_str()),
            version: 3,
            through: Sequence(42),
            stable_time: 1_795_315_580_000_000,
            files: Arc::default(),
            masks: Arc::new(HashMap::new()),
            hot: Arc::new(hot.into_iter().collect()),
        };
        (id.clone(), Arc::new(table))
    });
    LakeSnapshot {
        tables: tables.collect::<BTreeMap<_, _>>(),
    }
}

fn service(options: QueryOptions) -> QueryService {
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot()));
    QueryService::new(options, snapshot).expect("a service")
}

/// Starts a server; it ends with the runtime of its test.
async fn server_of(service: QueryService, options: FlightOptions) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, service, options, std::future::pending()));
    address
}

async fn server(options: FlightOptions) -> SocketAddr {
    server_of(service(QueryOptions::default()), options).await
}

async fn client(address: SocketAddr) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = endpoint.connect().await.expect("a connection");
    Client::new_from_inner(FlightServiceClient::new(channel))
}

async fn default_client() -> Client {
    client(server(FlightOptions::default()).await).await
}

/// Reads the whole of an answer.
async fn fetched(client: &mut Client, info: FlightInfo) -> Result<Vec<RecordBatch>, FlightError> {
    let mut batches = Vec::new();
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.expect("a ticket");
        let stream = client.do_get(ticket).await?;
        batches.extend(stream.try_collect::<Vec<_>>().await?);
    }
    Ok(batches)
}

async fn queried(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    fetched(client, info).await
}

/// Returns rows as texts, `|` between the columns.
fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().expect("columns");
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).to_string());
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

/// Returns what the server has said is wrong.
fn status<T>(answer: Result<T, FlightError>) -> Status {
    match answer {
        Err(FlightError::Tonic(status)) => *status,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it worked"),
    }
}

#[track_caller]
fn check_status(status: &Status, code: Code, message: &str) {
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(message), "{status}");
}

/// Does an action of Flight itself; returns the body of its answer.
async fn acted(client: &mut Client, name: &str, body: Vec<u8>) -> Result<Vec<u8>, FlightError> {
    let results = client.do_action(Action::new(name, body)).await?;
    let results: Vec<_> = results.try_collect().await?;
    Ok(results.into_iter().flat_map(|result| result.body).collect())
}

async fn cancelled(client: &mut Client, info: &FlightInfo) -> i32 {
    let request = CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
    let body = acted(client, "CancelFlightInfo", request)
        .await
        .expect("an answer");
    let result = arrow_flight::CancelFlightInfoResult::decode(&*body);
    result.expect("a result").status
}

fn user(name: &str, password: &str) -> User {
    User {
        name: name.to_owned(),
        password: password.to_owned(),
    }
}
