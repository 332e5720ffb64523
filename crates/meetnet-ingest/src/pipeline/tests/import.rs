//! Imports through a running pipeline: resumed, repeated, beside live rows.

use std::path::PathBuf;

use super::*;
use crate::import::{Import, ImportError, Keep, Summary, find, run};

pub(super) fn import(source: &str, inputs: &[PathBuf]) -> Import {
    let declarations = declarations();
    let source = SourceDeclaration::clone(&declarations.sources[&SourceId::new(source)]);
    Import {
        declarations,
        key: PrivacyKey::new("a key for tests"),
        inputs: find(inputs).unwrap().inputs,
        topic: format!("{}/garden", source.id),
        source,
        correct: false,
        now: now_ms() * 1_000,
        keep: Keep::default(),
    }
}

fn try_import(daemon: &Daemon, import: Import) -> Result<Summary, ImportError> {
    run(
        import,
        &daemon.journal,
        &daemon.pipeline.commands(),
        &mut |_| {},
    )
}

pub(super) fn imported(daemon: &Daemon, import: Import) -> Summary {
    try_import(daemon, import).unwrap()
}

fn of_heat(summary: &Summary) -> Applied {
    let heat = summary.applied.get(&DatasetId::new("heat"));
    heat.copied().unwrap_or_default()
}

/// Lines of a minute each, as the source `timed` sends them.
pub(super) fn lines(from: i64, count: i64, temperature: f64) -> String {
    (0..count)
        .map(|at| format!("{{\"ts\":{},\"t\":{}}}\n", from + at * 60_000, temperature))
        .collect()
}

#[test]
fn an_import_adds_what_is_new_and_explains_what_is_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let from = 1_600_000_000_000;
    let file = folder.path().join("history.ndjson");
    let text = format!("{}not json\n{{\"ts\":5}}\n", lines(from, 100, 20.0));
    std::fs::write(&file, &text).unwrap();
    let inputs = [file.clone()];
    let summary = imported(&daemon, import("timed", &inputs));
    assert_eq!(
        (summary.files, summary.documents, summary.rows()),
        (1, 1, 100)
    );
    assert_eq!(of_heat(&summary).inserted, 100);
    assert_eq!(summary.rejects.values().sum::<u64>(), 2, "{summary:?}");
    assert_eq!(summary.examples.len(), 2);
    // The same command again has nothing to do.
    let again = imported(&daemon, import("timed", &inputs));
    assert_eq!(
        (again.id.clone(), again.resumed, again.rows()),
        (summary.id, 100, 0)
    );
    // Other files with the same rows and some more: what is there is unchanged.
    std::fs::write(&file, lines(from, 120, 20.0)).unwrap();
    let more = imported(&daemon, import("timed", &inputs));
    assert_ne!(more.id, again.id);
    let heat = of_heat(&more);
    assert_eq!((heat.inserted, heat.unchanged, more.resumed), (20, 100, 0));
    // A later import corrects an earlier one.
    std::fs::write(&file, lines(from, 120, 21.0)).unwrap();
    let corrected = of_heat(&imported(&daemon, import("timed", &inputs)));
    assert_eq!((corrected.revised, corrected.inserted), (120, 0));
}

#[test]
fn each_row_of_an_import_is_as_old_as_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let file = folder.path().join("history.ndjson");
    // Two properties at one time, in no order of times.
    let line = |minute: i64| {
        let ts = 1_600_000_000_000 + minute * 60_000;
        format!("{{\"ts\":{ts},\"t\":20,\"h\":50}}\n")
    };
    std::fs::write(&file, [3, 1, 2].map(line).concat()).unwrap();
    let summary = imported(&daemon, import("timed", &[file]));
    assert_eq!(of_heat(&summary).inserted, 6);
    let snapshot = daemon.pipeline.shared().load_full();
    let heat = &snapshot.tables[&DatasetId::new("heat")];
    let mut rows = 0;
    let visited: Result<(), meetnet_lake::LakeError> =
        heat.visit_sorted(&["received_at"], i64::MIN..i64::MAX, &mut |batch| {
            let times = |name: &str| {
                let column = batch.column_by_name(name).unwrap();
                let times = column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
                times.values().to_vec()
            };
            assert_eq!(times("received_at"), times("time"));
            rows += batch.num_rows();
            Ok(())
        });
    visited.unwrap();
    assert_eq!(rows, 6);
}

#[test]
fn a_line_that_is_not_utf_8_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let file = folder.path().join("history.ndjson");
    let mut bytes = lines(1_600_000_000_000, 3, 20.0).into_bytes();
    bytes.extend(b"{\"ts\":1600000000000,\"note\":\"\xb5\"}\n");
    bytes.extend(lines(1_700_000_000_000, 2, 21.0).into_bytes());
    std::fs::write(&file, bytes).unwrap();
    let import = import("timed", &[file]);
    // Blocks of lines, not a document each.
    let source = SourceDeclaration {
        format: WireFormat::Ndjson,
        ..import.source.clone()
    };
    let summary = imported(&daemon, Import { source, ..import });
    assert_eq!((summary.rows(), summary.kept), (5, 1), "{summary:?}");
    assert_eq!(summary.rejects.values().sum::<u64>(), 1);
}

#[test]
fn every_message_of_a_file_is_a_row_a_reject_or_counted_as_neither() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let file = folder.path().join("history.ndjson");
    let device =
        "\"time\":\"2023-05-22T07:47:05Z\",\"deviceInfo\":{\"devEui\":\"0102030405060708\"}";
    let messages = [
        format!("{{{device},\"object\":{{\"t\":21}}}}\n"),
        // A status, which a file does not tell by its name.
        format!("{{{device},\"margin\":8,\"batteryLevel\":0.0}}\n"),
        format!("{{{device},\"fCnt\":4,\"data\":\"AQ==\"}}\n"),
    ];
    std::fs::write(&file, messages.concat()).unwrap();
    let import = import("timed", &[file]);
    let source = SourceDeclaration {
        format: WireFormat::ChirpstackV4,
        time: None,
        ..import.source.clone()
    };
    let summary = imported(&daemon, Import { source, ..import });
    let rejects: u64 = summary.rejects.values().sum();
    assert_eq!(
        (summary.rows(), rejects, summary.ignored),
        (1, 1, 1),
        "{summary:?}"
    );
}

#[test]
fn a_live_row_wins_over_an_imported_one_unless_it_corrects() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms() - 3_600_000;
    let live = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":1}}"));
    daemon.wait(live);
    let file = folder.path().join("late.json");
    std::fs::write(&file, lines(ts, 1, 2.0)).unwrap();
    let heat = of_heat(&imported(
        &daemon,
        import("timed", std::slice::from_ref(&file)),
    ));
    assert_eq!((heat.revised, heat.history), (0, 1), "{heat:?}");
    let correcting = Import {
        correct: true,
        ..import("timed", &[file])
    };
    let heat = of_heat(&imported(&daemon, correcting));
    assert_eq!((heat.revised, heat.history), (1, 0), "{heat:?}");
}

#[test]
fn a_file_that_is_cut_off_ends_no_import_and_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let from = 1_600_000_000_000;
    let good = folder.path().join("a.json");
    let cut = folder.path().join("b.json.gz");
    // More rows than one chunk holds, so that some of it is committed before the cut is met.
    let text = lines(from, 300_000, 20.0);
    std::fs::write(&good, &text).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(
        &mut packed,
        lines(from - 3_600_000_000, 1_000, 19.0).as_bytes(),
    )
    .unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(&cut, &packed[..packed.len() / 2]).unwrap();
    let inputs = [good, cut.clone()];
    let first = imported(&daemon, import("timed", &inputs));
    let named: Vec<&str> = first.broken.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(named, [cut.display().to_string()]);
    assert!((300_000..301_000).contains(&first.rows()), "{first:?}");
    // The same files: what was committed is not read again into the tables.
    let again = imported(&daemon, import("timed", &inputs));
    assert_eq!((again.resumed, again.rows()), (first.rows(), 0));
    assert_eq!(again.broken, first.broken);
    let snapshot = daemon.pipeline.shared().load_full();
    let (hot, committed) = rows(&snapshot, "heat");
    assert_eq!((hot, committed), (0, first.rows()));
    // The whole file is another import; its rows are those that are missing.
    std::fs::write(&cut, &packed).unwrap();
    let whole = imported(&daemon, import("timed", &inputs));
    let heat = of_heat(&whole);
    assert_eq!(heat.inserted + heat.unchanged, 301_000, "{whole:?}");
    let repeated = imported(&daemon, import("timed", &inputs));
    assert_eq!((repeated.resumed, repeated.rows()), (301_000, 0));
}

/// All of it is less than a block, so what comes of it is its last piece.
#[test]
fn of_a_small_table_that_is_cut_off_no_line_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let of_table = |file: &PathBuf, behind: &PathBuf| {
        let import = import("timed", &[file.clone(), behind.clone()]);
        let temperature = MapEntry::property("heat", "air_temperature").in_unit("Cel");
        let time = TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs);
        let source = SourceDeclaration {
            format: WireFormat::Csv,
            time: Some(TimeDeclaration {
                pointer: None,
                field: Some("ts".to_owned()),
                ..time
            }),
            map: vec![MapEntry {
                field: Some("t".to_owned()),
                ..temperature
            }],
            ..import.source.clone()
        };
        Import { source, ..import }
    };
    let table = |from: i64, count: i64| {
        let rows = (0..count).map(|at| format!("{},20\n", from + at * 60_000));
        format!("ts,t\n{}", rows.collect::<String>())
    };
    let [cut, behind] = ["a.csv.gz", "b.csv"].map(|name| folder.path().join(name));
    std::fs::write(&behind, table(1_500_000_000_000, 10)).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    let text = table(1_600_000_000_000, 1_000);
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    // In the middle of a line, and within the checksum: then every line is there.
    let mut before = 0;
    for (bytes, expect) in [
        (packed.len() / 2, 410..610),
        (packed.len() - 4, 1_010..1_011),
    ] {
        std::fs::write(&cut, &packed[..bytes]).unwrap();
        let first = imported(&daemon, of_table(&cut, &behind));
        assert_eq!(first.broken.len(), 1, "{first:?}");
        assert!(expect.contains(&first.rows()), "{first:?}");
        assert_eq!(of_heat(&first).inserted, first.rows() - before, "{first:?}");
        assert!(first.rejects.is_empty(), "{first:?}");
        let again = imported(&daemon, of_table(&cut, &behind));
        assert_eq!((again.resumed, again.rows()), (first.rows(), 0));
        before = first.rows();
    }
    std::fs::write(&cut, &packed).unwrap();
    let whole = imported(&daemon, of_table(&cut, &behind));
    let heat = of_heat(&whole);
    assert_eq!((heat.inserted, heat.unchanged), (0, 1_010), "{whole:?}");
    assert!(whole.broken.is_empty(), "{whole:?}");
}

#[test]
fn a_row_without_a_time_of_its_own_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let file = folder.path().join("now.json");
    std::fs::write(&file, "{\"t\":3}").unwrap();
    let error = try_import(&daemon, import("timeless", &[file]));
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("now.json: a row of `heat` has no time of its own"),
        "{said}"
    );
    let snapshot = daemon.pipeline.shared().load_full();
    assert_eq!(rows(&snapshot, "heat"), (0, 0));
}

#[test]
fn the_name_of_a_file_says_which_station_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let of_files = |file: &PathBuf| {
        let import = import("timed", std::slice::from_ref(file));
        let source = SourceDeclaration {
            kind: SourceKind::Files,
            topics: vec!["{station}.json".to_owned()],
            sensor_id: Some(ValueRef::Template("{station}".to_owned())),
            ..import.source.clone()
        };
        Import {
            source,
            topic: String::new(),
            ..import
        }
    };
    let text = lines(1_600_000_000_000, 10, 20.0);
    let [roof, yard] = ["roof.json", "yard.json"].map(|name| folder.path().join(name));
    std::fs::write(&roof, &text).unwrap();
    std::fs::write(&yard, &text).unwrap();
    // The same bytes are other rows under another name, and the same ones in another folder.
    let of_roof = imported(&daemon, of_files(&roof));
    let of_yard = imported(&daemon, of_files(&yard));
    assert_eq!(of_heat(&of_roof).inserted, 10);
    assert_eq!(of_heat(&of_yard).inserted, 10, "{of_yard:?}");
    let moved = folder.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    std::fs::rename(&roof, moved.join("roof.json")).unwrap();
    let again = imported(&daemon, of_files(&moved.join("roof.json")));
    assert_eq!((again.id, again.resumed), (of_roof.id, 10));
}

#[test]
fn rows_made_before_an_erasure_are_not_taken_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let commands = daemon.pipeline.commands();
    let ts = now_ms();
    let before = commands.erasures().unwrap();
    let taken = commands.derived(chunk(ts, 10, 1.0), before).unwrap();
    assert_eq!(taken.inserted, 10);
    let request = EraseRequest {
        sensor_ids: ["timed-garden".to_owned()].into(),
        segment_ids: Default::default(),
        devices: Default::default(),
    };
    commands.erase(request).unwrap();
    match commands.derived(chunk(ts, 10, 2.0), before) {
        Err(PipelineError::Lake(LakeError::Usage(message))) => {
            assert!(message.contains("something was erased"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // Nothing of it came back: all of the next rows are new.
    let after = commands.erasures().unwrap();
    let taken = commands.derived(chunk(ts, 10, 3.0), after).unwrap();
    assert_eq!((taken.inserted, taken.revised), (10, 0));
}

#[test]
fn an_erasure_finds_what_an_import_refused_whatever_its_source_takes_for_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut declarations = Declarations::clone(&declarations());
    let source = declarations.sources.get_mut(&SourceId::new("timed"));
    Arc::make_mut(source.unwrap()).sensor_id = Some(ValueRef::Pointer {
        pointer: "/id".to_owned(),
    });
    let daemon = start_as(folder.path(), &Arc::new(declarations), |_| {}, |_| {});
    let piece = crate::pipeline::ImportedPiece {
        id: "some piece".to_owned(),
        corrects: false,
    };
    let piece = piece.to_text();
    let keep = |sensor: &str| {
        let body = format!("{{\"id\":\"{sensor}\",\"ts\":1600000000000,\"t\":21}}");
        let envelope = NewEnvelope {
            source: "timed",
            topic: "timed/garden",
            meta: &[(crate::import::IMPORT_META, &piece)],
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        };
        daemon.journal.append(&envelope).unwrap().sequence
    };
    // By its words alone nobody would find such an id.
    keep("north west");
    let last = keep("south west");
    assert_eq!(rows(&daemon.wait(last), "heat"), (2, 0));
    let request = EraseRequest {
        sensor_ids: ["timed-north west".to_owned()].into(),
        ..EraseRequest::default()
    };
    let report = daemon.pipeline.commands().erase(request).unwrap();
    assert_eq!(report.frames.frames, 1, "{report:?}");
    assert_eq!(report.datasets[&DatasetId::new("heat")], 1, "{report:?}");
}

#[test]
fn what_no_frame_of_the_journal_can_hold_does_not_stop_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start_with(folder.path(), |options| {
        options.pending_bytes_max = 1 << 20;
    });
    let file = folder.path().join("history.ndjson");
    let (ts, note) = (1_600_000_000_000, "x".repeat(1 << 20));
    let refused = format!("{{\"ts\":{ts},\"note\":\"{note}\"}}\n");
    std::fs::write(&file, refused + &lines(ts, 2, 20.0)).unwrap();
    let summary = imported(&daemon, import("timed", &[file]));
    assert_eq!(
        (summary.rows(), summary.kept, summary.left_out),
        (2, 0, 1),
        "{:?}",
        summary.rejects
    );
}

/// Rows that come past the decoders, from a source that the declarations do not know to fill their dataset.
#[test]
fn a_chunk_is_taken_once_its_dataset_names_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let mut declared = Declarations::clone(&declarations());
    let timed = declared.sources.get_mut(&"timed".into()).unwrap();
    Arc::make_mut(timed).attribution = Some("Garden club".to_owned());
    let daemon = start_as(folder.path(), &Arc::new(declared), |_| {}, |_| {});
    let ts = now_ms();
    // What is hot is committed before, and stays there once.
    let last = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":21.5}}"));
    daemon.wait(last);
    let commands = daemon.pipeline.commands();
    commands.import(chunk(ts, 3, 1.0)).unwrap();
    let snapshot = daemon.pipeline.shared().load_full();
    let heat = &snapshot.tables[&DatasetId::new("heat")];
    let names: Vec<&str> = heat.declaration.attributions(&"CC0-1.0".into()).collect();
    assert_eq!(names, ["Garden club"]);
    let stored: u64 = heat.files.iter().map(|file| file.rows).sum();
    assert_eq!(stored, 4);
    daemon.pipeline.shutdown().unwrap();
}
