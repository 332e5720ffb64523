//! Commands as clients send them: a protobuf `Any`, which names what its bytes are. What is none, or is none of those that a
//! call answers, is refused in words of ours: what `arrow-flight` says of it is for those who debug it.

use arrow_flight::Action;
use arrow_flight::sql::{Any, Command};
use prost::Message;
use tonic::Status;

#[cfg(test)]
mod tests;

/// What the types of Flight SQL begin with.
const TYPE_PREFIX: &str = "type.googleapis.com/arrow.flight.protocol.sql.";
/// Letters of a name that its client is told again.
const NAME_CHARS_MAX: usize = 80;

/// Actions of Flight SQL, whose bodies are commands, too: `Action`, the name, `Request`.
static ACTIONS_OF_SQL: [&str; 8] = [
    "CreatePreparedStatement",
    "ClosePreparedStatement",
    "CreatePreparedSubstraitPlan",
    "BeginTransaction",
    "EndTransaction",
    "BeginSavepoint",
    "EndSavepoint",
    "CancelQuery",
];

/// Reads a command. `what` holds it, and `wanted` is what to send in place of one that cannot be read: both are for the message.
///
/// # Errors
/// `InvalidArgument` where it is none.
pub(crate) fn read(bytes: &[u8], what: &str, wanted: &str) -> Result<Command, Status> {
    let refused = |why: String| {
        Status::invalid_argument(format!(
            "{what} is no message of Flight SQL: {why}; send {wanted}"
        ))
    };
    let any = Any::decode(bytes).map_err(|_| refused("it is no protobuf `Any`".to_owned()))?;
    if any.type_url.is_empty() {
        return Err(refused("it does not name its type".to_owned()));
    }
    let name = name_of(&any.type_url);
    Command::try_from(any).map_err(|_| {
        refused(format!(
            "it says that it is `{name}`, and cannot be read as one"
        ))
    })
}

/// Checks that the body of an action is what its name says; those that are not of Flight SQL have bodies of their own.
///
/// # Errors
/// `InvalidArgument` where it is something else.
pub(crate) fn check_action(action: &Action) -> Result<(), Status> {
    let name = action.r#type.as_str();
    if !ACTIONS_OF_SQL.contains(&name) {
        return Ok(());
    }
    let wanted = format!("Action{name}Request");
    let what = format!("the body of the action `{name}`");
    let packed = format!("{wanted} in a protobuf `Any`");
    let command = read(&action.body, &what, &packed)?;
    let found = command.type_url();
    if found.strip_prefix(TYPE_PREFIX) == Some(wanted.as_str()) {
        return Ok(());
    }
    let found = name_of(found);
    Err(Status::invalid_argument(format!(
        "{what} is `{found}`; send {packed}"
    )))
}

/// Returns what a client is told whose command is none that a call answers. `hint` says what it does answer.
pub(crate) fn not_answered(type_url: &str, call: &str, hint: &str) -> Status {
    let name = name_of(type_url);
    Status::unimplemented(format!("{call} does not answer `{name}`; {hint}"))
}

/// Returns the name of a type without what all of Flight SQL begin with, cut to a length that can be told.
fn name_of(type_url: &str) -> String {
    let name = type_url.strip_prefix(TYPE_PREFIX).unwrap_or(type_url);
    name.chars().take(NAME_CHARS_MAX).collect()
}
