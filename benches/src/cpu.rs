//! CPU time and memory of a process, as Linux counts them.

use std::fs;
use std::time::Duration;

/// Ticks per second of `/proc/<pid>/stat`: fixed at 100 on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the CPU time that a process has used, all threads, user and system; zero where it is gone.
pub fn used(pid: u32) -> Duration {
    read_stat(&format!("/proc/{pid}/stat"))
}

/// Returns the CPU time that the threads of this process with a name have used, user and system. Threads that have ended
/// do not count.
pub fn used_by_threads(name: &str) -> Duration {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Duration::ZERO;
    };
    let folders = tasks.flatten().map(|task| task.path());
    folders
        .filter(|folder| {
            fs::read_to_string(folder.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        })
        .map(|folder| read_stat(&folder.join("stat").to_string_lossy()))
        .sum()
}

fn read_stat(path: &str) -> Duration {
    let Ok(stat) = fs::read_to_string(path) else {
        return Duration::ZERO;
    };
    // The command may hold blanks; the fields after it do not.
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return Duration::ZERO;
    };
    let ticks: f64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

/// Returns the resident memory of a process in MiB; zero where it is gone.
pub fn resident_mib(pid: u32) -> f64 {
    read_status_mib(pid, "VmRSS:")
}

/// Returns the greatest resident memory that a process has had, in MiB; zero where it is gone.
pub fn resident_max_mib(pid: u32) -> f64 {
    read_status_mib(pid, "VmHWM:")
}

fn read_status_mib(pid: u32, field: &str) -> f64 {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return 0.0;
    };
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|kib| kib.parse().ok());
    kib.unwrap_or(0.0) / 1024.0
}
