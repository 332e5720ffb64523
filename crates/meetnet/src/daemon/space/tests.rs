use super::*;

const MIB: u64 = 1 << 20;

fn watch() -> Watch {
    Watch {
        folders: vec![
            Folder::new("journal", Path::new("/fast")),
            Folder::new("lake", Path::new("/large")),
        ],
        free_bytes_min: 800 * MIB,
    }
}

#[test]
fn each_disk_is_low_from_the_threshold_until_there_is_an_eighth_more() {
    let mut watch = watch();
    let mut check = |journal_mib: u64, lake_mib: u64, expect: &[&str]| {
        let disks = watch.look(|dir| {
            let mib = if dir == Path::new("/fast") {
                journal_mib
            } else {
                lake_mib
            };
            Ok(mib * MIB)
        });
        assert_eq!(low(&disks), expect, "{journal_mib} {lake_mib}");
        let free: Vec<_> = disks.iter().map(|disk| disk.free_bytes).collect();
        assert_eq!(free, [Some(journal_mib * MIB), Some(lake_mib * MIB)]);
    };
    check(800, 5_000, &[]);
    check(799, 5_000, &["journal"]);
    check(899, 0, &["journal", "lake"]);
    check(900, 899, &["lake"]);
    check(800, 900, &[]);
}

#[test]
fn without_a_threshold_nothing_is_low() {
    let mut watch = Watch {
        free_bytes_min: 0,
        ..watch()
    };
    assert_eq!(low(&watch.look(|_| Ok(0))), [""; 0]);
}

#[test]
fn a_disk_that_cannot_be_measured_is_as_low_as_it_was() {
    let mut watch = watch();
    let unknown = |_: &Path| Err(io::Error::from(io::ErrorKind::TimedOut));
    let disks = watch.look(unknown);
    assert!(low(&disks).is_empty() && disks[0].free_bytes.is_none());
    watch.look(|_| Ok(MIB));
    assert_eq!(low(&watch.look(unknown)), ["journal", "lake"]);
}

#[test]
fn the_file_system_of_a_folder_has_some_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = free_bytes(folder.path()).expect("measured");
    assert!((1..u64::MAX / 2).contains(&free), "{free}");
    assert!(free_bytes(&folder.path().join("none")).is_err());
}
