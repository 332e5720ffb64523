//! The process itself, under the names that client libraries of Prometheus give it: memory, processor time, files, start.
//!
//! Read when it is asked for, out of `/proc`; where the system has none, nothing is said.

use std::fmt::Write;

/// Times in `/proc` are told in hundredths of a second, whatever Linux counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the system says of this process, as far as it does.
#[derive(Debug, Default, PartialEq)]
struct Process {
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    threads: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

/// Appends the metrics of this process.
pub(crate) fn render(out: &mut String) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
    let mut process = Process::of(
        &read("self/stat"),
        &read("stat"),
        &read("self/status"),
        &read("self/limits"),
    );
    // The folder is open while it is read.
    let files = std::fs::read_dir("/proc/self/fd").ok();
    process.open_fds = files.map(|files| files.count().saturating_sub(1) as f64);
    process.write(out);
}

impl Process {
    /// Reads the files of `/proc`: `self/stat`, `stat`, `self/status`, `self/limits`.
    fn of(stat: &str, system: &str, status: &str, limits: &str) -> Self {
        // The name of the program comes second and may hold anything, but is in parentheses.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = |at: usize| -> Option<f64> {
            let ticks = fields.split_ascii_whitespace().nth(at)?;
            Some(ticks.parse::<f64>().ok()? / TICKS_PER_SECOND)
        };
        let after = |text: &str, name: &str| -> Option<f64> {
            let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_ascii_whitespace().next()?.parse().ok()
        };
        let booted = after(system, "btime ");
        Self {
            cpu_seconds: ticks(11).zip(ticks(12)).map(|(user, system)| user + system),
            start_seconds: booted.zip(ticks(19)).map(|(booted, after)| booted + after),
            resident_bytes: after(status, "VmRSS:").map(|kib| kib * 1024.0),
            virtual_bytes: after(status, "VmSize:").map(|kib| kib * 1024.0),
            threads: after(status, "Threads:"),
            open_fds: None,
            max_fds: after(limits, "Max open files"),
        }
    }

    fn write(&self, out: &mut String) {
        for (name, kind, help, value) in [
            (
                "process_cpu_seconds_total",
                "counter",
                "User and system time of the process",
                self.cpu_seconds,
            ),
            (
                "process_start_time_seconds",
                "gauge",
                "Start of the process since 1970",
                self.start_seconds,
            ),
            (
                "process_resident_memory_bytes",
                "gauge",
                "Memory of the process that is in RAM",
                self.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "gauge",
                "Addresses that the process has mapped",
                self.virtual_bytes,
            ),
            (
                "process_threads",
                "gauge",
                "Threads of the process",
                self.threads,
            ),
            (
                "process_open_fds",
                "gauge",
                "Open files and connections",
                self.open_fds,
            ),
            (
                "process_max_fds",
                "gauge",
                "Files and connections that may be open",
                self.max_fds,
            ),
        ] {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    out,
                    "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
