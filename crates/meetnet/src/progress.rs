//! How far a long answer is, in one line on stderr that writes over itself; nothing where stderr is no terminal, and
//! nothing for what is quick.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use meetnet_model::quantity::SizeText;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::readable::{counted, grouped};

#[cfg(test)]
mod tests;

/// An answer that is there by then needs no line.
const QUIET: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(250);

/// What has come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Of what there will be, where that is known: rows, or bytes where no rows are counted.
    pub(crate) total: Option<u64>,
}

/// The line.
pub(crate) struct ProgressLine {
    started: Instant,
    ticks: Interval,
    is_wanted: bool,
    is_shown: bool,
    pub(crate) amounts: Amounts,
}

impl ProgressLine {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        let started = Instant::now();
        let mut ticks = interval_at(started + QUIET, STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            started,
            ticks,
            is_wanted: io::stderr().is_terminal(),
            is_shown: false,
            amounts: Amounts::default(),
        }
    }

    /// Returns how long it has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for something, and shows meanwhile how far it is.
    pub(crate) async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = self.ticks.tick() => self.show(),
            }
        }
    }

    fn show(&mut self) {
        if !self.is_wanted {
            return;
        }
        let text = text(self.elapsed(), self.amounts);
        // Nobody who cannot see it misses it.
        drop(write!(io::stderr(), "\r{text}\x1b[K"));
        self.is_shown = true;
    }

    /// Shows how far it is where it is time, and lets others have their turn, such as who listens for Ctrl-C; for work that never
    /// waits.
    pub(crate) async fn pass(&mut self) {
        self.watch(tokio::task::yield_now()).await;
    }

    /// Takes the line away for good: another program has the terminal.
    pub(crate) fn give_way(&mut self) {
        self.clear();
        self.is_wanted = false;
    }

    /// Takes the line away, before something else is written to the terminal.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Returns the line: `12 s, 1,234,567 rows, 45.1 MiB (102,880 rows/s), 34 %, about 23 s left`.
fn text(elapsed: Duration, amounts: Amounts) -> String {
    let Amounts { rows, bytes, total } = amounts;
    let seconds = elapsed.as_secs_f64();
    let mut text = format!("{} s", elapsed.as_secs());
    if rows > 0 {
        text.push_str(&format!(", {}", counted(rows, "row")));
    }
    if bytes > 0 {
        text.push_str(&format!(", {}", SizeText(bytes).rounded()));
    }
    if rows > 0 && seconds > 0.0 {
        let rate = rows as f64 / seconds;
        text.push_str(&format!(" ({} rows/s)", grouped(rate as u64)));
    }
    let done = if rows > 0 { rows } else { bytes };
    if let Some(total) = total.filter(|total| *total > 0 && done > 0) {
        let share = (done as f64 / total as f64).min(1.0);
        let left = (seconds / share - seconds).ceil();
        text.push_str(&format!(", {:.0} %, about {left:.0} s left", 100.0 * share));
    }
    text
}
