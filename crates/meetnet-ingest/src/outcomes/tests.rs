use meetnet_model::ids::Sequence;
use meetnet_model::reject::RejectReason;

use super::{Outcome, OutcomeRegistry, OutcomeReject, TooManyWaiting};

fn register(registry: &OutcomeRegistry, sequence: u64) -> super::Waiter {
    registry
        .register_with(|| Ok::<_, ()>(Sequence(sequence)))
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn an_outcome_reaches_the_request_that_waits() {
    let registry = OutcomeRegistry::new(2);
    assert!(!registry.is_awaited(Sequence(1)));
    let mut waiter = register(&registry, 1);
    assert!(registry.is_awaited(Sequence(1)) && !registry.is_awaited(Sequence(2)));
    let outcome = Outcome {
        accepted: 2,
        rejects: vec![OutcomeReject {
            reason: RejectReason::BadTime,
            message: "no".to_owned(),
            item: Some(3),
        }],
        unlisted: 4,
    };
    registry.report(Sequence(1), outcome.clone());
    assert_eq!(waiter.outcome().await, Some(outcome));
    assert!(!registry.is_awaited(Sequence(1)));
    registry.report(Sequence(7), Outcome::default());
}

#[test]
fn places_are_bounded_and_given_up() {
    let registry = OutcomeRegistry::new(1);
    let waiter = register(&registry, 1);
    let appended =
        registry.register_with(|| -> Result<Sequence, ()> { panic!("nothing is appended") });
    assert!(matches!(appended, Err(TooManyWaiting { waiting_max: 1 })));
    drop(waiter);
    assert!(!registry.is_awaited(Sequence(1)));
    assert_eq!(registry.register_with(|| Err(3)).unwrap().unwrap_err(), 3);
    drop(register(&registry, 2));
    assert_eq!(
        registry
            .inner
            .waiting
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[test]
fn a_report_that_races_with_the_registration_is_not_lost() {
    let registry = OutcomeRegistry::new(1_000);
    for round in 0..200 {
        let (send, receive) = std::sync::mpsc::channel();
        let pipeline = {
            let registry = registry.clone();
            std::thread::spawn(move || {
                let sequence = receive.recv().unwrap();
                assert!(
                    registry.is_awaited(sequence),
                    "the frame is visible before its waiter"
                );
                registry.report(
                    sequence,
                    Outcome {
                        unlisted: 0,
                        accepted: 1,
                        rejects: Vec::new(),
                    },
                );
            })
        };
        let waiter = registry.register_with(|| {
            send.send(Sequence(round)).unwrap();
            Ok::<_, ()>(Sequence(round))
        });
        let mut waiter = waiter.unwrap().unwrap();
        pipeline.join().unwrap();
        assert_eq!(waiter.receiver.try_recv().unwrap().accepted, 1);
    }
}
