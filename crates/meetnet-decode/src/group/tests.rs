use meetnet_model::schemas;

use super::*;

fn group() -> Group {
    Group::new(&schemas::builtin().into_declarations([]))
}

#[test]
fn rejects_are_numbered_within_their_envelope() {
    let mut group = group();
    for envelope in [3, 7] {
        group.output.begin(envelope);
        group.output.reject(RejectReason::WrongType, "first", "a");
        group
            .output
            .reject(RejectReason::MissingField, "second", "b");
        group.output.end();
    }
    let rejects = group.take().rejects;
    let keys: Vec<_> = rejects.iter().map(|r| (r.envelope, r.ordinal)).collect();
    assert_eq!(keys, [(3, 0), (3, 1), (7, 0), (7, 1)]);
    assert_eq!(rejects[1].message, "second");
    assert!(group.take().rejects.is_empty());
}

#[test]
fn rejects_beyond_the_limit_are_counted() {
    let mut group = group();
    group.output.begin(0);
    for _ in 0..REJECTS_PER_ENVELOPE_MAX + 5 {
        group.output.reject(RejectReason::WrongType, "wrong", "");
    }
    group.output.end();
    group.output.begin(1);
    group.output.end();
    let rejects = group.take().rejects;
    assert_eq!(rejects.len(), REJECTS_PER_ENVELOPE_MAX as usize);
    assert!(
        rejects
            .last()
            .unwrap()
            .message
            .starts_with("wrong (and 5 more rejects")
    );
}

#[test]
fn excerpts_are_short_and_valid_text() {
    assert_eq!(excerpt_of(b"{\"a\":1}"), "{\"a\":1}");
    assert_eq!(excerpt_of("é".repeat(1000).as_bytes()).chars().count(), 200);
    assert!(excerpt_of(&[0xff; 600]).chars().count() <= 200);
}
