use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::storage::{FolderStorage, TableFolder};

const FILE: &str = "licence=CC0-1.0/superseded=false/month=2026-01/x.parquet";

/// The table's folder, as a process sees it that starts now.
fn heat(lake: &Path) -> TableFolder {
    let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new(lake));
    recall(&*storage).unwrap();
    TableFolder::new(storage, "heat")
}

#[test]
fn a_note_goes_with_its_file_and_when_the_file_is_whole() {
    let check = |change: &dyn Fn(&TableFolder)| {
        let lake = tempfile::tempdir().unwrap();
        let folder = heat(lake.path());
        let mut file = folder.create(FILE).unwrap();
        file.write_all(b"rows").unwrap();
        file.finish().unwrap();
        let damage = Damage::WrongLength {
            bytes: 4,
            expected: 5,
        };
        folder.remember_damage(FILE, damage).unwrap();
        let later = heat(lake.path());
        assert_eq!(later.damage_of(FILE), Some(damage));
        change(&folder);
        assert_eq!(folder.damage_of(FILE), None);
        assert_eq!(heat(lake.path()).damage_of(FILE), None);

        // By a process that has it from the note.
        folder.remember_damage(FILE, damage).unwrap();
        let later = heat(lake.path());
        change(&later);
        assert_eq!(later.damage_of(FILE), None);
        assert_eq!(heat(lake.path()).damage_of(FILE), None);
    };
    check(&|folder| folder.forget_damage(FILE));
    check(&|folder| folder.remove_all([FILE]).unwrap());
    check(&|folder| {
        folder.move_file(FILE, "_quarantine/x.parquet").unwrap();
    });
}

#[test]
fn a_note_that_cannot_be_understood_is_one_all_the_same() {
    let lake = tempfile::tempdir().unwrap();
    let storage = FolderStorage::new(lake.path());
    let name = note_of(&format!("heat/{FILE}"));
    for content in [&b""[..], b"{\"damage\":\"of_a_later_version\"}"] {
        storage.replace(&name, content).unwrap();
        let found = heat(lake.path()).damage_of(FILE);
        assert_eq!(found, Some(Damage::WrongChecksum));
    }
    // What else lies there is no note.
    let other = format!("{FOLDER}/heat/readme.txt");
    storage.replace(&other, b"").unwrap();
    let noted = heat(lake.path()).noted_damage();
    assert_eq!(Vec::from_iter(noted), [format!("heat/{FILE}")]);
}
