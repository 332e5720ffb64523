//! Whether a query still has somebody who wants its answer: what a function asks that works for long on one batch.
//!
//! A task that is aborted ends where it gives way, between batches. Within a batch only the function itself can end, so the
//! flag lies where functions find it: among the options of the session.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};

use crate::error::{QueryError, QueryErrorKind};

/// Set once nobody waits for the answer any more; clones are of the same query.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Says that nobody waits any more.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns true where nobody waits any more.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Ends the work of a function whose answer nobody wants.
    ///
    /// # Errors
    /// Where that is so.
    pub fn check(options: &ConfigOptions) -> Result<()> {
        let flag = options.extensions.get::<Self>();
        flag.map_or(Ok(()), Self::check_raised)
    }

    /// As [`StopFlag::check`], for who holds the flag.
    ///
    /// # Errors
    /// Where nobody waits any more.
    pub fn check_raised(&self) -> Result<()> {
        if self.is_raised() {
            return Err(QueryError::new(QueryErrorKind::Timeout, "the query was stopped").into());
        }
        Ok(())
    }
}

impl ConfigExtension for StopFlag {
    const PREFIX: &'static str = "meetnet_stop";
}

impl ExtensionOptions for StopFlag {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    /// Shares the state on purpose: every copy of the options is of the same query.
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
