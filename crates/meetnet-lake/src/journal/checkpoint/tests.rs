use super::*;
use crate::files::DiskFiles;

fn checkpoint() -> Checkpoint {
    let entry = DupEntry {
        packet_id: 12,
        topic: "v3/app/devices/\"dé\"/up".into(),
        payload_hash: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255],
        sequence: Sequence(7),
    };
    Checkpoint {
        trimmed_through: Sequence(5),
        last_sequence: Sequence(9),
        last_recorded_at: 1_700_000_000_000_000,
        datasets: [(DatasetId::new("air"), (3, Sequence(9)))].into(),
        dup_windows: [(SourceId::new("lora"), vec![entry])].into(),
    }
}

#[test]
fn a_checkpoint_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = || {
        read_sealed::<Checkpoint>(&DiskFiles::PRIVATE, folder.path(), CHECKPOINT).expect("readable")
    };
    assert!(matches!(read(), Sealed::Missing));
    for written in [Checkpoint::default(), checkpoint()] {
        write_sealed(&DiskFiles::PRIVATE, folder.path(), CHECKPOINT, &written).expect("written");
        match read() {
            Sealed::Valid(found) => assert_eq!(found, written),
            other => panic!("{other:?}"),
        }
    }
    let content = std::fs::read_to_string(folder.path().join(CHECKPOINT)).expect("readable");
    assert!(
        content.contains("\"payload_hash\":\"000102030405060708090a0b0c0d0eff\""),
        "{content}"
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    write_sealed(
        &DiskFiles::PRIVATE,
        folder.path(),
        CHECKPOINT,
        &checkpoint(),
    )
    .expect("written");
    let content = std::fs::read(folder.path().join(CHECKPOINT)).expect("readable");
    for bit in 0..content.len() * 8 {
        let mut damaged = content.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // Upper-case hex in the seal says the same.
        if let Some(found) = unseal::<Checkpoint>(&damaged) {
            assert_eq!(found, checkpoint(), "bit {bit}");
        }
    }
    for length in 0..content.len() {
        assert!(
            unseal::<Checkpoint>(&content[..length]).is_none(),
            "cut to {length}"
        );
    }
}
