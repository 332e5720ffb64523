//! What is known of damaged files, on a disk that loses power or cannot be written.

use std::sync::Arc;

use meetnet_lake::damage::Damage;
use meetnet_lake::files::Files;
use meetnet_lake::lake::LakeReader;
use meetnet_lake::storage::{FolderStorage, LakeStorage, TableFolder};
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};

const FILE: &str = "licence=CC0-1.0/superseded=false/month=2026-01/x.parquet";

/// The folder of a table as a process sees it that opens the lake now.
fn heat(files: &FaultyFiles) -> TableFolder {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::with_files("/lake", files));
    LakeReader::open(Arc::clone(&storage)).unwrap();
    TableFolder::new(storage, "heat")
}

#[test]
fn damage_that_was_noted_is_known_after_a_power_loss() {
    let damage = Damage::WrongChecksum;
    let (mut lost, mut kept) = (0, 0);
    for step in 0.. {
        let files = FaultyFiles::new();
        let folder = heat(&files);
        files.fail_at(files.operations() + step, Fault::PowerLoss);
        let is_noted = folder.remember_damage(FILE, damage).is_ok();
        // This process knows it either way.
        assert_eq!(folder.damage_of(FILE), Some(damage), "step {step}");
        let next = files.restart(Crash::PowerLoss { seed: step });
        match heat(&next).damage_of(FILE) {
            Some(found) => {
                assert_eq!(found, damage, "step {step}");
                kept += 1;
            }
            None => {
                assert!(!is_noted, "the note is lost, step {step}");
                lost += 1;
            }
        }
        if is_noted {
            break;
        }
    }
    assert!(lost > 0 && kept > 0, "{lost} lost, {kept} kept");
}

#[test]
fn damage_that_cannot_be_noted_is_noted_when_it_is_told_again() {
    let files = FaultyFiles::new();
    let (folder, damage) = (heat(&files), Damage::WrongChecksum);
    files.set_read_only(true);
    let error = folder.remember_damage(FILE, damage).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/lake/_meetnet/damaged/heat/"), "{text}");
    assert_eq!(folder.damage_of(FILE), Some(damage));
    assert_eq!(heat(&files).damage_of(FILE), None);
    files.set_read_only(false);
    folder.remember_damage(FILE, damage).unwrap();
    assert_eq!(heat(&files).damage_of(FILE), Some(damage));
}
