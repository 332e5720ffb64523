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

use meetnet_sql::{BalancedConditions, CallShare, CertainConstants, NamedTwice};

use crate::as_of::AsOfPlanner;
use crate::calls_apart::CallsApart;
use crate::catalog::{CATALOG, SCHEMA, SnapshotCatalogList, SnapshotTables};
use crate::cooperative::Cooperative;
use crate::in_turn::UnionsInTurn;
use crate::memory::QueryMemory;
use crate::options::QueryOptions;
use crate::planning::RowCounts;
use crate::postgres::{register_casts, register_geometry, register_type_names};
use crate::room::QueryRoom;
use crate::runs::GroupedRuns;
use crate::spill::{QuerySpill, SpillFolder};
use crate::stop::StopFlag;
use crate::times_first::TimesFirst;

/// Consumers that an out-of-memory message names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(5).expect("5 is not 0");

/// Memory that each part of a sort has ready for putting together what it has sorted, in bytes, where its query has so much.
const SORT_READY_BYTES: usize = 10 << 20;

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
        let disk = DiskManagerBuilder::default().with_temp_file_factory(Arc::new(spill));
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.shared)
            .with_disk_manager_builder(disk)
            .with_memory_pool(Arc::new(pool))
            .build_arc()?;
        let ready = sort_ready_bytes(plan, room.memory_bytes_max);
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

/// Returns how many bytes each part of a plan's sorts has ready, as long as its rows come, for putting together what it has
/// sorted. All together they leave half of the memory for rows: otherwise a query of little memory, or of many parts, would be
/// refused before its first row.
fn sort_ready_bytes(plan: &dyn ExecutionPlan, memory_bytes_max: usize) -> usize {
    let of_each = memory_bytes_max / 2 / sort_parts(plan).max(1);
    of_each.min(SORT_READY_BYTES)
}

/// Returns in how many parts a plan sorts, all its sorts together. One that only keeps the first rows puts nothing together.
fn sort_parts(plan: &dyn ExecutionPlan) -> usize {
    let own = match plan.downcast_ref::<SortExec>() {
        Some(sort) if sort.fetch().is_none() => {
            sort.properties().output_partitioning().partition_count()
        }
        _ => 0,
    };
    let steps = plan.children().into_iter();
    own + steps.map(|step| sort_parts(step.as_ref())).sum::<usize>()
}

/// Returns the rules that physical plans go through, in their order.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let first_to_ask = rules.iter().position(|rule| rule.name() == FIRST_TO_ASK);
    let others = rules.split_off(first_to_ask.unwrap_or(0));
    rules.push(Arc::new(UnionsInTurn));
    rules.push(Arc::new(CertainConstants));
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
