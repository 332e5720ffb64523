use std::sync::atomic::AtomicBool;

use super::*;

/// How long a thread of its own steps aside, each time it is told to.
fn rests(syncs: &Syncs, times: usize) -> Vec<Duration> {
    let rest = || {
        let began = Instant::now();
        syncs.step_aside();
        began.elapsed()
    };
    thread::scope(|threads| {
        let resting = threads.spawn(|| (0..times).map(|_| rest()).collect());
        resting.join().expect("a thread that rests")
    })
}

/// Syncs of which one takes this long usually.
fn syncs_of(usual: Duration) -> Syncs {
    let syncs = Syncs::new();
    syncs.usual_ns.store(as_ns(usual), Ordering::Relaxed);
    syncs
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn nobody_rests_where_no_sync_is_under_way_or_it_is_not_overdue() {
    // Resting would take two milliseconds; a thread may have to wait for a processor that long, too, but not each time.
    let shortest = |syncs: &Syncs| rests(syncs, 20).into_iter().min();
    let syncs = syncs_of(Duration::ZERO);
    assert!(shortest(&syncs) < Some(REST_STEP));
    syncs.timed(|| ());
    assert!(shortest(&syncs) < Some(REST_STEP));
    let syncs = syncs_of(HOUR);
    assert!(syncs.timed(|| shortest(&syncs)) < Some(REST_STEP));
}

#[test]
fn a_thread_rests_once_for_a_sync_that_is_overdue() {
    let syncs = syncs_of(Duration::ZERO);
    let rests = syncs.timed(|| rests(&syncs, 20));
    assert!(rests[0] >= REST_MAX, "{rests:?}");
    assert!(rests[1..].iter().min() < Some(&REST_STEP), "{rests:?}");
    // For the next one it rests again.
    let again = thread::scope(|threads| {
        let again = threads.spawn(|| {
            let times = [(); 2].map(|()| {
                syncs.timed(|| {
                    let began = Instant::now();
                    syncs.usual_ns.store(0, Ordering::Relaxed);
                    syncs.step_aside();
                    began.elapsed()
                })
            });
            times.into_iter().min()
        });
        again.join().expect("a thread that rests")
    });
    assert!(again >= Some(REST_MAX), "{again:?}");
}

#[test]
fn who_rests_goes_on_when_the_sync_is_done() {
    // Of many, since a thread may be without a processor for as long as it may rest.
    let shortest = (0..20).map(|_| {
        let syncs = syncs_of(Duration::ZERO);
        let is_resting = AtomicBool::new(false);
        thread::scope(|threads| {
            let resting = syncs.timed(|| {
                let resting = threads.spawn(|| {
                    is_resting.store(true, Ordering::Release);
                    let began = Instant::now();
                    syncs.step_aside();
                    began.elapsed()
                });
                while !is_resting.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                thread::sleep(REST_MAX / 4);
                resting
            });
            resting.join().expect("a thread that rests")
        })
    });
    assert!(shortest.min() < Some(REST_MAX));
}

#[test]
fn how_long_syncs_take_is_learnt_and_one_that_had_to_wait_says_little() {
    let syncs = syncs_of(Duration::from_micros(200));
    let usual_us = || syncs.usual_ns.load(Ordering::Relaxed) / 1000;
    syncs.learn(as_ns(HOUR));
    assert!((200..=220).contains(&usual_us()), "{} µs", usual_us());
    // A slow disk is known for one after a while.
    for _ in 0..200 {
        syncs.learn(as_ns(Duration::from_millis(8)));
    }
    assert!((7_000..=8_000).contains(&usual_us()), "{} µs", usual_us());
    for _ in 0..200 {
        syncs.learn(as_ns(Duration::from_micros(100)));
    }
    assert!((90..=110).contains(&usual_us()), "{} µs", usual_us());
}

#[test]
fn a_sync_that_fails_or_panics_is_over() {
    let syncs = syncs_of(Duration::ZERO);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        syncs.timed::<()>(|| panic!("the disk is gone"))
    }));
    assert!(failed.is_err());
    assert_eq!(syncs.since_ns.load(Ordering::Relaxed), NONE);
}
