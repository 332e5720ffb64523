use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    CommandStatementQuery, ProstMessageExt,
};
use tonic::Code;

use super::*;

fn any(type_url: &str, value: &'static [u8]) -> Vec<u8> {
    let any = Any {
        type_url: type_url.to_owned(),
        value: value.into(),
    };
    any.encode_to_vec()
}

#[test]
fn what_is_no_command_is_refused_in_words() {
    let check = |bytes: &[u8], message: &str| {
        let wrong = read(bytes, "the ticket", "another").expect_err(message);
        assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong}");
        let whole = format!("the ticket is no message of Flight SQL: {message}; send another");
        assert_eq!(wrong.message(), whole);
    };
    check(&[0xff], "it is no protobuf `Any`");
    check(b"SELECT 1", "it is no protobuf `Any`");
    check(&[], "it does not name its type");
    check(
        &any(&format!("{TYPE_PREFIX}CommandStatementQuery"), &[0xff]),
        "it says that it is `CommandStatementQuery`, and cannot be read as one",
    );
}

#[test]
fn what_is_not_known_is_read_and_named() {
    let long = format!("type.example.org/{}", "x".repeat(500));
    let command = read(&any(&long, b"x"), "the ticket", "another").expect("a message");
    let wrong = not_answered(command.type_url(), "DoGet", "try another");
    assert_eq!(wrong.code(), Code::Unimplemented);
    let name = &long[..NAME_CHARS_MAX];
    assert_eq!(
        wrong.message(),
        format!("DoGet does not answer `{name}`; try another")
    );
}

#[test]
fn bodies_of_actions_are_what_their_names_say() {
    let check = |name: &str, body: Vec<u8>, expected: Result<(), &str>| {
        let found = check_action(&Action::new(name, body));
        let found = found.map_err(|status| (status.code(), status.message().to_owned()));
        let expected = expected.map_err(|message| (Code::InvalidArgument, message.to_owned()));
        assert_eq!(found, expected);
    };
    let create = ActionCreatePreparedStatementRequest::default();
    let create = || create.as_any().encode_to_vec();
    let close = ActionClosePreparedStatementRequest::default();
    let close = close.as_any().encode_to_vec();
    let query = CommandStatementQuery::default().as_any().encode_to_vec();
    check("CreatePreparedStatement", create(), Ok(()));
    check("ClosePreparedStatement", close, Ok(()));
    check("GetSessionOptions", vec![0xff], Ok(()));
    check(
        "ClosePreparedStatement",
        create(),
        Err(
            "the body of the action `ClosePreparedStatement` is `ActionCreatePreparedStatementRequest`; send \
             ActionClosePreparedStatementRequest in a protobuf `Any`",
        ),
    );
    check(
        "CancelQuery",
        query,
        Err(
            "the body of the action `CancelQuery` is `CommandStatementQuery`; send ActionCancelQueryRequest in a \
             protobuf `Any`",
        ),
    );
    check(
        "BeginTransaction",
        vec![0xff],
        Err(
            "the body of the action `BeginTransaction` is no message of Flight SQL: it is no protobuf `Any`; send \
             ActionBeginTransactionRequest in a protobuf `Any`",
        ),
    );
    let broken = any(
        &format!("{TYPE_PREFIX}ActionCreatePreparedStatementRequest"),
        &[0xff],
    );
    check(
        "CreatePreparedStatement",
        broken,
        Err(
            "the body of the action `CreatePreparedStatement` is no message of Flight SQL: it says that it is \
             `ActionCreatePreparedStatementRequest`, and cannot be read as one; send \
             ActionCreatePreparedStatementRequest in a protobuf `Any`",
        ),
    );
}
