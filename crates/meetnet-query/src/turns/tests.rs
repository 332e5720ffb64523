use std::hint;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use futures::FutureExt;

use super::*;
use crate::client::Protocol;

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task that works until it is told to end, and what it has noticed.
struct Task {
    work: BoxFuture<'static, ()>,
    woken: Arc<Woken>,
    steps: Arc<AtomicUsize>,
}

impl Task {
    /// Makes a task that takes a step, `length` long, whenever it is its turn.
    fn of(turn: &Turn, length: Duration) -> Self {
        let steps = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&steps);
        let work = turn.run(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                let since = Instant::now();
                while since.elapsed() < length {
                    hint::spin_loop();
                }
                tokio::task::yield_now().await;
            }
        });
        Self {
            work: work.boxed(),
            woken: Arc::default(),
            steps,
        }
    }

    /// Lets it go on where it may; returns whether it did.
    fn step(&mut self) -> bool {
        let before = self.steps();
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        assert!(self.work.as_mut().poll(&mut context).is_pending());
        self.steps() > before
    }

    fn steps(&self) -> usize {
        self.steps.load(Ordering::Relaxed)
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

fn client(number: u8) -> Client {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, number, 1));
    Client::of_address(Protocol::Http, Some(address))
}

/// One place; a query is long from the beginning.
fn all_long() -> Turns {
    Turns::with_young_time(1, Duration::ZERO)
}

/// Runs `then` within a task that has the only place.
fn at_work(turns: &Turns, then: impl FnOnce()) {
    let turn = turns.of(&client(0));
    assert!(turn.run(async { then() }).now_or_never().is_some());
}

#[test]
fn one_that_has_no_place_waits_and_is_woken() {
    let turns = all_long();
    let turn = turns.of(&client(1));
    let mut waits = Task::of(&turn, Duration::ZERO);
    at_work(&turns, || {
        assert!(!waits.step());
        // Asked again before it was told.
        assert!(!waits.step());
        assert_eq!(waits.woken(), 0);
    });
    assert_eq!(waits.woken(), 1);
    assert!(waits.step());
    // Nobody holds the place between two steps.
    assert!(waits.step());
}

#[test]
fn a_young_query_does_not_wait() {
    let turns = Turns::with_young_time(1, Duration::from_millis(5));
    let (long, young) = (turns.of(&client(1)), turns.of(&client(2)));
    let mut grows_old = Task::of(&long, Duration::from_millis(6));
    assert!(grows_old.step(), "it begins young");
    let place = turns.of(&client(3));
    assert!(Task::of(&place, Duration::from_millis(6)).step());
    let within = place.run(async {
        assert!(!grows_old.step(), "it is long, and the place is taken");
        assert!(Task::of(&young, Duration::ZERO).step(), "it is young");
    });
    assert!(within.now_or_never().is_some());
    assert!(grows_old.step());
}

#[test]
fn who_has_had_least_is_next() {
    let turns = all_long();
    let (greedy, modest) = (turns.of(&client(1)), turns.of(&client(2)));
    assert!(Task::of(&greedy, Duration::from_millis(2)).step());
    let mut first = Task::of(&greedy, Duration::ZERO);
    let mut second = Task::of(&greedy, Duration::ZERO);
    let mut last = Task::of(&modest, Duration::ZERO);
    at_work(&turns, || {
        assert!(!first.step() && !second.step() && !last.step());
    });
    assert_eq!((first.woken(), second.woken(), last.woken()), (0, 0, 1));
    assert!(last.step());
    // Of equals, who has waited longest.
    assert_eq!((first.woken(), second.woken()), (1, 0));
    assert!(first.step());
    assert_eq!(second.woken(), 1);
}

#[test]
fn a_new_query_does_not_go_before_those_of_others() {
    let turns = all_long();
    let (greedy, modest) = (turns.of(&client(1)), turns.of(&client(2)));
    assert!(Task::of(&modest, Duration::from_millis(1)).step());
    let had = |turn: &Turn| turn.0.share_worked_ns.load(Ordering::Relaxed);
    while had(&greedy) <= had(&modest) {
        assert!(Task::of(&greedy, Duration::from_millis(2)).step());
    }
    // It has worked nothing yet, and its client the most.
    let new = turns.of(&client(1));
    let mut last = Task::of(&new, Duration::ZERO);
    let mut next = Task::of(&modest, Duration::ZERO);
    at_work(&turns, || {
        assert!(!last.step() && !next.step());
    });
    assert_eq!((last.woken(), next.woken()), (0, 1));
}

#[test]
fn who_comes_has_saved_nothing_up() {
    let turns = all_long();
    let present = turns.of(&client(1));
    assert!(Task::of(&present, Duration::from_millis(2)).step());
    let comes = turns.of(&client(2));
    let state = turns.state();
    let worked: HashSet<u64> = state.shares.values().map(OfShare::worked_ns).collect();
    assert_eq!(worked.len(), 1, "{worked:?}");
    drop(state);
    drop((present, comes));
    assert!(turns.state().shares.is_empty());
}

#[test]
fn who_ends_gives_its_place_on() {
    let turns = all_long();
    let turn = turns.of(&client(1));
    let mut ends = Task::of(&turn, Duration::ZERO);
    let mut waits = Task::of(&turn, Duration::ZERO);
    let mut leaves = Task::of(&turn, Duration::ZERO);
    at_work(&turns, || {
        assert!(!ends.step() && !leaves.step() && !waits.step());
    });
    assert_eq!(ends.woken(), 1);
    // One that only waits leaves nothing behind.
    drop(leaves);
    // One that was told to go on, and does not.
    drop(ends);
    assert_eq!(waits.woken(), 1);
    assert!(waits.step());
    let state = turns.state();
    assert_eq!(state.taken, 0);
    assert!(state.waiting.is_empty() && state.told.is_empty());
}

/// A sort that is cancelled drops thousands of tasks at once.
#[test]
fn each_of_many_that_end_tells_the_next() {
    let turns = all_long();
    let turn = turns.of(&client(1));
    let mut tasks: Vec<Task> = Vec::new();
    tasks.resize_with(3_000, || Task::of(&turn, Duration::ZERO));
    at_work(&turns, || {
        for task in &mut tasks {
            assert!(!task.step());
        }
    });
    let woken: Vec<Arc<Woken>> = tasks.iter().map(|task| Arc::clone(&task.woken)).collect();
    drop(tasks);
    let times: HashSet<usize> = woken
        .iter()
        .map(|woken| woken.0.load(Ordering::Relaxed))
        .collect();
    assert_eq!(times, HashSet::from([1]));
    let state = turns.state();
    assert_eq!(state.taken, 0);
    assert!(state.waiting.is_empty() && state.told.is_empty());
}

/// If each task looked at all others to know who is next, thousands of them would be millions of looks.
#[test]
fn who_is_next_is_seen_at_one_task_of_each_client() {
    let shares = [1, 2, 3].map(|number| client(number).share());
    let mut waiting = WaitingTasks::default();
    for (ticket, share) in (0..3_000).zip(shares.iter().cycle()) {
        waiting.push(ticket, share, Duration::ZERO, Waker::noop());
    }
    let looks = AtomicUsize::new(0);
    let had = |_: &Share| {
        looks.fetch_add(1, Ordering::Relaxed);
        0
    };
    for expect in 0..3_000 {
        assert_eq!(waiting.next(had), Some(expect));
        assert!(waiting.waker_mut(expect).is_some());
        assert!(waiting.remove(expect).is_some());
        assert!(waiting.remove(expect).is_none());
    }
    assert_eq!(waiting.next(had), None);
    assert!(waiting.is_empty());
    let looks = looks.load(Ordering::Relaxed);
    assert!(looks <= 9_000, "{looks}");
}

#[test]
fn who_panics_gives_its_place_back() {
    let turns = all_long();
    let turn = turns.of(&client(1));
    let broken = turn.run(async { assert!(hint::black_box(false), "on purpose") });
    let ended = catch_unwind(AssertUnwindSafe(|| broken.now_or_never()));
    assert!(ended.is_err());
    assert!(Task::of(&turn, Duration::ZERO).step());
    assert!(CURRENT.with_borrow(Option::is_none));
}

#[test]
fn what_a_query_starts_is_its_own() {
    hook();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let turns = Turns::with_young_time(1, Duration::from_secs(60));
    let turn = turns.of(&client(1));
    let own = turn.clone();
    let started = turn.run(async move {
        let started = datafusion::common::runtime::SpawnedTask::spawn(async {
            CURRENT.with_borrow(Clone::clone)
        });
        started.join().await.unwrap()
    });
    let within = runtime.block_on(started).unwrap();
    assert!(Arc::ptr_eq(&within.0, &own.0));
    assert!(CURRENT.with_borrow(Option::is_none));
}

#[test]
fn threads_are_left_for_young_queries() {
    let check = |places: usize, expect: usize| {
        assert_eq!(Turns::new(places).threads(), expect);
    };
    check(1, 2);
    check(2, 4);
    check(64, 68);
}
