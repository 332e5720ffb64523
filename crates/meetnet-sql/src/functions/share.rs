//! How much one call of a function may make: what all calls of a statement make lies side by side, as columns of one batch.
//!
//! A statement has room for a thousand calls of `repeat`. If each made as much as one alone may, a batch would be sixty
//! gigabytes, past every account. So they share the room of one, and a batch of many calls has fewer rows.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

use super::BOUNDED;
use super::bounded::Growth;

/// Bytes that all calls of a statement may make of one batch of rows.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of one value that a call makes of constants, and of all of them: it becomes a literal, which is repeated for each row
/// of a batch.
const CONSTANT_BYTES_MAX: u64 = 1 << 20;
const CONSTANTS_BYTES_MAX: u64 = 16 << 20;
/// Calls up to which a batch has as many rows as any.
const CALLS_FREE: usize = 4;

/// How many calls a statement has that can make more than they are given. It lies among the options of its session, where
/// functions find it; clones are of the same statement.
#[derive(Clone, Debug, Default)]
pub struct CallShare(Arc<AtomicUsize>);

impl CallShare {
    /// Counts the calls of a plan.
    ///
    /// # Errors
    /// Where a node cannot be looked at.
    pub fn count(&self, plan: &LogicalPlan) -> Result<()> {
        let mut calls = 0;
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    calls += usize::from(can_grow(expr));
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        self.0.store(calls, Ordering::Relaxed);
        Ok(())
    }

    /// Returns how many rows a batch has, of `rows` that one has otherwise.
    pub fn batch_rows(&self, rows: usize) -> usize {
        let calls = self.0.load(Ordering::Relaxed);
        (rows * CALLS_FREE / calls.max(CALLS_FREE)).max(1)
    }

    /// Returns how many bytes one call may make of a batch of rows.
    pub(super) fn output_bytes_max(options: &ConfigOptions) -> u64 {
        OUTPUT_BYTES_MAX / Self::calls(options)
    }

    /// Returns how many bytes one call may make of constants.
    pub(super) fn constant_bytes_max(options: &ConfigOptions) -> u64 {
        (CONSTANTS_BYTES_MAX / Self::calls(options)).min(CONSTANT_BYTES_MAX)
    }

    /// At least one: whoever asks is one.
    fn calls(options: &ConfigOptions) -> u64 {
        let share = options.extensions.get::<Self>();
        share.map_or(1, |share| share.0.load(Ordering::Relaxed).max(1) as u64)
    }
}

fn can_grow(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => BOUNDED
            .iter()
            .any(|(name, growth, _)| *name == call.name() && *growth != Growth::Small),
        Expr::BinaryExpr(binary) => binary.op == Operator::StringConcat,
        _ => false,
    }
}

impl ConfigExtension for CallShare {
    const PREFIX: &'static str = "meetnet_calls";
}

impl ExtensionOptions for CallShare {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    /// Shares the number on purpose: it is known after copies have been made.
    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!(
            "there is no setting `{key}`"
        )))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
