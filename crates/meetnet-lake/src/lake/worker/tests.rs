use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::*;

const REST_AFTER: Duration = Duration::from_millis(20);

static GIVEN_BACK: AtomicU32 = AtomicU32::new(0);

fn wait_until_given_back(times: u32) {
    let start = Instant::now();
    while GIVEN_BACK.load(Ordering::SeqCst) < times {
        assert!(start.elapsed() < Duration::from_secs(60), "{times} times");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_thread_gives_its_memory_back_once_after_its_jobs_and_takes_more() {
    let give_back = || {
        GIVEN_BACK.fetch_add(1, Ordering::SeqCst);
    };
    let worker = Worker::start("double", |job: u32| 2 * job, REST_AFTER, give_back);
    let mut worker: Worker<u32, u32> = worker.unwrap();
    // Nothing to give back before the first job.
    std::thread::sleep(3 * REST_AFTER);
    assert_eq!(GIVEN_BACK.load(Ordering::SeqCst), 0);
    for round in 1..=2 {
        worker.send(round).unwrap();
        assert_eq!(worker.wait(), Some(2 * round));
        wait_until_given_back(round);
        std::thread::sleep(3 * REST_AFTER);
        assert_eq!(GIVEN_BACK.load(Ordering::SeqCst), round, "once");
    }
}
