//! SQL as people mean it: where DataFusion would answer wrongly, fail, or work without bound, plans and functions are others.
//!
//! ```text
//! statement ─▶ DataFusion's planner ─▶ rules (here) ─▶ optimizer ─▶ physical rules (here) ─▶ plan
//!                                      types, NULL, order,          conditions, constants
//!                                      rounding, zeros
//! ```
//!
//! A module for each thing that is mended, so that it can go once DataFusion does it. It knows no table, no snapshot and no limit but
//! those of a function's own work: whoever plans statements, of which tables whatever, makes a session with [`rules`] and
//! [`register`].

mod aggregates;
mod arithmetic;
mod at_time_zone;
mod balanced;
mod casts;
mod certain_constants;
mod compared_columns;
mod decimals;
mod distinct_rows;
mod empty_subqueries;
mod error;
mod existence;
mod float_casts;
mod functions;
mod gathered;
mod grouping_sets;
mod guarded_divisors;
mod having;
mod interval_arithmetic;
mod intervals;
mod list_order;
mod listed_members;
pub mod literals;
mod micros;
mod named_twice;
mod negative_zeros;
mod null_members;
mod removed_members;
mod repeated_keys;
pub mod rewrite;
mod rounded_times;
mod series;
mod set_comparisons;
mod shifts;
mod sliding;
mod stop;
pub mod time_text;
mod times_of_day;
mod typed_keys;
mod union_names;
pub mod unknown_members;
mod wall_clock;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ExprPlanner, TypePlanner};
use datafusion::optimizer::{Analyzer, AnalyzerRule, OptimizerRule};

pub use arithmetic::check_constant;
pub use at_time_zone::AT_TIME_ZONE;
pub use balanced::{BalancedConditions, balanced};
pub use certain_constants::CertainConstants;
pub use error::{QueryError, QueryErrorKind, SharedLimit, StatementFault, shortened};
pub use existence::has_outer_columns;
pub use functions::{CallShare, ESCAPED_LIKE, SUBSTRING_OF_PATTERN, json, sizes, with_backslashes};
pub use grouping_sets::computed_beneath;
pub use guarded_divisors::guarded;
pub use named_twice::NamedTwice;
pub use stop::StopFlag;

use arithmetic::{CheckedWholeNumbers, WholeNumberUnions};
use casts::OpaqueCasts;
use compared_columns::ComparedColumns;
use decimals::RoundedQuotients;
use distinct_rows::DistinctRows;
use empty_subqueries::EmptySubqueries;
use existence::ExistenceAsValue;
use float_casts::CheckedFloats;
use functions::{CommonElements, ListOperators};
use grouping_sets::GroupingColumns;
use having::HavingInValues;
use intervals::ComparedIntervals;
use list_order::OrderedLists;
use listed_members::ListedMembers;
use literals::ReadableTexts;
use micros::Microseconds;
use negative_zeros::UnsignedZeros;
use null_members::NullMembers;
use repeated_keys::RepeatedKeys;
use rounded_times::RoundedTimes;
use set_comparisons::SetComparisons;
use times_of_day::TimesOfDay;
use typed_keys::TypedKeys;
use union_names::UnionNames;
use unknown_members::UnknownMembers;
use wall_clock::InstantsOfClocks;

/// Rows of a frame over which a function may gather all values anew for every row.
pub const GATHERED_ROWS_MAX: u64 = 1_000;

/// The rule of DataFusion that makes types equal.
const TYPES_EQUAL: &str = "type_coercion";

/// Returns the rules that a plan goes through before it is optimized, in their order: DataFusion's, `untyped` and others before types
/// are made equal, behind them `of_tables`, which sees the calls that were written, and then those that need the types.
pub fn rules(
    untyped: Arc<dyn AnalyzerRule + Send + Sync>,
    of_tables: Arc<dyn AnalyzerRule + Send + Sync>,
) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    let types_equal = rules.iter().position(|rule| rule.name() == TYPES_EQUAL);
    let types_equal = types_equal.unwrap_or(0);
    rules.insert(types_equal, Arc::new(WholeNumberUnions));
    rules.insert(types_equal, Arc::new(CommonElements));
    rules.insert(types_equal, Arc::new(SetComparisons));
    rules.insert(types_equal, untyped);
    let ours: [Arc<dyn AnalyzerRule + Send + Sync>; 24] = [
        of_tables,
        Arc::new(GroupingColumns),
        Arc::new(RepeatedKeys),
        Arc::new(ExistenceAsValue),
        Arc::new(HavingInValues),
        Arc::new(EmptySubqueries::new()),
        Arc::new(ReadableTexts),
        Arc::new(RoundedTimes),
        Arc::new(TimesOfDay),
        Arc::new(InstantsOfClocks),
        Arc::new(CheckedFloats),
        Arc::new(OpaqueCasts),
        Arc::new(ComparedIntervals),
        Arc::new(OrderedLists),
        Arc::new(NullMembers),
        Arc::new(ListedMembers),
        Arc::new(UnknownMembers),
        Arc::new(CheckedWholeNumbers),
        Arc::new(RoundedQuotients),
        Arc::new(UnsignedZeros),
        Arc::new(DistinctRows::new()),
        Arc::new(TypedKeys),
        Arc::new(UnionNames),
        Arc::new(ComparedColumns),
    ];
    rules.extend(ours);
    rules
}

/// Returns the rule that plans go through behind DataFusion's optimizer.
pub fn optimizer_rule() -> Arc<dyn OptimizerRule + Send + Sync> {
    Arc::new(RepeatedKeys)
}

/// Returns what plans operators of lists, which goes before what DataFusion plans them with.
pub fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![Arc::new(ListOperators::new())]
}

/// Returns which types of Arrow the types of a statement are.
pub fn type_planner() -> Arc<dyn TypePlanner> {
    Arc::new(Microseconds)
}

/// Bounds the functions of a session, and puts others in the place of those that answer wrongly.
///
/// # Errors
/// Where the session lacks one of them, or takes none.
pub fn register(state: &mut SessionState) -> Result<()> {
    functions::restrict(state)?;
    removed_members::register(state)?;
    functions::register_elements(state)?;
    micros::register(state)?;
    at_time_zone::register(state)?;
    arithmetic::register(state)?;
    sliding::register(state)?;
    gathered::register(state)?;
    shifts::register(state)?;
    decimals::register(state)?;
    intervals::register(state)?;
    interval_arithmetic::register(state)?;
    series::register(state);
    Ok(())
}
