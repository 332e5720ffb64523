//! The threads on which listeners of the read side run: their own where the process takes messages, too.
//!
//! ```text
//! main runtime   sources, pushes ─▶ acknowledgements     · admin, commands
//! "answer"       HTTP, PostgreSQL, Flight SQL: encode, compress and hash what is answered
//! "query"        queries (QueryService)
//! ```
//!
//! A task encodes what it sends batch by batch, milliseconds each, and those of several clients come one after the other. On
//! the threads that acknowledge messages, these would wait behind them. They give way as those of queries do.

use anyhow::Context;
use meetnet_query::end_elsewhere;
use tokio::runtime::{Builder, Handle, Runtime};

use super::priority;
use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// Where answers are made.
pub(super) struct Answering {
    /// Taken on drop only: a runtime must not be dropped where tasks run. None: the caller's runtime does it.
    own: Option<Runtime>,
}

impl Answering {
    /// Starts threads of its own where messages are `beside` the questions.
    ///
    /// # Errors
    /// `Work` where threads cannot be started.
    pub(super) fn start(beside: bool) -> Result<Self, Failure> {
        if !beside {
            return Ok(Self { own: None });
        }
        let own = Builder::new_multi_thread()
            .thread_name("answer")
            .on_thread_start(priority::lower)
            .enable_all()
            .build()
            .context("failed to start threads for answers")
            .map_err(Failure::Work)?;
        Ok(Self { own: Some(own) })
    }

    /// Returns a handle to the runtime; called within the main one.
    pub(super) fn handle(&self) -> Handle {
        match &self.own {
            Some(own) => own.handle().clone(),
            None => Handle::current(),
        }
    }

    /// Returns a handle to threads of its own: they keep memory of their own.
    pub(super) fn own_handle(&self) -> Option<Handle> {
        self.own.as_ref().map(|own| own.handle().clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            end_elsewhere(own);
        }
    }
}
