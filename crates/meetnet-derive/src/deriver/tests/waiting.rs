//! What late rows touch waits for more of them: what is read and computed meanwhile, and what is left of it after a restart.

use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

use bytes::Bytes;
use meetnet_lake::storage::{Access, LakeLocation, ListedObject, NewFile, Put, StoredFile};

use super::*;
use crate::reached::QUIET_US;

/// A folder, and which of its files have been opened.
#[derive(Debug)]
struct Watched {
    folder: FolderStorage,
    opened: Mutex<BTreeSet<String>>,
}

impl Watched {
    fn new(scene_folder: &std::path::Path) -> Arc<Self> {
        Arc::new(Self {
            folder: FolderStorage::new(scene_folder.join("lake")),
            opened: Mutex::default(),
        })
    }

    /// Returns how many files with rows of a table have been opened since this was asked last.
    fn opened(&self, table: &str) -> usize {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        let of_table = format!("{table}/licence=");
        let opened = opened.iter().filter(|path| path.starts_with(&of_table));
        opened.count()
    }
}

impl LakeStorage for Watched {
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>> {
        self.folder.create(path)
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<Put> {
        self.folder.put_if_absent(path, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.folder.replace(path, bytes)
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn StoredFile>> {
        self.opened.lock().unwrap().insert(path.to_owned());
        self.folder.open(path, access)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.folder.read(path)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<ListedObject>> {
        self.folder.list(folder)
    }

    fn folders(&self, folder: &str) -> io::Result<Vec<String>> {
        self.folder.folders(folder)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.folder.remove(path)
    }

    fn sync_names(&self, folder: &str) -> io::Result<()> {
        self.folder.sync_names(folder)
    }

    fn location(&self) -> LakeLocation {
        self.folder.location()
    }
}

/// Derives, and returns how many hours were computed.
fn hours_of_round(scene: &Scene, deriver: &mut Deriver) -> u64 {
    let round = scene.round(deriver);
    assert!(round.failed.is_empty(), "{:?}", round.failed);
    let hours = round.rows.get(&DatasetId::new("heat_hours"));
    hours.copied().unwrap_or_default()
}

/// Two sensors that said something in each of twenty hours, each hour a file, and all of it derived.
fn twenty_hours(folder: &std::path::Path) -> (Scene, Arc<Watched>, Deriver) {
    let scene = Scene::open(folder);
    for hour in 50..70 {
        for sensor in ["a", "b"] {
            scene.say(sensor, START + hour * HOUR, 20.0);
        }
        scene.commit();
    }
    scene.pass_time(START + 80 * HOUR);
    scene.commit();
    let watched = Watched::new(folder);
    let mut deriver = Deriver::new(Arc::<Watched>::clone(&watched));
    scene.settle(&mut deriver);
    assert!(watched.opened("heat") >= 20);
    (scene, watched, deriver)
}

#[test]
fn commits_that_touch_one_hour_are_read_once_and_the_hour_is_computed_once() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, watched, mut deriver) = twenty_hours(folder.path());
    assert_eq!(deriver.ready_at(), None);
    for minute in 1..4 {
        let value = 20.0 + minute as f64;
        scene.say("a", START + 60 * HOUR + minute * MINUTE, value);
        scene.pass_time(0);
        scene.commit();
        assert_eq!(hours_of_round(&scene, &mut deriver), 0, "{minute}");
        assert_eq!(watched.opened("heat"), 1, "{minute}");
    }
    assert_eq!(deriver.waiting(), 1);
    let ready_at = deriver.ready_at().unwrap();
    assert!((scene.now.get()..scene.now.get() + MINUTE).contains(&ready_at));
    scene.now.set(ready_at - 1);
    assert_eq!(hours_of_round(&scene, &mut deriver), 0);
    assert_eq!(watched.opened("heat"), 0);
    // Nothing is committed any more, and yet its time comes. The hour lies in four of the files.
    scene.now.set(ready_at);
    assert_eq!(hours_of_round(&scene, &mut deriver), 1);
    assert_eq!(watched.opened("heat"), 4);
    let hour = "a 60h 4 0.3333333333333333 21.5 20.0 23.0 CC0-1.0";
    assert!(scene.hours().contains(&hour.to_owned()));
    assert_eq!(scene.superseded("heat_hours"), 1);
    scene.settle(&mut deriver);
    assert_eq!(watched.opened("heat"), 0);
    assert_eq!((deriver.waiting(), deriver.ready_at()), (0, None));
}

#[test]
fn what_waits_survives_a_restart_also_where_rows_behind_it_were_handed_over() {
    for fails in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (scene, _, mut deriver) = twenty_hours(folder.path());
        scene.say("b", START + 80 * HOUR, 21.0);
        scene.pass_time(START + 81 * HOUR + 10 * MINUTE);
        scene.say("a", START + 60 * HOUR + MINUTE, 22.0);
        // What was recorded at the very time of a position is looked at in any case.
        scene.pass_time(scene.now.get() + QUIET_US / 3);
        scene.commit();
        // The hour that became due does not wait, and says in the table how far everything is derived.
        assert_eq!(hours_of_round(&scene, &mut deriver), 1);
        let late = "a 60h 2 0.3333333333333333 21.0 20.0 22.0 CC0-1.0".to_owned();
        assert!(!scene.hours().contains(&late));
        scene.now.set(scene.now.get() + MINUTE);
        if fails {
            scene.fails_after.set(Some(0));
            assert_eq!(scene.round(&mut deriver).failed.len(), 1);
            scene.fails_after.set(None);
        } else {
            deriver = Deriver::new(Arc::clone(&scene.storage));
        }
        assert_eq!(hours_of_round(&scene, &mut deriver), 1, "{fails}");
        assert!(scene.hours().contains(&late), "{fails}");
        scene.settle(&mut deriver);
    }
}

#[test]
fn what_has_no_room_to_wait_is_computed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, _, mut deriver) = twenty_hours(folder.path());
    deriver.pairs_max = 2;
    for hour in [52, 54, 56] {
        scene.say("b", START + hour * HOUR + MINUTE, 22.0);
    }
    scene.pass_time(0);
    scene.commit();
    // The third is computed for all sensors.
    assert_eq!(hours_of_round(&scene, &mut deriver), 4);
    assert_eq!(deriver.ready_at(), None);
    for hour in [52, 54, 56] {
        let late = format!("b {hour}h 2 0.3333333333333333 21.0 20.0 22.0 CC0-1.0");
        assert!(scene.hours().contains(&late));
    }
}

#[test]
fn rows_that_were_committed_with_the_last_state_are_not_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, watched, mut deriver) = twenty_hours(folder.path());
    scene.say("b", START + 80 * HOUR, 21.0);
    scene.pass_time(START + 81 * HOUR + 10 * MINUTE);
    scene.commit();
    // The hours that were handed over were recorded at the time through which their table was committed.
    let one_hour = BTreeMap::from([(DatasetId::new("heat_hours"), 1)]);
    assert_eq!(scene.round(&mut deriver).rows, one_hour);
    assert_eq!(watched.opened("heat_hours"), 0);
    // Only the new one is.
    assert!(scene.round(&mut deriver).rows.is_empty());
    assert_eq!(watched.opened("heat_hours"), 1);
}
