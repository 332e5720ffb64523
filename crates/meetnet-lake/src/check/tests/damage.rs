//! One row of a table for each kind of damage: which finding it gives, and that it gives no other.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT, REVISION, SUPERSEDED_AT};
use meetnet_model::ids::Sequence;

use super::*;
use crate::journal::checkpoint::{self, CHECKPOINT, Checkpoint, Sealed};
use crate::journal::segment::SegmentName;
use crate::journal::state;
use crate::table::actions::Remove;
use crate::table::checkpoint as table_checkpoint;
use crate::table::files::PartitionWriter;
use crate::table::read::read_file;

/// Damages a copy of the city and compares the findings of a full check.
pub(super) fn expect(name: &str, damage: impl FnOnce(&Folders), expected: &[FindingKind]) {
    let folder = tempfile::tempdir().unwrap();
    let copy = city().copy_to(folder.path());
    damage(&copy);
    let before = copy.content();
    let report = copy.check(Depth::Full);
    let mut kinds: Vec<FindingKind> = report.findings.iter().map(|f| f.kind).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, expected, "{name}: {:#?}", report.findings);
    for finding in &report.findings {
        assert!(
            !finding.what.is_empty() && !finding.to_do.is_empty(),
            "{name}"
        );
    }
    assert_eq!(copy.content(), before, "{name}: a check writes nothing");
}

impl Folders {
    /// Returns where the journal would begin its next segment.
    fn next_segment(&self) -> PathBuf {
        let last = self.segments().pop().unwrap();
        let mut name = SegmentName::parse(last.file_name().unwrap().to_str().unwrap()).unwrap();
        name.number += 1;
        // Behind every frame of the last one.
        name.first = Sequence(name.first.0 + 1_000);
        last.with_file_name(name.to_string())
    }

    /// Puts changed rows in the place of a file, as a file of `partition`.
    fn rewrite(
        &self,
        file: &Arc<LiveFile>,
        partition: &Partition,
        change: impl FnOnce(RecordBatch) -> RecordBatch,
    ) {
        let declaration = declaration();
        let folder = self.table_folder();
        let schema = declaration.file_schema();
        let batches = read_file(&folder, &declaration, file, &schema, 100_000).unwrap();
        let batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
        let rows = concat_batches(&schema, &batches).unwrap();
        let mut writer = PartitionWriter::new(&folder, &declaration, partition, None, 0);
        writer.write(&change(rows)).unwrap();
        let added = writer.finish().unwrap();
        let mut actions = vec![Action::Remove(remove_action(&declaration, file, 0))];
        actions.extend(
            added
                .iter()
                .map(|file| Action::Add(add_action(&declaration, file))),
        );
        self.commit(actions);
    }
}

fn reversed(rows: RecordBatch) -> RecordBatch {
    let order = UInt32Array::from_iter_values((0..rows.num_rows() as u32).rev());
    take_record_batch(&rows, &order).unwrap()
}

fn with_column(rows: &RecordBatch, name: &str, values: ArrayRef) -> RecordBatch {
    let mut columns = rows.columns().to_vec();
    columns[rows.schema().index_of(name).unwrap()] = values;
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

/// The log actions that exchange a file for itself with another entry.
fn exchanged(file: &LiveFile, change: impl FnOnce(&mut LiveFile)) -> Vec<Action> {
    let mut changed = file.clone();
    change(&mut changed);
    vec![
        Action::Remove(remove_action(&declaration(), file, 0)),
        Action::Add(add_action(&declaration(), &changed)),
    ]
}

#[test]
fn damage_to_the_journal_is_found_and_nothing_else() {
    use FindingKind::*;
    expect(
        "a frame",
        |city| {
            // The last byte of the first frame that is not the head's: just before the next magic.
            let content = std::fs::read(&city.segments()[0]).unwrap();
            let starts: Vec<usize> = content
                .windows(4)
                .enumerate()
                .filter(|(_, window)| window == b"mnjf")
                .map(|(at, _)| at)
                .collect();
            flip(&city.segments()[0], starts[2] as i64 - 1);
        },
        &[FrameDamage],
    );
    expect(
        "a segment header",
        |city| flip(&city.segments()[0], 20),
        &[SegmentHeader],
    );
    expect(
        "a segment that a crash left half begun",
        |city| {
            let segments = city.segments();
            let last = std::fs::read(segments.last().unwrap()).unwrap();
            std::fs::write(city.next_segment(), &last[..50]).unwrap();
        },
        &[TornTail],
    );
    expect(
        "a segment that a crash left over zeros",
        |city| std::fs::write(city.next_segment(), vec![0; 4096]).unwrap(),
        &[],
    );
    expect(
        "the head of a segment",
        |city| flip(&city.segments()[1], 120),
        &[SegmentHead],
    );
    expect(
        "the last frame, which the tables have taken",
        |city| {
            let place = city.place();
            let last = city.segments().pop().unwrap();
            // The last message of the city is not committed: nobody knows of it but the journal.
            let content = std::fs::read(&last).unwrap();
            let starts = content
                .windows(4)
                .enumerate()
                .filter(|(_, window)| window == b"mnjf");
            let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
            let cut = starts[starts.len() - 2];
            std::fs::write(&last, &content[..cut + 20]).unwrap();
            assert!(place.dir.exists());
        },
        &[FrameDamage],
    );
    expect(
        "the last frame, which nobody has taken",
        |city| flip(&city.segments().pop().unwrap(), -1),
        &[TornTail],
    );
    expect(
        "a segment in the middle",
        |city| std::fs::remove_file(&city.segments()[1]).unwrap(),
        &[FramesMissing],
    );
    expect(
        "the last segment",
        |city| std::fs::remove_file(city.segments().pop().unwrap()).unwrap(),
        &[FramesMissing],
    );
    expect(
        "an archived segment",
        |city| std::fs::remove_file(&city.archived()[2]).unwrap(),
        &[FramesMissing],
    );
    expect(
        "bytes of an archived segment",
        |city| {
            let path = &city.archived()[2];
            let middle = std::fs::metadata(path).unwrap().len() as i64 / 2;
            flip(path, middle);
        },
        &[ArchiveDamage],
    );
    expect(
        "the checkpoint",
        |city| flip(&city.place().dir.join(CHECKPOINT), 10),
        &[JournalCheckpoint],
    );
    expect(
        "no checkpoint",
        |city| std::fs::remove_file(city.place().dir.join(CHECKPOINT)).unwrap(),
        &[JournalCheckpoint],
    );
    expect(
        "the state at the checkpoint",
        |city| {
            let name = state::name(checkpoint_of(city).trimmed_through);
            std::fs::write(city.place().dir.join(name), "no state").unwrap();
        },
        &[JournalState],
    );
    expect(
        "a checkpoint that is older than the archive",
        |city| change_checkpoint(city, |checkpoint| checkpoint.trimmed_through = Sequence(10)),
        &[ArchiveAhead],
    );
    expect(
        "the identity",
        |city| flip(&city.place().dir.join("identity"), 10),
        &[JournalIdentity],
    );
    expect(
        "no journal",
        |city| {
            std::fs::remove_dir_all(city.place().dir).unwrap();
            std::fs::remove_dir_all(city.place().archive_dir).unwrap();
        },
        &[JournalIdentity],
    );
    expect(
        "the last segment, which an earlier start has missed",
        |city| {
            std::fs::remove_file(city.segments().pop().unwrap()).unwrap();
            drop(City::open(&city.0, |_| {}));
        },
        &[FramesMissing],
    );
    expect(
        "a copy put aside",
        |city| {
            let aside = city.place().dir.join("aside");
            std::fs::create_dir_all(&aside).unwrap();
            std::fs::write(aside.join("a@1"), "bytes").unwrap();
        },
        &[KeptAside],
    );
    expect(
        "numbers that no frame has",
        |city| {
            let mut running = City::open(&city.0, |_| {});
            let (last, _) = running.journal.durable();
            running.journal.raise_sequence_floor(Sequence(last.0 + 10));
            running.take(1, START, 1.0);
        },
        &[SequenceSkipped],
    );
    expect(
        "a segment of another journal",
        |city| {
            let other = tempfile::tempdir().unwrap();
            drop(City::open(other.path(), |_| {}));
            let other = Folders(other.path().to_path_buf());
            let name = city
                .place()
                .dir
                .join("0000009999-00000000000000000001.journal");
            std::fs::copy(&other.segments()[0], name).unwrap();
        },
        &[SegmentForeign],
    );
}

fn checkpoint_of(city: &Folders) -> Checkpoint {
    let place = city.place();
    match checkpoint::read_sealed(place.files.as_ref(), &place.dir, CHECKPOINT).unwrap() {
        Sealed::Valid(checkpoint) => checkpoint,
        other => panic!("{other:?}"),
    }
}

fn change_checkpoint(city: &Folders, change: impl FnOnce(&mut Checkpoint)) {
    let mut checkpoint = checkpoint_of(city);
    change(&mut checkpoint);
    let place = city.place();
    checkpoint::write_sealed(place.files.as_ref(), &place.dir, CHECKPOINT, &checkpoint).unwrap();
}

#[test]
fn damage_to_a_table_log_is_found_and_nothing_else() {
    use FindingKind::*;
    let newest = city().log().version();
    expect(
        "an entry",
        |city| flip(&city.entry(newest - 3), 0),
        &[LogEntryUnreadable],
    );
    expect(
        "no entry",
        |city| std::fs::remove_file(city.entry(newest - 3)).unwrap(),
        &[LogEntryMissing],
    );
    let of_checkpoint = format!("{:020}.checkpoint.parquet", 100);
    expect(
        "its checkpoint",
        |city| flip(&city.log_file(&of_checkpoint), -1),
        &[LogCheckpoint],
    );
    expect(
        "no checkpoint, though one is named",
        |city| std::fs::remove_file(city.log_file(&of_checkpoint)).unwrap(),
        &[LogCheckpoint],
    );
    expect(
        "the name of its checkpoint",
        |city| flip(&city.log_file("_last_checkpoint"), 0),
        &[LogCheckpoint],
    );
    expect(
        "a checkpoint that says something else",
        |city| {
            let folder = city.table_folder();
            let mut actions = table_checkpoint::read(&folder, 100).unwrap().unwrap();
            let add = actions
                .iter()
                .rposition(|a| matches!(a, Action::Add(_)))
                .unwrap();
            actions.remove(add);
            table_checkpoint::write(&folder, 100, &actions).unwrap();
        },
        &[LogCheckpointDiffers],
    );
    expect(
        "no log",
        |city| std::fs::remove_dir_all(city.table().join("_delta_log")).unwrap(),
        &[LogMissing],
    );
    expect(
        "no table",
        |city| std::fs::remove_dir_all(city.table()).unwrap(),
        &[TableMissing],
    );
    expect(
        "a table that was set back",
        |city| {
            change_checkpoint(city, |checkpoint| {
                for (version, _) in checkpoint.datasets.values_mut() {
                    *version = newest + 1;
                }
            });
        },
        &[TableBehind],
    );
    expect(
        "a file that is added twice",
        |city| {
            let file = &city.live(false)[0];
            city.commit(vec![Action::Add(add_action(&declaration(), file))]);
        },
        &[LogInconsistent],
    );
    expect(
        "a file that is removed though it never was",
        |city| {
            let remove = remove_action(&declaration(), &city.live(false)[0], 0);
            let path = "licence=CC0-1.0/superseded=false/month=2026-01/none.parquet".to_owned();
            city.commit(vec![Action::Remove(Remove { path, ..remove })]);
        },
        &[LogInconsistent],
    );
    expect(
        "partition values of another folder",
        |city| {
            let file = city.live(false)[0].clone();
            city.commit(exchanged(&file, |file| file.licence = "CC-BY-4.0".into()));
        },
        &[LogInconsistent, FileMetadata],
    );
    expect(
        "an entry without statistics",
        |city| {
            let mut actions = exchanged(&city.live(false)[0], |_| {});
            if let Action::Add(add) = &mut actions[1] {
                add.stats = None;
            }
            city.commit(actions);
        },
        &[LogInconsistent],
    );
}

#[test]
fn damage_to_files_is_found_and_nothing_else() {
    use FindingKind::*;
    expect("a page", |city| flip(&city.largest(), 100), &[FileHash]);
    expect("a footer", |city| flip_footer(&city.largest()), &[FileHash]);
    expect(
        "the end of a file",
        |city| flip(&city.largest(), -1),
        &[FileHash],
    );
    expect(
        "a file cut short",
        |city| {
            let content = std::fs::read(city.largest()).unwrap();
            std::fs::write(city.largest(), &content[..content.len() - 9]).unwrap();
        },
        &[FileLength],
    );
    expect(
        "a file",
        |city| std::fs::remove_file(city.largest()).unwrap(),
        &[FileMissing],
    );
    expect(
        "a hash that was no Parquet's",
        |city| {
            let file = city.live(false)[0].clone();
            std::fs::write(city.largest(), "no Parquet").unwrap();
            city.commit(exchanged(&file, |file| {
                file.bytes = 10;
                // Of these words.
                file.sha256 =
                    "e79698f1d78944132a35e2f3945bb9d9650bae845235c4283db6257d9d33b08d".into();
            }));
        },
        &[FileUnreadable],
    );
    expect(
        "numbers in an entry",
        |city| {
            let file = city.live(false)[0].clone();
            city.commit(exchanged(&file, |file| file.rows += 1));
        },
        &[FileStatistics],
    );
    expect(
        "rows in another order",
        |city| {
            let file = city.live(false)[0].clone();
            city.rewrite(&file, &Partition::of(&file), reversed);
        },
        &[FileOrder],
    );
    expect(
        "two runs under one name",
        |city| {
            let live = city.live(false);
            let mut same = live.iter().filter(|file| file.period == live[0].period);
            let (first, second) = (same.next().unwrap(), same.next().unwrap());
            let mut actions = exchanged(first, |file| (file.run, file.part) = ("one".into(), 0));
            actions.extend(exchanged(second, |file| {
                (file.run, file.part) = ("one".into(), 1)
            }));
            city.commit(actions);
        },
        &[RunOverlap],
    );
    expect(
        "rows of another month",
        |city| {
            let file = city.live(false)[0].clone();
            let copy = copied(city, &file, |file| file.period = "2025-12".into());
            let mut actions = exchanged(&file, |_| {});
            actions[1] = Action::Add(add_action(&declaration(), &copy));
            city.commit(actions);
        },
        &[WrongPartition],
    );
    expect(
        "rows of another licence",
        |city| {
            let file = city.live(false)[0].clone();
            let copy = copied(city, &file, |file| file.licence = "CC-BY-4.0".into());
            let mut actions = exchanged(&file, |_| {});
            actions[1] = Action::Add(add_action(&declaration(), &copy));
            city.commit(actions);
        },
        &[FileMetadata],
    );
    expect(
        "current rows among the replaced ones",
        |city| {
            let file = city.live(false)[0].clone();
            let partition = Partition {
                superseded: true,
                ..Partition::of(&file)
            };
            city.rewrite(&file, &partition, |rows| rows);
        },
        &[SupersededAt],
    );
    expect(
        "replaced rows among the current ones",
        |city| {
            let file = city.live(true)[0].clone();
            let partition = Partition {
                superseded: false,
                ..Partition::of(&file)
            };
            city.rewrite(&file, &partition, |rows| rows);
        },
        &[SupersededAt],
    );
    expect(
        "a key that is current twice, in one run and the next",
        |city| {
            let file = city.live(false)[0].clone();
            let copy = copied(city, &file, |file| file.run = "another".into());
            city.commit(vec![Action::Add(add_action(&declaration(), &copy))]);
        },
        &[KeyTwice],
    );
    expect(
        "a key that is current twice, under two licences",
        |city| {
            let file = city.live(false)[0].clone();
            let other = Partition {
                licence: "CC-BY-4.0".into(),
                ..Partition::of(&file)
            };
            city.rewrite(&file, &other, |rows| rows);
            city.commit(vec![Action::Add(add_action(&declaration(), &file))]);
        },
        &[KeyTwice],
    );
    expect(
        "revisions that fall",
        |city| {
            // In few runs: only what is merged at once is put in order.
            let mut running = City::open(&city.0, |_| {});
            running.tend(UpkeepRequest::Compact(None));
            drop(running);
            let file = city.live(true)[0].clone();
            city.rewrite(&file, &Partition::of(&file), |rows| {
                let one = rows.slice(0, 1);
                let times = |of: [i64; 2]| -> ArrayRef {
                    let times = TimestampMicrosecondArray::from_iter_values(of);
                    Arc::new(times.with_timezone("UTC"))
                };
                let two = concat_batches(&rows.schema(), [&one, &one]).unwrap();
                let two = with_column(&two, RECEIVED_AT, times([10, 20]));
                let two = with_column(&two, RECORDED_AT, times([10, 20]));
                let two = with_column(&two, SUPERSEDED_AT, times([20, 30]));
                with_column(
                    &two,
                    REVISION,
                    Arc::new(Int64Array::from_iter_values([9, 8])),
                )
            });
        },
        &[RevisionOrder],
    );
}
