//! Erasures that cannot be carried out at once: nothing is lost or answered wrongly meanwhile, and in the end they are.

use meetnet_lake::backup::{self, BackupError, BackupOptions, Manifest, RestoreOptions};
use meetnet_lake::check::Depth;
use meetnet_lake::files::Files;
use meetnet_lake::storage::LakeStorage;

use super::*;

/// The lake's folder.
fn storage(files: &FaultyFiles) -> Arc<dyn LakeStorage> {
    let folder = FolderStorage::with_files("/lake", Arc::new(files.clone()));
    Arc::new(folder)
}

/// Makes a backup in `/backup`.
fn backup_of(daemon: &Daemon, progress: &mut dyn FnMut(String)) -> Result<Manifest, BackupError> {
    let files: Arc<dyn Files> = Arc::new(daemon.files.clone());
    let options = BackupOptions {
        dir: "/backup".into(),
        files,
        with_archive: true,
        journal_files: Vec::new(),
    };
    backup::write(&storage(&daemon.files), &daemon.journal, &options, progress)
}

/// Starts the scene again and breaks a file that the erasure must read; returns it with its content.
fn with_broken_file(scene: &Scene) -> (Daemon, PathBuf, Vec<u8>) {
    let files = scene.files.restart(Crash::Kill);
    let daemon = Daemon::start(&files, scene.now).unwrap();
    daemon.wait(scene.last);
    daemon.pipeline.commands().commit_all().unwrap();
    let snapshot = daemon.pipeline.shared().load_full();
    let file = &snapshot.tables[&DatasetId::new("heat")].files[0];
    let path = Path::new("/lake/heat").join(&*file.path);
    let content = files.content(&path).unwrap();
    files.put(&path, vec![0; content.len()]);
    let error = daemon.pipeline.commands().erase(request()).unwrap_err();
    assert!(matches!(error, PipelineError::Erase { .. }), "{error}");
    (daemon, path, content)
}

#[test]
fn an_erasure_that_fails_is_tried_again_and_nothing_behind_it_is_applied_before() {
    let scene = scene();
    let expect = expected(&scene);
    let (daemon, path, content) = with_broken_file(&scene);
    let behind = daemon.measure(OTHER_CHIP, "14", "20");
    std::thread::sleep(3 * RETRY_PAUSE);
    let snapshot = daemon.pipeline.shared().load_full();
    assert!(
        snapshot
            .tables
            .values()
            .all(|table| table.through < Sequence(behind))
    );
    let refused = backup_of(&daemon, &mut |_| ()).unwrap_err();
    let is_told = matches!(refused, BackupError::Journal(JournalError::Erasing { .. }));
    assert!(is_told, "{refused}");
    daemon.files.put(&path, content);
    daemon.wait(behind);
    assert_eq!(tainted(&daemon.files), []);
    daemon.pipeline.commands().commit_all().unwrap();
    assert_eq!(rows(&daemon).len(), expect.len() + 2);
    daemon.stop();
}

#[test]
fn a_start_goes_on_without_what_is_behind_an_erasure_that_failed() {
    let scene = scene();
    let expect = expected(&scene);
    let (daemon, path, content) = with_broken_file(&scene);
    let behind = daemon.grow("shed", 9, "{\"ts\": 1780315200000, \"t\": 17}");
    daemon.journal.wait_durable(Sequence(behind)).unwrap();
    let (files, now) = (daemon.files.clone(), daemon.clock.now());
    assert!(daemon.pipeline.shutdown().is_err());
    daemon.journal.shutdown().unwrap();

    // By another secret it would find nothing and take that for done.
    let other = Daemon::start_with(&files, now, "another secret").err();
    assert!(
        matches!(other, Some(PipelineError::EraseSecret { .. })),
        "{other:?}"
    );
    let daemon = Daemon::start(&files, now).unwrap();
    let snapshot = daemon.pipeline.shared().load_full();
    for table in snapshot.tables.values() {
        assert!(table.through < Sequence(behind) && table.stable_time > NOW);
    }
    // A broker that delivers it again is recognised, although it is not applied yet.
    let windows = daemon.dup_windows.snapshot(Sequence(u64::MAX));
    let garden = &windows[&SourceId::new("garden")];
    assert!(
        garden
            .iter()
            .any(|entry| entry.sequence == Sequence(behind))
    );
    let last = daemon.measure(OTHER_CHIP, "14", "20");
    files.put(&path, content);
    daemon.wait(last);
    assert_eq!(tainted(&files), []);
    daemon.pipeline.commands().commit_all().unwrap();
    // Two rows of the box, and one that replaces another.
    assert_eq!(rows(&daemon).len(), expect.len() + 3);
    daemon.stop();
}

#[test]
fn a_repair_lets_an_erasure_go_on() {
    let scene = scene();
    let (daemon, _, _) = with_broken_file(&scene);
    let behind = daemon.measure(OTHER_CHIP, "14", "20");
    let repaired = daemon.pipeline.commands().repair(Depth::Full).unwrap();
    assert_eq!(repaired.files.len(), 1);
    daemon.wait(behind);
    assert_eq!(tainted(&daemon.files), []);
    daemon.stop();
}

#[test]
fn an_erasure_waits_for_a_backup_and_is_carried_out_in_what_is_restored_from_it() {
    let scene = scene();
    let expect = expected(&scene);
    let files = scene.files.restart(Crash::Kill);
    let daemon = Daemon::start(&files, scene.now).unwrap();
    daemon.wait(scene.last);
    let commands = daemon.pipeline.commands();
    let mut refused = None;
    backup_of(&daemon, &mut |_| {
        refused.get_or_insert_with(|| commands.erase(request()).unwrap_err());
    })
    .unwrap();
    let PipelineError::Erase { sequence, source } = refused.unwrap() else {
        panic!("another error")
    };
    assert!(
        matches!(*source, PipelineError::Journal(JournalError::Held)),
        "{source}"
    );
    daemon.wait(sequence.0);
    let (copies, left): (Vec<_>, Vec<_>) = tainted(&files)
        .into_iter()
        .partition(|(path, _)| path.starts_with("/backup"));
    assert_eq!(left, []);
    assert!(!copies.is_empty(), "the backup was made before");
    daemon.pipeline.commands().commit_all().unwrap();
    assert_eq!(rows(&daemon), expect);
    daemon.stop();

    let restored = FaultyFiles::new();
    for path in files.paths() {
        if path.starts_with("/backup") {
            restored.make_dir(path.parent().unwrap());
            restored.put(&path, files.content(&path).unwrap());
        }
    }
    let options = RestoreOptions {
        dir: "/backup".into(),
        journal_dir: "/journal".into(),
        archive_dir: "/archive".into(),
        files: Arc::new(restored.clone()),
    };
    backup::restore(storage(&restored).as_ref(), &options, &mut |_| ()).unwrap();
    let daemon = Daemon::start(&restored, scene.now).unwrap();
    daemon.pipeline.commands().commit_all().unwrap();
    let left: Vec<_> = tainted(&restored)
        .into_iter()
        .filter(|(path, _)| !path.starts_with("/backup"))
        .collect();
    assert_eq!(left, []);
    assert_eq!(rows(&daemon), expect);
    daemon.stop();
}

/// A body that becomes a reject, once the journal has noticed that the disk is full no more.
fn push_when_there_is_room(daemon: &Daemon) -> u64 {
    let envelope = NewEnvelope {
        source: "boxes",
        topic: "/ingest/v1/boxes",
        payload: b"[]",
        ..NewEnvelope::default()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match daemon.journal.append(&envelope) {
            Ok(appended) => return appended.sequence.0,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_fault_at_any_moment_leaves_no_reader_without_its_file_and_is_made_good() {
    let scene = scene();
    let expect = expected(&scene);
    let faults = [Fault::DiskFull, Fault::FailedSync, Fault::LateError];
    let (mut operation, mut failures) = (0, 0);
    loop {
        let files = scene.files.restart(Crash::Kill);
        let daemon = Daemon::start(&files, scene.now).unwrap();
        daemon.wait(scene.last);
        let fault = faults[operation as usize % faults.len()];
        let told = format!("operation {operation}, {fault:?}");
        let before = files.operations();
        files.fail_at(before + operation, fault);
        let erased = daemon.pipeline.commands().erase(request());
        let is_over = files.operations() <= before + operation;
        if let Err(error) = erased {
            failures += 1;
            // What readers are shown is there.
            for (id, table) in &daemon.pipeline.shared().load_full().tables {
                for file in table.files.iter() {
                    let path = Path::new("/lake").join(id.as_str()).join(&*file.path);
                    assert!(files.content(&path).is_some(), "{told}: {path:?}: {error}");
                }
            }
        }
        files.clear_faults();
        let last = push_when_there_is_room(&daemon);
        daemon.wait(last);
        assert_eq!(tainted(&files), [], "{told}");
        daemon.pipeline.commands().commit_all().unwrap();
        assert_eq!(others(rows(&daemon), &[last].into()), expect, "{told}");
        daemon.stop();
        if is_over {
            break;
        }
        operation += 11;
    }
    assert!(failures > 5, "{failures} of {operation}");
}
