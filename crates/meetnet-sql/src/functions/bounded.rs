//! A function that refuses arguments from which it would make too much, and ends between rows where nobody waits any more.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF};

use super::pattern::{PatternCost, groups_most};
use super::share::CallShare;
use super::sizes::{greatest_number, length_at, longest_value, size_of};
use super::wrapped::Wrapper;
use crate::error::{QueryError, QueryErrorKind};
use crate::stop::StopFlag;

/// Steps that one row may take: about as many nanoseconds, at worst. It cannot be stopped while they last.
const ROW_WORK_MAX: u64 = 200_000_000;
/// Steps after which the work gives way.
const SLICE_WORK_MAX: u64 = 20_000_000;
/// What two letters of a format may become (`%c`), per letter.
const FORMATTED_BYTES: u64 = 12;
/// What an element of a list takes beside what is in it, where that is a text or a list.
const ELEMENT_BYTES: u64 = 16;
/// Steps for each letter that something is looked up for.
const LETTER_STEPS: u64 = 16;
/// Steps and bytes for each H3 cell that is walked to.
const CELL_STEPS: u64 = 100;
const CELL_BYTES: u64 = 8;
/// Steps of an `h3_disk`; of more, the function itself says that they are too many.
const DISK_STEPS_MAX: i64 = 50;

/// How the output of a function grows with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// No more than its arguments.
    Small,
    /// Twice the first argument.
    Doubled,
    /// Bytes of the first argument times the second argument.
    TimesNumber,
    /// As many elements as the second argument says.
    Elements,
    /// The second argument in characters.
    ToNumber,
    /// Each byte of the first argument may become the third argument.
    TimesReplacement,
    /// The second argument behind each element of the first, or the third in place of it.
    TimesDelimiter,
    /// The first argument for each group of the pattern.
    TimesGroups,
    /// An element for each byte of the first argument.
    PerByte,
    /// A time in the format of the second argument, for each row.
    Format,
    /// Bytes of all arguments, the first perhaps between any two.
    Sum,
    /// The H3 cells that are as many steps away as the second argument says.
    Disk,
}

/// How much work a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Work {
    /// No more than reading and writing it.
    Small,
    /// The length of the first argument times that of the second.
    Product,
    /// The lengths of the first two arguments.
    Lengths,
    /// The length of the first argument times the size of the pattern, which is the second.
    Pattern,
    /// As for a pattern, and at each step every group is kept.
    Groups,
    /// To walk to the H3 cells that are as many steps away as the second argument says.
    Disk,
}

/// Returns true where all arguments are constants.
pub(crate) fn is_constant(args: &[ColumnarValue]) -> bool {
    args.iter()
        .all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
}

/// Returns how many bytes a call may make, and of how many rows they are.
pub(super) fn most(args: &ScalarFunctionArgs) -> (u64, usize) {
    let options = &args.config_options;
    if is_constant(&args.args) {
        (CallShare::constant_bytes_max(options), 1)
    } else {
        (
            CallShare::output_bytes_max(options),
            args.number_rows.max(1),
        )
    }
}

pub(super) fn too_much(name: &str, bytes_max: u64) -> DataFusionError {
    let most = match bytes_max >> 20 {
        0 => format!("{} KiB", bytes_max >> 10),
        mib => format!("{mib} MiB"),
    };
    DataFusionError::ResourcesExhausted(format!("`{name}` would make more than {most} at once"))
}

/// See the module's own words.
#[derive(Debug)]
pub(super) struct Bounded {
    growth: Growth,
    work: Work,
    pattern: PatternCost,
}

impl Bounded {
    pub(super) fn new(growth: Growth, work: Work) -> Self {
        Self {
            growth,
            work,
            pattern: PatternCost::default(),
        }
    }

    /// Returns the steps of each row of a call of the function `name`; None where they are no more than reading and writing it.
    ///
    /// # Errors
    /// Where a pattern is none that is taken.
    fn work(&self, name: &str, args: &[ColumnarValue], rows: usize) -> Result<Option<Vec<u64>>> {
        let (Some(first), Some(second)) = (args.first(), args.get(1)) else {
            return Ok(None);
        };
        let lengths = |row| (length_at(first, row), length_at(second, row));
        let of_row: Box<dyn Fn(usize) -> u64 + '_> = match self.work {
            Work::Small => return Ok(None),
            Work::Disk => {
                let cells = disk_cells(second, rows);
                Box::new(move |row| {
                    let cells = cells.get(row).copied().unwrap_or(0);
                    cells.saturating_mul(CELL_STEPS)
                })
            }
            Work::Product => Box::new(|row| {
                let (first, second) = lengths(row);
                first.saturating_mul(second)
            }),
            Work::Lengths => Box::new(|row| {
                let (first, second) = lengths(row);
                first.saturating_add(second).saturating_mul(LETTER_STEPS)
            }),
            Work::Pattern | Work::Groups => {
                let mut cost = self.pattern.of(name, second)?;
                if self.work == Work::Groups {
                    cost = cost.saturating_mul(groups_most(second).saturating_add(1));
                }
                Box::new(move |row| length_at(first, row).saturating_mul(cost))
            }
        };
        let rows = if is_constant(args) { rows.min(1) } else { rows };
        Ok(Some((0..rows).map(of_row).collect()))
    }
}

/// Calls a function with a few rows at a time where a batch is much work: `work` are the steps of each row.
///
/// # Errors
/// Where one row is more work than anybody may ask for, where nobody waits any more, and where the call fails.
pub(super) fn call_in_slices(
    name: &str,
    args: ScalarFunctionArgs,
    work: &[u64],
    call: impl Fn(ScalarFunctionArgs) -> Result<ColumnarValue>,
) -> Result<ColumnarValue> {
    if work.iter().any(|steps| *steps > ROW_WORK_MAX) {
        let message = format!(
            "`{name}` would take too long on a single value; give it shorter ones, or a simpler pattern"
        );
        return Err(QueryError::new(QueryErrorKind::TooLarge, message).into());
    }
    let all = work.iter().copied().fold(0, u64::saturating_add);
    if is_constant(&args.args) || all <= SLICE_WORK_MAX {
        return call(args);
    }
    let mut parts: Vec<ArrayRef> = Vec::new();
    let mut start = 0;
    while start < work.len() {
        StopFlag::check(&args.config_options)?;
        let (mut end, mut steps) = (start, 0_u64);
        while end < work.len() && (end == start || steps + work[end] <= SLICE_WORK_MAX) {
            steps += work[end];
            end += 1;
        }
        let rows = end - start;
        let slice = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, rows)),
            ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.clone()),
        };
        let part = call(ScalarFunctionArgs {
            args: args.args.iter().map(slice).collect(),
            arg_fields: args.arg_fields.clone(),
            number_rows: rows,
            return_field: Arc::clone(&args.return_field),
            config_options: Arc::clone(&args.config_options),
        })?;
        parts.push(part.into_array(rows)?);
        start = end;
    }
    let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
    Ok(ColumnarValue::Array(concat(&parts)?))
}

impl Wrapper for Bounded {
    // What is too much of constants is refused here already. As an error of the call it would be noticed by whoever runs the
    // plan only, and until then every rule of the optimizer writes out the constants that it is called with: a number for
    // each byte, of a megabyte, dozens of times, for seconds in which nothing can be stopped.
    fn check(&self, inner: &ScalarUDF, args: &[Expr], info: &SimplifyContext) -> Result<()> {
        let constant = |arg: &Expr| match arg {
            Expr::Literal(value, _) => Some(ColumnarValue::Scalar(value.clone())),
            _ => None,
        };
        let constants: Option<Vec<ColumnarValue>> = args.iter().map(constant).collect();
        if let Some(constants) = constants {
            let bytes_max = CallShare::constant_bytes_max(info.config_options());
            if estimate(self.growth, &constants, 1) > bytes_max {
                return Err(too_much(inner.name(), bytes_max));
            }
        }
        Ok(())
    }

    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        StopFlag::check(&args.config_options)?;
        if self.growth == Growth::Format {
            check_format(&args.args)?;
        }
        let (bytes_max, rows) = most(&args);
        if estimate(self.growth, &args.args, rows) > bytes_max {
            return Err(too_much(inner.name(), bytes_max));
        }
        match self.work(inner.name(), &args.args, args.number_rows)? {
            Some(work) => call_in_slices(inner.name(), args, &work, |args| {
                inner.invoke_with_args(args)
            }),
            None => inner.invoke_with_args(args),
        }
    }
}

/// Refuses a format that formats nothing: whoever writes `YYYY-MM-DD` would have that in every row.
fn check_format(args: &[ColumnarValue]) -> Result<()> {
    let [value, ColumnarValue::Scalar(format)] = args else {
        return Ok(());
    };
    let format = format.try_as_str().flatten().unwrap_or("");
    let formats_nothing =
        !format.contains('%') && format.contains(|letter: char| letter.is_ascii_alphabetic());
    if formats_nothing && !matches!(value.data_type(), DataType::Duration(_)) {
        return Err(DataFusionError::Execution(
            "`to_char` takes a format with %, such as '%Y-%m-%d %H:%M'".to_owned(),
        ));
    }
    Ok(())
}

/// Upper bound, in bytes, of what a call makes.
fn estimate(growth: Growth, args: &[ColumnarValue], rows: usize) -> u64 {
    let size = |index: usize| args.get(index).map_or(0, |arg| size_of(arg, rows));
    let longest = |index: usize| args.get(index).map_or(0, longest_value).max(1);
    let number = |index: usize| args.get(index).map_or(0, greatest_number);
    match growth {
        Growth::Small => 0,
        Growth::Doubled => size(0).saturating_mul(2),
        Growth::TimesNumber => size(0).saturating_mul(number(1).max(1)),
        Growth::Elements => size(0)
            .saturating_add((rows as u64).saturating_mul(args.first().map_or(0, element_bytes)))
            .saturating_mul(number(1).max(1)),
        Growth::ToNumber => number(1).saturating_mul(4).saturating_mul(rows as u64),
        Growth::TimesReplacement => size(0)
            .saturating_add(rows as u64)
            .saturating_mul(longest(2)),
        Growth::TimesDelimiter => size(0).saturating_mul(longest(1).max(longest(2))),
        Growth::TimesGroups => {
            let groups = args.get(1).map_or(0, groups_most);
            size(0).saturating_mul(groups.max(1))
        }
        Growth::PerByte => size(0).saturating_mul(ELEMENT_BYTES),
        Growth::Format => (rows as u64)
            .saturating_mul(longest(1))
            .saturating_mul(FORMATTED_BYTES),
        Growth::Sum => {
            let all: u64 = (0..args.len()).map(size).fold(0, u64::saturating_add);
            all.saturating_add(size(0).saturating_mul(args.len() as u64))
        }
        Growth::Disk => {
            let cells = args.get(1).map(|steps| disk_cells(steps, rows));
            let cells = cells.unwrap_or_default().into_iter();
            cells
                .fold(0_u64, u64::saturating_add)
                .saturating_mul(CELL_BYTES)
        }
    }
}

/// Returns how many H3 cells a disk of so many steps has, for each row.
fn disk_cells(steps: &ColumnarValue, rows: usize) -> Vec<u64> {
    let cells = |steps: i64| {
        // Neither bound changes the sign of a number.
        let steps = steps.clamp(0, DISK_STEPS_MAX) as u64;
        1 + 3 * steps * (steps + 1)
    };
    let steps = steps.clone().into_array(rows).ok();
    let steps = steps.and_then(|steps| cast(&steps, &DataType::Int64).ok());
    // What is no number the function itself refuses.
    let Some(steps) = steps else {
        return Vec::new();
    };
    let steps = steps.as_primitive::<Int64Type>().iter();
    steps.map(|steps| steps.map_or(0, cells)).collect()
}

/// Returns what a value takes as the element of a list, beside its own bytes.
fn element_bytes(value: &ColumnarValue) -> u64 {
    match value.data_type().is_primitive() {
        true => 0,
        false => ELEMENT_BYTES,
    }
}
