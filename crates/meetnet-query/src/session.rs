//! One DataFusion session per query: settings and functions are made once, catalogue and memory pool per query.
//!
//! A session is copied from a template, not built: a builder registers each of some hundred functions anew, which took as long as
//! all else that a small query needs before it is planned.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::context::SessionConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;

use meetnet_sql::sizes::usual_bytes;
use meetnet_sql::{BalancedConditions, CallShare, CertainConstants, NamedTwice};

use crate::as_of::AsOfPlanner;
use crate::calls_apart::CallsApart;
use crate::catalog::{CATALOG, SCHEMA, SnapshotCatalogList, SnapshotTables};
use crate::cooperative::Cooperative;
use crate::in_turn::UnionsInTurn;
use crate::memory::QueryMemory;
use crate::options::QueryOptions;
use crate::outer_constants::OuterConstants;
use crate::planning::RowCounts;
use crate::postgres::{register_casts, register_geometry, register_type_names};
use crate::room::QueryRoom;
use crate::runs::GroupedRuns;
use crate::spill::{QuerySpill, SpillFolder};
use crate::stop::StopFlag;
use crate::times_first::TimesFirst;
use crate::wide_rows::usual_row_bytes;

/// Consumers that an out-of-memory message names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(5).expect("5 is not 0");

/// Memory that each part of a sort has ready for putting together what it has sorted, in bytes, where its query has so much.
const SORT_READY_BYTES: usize = 10 << 20;
/// Bytes of a key beside those of its values: where it begins.
const KEY_BYTES: usize = size_of::<usize>();
/// How often DataFusion counts a batch of each file of sorted rows that it reads: two of them, each with its keys.
const FILE_BATCHES: usize = 4;
/// Batches that each part of a sort has at a time at the most, if memory is short: those of two files, and what is made of them.
const PART_BATCHES: usize = 16;
/// Rows of a batch below which it is more work for each of them than it saves memory.
const SORTED_ROWS_MIN: usize = 256;

/// The rule of DataFusion that first asks which columns are constant, and drops sorts of what is sorted. Filters have been handed
/// down to scans by then, and none is made after it.
const FIRST_TO_ASK: &str = "EnsureRequirements";
/// The first of DataFusion's physical rules that hands filters down by the names of columns.
const FIRST_TO_HAND_DOWN: &str = "FilterPushdown";

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Sessions {
    template: SessionState,
    shared: Arc<RuntimeEnv>,
    /// Goes after everything that may have files in it.
    _spill_folder: SpillFolder,
}

impl Sessions {
    pub(crate) fn try_new(options: &QueryOptions) -> Result<Self> {
        let base = options.spill_dir.clone();
        let spill_folder = SpillFolder::open(&base.unwrap_or_else(std::env::temp_dir))?;
        let folder = spill_folder.path().to_owned();
        let disk = DiskManagerBuilder::default()
            .with_max_temp_directory_size(options.spill_bytes_max)
            .with_mode(DiskManagerMode::Directories(vec![folder]));
        let shared = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .with_metadata_cache_limit(options.metadata_cache_bytes_max)
            // Snapshots say which files there are: a cached listing could only be wrong.
            .with_object_list_cache_limit(0)
            .build_arc()?;
        let mut state = SessionStateBuilder::new()
            .with_config(config(options))
            .with_runtime_env(Arc::clone(&shared))
            // Before those of DataFusion, which would plan the same operators.
            .with_expr_planners(meetnet_sql::expr_planners())
            .with_default_features()
            .with_physical_optimizer_rules(physical_rules())
            .with_type_planner(meetnet_sql::type_planner())
            .with_analyzer_rules(meetnet_sql::rules(
                Arc::new(RowCounts),
                Arc::new(CallsApart),
            ))
            .with_optimizer_rule(meetnet_sql::optimizer_rule())
            .build();
        meetnet_functions::register(&mut state)?;
        meetnet_sql::register(&mut state)?;
        register_geometry(&mut state)?;
        register_type_names(&mut state)?;
        register_casts(&mut state)?;
        Ok(Self {
            template: state,
            shared,
            _spill_folder: spill_folder,
        })
    }

    pub(crate) fn registry(&self) -> &Arc<dyn ObjectStoreRegistry> {
        &self.shared.object_store_registry
    }

    pub(crate) fn metadata_cache(&self) -> Arc<FileMetadataCache> {
        self.shared.cache_manager.get_file_metadata_cache()
    }

    /// Returns true for the name of a function.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.template.scalar_functions().contains_key(name)
            || self.template.aggregate_functions().contains_key(name)
            || self.template.window_functions().contains_key(name)
            || self.template.table_functions().contains_key(name)
    }

    /// Makes the session that one query is planned in: its own catalogue, everything else shared. Its functions end where
    /// `stop` is raised.
    pub(crate) fn session(
        &self,
        tables: Arc<SnapshotTables>,
        stop: &StopFlag,
    ) -> Result<SessionState> {
        let mut state = self.template.clone();
        state.register_relation_planner(Arc::new(AsOfPlanner(Arc::clone(&tables))))?;
        state.register_catalog_list(Arc::new(SnapshotCatalogList(tables)));
        let options = state.config_mut().options_mut();
        options.extensions.insert(stop.clone());
        options.extensions.insert(CallShare::default());
        state.mark_start_execution();
        Ok(state)
    }

    /// Makes what a plan runs in: its own limits, everything else shared. Plans hold their functions, so that nobody looks one up
    /// by its name any more.
    pub(crate) fn task_context(
        &self,
        session: &SessionState,
        room: &QueryRoom,
        plan: &dyn ExecutionPlan,
    ) -> Result<Arc<TaskContext>> {
        let memory = QueryMemory::new(room.memory_bytes_max, Arc::clone(&room.client));
        let pool = TrackConsumersPool::new(memory, NAMED_CONSUMERS);
        let disk = Arc::clone(&self.shared.disk_manager);
        let spill = QuerySpill::new(disk, room.spill_bytes_max, Arc::clone(&room.client));
        let sorts = PlannedSorts::of(plan);
        let files = sorts.files_at_a_time(room.memory_bytes_max, session.config().batch_size());
        let disk = DiskManagerBuilder::default()
            .with_temp_file_factory(Arc::new(spill))
            .with_max_spill_merge_fan_in(files);
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.shared)
            .with_disk_manager_builder(disk)
            .with_memory_pool(Arc::new(pool))
            .build_arc()?;
        let ready = sorts.ready_bytes(room.memory_bytes_max);
        Ok(Arc::new(TaskContext::new(
            None,
            session.session_id().to_owned(),
            session
                .config()
                .clone()
                .with_sort_spill_reservation_bytes(ready),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            runtime,
        )))
    }
}

/// The sorts of a plan that put something together.
pub(crate) struct PlannedSorts(Vec<PlannedSort>);

impl PlannedSorts {
    pub(crate) fn of(plan: &dyn ExecutionPlan) -> Self {
        let mut sorts = Vec::new();
        find_sorts(plan, &mut sorts);
        Self(sorts)
    }

    /// Returns how many bytes each part has ready, as long as its rows come, for putting together what it has sorted. All together
    /// they leave half of the memory for rows, and three quarters where the keys of rows are not larger than the rows: otherwise a
    /// query of little memory, or of many parts, would be refused before its first row.
    fn ready_bytes(&self, memory_bytes_max: usize) -> usize {
        let parts = self.0.iter().map(|sort| sort.parts).sum::<usize>().max(1);
        let usual = (memory_bytes_max / 4 / parts).min(SORT_READY_BYTES);
        let for_keys = self.0.iter().map(|sort| sort.key_bytes(memory_bytes_max));
        let for_keys = for_keys.max().unwrap_or(0) / parts;
        usual.max(for_keys).min(memory_bytes_max / 2 / parts)
    }

    /// Returns how many files of sorted rows each part reads at a time, so that all together they leave half of the memory; 0 is as
    /// many as there are. DataFusion reads as many as there is memory for, and who puts the parts together, or sorts beside it, would
    /// get nothing.
    fn files_at_a_time(&self, memory_bytes_max: usize, batch_rows: usize) -> usize {
        let of_each = self.row_bytes() * FILE_BATCHES * batch_rows;
        let files = (memory_bytes_max / 2).checked_div(of_each);
        // Of fewer than two nothing is put together.
        files.map_or(0, |files| files.max(2))
    }

    /// Returns how many rows a batch may have, `rows` at the most, so that each part has room for its batches. A dataset may have a
    /// part for each month, and of 14 parts batches of 8,192 rows are more than a query of little memory has.
    pub(crate) fn batch_rows(&self, memory_bytes_max: usize, rows: usize) -> usize {
        let most = (memory_bytes_max / PART_BATCHES).checked_div(self.row_bytes());
        most.map_or(rows, |most| rows.min(most.max(SORTED_ROWS_MIN)))
    }

    /// Returns the bytes of one row of each part.
    fn row_bytes(&self) -> usize {
        self.0.iter().map(|sort| sort.parts * sort.row_bytes).sum()
    }
}

/// A sort of a plan. One that only keeps the first rows is none: it puts nothing together.
struct PlannedSort {
    parts: usize,
    /// Bytes of a row in most cases.
    row_bytes: usize,
    /// Bytes by which a row with its key is larger than what is asked for as the row comes, which is twice the row.
    more_bytes: usize,
}

impl PlannedSort {
    fn new(sort: &SortExec) -> Self {
        let schema = sort.schema();
        let row_bytes = usual_row_bytes(&schema).max(1);
        let keys = sort.expr().iter().map(|key| {
            let data_type = key.expr.data_type(&schema);
            // One more says whether there is a value.
            data_type.map_or(0, |data_type| 1 + usual_bytes(&data_type))
        });
        let keys: Vec<usize> = keys.collect();
        // A single column is compared as it is.
        let key_bytes = match keys.as_slice() {
            [_] => 0,
            keys => KEY_BYTES + keys.iter().sum::<usize>(),
        };
        Self {
            parts: sort.properties().output_partitioning().partition_count(),
            row_bytes,
            more_bytes: key_bytes.saturating_sub(row_bytes),
        }
    }

    /// Returns how many of so many bytes keys need, where the rows have the others.
    fn key_bytes(&self, bytes: usize) -> usize {
        let asked = self.row_bytes * 2;
        let share = bytes as u128 * self.more_bytes as u128 / (asked + self.more_bytes) as u128;
        // A share of a number is no larger than the number.
        share as usize
    }
}

fn find_sorts(plan: &dyn ExecutionPlan, sorts: &mut Vec<PlannedSort>) {
    if let Some(sort) = plan.downcast_ref::<SortExec>()
        && sort.fetch().is_none()
    {
        sorts.push(PlannedSort::new(sort));
    }
    for step in plan.children() {
        find_sorts(step.as_ref(), sorts);
    }
}

/// Returns the rules that physical plans go through, in their order.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let first_to_ask = rules.iter().position(|rule| rule.name() == FIRST_TO_ASK);
    let others = rules.split_off(first_to_ask.unwrap_or(0));
    rules.push(Arc::new(UnionsInTurn));
    rules.push(Arc::new(CertainConstants));
    rules.push(Arc::new(OuterConstants));
    rules.extend(others);
    let first_to_hand_down = rules
        .iter()
        .position(|rule| rule.name() == FIRST_TO_HAND_DOWN);
    rules.insert(first_to_hand_down.unwrap_or(0), Arc::new(NamedTwice));
    rules.push(Arc::new(TimesFirst));
    rules.push(Arc::new(GroupedRuns));
    rules.push(Arc::new(BalancedConditions));
    rules.push(Arc::new(Cooperative));
    rules
}

fn config(options: &QueryOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.threads)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        // Ours is a schema of the catalogue; DataFusion's would list its settings.
        .with_information_schema(false)
        .with_collect_statistics(true);
    let settings = config.options_mut();
    settings.execution.time_zone = Some("UTC".to_owned());
    settings.execution.enable_recursive_ctes = false;
    // A stream that takes files of another group breaks the order that groups have been made for, and the last digits of
    // sums would depend on who took which: the same question must have the same bytes.
    settings.execution.enable_file_stream_work_stealing = false;
    // DataFusion 55.2 makes such a filter of the plain columns among the arguments and forgets the others: beside
    // `min(time)`, a row that has no earlier time would be skipped before `max(-value)` saw it. Set by its name, it would be
    // overridden by `enable_dynamic_filter_pushdown`, which sets all kinds at once; as a field it stays.
    settings.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    // Units live in field metadata; operators that drop it are not in error.
    settings.execution.skip_physical_aggregate_schema_check = true;
    config
}

#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;
