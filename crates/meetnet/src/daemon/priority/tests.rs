use std::fs;
use std::thread;

use super::lower;

/// How nice a thread is: the 19th field of its line in `/proc`; None where the system has none.
fn nice_of(stat: &str) -> Option<i32> {
    let line = fs::read_to_string(stat).ok()?;
    // The name comes second and may hold anything, but is in parentheses.
    let (_, behind_name) = line.rsplit_once(')')?;
    behind_name.split_ascii_whitespace().nth(16)?.parse().ok()
}

#[test]
fn a_thread_that_gives_way_is_nicer_than_the_process_and_so_are_those_it_starts() {
    let Some(own) = nice_of("/proc/thread-self/stat") else {
        eprintln!("skipped: no /proc here");
        return;
    };
    let main = nice_of("/proc/self/stat").expect("of the process");
    let lowered = (main + 10).min(19);
    let seen = thread::spawn(|| {
        lower();
        // Threads for blocking calls are started by others of the runtime.
        let started = thread::spawn(|| {
            lower();
            nice_of("/proc/thread-self/stat")
        });
        let below = started.join().expect("it ends");
        (nice_of("/proc/thread-self/stat"), below)
    });
    let seen = seen.join().expect("it ends");
    assert_eq!(seen, (Some(lowered), Some(lowered)));
    assert_eq!(nice_of("/proc/thread-self/stat"), Some(own), "others stay");
}
