//! Findings that need more than a damaged byte: somebody else has written, or the storage does not answer.

use meetnet_model::ids::Sequence;

use super::damage::expect;
use super::*;
use crate::journal::checkpoint::Sealed;
use crate::journal::frame::{self, FrameKind, NewEnvelope, Stamp};
use crate::journal::opening::stored_identity;
use crate::table::actions::Protocol;

#[test]
fn what_no_damage_of_bytes_can_cause_is_found_too() {
    use FindingKind::*;
    expect(
        "an intact frame with an earlier sequence and time",
        |city| {
            let place = city.place();
            let Sealed::Valid(identity) =
                stored_identity(place.files.as_ref(), &place.dir).unwrap()
            else {
                panic!("an identity");
            };
            let stamp = Stamp {
                kind: FrameKind::Tick,
                head: false,
                sequence: Sequence(1),
                recorded_at: 0,
                clock_step: false,
                erased: false,
                decoder_version: 1,
                in_group: 0,
                original: None,
            };
            let last = city.segments().pop().unwrap();
            let mut content = std::fs::read(&last).unwrap();
            frame::encode(
                &mut content,
                identity.key(),
                &stamp,
                &NewEnvelope::default(),
            );
            std::fs::write(&last, content).unwrap();
        },
        &[SequenceOrder],
    );
    expect(
        "a protocol that meetnet does not speak",
        |city| {
            city.commit(vec![Action::Protocol(Protocol {
                min_reader_version: 3,
                min_writer_version: 7,
            })]);
        },
        &[LogMetadata],
    );
}

#[test]
fn a_file_that_the_storage_does_not_give_is_not_called_broken() {
    let folder = tempfile::tempdir().unwrap();
    let copy = city().copy_to(folder.path());
    let path = copy.largest();
    std::fs::remove_file(&path).unwrap();
    // It can be found, and never opened.
    std::os::unix::fs::symlink(&path, &path).unwrap();
    for depth in [Depth::Quick, Depth::Full] {
        let report = copy.check(depth);
        let kinds: Vec<FindingKind> = report.findings.iter().map(|f| f.kind).collect();
        assert_eq!(kinds, [FindingKind::FileUnknown], "{:#?}", report.findings);
        assert_eq!(report.findings[0].severity, Severity::Warning);
    }
}
