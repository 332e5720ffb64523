use super::*;

const TYPE: RejectReason = RejectReason::WrongType;
const VALUE: RejectReason = RejectReason::NoMappedValue;

type Known<'a> = &'a [(u32, RejectReason)];

fn reject(envelope: u32, ordinal: u32, reason: RejectReason) -> Reject {
    Reject {
        envelope,
        ordinal,
        item: None,
        reason,
        message: String::new(),
        excerpt: String::new(),
    }
}

#[test]
fn what_was_dropped_is_known_again_and_hides_nothing() {
    // Dropped before, open, what comes out of the message, and which ordinals of that are told.
    let check = |dropped: Known<'_>, open: Known<'_>, out: &[RejectReason], expect: &[u32]| {
        let replayed = Replayed {
            envelope: 1,
            original: Sequence(7),
            handled: Handled {
                rejects: open.to_vec(),
                dropped: dropped.to_vec(),
                ..Handled::default()
            },
        };
        let of_message = (0..).zip(out).map(|(at, reason)| reject(1, at, *reason));
        // Other messages of the group have the same ones, and nobody dropped those.
        let rejects: Vec<Reject> = std::iter::once(reject(0, 0, TYPE))
            .chain(of_message)
            .chain([reject(2, 0, TYPE)])
            .collect();
        let told = without_dropped(&rejects, &[replayed]);
        let of = |envelope: u32| {
            let of_envelope = told.iter().filter(|reject| reject.envelope == envelope);
            of_envelope
                .map(|reject| reject.ordinal)
                .collect::<Vec<u32>>()
        };
        assert_eq!((of(0), of(2)), (vec![0], vec![0]));
        assert_eq!(of(1), expect, "{dropped:?} {open:?} {out:?}");
    };
    check(&[], &[(0, TYPE)], &[TYPE], &[0]);
    check(&[(1, TYPE)], &[(0, VALUE)], &[VALUE, TYPE], &[0]);
    // What stood before it is mended, or what was not seen is before it.
    check(&[(1, TYPE)], &[(0, VALUE)], &[TYPE], &[]);
    check(&[(1, TYPE), (2, TYPE)], &[], &[TYPE, TYPE], &[]);
    check(&[(1, TYPE), (2, TYPE)], &[(0, VALUE)], &[TYPE], &[]);
    // For another reason it is another one.
    check(&[(0, TYPE)], &[], &[VALUE], &[0]);
    // It takes the row, so a second replay would find nothing that was dropped: neither does the first.
    check(&[(0, TYPE)], &[], &[VALUE, TYPE], &[0, 1]);
    check(&[(0, TYPE), (2, TYPE)], &[], &[VALUE, VALUE, TYPE], &[0, 1]);
    // Of the same reason, one is open.
    check(&[(0, TYPE)], &[(1, TYPE)], &[TYPE, TYPE], &[1]);
    check(&[(2, TYPE)], &[(0, VALUE), (1, TYPE)], &[TYPE, TYPE], &[0]);
    // One of both is mended, and nobody knows which.
    check(&[(0, TYPE)], &[(1, TYPE)], &[TYPE], &[0]);
    check(&[(1, TYPE)], &[(0, TYPE)], &[TYPE], &[0]);
    check(&[(0, TYPE)], &[(1, TYPE)], &[], &[]);
    // There are more than there were.
    check(&[(0, TYPE)], &[], &[TYPE, TYPE], &[1]);
}
