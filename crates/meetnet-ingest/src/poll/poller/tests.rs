//! A polled source against a server of the test's own, in time that is set by hand.

mod backfills;
mod cursors;
mod failures;
mod karlsruhe;
mod scene;
