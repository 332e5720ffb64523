//! The settle pass: stored rows get the flags that the whole series gives them, day by day.
//!
//! ```text
//! committed rows, by series and time ─▶ scan: flags of each day ─▶ those that differ ─▶ pipeline: new versions
//!  stations, values by ten minutes ──────────┘ (neighbour)                └─▶ quality_rules: by which rules, with what
//! ```
//!
//! The flags of a day (UTC) are a function of the rows that are stored in and around it ([`meetnet_quality::settle`]) and of the
//! declared rules, so a pass that is made again finds nothing to do. That makes it exactly once: a chunk of new versions is
//! committed whole or not at all, and whoever was cut off begins anew. Memory: of a series what one day needs, a chunk of
//! new flags, and the values that neighbours are compared with.
//!
//! **When a day is settled.** It is over for [`LOOK_AHEAD_US`]. A pass over what has changed leaves out days that were settled
//! with everything recorded since; a change of the rules alone settles no day again. Each day remembers its rules in the
//! dataset `quality_rules`.

mod changes;
mod days;
mod neighbours;
mod scan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meetnet_lake::snapshot::{LakeSnapshot, SharedSnapshot, StatisticsValue, TableSnapshot};
use meetnet_lake::{LakeError, NewFlags, Reflagged};
use meetnet_model::calendar::{DAY_US, period_end};
use meetnet_model::dataset::{DatasetDeclaration, Grain};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::quality::QualityTest;
use meetnet_quality::QualityRules;
use meetnet_quality::settle::LOOK_AHEAD_US;

use self::days::{Tally, Wanted};
use self::neighbours::Neighbours;
use self::scan::Scan;
use crate::pipeline::{PipelineCommands, PipelineError};

/// What to settle.
#[derive(Clone, Debug)]
pub struct Settling {
    /// The dataset.
    pub dataset: DatasetId,
    /// From when, µs since 1970 UTC: the day that it lies in is the first. None: all.
    pub from: Option<i64>,
    /// Until when: the day before which it lies is the last. None, or later than that: all days that are over.
    pub to: Option<i64>,
    /// Leaves out days that were settled with everything recorded since.
    pub only_changed: bool,
    /// Only says what would change.
    pub dry_run: bool,
    /// The rules.
    pub declarations: Arc<Declarations>,
    /// The present, µs since 1970 UTC.
    pub now: i64,
}

/// What a pass found and did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettleSummary {
    /// Days with rows.
    pub days: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows whose flag is another one.
    pub changed: u64,
    /// What became of those.
    pub reflagged: Reflagged,
    /// How many rows a test finds fault with that it passed before, and the other way round.
    pub by_test: BTreeMap<&'static str, (u64, u64)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why a pass ended early; what was committed by then stays, and another pass does the rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// There is no such dataset, or it has no quality.
    #[error("{0}")]
    Usage(String),
    /// The rows cannot be read.
    #[error("the stored rows cannot be read")]
    Lake(#[from] LakeError),
    /// The new flags were not taken.
    #[error("the tables did not take the flags")]
    Pipeline(#[from] PipelineError),
}

/// Returns the first instant that is not settled yet at `now`, both µs: the begin of a day.
pub fn settled_until(now: i64) -> i64 {
    day_of(now.saturating_sub(LOOK_AHEAD_US))
}

/// Makes a pass; blocking. `progress` is told now and then how far it has come.
///
/// # Errors
/// [`SettleError`].
pub fn settle(
    settling: &Settling,
    shared: &SharedSnapshot,
    commands: &PipelineCommands,
    progress: &mut dyn FnMut(&SettleSummary),
) -> Result<SettleSummary, SettleError> {
    let started = Instant::now();
    let declared = settling.declarations.datasets.get(&settling.dataset);
    let declared = declared.filter(|declared| declared.is_public());
    let Some(declaration) = declared else {
        return Err(SettleError::Usage(format!(
            "there is no dataset `{}` with quality flags",
            settling.dataset
        )));
    };
    // What is applied is among what is judged, and nothing that is judged is replaced by what has come before.
    commands.commit_all()?;
    let rules = QualityRules::new(&settling.declarations);
    let mut pass = Pass {
        settling,
        declaration,
        rules: &rules,
        rules_text: days::rules_text(&settling.declarations, declaration),
        commands,
        summary: SettleSummary::default(),
    };
    let snapshot = shared.load_full();
    let (mut begin, end) = settling.span(pass.table(&snapshot)?);
    while begin < end {
        // Chunks of the block before have replaced files.
        let snapshot = shared.load_full();
        let block_end = pass.block_end(begin, &snapshot).min(end);
        pass.settle_block(begin, block_end, &snapshot)?;
        pass.summary.elapsed = started.elapsed();
        progress(&pass.summary);
        begin = block_end;
    }
    pass.summary.elapsed = started.elapsed();
    Ok(pass.summary)
}

impl Settling {
    /// Returns the days to settle that may have rows: the begin of the first, and the end of the last.
    fn span(&self, table: &TableSnapshot) -> (i64, i64) {
        let times = table
            .files
            .iter()
            .filter(|file| !file.superseded)
            .filter_map(|file| file.statistics.get(table.declaration.time_column()));
        let (mut least, mut greatest) = (i64::MAX, i64::MIN);
        for times in times {
            if let (Some(StatisticsValue::Int(min)), Some(StatisticsValue::Int(max))) =
                (&times.min, &times.max)
            {
                least = least.min(*min);
                greatest = greatest.max(*max);
            }
        }
        if least > greatest {
            return (0, 0);
        }
        let from = self.from.map_or(least, |from| from.max(least));
        let to = self.to.unwrap_or(i64::MAX).min(greatest.saturating_add(1));
        let to = day_of(to.saturating_add(DAY_US - 1)).min(settled_until(self.now));
        (day_of(from), to)
    }
}

/// A pass under way.
struct Pass<'a> {
    settling: &'a Settling,
    declaration: &'a Arc<DatasetDeclaration>,
    rules: &'a QualityRules,
    rules_text: String,
    commands: &'a PipelineCommands,
    summary: SettleSummary,
}

impl Pass<'_> {
    fn table<'s>(&self, snapshot: &'s LakeSnapshot) -> Result<&'s Arc<TableSnapshot>, SettleError> {
        let table = snapshot.tables.get(&self.declaration.id);
        table.ok_or_else(|| {
            SettleError::Usage(format!("dataset `{}` has no table", self.declaration.id))
        })
    }

    /// Where the days that are gone through at once end: with the month, or before the values of neighbours take too much
    /// memory.
    fn block_end(&self, begin: i64, snapshot: &LakeSnapshot) -> i64 {
        let month = period_end(begin, Grain::Month);
        let days = neighbours::days_max(self.rules, &self.declaration.id, snapshot);
        month.min(begin.saturating_add(days * DAY_US))
    }

    /// Settles the days from `begin` up to `end`.
    fn settle_block(
        &mut self,
        begin: i64,
        end: i64,
        snapshot: &LakeSnapshot,
    ) -> Result<(), SettleError> {
        let table = self.table(snapshot)?;
        let whole = self.rules.whole_tests(&self.declaration.id);
        let reach = whole
            .into_iter()
            .flat_map(|tests| tests.values())
            .map(|tests| tests.reach_us())
            .max()
            .unwrap_or(0);
        let days = days::Days::read(snapshot, &self.declaration.id, begin..end)?;
        let wanted = if self.settling.only_changed {
            days.changed(table, begin..end, reach)?
        } else {
            Wanted::All
        };
        if wanted.is_empty() {
            return Ok(());
        }
        let committed = days::committed_time(table);
        // Where one day was settled with everything recorded until then, so were those around it: that is what a later pass
        // goes by. A pass over some days cannot say so.
        let is_part = self.settling.from.is_some() || self.settling.to.is_some();
        let settled_through = |day| {
            if is_part {
                days.through(day).unwrap_or(0)
            } else {
                committed
            }
        };
        let neighbours = Neighbours::read(self.rules, &self.declaration.id, snapshot, begin..end)?;
        let mut tallies: BTreeMap<i64, Tally> = BTreeMap::new();
        let (commands, dry_run) = (self.commands, self.settling.dry_run);
        let summary = &mut self.summary;
        let mut send = |flags: NewFlags| -> Result<(), SettleError> {
            if !dry_run {
                summary.reflagged += commands.reflag(flags)?;
            }
            Ok(())
        };
        let mut scan = Scan::new(
            self.declaration,
            self.rules,
            &neighbours,
            begin..end,
            reach,
            &wanted,
            &mut tallies,
            &mut send,
        );
        let columns = scan.columns();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let around = begin.saturating_sub(reach)..end.saturating_add(LOOK_AHEAD_US);
        table.visit_sorted(&columns, around, &mut |rows| scan.take(rows))?;
        scan.finish()?;
        for tally in tallies.values() {
            self.summary.days += 1;
            self.summary.rows += tally.rows;
            self.summary.changed += tally.changed;
            for test in QualityTest::ALL {
                let (found, passed) = tally.by_test[test as usize];
                if found + passed > 0 {
                    let counts = self.summary.by_test.entry(test.as_str()).or_default();
                    counts.0 += found;
                    counts.1 += passed;
                }
            }
        }
        if dry_run {
            return Ok(());
        }
        days::record(
            &tallies,
            settled_through,
            &self.rules_text,
            self.settling,
            commands,
        )
    }
}

/// Returns the begin of the day that an instant lies in, µs.
fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY_US).saturating_mul(DAY_US)
}
