//! One pass over a derived dataset: what it computes, and the rows of that, span by span.
//!
//! `due, recorded since, waiting ─▶ spans ─▶ rows of the input in key order ─▶ fold ─▶ rows`

use meetnet_lake::committed::{CommittedRows, KeyPart};

use crate::deriver::unreadable;
use crate::due::{Span, Touched};
use crate::error::DeriveError;
use crate::fold::{Finished, Fold};
use crate::outbox::CHUNK_ROWS;
use crate::plan::Plan;
use crate::reached::{Pass, Waiting};
use crate::reference::References;

/// Returns what a pass computes, and what waits after it.
pub(crate) fn touched(
    plan: &Plan,
    committed: &CommittedRows<'_>,
    pass: Pass,
    waiting: Waiting,
    check: &impl Fn() -> Result<(), DeriveError>,
) -> Result<(Vec<Span>, Waiting), DeriveError> {
    let id = &plan.declaration().id;
    let Some(bounds) = committed.time_bounds() else {
        return Ok((Vec::new(), Waiting::default()));
    };
    let mut touched = Touched::new(plan, pass, waiting);
    touched.add_due(bounds);
    // Where nothing was committed since, something has waited for long enough.
    if let Some(since) = pass.since.filter(|since| *since < pass.through) {
        for batch in committed
            .recorded_from(since, &[])
            .map_err(unreadable(id))?
        {
            check()?;
            touched.add_changed(&batch.map_err(unreadable(id))?)?;
        }
    }
    Ok(touched.into_spans())
}

/// Computes the rows of a span, which go to `take`.
pub(crate) fn compute(
    plan: &Plan,
    committed: &CommittedRows<'_>,
    span: &Span,
    check: &impl Fn() -> Result<(), DeriveError>,
    mut take: impl FnMut(Vec<Finished>) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let id = &plan.declaration().id;
    let references = match &plan.reference {
        Some(reference) => references_of(plan, committed, span, reference)?,
        None => References::default(),
    };
    let mut fold = Fold::new(plan, span).with_references(&references);
    let rows = committed.in_range(&plan.reads(), span.input(plan));
    let mut rows = rows.map_err(unreadable(id))?;
    while let Some(batch) = rows.next_batch().map_err(unreadable(id))? {
        check()?;
        fold.push(&batch)?;
        if fold.rows() >= CHUNK_ROWS / 2 {
            take(fold.take())?;
        }
    }
    fold.finish()?;
    take(fold.take())?;
    if fold.withheld() > 0 {
        metrics::counter!("meetnet_derived_withheld_total", "dataset" => id.to_string())
            .increment(fold.withheld());
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
