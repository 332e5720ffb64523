//! Whether the tables that are there allow the declarations.

use std::sync::Arc;

use meetnet_model::declarations::Declarations;

use crate::actor;
use crate::error::LakeError;
use crate::storage::{LakeStorage, TableFolder};
use crate::table::log::TableLog;

/// Checks every declaration against the table it was made with; reads only.
///
/// It belongs before [`Journal::open`](crate::journal::Journal::open), which records the declarations: a refused one
/// would stay there as the last word on how envelopes are decoded.
///
/// # Errors
/// [`LakeError::ForbiddenChange`] for the first table that refuses; others where a table cannot be read.
pub fn check_declarations(
    storage: &Arc<dyn LakeStorage>,
    declarations: &Declarations,
) -> Result<(), LakeError> {
    for (id, declaration) in &declarations.datasets {
        let folder = TableFolder::new(Arc::clone(storage), id.as_str());
        if let Some(log) = TableLog::open(&folder)? {
            actor::is_changed(&log, declaration)?;
        }
    }
    Ok(())
}
