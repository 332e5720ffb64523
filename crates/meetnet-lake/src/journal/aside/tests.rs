use meetnet_model::ids::Sequence;
use tempfile::TempDir;

use super::*;
use crate::files::DiskFiles;

/// A journal folder with segments 1 to 12 of 100 bytes, each filled with its number.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        for number in 1..=12 {
            std::fs::write(folder.segment(number), [number as u8; 100]).expect("written");
        }
        folder
    }

    fn segment(&self, number: u64) -> PathBuf {
        let first = Sequence(number * 10);
        self.0
            .path()
            .join(SegmentName { number, first }.to_string())
    }

    fn copy(&self, number: u64, offset: u64) -> PathBuf {
        let segment = self.segment(number);
        let name = segment.file_name().expect("a name").to_string_lossy();
        self.0.path().join("aside").join(format!("{name}@{offset}"))
    }

    fn keep(&self, number: u64, offset: u64, bytes: u64) -> Kept {
        let region = SkippedRegion {
            segment: self.segment(number),
            offset,
            bytes,
            after: Sequence::ZERO,
            resumes_at: Sequence::ZERO,
            last_group: false,
            kept_aside: None,
        };
        keep(&DiskFiles::PRIVATE, self.0.path(), &region, 100).expect("no failure")
    }

    fn kept(&self) -> Vec<PathBuf> {
        let aside = self.0.path().join("aside");
        let listed = DiskFiles::PRIVATE.list(&aside).expect("a folder");
        let mut paths: Vec<PathBuf> = listed
            .into_iter()
            .map(|file| aside.join(file.name))
            .collect();
        paths.sort();
        paths
    }
}

#[test]
fn the_oldest_copies_make_room_and_nothing_else_does() {
    let folder = Folder::new();
    let copy = |number, offset| folder.copy(number, offset);
    let none: [PathBuf; 0] = [];
    assert_eq!(folder.keep(9, 5, 40).dropped, none);
    // Of one segment the earlier offset is the older one; 5 before 40, unlike their letters.
    assert_eq!(folder.keep(11, 40, 20).dropped, none);
    assert_eq!(folder.keep(11, 5, 20).dropped, none);
    let damaged = folder.0.path().join("aside/checkpoint.damaged");
    std::fs::write(&damaged, [0; 500]).expect("written");
    // The same region again takes no more room than before.
    assert_eq!(folder.keep(9, 5, 40).dropped, none);
    assert_eq!(folder.keep(12, 0, 50).dropped, [copy(9, 5)]);
    assert_eq!(folder.keep(12, 60, 30).dropped, [copy(11, 5)]);
    assert_eq!(
        folder.kept(),
        [copy(11, 40), copy(12, 0), copy(12, 60), damaged.clone()]
    );
    assert_eq!(std::fs::read(copy(12, 60)).expect("kept"), [12; 30]);
    // A region that fills the folder alone.
    let kept = folder.keep(12, 0, 100);
    assert_eq!(kept.path, Some(copy(12, 0)));
    assert_eq!(kept.dropped, [copy(11, 40), copy(12, 60)]);
    assert_eq!(folder.kept(), [copy(12, 0), damaged]);
}

#[test]
fn a_region_that_is_larger_than_the_folder_may_be_drops_nothing() {
    let folder = Folder::new();
    folder.keep(1, 0, 10);
    assert_eq!(folder.keep(2, 0, 101), Kept::default());
    assert_eq!(folder.kept(), [folder.copy(1, 0)]);
}
