use meetnet_model::ids::Sequence;
use proptest::prelude::*;

use super::*;

const KEY: FrameKey = FrameKey(0x1234_5678);

fn stamp(kind: FrameKind, sequence: u64) -> Stamp {
    let original = (kind == FrameKind::Replay).then_some(Original {
        sequence: Sequence(3),
        received_at: -7,
        clock_step: false,
    });
    Stamp {
        kind,
        head: false,
        sequence: Sequence(sequence),
        recorded_at: 1_700_000_000_000_000,
        clock_step: false,
        erased: false,
        decoder_version: 5,
        in_group: 3,
        original,
    }
}

fn encoded(stamp: &Stamp, envelope: &NewEnvelope<'_>) -> Vec<u8> {
    let mut buffer = b"before".to_vec();
    encode(&mut buffer, KEY, stamp, envelope);
    buffer.split_off(6)
}

prop_compose! {
    fn texts()(pairs in prop::collection::vec((".{0,12}", ".{0,40}"), 0..4)) -> Vec<(String, String)> {
        pairs
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(
        source in ".{0,20}",
        topic in ".{0,60}",
        pairs in texts(),
        numbers in any::<(u16, u32, u64, i64, u32, u32)>(),
        flags in any::<(bool, bool, bool, bool, bool)>(),
        kind_code in 1_u8..=5,
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let meta: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let (packet_id, epoch, sequence, recorded_at, decoder_version, in_group) = numbers;
        let (dup, retain, truncated, head, clock_step) = flags;
        let kind = FrameKind::from_code(kind_code).expect("a known kind");
        let envelope = NewEnvelope {
            source: &source, topic: &topic, meta: &meta, packet_id, dup, retain, truncated, epoch,
            payload: &payload,
        };
        let stamp = Stamp { recorded_at, clock_step, decoder_version, in_group, head, ..stamp(kind, sequence) };
        let stamp = Stamp { original: stamp.original.map(|o| Original { clock_step, ..o }), ..stamp };
        let bytes = encoded(&stamp, &envelope);
        prop_assert_eq!(encoded_bytes(kind, &envelope), Ok(bytes.len()));
        prop_assert_eq!(check(&bytes, KEY), Checked::Frame(bytes.len()));

        let frame = parse_body(&bytes[PREFIX_BYTES..]).expect("it was just encoded");
        prop_assert_eq!((frame.kind, frame.sequence), (kind, Sequence(sequence)));
        prop_assert_eq!((frame.recorded_at, frame.decoder_version), (recorded_at, decoder_version));
        let received_at = if kind == FrameKind::Replay { -7 } else { recorded_at };
        prop_assert_eq!((frame.received_at, frame.clock_step), (received_at, clock_step));
        prop_assert_eq!(frame.original_sequence.is_some(), kind == FrameKind::Replay);
        prop_assert_eq!((frame.source, frame.topic), (source.as_str(), topic.as_str()));
        prop_assert_eq!(&frame.meta.iter().collect::<Vec<_>>(), &meta);
        prop_assert_eq!((frame.packet_id, frame.epoch, frame.in_group), (packet_id, epoch, in_group));
        prop_assert_eq!((frame.dup, frame.retain, frame.truncated, frame.head), flags_of(&envelope, head));
        prop_assert_eq!(frame.payload, payload.as_slice());
        fuzz_frame(&bytes);
        fuzz_frame(&bytes[PREFIX_BYTES..]);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_frame(&bytes);
    }

    #[test]
    fn a_changed_body_never_panics(at in 0_usize..80, value: u8) {
        let envelope = NewEnvelope { source: "s", topic: "t", meta: &[("k", "v")], ..NewEnvelope::default() };
        let mut bytes = encoded(&stamp(FrameKind::Replay, 1), &envelope);
        let at = at % bytes.len();
        bytes[at] = value;
        fuzz_frame(&bytes[PREFIX_BYTES..]);
    }
}

fn flags_of(envelope: &NewEnvelope<'_>, head: bool) -> (bool, bool, bool, bool) {
    (envelope.dup, envelope.retain, envelope.truncated, head)
}

#[test]
fn every_flipped_bit_is_noticed() {
    let envelope = NewEnvelope {
        source: "s",
        topic: "t/1",
        payload: b"21.5",
        ..NewEnvelope::default()
    };
    let bytes = encoded(&stamp(FrameKind::Envelope, 9), &envelope);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let found = check(&damaged, KEY);
        assert!(
            matches!(found, Checked::Bad | Checked::Incomplete(_)),
            "bit {bit}: {found:?}"
        );
    }
}

#[test]
fn every_cut_is_incomplete() {
    let bytes = encoded(&stamp(FrameKind::Tick, 9), &NewEnvelope::default());
    for length in 0..bytes.len() {
        let needs = if length < PREFIX_BYTES {
            PREFIX_BYTES
        } else {
            bytes.len()
        };
        assert_eq!(check(&bytes[..length], KEY), Checked::Incomplete(needs));
    }
}

#[test]
fn frames_without_the_clock_flag_and_with_unknown_ones_are_read() {
    let mut bytes = encoded(&stamp(FrameKind::Tick, 9), &NewEnvelope::default());
    // As versions wrote it that did not watch the clock ahead; and with bits that a later one may add.
    for (flags, clock_step) in [(0, false), (FLAG_CLOCK_STEP, true), (0b1110_0000, false)] {
        bytes[PREFIX_BYTES + 2] = flags;
        let length: [u8; 4] = bytes[4..8].try_into().expect("four bytes");
        let checksum = KEY.checksum(length, &bytes[PREFIX_BYTES..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(check(&bytes, KEY), Checked::Frame(bytes.len()));
        let frame = parse_body(&bytes[PREFIX_BYTES..]).expect("checked");
        assert_eq!(frame.clock_step, clock_step, "{flags:08b}");
    }
}

#[test]
fn a_frame_of_another_journal_is_none() {
    let bytes = encoded(&stamp(FrameKind::Tick, 9), &NewEnvelope::default());
    assert_eq!(check(&bytes, FrameKey::new(&[1; 16])), Checked::Bad);
}

#[test]
fn an_intact_frame_of_a_newer_version_is_told_apart() {
    let mut bytes = encoded(&stamp(FrameKind::Tick, 9), &NewEnvelope::default());
    bytes[PREFIX_BYTES] = VERSION + 1;
    assert_eq!(check(&bytes, KEY), Checked::Bad);
    let length: [u8; 4] = bytes[4..8].try_into().expect("four bytes");
    let checksum = KEY.checksum(length, &bytes[PREFIX_BYTES..]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(check(&bytes, KEY), Checked::Newer(VERSION + 1));
}

#[test]
fn too_long_fields_are_refused_by_name() {
    let long = "x".repeat(usize::from(u16::MAX) + 1);
    let huge = vec![0; FRAME_BYTES_MAX];
    let check = |envelope: NewEnvelope<'_>, expect: &str| match encoded_bytes(
        FrameKind::Envelope,
        &envelope,
    ) {
        Err(AppendError::FieldTooLong { field, .. }) => assert_eq!(field, expect),
        other => panic!("expected `{expect}` to be refused, got {other:?}"),
    };
    check(
        NewEnvelope {
            source: &long,
            ..NewEnvelope::default()
        },
        "source",
    );
    check(
        NewEnvelope {
            topic: &long,
            ..NewEnvelope::default()
        },
        "topic",
    );
    check(
        NewEnvelope {
            meta: &[(&long, "")],
            ..NewEnvelope::default()
        },
        "meta key",
    );
    check(
        NewEnvelope {
            payload: &huge,
            ..NewEnvelope::default()
        },
        "frame",
    );
    let long_value = NewEnvelope {
        meta: &[("query", &long)],
        ..NewEnvelope::default()
    };
    assert!(encoded_bytes(FrameKind::Envelope, &long_value).is_ok());
}

#[test]
fn meta_is_found_by_key() {
    let meta = [("encoding", "gzip"), ("query", "a=1"), ("query", "b=2")];
    let envelope = NewEnvelope {
        meta: &meta,
        ..NewEnvelope::default()
    };
    let bytes = encoded(&stamp(FrameKind::Envelope, 1), &envelope);
    let frame = parse_body(&bytes[PREFIX_BYTES..]).expect("it was just encoded");
    assert_eq!(
        (frame.meta.get("query"), frame.meta.get("host")),
        (Some("a=1"), None)
    );
    assert_eq!((frame.meta.len(), frame.meta.is_empty()), (3, false));
}
