//! Threads that give way: where messages and questions share the processors of one process, messages come first.
//!
//! A query takes every processor there is, for seconds, and Linux shares them out evenly. Each step from a message to its
//! acknowledgement then waits until a query has had its turn. With a lower priority the queries take what the rest leaves,
//! all of it where there is little else to do.

#[cfg(test)]
mod tests;

/// How much nicer a thread is that gives way (0 is as nice as others, 19 as nice as can be): in need it still gets a tenth
/// of what others get, so queries go on while a backlog of messages is worked off, and end within their time.
#[cfg(target_os = "linux")]
const LOWER_BY: std::ffi::c_int = 10;

/// Lowers the priority of the calling thread. Where the system has no priority of single threads, nothing changes.
pub(super) fn lower() {
    #[cfg(target_os = "linux")]
    linux::lower(LOWER_BY);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_uint};

    /// As nice as can be.
    const NICEST: c_int = 19;
    /// `PRIO_PROCESS`, which Linux takes for a single thread: its number, or 0 for the one that calls.
    const OF_THREAD: c_int = 0;
    const CALLING: c_uint = 0;

    // Neither nix nor rustix has them among the features that are built.
    #[allow(
        unsafe_code,
        reason = "functions of the C library that every program is linked with there; their declarations are those of \
                  sys/resource.h, they take no pointers, and any thread may call them at any time"
    )]
    unsafe extern "C" {
        safe fn getpriority(which: c_int, who: c_uint) -> c_int;
        safe fn setpriority(which: c_int, who: c_uint, nice: c_int) -> c_int;
    }

    /// Makes the calling thread nicer than the main one. A thread begins as nice as the one that started it, so counting from
    /// there would add up.
    pub(super) fn lower(by: c_int) {
        // The main thread has the number of the process.
        let main = getpriority(OF_THREAD, std::process::id());
        // To be nicer is refused to nobody.
        setpriority(OF_THREAD, CALLING, main.saturating_add(by).min(NICEST));
    }
}
