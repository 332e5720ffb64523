use super::*;

const MIB: usize = 1 << 20;

/// CPU time used in each second, in hundredths; the seconds at whose end a rest begins.
fn check(used_per_second: &[u64], begins: &[usize]) {
    let start = Instant::now();
    let mut rest = Rest::default();
    let mut used = Duration::ZERO;
    let mut begun = Vec::new();
    assert!(!rest.begins(used, start), "nothing is known yet");
    for (second, hundredths) in (1_usize..).zip(used_per_second) {
        used += Duration::from_millis(10 * hundredths);
        if rest.begins(used, start + Duration::from_secs(second as u64)) {
            begun.push(second);
        }
    }
    assert_eq!(begun, begins, "{used_per_second:?}");
}

#[test]
fn a_rest_begins_once_after_work_has_ended_for_a_while() {
    // Five seconds after the first quiet one, and once.
    check(&[0; 20], &[6]);
    check(&[5, 4, 3, 2, 1, 0, 1, 2], &[6]);
    check(&[200; 20], &[]);
    check(&[6; 20], &[]);
    // Work in between: anew.
    check(&[1, 1, 1, 90, 1, 1, 1, 1, 1, 1, 1, 1], &[10]);
    check(
        &[0, 0, 0, 0, 0, 0, 0, 0, 90, 0, 0, 0, 0, 0, 0, 0, 0],
        &[6, 15],
    );
}

#[test]
fn cpu_time_is_read_whatever_the_program_is_called() {
    let behind = "S 1 7 7 0 -1 4194560 10 0 0 0 250 50 0 0 20 0 9 0 123 1000 20";
    for name in ["meetnet", "a b", ")", "x) S 1 2 3"] {
        let used = cpu_used_of(&format!("7 ({name}) {behind}"));
        assert_eq!(used, Some(Duration::from_secs(3)), "{name}");
    }
    for broken in ["", "7 meetnet", "7 (meetnet)", "7 (meetnet) S 1 7"] {
        assert_eq!(cpu_used_of(broken), None, "{broken}");
    }
    assert!(cfg!(not(target_os = "linux")) || cpu_used().is_some());
}

/// Set in the process that measures itself.
#[cfg(target_os = "linux")]
const ALONE: &str = "MEETNET_TEST_OF_ALLOCATOR";

/// Resident memory of this process, bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    kib.unwrap().parse::<usize>().unwrap() * 1_024
}

/// Returns true in a process that runs a test of this file and nothing else; elsewhere it has such a process run it: what other
/// tests take meanwhile would count, too.
#[cfg(target_os = "linux")]
fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("allocator::tests::{test}")])
        .arg("--test-threads=1")
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    false
}

/// Without it, what was freed last would wait for somebody who frees something more.
#[cfg(target_os = "linux")]
#[test]
fn what_a_burst_freed_goes_back_to_the_system() {
    if !is_alone("what_a_burst_freed_goes_back_to_the_system") {
        return;
    }
    // No zeros: those are there before they are touched.
    let burst: Vec<Vec<u8>> = (0..256).map(|number| vec![number as u8 | 1; MIB]).collect();
    let full = resident();
    assert!(burst.iter().all(|block| block.len() == MIB));
    drop(burst);
    give_back();
    let rest = resident();
    assert!(
        rest + 200 * MIB < full,
        "{} MiB of {} MiB stay",
        rest / MIB,
        full / MIB
    );
}

#[test]
fn the_option_that_is_set_is_how_long_free_memory_stays() {
    #[allow(
        unsafe_code,
        reason = "as above: a function of the allocator that is linked"
    )]
    unsafe extern "C" {
        safe fn mi_option_get(option: c_int) -> c_long;
    }
    // The next ones are the count of NUMA nodes and whether the system may be asked, 0 by default.
    let neighbours = [PURGE_DELAY - 1, PURGE_DELAY + 1, PURGE_DELAY + 2];
    // A function of C is none that could be handed over as it is.
    let get = |option: c_int| mi_option_get(option);
    let before = neighbours.map(get);
    assert_eq!(before, [1, 0, 0], "the options of mimalloc have moved");
    keep_little();
    assert_eq!(mi_option_get(PURGE_DELAY), PURGE_DELAY_MS);
    assert_eq!(neighbours.map(get), before);
    #[cfg(target_os = "linux")]
    assert_eq!(nix::sys::prctl::get_thp_disable(), Ok(true));
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the system's allocator, as C code has it")]
unsafe extern "C" {
    fn calloc(count: usize, bytes: usize) -> *mut std::ffi::c_void;
    fn free(block: *mut std::ffi::c_void);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
#[allow(
    unsafe_code,
    reason = "each block is freed once, and written within its length"
)]
fn what_c_code_freed_goes_back_to_the_system() {
    if !is_alone("what_c_code_freed_goes_back_to_the_system") {
        return;
    }
    // Too small for a mapping of its own; the last one keeps what is below it from going by itself.
    const BYTES: usize = 64 << 10;
    let blocks: Vec<_> = (0..2_048)
        .map(|_| {
            // SAFETY: a null is looked for before it is written to.
            let block = unsafe { calloc(1, BYTES) };
            assert!(!block.is_null());
            // SAFETY: the block has so many bytes.
            unsafe { block.cast::<u8>().write_bytes(1, BYTES) };
            block
        })
        .collect();
    let (kept, freed) = blocks.split_last().unwrap();
    // SAFETY: nothing uses them any more.
    freed.iter().for_each(|block| unsafe { free(*block) });
    let full = resident();
    give_back();
    let rest = resident();
    // SAFETY: it has not been freed.
    unsafe { free(*kept) };
    assert!(
        rest + 100 * MIB < full,
        "{} MiB of {} MiB stay",
        rest / MIB,
        full / MIB
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thread_of_a_runtime_is_asked() {
    // It comes back, whatever the threads are at.
    give_back_on_each_thread(&Handle::current()).await;
}
