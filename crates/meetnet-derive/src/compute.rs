//! One pass over a derived dataset: what it computes, and the rows of that, span by span.
//!
//! `due, recorded since, waiting ─▶ spans ─▶ rows of the input in key order ─▶ fold ─▶ rows`

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::committed::{CommittedRows, KeyPart, RowRange};
use meetnet_lake::snapshot::{LiveFile, TableSnapshot};
use meetnet_model::common;

use crate::deriver::unreadable;
use crate::due::{Span, Touched};
use crate::error::DeriveError;
use crate::fold::{Finished, Fold};
use crate::outbox::CHUNK_ROWS;
use crate::plan::Plan;
use crate::reached::{Pass, Waiting, Whole};
use crate::reference::References;

/// Returns what a pass computes, of what waits and of rows outside the files that were `seen`, and what waits after it; only
/// buckets that are `whole`.
pub(crate) fn touched(
    plan: &Plan,
    committed: &CommittedRows<'_>,
    (pass, whole): (Pass, Whole),
    (waiting, seen): (Waiting, &[Arc<LiveFile>]),
    check: &impl Fn() -> Result<(), DeriveError>,
) -> Result<(Vec<Span>, Waiting), DeriveError> {
    let id = &plan.declaration().id;
    let Some(bounds) = committed.time_bounds() else {
        return Ok((Vec::new(), Waiting::default()));
    };
    let mut touched = Touched::new(plan, pass, waiting).whole(whole);
    touched.add_due(bounds);
    if let Some(since) = pass.since.filter(|_| pass.looks()) {
        for batch in committed
            .recorded_from(since, &[], seen)
            .map_err(unreadable(id))?
        {
            check()?;
            touched.add_changed(&batch.map_err(unreadable(id))?)?;
        }
    }
    Ok(touched.into_spans())
}

/// Computes the rows of a span, which go to `take`. `own` is the table that they go into.
pub(crate) fn compute(
    plan: &Plan,
    (committed, own): (&CommittedRows<'_>, Option<&TableSnapshot>),
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
        if let Some(own) = own {
            add_stored(plan, own, span, &mut fold)?;
            take(fold.take())?;
        }
        metrics::counter!("meetnet_derived_withheld_total", "dataset" => id.to_string())
            .increment(fold.withheld());
    }
    Ok(())
}

/// Gives a fold what is stored of the series in which it withholds rows.
fn add_stored(
    plan: &Plan,
    own: &TableSnapshot,
    span: &Span,
    fold: &mut Fold<'_>,
) -> Result<(), DeriveError> {
    let declaration = plan.declaration();
    let id = &declaration.id;
    let leads = plan.series.first().map(|(name, _)| name) == declaration.key.first();
    let range = RowRange {
        from: span.from,
        to: span.to,
        leading: leads.then(|| fold.withheld_leading()),
    };
    let committed = CommittedRows::new(own).map_err(unreadable(id))?;
    let mut rows = committed.in_range(&[], range).map_err(unreadable(id))?;
    while let Some(batch) = rows.next_batch().map_err(unreadable(id))? {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| DeriveError::no_column(id, name))
        };
        let series = plan.series.iter().map(|(name, _)| column(name));
        let series = series.collect::<Result<Vec<_>, DeriveError>>()?;
        let time = declaration.time_column();
        let starts = column(time)?
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| DeriveError::no_column(id, time))?;
        let licences = column(common::LICENCE)?
            .as_string_opt::<i32>()
            .ok_or_else(|| DeriveError::no_column(id, common::LICENCE))?;
        for row in 0..batch.num_rows() {
            let series = series.iter();
            let series = series.filter_map(|column| KeyPart::of(*column, row));
            fold.add_stored(series.collect(), starts.value(row), licences.value(row))?;
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
