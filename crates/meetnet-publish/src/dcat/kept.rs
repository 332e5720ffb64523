//! Catalogues as they were last written, for those who ask again.
//!
//! A catalogue says what an overview says, so it is written once for each overview, in each coding and syntax that somebody asks for. Between
//! two overviews it can only be another one where the declarations are.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use meetnet_model::declarations::Declarations;

use super::syntax::Syntax;
use crate::coding::Coding;
use crate::overview::Overview;

#[cfg(test)]
mod tests;

/// Most catalogues that are kept: the codings of each syntax, under the few addresses that a service has. Where `public_url` is not set clients
/// name the address, so there must be an end to it.
const KEPT_MAX: usize = 16;

/// A catalogue as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    /// Its strong ETag, with its quotes.
    pub(super) tag: String,
    pub(super) bytes: Bytes,
    /// How they are coded.
    pub(super) coding: Coding,
}

/// What decides about the bytes of a catalogue.
pub(super) struct Version {
    /// The address under which the service is reached, without a slash at its end.
    pub(super) base: String,
    /// What the client likes best.
    pub(super) coding: Coding,
    pub(super) syntax: Syntax,
    pub(super) overview: Arc<Overview>,
    pub(super) declarations: Arc<Declarations>,
}

impl Version {
    fn is(&self, other: &Self) -> bool {
        self.base == other.base
            && self.coding == other.coding
            && self.syntax == other.syntax
            && Arc::ptr_eq(&self.overview, &other.overview)
            && Arc::ptr_eq(&self.declarations, &other.declarations)
    }
}

/// The catalogues that are kept.
#[derive(Default)]
pub(crate) struct CatalogueCache {
    /// Oldest first.
    kept: Mutex<Vec<(Version, Written)>>,
}

impl CatalogueCache {
    /// Returns the catalogue of a version. Those who ask for it while it is written wait for it.
    ///
    /// # Errors
    /// Where `write` fails; then nothing is kept.
    pub(super) fn get<E>(
        &self,
        version: Version,
        write: impl FnOnce(&Version) -> Result<Written, E>,
    ) -> Result<Written, E> {
        // Every change is whole before the lock is given back, so a panic elsewhere leaves the cache usable.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, written)) = kept.iter().find(|(of, _)| of.is(&version)) {
            return Ok(written.clone());
        }
        let written = write(&version)?;
        // Nobody asks for an earlier overview again, and one that is kept here would stay in memory.
        kept.retain(|(of, _)| Arc::ptr_eq(&of.overview, &version.overview));
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((version, written.clone()));
        Ok(written)
    }
}
