//! Polled APIs: asked at their own pace, every body journalled as it came, cursors moved on after the sync.
//!
//! ```text
//! Plan ─(what to ask next)─▶ api ─▶ Request ─▶ fetch ─▶ Answer ─▶ api ─▶ Verdict ─▶ journal, sync ─▶ cursor file
//!   ▲                                                                      │
//!   └──────────────── taken, unchanged, failed: when to ask again ◀────────┘
//! ```
//!
//! What decides owns no clock and does no I/O: `plan` says which window of which target is asked next, `pace` when a
//! host may be asked again, and a module per API which request that is and what its answer means. `poller` is the rim.
//!
//! - **Every source is a task of its own** with one request at a time, so that one that fails slows no other. Only what
//!   a host allows is shared by its sources.
//! - **A cursor moves after the sync** of the body that it covers, and its file is synced before it counts. A lost
//!   cursor costs requests: the windows are asked again, and the lake drops rows that it has.
//! - **A backfill is saved with the cursors** from when it is asked for until its end, and goes on after a restart.
//! - **Nothing is decoded here.** A body is looked at as far as it takes to tell an answer from a failure.

mod backfill;
mod fetch;
mod ircel;
#[cfg(test)]
mod mock;
mod opensensemap;
mod options;
mod pace;
mod plan;
mod poller;
mod scrub;
mod sensor_community;
mod series;
mod state;
mod telraam;
mod verdict;

pub use backfill::{BackfillEnd, BackfillError, BackfillProgress, Backfills, OpenBackfill};
pub use options::{
    Api, IrcelOptions, Layer, PollOptions, PollOptionsError, SensorCommunityOptions, Series,
    TelraamOptions,
};
pub use pace::{HostLimits, Hosts};
pub use plan::Window;
pub(crate) use poller::Prepared;
pub use poller::{PollHandle, PollSource, Polling, spawn};
pub(crate) use scrub::without_personal;
