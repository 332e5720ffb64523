use super::*;

#[test]
fn what_the_system_says() {
    let stat = "42 (a name) with) S 1 42 42 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 9 0 12345 1000 20 18446744073709551615";
    let process = Process::of(
        stat,
        "cpu  1 2 3\nbtime 1780000000\n",
        "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t9\n",
        "Limit                     Soft Limit           Hard Limit           Units\n\
         Max open files            1024                 524288               files\n",
    );
    assert_eq!(
        process,
        Process {
            cpu_seconds: Some(2.0),
            start_seconds: Some(1_780_000_123.45),
            resident_bytes: Some(1_048_576.0),
            virtual_bytes: Some(2_097_152.0),
            threads: Some(9.0),
            open_fds: None,
            max_fds: Some(1_024.0),
        }
    );
    // Where it says nothing, nor do we; a limit may be none.
    let silent = Process::of(
        "",
        "",
        "",
        "Max open files            unlimited            unlimited  files\n",
    );
    assert_eq!(silent, Process::default());
    let mut out = String::new();
    silent.write(&mut out);
    assert_eq!(out, "");
}

#[test]
fn this_process_has_memory_files_and_a_start() {
    let mut out = String::new();
    render(&mut out);
    let value = |name: &str| -> f64 {
        let line = out.lines().find_map(|line| line.strip_prefix(name));
        line.expect("a metric").trim().parse().expect("a number")
    };
    assert!(value("process_resident_memory_bytes ") > 100_000.0, "{out}");
    assert!(value("process_open_fds ") >= 1.0, "{out}");
    assert!(
        value("process_max_fds ") > value("process_open_fds "),
        "{out}"
    );
    let now = jiff::Timestamp::now().as_second() as f64;
    let age = now - value("process_start_time_seconds ");
    assert!((-5.0..86_400.0).contains(&age), "{out}");
}
