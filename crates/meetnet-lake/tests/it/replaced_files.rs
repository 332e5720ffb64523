//! Small files that are replaced whole, on a disk that loses power or fails.

use std::path::{Path, PathBuf};

use meetnet_lake::files::{replace, replace_in_folder};
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};

const FOLDER: &str = "/journal";
const FILE: &str = "/journal/polled/telraam.json";
const NEW: &[u8] = b"what is noted now";

/// A disk with the file as it was before, if it was there.
fn disk(before: Option<&[u8]>) -> FaultyFiles {
    let files = FaultyFiles::new();
    files.make_dir(Path::new(FOLDER));
    if let Some(before) = before {
        replace_in_folder(&files, Path::new(FILE), before).unwrap();
    }
    files
}

#[test]
fn a_power_loss_leaves_the_file_before_or_the_new_one() {
    for before in [None, Some(b"noted before".as_slice())] {
        let (mut old, mut new) = (0, 0);
        for step in 0.. {
            let mut is_done = false;
            for seed in 0..16 {
                let files = disk(before);
                files.fail_at(files.operations() + step, Fault::PowerLoss);
                is_done = replace_in_folder(&files, Path::new(FILE), NEW).is_ok();
                let next = files.restart(Crash::PowerLoss { seed });
                let found = next.content(Path::new(FILE));
                let is_new = found.as_deref() == Some(NEW);
                assert!(
                    is_new || (!is_done && found.as_deref() == before),
                    "step {step}, seed {seed}: {found:?}"
                );
                match is_new {
                    true => new += 1,
                    false => old += 1,
                }
                // What it left does not keep the next process from going on.
                replace_in_folder(&next, Path::new(FILE), NEW).unwrap();
                assert_eq!(next.paths(), [PathBuf::from(FILE)]);
            }
            if is_done {
                break;
            }
        }
        assert!(old > 0 && new > 0, "{old} old, {new} new");
    }
}

#[test]
fn what_cannot_be_replaced_leaves_nothing_beside_it() {
    let before = b"noted before".as_slice();
    for fault in [
        Fault::DiskFull,
        Fault::ShortWrite { bytes: 2 },
        Fault::FailedSync,
        Fault::LateError,
    ] {
        let mut errors = 0;
        for step in 0.. {
            let files = disk(Some(before));
            files.fail_at(files.operations() + step, fault);
            let replaced = replace(&files, Path::new(FILE), NEW);
            let found = files.content(Path::new(FILE)).unwrap();
            assert!(found == before || found == NEW, "{fault:?}, step {step}");
            assert_eq!(files.paths(), [PathBuf::from(FILE)], "{fault:?}, {step}");
            if replaced.is_ok() {
                assert_eq!(found, NEW);
                break;
            }
            errors += 1;
        }
        assert!(errors >= 5, "{fault:?}: {errors} errors");
    }
}
