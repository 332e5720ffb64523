//! Seeded schedules of everything that can happen to a daemon, compared with the oracle after every step: messages,
//! revisions, imports, commits, merges, vacuum, retention, clocks, faults of the disk, kills and power losses.
//!
//! ```text
//! seed ─▶ Schedule ─▶ Life (journal, pipeline, lake; no threads) ─▶ FaultyFiles
//!            │                         │
//!            └── model: events ── compare: current rows, history, AS OF, `through`, files
//! ```
//!
//! `MEETNET_SCHEDULES=n` runs more of them, `MEETNET_SCHEDULES=m..n` those from m on, so that many can be run a part at a time,
//! `MEETNET_SEED=s` one again. A failure prints its seed and everything that was done up to it.

mod compare;
mod model;
mod reading;
mod run;
mod scene;
mod steps;

use std::env;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use meetnet_testkit::objects::FaultyStore;

use self::run::{Did, Schedule};
use self::scene::Place;

/// Schedules of one run, where nobody asks for more.
const SCHEDULES: u64 = 200;

/// How many pass until one that runs many of them says how far it is.
const TOLD_EVERY: u64 = 500;

/// The seeds that were asked for. What is no number is an error: who asks for ten thousand must not be shown two hundred.
fn seeds() -> Range<u64> {
    let number = |text: &str| -> u64 {
        let read = text.parse();
        read.unwrap_or_else(|_| panic!("`{text}` is no number of schedules, and no m..n"))
    };
    if let Ok(seed) = env::var("MEETNET_SEED") {
        let seed = number(&seed);
        return seed..seed + 1;
    }
    match env::var("MEETNET_SCHEDULES") {
        Ok(asked) => match asked.split_once("..") {
            Some((first, end)) => number(first)..number(end),
            None => 0..number(&asked),
        },
        Err(_) => 0..SCHEDULES,
    }
}

fn run_schedules(place: impl Fn() -> Place) {
    let seeds = seeds();
    let one = seeds.end - seeds.start == 1;
    let mut did = Did::default();
    for seed in seeds {
        if seed % TOLD_EVERY == 0 {
            println!("schedules before {seed} passed");
        }
        let mut schedule = Schedule::new(seed, place());
        let outcome = catch_unwind(AssertUnwindSafe(|| schedule.run()));
        if one || outcome.is_err() {
            println!("{}", schedule.log());
        }
        if let Err(panic) = outcome {
            println!("schedule {seed} failed: run it again with MEETNET_SEED={seed}");
            resume_unwind(panic);
        }
        did += schedule.did();
    }
    println!("{did:?}");
    assert!(one || did.reached_everything(), "{did:?}");
}

#[test]
fn no_schedule_of_faults_makes_an_answer_wrong_in_a_folder() {
    run_schedules(|| Place::Folder);
}

#[test]
fn no_schedule_of_faults_makes_an_answer_wrong_in_an_object_store() {
    run_schedules(|| Place::Store(FaultyStore::new()));
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let log = |seed, place| {
        let mut schedule = Schedule::new(seed, place);
        schedule.run();
        schedule.log()
    };
    for seed in [3, 11] {
        assert_eq!(log(seed, Place::Folder), log(seed, Place::Folder));
        let store = || Place::Store(FaultyStore::new());
        assert_eq!(log(seed, store()), log(seed, store()));
    }
}

#[test]
fn a_schedule_that_comes_to_no_end_fails_and_has_its_log() {
    let mut schedule = Schedule::new(3, Place::Folder);
    // So few readings that an ordinary schedule looks like one without an end.
    schedule.machine.lake_clock.limit_readings(50);
    let outcome = catch_unwind(AssertUnwindSafe(|| schedule.run()));
    let panic = outcome.unwrap_err();
    let message = panic.downcast_ref::<&str>().unwrap();
    assert!(message.contains("comes to no end"), "{message}");
    assert!(schedule.log().contains("open, precedence"));
}
