//! Who has the processor first where the load, what is measured and the clients share two of them: a message that is late
//! because a query has its turn says nothing about how it was acknowledged. Other machines send the messages and read the
//! answers outside of benches.

use std::fs;
use std::process::{Command, Stdio};

/// Lets the calling thread run as soon as it has something to do, whatever else runs (`SCHED_FIFO`); returns whether it may,
/// which takes a privilege.
pub fn come_first() -> bool {
    change("chrt", &["--fifo", "--pid", "1"])
}

/// Lets others run before the calling thread, as threads of queries do; returns whether it could.
pub fn give_way() -> bool {
    change("renice", &["-n", "10", "-p"])
}

/// Runs a command of util-linux on the calling thread, whose number comes last.
fn change(command: &str, arguments: &[&str]) -> bool {
    // A link to PID/task/TID.
    let Ok(thread) = fs::read_link("/proc/thread-self") else {
        return false;
    };
    let Some(number) = thread.file_name() else {
        return false;
    };
    Command::new(command)
        .args(arguments)
        .arg(number)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
