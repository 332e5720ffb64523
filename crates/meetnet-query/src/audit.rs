//! What is told of every statement: its shape without values, what it cost, and how it ended.
//!
//! A shape holds words of SQL, names of this service's tables, columns and functions, and marks: `?` for values, `_` for
//! every other word, because a client may put anything into an alias or a comment. So it tells which questions are asked
//! and which of them are expensive, and nothing of who asks or what about.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::Field;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::common::common_fields;
use meetnet_model::hex::Hex;
use meetnet_model::ids::DatasetId;
use sha2::{Digest, Sha256};

use crate::as_of::AS_OF_SUFFIX;
use crate::catalog::{CATALOG, HISTORY_SUFFIX, SCHEMA};
use crate::client::Client;
use crate::error::shortened;
use crate::guard::{literal_bytes, tokens};
use crate::options::{Dialect, QueryRequest};
use crate::postgres::catalog::{INFORMATION_SCHEMA, PG_CATALOG};

#[cfg(test)]
mod tests;

/// Length of a shape that is kept; its digest is of all of it.
const SHAPE_BYTES_MAX: usize = 1_000;
/// Bytes of a digest that tell one shape from another.
const DIGEST_BYTES: usize = 8;
/// The shape of a statement that is longer than any that is read.
const TOO_LONG: &str = "too_long";
/// What a statement is said to have been that was given up before its end.
pub(crate) const GIVEN_UP: &str = "given_up";
/// The same of one that the end of the service did not wait for any longer.
pub(crate) const CUT_OFF: &str = "cut_off";
/// What an answer is called that was not made but kept.
const KEPT: &str = "kept";

/// Takes note of statements.
pub trait Audit: fmt::Debug + Send + Sync {
    /// Takes note of one. Called on the threads of queries: it must not wait.
    fn note(&self, entry: &AuditEntry);
}

/// One statement that has ended.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Who asked, and how. Whoever keeps the entry keeps a pseudonym in its place.
    pub client: Client,
    /// The statement without values and foreign names.
    pub shape: String,
    /// The first 16 hexadecimal digits of the SHA-256 of the whole shape.
    pub digest: String,
    /// `ok`, `kept` (from the cache of answers), `given_up` (by the client), `cut_off` (by the end of the service), or the kind
    /// of the error.
    pub outcome: &'static str,
    /// Rows of the answer.
    pub rows: u64,
    /// Its bytes, as columns in memory.
    pub bytes: u64,
    /// From the request to the end of the answer.
    pub duration: Duration,
}

/// The entry of a statement under way, which is noted once its end is said.
#[derive(Debug)]
pub(crate) struct Noted {
    audit: Arc<dyn Audit>,
    entry: AuditEntry,
    started: Instant,
}

impl Noted {
    /// Begins the entry of a request. `is_function` knows the names of functions; what is longer than `sql_bytes_max` is not
    /// taken apart, as nothing else looks at it either.
    pub(crate) fn begin(
        audit: &Arc<dyn Audit>,
        client: &Client,
        request: &QueryRequest,
        snapshot: &LakeSnapshot,
        sql_bytes_max: usize,
        is_function: impl Fn(&str) -> bool,
    ) -> Self {
        let shape = if request.sql.len() > sql_bytes_max {
            TOO_LONG.to_owned()
        } else {
            let common = common_fields();
            shape(&request.sql, request.dialect, |name| {
                is_of_tables(snapshot, &common, name) || is_function(name)
            })
        };
        Self {
            audit: Arc::clone(audit),
            entry: AuditEntry {
                client: client.clone(),
                digest: digest(&shape),
                shape: shortened(shape, SHAPE_BYTES_MAX),
                // Until it is said at the end.
                outcome: GIVEN_UP,
                rows: 0,
                bytes: 0,
                duration: Duration::ZERO,
            },
            started: Instant::now(),
        }
    }

    /// Counts what goes out.
    pub(crate) fn add(&mut self, rows: u64, bytes: u64) {
        self.entry.rows += rows;
        self.entry.bytes += bytes;
    }

    /// Notes how it ended.
    pub(crate) fn ended(mut self, outcome: &'static str) {
        self.entry.outcome = outcome;
        self.entry.duration = self.started.elapsed();
        self.audit.note(&self.entry);
    }

    /// Notes that it was answered from what is kept.
    pub(crate) fn kept(mut self, rows: u64, bytes: u64) {
        self.add(rows, bytes);
        self.ended(KEPT);
    }
}

/// Returns true for the name of the catalogue, a schema, a table, one of its views or columns; `common` are the columns of
/// all tables.
fn is_of_tables(snapshot: &LakeSnapshot, common: &[Field], name: &str) -> bool {
    let is_dataset = |name: &str| snapshot.tables.contains_key(&DatasetId::new(name));
    let is_view = |suffix: &str| name.strip_suffix(suffix).is_some_and(is_dataset);
    let is_column = |table: &Arc<TableSnapshot>| {
        table.declaration.column_index(name).is_some()
            || common.iter().any(|column| column.name() == name)
    };
    [CATALOG, SCHEMA, INFORMATION_SCHEMA, PG_CATALOG].contains(&name)
        || is_dataset(name)
        || is_view(HISTORY_SUFFIX)
        || is_view(AS_OF_SUFFIX)
        || snapshot.tables.values().any(is_column)
}

/// Returns a statement without values and without names that are not `is_known`.
fn shape(sql: &str, dialect: Dialect, is_known: impl Fn(&str) -> bool) -> String {
    let Some(tokens) = tokens(sql, dialect) else {
        return "unreadable".to_owned();
    };
    let mut parts: Vec<String> = Vec::new();
    for token in &tokens {
        let part = match token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::Number(..) | Token::Placeholder(_) => "?".to_owned(),
            token if literal_bytes(token).is_some() => "?".to_owned(),
            Token::Word(word) => {
                let name = word.value.to_lowercase();
                if is_known(&name) {
                    name
                } else if word.keyword != Keyword::NoKeyword && word.quote_style.is_none() {
                    name.to_uppercase()
                } else {
                    "_".to_owned()
                }
            }
            token => {
                let text = token.to_string();
                let is_sign = text.bytes().all(|byte| byte.is_ascii_punctuation());
                if is_sign { text } else { "_".to_owned() }
            }
        };
        // A list of values is one value.
        let is_again = part == "?" && parts.len() >= 2 && parts[parts.len() - 2..] == ["?", ","];
        if is_again {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join(" ")
}

fn digest(shape: &str) -> String {
    Hex(&Sha256::digest(shape.as_bytes())[..DIGEST_BYTES]).to_string()
}
