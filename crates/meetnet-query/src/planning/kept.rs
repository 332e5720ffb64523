//! Statements that are kept to be asked later, by whoever declares them: what is wrong with them, told before anybody asks.
//!
//! They are planned over empty tables of what is declared, so nothing is read. A statement that plans may still fail by its rows or
//! by the values of its placeholders.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_lake::storage::{FolderStorage, LakeStorage, TableFolder};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::Sequence;

use super::{Values, planned_with, table_arguments};
use crate::catalog::SnapshotTables;
use crate::error::{QueryError, QueryErrorKind, from_datafusion};
use crate::guard;
use crate::options::{Dialect, QueryOptions, QueryRequest};
use crate::parameters::{ParameterValue, Parameters};
use crate::parse;
use crate::service::STACK_BYTES;
use crate::session::Sessions;
use crate::stop::StopFlag;
use crate::table::prepared::PreparedTables;
use crate::table::reader::NoticedFiles;

/// 2200-01-01: statements as of any time before it are settled.
const STABLE_TIME: i64 = 7_258_118_400_000_000;
/// A time that every table function takes.
const SAMPLE_TIME: &str = "1970-01-01";

/// Returns the statements that nobody can be answered, by their position, and why: no SQL, more than one statement, one that does
/// more than read, a table or a column that is not declared. `options` are those of the service that is to answer them.
pub fn refused_statements(
    statements: &[&str],
    declarations: &Arc<Declarations>,
    options: &QueryOptions,
) -> Vec<(usize, QueryError)> {
    if statements.is_empty() {
        return Vec::new();
    }
    // Planning goes deep, and whoever calls may be on a runtime, which nobody may block.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("statements".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || refused(statements, declarations, options));
        let refused = thread.ok().and_then(|thread| thread.join().ok());
        // What cannot be looked at is not wrong.
        refused.unwrap_or_default()
    })
}

fn refused(
    statements: &[&str],
    declarations: &Arc<Declarations>,
    options: &QueryOptions,
) -> Vec<(usize, QueryError)> {
    let options = QueryOptions {
        audit: None,
        spill_dir: None,
        declarations: Some(Arc::new(ArcSwap::new(Arc::clone(declarations)))),
        ..options.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (Ok(runtime), Ok(sessions)) = (runtime, Sessions::try_new(&options)) else {
        return Vec::new();
    };
    let planner = Planner {
        snapshot: Arc::new(empty_lake(declarations)),
        declarations,
        sessions,
        options,
    };
    let numbered = statements.iter().enumerate();
    numbered
        .filter_map(|(at, sql)| Some((at, runtime.block_on(planner.refusal(sql))?)))
        .collect()
}

/// A lake in which every declared dataset has no rows.
fn empty_lake(declarations: &Declarations) -> LakeSnapshot {
    // Nothing is read there.
    let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new("/nowhere"));
    let table = |declaration: &Arc<DatasetDeclaration>| {
        Arc::new(TableSnapshot {
            declaration: Arc::clone(declaration),
            folder: TableFolder::new(Arc::clone(&storage), declaration.id.as_str()),
            version: 0,
            through: Sequence::ZERO,
            stable_time: STABLE_TIME,
            files: Arc::default(),
            masks: Arc::new(HashMap::new()),
            hot: Arc::default(),
        })
    };
    let declared = declarations.datasets.iter();
    LakeSnapshot {
        tables: declared
            .map(|(id, declaration)| (id.clone(), table(declaration)))
            .collect(),
    }
}

/// What statements are planned with.
struct Planner<'a> {
    sessions: Sessions,
    options: QueryOptions,
    snapshot: Arc<LakeSnapshot>,
    declarations: &'a Arc<Declarations>,
}

impl Planner<'_> {
    /// Returns why nobody can be answered a statement; None: it can be asked, or its placeholders decide.
    async fn refusal(&self, sql: &str) -> Option<QueryError> {
        if let Err(error) = guard::check_request(&QueryRequest::public(sql), &self.options) {
            return Some(error);
        }
        let names = placeholder_names(sql);
        let of_all = |value: ParameterValue| -> Parameters {
            let names = names.iter();
            names.map(|name| (name.clone(), value.clone())).collect()
        };
        let times = of_all(ParameterValue::Text(SAMPLE_TIME.to_owned()));
        let refusal = self.plan(sql, times.clone()).await.err()?;
        if self.plan(sql, of_all(ParameterValue::Int(1))).await.is_ok() {
            return None;
        }
        // A table function may want one of each: then only who asks can tell.
        let depends_on_values =
            parse::statement(sql, Dialect::Generic, &self.options).is_ok_and(|mut statement| {
                !table_arguments::fill(&mut statement, &times, Values::Samples).is_empty()
            });
        (!depends_on_values && refusal.kind != QueryErrorKind::Internal).then_some(refusal)
    }

    async fn plan(&self, sql: &str, parameters: Parameters) -> Result<(), QueryError> {
        let request = QueryRequest {
            parameters,
            ..QueryRequest::public(sql)
        };
        let tables = Arc::new(self.tables(&request));
        let names: Vec<String> = tables.names().collect();
        let session = self
            .sessions
            .session(Arc::clone(&tables), &StopFlag::default())
            .map_err(|error| from_datafusion(error, &names))?;
        // Texts among the values are samples: a step of a series is none of a time.
        let values = Values::Samples;
        let planned = planned_with(&session, &request, &tables, &self.options, values).await;
        planned
            .map(drop)
            .map_err(|error| from_datafusion(error, &names))
    }

    fn tables(&self, request: &QueryRequest) -> SnapshotTables {
        let registry = self.sessions.registry();
        let metadata_cache = self.sessions.metadata_cache();
        SnapshotTables {
            snapshot: Arc::clone(&self.snapshot),
            session: request.session,
            as_of: None,
            licences: None,
            dialect: request.dialect,
            prepared: Arc::new(PreparedTables::new(
                Arc::clone(registry),
                Arc::clone(&metadata_cache),
            )),
            registry: Arc::clone(registry),
            metadata_cache,
            noticed: Arc::new(NoticedFiles::default()),
            ordered_groups_max: self.options.ordered_groups_max,
            declarations: Some(Arc::clone(self.declarations)),
            is_unsteady: AtomicBool::new(false),
        }
    }
}

/// Returns what the placeholders of a statement may be called; texts in it may look like some.
fn placeholder_names(sql: &str) -> Vec<String> {
    let named = sql.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    });
    let named = named.filter(|name| !name.is_empty()).map(str::to_owned);
    // Those without a name are counted.
    let counted = (1..=sql.matches('?').count()).map(|position| position.to_string());
    named.chain(counted).collect()
}

#[cfg(test)]
mod tests;
