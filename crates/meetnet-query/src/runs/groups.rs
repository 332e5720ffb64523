//! The group of every row, looked up once per run of rows that have the same.

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, UInt32Array};
use arrow::compute::{partition, take};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

/// Rows that a run must have on average to be worth finding.
const RUN_ROWS_MIN: usize = 2;

/// The groups so far, and those of the rows of one batch.
pub(super) struct RunGroups {
    known: Box<dyn GroupValues>,
    /// Group of each run.
    of_runs: Vec<usize>,
    /// Group of each row.
    of_rows: Vec<usize>,
}

impl RunGroups {
    /// `schema` is that of the columns to group by.
    pub(super) fn try_new(schema: SchemaRef) -> Result<Self> {
        Ok(Self {
            known: new_group_values(schema, &GroupOrdering::None)?,
            of_runs: Vec::new(),
            of_rows: Vec::new(),
        })
    }

    /// Returns the group of each row of a batch that has these columns to group by, and the number of groups so far.
    pub(super) fn of(&mut self, columns: &[ArrayRef]) -> Result<(&[usize], usize)> {
        let rows = columns.first().map_or(0, |column| column.len());
        let starts = run_starts(columns, rows)?;
        if rows < starts.len() * RUN_ROWS_MIN {
            self.known.intern(columns, &mut self.of_rows)?;
            return Ok((&self.of_rows, self.known.len()));
        }
        let firsts_of_runs = UInt32Array::from(starts);
        let firsts = columns
            .iter()
            .map(|column| take(column, &firsts_of_runs, None))
            .collect::<Result<Vec<_>, _>>()?;
        self.known.intern(&firsts, &mut self.of_runs)?;
        self.of_rows.clear();
        self.of_rows.reserve(rows);
        let ends = firsts_of_runs
            .values()
            .iter()
            .skip(1)
            .map(|first| *first as usize);
        for (end, group) in ends.chain([rows]).zip(&self.of_runs) {
            self.of_rows.resize(end, *group);
        }
        Ok((&self.of_rows, self.known.len()))
    }

    /// Returns true where there are no groups.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns the memory that they take, bytes.
    pub(super) fn size(&self) -> usize {
        self.known.size() + (self.of_runs.capacity() + self.of_rows.capacity()) * size_of::<usize>()
    }

    /// Returns the columns of all groups in the order of their numbers, and forgets them.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let columns = self.known.emit(EmitTo::All)?;
        self.known.clear_shrink(0);
        Ok(columns)
    }
}

/// Returns the rows that differ from the one before them in a column, the first row among them.
fn run_starts(columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
    let mut is_start = vec![false; rows];
    if let Some(first) = is_start.first_mut() {
        *first = true;
    }
    for column in columns {
        match column.as_string_view_opt() {
            Some(texts) if texts.null_count() == 0 => mark_texts(texts, &mut is_start),
            _ => {
                for run in partition(std::slice::from_ref(column))?.ranges() {
                    is_start[run.start] = true;
                }
            }
        }
    }
    let starts = is_start.iter().enumerate();
    Ok(starts
        .filter_map(|(row, is_start)| is_start.then_some(row as u32))
        .collect())
}

/// Marks texts that differ from the one before them. Texts of one dictionary are one text where they point to one place;
/// only others are compared.
fn mark_texts(texts: &StringViewArray, is_start: &mut [bool]) {
    let neighbours = texts.views().windows(2).zip(1..);
    for (pair, row) in neighbours {
        if pair[0] != pair[1] && texts.value(row - 1) != texts.value(row) {
            is_start[row] = true;
        }
    }
}
