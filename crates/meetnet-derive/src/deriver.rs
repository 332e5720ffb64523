//! Passes over derived datasets: from one committed state of an input to the next.
//!
//! ```text
//! position of the derived table ─▶ due, touched ─▶ spans ─▶ fold ─▶ chunks, the last with the new position
//! ```
//!
//! A pass that ends without rows is remembered in memory alone: after a restart the one before it is looked through again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meetnet_lake::LakeError;
use meetnet_lake::committed::{CommittedRows, KeyPart};
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
use crate::due::{Span, Touched};
use crate::error::DeriveError;
use crate::fold::Fold;
use crate::gather::{GatherPlan, gather};
use crate::outbox::{CHUNK_ROWS, Outbox};
use crate::plan::Plan;
use crate::position;
use crate::reference::References;

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
    /// That position: with the last chunk of a pass that of `through`, before it that where the pass began.
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
    /// Position id, and through when a dataset is derived by it, by its id and that of its input.
    passed: BTreeMap<(DatasetId, DatasetId), (String, i64)>,
}

impl Deriver {
    /// Returns a deriver that knows no position yet.
    pub fn new(storage: Arc<dyn LakeStorage>) -> Self {
        Self {
            storage,
            reader: None,
            passed: BTreeMap::new(),
        }
    }

    /// Brings the derived ones among `datasets` to what is committed of their inputs. What one of them gets in this round, those
    /// that are made of it get in the next.
    ///
    /// # Errors
    /// Where the tables cannot be read at all, or nobody takes chunks.
    pub fn round<T: DerivedTables>(
        &mut self,
        datasets: &[Arc<DatasetDeclaration>],
        tables: &T,
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
        for declaration in datasets {
            if let Some(gathering) = &declaration.gather {
                match self.gather(declaration, gathering, &snapshot, erasures, tables, stop) {
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
                    None => self.pass(declaration, input, own, erasures, tables, stop),
                    Some(assessment) => {
                        let plan = AssessPlan::new(declaration, assessment, &input.declaration);
                        self.assess(&plan, input, own, erasures, tables, stop)
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

    /// Returns through when a dataset is known to be derived by a position.
    fn known(&self, id: &DatasetId, input: &DatasetId, position_id: &str) -> Option<i64> {
        let passed = self.passed.get(&(id.clone(), input.clone()))?;
        (passed.0 == position_id).then_some(passed.1)
    }

    fn note(&mut self, id: &DatasetId, input: &DatasetId, position_id: &str, through: i64) {
        let key = (id.clone(), input.clone());
        self.passed.insert(key, (position_id.to_owned(), through));
    }

    /// Returns through when a dataset is derived by a position; none where it has to be derived from the beginning.
    fn since<T: DerivedTables>(
        &self,
        id: &DatasetId,
        input: &DatasetId,
        position_id: &str,
        tables: &T,
    ) -> Result<Option<i64>, DeriveError> {
        if let Some(through) = self.known(id, input, position_id) {
            return Ok(Some(through));
        }
        let position = tables.position(id, position_id).map_err(not_taken(id))?;
        Ok(position.and_then(position::through))
    }

    /// Forgets what was passed by other rules, before a pass from the beginning: its first rows may be there though it fails.
    fn begin(&mut self, since: Option<i64>, id: &DatasetId, input: &DatasetId) {
        if since.is_none() {
            self.passed.remove(&(id.clone(), input.clone()));
        }
    }

    /// Gathers a dataset up to what is committed of all that it is made of; returns how many rows were handed over.
    fn gather<T: DerivedTables>(
        &mut self,
        declaration: &Arc<DatasetDeclaration>,
        gathering: &Gathering,
        snapshot: &LakeSnapshot,
        erasures: u64,
        tables: &T,
        stop: &AtomicBool,
    ) -> Result<u64, DeriveError> {
        let id = &declaration.id;
        let plan = GatherPlan::new(declaration, gathering)?;
        let Some(of) = plan.tables(snapshot) else {
            return Ok(0);
        };
        // An erasure takes all of its rows: then what was passed is to be passed again.
        let in_memory = format!("{}/{erasures}", plan.position_id());
        let since = match self.known(id, id, &in_memory) {
            Some(through) => Some(through),
            None if is_blank(of.own()) => None,
            None => self.since(id, id, plan.position_id(), tables)?,
        };
        let through = of.through();
        if since.is_some_and(|since| since >= through) {
            return Ok(0);
        }
        self.begin(since, id, id);
        let mut outbox = Outbox::new(
            declaration,
            plan.position_id(),
            id,
            (since, through),
            erasures,
        );
        let check = || go_on(stop);
        gather(&plan, &of, since, &check, |finished| {
            outbox.add(finished, tables)
        })?;
        let handed = outbox.finish(tables)?;
        self.note(id, id, &in_memory, through);
        Ok(handed)
    }

    /// Brings the figures about one observed dataset up to what is committed of it; returns how many rows were handed over.
    fn assess<T: DerivedTables>(
        &mut self,
        plan: &AssessPlan,
        input: &TableSnapshot,
        own: Option<&TableSnapshot>,
        erasures: u64,
        tables: &T,
        stop: &AtomicBool,
    ) -> Result<u64, DeriveError> {
        let declaration = plan.declaration();
        let id = &declaration.id;
        let through = input.stable_time;
        let of = &input.declaration.id;
        let since = self.since(id, of, plan.position_id(), tables)?;
        if !plan.is_due(since, through) {
            return Ok(0);
        }
        let Some(licence) = &declaration.licence else {
            return Err(DeriveError::incomplete(id, common::LICENCE));
        };
        self.begin(since, id, of);
        let check = || go_on(stop);
        let rows = plan.rows(input, own, since, through, &check)?;
        let mut handed = 0;
        if let Some(rows) = rows {
            handed = rows.batch.num_rows() as u64;
            let chunk = DerivedChunk {
                rows,
                input: of.clone(),
                licence: licence.clone(),
                through,
                position_id: plan.position_id().to_owned(),
                position: position::done(through),
                erasures,
            };
            tables.take(chunk).map_err(not_taken(id))?;
        }
        // As long as there was nothing to say, the first day that is over need not wait for its turn.
        if handed > 0 || since.is_some() {
            self.note(id, of, plan.position_id(), through);
        }
        Ok(handed)
    }

    /// Derives one dataset up to what is committed of its input; returns how many rows were handed over.
    fn pass<T: DerivedTables>(
        &mut self,
        declaration: &Arc<DatasetDeclaration>,
        input: &TableSnapshot,
        own: Option<&TableSnapshot>,
        erasures: u64,
        tables: &T,
        stop: &AtomicBool,
    ) -> Result<u64, DeriveError> {
        let id = &declaration.id;
        let Some(plan) = Plan::new(declaration, &input.declaration)? else {
            return Ok(0);
        };
        let of = &input.declaration.id;
        // An erasure of the reference takes all rows: then what was passed is to be passed again.
        let in_memory = match &plan.reference {
            Some(_) => format!("{}/{erasures}", plan.position_id()),
            None => plan.position_id().to_owned(),
        };
        let since = match self.known(id, of, &in_memory) {
            Some(through) => Some(through),
            None if plan.reference.is_some() && is_blank(own) => None,
            None => self.since(id, of, plan.position_id(), tables)?,
        };
        let through = input.stable_time;
        if since.is_some_and(|since| since >= through) {
            return Ok(0);
        }
        self.begin(since, id, of);
        let mut outbox = Outbox::new(
            declaration,
            plan.position_id(),
            of,
            (since, through),
            erasures,
        );
        compute(&plan, input, since, &mut outbox, tables, stop)?;
        let handed = outbox.finish(tables)?;
        self.note(id, of, &in_memory, through);
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

/// Computes the rows of a pass, which go to `outbox`.
fn compute<T: DerivedTables>(
    plan: &Plan,
    input: &TableSnapshot,
    since: Option<i64>,
    outbox: &mut Outbox<'_>,
    tables: &T,
    stop: &AtomicBool,
) -> Result<(), DeriveError> {
    let id = &plan.declaration().id;
    let check = || go_on(stop);
    let committed = CommittedRows::new(input).map_err(unreadable(id))?;
    let Some(bounds) = committed.time_bounds() else {
        return Ok(());
    };
    let mut touched = Touched::new(plan, outbox.through());
    touched.add_due(since, bounds);
    if let Some(since) = since {
        for batch in committed
            .recorded_from(since, &[])
            .map_err(unreadable(id))?
        {
            check()?;
            touched.add_changed(&batch.map_err(unreadable(id))?)?;
        }
    }
    for span in touched.into_spans() {
        let references = match &plan.reference {
            Some(reference) => references_of(plan, &committed, &span, reference)?,
            None => References::default(),
        };
        let mut fold = Fold::new(plan, &span).with_references(&references);
        let rows = committed.in_range(&plan.reads(), span.input(plan));
        let mut rows = rows.map_err(unreadable(id))?;
        while let Some(batch) = rows.next_batch().map_err(unreadable(id))? {
            check()?;
            fold.push(&batch)?;
            if fold.rows() >= CHUNK_ROWS / 2 {
                outbox.add(fold.take(), tables)?;
            }
        }
        fold.finish()?;
        outbox.add(fold.take(), tables)?;
        if fold.withheld() > 0 {
            metrics::counter!("meetnet_derived_withheld_total", "dataset" => id.to_string())
                .increment(fold.withheld());
        }
    }
    Ok(())
}

/// Computes the rows of the reference in a span, whoever's rows are wanted.
fn references_of(
    plan: &Plan,
    committed: &CommittedRows<'_>,
    span: &Span,
    reference: &KeyPart,
) -> Result<References, DeriveError> {
    let id = &plan.declaration().id;
    let span = span.of_all();
    let mut range = span.input(plan);
    range.leading = Some(vec![reference.clone()]);
    let mut fold = Fold::new(plan, &span);
    let rows = committed.in_range(&plan.reads(), range);
    let mut rows = rows.map_err(unreadable(id))?;
    while let Some(batch) = rows.next_batch().map_err(unreadable(id))? {
        fold.push(&batch)?;
    }
    fold.finish()?;
    let mut references = References::default();
    references.add(plan, fold.take());
    Ok(references)
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
