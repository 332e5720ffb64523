//! Passes over derived datasets: from one committed state of an input to the next.
//!
//! ```text
//! position of the derived table ─▶ due, touched, quiet ─▶ spans ─▶ fold ─▶ chunks, the last with the new position
//! ```
//!
//! A pass that ends without rows is remembered in memory alone (`passed`): after a restart the one before it is looked through
//! again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meetnet_lake::LakeError;
use meetnet_lake::committed::CommittedRows;
use meetnet_lake::lake::LakeReader;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_lake::storage::LakeStorage;
use meetnet_model::assessment::Assessment;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::gathering::Gathering;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::rows::DatasetRows;

use crate::assess::AssessPlan;
use crate::compute::{compute, touched};
use crate::error::DeriveError;
use crate::gather::{GatherPlan, Gathered};
use crate::outbox::Outbox;
use crate::passed::{AllPassed, Begun, Passed, Seen, begin};
use crate::plan::Plan;
use crate::position;
use crate::reached::{PAIRS_MAX, Whole};

/// A dataset has grown where so many of its rows are new, and this share of them: one in so many.
const GROWN_ROWS: u64 = 100;
const GROWN_SHARE: u64 = 8;

/// Rows of a derived dataset on their way into its table.
#[derive(Clone, Debug)]
pub struct DerivedChunk {
    /// The rows.
    pub rows: DatasetRows,
    /// The dataset that they are made of; of gathered ones, which are made of several, their own.
    pub input: DatasetId,
    /// Their licence.
    pub licence: LicenceId,
    /// Everything of the input that was recorded until then is in them, µs since 1970 UTC.
    pub through: i64,
    /// Names the position that the table records with them.
    pub position_id: String,
    /// That position: with the last chunk of a pass that to which everything is derived now, before it that where the pass began.
    pub position: u64,
    /// How many erasures had been carried out when the input was opened: where there have been more, the rows may hold
    /// what has been erased, and must not be taken.
    pub erasures: u64,
}

/// Whoever changes the tables of derived datasets.
pub trait DerivedTables {
    /// Why it does not.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns how many erasures have been carried out.
    ///
    /// # Errors
    /// Where nobody knows.
    fn erasures(&self) -> Result<u64, Self::Error>;

    /// Returns the position that a table has recorded; none where it has none of that name, or where one of a name that differs
    /// behind its last `/` only, other rules, has come as far since.
    ///
    /// # Errors
    /// Where nobody knows.
    fn position(&self, dataset: &DatasetId, position_id: &str) -> Result<Option<u64>, Self::Error>;

    /// Takes a chunk: its rows and its position are committed together when this returns.
    ///
    /// # Errors
    /// Where they are not, or nobody knows.
    fn take(&self, chunk: DerivedChunk) -> Result<(), Self::Error>;
}

/// What a round did.
#[derive(Debug, Default)]
pub struct Round {
    /// Rows per dataset that were handed over; those that are stored already among them.
    pub rows: BTreeMap<DatasetId, u64>,
    /// What could not be derived; the next round tries again.
    pub failed: Vec<DeriveError>,
}

impl Round {
    fn add(&mut self, dataset: &DatasetId, rows: u64) {
        if rows == 0 {
            return;
        }
        metrics::counter!("meetnet_derived_rows_total", "dataset" => dataset.to_string())
            .increment(rows);
        *self.rows.entry(dataset.clone()).or_default() += rows;
    }
}

/// Derives datasets from what is committed in a lake.
#[derive(Debug)]
pub struct Deriver {
    storage: Arc<dyn LakeStorage>,
    reader: Option<LakeReader>,
    passed: AllPassed,
    /// By dataset of figures and observed dataset: rows that the latter had when the figures were last made here.
    assessed_rows: BTreeMap<(DatasetId, DatasetId), u64>,
    /// Pairs of bucket and what is touched in it that are kept for a dataset.
    pairs_max: usize,
}

/// What holds for a whole round.
#[derive(Clone, Copy, Debug)]
struct Given<'a> {
    /// How many erasures had been carried out before the tables were opened.
    erasures: u64,
    /// Before which time a retention has dropped everything of a table, µs since 1970 UTC.
    dropped: &'a BTreeMap<DatasetId, i64>,
    /// The time now, µs since 1970 UTC.
    now: i64,
    stop: &'a AtomicBool,
}

impl Deriver {
    /// Returns a deriver that knows no position yet.
    pub fn new(storage: Arc<dyn LakeStorage>) -> Self {
        Self {
            storage,
            reader: None,
            passed: AllPassed::default(),
            assessed_rows: BTreeMap::new(),
            pairs_max: PAIRS_MAX,
        }
    }

    /// Brings the derived ones among `datasets` to what is committed of their inputs. What one of them gets in this round, those
    /// that are made of it get in the next. What late rows touch waits for more of them: `now` is the time, µs since 1970 UTC,
    /// by the clock that rows are recorded by.
    ///
    /// # Errors
    /// Where the tables cannot be read at all, or nobody takes chunks.
    pub fn round<T: DerivedTables>(
        &mut self,
        datasets: &[Arc<DatasetDeclaration>],
        tables: &T,
        now: i64,
        stop: &AtomicBool,
    ) -> Result<Round, DeriveError> {
        let mut round = Round::default();
        let Some(first) = datasets.iter().find(|dataset| dataset.is_made()) else {
            return Ok(round);
        };
        // Before the tables are opened: what is erased afterwards is noticed.
        let erasures = tables.erasures().map_err(not_taken(&first.id))?;
        let snapshot = match &mut self.reader {
            Some(reader) => reader.refresh(),
            None => LakeReader::open(Arc::clone(&self.storage)).and_then(|reader| {
                let reader = self.reader.insert(reader);
                reader.refresh()
            }),
        };
        let snapshot = snapshot.map_err(unreadable(&first.id))?;
        let dropped = self.reader.as_ref().map(LakeReader::dropped_before);
        let dropped = dropped.unwrap_or_default();
        let given = Given {
            erasures,
            dropped: &dropped,
            now,
            stop,
        };
        for declaration in datasets {
            if let Some(gathering) = &declaration.gather {
                match self.gather(declaration, gathering, &snapshot, given, tables) {
                    Ok(rows) => round.add(&declaration.id, rows),
                    Err(DeriveError::Stopped) => return Ok(round),
                    Err(error) => round.failed.push(error),
                }
                continue;
            }
            let own = snapshot.tables.get(&declaration.id).map(|own| &**own);
            let passes: Vec<_> = inputs_of(declaration, &snapshot)
                .into_iter()
                .map(|input| match &declaration.assess {
                    None => self.pass(declaration, input, own, given, tables),
                    Some(assessment) => {
                        let plan = AssessPlan::new(declaration, assessment, &input.declaration);
                        self.assess(&plan, input, own, given, tables)
                    }
                })
                .collect();
            for pass in passes {
                match pass {
                    Ok(rows) => round.add(&declaration.id, rows),
                    Err(DeriveError::Stopped) => return Ok(round),
                    Err(error) => round.failed.push(error),
                }
            }
        }
        Ok(round)
    }

    /// Returns how much waits, of all datasets: pairs of bucket and series, and whole buckets.
    pub fn waiting(&self) -> usize {
        self.passed.waiting()
    }

    /// Returns when something that waits is to be computed, µs since 1970 UTC, also where no input changes; none where nothing
    /// waits.
    pub fn ready_at(&self) -> Option<i64> {
        self.passed.ready_at()
    }

    /// Takes out how far a dataset is derived; none where it has to be derived from the beginning. `rules` names the rules in
    /// memory, `position_id` in the table, which does not count where everything is to be derived anew.
    fn resume<T: DerivedTables>(
        &mut self,
        (id, input): (&DatasetId, &DatasetId),
        rules: &str,
        position_id: &str,
        is_anew: bool,
        tables: &T,
    ) -> Result<Option<Passed>, DeriveError> {
        if let Some(passed) = self.passed.take(id, input, rules) {
            return Ok(Some(passed));
        }
        if is_anew {
            return Ok(None);
        }
        let position = tables.position(id, position_id).map_err(not_taken(id))?;
        let through = position.and_then(position::through);
        Ok(through.map(|through| Passed::at(rules, through)))
    }

    /// Gathers a dataset up to what is committed of all that it is made of; returns how many rows were handed over.
    fn gather<T: DerivedTables>(
        &mut self,
        declaration: &Arc<DatasetDeclaration>,
        gathering: &Gathering,
        snapshot: &LakeSnapshot,
        given: Given<'_>,
        tables: &T,
    ) -> Result<u64, DeriveError> {
        let id = &declaration.id;
        let plan = GatherPlan::new(declaration, gathering)?;
        let Some(of) = plan.tables(snapshot) else {
            return Ok(0);
        };
        // An erasure takes all of its rows: then what was passed is to be passed again.
        let rules = format!("{}/{}", plan.position_id(), given.erasures);
        let is_anew = is_blank(of.own());
        let passed = self.resume((id, id), &rules, plan.position_id(), is_anew, tables)?;
        let (pass, before) = match begin(passed, of.through(), given.now, self.pairs_max) {
            Begun::Idle(passed) => {
                self.passed.put(id, id, passed);
                return Ok(0);
            }
            Begun::Pass(pass, before) => (pass, before),
        };
        let check = || go_on(given.stop);
        let position = before.position;
        let known = (before.places, &before.seen);
        // Nothing that is stored would be made of less: after an erasure what is left is gathered.
        let dropped_before = plan.dropped_before(given.dropped).filter(|_| !is_anew);
        let whole = Whole::after(dropped_before);
        let known = (before.waiting, known);
        let (work, waiting) = Gathered::find(&plan, &of, (pass, whole), known, &check)?;
        let mut passed = Passed::after(&rules, position, pass, waiting);
        passed.seen = Seen::after(before.seen, pass, of.all());
        let mut outbox = Outbox::new(
            declaration,
            plan.position_id(),
            id,
            (position, passed.position),
            pass.through,
            given.erasures,
        );
        passed.places = work.make(&check, |finished| outbox.add(finished, tables))?;
        let handed = outbox.finish(tables)?;
        self.passed.put(id, id, passed);
        Ok(handed)
    }

    /// Brings the figures about one observed dataset up to what is committed of it; returns how many rows were handed over.
    fn assess<T: DerivedTables>(
        &mut self,
        plan: &AssessPlan,
        input: &TableSnapshot,
        own: Option<&TableSnapshot>,
        given: Given<'_>,
        tables: &T,
    ) -> Result<u64, DeriveError> {
        let declaration = plan.declaration();
        let id = &declaration.id;
        let through = input.stable_time;
        let of = &input.declaration.id;
        let rules = plan.position_id();
        let passed = self.resume((id, of), rules, rules, false, tables)?;
        let since = passed.as_ref().map(|passed| passed.through);
        let count: u64 = input.files.iter().map(|file| file.rows).sum();
        let of_pair = (id.clone(), of.clone());
        let known = self.assessed_rows.get(&of_pair);
        // After a start nobody knows what has come meanwhile.
        let has_grown = known.is_none_or(|known| {
            count.saturating_sub(*known) >= GROWN_ROWS.max(count / GROWN_SHARE)
        });
        if !plan.is_due(since, through, has_grown) {
            if let Some(passed) = passed {
                self.passed.put(id, of, passed);
            }
            return Ok(0);
        }
        let Some(licence) = &declaration.licence else {
            return Err(DeriveError::incomplete(id, common::LICENCE));
        };
        let check = || go_on(given.stop);
        let own = (own, given.dropped.get(of).copied());
        let rows = plan.rows(input, own, since, through, &check)?;
        let mut handed = 0;
        if let Some(rows) = rows {
            handed = rows.batch.num_rows() as u64;
            let chunk = DerivedChunk {
                rows,
                input: of.clone(),
                licence: licence.clone(),
                through,
                position_id: rules.to_owned(),
                position: position::done(through),
                erasures: given.erasures,
            };
            tables.take(chunk).map_err(not_taken(id))?;
        }
        // As long as there was nothing to say, the first day that is over need not wait for its turn.
        if handed > 0 || since.is_some() {
            self.passed.put(id, of, Passed::at(rules, through));
        }
        self.assessed_rows.insert(of_pair, count);
        Ok(handed)
    }

    /// Derives one dataset up to what is committed of its input; returns how many rows were handed over.
    fn pass<T: DerivedTables>(
        &mut self,
        declaration: &Arc<DatasetDeclaration>,
        input: &TableSnapshot,
        own: Option<&TableSnapshot>,
        given: Given<'_>,
        tables: &T,
    ) -> Result<u64, DeriveError> {
        let id = &declaration.id;
        let Some(plan) = Plan::new(declaration, &input.declaration)? else {
            return Ok(0);
        };
        let of = &input.declaration.id;
        // An erasure of the reference takes all rows: then what was passed is to be passed again.
        let rules = match &plan.reference {
            Some(_) => format!("{}/{}", plan.position_id(), given.erasures),
            None => plan.position_id().to_owned(),
        };
        let is_anew = plan.reference.is_some() && is_blank(own);
        let passed = self.resume((id, of), &rules, plan.position_id(), is_anew, tables)?;
        let (pass, before) = match begin(passed, input.stable_time, given.now, self.pairs_max) {
            Begun::Idle(passed) => {
                self.passed.put(id, of, passed);
                return Ok(0);
            }
            Begun::Pass(pass, before) => (pass, before),
        };
        let check = || go_on(given.stop);
        let position = before.position;
        let committed = CommittedRows::new(input).map_err(unreadable(id))?;
        let known = (before.waiting, before.seen.of(of));
        let mut whole = Whole::after(given.dropped.get(of).copied());
        // Rows of intervals that are not over follow what comes, and where there is no row none can be made of less.
        if !plan.so_far && !is_blank(own) {
            whole = whole.looking_around((plan.look_back, plan.look_ahead), pass.through);
        }
        let (spans, waiting) = touched(&plan, &committed, (pass, whole), known, &check)?;
        let mut passed = Passed::after(&rules, position, pass, waiting);
        passed.seen = Seen::after(before.seen, pass, [input]);
        let mut outbox = Outbox::new(
            declaration,
            plan.position_id(),
            of,
            (position, passed.position),
            pass.through,
            given.erasures,
        );
        for span in &spans {
            compute(&plan, (&committed, own), span, &check, |finished| {
                outbox.add(finished, tables)
            })?;
        }
        let handed = outbox.finish(tables)?;
        self.passed.put(id, of, passed);
        Ok(handed)
    }
}

/// Returns the committed tables that a dataset is made of.
fn inputs_of<'s>(
    declaration: &DatasetDeclaration,
    snapshot: &'s LakeSnapshot,
) -> Vec<&'s TableSnapshot> {
    if declaration.assess.is_some() {
        let tables = snapshot.tables.values().map(|table| &**table);
        return tables
            .filter(|table| Assessment::judges(&table.declaration))
            .collect();
    }
    let from = declaration
        .derive
        .as_ref()
        .map(|derivation| &derivation.from);
    let input = from.and_then(|from| snapshot.tables.get(from));
    input.map(|input| &**input).into_iter().collect()
}

/// Returns whether the table of a made dataset has no row, as after an erasure.
fn is_blank(own: Option<&TableSnapshot>) -> bool {
    own.is_none_or(|own| own.files.is_empty())
}

/// Says whether somebody asked to stop.
fn go_on(stop: &AtomicBool) -> Result<(), DeriveError> {
    if stop.load(Ordering::Relaxed) {
        return Err(DeriveError::Stopped);
    }
    Ok(())
}

/// Returns a function that says which dataset could not be derived for want of its input.
pub(crate) fn unreadable(dataset: &DatasetId) -> impl Fn(LakeError) -> DeriveError + use<> {
    let dataset = dataset.clone();
    move |source| DeriveError::Input {
        dataset: dataset.clone(),
        source,
    }
}

/// Returns a function that says which dataset's rows were not taken.
pub(crate) fn not_taken<E: std::error::Error + Send + Sync + 'static>(
    dataset: &DatasetId,
) -> impl FnOnce(E) -> DeriveError + use<E> {
    let dataset = dataset.clone();
    move |source| DeriveError::NotTaken {
        dataset,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests;
