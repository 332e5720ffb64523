//! Who ends work that nobody waits for any more: a query by its flag, the service by another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audit::{CUT_OFF, GIVEN_UP};

pub(crate) use meetnet_sql::StopFlag;

/// Set once the service ends and what is under way is cut off; clones are of the same service.
#[derive(Clone, Debug, Default)]
pub(crate) struct CutOff(Arc<AtomicBool>);

impl CutOff {
    /// Says that what is under way is cut off.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns what is said of a statement whose answer nobody takes any more: its connection is gone, whoever has ended it.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.0.load(Ordering::Acquire) {
            true => CUT_OFF,
            false => GIVEN_UP,
        }
    }
}
