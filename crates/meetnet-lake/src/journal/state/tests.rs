use super::*;
use crate::journal::JournalOptions;

fn open(folder: &Path) -> Journal {
    let options = JournalOptions {
        reserve_bytes: 0,
        background: false,
        ..JournalOptions::new(folder.join("journal"), folder.join("archive"))
    };
    Journal::open(options, b"{}").unwrap().0
}

#[test]
fn a_state_is_read_at_its_own_position_only() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let read = |sequence: u64| journal.read_state(Sequence(sequence)).unwrap();
    assert_eq!(read(5), None);
    for state in [&b"five"[..], b"", b"five again"] {
        journal.write_state(Sequence(5), state).unwrap();
        assert_eq!(read(5).as_deref(), Some(state));
    }
    journal.write_state(Sequence(7), b"seven").unwrap();
    assert_eq!(read(5).as_deref(), Some(&b"five again"[..]));
    assert_eq!(read(6), None);
    journal.remove_other_states(Sequence(7)).unwrap();
    assert_eq!(read(5), None);
    assert_eq!(read(7).as_deref(), Some(&b"seven"[..]));
    journal.remove_other_states(Sequence(8)).unwrap();
    assert_eq!(read(7), None);
}

#[test]
fn a_damaged_state_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.write_state(Sequence(5), b"five").unwrap();
    let path = folder.path().join("journal").join(name(Sequence(5)));
    let content = std::fs::read(&path).unwrap();
    for length in 0..content.len() {
        std::fs::write(&path, &content[..length]).unwrap();
        assert_eq!(journal.read_state(Sequence(5)).unwrap(), None, "{length}");
    }
    for bit in 0..content.len() * 8 {
        let mut damaged = content.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(journal.read_state(Sequence(5)).unwrap(), None, "bit {bit}");
    }
}
