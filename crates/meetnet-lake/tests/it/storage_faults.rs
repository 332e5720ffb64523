//! A lake in a folder whose disk fails or loses power: what was reported as done is there.

use std::io::{self, Write};
use std::sync::Arc;

use meetnet_lake::storage::{FolderStorage, LakeStorage, Put};
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};

fn storage(files: &FaultyFiles) -> FolderStorage {
    FolderStorage::with_files("/city/data/lake", Arc::new(files.clone()))
}

#[test]
fn the_first_file_of_a_lake_survives_a_power_loss_with_every_folder_above_it() {
    for seed in 0..20 {
        let files = FaultyFiles::new();
        let put = storage(&files).put_if_absent("air/_delta_log/0.json", b"entry");
        assert_eq!(put.expect("written"), Put::Done);
        let after = storage(&files.restart(Crash::PowerLoss { seed }));
        let read = after.read("air/_delta_log/0.json").expect("durable");
        assert_eq!(read, b"entry".as_slice(), "seed {seed}");
    }
}

/// Writes a file that is synced several times on its way.
fn write(storage: &FolderStorage, content: &[u8]) -> io::Result<()> {
    let mut file = storage.create("air/large.parquet")?;
    for part in content.chunks(100_000) {
        file.write_all(part)?;
    }
    file.finish()?;
    storage.sync_names("air")
}

#[test]
fn a_large_file_that_was_reported_as_done_is_whole_whatever_failed_on_its_way() {
    let content: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
    let files = FaultyFiles::new();
    write(&storage(&files), &content).expect("written");
    let steps = files.operations();
    let faults = [
        Fault::ShortWrite { bytes: 7 },
        Fault::FailedSync,
        Fault::DiskFull,
        Fault::LateError,
        Fault::PowerLoss,
    ];
    let (mut done, mut failed) = (0, 0);
    for fault in faults {
        // One more than there are steps: without a fault.
        for step in 0..=steps {
            let files = FaultyFiles::new();
            files.fail_at(step, fault);
            let written = write(&storage(&files), &content);
            let after = storage(&files.copy_after(Crash::PowerLoss { seed: step }));
            match written {
                Ok(()) => {
                    done += 1;
                    let read = after.read("air/large.parquet").expect("durable");
                    assert!(read == content, "{fault:?} at step {step}");
                }
                Err(_) => failed += 1,
            }
        }
    }
    assert!(done >= 5 && failed > 40, "{done} done, {failed} failed");
}
