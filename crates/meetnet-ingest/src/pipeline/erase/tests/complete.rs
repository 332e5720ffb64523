//! Erasures that are carried out at once, or finished by the restart: what is left, and what is not.

use meetnet_model::rows::RowsBuilder;

use super::*;
use crate::pipeline::ImportChunk;

#[test]
fn nothing_of_what_is_erased_is_in_any_file_and_everything_else_stays() {
    let scene = scene();
    let expect = expected(&scene);
    let places: BTreeSet<String> = tainted(&scene.files)
        .into_iter()
        .filter_map(|(path, _)| {
            let ending = path.extension().or(path.file_name())?;
            Some(ending.to_str()?.to_owned())
        })
        .collect();
    let all = ["checkpoint", "journal", "json", "parquet", "state", "zst"].map(str::to_owned);
    assert_eq!(
        places,
        all.into(),
        "the scene is not what it is thought to be"
    );

    let files = scene.files.restart(Crash::Kill);
    let daemon = Daemon::start(&files, scene.now).unwrap();
    daemon.wait(scene.last);
    let report = daemon.pipeline.commands().erase(request()).unwrap();
    assert_eq!(tainted(&daemon.files), []);
    assert_eq!(rows(&daemon), expect);
    assert_eq!(report.frames.frames, scene.gone.len() as u64, "{report:?}");
    assert_eq!(report.mixed_frames, 4, "{report:?}");
    let datasets: Vec<&str> = report.datasets.keys().map(DatasetId::as_str).collect();
    assert_eq!(datasets, ["air", "heat", "rejects", "traffic"]);
    assert!(report.tables.replaced_files > 0, "{report:?}");
    for table in daemon.pipeline.shared().load_full().tables.values() {
        let folder = Path::new("/lake").join(table.declaration.id.as_str());
        for file in table.files.iter() {
            assert!(!table.is_gone(&file.path));
            assert!(daemon.files.content(&folder.join(&*file.path)).is_some());
        }
    }
    assert_eq!(report.missing, EraseRequest::default());
    // Once more changes nothing.
    let again = daemon.pipeline.commands().erase(request()).unwrap();
    assert_eq!(again.missing, request());
    assert_eq!(
        (again.tables.rows, again.frames),
        (0, ErasedFrames::default()),
        "{again:?}"
    );
    assert_eq!(rows(&daemon), expect);
    // Who speaks again is heard again.
    let last = daemon.measure(CHIP, "1", "2");
    let heat = DatasetId::new("heat");
    assert_eq!(
        daemon.wait(last).tables[&heat]
            .hot
            .iter()
            .map(|hot| hot.batch.num_rows())
            .sum::<usize>(),
        1
    );
    let now = daemon.clock.now();
    daemon.stop();
    let daemon = Daemon::start(&files, now).unwrap();
    assert_eq!(rows(&daemon).len(), expect.len() + 2);
    assert_eq!(others(rows(&daemon), &BTreeSet::new()), expect);
    daemon.stop();
}

/// A slip in one of several ids must neither keep the others from being erased nor go unnoticed.
#[test]
fn what_is_nowhere_is_told_and_the_rest_is_erased() {
    let daemon = Daemon::start(&FaultyFiles::new(), NOW).unwrap();
    daemon.grow(
        "porch",
        1,
        &format!("{{\"ts\": {}, \"t\": 15}}", NOW / 1_000),
    );
    daemon.measure(OTHER_CHIP, "12.5", "18.5");
    let commands = daemon.pipeline.commands();
    let report = commands.erase(request()).unwrap();
    assert_eq!((report.tables.rows, report.frames.frames), (1, 1));
    let missing = EraseRequest {
        sensor_ids: BTreeSet::new(),
        ..request()
    };
    assert_eq!(report.missing, missing);
    // A message that became no row is something of its device, too.
    daemon.push(
        "boxes",
        &[],
        &format!("{{\"esp8266id\": \"{CHIP}\", \"sensord"),
    );
    let report = commands.erase(request()).unwrap();
    assert_eq!(report.frames.frames, 1, "{report:?}");
    let missing = EraseRequest {
        devices: BTreeSet::new(),
        ..request()
    };
    assert_eq!(report.missing, missing);
    daemon.stop();
}

/// Who asked for two must not be told that one of them is nowhere, because the message that named both went for the other.
#[test]
fn a_message_that_names_several_counts_for_each_of_them() {
    let check = |body: String, frames: u64| {
        let daemon = Daemon::start(&FaultyFiles::new(), NOW).unwrap();
        let last = daemon.push("boxes", &[], &body);
        daemon.wait(last);
        let report = daemon.pipeline.commands().erase(request()).unwrap();
        assert_eq!(report.frames.frames, frames, "{body}: {report:?}");
        let missing = EraseRequest {
            segment_ids: request().segment_ids,
            ..EraseRequest::default()
        };
        assert_eq!(report.missing, missing, "{body}");
        let tainted = tainted(&daemon.files);
        assert!(tainted.is_empty(), "{body}: {tainted:?}");
        daemon.stop();
    };
    // Neither can be decoded.
    check(
        format!("{{\"esp8266id\": \"{CHIP}\", \"near\": \"garden-porch\", \"sensord"),
        1,
    );
    check(
        format!("{{\"near\": \"garden-porch\", \"esp8266id\": \"{CHIP}\", \"sensord"),
        1,
    );
    // One has a row, and the other stands in what became none.
    check(
        format!(
            "{{\"esp8266id\": \"{CHIP}\", \"sensordatavalues\": [{{\"value_type\": \"BME280_temperature\", \"value\": \
             \"18.5\"}}, {{\"value_type\": \"NEW\", \"value\": \"garden-porch\"}}]}}"
        ),
        1,
    );
    // The same behind what its reject shows of it.
    let long = "-".repeat(100_000);
    check(
        format!(
            "{{\"esp8266id\": \"{CHIP}\", \"sensordatavalues\": [{{\"value_type\": \"BME280_temperature\", \"value\": \
             \"18.5\"}}, {{\"value_type\": \"NEW\", \"value\": \"1\"}}], \"long\": \"{long}\", \"near\": \"garden-porch\"}}"
        ),
        1,
    );
}

/// Asks for the erasure and lets the power fail at an operation; returns whether it was done before.
fn erase_until(daemon: Daemon, operation: u64) -> bool {
    let Daemon {
        files,
        journal,
        pipeline,
        ..
    } = daemon;
    files.fail_at(files.operations() + operation, Fault::PowerLoss);
    let commands = pipeline.commands();
    let asking = std::thread::spawn(move || commands.erase(request()).is_ok());
    while !files.is_off() && !asking.is_finished() {
        std::thread::sleep(Duration::from_micros(200));
    }
    // Whoever waits for the disk waits in vain.
    let _ = journal.shutdown();
    let _ = pipeline.shutdown();
    asking.join().unwrap()
}

#[test]
fn a_power_loss_at_any_moment_is_made_good_by_the_restart() {
    let scene = scene();
    let expect = expected(&scene);
    let step = std::env::var("MEETNET_ERASE_STEP").ok();
    let step = step.and_then(|step| step.parse().ok()).unwrap_or(7);
    let (mut operation, mut finished_by_restart) = (0, 0);
    loop {
        let files = scene.files.restart(Crash::Kill);
        let daemon = Daemon::start(&files, scene.now).unwrap();
        daemon.wait(scene.last);
        let done = erase_until(daemon, operation);
        let files = files.restart(Crash::PowerLoss { seed: operation });
        let daemon = Daemon::start(&files, scene.now).unwrap();
        let told = format!("operation {operation}, done: {done}");
        daemon.wait(scene.last);
        let is_clean = tainted(&files).is_empty();
        assert!(is_clean || !done, "{told}: {:?}", tainted(&files));
        finished_by_restart += u64::from(is_clean && !done);
        if !is_clean {
            // The request itself had not reached the disk.
            assert!(operation < 20, "{told}: {:?}", tainted(&files));
            daemon.pipeline.commands().erase(request()).unwrap();
        }
        daemon.pipeline.commands().commit_all().unwrap();
        assert_eq!(tainted(&files), [], "{told}");
        assert_eq!(rows(&daemon), expect, "{told}");
        daemon.stop();
        if done {
            break;
        }
        operation += step;
    }
    eprintln!("{operation} operations, {finished_by_restart} times the restart finished it");
    assert!(
        operation > 100 && finished_by_restart > 10,
        "{operation} {finished_by_restart}"
    );
}

#[test]
fn a_message_whose_device_has_another_id_today_goes_with_the_rows_that_came_from_it() {
    let files = FaultyFiles::new();
    let daemon = Daemon::start_with(&files, NOW, "the secret of then").unwrap();
    daemon.measure(CHIP, "43.217", "-11.125");
    // Applied while that secret is in force: the next life would decode them by its own.
    daemon.wait(daemon.measure(OTHER_CHIP, "12.5", "18.5"));
    daemon.pipeline.commands().commit_all().unwrap();
    let now = daemon.clock.now();
    daemon.stop();
    let daemon = Daemon::start(&files, now).unwrap();
    let request = EraseRequest {
        sensor_ids: [sensor_by("the secret of then", CHIP)].into(),
        ..EraseRequest::default()
    };
    let report = daemon.pipeline.commands().erase(request).unwrap();
    assert_eq!((report.tables.rows, report.frames.frames), (2, 1));
    assert_eq!(tainted(&files), []);
    let left = rows(&daemon);
    let old_id = sensor_by("the secret of then", CHIP);
    assert!(left.len() == 2 && !left.iter().any(|row| row.contains(&old_id)));
    daemon.stop();
}

#[test]
fn rows_that_say_how_far_they_are_from_an_erased_reference_go_with_it() {
    let files = FaultyFiles::new();
    let daemon = Daemon::start(&files, NOW).unwrap();
    let hours = declarations().dataset(HOURS).cloned().unwrap();
    let column = |name: &str| hours.column_index(name).unwrap();
    let mut builder = RowsBuilder::new(Arc::clone(&hours));
    for (sensor, mean) in [
        (REFERENCE, 17.25),
        ("garden-porch", 43.5),
        ("garden-shed", 15.5),
    ] {
        builder.set_text(column("sensor_id"), sensor);
        builder.set_int(column("time"), NOW);
        builder.set_float(column("mean"), mean);
        builder.set_float(column("difference"), mean - 17.25);
        builder.finish_row(0).unwrap();
    }
    let chunk = ImportChunk {
        import_id: "derive/heat/1".to_owned(),
        consumed: 2,
        rows: builder.take(),
        source: "derived:heat".into(),
        licence: "CC0-1.0".into(),
        received_at: None,
    };
    let commands = daemon.pipeline.commands();
    commands
        .derived(chunk, commands.erasures().unwrap())
        .unwrap();
    // Whose rows are compared with it takes their own along.
    for (sensor, goes_whole, gone, left) in [("garden-porch", false, 1, 2), (REFERENCE, true, 2, 0)]
    {
        let request = EraseRequest {
            sensor_ids: [sensor.to_owned()].into(),
            ..EraseRequest::default()
        };
        let report = commands.erase(request).unwrap();
        let hours = DatasetId::new(HOURS);
        let (of_subject, whole) = (
            report.datasets.get(&hours),
            report.whole_datasets.get(&hours),
        );
        let expect = if goes_whole {
            (None, Some(&gone))
        } else {
            (Some(&gone), None)
        };
        assert_eq!((of_subject, whole), expect, "{sensor}");
        assert_eq!(rows(&daemon).len(), left, "{sensor}");
    }
    // The lake has forgotten whose rows they were compared with; the journal knows what the configuration says.
    let named = |path: &PathBuf| searchable(&daemon.files, path).contains(REFERENCE);
    let paths = daemon.files.paths().into_iter();
    let of_lake = paths.filter(|path| path.starts_with("/lake"));
    assert_eq!(
        of_lake.filter(named).collect::<Vec<_>>(),
        [] as [PathBuf; 0]
    );
    daemon.stop();
}

#[test]
fn a_table_that_is_not_declared_any_more_is_not_passed_over() {
    let files = FaultyFiles::new();
    let daemon = Daemon::start(&files, NOW).unwrap();
    daemon.wait(daemon.measure(CHIP, "43.217", "-11.125"));
    daemon.pipeline.commands().commit_all().unwrap();
    let log = Path::new("/lake/heat/_delta_log");
    files.make_dir(Path::new("/lake/former/_delta_log"));
    for path in files.paths().iter().filter(|path| path.starts_with(log)) {
        let former = Path::new("/lake/former/_delta_log").join(path.file_name().unwrap());
        files.put(&former, files.content(path).unwrap());
    }
    let before = daemon.journal.durable().0;
    let error = daemon.pipeline.commands().erase(request()).unwrap_err();
    let PipelineError::Lake(error) = error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("`former`"), "{error}");
    assert_eq!(daemon.journal.durable().0, before, "nothing is journalled");
    daemon.stop();
}
