//! What holds for all formats: generated bodies, the fuzz corpus, and real recordings where they are at hand.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a skipped recording must say so")]

mod any_bytes;
mod corpus;
mod documentation;
mod recordings;
mod recordings_push;

#[allow(
    unreachable_pub,
    dead_code,
    reason = "shared with the fuzz crate, where it is public"
)]
#[path = "../../../../tests/fuzz/src/harness.rs"]
mod harness;

#[path = "../../src/testing/render.rs"]
mod render;
