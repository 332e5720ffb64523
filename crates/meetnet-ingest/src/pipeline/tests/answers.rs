//! When a push is told what became of its body: not before the sync, and before the tables where they would take long.

use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Wake, Waker};

use meetnet_lake::snapshot::SharedSnapshot;

use super::restarts::journal_by_hand;
use super::*;

/// Whoever waits for an answer; looks, when it comes, whether the rows are among the published ones.
struct Waiting {
    shared: SharedSnapshot,
    is_told_before: OnceLock<bool>,
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        // It is told once.
        let snapshot = self.shared.load_full();
        let has_table = snapshot.tables.contains_key(&DatasetId::new("heat"));
        let is_there = has_table && rows(&snapshot, "heat") != (0, 0);
        let _ = self.is_told_before.set(!is_there);
    }
}

#[test]
fn large_groups_are_answered_before_their_tables_and_small_ones_behind_them() {
    for (count, is_told_before) in [(999, false), (1_000, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, recovery, tables) = journal_by_hand(folder.path());
        let mut lake = LakeOptions::new(journal.id());
        lake.background = false;
        let outcomes = OutcomeRegistry::new(1);
        let mut runner = Runner::open(
            PipelineOptions::new(lake),
            journal.clone(),
            &recovery,
            tables,
            PrivacyKey::new("a key for tests"),
            outcomes.clone(),
            DupWindows::default(),
        )
        .unwrap();
        runner.replay(&recovery, |_, _| Ok(())).unwrap();

        let ts = now_ms();
        let elements: Vec<String> = (0..count)
            .map(|second| format!("{{\"ts\":{},\"t\":1}}", ts - 1_000 * second))
            .collect();
        let body = format!("[{}]", elements.join(","));
        let envelope = NewEnvelope {
            source: "timed",
            topic: "timed/garden",
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        };
        let append = || journal.append(&envelope).map(|appended| appended.sequence);
        let mut waiter = outcomes.register_with(append).unwrap().unwrap();
        let waiting = Arc::new(Waiting {
            shared: runner.lake().shared(),
            is_told_before: OnceLock::new(),
        });
        let waker = Waker::from(Arc::clone(&waiting));
        let mut context = Context::from_waker(&waker);
        let mut outcome = pin!(waiter.outcome());
        assert!(outcome.as_mut().poll(&mut context).is_pending());
        // What is not synced is not there for the pipeline either.
        while runner.step().unwrap() == Step::Took {}
        assert_eq!(waiting.is_told_before.get(), None);

        while journal.write_group().unwrap() {}
        assert_eq!(runner.step().unwrap(), Step::Took);
        assert_eq!(
            waiting.is_told_before.get(),
            Some(&is_told_before),
            "{count} rows"
        );
        let Poll::Ready(Some(told)) = outcome.as_mut().poll(&mut context) else {
            panic!("{count} rows: nobody is told");
        };
        assert_eq!((told.accepted, told.rejected()), (count as u64, 0));
        let snapshot = runner.lake().shared().load_full();
        assert_eq!(rows(&snapshot, "heat"), (count as u64, 0));
    }
}
