//! Tables to which anything happens, compared with a list of what is current.

use std::collections::BTreeMap;
use std::sync::Arc;

use meetnet_lake::snapshot::{HotBatch, LiveFile, TableSnapshot};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::time::format_rfc3339;

use super::latest;
use crate::fixture::{self, Database, HOUR, START, Version, hot};

/// A version of a row, numbered as it was recorded.
#[derive(Clone, Copy)]
struct Recorded {
    number: u64,
    version: Version,
    /// The row that has replaced it.
    by: Option<u64>,
}

/// A table to which anything happens, and what is current in it.
struct ByChance {
    state: u64,
    recorded: Vec<Recorded>,
    /// Number of the next row.
    next: u64,
    /// Rows from this number on are hot.
    hot_from: u64,
}

impl ByChance {
    fn below(&mut self, limit: u64) -> u64 {
        let next = self.state.wrapping_mul(6_364_136_223_846_793_005);
        self.state = next.wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % limit
    }

    /// New rows, late ones, revisions, and rows that come behind what has replaced them.
    fn record(&mut self, now: i64) {
        for _ in 0..self.below(6) {
            let (segment, hour) = (self.below(4) as i64, self.below(8) as i64);
            let car = Some(self.below(4) as f64);
            let number = self.next;
            let mut came = Recorded {
                number,
                version: Version {
                    segment,
                    hour,
                    car,
                    received_at: now,
                    recorded_at: None,
                    superseded_at: None,
                    revision: 0,
                },
                by: None,
            };
            let is_late = self.below(4) == 0;
            let current = self.recorded.iter_mut().find(|known| {
                let key = (known.version.segment, known.version.hour);
                known.by.is_none() && key == (segment, hour)
            });
            if let Some(current) = current {
                if current.version.car == car {
                    continue;
                }
                let replaced = if is_late { &mut came } else { current };
                replaced.by = Some(number);
                replaced.version.superseded_at = Some(now);
            }
            self.recorded.push(came);
            self.next += 1;
        }
    }

    /// Returns true for a version that files hold as a replaced one.
    fn is_stored_as_replaced(&self, row: &Recorded) -> bool {
        row.by.is_some_and(|by| by < self.hot_from)
    }

    /// The versions that files hold, current or replaced then, in the order of a file.
    fn stored(&self, is_replaced: bool) -> Vec<Version> {
        let stored = self.recorded.iter().filter(|row| {
            row.number < self.hot_from && self.is_stored_as_replaced(row) == is_replaced
        });
        let mut stored: Vec<Version> = stored.map(|row| row.version).collect();
        stored.sort_by_key(|version| (version.segment, version.hour));
        stored
    }

    /// Hot rows, in other batches each time.
    fn hot(&mut self, declaration: &DatasetDeclaration) -> Vec<HotBatch> {
        let hot_from = self.hot_from;
        let rows = self.recorded.iter().filter(|row| row.number >= hot_from);
        let rows: Vec<Version> = rows.map(|row| row.version).collect();
        let mut batches = Vec::new();
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let length = 1 + self.below(5) as usize;
            let (first, others) = rest.split_at(length.min(rest.len()));
            let marks = first.iter().map(|version| version.superseded_at);
            let marks = marks.map(|at| at.unwrap_or(HotBatch::LIVE)).collect();
            let batch = fixture::versions(declaration, "CC0-1.0", &unmarked(first));
            batches.push(hot(batch, Some(marks)));
            rest = others;
        }
        batches
    }

    /// The rows of an answer.
    fn expect(&self) -> Vec<String> {
        let mut newest: BTreeMap<i64, Version> = BTreeMap::new();
        for row in self.recorded.iter().filter(|row| row.by.is_none()) {
            let of_segment = newest.entry(row.version.segment).or_insert(row.version);
            if row.version.hour > of_segment.hour {
                *of_segment = row.version;
            }
        }
        let shown = newest.values().map(|version| {
            let time = format_rfc3339(START + version.hour * HOUR);
            let car = version.car.unwrap_or(f64::NAN);
            format!("{} {time} {car:.1}", version.segment)
        });
        shown.collect()
    }
}

/// As they were before something replaced them.
fn unmarked(versions: &[Version]) -> Vec<Version> {
    let unmarked = versions.iter().map(|version| Version {
        superseded_at: None,
        ..*version
    });
    unmarked.collect()
}

/// Whatever is recorded, replaced, committed in part, merged, erased and forgotten between two requests.
#[tokio::test]
async fn the_rows_are_those_that_are_current_whatever_came_between() {
    for seed in 0..4 {
        let database = Database::new();
        let lake = &database.lake;
        let counts = Arc::clone(&lake.snapshot.load().tables[&"counts".into()].declaration);
        let mut table = ByChance {
            state: seed,
            recorded: Vec::new(),
            next: 0,
            hot_from: 0,
        };
        let mut version = 1;
        let mut files: Vec<Arc<LiveFile>> = Vec::new();
        for step in 0..60 {
            let now = START + (1000 + step) * HOUR;
            let change = table.below(8);
            match change {
                0..=3 => table.record(now),
                // All hot rows, some, or none: then files are merged.
                4..=6 => table.hot_from += table.below(table.next - table.hot_from + 1),
                _ => {
                    table.hot_from = table.next;
                    let erased = table.below(5) as i64;
                    table.recorded.retain(|row| match erased {
                        4 => row.by.is_none(),
                        _ => row.version.segment != erased,
                    });
                }
            }
            if change > 3 {
                version += 1;
                files.clear();
                let parts = [(false, table.stored(false)), (true, table.stored(true))];
                for (is_replaced, mut rows) in parts {
                    if !is_replaced {
                        rows = unmarked(&rows);
                    }
                    if !rows.is_empty() {
                        let partition = ("CC0-1.0", is_replaced, "2026-01");
                        files.push(lake.versions_file(&counts, partition, &rows, 64));
                    }
                }
            }
            let marks = table.stored(false).into_iter().zip(0..);
            let marks = marks.filter_map(|(version, row)| Some((row, version.superseded_at?)));
            let marks: Vec<(u32, i64)> = marks.collect();
            let masks = match files.first() {
                Some(current) if !marks.is_empty() => fixture::masks_at(&[(&**current, marks)]),
                _ => Arc::default(),
            };
            lake.publish(TableSnapshot {
                version,
                stable_time: now,
                files: Arc::new(files.clone()),
                masks,
                hot: Arc::new(table.hot(&counts)),
                ..lake.table(&counts)
            });
            // Not after each change: several may have come.
            if table.below(2) == 0 {
                let found = latest(&database, "counts").await;
                assert_eq!(found, table.expect(), "seed {seed}, step {step}");
            }
        }
    }
}
