//! Which sessions at a broker a changed configuration leaves behind.

use meetnet_model::schemas;
use meetnet_model::source::{SourceDeclaration, WireFormat};

use super::*;

const JOURNAL: &str = "0199f1c2-aaaa-7bbb-8ccc-0123456789ab";

fn check(now: &[(&str, &str)], expect: &[&str]) {
    let source = |(id, kind): (&str, SourceKind)| {
        SourceDeclaration::new(id, kind, WireFormat::Json, "CC0-1.0")
    };
    let before = [
        ("lora", SourceKind::Mqtt),
        ("roof", SourceKind::Mqtt),
        ("push", SourceKind::Http),
    ];
    let before = schemas::builtin().into_declarations(before.map(source));
    let ids: Vec<SourceId> = now.iter().map(|(id, _)| SourceId::new(id)).collect();
    let brokers = ids.iter().zip(now.iter().map(|(_, client_id)| *client_id));
    let left = left_sessions(&before, &brokers.collect(), JOURNAL);
    let left: Vec<String> = left
        .into_iter()
        .map(|(source, client_id)| format!("{source} {client_id}"))
        .collect();
    assert_eq!(left, expect, "{now:?}");
}

#[test]
fn a_session_that_nobody_asks_for_is_found() {
    let lora = "lora meetnet-0199f1c2-lora";
    check(&[("lora", ""), ("roof", "")], &[]);
    check(&[("lora", ""), ("roof", ""), ("more", "")], &[]);
    check(&[("radio", ""), ("roof", "")], &[lora]);
    check(&[], &[lora, "roof meetnet-0199f1c2-roof"]);
    // Renamed as the warning says.
    check(&[("radio", "meetnet-0199f1c2-lora"), ("roof", "")], &[]);
    // One with a client id of its own has kept its id.
    check(&[("lora", "mine"), ("roof", "")], &[]);
}
