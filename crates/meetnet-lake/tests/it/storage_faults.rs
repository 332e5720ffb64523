//! A lake in a folder whose disk fails or loses power: what was reported as done is there.

use std::sync::Arc;

use meetnet_lake::storage::{FolderStorage, LakeStorage, Put};
use meetnet_testkit::files::{Crash, FaultyFiles};

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
