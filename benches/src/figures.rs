//! How a bench says what it has found: every figure beside its reference or its aim, and first of all whether anything
//! else kept the machine busy.

use std::fs;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, anyhow};

/// Prints what follows, and the load of the machine: a figure taken beside a compiler is not worth much.
pub fn begin(title: &str) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    println!("== {title} (load average of the last minute: {load})");
}

/// Prints a figure without an aim.
pub fn figure(what: &str, value: f64, unit: &str) {
    println!("   {what}: {} {unit}", number(value));
}

/// Prints a figure that should not be less than its aim.
pub fn at_least(what: &str, value: f64, unit: &str, aim: f64) {
    let (value_text, aim_text) = (number(value), number(aim));
    println!(
        "   {what}: {value_text} {unit} (aim >= {aim_text}: {})",
        verdict(value >= aim)
    );
}

/// Prints a figure that should not be more than its aim.
pub fn at_most(what: &str, value: f64, unit: &str, aim: f64) {
    let (value_text, aim_text) = (number(value), number(aim));
    println!(
        "   {what}: {value_text} {unit} (aim <= {aim_text}: {})",
        verdict(value <= aim)
    );
}

fn verdict(is_reached: bool) -> &'static str {
    if is_reached { "reached" } else { "MISSED" }
}

/// Three digits that count, and thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 1_000.0 {
        let decimals = match value.abs() {
            100.0.. => 0,
            10.0.. => 1,
            1.0.. => 2,
            _ => 3,
        };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Reads a size from the environment variable `name`, which may have underscores in its number.
///
/// # Errors
/// Where it is set and no such number.
pub fn setting<T: FromStr>(name: &str, default: T) -> Result<T> {
    let Ok(text) = std::env::var(name) else {
        return Ok(default);
    };
    text.replace('_', "")
        .parse()
        .map_err(|_| anyhow!("{name}={text} is not a number"))
}

/// Returns true where part `name` of a bench is to run: it was named on the command line, or nothing was.
pub fn is_wanted(name: &str) -> bool {
    // `cargo bench` passes `--bench`.
    let mut named = std::env::args().skip(1).filter(|a| !a.starts_with('-'));
    let mut any = false;
    let wanted = named.any(|argument| {
        any = true;
        argument == name
    });
    wanted || !any
}

/// Times in ascending order.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Sorts times.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Returns the time that a share of all do not exceed; zero where there are none.
    pub fn at(&self, share: f64) -> Duration {
        let index = (self.0.len() as f64 * share) as usize;
        let last = self.0.len().saturating_sub(1);
        self.0.get(index.min(last)).copied().unwrap_or_default()
    }

    /// Returns the median, ms.
    pub fn p50_ms(&self) -> f64 {
        ms(self.at(0.5))
    }

    /// Returns the 99th percentile, ms.
    pub fn p99_ms(&self) -> f64 {
        ms(self.at(0.99))
    }

    /// Returns the mean, ms.
    pub fn mean_ms(&self) -> f64 {
        ms(self.0.iter().sum::<Duration>()) / self.0.len().max(1) as f64
    }

    /// Returns the longest, ms.
    pub fn max_ms(&self) -> f64 {
        ms(self.at(1.0))
    }

    /// Prints median, 99th percentile and maximum.
    pub fn print(&self, what: &str) {
        println!(
            "   {what}: p50 {} ms, p99 {} ms, max {} ms ({} times)",
            number(self.p50_ms()),
            number(self.p99_ms()),
            number(self.max_ms()),
            self.0.len()
        );
    }
}

/// Returns milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Returns how many per second.
pub fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
