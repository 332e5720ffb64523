//! Quality at a glance: what the dataset that judges others says of them, for `/api/v1/datasets/{id}/quality` and the operations
//! page.
//!
//! `table with [assess] ─▶ committed rows, once per version of the table ─▶ newest days, months, all`
//!
//! It computes no figure: `meetnet-derive` has. What is asked costs nothing until the table changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use meetnet_lake::LakeError;
use meetnet_lake::committed::{CommittedRows, RowRange};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::assessment::{self, Assessment};
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::time::format_rfc3339;
use serde::Serialize;
use tracing::error;

use crate::datasets::pretty;
use crate::head::{STABLE_TIME, THROUGH};
use crate::parameters::{InPath, only};
use crate::problem::{Problem, ProblemKind};
use crate::rows;
use crate::state::PublishState;

#[cfg(test)]
mod tests;

/// Newest days of an answer.
const DAYS_MAX: usize = 31;
/// Newest months of an answer.
const MONTHS_MAX: usize = 13;

/// What is said of one day, month, or everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// When the day or month begins; absent of everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<String>,
    pub(crate) days: i64,
    pub(crate) rows: i64,
    pub(crate) flags: Flags,
    pub(crate) revisions: i64,
    /// Share of the hours with an observation among those that should have one.
    pub(crate) completeness: Option<f64>,
    pub(crate) lateness: Lateness,
    pub(crate) sensors: i64,
    pub(crate) silent: i64,
}

/// Rows of each flag.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Flags {
    pub(crate) passed: Share,
    pub(crate) not_evaluated: Share,
    pub(crate) suspect: Share,
    pub(crate) failed: Share,
    pub(crate) missing: Share,
}

/// Some of the rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Share {
    pub(crate) rows: i64,
    pub(crate) share: Option<f64>,
}

/// From the end of an observation to its reception.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Lateness {
    /// Rows of which it is known.
    pub(crate) rows: i64,
    pub(crate) p50_s: Option<f64>,
    pub(crate) p90_s: Option<f64>,
    pub(crate) p99_s: Option<f64>,
}

/// What is said of one dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct OfDataset {
    /// Newest first.
    pub(crate) days: Vec<Figures>,
    /// Newest first.
    pub(crate) months: Vec<Figures>,
    pub(crate) all: Option<Figures>,
}

/// By dataset.
pub(crate) type AllFigures = BTreeMap<String, OfDataset>;

/// The figures of the newest version of the table that was read; clones share them.
#[derive(Clone, Debug, Default)]
pub struct FiguresCache {
    newest: Arc<Mutex<Option<Read>>>,
}

/// What was read of one version of a table.
#[derive(Clone, Debug)]
struct Read {
    dataset: DatasetId,
    version: u64,
    /// How often files of the lake had been found damaged, or whole again.
    damage: u64,
    figures: Arc<AllFigures>,
}

impl FiguresCache {
    /// Returns what is said of all datasets.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub(crate) async fn get(&self, snapshot: &LakeSnapshot) -> Result<Arc<AllFigures>, Problem> {
        let Some(table) = table_of(snapshot) else {
            return Ok(Arc::default());
        };
        if let Some(known) = self.known(table) {
            return Ok(known);
        }
        let (of, dataset) = (Arc::clone(table), &table.declaration.id);
        let damage = table.folder.damage_revision();
        let read = tokio::task::spawn_blocking(move || read(&of)).await;
        let failed = |error: &(dyn std::error::Error + 'static)| {
            error!(error, %dataset, "failed to read the figures about datasets");
            Problem::new(ProblemKind::Internal, "the figures could not be read")
        };
        match read {
            Ok(Ok(figures)) => Ok(self.keep(table, damage, figures)),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Returns what was read of this version of the table.
    fn known(&self, table: &TableSnapshot) -> Option<Arc<AllFigures>> {
        // The value is only ever replaced whole, so a panic elsewhere leaves it usable.
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let read = newest.as_ref()?;
        let is_same = read.dataset == table.declaration.id
            && read.version == table.version
            && read.damage == table.folder.damage_revision();
        is_same.then(|| Arc::clone(&read.figures))
    }

    fn keep(&self, table: &TableSnapshot, damage: u64, figures: AllFigures) -> Arc<AllFigures> {
        let figures = Arc::new(figures);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Some(Read {
            dataset: table.declaration.id.clone(),
            version: table.version,
            damage,
            figures: Arc::clone(&figures),
        });
        figures
    }
}

/// Returns the public table that judges the others.
fn table_of(snapshot: &LakeSnapshot) -> Option<&Arc<TableSnapshot>> {
    let mut tables = snapshot.tables.values();
    tables.find(|table| table.declaration.assess.is_some() && table.declaration.is_public())
}

/// Reads the newest figures about every dataset.
fn read(table: &TableSnapshot) -> Result<AllFigures, LakeError> {
    let committed = CommittedRows::new(table)?;
    let columns: Vec<&str> = assessment::COLUMNS.iter().map(|(name, _)| *name).collect();
    let range = RowRange {
        from: i64::MIN,
        to: i64::MAX,
        leading: None,
    };
    let mut rows = committed.in_range(&columns, range)?;
    let mut figures = AllFigures::new();
    while let Some(batch) = rows.next_batch()? {
        add(&batch, &mut figures);
    }
    for of_dataset in figures.values_mut() {
        // Rows come by time.
        for (figures, most) in [
            (&mut of_dataset.days, DAYS_MAX),
            (&mut of_dataset.months, MONTHS_MAX),
        ] {
            figures.reverse();
            figures.truncate(most);
        }
    }
    Ok(figures)
}

/// Adds the rows of a batch; oldest first.
fn add(batch: &RecordBatch, figures: &mut AllFigures) {
    let [dataset, period, time] = assessment::KEY;
    let [of_day, of_month, _] = assessment::PERIODS;
    let text = |name: &str| {
        let column = batch.column_by_name(name)?;
        column.as_string_opt::<i32>()
    };
    let times = batch.column_by_name(time);
    let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    let (Some(datasets), Some(periods), Some(times)) = (text(dataset), text(period), times) else {
        return;
    };
    for row in 0..batch.num_rows() {
        let of_dataset = figures.entry(datasets.value(row).to_owned()).or_default();
        let start = format_rfc3339(times.value(row));
        let period = periods.value(row);
        if period == of_day {
            of_dataset.days.push(Figures::of(batch, row, Some(start)));
        } else if period == of_month {
            of_dataset.months.push(Figures::of(batch, row, Some(start)));
        } else {
            of_dataset.all = Some(Figures::of(batch, row, None));
        }
    }
}

impl Figures {
    fn of(batch: &RecordBatch, row: usize, start: Option<String>) -> Self {
        let int = |name: &str| -> i64 {
            let column = batch.column_by_name(name);
            let column = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
            let column = column.filter(|column| column.is_valid(row));
            column.map_or(0, |column| column.value(row))
        };
        let float = |name: &str| -> Option<f64> {
            let column = batch
                .column_by_name(name)?
                .as_primitive_opt::<Float64Type>()?;
            column.is_valid(row).then(|| column.value(row))
        };
        let rows = int("rows");
        let share = |name: &str| {
            let some = int(name);
            Share {
                rows: some,
                share: (rows > 0).then(|| some as f64 / rows as f64),
            }
        };
        Self {
            start,
            days: int("days"),
            rows,
            flags: Flags {
                passed: share("passed"),
                not_evaluated: share("not_evaluated"),
                suspect: share("suspect"),
                failed: share("failed"),
                missing: share("missing"),
            },
            revisions: int("revisions"),
            completeness: float("completeness"),
            lateness: Lateness {
                rows: int("timed"),
                p50_s: float("lateness_p50_s"),
                p90_s: float("lateness_p90_s"),
                p99_s: float("lateness_p99_s"),
            },
            sensors: int("sensors"),
            silent: int("silent"),
        }
    }
}

/// The answer about one dataset.
#[derive(Serialize)]
struct Document<'a> {
    dataset: &'a str,
    /// Licence of the figures.
    licence: Option<&'a LicenceId>,
    #[serde(flatten)]
    figures: &'a OfDataset,
    links: Links,
}

/// Paths from the root of the service.
#[derive(Serialize)]
struct Links {
    dataset: String,
    /// The dataset that the figures are rows of.
    figures: String,
}

/// Answers how good a dataset is.
pub(crate) async fn get(
    State(state): State<PublishState>,
    InPath(id): InPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [] = only(query.as_deref(), [])?;
    let snapshot = state.query.snapshot().load_full();
    let table = rows::public_table(&snapshot, &id)?;
    let judging = table_of(&snapshot).filter(|_| Assessment::judges(&table.declaration));
    let Some(judging) = judging else {
        return Err(Problem::new(
            ProblemKind::NotFound,
            "there are figures about datasets that sources fill; rows of this one say their coverage themselves",
        ));
    };
    let all = state.figures.get(&snapshot).await?;
    let none = OfDataset::default();
    let document = Document {
        dataset: &id,
        licence: judging.declaration.licence.as_ref(),
        figures: all.get(&id).unwrap_or(&none),
        links: Links {
            dataset: format!("/api/v1/datasets/{id}"),
            figures: format!("/api/v1/datasets/{}", judging.declaration.id),
        },
    };
    let mut response = pretty(&document, &headers)?;
    let headers = response.headers_mut();
    headers.insert(THROUGH, HeaderValue::from(judging.through.0));
    if let Ok(time) = HeaderValue::from_str(&format_rfc3339(judging.stable_time)) {
        headers.insert(STABLE_TIME, time);
    }
    Ok(response)
}
