//! Applying decoded rows: the upsert.
//!
//! ```text
//! no stored row           -> insert, revision 0
//! declared values equal   -> drop, count `unchanged`; of a source with a higher precedence, or later and to be kept as
//!                            a confirmation: as later in the order
//! earlier in the order    -> keep as history (unless history holds it)
//! later in the order      -> insert, revision + 1; the old row is marked (hot) or masked (committed)
//! as late, of an envelope
//! that is told again, whose
//! last row of the key is
//! what is stored           -> drop, count `unchanged`
//! ```
//!
//! Rows of places are brought to their periods before (`periods.rs`).
//!
//! Order of versions = (declared precedence, received_at, sequence).

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_model::rows::DatasetRows;

use super::periods::Settled;
use super::stored::{Incoming, Past, Stored, Version};
use super::{Applied, DatasetActor, Flag, Lineage};
use crate::error::LakeError;
use crate::hot::take_rows;
use crate::table::read::conform;

/// A row that will be inserted.
struct Accepted {
    /// Position in the incoming batch.
    row: u32,
    revision: i64,
    /// When it was replaced, for versions that arrive as history.
    superseded_at: Option<i64>,
    /// Number of its series among those of hot rows, where that is known.
    series: Option<usize>,
}

/// A hot row that an incoming one replaces.
struct Marked {
    row: u64,
    at: i64,
    by: u64,
}

impl DatasetActor {
    /// Applies decoded rows in order. `lineage` is by envelope position. With `skip_applied`, rows whose frame the
    /// table has taken in already are skipped: they are met again after a restart.
    pub(crate) fn apply(
        &mut self,
        rows: &DatasetRows,
        lineage: &[Lineage],
        skip_applied: bool,
        flag: &mut Flag<'_>,
    ) -> Result<Applied, LakeError> {
        let mut counts = Applied::default();
        let declared = conform(&rows.batch, &self.declaration.declared_schema())
            .map_err(self.arrow("read"))?;
        let settled = self.settle_periods(&declared, rows, lineage, skip_applied)?;
        let (declared, envelopes, origins): (_, Cow<'_, [u32]>, _) = match settled {
            Some(Settled {
                declared,
                envelopes,
                origins,
            }) => (declared, Cow::Owned(envelopes), Some(origins)),
            None => (declared, Cow::Borrowed(rows.envelopes.as_slice()), None),
        };
        let keys = self
            .codec
            .keys(&declared)
            .map_err(self.arrow("encode keys of"))?;
        let mut incoming = Incoming {
            declared: &declared,
            keys: &keys,
            envelopes: &envelopes,
            origins: origins.as_deref(),
            lineage,
            values: None,
        };
        let total = declared.num_rows();
        let first = (0..total)
            .position(|row| !skip_applied || incoming.lineage(row).sequence > self.applied)
            .unwrap_or(total);
        counts.skipped += first as u64;
        if first == total {
            return Ok(counts);
        }
        // Everything that files are read for comes first: where a file cannot be read, nothing has changed.
        let stored = self.look_up(&incoming, first)?;
        let history = self.look_up_history(&incoming, first, &stored)?;
        let base = self.hot.next_row();
        let mut accepted: Vec<Accepted> = Vec::with_capacity(total - first);
        let mut marked: Vec<Marked> = Vec::new();
        let mut last_rows: Option<Vec<usize>> = None;
        for row in first..total {
            let key = incoming.key(row);
            let number = base + accepted.len() as u64;
            let committed = stored.of(row);
            // Nearly all rows are new: they are looked for and noted at once.
            let (hot, series) = match committed {
                None => {
                    let (hot, series) = self.hot.current_or_set(key, number);
                    (hot, Some(series))
                }
                Some(_) => (self.hot.current(key), None),
            };
            if hot.is_none() && committed.is_none() {
                accepted.push(Accepted {
                    row: row as u32,
                    revision: 0,
                    superseded_at: None,
                    series,
                });
                counts.inserted += 1;
                continue;
            }
            let current = self.contested(&mut incoming, row, (hot, committed), &accepted, base)?;
            let Some(current) = current else {
                counts.unchanged += 1;
                continue;
            };
            let own = incoming.version(row, current.revision + 1);
            if (own.precedence, own.received_at) < (current.precedence, current.received_at) {
                let past = history.get(key).map_or(&[][..], Vec::as_slice);
                if self.history_holds(&mut incoming, row, &accepted, base, past)? {
                    counts.unchanged += 1;
                    continue;
                }
                self.hot.add_history(key, number);
                accepted.push(Accepted {
                    row: row as u32,
                    // It was never the answer: it carries the number of the version that was.
                    revision: current.revision,
                    superseded_at: Some(own.recorded_at.max(current.recorded_at)),
                    series,
                });
                counts.history += 1;
                continue;
            }
            // An envelope that was applied before is told again: of rows with one key, the last of them is what is stored. Those
            // before it would each be a revision, and it another one. Where the last says something else, all of it is told.
            let is_of_another_frame = hot.and_then(|at| at.checked_sub(base)).is_none_or(|at| {
                let other = accepted[at as usize].row as usize;
                incoming.envelopes[other] != incoming.envelopes[row]
            });
            if is_of_another_frame
                && incoming.place(row) == current.place()
                && incoming.origins.is_none()
                && incoming.is_told_late(row)
            {
                let last = last_rows.get_or_insert_with(|| incoming.last_rows())[row];
                let known = (hot, stored.of(last));
                if last != row
                    && self
                        .contested(&mut incoming, last, known, &accepted, base)?
                        .is_none()
                {
                    counts.unchanged += 1;
                    continue;
                }
            }
            let by = incoming.lineage(row).sequence.0;
            match (hot, committed) {
                (Some(at), _) => {
                    marked.push(Marked {
                        row: at,
                        at: own.recorded_at,
                        by,
                    });
                    self.hot.add_history(key, at);
                }
                (None, Some((stored, _))) => {
                    self.mask(&stored.file.path, stored.row, own.recorded_at, by);
                }
                (None, None) => {}
            }
            self.hot.set_current(key, number);
            accepted.push(Accepted {
                row: row as u32,
                revision: own.revision,
                superseded_at: None,
                series,
            });
            counts.revised += 1;
        }
        self.insert(&incoming, &accepted, marked, flag)?;
        Ok(counts)
    }

    /// Returns the version that a row replaces or comes before, of the hot and the committed one that are known of its key;
    /// none where it says the same, and neither is of a source that counts for more (its word must not be overruled because
    /// another said it first) nor has to be kept as its confirmation. Hot rows from `base` on are those accepted before it.
    fn contested(
        &self,
        incoming: &mut Incoming<'_>,
        row: usize,
        known: (Option<u64>, Option<(&Stored, bool)>),
        accepted: &[Accepted],
        base: u64,
    ) -> Result<Option<Version>, LakeError> {
        Ok(match known {
            (Some(at), _) if at >= base => {
                let other = &accepted[(at - base) as usize];
                let version = incoming.version(other.row as usize, other.revision);
                let values = incoming.values(self)?;
                let is_equal = values.row(other.row as usize) == values.row(row);
                (!is_equal || incoming.takes_over(row, &version)).then_some(version)
            }
            (Some(at), _) => {
                let (version, values) = self.hot_version(at)?;
                let is_equal = values.row(0).data() == incoming.values(self)?.row(row).data();
                (!is_equal || incoming.takes_over(row, &version)).then_some(version)
            }
            (None, Some((stored, is_equal))) => stored
                .version
                .filter(|version| !is_equal || incoming.takes_over(row, version)),
            (None, None) => None,
        })
    }

    /// Appends the accepted rows as hot rows and sets the marks that they cause.
    fn insert(
        &mut self,
        incoming: &Incoming<'_>,
        accepted: &[Accepted],
        mut marked: Vec<Marked>,
        flag: &mut Flag<'_>,
    ) -> Result<(), LakeError> {
        if accepted.is_empty() {
            return Ok(());
        }
        let base = self.hot.next_row();
        let positions: Vec<u32> = accepted.iter().map(|a| a.row).collect();
        let declared_rows =
            take_rows(incoming.declared, &positions).map_err(self.arrow("select"))?;
        let told: Vec<u32> = match incoming.origins {
            Some(origins) => positions.iter().map(|row| origins[*row as usize]).collect(),
            None => positions,
        };
        let (quality, tests) = flag(&self.declaration, &declared_rows, &told);
        let lineage = || accepted.iter().map(|a| incoming.lineage(a.row as usize));
        let micros = |values: TimestampMicrosecondArray| -> ArrayRef {
            Arc::new(values.with_timezone("UTC"))
        };
        let mut columns = declared_rows.columns().to_vec();
        columns.push(Arc::new(quality));
        columns.push(Arc::new(tests));
        // Said once for a group of one source, as most are, and not row by row.
        let [first, others @ ..] = incoming.lineage else {
            return Ok(());
        };
        let repeated = |of: fn(&Lineage) -> &str| -> ArrayRef {
            // Nearly always it is the very same text.
            let is_first = |other: &str| std::ptr::eq(other, of(first)) || other == of(first);
            let is_same = others.iter().all(|other| is_first(of(other)));
            Arc::new(match is_same {
                true => StringArray::new_repeated(of(first), accepted.len()),
                false => StringArray::from_iter_values(lineage().map(of)),
            })
        };
        columns.push(repeated(|lineage| lineage.source.as_str()));
        columns.push(repeated(|lineage| lineage.licence.as_str()));
        let received = lineage().map(|l| l.received_at);
        columns.push(micros(TimestampMicrosecondArray::from_iter_values(
            received,
        )));
        let is_as_received = |lineage: &Lineage| lineage.recorded_at == lineage.received_at;
        columns.push(micros(match incoming.lineage.iter().all(is_as_received) {
            true => TimestampMicrosecondArray::new_null(accepted.len()),
            false => lineage()
                .map(|l| (!is_as_received(l)).then_some(l.recorded_at))
                .collect(),
        }));
        columns.push(micros(TimestampMicrosecondArray::new_null(accepted.len())));
        columns.push(Arc::new(Int64Array::from_iter_values(
            accepted.iter().map(|a| a.revision),
        )));
        let batch = RecordBatch::try_new(self.declaration.row_schema(), columns)
            .map_err(self.arrow("assemble"))?;
        let sequences: Vec<u64> = lineage().map(|l| l.sequence.0).collect();
        self.raise_frontier(incoming, accepted, base + accepted.len() as u64);
        for (index, row) in accepted.iter().enumerate() {
            if let Some(at) = row.superseded_at {
                marked.push(Marked {
                    row: base + index as u64,
                    at,
                    by: sequences[index],
                });
            }
        }
        self.hot
            .push(batch, sequences)
            .map_err(self.arrow("append"))?;
        for Marked { row, at, by } in marked {
            self.hot.mark(row, at, by);
        }
        self.dirty = true;
        Ok(())
    }

    /// Takes the accepted rows into account; `next_row` is the number behind them. Any of them may empty the map, and those
    /// before it are hot then.
    fn raise_frontier(&mut self, incoming: &Incoming<'_>, accepted: &[Accepted], next_row: u64) {
        let Some(times) = self
            .times(incoming.declared)
            .filter(|_| self.codec.has_series)
        else {
            return;
        };
        let series = self.hot.series();
        if accepted.len() >= series {
            // More rows than series: each raises it once, whatever the order.
            let mut newest: Vec<Option<(i64, usize)>> = vec![None; series];
            for accepted in accepted {
                let row = accepted.row as usize;
                let time = times.value(row);
                match accepted.series.and_then(|series| newest.get_mut(series)) {
                    Some(Some((known, _))) if *known >= time => {}
                    Some(place) => *place = Some((time, row)),
                    None => {
                        let series = self.codec.series(incoming.key(row));
                        self.frontier.inserted(series, time, next_row);
                    }
                }
            }
            for (time, row) in newest.into_iter().flatten() {
                let series = self.codec.series(incoming.key(row));
                self.frontier.inserted(series, time, next_row);
            }
            return;
        }
        // Rows of one series follow each other, or most do: they raise it once.
        let mut raised: Option<(&[u8], i64)> = None;
        for row in accepted {
            let row = row.row as usize;
            let (series, time) = (self.codec.series(incoming.key(row)), times.value(row));
            raised = match raised {
                Some((same, newest)) if same == series => Some((same, newest.max(time))),
                before => {
                    if let Some((series, newest)) = before {
                        self.frontier.inserted(series, newest, next_row);
                    }
                    Some((series, time))
                }
            };
        }
        if let Some((series, newest)) = raised {
            self.frontier.inserted(series, newest, next_row);
        }
    }

    /// The partition time column of a batch that starts with the declared columns.
    pub(super) fn times<'a>(
        &self,
        declared: &'a RecordBatch,
    ) -> Option<&'a TimestampMicrosecondArray> {
        let index = self
            .declaration
            .column_index(self.declaration.time_column())?;
        declared
            .column(index)
            .as_primitive_opt::<TimestampMicrosecondType>()
    }

    /// Returns true where history holds a version with these values and this receive time already; `past` is what files
    /// hold.
    fn history_holds(
        &self,
        incoming: &mut Incoming<'_>,
        row: usize,
        accepted: &[Accepted],
        base: u64,
        past: &[Past],
    ) -> Result<bool, LakeError> {
        let received_at = incoming.lineage(row).received_at;
        for number in self.hot.history(incoming.key(row)) {
            let same = if *number >= base {
                let other = accepted[(*number - base) as usize].row as usize;
                let values = incoming.values(self)?;
                let equal = values.row(other) == values.row(row);
                equal && incoming.lineage(other).received_at == received_at
            } else {
                let (version, other) = self.hot_version(*number)?;
                version.received_at == received_at
                    && other.row(0).data() == incoming.values(self)?.row(row).data()
            };
            if same {
                return Ok(true);
            }
        }
        let values = incoming.values(self)?.row(row);
        Ok(past
            .iter()
            .any(|past| past.received_at == received_at && *past.values == *values.data()))
    }

    /// Returns a function that wraps an Arrow error with its operation and this dataset.
    pub(super) fn arrow(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(arrow::error::ArrowError) -> LakeError + use<> {
        LakeError::arrow(operation, &self.declaration.id)
    }
}
