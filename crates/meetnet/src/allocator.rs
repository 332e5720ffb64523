//! What the allocator keeps beside what is used: little while there is work, and nothing once the process has little to
//! do.
//!
//! ```text
//! CPU time of the process, once a second ─▶ worked, then quiet for a while ─▶ collect, on every thread of the runtimes
//! threads of pipeline and lake             ─▶ themselves, when their jobs have ended (`LakeOptions::give_back`)
//! ```
//!
//! mimalloc returns memory while it is worked with: who frees looks whether something freed earlier is due. After the
//! last work of a burst nobody looks any more. It also keeps pages by thread, and only their thread gives them up: rows
//! that the pipeline made and a commit freed lie in the pipeline's. C code has the system's allocator, which keeps by thread,
//! too: zstd's contexts are some megabytes each. It is no limit of memory: those stand in the configuration.
//!
//! While there is work, what it keeps depends on [`keep_little`]: with its own defaults mimalloc takes huge pages from
//! Linux, of which a piece in use holds the whole, and holds what is free for a second.

use std::ffi::{c_int, c_long};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::debug;

/// Between two looks at the CPU time.
const PERIOD: Duration = Duration::from_secs(1);
/// With little work for this long, the process is at rest.
const REST_AFTER: Duration = Duration::from_secs(5);
/// More than this share of one processor is work: a query, a commit, or messages in earnest. What looks after the daemon
/// takes far less.
const WORK_SHARE: f64 = 0.05;
/// How long a thread that has given its memory back takes no other task, so that the next one goes to another thread.
const HOLD: Duration = Duration::from_millis(5);
/// Unit of the times in `/proc/self/stat`: Linux gives programs hundredths of a second, whatever it counts in.
const TICK_MS: u64 = 10;
/// `mi_option_purge_delay` of mimalloc.h, in milliseconds. Its numbers are part of its interface: names that are used no
/// more keep theirs.
const PURGE_DELAY: c_int = 15;
/// How long memory that is free stays with the process, for who takes some next. Allocators of Rust programs are asked
/// for the same sizes again within moments, or not for long.
const PURGE_DELAY_MS: c_long = 10;

// The binding's own declaration of it stands behind a feature, which would compile the allocator anew.
#[allow(
    unsafe_code,
    reason = "a function of the allocator that this binary is linked with; its declaration is that of mimalloc.h, and it may \
              be called by any thread at any time"
)]
unsafe extern "C" {
    /// Sets an option, unless the environment has set it (`MIMALLOC_PURGE_DELAY`).
    safe fn mi_option_set_default(option: c_int, value: c_long);
    /// Frees what the calling thread's heap can do without, and returns all that is free in the process to the system.
    safe fn mi_collect(force: bool);
}

/// Makes the allocator keep little beside what is used. To be called before anything else: it holds for what is taken
/// from then on. `docs/benchmarks.md` has the figures: half the memory, at the same speed.
pub(crate) fn keep_little() {
    mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS);
    // mimalloc asks for huge pages where Linux gives them to who asks. 2 MiB with one piece in use are resident as a
    // whole, and what is given back piece by piece comes back as a whole. Where it is refused, more memory is used.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(
    unsafe_code,
    reason = "a function of the C library that every program is linked with there; its declaration is that of malloc.h, and it \
              may be called by any thread at any time"
)]
unsafe extern "C" {
    /// Returns what is free in every arena of the system's allocator to the system; `pad` bytes stay at the top.
    safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
}

/// Gives back what the allocators keep for the calling thread, and what is free in the process.
pub(crate) fn give_back() {
    mi_collect(true);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    malloc_trim(0);
}

/// Starts the task that gives memory back at rest; it runs until it is aborted. `runtimes`: whose threads work.
pub(crate) fn give_back_at_rest(runtimes: Vec<Handle>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut rest = Rest::default();
        // Where the system does not say, it keeps what it keeps.
        while let Some(used) = cpu_used() {
            if rest.begins(used, Instant::now()) {
                for runtime in &runtimes {
                    give_back_on_each_thread(runtime).await;
                }
                debug!("gave memory back: there is little to do");
            }
            tokio::time::sleep(PERIOD).await;
        }
    })
}

/// Gives back what the threads of a runtime keep. One that is at work is left out: it will be asked after its work.
async fn give_back_on_each_thread(runtime: &Handle) {
    let threads = runtime.metrics().num_workers();
    let tasks: Vec<JoinHandle<()>> = (0..threads)
        .map(|_| {
            runtime.spawn(async {
                give_back();
                // Blocks on purpose, at rest and for a moment only.
                std::thread::sleep(HOLD);
            })
        })
        .collect();
    for task in tasks {
        // A runtime that has ended keeps nothing.
        drop(task.await);
    }
}

/// Says when work has ended for a while.
#[derive(Debug, Default)]
struct Rest {
    /// CPU time at the last look, and when that was.
    last: Option<(Duration, Instant)>,
    /// Since when there has been little work.
    quiet_since: Option<Instant>,
    /// This rest has been told of.
    told: bool,
}

impl Rest {
    /// Takes the CPU time of the process; returns true once for every rest, when it has lasted a while.
    fn begins(&mut self, used: Duration, now: Instant) -> bool {
        let last = self.last.replace((used, now));
        let is_quiet = last.is_some_and(|(used_then, then)| {
            let elapsed = now.saturating_duration_since(then);
            used.saturating_sub(used_then) <= elapsed.mul_f64(WORK_SHARE)
        });
        if !is_quiet {
            self.quiet_since = None;
            self.told = false;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        let begins = !self.told && now.saturating_duration_since(since) >= REST_AFTER;
        self.told |= begins;
        begins
    }
}

/// CPU time that the process has used; None where the system does not say.
fn cpu_used() -> Option<Duration> {
    cpu_used_of(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Reads the user and system time of a line as `/proc/self/stat` has it.
fn cpu_used_of(stat: &str) -> Option<Duration> {
    // The name of the program comes second and may hold anything, but is in parentheses.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut times = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    let ticks = user.saturating_add(system);
    Some(Duration::from_millis(ticks.saturating_mul(TICK_MS)))
}

#[cfg(test)]
mod tests;
