//! What clients may set for their session: the one catalogue and the one schema. There is no session: a call carries
//! everything that it depends on.
//!
//! `arrow-flight` has no types for these messages. These are theirs in `Flight.proto`, without what nothing here holds:
//! of the kinds of values only texts, numbers in place of enumerations.

use std::collections::HashMap;

use meetnet_query::{CATALOG, SCHEMA};
use prost::Message;
use tonic::Status;

#[cfg(test)]
mod tests;

pub(crate) const SET: &str = "SetSessionOptions";
pub(crate) const GET: &str = "GetSessionOptions";
pub(crate) const CLOSE: &str = "CloseSession";

/// What can be named, and its only value.
static OPTIONS: [(&str, &str); 2] = [("catalog", CATALOG), ("schema", SCHEMA)];

/// `SetSessionOptionsResult.ErrorValue`
const INVALID_NAME: i32 = 1;
const INVALID_VALUE: i32 = 2;
/// `CloseSessionResult.Status`
const CLOSED: i32 = 1;

/// `SessionOptionValue`
#[derive(Clone, PartialEq, Message)]
struct OptionValue {
    #[prost(string, tag = "1")]
    text: String,
}

/// `SetSessionOptionsRequest`, and `GetSessionOptionsResult`
#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

/// `SetSessionOptionsResult.Error`
#[derive(Clone, PartialEq, Message)]
struct OptionError {
    #[prost(int32, tag = "1")]
    value: i32,
}

/// `SetSessionOptionsResult`
#[derive(Clone, PartialEq, Message)]
struct SetResult {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, OptionError>,
}

/// `CloseSessionResult`
#[derive(Clone, PartialEq, Message)]
struct CloseResult {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Returns which options of a request cannot be set.
///
/// # Errors
/// `InvalidArgument` where the request cannot be read.
pub(crate) fn set(request: &[u8]) -> Result<Vec<u8>, Status> {
    let request = Options::decode(request);
    let request = request.map_err(|_| {
        Status::invalid_argument("the session options are no SetSessionOptionsRequest")
    })?;
    let errors = request.options.into_iter().filter_map(|(name, value)| {
        let known = OPTIONS.iter().find(|(known, _)| *known == name);
        let wrong = match known {
            None => INVALID_NAME,
            Some((_, only)) if value.text != *only => INVALID_VALUE,
            Some(_) => return None,
        };
        Some((name, OptionError { value: wrong }))
    });
    let result = SetResult {
        errors: errors.collect(),
    };
    Ok(result.encode_to_vec())
}

/// Returns the options of every session.
pub(crate) fn get() -> Vec<u8> {
    let options = OPTIONS.map(|(name, value)| {
        let text = value.to_owned();
        (name.to_owned(), OptionValue { text })
    });
    let options = Options {
        options: options.into(),
    };
    options.encode_to_vec()
}

/// Says that a session is closed.
pub(crate) fn close() -> Vec<u8> {
    CloseResult { status: CLOSED }.encode_to_vec()
}
