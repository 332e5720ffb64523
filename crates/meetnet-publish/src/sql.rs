//! `/api/v1/sql`: one SELECT in, rows out as a stream.
//!
//! `GET ?q=…&param_NAME=…&format=…&as_of=…&licence=…` and `POST` with a form, JSON (`{"q": …, "parameters": {…} or […],
//! "format": …, "as_of": …, "licence": [ … ]}`) or the bare SQL text. The value of `param_NAME` takes the place of `$NAME`.
//! This file reads the request, `respond` answers it; `meetnet-query` checks, limits, runs and encodes the query.

use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::BytesMut;
use futures::StreamExt;
use meetnet_query::{ParameterValue, Parameters, QueryRequest};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::client::OfClient;
use crate::links::Address;
use crate::parameters::{self, choose_format, flag, licences, set_once, time};
use crate::problem::{Problem, ProblemKind};
use crate::respond::{Question, respond};
use crate::state::{PublishSettings, PublishState, SavedQuery};

#[cfg(test)]
mod tests;

/// What a request asks for, wherever it stood.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SqlParameters {
    /// The query.
    q: Option<String>,
    /// Values for its placeholders.
    #[serde(deserialize_with = "read_parameters")]
    parameters: Parameters,
    /// Name of the answer format; wins over `Accept`.
    format: Option<String>,
    /// The time the whole query is answered as of, RFC 3339.
    as_of: Option<String>,
    /// The licences that rows are read under; empty: all.
    licence: Vec<String>,
    /// Whether browsers should save the answer as a file.
    download: bool,
}

impl SqlParameters {
    /// Reads form encoding: a query string, or a form body. Other names are refused: who asks with `license=` would get
    /// rows under every licence, and who misspells `as_of` today's.
    pub(crate) fn from_form(form: &[u8]) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        let mut download = None;
        for (name, value) in parameters::form(form)? {
            match &*name {
                "q" => set_once(&mut parameters.q, "q", &value)?,
                "format" => set_once(&mut parameters.format, "format", &value)?,
                "as_of" => set_once(&mut parameters.as_of, "as_of", &value)?,
                "licence" => parameters.licence.push(value.into_owned()),
                "download" => set_once(&mut download, "download", &value)?,
                name => {
                    let Some(of) = name.strip_prefix("param_") else {
                        let detail = format!(
                            "there is no parameter `{name}`; there are q, format, as_of, licence, download, and \
                             param_NAME for $NAME"
                        );
                        return Err(Problem::new(ProblemKind::BadRequest, detail));
                    };
                    let value = ParameterValue::Text(value.into_owned());
                    if parameters.parameters.insert(of.to_owned(), value).is_some() {
                        let detail = format!("the parameter {name} is given twice; give it once");
                        return Err(Problem::new(ProblemKind::BadRequest, detail));
                    }
                }
            }
        }
        if let Some(text) = download {
            parameters.download = flag("download", &text)?;
        }
        Ok(parameters)
    }

    /// Sees that every value can be read, also one that another one will overrule: whoever sent it believes it heard.
    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.format.is_some() {
            choose_format(self.format.as_deref(), headers)?;
        }
        if let Some(text) = &self.as_of {
            time("as_of", text)?;
        }
        licences(&self.licence)?;
        Ok(())
    }

    /// Fills what is missing here from `other`.
    fn or(self, other: Self) -> Self {
        let mut parameters = other.parameters;
        parameters.extend(self.parameters);
        Self {
            q: self.q.or(other.q),
            parameters,
            format: self.format.or(other.format),
            as_of: self.as_of.or(other.as_of),
            licence: if self.licence.is_empty() {
                other.licence
            } else {
                self.licence
            },
            download: self.download || other.download,
        }
    }
}

/// Reads values by name from a JSON object, or by position, from 1, from an array.
fn read_parameters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Parameters, D::Error> {
    deserializer.deserialize_any(ReadParameters)
}

/// Reads members one by one: a map would keep the last of two of one name, and say nothing.
struct ReadParameters;

impl<'de> Visitor<'de> for ReadParameters {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parameters as an object by name, or as an array for $1, $2, …")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if parameters.contains_key(&name) {
                return Err(A::Error::custom(format!(
                    "the parameter {name} is given twice; give it once"
                )));
            }
            let value = typed::<A::Error>(&name, value)?;
            parameters.insert(name, value);
        }
        Ok(parameters)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::new();
        while let Some(value) = values.next_element::<Value>()? {
            let name = (parameters.len() + 1).to_string();
            let value = typed::<A::Error>(&name, value)?;
            parameters.insert(name, value);
        }
        Ok(parameters)
    }
}

fn typed<E: serde::de::Error>(name: &str, value: Value) -> Result<ParameterValue, E> {
    match value {
        Value::Null => Ok(ParameterValue::Null),
        Value::Bool(value) => Ok(ParameterValue::Bool(value)),
        Value::String(text) => Ok(ParameterValue::Text(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Ok(ParameterValue::Int(value)),
            (None, Some(value)) => Ok(ParameterValue::Float(value)),
            (None, None) => Err(E::custom("a number is too large")),
        },
        Value::Array(elements) => array_text(name, &elements).map(ParameterValue::Text),
        Value::Object(_) => Err(E::custom(format!(
            "the value of {name} is no text, number, boolean, null or list of these"
        ))),
    }
}

/// Writes a list as the text that says it in an address, `{1,"a",NULL}`: the statement knows what it is a list of.
fn array_text<E: serde::de::Error>(name: &str, elements: &[Value]) -> Result<String, E> {
    let mut text = String::from("{");
    for (position, element) in elements.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        match element {
            Value::Null => text.push_str("NULL"),
            Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => text.push_str(&number.to_string()),
            Value::String(value) => {
                text.push('"');
                for letter in value.chars() {
                    if matches!(letter, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(letter);
                }
                text.push('"');
            }
            Value::Array(_) | Value::Object(_) => {
                return Err(E::custom(format!(
                    "a list has texts, numbers, booleans and nulls; an element of the value of {name} is none of these"
                )));
            }
        }
    }
    text.push('}');
    Ok(text)
}

/// Answers `GET` and `HEAD`.
pub(crate) async fn get(
    OfClient(state): OfClient,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = SqlParameters::from_form(query.unwrap_or_default().as_bytes())?;
    answer(&state, parameters, None, &headers, method == Method::HEAD).await
}

/// Answers `POST`; parameters in the body win over those in the address.
pub(crate) async fn post(
    OfClient(state): OfClient,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, request_body) = request.into_parts();
    // 304 answers GET and HEAD alone (RFC 9110, section 13.1.2).
    parts.headers.remove(IF_NONE_MATCH);
    let in_address = SqlParameters::from_form(query.unwrap_or_default().as_bytes())?;
    in_address.check(&parts.headers)?;
    refuse_coded(&parts.headers)?;
    let bytes = read_body(request_body, &state.settings).await?;
    let in_body = parse_body(&parts.headers, &bytes)?;
    let parameters = in_body.or(in_address);
    answer(&state, parameters, None, &parts.headers, false).await
}

/// Refuses a body that is compressed: it is read as it comes.
fn refuse_coded(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let Some(coding) = codings.find(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    else {
        return Ok(());
    };
    let coding = String::from_utf8_lossy(coding.as_bytes());
    let detail =
        format!("the body is coded as `{coding}`; send it as it is, without Content-Encoding");
    Err(Problem::new(ProblemKind::UnsupportedMediaType, detail))
}

/// Reads a body within its limits of size and time.
async fn read_body(request_body: Body, settings: &PublishSettings) -> Result<Bytes, Problem> {
    let bytes_max = settings.body_bytes_max;
    let read = async {
        let mut chunks = request_body.into_data_stream();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::new(ProblemKind::BadRequest, "the request body ended too early")
            })?;
            if bytes.len() + chunk.len() > bytes_max {
                let detail = format!("the request body is larger than {bytes_max} bytes");
                return Err(Problem::new(ProblemKind::TooLarge, detail));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    };
    tokio::time::timeout(settings.body_time_max, read)
        .await
        .unwrap_or_else(|_| {
            let seconds = settings.body_time_max.as_secs();
            let detail = format!("the request body did not arrive within {seconds} s");
            Err(Problem::new(ProblemKind::RequestTimeout, detail))
        })
}

fn parse_body(headers: &HeaderMap, bytes: &[u8]) -> Result<SqlParameters, Problem> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        });
    match content_type.as_deref() {
        Some("application/x-www-form-urlencoded") => SqlParameters::from_form(bytes),
        Some("application/json") => {
            let bad = |what: &dyn std::fmt::Display| {
                let detail = format!(
                    "the body is not the JSON expected, {{\"q\": \"SELECT …\", \"format\": \"csv\"}}: {what}"
                );
                Problem::new(ProblemKind::BadRequest, detail)
            };
            // Serde reads an array as well: its values as fields in the order of their declaration.
            if !bytes.trim_ascii_start().starts_with(b"{") {
                return Err(bad(&"it is no object"));
            }
            serde_json::from_slice(bytes).map_err(|error| bad(&error))
        }
        Some("text/plain" | "application/sql") => {
            let sql = std::str::from_utf8(bytes).map_err(|_| {
                Problem::new(
                    ProblemKind::BadRequest,
                    "the SQL text in the body is not UTF-8",
                )
            })?;
            Ok(SqlParameters {
                q: Some(sql.to_owned()),
                ..SqlParameters::default()
            })
        }
        None if bytes.is_empty() => Ok(SqlParameters::default()),
        _ => Err(Problem::new(
            ProblemKind::UnsupportedMediaType,
            "send the query as application/x-www-form-urlencoded (q=…), application/json ({\"q\": …}), \
             application/sql or text/plain",
        )),
    }
}

/// Answers a statement: the one of the request, or a saved one.
pub(crate) async fn answer(
    state: &PublishState,
    parameters: SqlParameters,
    saved: Option<&SavedQuery>,
    headers: &HeaderMap,
    head_only: bool,
) -> Result<Response, Problem> {
    let format = choose_format(parameters.format.as_deref(), headers)?;
    let as_of = parameters.as_of.as_deref().map(|text| time("as_of", text));
    let asked = parameters.q.filter(|sql| !sql.trim().is_empty());
    let sql = match (saved, asked) {
        (None, Some(sql)) => sql,
        (Some(saved), None) => saved.sql.clone(),
        (None, None) => {
            let detail = "the query is missing: give q=SELECT …, for example \
                      /api/v1/sql?q=SELECT+1; /api/v1/datasets lists the tables";
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        }
        (Some(_), Some(_)) => {
            let detail = "a saved query takes no q; /api/v1/sql answers other statements";
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        }
    };
    let named = parameter_pairs(&parameters.parameters);
    let address = named.and_then(|named| {
        // Of a saved statement, too: under its name another one may stand by the time somebody looks a citation up.
        let licences = parameters.licence.iter();
        let pairs = [("q", sql.as_str()), ("format", format.as_str())]
            .into_iter()
            .chain(named.iter().map(|(name, value)| (name.as_str(), *value)))
            .chain(licences.map(|licence| ("licence", licence.as_str())));
        Address::new("/api/v1/sql", pairs)
    });
    let request = QueryRequest {
        parameters: parameters.parameters,
        as_of: as_of.transpose()?,
        licences: licences(&parameters.licence)?,
        ..QueryRequest::public(sql)
    };
    let question = Question {
        request,
        format,
        file_name: parameters.download.then(|| "meetnet".to_owned()),
        address,
        head_only,
    };
    respond(state, question, headers).await
}

/// Returns the parameters of an address that give values to placeholders; None where one is no text, as all are in one.
fn parameter_pairs(parameters: &Parameters) -> Option<Vec<(String, &str)>> {
    parameters
        .iter()
        .map(|(name, value)| match value {
            ParameterValue::Text(text) => Some((format!("param_{name}"), text.as_str())),
            _ => None,
        })
        .collect()
}
