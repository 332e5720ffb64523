//! Work that can wait steps aside while a sync of the journal is overdue.
//!
//! Whoever sent a message waits for that sync. A disk does its part in a fraction of a millisecond, but first the kernel has
//! to hand it over: Linux has a thread of its own do so for every flush of a disk's cache (`kblockd`), on the processor of the
//! thread that syncs. Where queries keep that processor busy it has been seen to wait 5 ms. No priority of ours helps: nice
//! values count within a session or a service, and the kernel's thread is in neither. On a processor that is given up it
//! runs at once, so the threads of queries and merges give theirs up, between two batches, where a sync takes much longer
//! than usual.
//!
//! ```text
//! journal-writer  ──── sync ───────────────────────────────╴ acknowledged
//!                      ├── as long as syncs take ──┤ overdue
//! query           ── batch ──┬── batch ──┬── batch ──┬ rests ┬── batch ──
//! ```

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How many times as long as others a sync takes that is overdue.
const OVERDUE_AT: u64 = 2;
/// The longest that a thread rests for one sync. What the kernel has to do takes some 0.03 ms; where the disk itself is slow,
/// resting does not make it faster.
const REST_MAX: Duration = Duration::from_millis(2);
/// How long it rests before it looks again.
const REST_STEP: Duration = Duration::from_micros(50);
/// How long syncs usually take before there has been one.
const USUAL: Duration = Duration::from_micros(250);
/// One sync in how many is what they usually take; an overdue one counts as no more than [`OVERDUE_AT`] times as long.
const OF_SYNCS: u64 = 16;
/// A disk that takes no time keeps no sync waiting.
const USUAL_MIN: Duration = Duration::from_micros(50);
/// What stands where no sync is under way.
const NONE: u64 = 0;

/// The syncs of this process' journal: the processors that they wait for are those of all its threads.
static SYNCS: LazyLock<Syncs> = LazyLock::new(Syncs::new);

thread_local! {
    /// The sync that the thread has rested for.
    static RESTED: Cell<u64> = const { Cell::new(NONE) };
}

/// Rests while a sync of the journal is overdue, for 2 ms at most and once for each sync. Threads whose work can wait call
/// it between two parts of it; where no sync is under way it costs next to nothing.
pub fn step_aside() {
    SYNCS.step_aside();
}

/// Syncs the journal, so that [`step_aside`] knows of it.
pub(super) fn timed<T>(sync: impl FnOnce() -> T) -> T {
    SYNCS.timed(sync)
}

/// What is known of the syncs that one thread makes.
#[derive(Debug)]
struct Syncs {
    origin: Instant,
    /// When the one that is under way began, ns behind `origin`; [`NONE`]: none is.
    since_ns: AtomicU64,
    /// How long they take, ns.
    usual_ns: AtomicU64,
}

impl Syncs {
    fn new() -> Self {
        Self {
            origin: Instant::now(),
            since_ns: AtomicU64::new(NONE),
            usual_ns: AtomicU64::new(as_ns(USUAL)),
        }
    }

    /// Now, ns; never [`NONE`].
    fn now_ns(&self) -> u64 {
        as_ns(self.origin.elapsed()).max(NONE + 1)
    }

    fn timed<T>(&self, sync: impl FnOnce() -> T) -> T {
        let since_ns = self.now_ns();
        self.since_ns.store(since_ns, Ordering::Relaxed);
        let _under_way = UnderWay {
            syncs: self,
            since_ns,
        };
        sync()
    }

    fn step_aside(&self) {
        let since_ns = self.since_ns.load(Ordering::Relaxed);
        if since_ns == NONE || RESTED.get() == since_ns {
            return;
        }
        let overdue_ns = OVERDUE_AT * self.usual_ns.load(Ordering::Relaxed);
        if self.now_ns().saturating_sub(since_ns) < overdue_ns {
            return;
        }
        RESTED.set(since_ns);
        let began = Instant::now();
        while self.since_ns.load(Ordering::Relaxed) == since_ns && began.elapsed() < REST_MAX {
            thread::sleep(REST_STEP);
        }
    }

    /// Learns from a sync how long they take.
    fn learn(&self, took_ns: u64) {
        let usual_ns = self.usual_ns.load(Ordering::Relaxed);
        // What waited for a processor says little about the disk.
        let took_ns = took_ns.min(OVERDUE_AT * usual_ns);
        let usual_ns = usual_ns - usual_ns / OF_SYNCS + took_ns / OF_SYNCS;
        self.usual_ns
            .store(usual_ns.max(as_ns(USUAL_MIN)), Ordering::Relaxed);
    }
}

/// A sync until it is done: also where it panics.
struct UnderWay<'a> {
    syncs: &'a Syncs,
    since_ns: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.syncs.since_ns.store(NONE, Ordering::Relaxed);
        self.syncs
            .learn(self.syncs.now_ns().saturating_sub(self.since_ns));
    }
}

/// No process runs for centuries.
fn as_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
