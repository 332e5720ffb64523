//! Whether the wall clock can be believed. The writer asks for every frame and notes the answer in it, so that a replay
//! makes the same flags; what a flag means for a row is decided behind the journal.
//!
//! The wall clock is compared with a monotonic clock, which nobody sets, and with what has been recorded. It is **off**
//!
//! 1. from a step of more than [`CLOCK_STEP_US`] against the monotonic clock, ahead or back, until it agrees again with
//!    the clock before the step, or has run [`CLOCK_SETTLE_US`] without another step;
//! 2. while it is more than [`CLOCK_STEP_US`] behind what has been recorded: `recorded_at` cannot follow it back, so it
//!    is wrong until the clock has caught up. This one is seen across restarts too.
//!
//! A wrong clock that a time service sets right looks exactly like a right one that somebody sets wrong. So the time
//! after a step is doubted for a while and then taken as right: doubting it until the next restart would mark weeks of
//! good rows after every late start of a time service, doubting it not at all would hide the wrong ones. Frames before
//! a correction say nothing of it: they were written before anybody could know. Slewing (a clock that is brought right
//! by running faster or slower) moves both clocks and is no step; steps of less than a minute never add up. A machine
//! that slept looks like a step ahead, since the monotonic clock slept too.

/// A jump of the wall clock that is more than this is a step, µs.
const CLOCK_STEP_US: i64 = 60_000_000;
/// After a step the clock is believed again when it has run this long without another one, µs.
const CLOCK_SETTLE_US: i64 = 3_600_000_000;

/// Which way the wall clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockStep {
    /// It was set forward, or the machine slept.
    Ahead,
    /// It was set back, or is behind what has been recorded.
    Back,
}

impl ClockStep {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Back => "back",
        }
    }
}

/// What is remembered of the wall clock. It reads no clock itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClockWatch {
    /// Wall clock minus monotonic clock when the wall clock was last believed; none before the first look.
    believed_us: Option<i64>,
    stepped: Option<Stepped>,
}

#[derive(Clone, Copy, Debug)]
struct Stepped {
    /// Wall clock minus monotonic clock since the step.
    offset_us: i64,
    /// When it was first seen, on the monotonic clock.
    since_us: i64,
}

impl ClockWatch {
    /// Takes a reading of both clocks, µs, and says whether and how the wall clock is off.
    pub(crate) fn look(
        &mut self,
        now_us: i64,
        monotonic_us: i64,
        last_recorded_at: i64,
    ) -> Option<ClockStep> {
        let offset_us = now_us.saturating_sub(monotonic_us);
        let off_us = offset_us.saturating_sub(*self.believed_us.get_or_insert(offset_us));
        let since_us = self
            .stepped
            .filter(|stepped| !is_step(offset_us.saturating_sub(stepped.offset_us)))
            .map_or(monotonic_us, |stepped| stepped.since_us);
        if !is_step(off_us) || monotonic_us.saturating_sub(since_us) >= CLOCK_SETTLE_US {
            self.believed_us = Some(offset_us);
            self.stepped = None;
        } else {
            self.stepped = Some(Stepped {
                offset_us,
                since_us,
            });
        }
        if now_us < last_recorded_at.saturating_sub(CLOCK_STEP_US) {
            return Some(ClockStep::Back);
        }
        self.stepped.map(|_| {
            if off_us > 0 {
                ClockStep::Ahead
            } else {
                ClockStep::Back
            }
        })
    }
}

fn is_step(moved_us: i64) -> bool {
    moved_us.saturating_abs() > CLOCK_STEP_US
}

#[cfg(test)]
mod tests;
