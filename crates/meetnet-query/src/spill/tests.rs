use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::spill_file::TempFileFactory;

use super::{QuerySpill, STARTED, SpillFolder};
use crate::client::{Client, Protocol};
use crate::error::{QueryError, QueryErrorKind};
use crate::options::QueryOptions;
use crate::room::Rooms;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_a_killed_process_left_goes_and_what_others_use_stays() {
    let base = tempfile::tempdir().expect("a folder");
    let running = SpillFolder::open(base.path()).expect("a running service");
    fs::write(running.path().join("sort"), "rows").expect("written");
    // Its lock is not held: the process is gone.
    let left = base.path().join("meetnet-spill-1-0");
    fs::create_dir(&left).expect("made");
    fs::write(left.join("sort"), "rows").expect("written");
    File::create(left.with_extension("lock")).expect("made");
    fs::write(base.path().join("notes.lock"), "of somebody else").expect("written");

    let next = SpillFolder::open(base.path()).expect("the next one");
    assert!(!left.exists() && !left.with_extension("lock").exists());
    assert!(running.path().join("sort").exists(), "it is in use");
    drop((next, running));
    assert_eq!(names(base.path()), ["notes.lock"]);
}

/// In containers every first process has the number 1, and they may share the folder.
#[test]
fn nobody_waits_for_a_process_of_the_same_number() {
    let base = tempfile::tempdir().expect("a folder");
    let next = STARTED.load(Ordering::Relaxed);
    // More than other tests of this process start meanwhile.
    let held: Vec<File> = (next..next + 64)
        .map(|number| {
            let name = format!("meetnet-spill-{}-{number}.lock", std::process::id());
            let lock = File::create(base.path().join(name)).expect("made");
            lock.lock().expect("a lock");
            lock
        })
        .collect();
    let (sender, opened) = mpsc::channel();
    let folder = base.path().to_owned();
    thread::spawn(move || sender.send(SpillFolder::open(&folder)));
    let opened = opened.recv_timeout(Duration::from_secs(20));
    let opened = opened.expect("it waits for none of them");
    assert!(opened.expect("a folder").path().is_dir());
    drop(held);
}

#[test]
fn files_of_a_query_are_bounded_and_those_of_all_queries() {
    let base = tempfile::tempdir().expect("a folder");
    let mode = DiskManagerMode::Directories(vec![base.path().to_owned()]);
    let builder = DiskManagerBuilder::default().with_mode(mode);
    let disk: Arc<DiskManager> = builder
        .with_max_temp_directory_size(1500)
        .build()
        .map(Arc::new)
        .expect("a disk");
    let rooms = Rooms::new(&QueryOptions {
        query_spill_bytes_max: 1000,
        client_spill_bytes_max: 1200,
        ..QueryOptions::default()
    });
    let client = |address: &str| {
        let client = Client::of_address(Protocol::Http, address.parse().ok());
        rooms.of(&client).client
    };
    let write = |spill: &QuerySpill, bytes: usize| {
        let file = spill.create_temp_file("test").expect("a file");
        let written = file
            .open_writer()
            .expect("a writer")
            .write_all(&vec![1; bytes]);
        let kind = written.err().map(|error| {
            let source = error.into_inner().expect("an error of ours");
            source
                .downcast::<QueryError>()
                .expect("an error of ours")
                .kind
        });
        (file, kind)
    };
    let (first, second) = (
        QuerySpill::new(Arc::clone(&disk), 1000, client("192.0.2.1")),
        QuerySpill::new(Arc::clone(&disk), 1000, client("198.51.100.1")),
    );
    let (kept, none) = write(&first, 900);
    assert_eq!(none, None);
    let (over, kind) = write(&first, 200);
    assert_eq!(kind, Some(QueryErrorKind::TooLarge));
    let (rest, kind) = write(&second, 700);
    assert_eq!(kind, Some(QueryErrorKind::Busy));
    drop((kept, over, rest));
    assert_eq!(first.used.load(Ordering::Relaxed), 0);
    let (kept, none) = write(&second, 900);
    assert_eq!(none, None, "there is room again");
    // Another query of the same client.
    let third = QuerySpill::new(Arc::clone(&disk), 1000, client("198.51.100.2"));
    assert_eq!(write(&third, 400).1, Some(QueryErrorKind::OverShare));
    drop(kept);
    assert_eq!(write(&third, 400).1, None);
}
