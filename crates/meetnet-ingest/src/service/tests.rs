use meetnet_model::ids::SourceId;
use tokio_util::sync::CancellationToken;

use super::{StartError, start};
use crate::dup_window::DupWindows;
use crate::intake::memory::MemorySink;
use crate::mqtt::{MqttOptions, MqttSource};
use crate::status::Statuses;

fn source(id: &str, client_id: &str, topic: &str) -> MqttSource {
    // Nothing listens on port 1.
    let url = "mqtt://127.0.0.1:1".parse().unwrap();
    MqttSource {
        id: SourceId::new(id),
        options: MqttOptions::new(url, client_id, vec![topic.to_owned()]),
        intake: MemorySink::new(true).1,
        windows: DupWindows::default(),
        statuses: Statuses::default(),
    }
}

#[tokio::test]
async fn wrong_options_start_nothing() {
    let shutdown = CancellationToken::new();
    let error = start(
        vec![source("a", "c", "x"), source("b", "c", "y")],
        Vec::new(),
        None,
        &shutdown,
    )
    .unwrap_err();
    assert!(
        matches!(error, StartError::SharedClientId { .. }),
        "{error}"
    );
    let error = start(vec![source("a", "c", "x/{")], Vec::new(), None, &shutdown).unwrap_err();
    assert!(matches!(error, StartError::Options { .. }), "{error}");
}

#[tokio::test]
async fn an_unreachable_broker_is_reported_and_does_not_delay_the_end() {
    let shutdown = CancellationToken::new();
    let source = source("a", "c", "x");
    let statuses = source.statuses.clone();
    let handles = start(vec![source], Vec::new(), None, &shutdown).unwrap();
    let id = SourceId::new("a");
    let error = loop {
        if let Some(note) = statuses.read_one(&id).unwrap().last_error {
            break note.message;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(error.contains("cannot connect"), "{error}");
    shutdown.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(2), handles.stopped())
        .await
        .unwrap();
}
