//! A wall clock that moves only when a test says so, and the monotonic clock beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A settable clock in µs since 1970 UTC; clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    wall_us: Arc<AtomicI64>,
    monotonic_us: Arc<AtomicI64>,
    readings_left: Arc<AtomicU64>,
}

impl ManualClock {
    /// Returns a clock that stands at `now`, µs since 1970 UTC; its monotonic one stands at 0.
    pub fn new(now: i64) -> Self {
        Self {
            wall_us: Arc::new(AtomicI64::new(now)),
            monotonic_us: Arc::default(),
            readings_left: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Returns the time, µs since 1970 UTC.
    pub fn now(&self) -> i64 {
        self.wall_us.load(Ordering::SeqCst)
    }

    /// Sets the wall clock, µs since 1970 UTC; it may go back. No time goes by.
    pub fn set(&self, now: i64) {
        self.wall_us.store(now, Ordering::SeqCst);
    }

    /// Sets the wall clock by `by_us` microseconds, back where negative. No time goes by.
    pub fn step(&self, by_us: i64) {
        self.wall_us.fetch_add(by_us, Ordering::SeqCst);
    }

    /// Lets `by_us` microseconds go by, on both clocks.
    pub fn advance(&self, by_us: i64) {
        debug_assert!(by_us >= 0, "time goes on; a clock that is set back: step");
        self.wall_us.fetch_add(by_us, Ordering::SeqCst);
        self.monotonic_us.fetch_add(by_us, Ordering::SeqCst);
    }

    /// Lets the code under test read the clock so often from here on; the next reading panics. What reads it again and
    /// again waits for something that does not come.
    pub fn limit_readings(&self, readings_max: u64) {
        self.readings_left.store(readings_max, Ordering::SeqCst);
    }

    fn count_reading(&self) {
        // From zero it starts anew at the greatest number: what reads the clock while the panic unwinds must not panic.
        let left = self.readings_left.fetch_sub(1, Ordering::SeqCst);
        assert!(left > 0, "the clock was read too often: it comes to no end");
    }

    /// Returns the wall clock as a function, the form in which code takes its clock.
    pub fn function(&self) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || {
            clock.count_reading();
            clock.now()
        })
    }

    /// Returns the monotonic clock, µs since [`ManualClock::new`], as a function.
    pub fn monotonic_function(&self) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || {
            clock.count_reading();
            clock.monotonic_us.load(Ordering::SeqCst)
        })
    }
}
